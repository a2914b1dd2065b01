package forum

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/kit/contract"
)

// logged is all that all tests log: it is one logger for the process.
var logged journal

type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(line []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(line)
}

func (j *journal) copy() []byte {
	j.mu.Lock()
	defer j.mu.Unlock()
	return bytes.Clone(j.text.Bytes())
}

// TestNobodyIsKnown is why the forum may stand beside medical data: whoever has its database, or its logs, cannot tell who wrote what.
func TestNobodyIsKnown(t *testing.T) {
	t.Parallel()

	c := newTown(newBench(t))
	c.mix()
	c.requireEverything()

	t.Run("by a dump of the database", func(t *testing.T) {
		t.Parallel()

		_, err := c.service.db.Exec(t.Context(), "ANALYZE") // statistics quote what is in the tables
		require.NoError(t, err)
		err = pgx.BeginFunc(t.Context(), c.service.db, func(tx pgx.Tx) error {
			tables := dump(t, tx)
			for _, table := range []string{"public.authors", "public.idempotency_keys", "public.river_job", "public.moderation_acts", "pg_catalog.pg_statistic"} {
				require.NotEmpty(t, tables[table], table)
			}
			require.Contains(t, string(tables["public.posts"]), "Solved, see below.", "a dump holds what is there")
			require.Contains(t, string(tables["pg_catalog.pg_statistic"]), "Travelling with a pump")
			require.Empty(t, c.traces(tables))
			return nil
		})
		require.NoError(t, err)
	})

	t.Run("by the logs", func(t *testing.T) {
		t.Parallel()

		logs := logged.copy()
		require.Greater(t, strings.Count(string(logs), `msg=request `), 50)
		require.Contains(t, string(logs), `msg="request failed"`)
		require.Empty(t, c.traces(map[string][]byte{"log": logs}))
	})

	t.Run("as these tests would see", func(t *testing.T) {
		t.Parallel()

		c.requireFound(t)
	})
}

// requireEverything checks that the mix was one.
func (c *town) requireEverything() {
	c.t.Helper()
	doc, err := contract.Load("forum")
	require.NoError(c.t, err)
	for _, item := range doc.Paths.Map() {
		for _, op := range item.Operations() {
			require.NotZero(c.t, c.done[op.OperationID], op.OperationID)
		}
	}
	require.Greater(c.t, c.count("SELECT count(*) FROM idempotency_keys"), 20)
	require.NotZero(c.t, c.count("SELECT count(*) FROM idempotency_keys WHERE status = 409"))
	require.Equal(c.t, 1, c.count("SELECT count(*) FROM authors WHERE sealed_subject IS NOT NULL"))
	for _, jobs := range []string{"state = 'completed'", "cardinality(errors) > 0", "attempt = 0"} { // sent, could not be, and waits
		require.NotZero(c.t, c.count("SELECT count(*) FROM river_job WHERE "+jobs), jobs)
	}
}

// dump reads every table there is, of all schemas and of Postgres itself, as pg_dump would, and more.
func dump(t *testing.T, tx pgx.Tx) map[string][]byte {
	t.Helper()
	rows, err := tx.Query(t.Context(), `SELECT format('%I.%I', nspname, relname) FROM pg_class
		JOIN pg_namespace ON pg_namespace.oid = relnamespace
		WHERE relkind IN ('r', 'm', 'f') ORDER BY 1`)
	require.NoError(t, err)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Greater(t, len(names), 70)
	tables := map[string][]byte{}
	for _, name := range names {
		var text bytes.Buffer
		_, err := tx.Conn().PgConn().CopyTo(t.Context(), &text, "COPY (SELECT * FROM "+name+") TO STDOUT")
		require.NoError(t, err, name)
		tables[name] = text.Bytes()
	}
	return tables
}

// traces are what of all persons is found in tables, in whatever form.
func (c *town) traces(tables map[string][]byte) []string {
	var found []string
	for _, p := range c.persons {
		found = append(found, p.traces(tables)...)
	}
	return found
}

func (p *person) traces(tables map[string][]byte) []string {
	var found []string
	for what, value := range p.known {
		for _, form := range forms(value) {
			for name, text := range tables {
				if bytes.Contains(text, []byte(form)) {
					found = append(found, fmt.Sprintf("%s of %s in %s: %s", what, p.known["name"], name, form))
				}
			}
		}
	}
	return found
}

