package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/kit/identity"
)

// dump is all that is in a database, as anyone would have it who got hold of a copy.
func (p *platform) dump(t *testing.T, name string) string {
	t.Helper()
	db, err := pgx.Connect(t.Context(), p.DatabaseURL(name))
	require.NoError(t, err)
	defer func() { _ = db.Close(t.Context()) }()
	rows, err := db.Query(t.Context(), `
		SELECT format('COPY (SELECT * FROM %I.%I) TO STDOUT', schemaname, tablename) FROM pg_tables
		WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`)
	require.NoError(t, err)
	statements, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Greater(t, len(statements), 12)
	var all bytes.Buffer
	for _, statement := range statements {
		_, err := db.PgConn().CopyTo(t.Context(), &all, statement)
		require.NoError(t, err, statement)
	}
	return strings.ToLower(all.String())
}

// traces are the ways in which something could be written down, in lower case.
func traces(secret string) []string {
	all := []string{secret, hex.EncodeToString([]byte(secret)), base64.StdEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret))}
	if id, err := uuid.Parse(secret); err == nil {
		all = append(all, hex.EncodeToString(id[:]), base64.StdEncoding.EncodeToString(id[:]), base64.RawURLEncoding.EncodeToString(id[:]))
	}
	for i := range all {
		all[i] = strings.ToLower(all[i])
	}
	return all
}

// whoever has a copy of the forum's database and all that the forum logs cannot tell who wrote what.
func TestForumKnowsNobody(t *testing.T) {
	t.Parallel()

	p := shared(t)
	ada, noor, mia := p.patient(t), p.person(t, "doctor"), p.person(t, "moderator")
	ada.do(t, http.MethodPut, "/forum/v1/me", map[string]bool{"reply_mails": true}).wants(t, http.StatusOK)
	d := ada.discussion(t)
	for _, c := range []*caller{ada, noor, mia} { // all that leaves a row: also what is refused, and what is kept under a key
		c.get(t, "/forum/v1/me").wants(t, http.StatusOK)
		c.do(t, http.MethodPut, communities+"/"+d.community+"/membership", nil).wants(t, http.StatusNoContent)
		c.vote(t, posts+d.post, "up")
		c.post(t, communities+"/"+d.community+"/posts", map[string]string{"title": "Who am I?", "body": "Nobody knows."}, key(unique("key"))).wants(t, http.StatusCreated)
		c.post(t, posts+d.post+"/comments", map[string]string{"body": "Nobody knows me."}, key(unique("key"))).wants(t, http.StatusCreated)
		c.post(t, posts+d.post+"/comments", map[string]string{"body": "I am " + c.email}, key(unique("key"))).refused(t, http.StatusConflict)
		c.post(t, posts+d.post+"/comments", map[string]string{"wrong": c.email}).refused(t, http.StatusBadRequest)
		c.get(t, "/forum/v1/search?query="+c.username).wants(t, http.StatusOK)
	}
	p.mailTo(t, ada.email, 1)
	noor.post(t, comments+d.comment+"/flags", map[string]string{"reason": "other"}, key(unique("key"))).wants(t, http.StatusNoContent)
	mia.post(t, posts+d.post+"/hiding", map[string]string{"reason": "To see what is kept"}, key(unique("key"))).wants(t, http.StatusNoContent)

	said := p.dump(t, "forum")
	require.Contains(t, said, d.author, "the dump is one")
	logs := filepath.Join(p.Dir, "logs")
	require.NotEmpty(t, grep(t, logs, "forum.log*", `"operation":"createPost"`))
	require.Empty(t, grep(t, logs, "forum.log*", d.author))
	for _, c := range []*caller{ada, noor, mia} {
		for what, secret := range map[string]string{"subject": c.id, "address": c.email, "username": c.username, "token": c.token, "name": "Eve Ryone"} {
			for _, trace := range traces(secret) {
				require.NotContains(t, said, trace, "the database has a %s", what)
			}
			require.Empty(t, grep(t, logs, "forum.log*", secret), "a log of the forum has a %s", what)
		}
		require.Empty(t, grep(t, logs, "forum.log*", c.pseudonym(t)), "a log of the forum says which author wrote")
	}
}

// pseudonym is the name under which a person is known.
func (c *caller) pseudonym(t *testing.T) string {
	t.Helper()
	var me struct{ Author struct{ Name string } }
	c.get(t, "/forum/v1/me").wants(t, http.StatusOK).decode(t, &me)
	require.NotEmpty(t, me.Author.Name)
	return me.Author.Name
}

// X-1, ZUUL-1, ZUUL-2: where the forum believes who calls, nobody from outside comes, and nobody is believed without auth's word.
func TestForumIsNotReachedFromOutside(t *testing.T) {
	t.Parallel()

	p := shared(t)
	ada := p.person(t)
	instances, err := p.Instances(t.Context(), "forum")
	require.NoError(t, err)
	for _, base := range append(instances, p.InternalURL()) {
		for _, path := range []string{"/forum/v1/me", communities} {
			ada.at(base).get(t, path).refused(t, http.StatusUnauthorized) // a session token is not the word of auth
			ada.at(base).get(t, path, header(identity.Header, ada.id)).refused(t, http.StatusUnauthorized)
		}
		ada.at(base).get(t, "/forum/v1/me", header(identity.Header, ada.rightful(t))).wants(t, http.StatusOK)
	}
	for _, path := range []string{"/forum", "/forum/", "/forum/readyz", "/forum/metrics", "/forum/internal/me", "/forum/v1/../readyz", "/forum/v1/nothing"} {
		ada.get(t, path).refused(t, http.StatusNotFound, http.StatusBadRequest)
	}
	addresses, err := net.InterfaceAddrs()
	require.NoError(t, err)
	for _, a := range addresses {
		outside, ok := a.(*net.IPNet)
		if !ok || outside.IP.IsLoopback() || outside.IP.To4() == nil {
			continue
		}
		for _, base := range append(instances, p.InternalURL()) {
			_, port, _ := strings.Cut(strings.TrimPrefix(base, "http://"), ":")
			_, err := new(net.Dialer).DialContext(t.Context(), "tcp", net.JoinHostPort(outside.IP.String(), port))
			require.Error(t, err, "the address of this machine in its network")
		}
	}
}