// forms are the ways in which a value may be written down: as it is, in other letters, a UUID without hyphens or as its 16 bytes;
// each also in hex (as a dump writes bytea) and in base64, and that in hex again.
func forms(value string) []string {
	plain := []string{value, strings.ToLower(value), strings.ToUpper(value)}
	raw := slices.Clone(plain)
	if id, err := uuid.Parse(value); err == nil {
		bare := strings.ReplaceAll(id.String(), "-", "")
		plain = append(plain, bare, strings.ToUpper(bare))
		raw = append(raw, bare, strings.ToUpper(bare), string(id[:]))
	}
	all := map[string]bool{}
	for _, p := range plain {
		all[p] = true
		all[strings.ReplaceAll(p, `\`, `\\`)] = true
	}
	for _, r := range raw {
		encoded := append(base64Of(r), hex.EncodeToString([]byte(r)), strings.ToUpper(hex.EncodeToString([]byte(r))))
		for _, e := range encoded {
			all[e] = true
			all[hex.EncodeToString([]byte(e))] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// base64Of is what stays of value in base64, wherever in a longer text it begins.
func base64Of(value string) []string {
	var all []string
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for before, first := range []int{0, 2, 3} { // bytes before it, and characters that these have a part in
			text := encoding.EncodeToString([]byte(strings.Repeat("\x00", before) + value))
			all = append(all, text[first:(before+len(value))*8/6])
		}
	}
	return all
}

// requireFound plants what must not be there, in every form in which it might, and wants it found.
func (c *town) requireFound(t *testing.T) {
	t.Helper()
	who := c.persons[1]
	subject, email := who.identity.Subject, who.known["e-mail"]
	id := uuid.MustParse(subject)
	sealed := append([]byte("12 bytes and"), id[:]...)
	for name, plant := range map[string]struct {
		what, sql string
		value     any
	}{
		"a subject in a text":                   {"subject", "UPDATE communities SET description = 'by ' || $1", subject},
		"a subject as an author":                {"subject", "INSERT INTO authors (id, name, is_doctor) VALUES ($1, 'Planted', false)", id},
		"a subject in a job, in capitals":       {"subject", "UPDATE river_job SET args = jsonb_build_object('for', $1::text)", strings.ToUpper(strings.ReplaceAll(subject, "-", ""))},
		"a subject that is not sealed":          {"subject", "UPDATE authors SET sealed_subject = $1", id[:]},
		"a subject's bytes within others":       {"subject", "UPDATE authors SET sealed_subject = $1", sealed},
		"a subject's bytes in base64":           {"subject", "UPDATE communities SET description = $1", base64.StdEncoding.EncodeToString(sealed)},
		"a subject's text in base64":            {"subject", "UPDATE communities SET description = $1", base64.URLEncoding.EncodeToString([]byte(`{"sub":"` + subject + `"}`))},
		"a subject in base64 in an answer":      {"subject", "UPDATE idempotency_keys SET body = $1", []byte(base64.StdEncoding.EncodeToString([]byte("{" + subject)))},
		"an address of mail in an answer":       {"e-mail", "UPDATE idempotency_keys SET body = $1", []byte(`{"email":"` + email + `"}`)},
		"an address of mail in a job's failure": {"e-mail", "UPDATE river_job SET errors = ARRAY[jsonb_build_object('error', $1::text)]", "refused: " + email},
		"a session as a caller":                 {"session", "UPDATE idempotency_keys SET operation = operation || key, caller = $1", who.identity.SessionID},
		"a client in a header":                  {"client", "UPDATE idempotency_keys SET header = jsonb_build_object('X', $1::text)", who.identity.ClientID},
		"an address in a table of its own":      {"address", "CREATE TEMPORARY TABLE visits AS SELECT $1::text::inet AS address", who.known["address"]},
		"a name in a comment on a table":        {"name", "INSERT INTO pg_description SELECT 'authors'::regclass, 'pg_class'::regclass, 0, $1", who.known["name"]},
	} {
		tx, err := c.service.db.Begin(t.Context())
		require.NoError(t, err)
		tag, err := tx.Exec(t.Context(), plant.sql, plant.value)
		require.NoError(t, err, name)
		require.NotZero(t, tag.RowsAffected(), name)
		sought := &person{known: map[string]string{plant.what: who.known[plant.what]}}
		require.NotEmpty(t, sought.traces(dump(t, tx)), name)
		require.NoError(t, tx.Rollback(context.WithoutCancel(t.Context())))
	}

	stranger := &person{known: map[string]string{"subject": uuid.NewString(), "name": "Nobody"}}
	slog.DebugContext(t.Context(), "planted", "subject", stranger.known["subject"])
	require.NotEmpty(t, stranger.traces(map[string][]byte{"log": logged.copy()}))
}
