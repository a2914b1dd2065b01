package auth

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/healthe/healthe/db/dbtest"
	"github.com/healthe/healthe/kit/identity"
	"github.com/healthe/healthe/kittest/identitytest"
	api "github.com/healthe/healthe/openapi/auth"
	"github.com/healthe/healthe/openapi/problem"
	"github.com/healthe/healthe/services/auth/internal/keys"
	"github.com/healthe/healthe/services/auth/internal/kratos"
	"github.com/healthe/healthe/services/auth/internal/orytest"
	"github.com/healthe/healthe/services/auth/internal/seal"
	"github.com/healthe/healthe/services/auth/internal/store"
)

// exchanges is auth as the catalog sees it.
type exchanges struct {
	*bench
	t    *testing.T
	ring *keys.Ring
	as   api.RequestEditorFn
}

func newExchanges(t *testing.T) *exchanges {
	t.Helper()
	b := newBench(t)
	box, err := seal.New(b.cfg.KeyEncryptionSecret)
	require.NoError(t, err)
	ring, err := keys.Open(t.Context(), store.New(b.db), box)
	require.NoError(t, err)
	return &exchanges{b, t, ring, b.asService(t, "identities:exchange")}
}

// newPerson makes an account past the API, with roles.
func (e *exchanges) newPerson(roles ...string) uuid.UUID {
	e.t.Helper()
	username, email := someone()
	hash, err := bcrypt.GenerateFromPassword([]byte(goodPassword), bcrypt.MinCost)
	require.NoError(e.t, err)
	made, err := e.kratos.CreateIdentity(e.t.Context(), kratos.NewIdentity{
		Traits: kratos.Traits{Username: username, Email: email, Name: "Ada Lovelace"}, PasswordHash: string(hash), Roles: roles,
		Origin: kratos.Origin{Challenge: uuid.New()},
	})
	require.NoError(e.t, err)
	return made.ID
}

// signed is an identity that auth made some time ago.
func (e *exchanges) signed(who identity.Identity, ago time.Duration) string {
	e.t.Helper()
	then := time.Now().Add(-ago)
	who.Expires = then.Add(identity.MaxLifetime)
	token, err := e.ring.Sign(who, then)
	require.NoError(e.t, err)
	return token
}

func (e *exchanges) exchange(token string, as api.RequestEditorFn) (*api.ExchangeIdentityResponse, uuid.UUID) {
	e.t.Helper()
	id := uuid.New()
	resp, err := e.ExchangeIdentityWithResponse(e.t.Context(), api.NewIdentityExchange{
		GrantType: api.UrnIetfParamsOauthGrantTypeTokenExchange, SubjectTokenType: api.UrnIetfParamsOauthTokenTypeJwt,
		SubjectToken: token, OperationID: id, Operation: "bookAppointment",
	}, as)
	require.NoError(e.t, err)
	return resp, id
}

// record returns the audit of one exchange.
func (e *exchanges) record(operation uuid.UUID) (actor, outcome string, user *uuid.UUID, client *string) {
	e.t.Helper()
	require.NoError(e.t, e.db.QueryRow(e.t.Context(),
		"SELECT actor, outcome::text, user_id, client_id FROM identity_exchanges WHERE operation_id = $1", operation).Scan(&actor, &outcome, &user, &client))
	return actor, outcome, user, client
}

// recalled returns what a new identity says.
func (e *exchanges) recalled(resp *api.ExchangeIdentityResponse) identity.Identity {
	e.t.Helper()
	require.Equal(e.t, http.StatusOK, resp.StatusCode(), string(resp.Body))
	require.Equal(e.t, "no-store", resp.HTTPResponse.Header.Get("Cache-Control"))
	verifier := identity.NewVerifier(e.url+"/auth/v1/jwks.json", http.DefaultClient)
	who, err := verifier.Verify(e.t.Context(), resp.JSON200.AccessToken, time.Now())
	require.NoError(e.t, err, "every service takes it")
	require.NotEmpty(e.t, who.Actor)
	require.Empty(e.t, who.SessionID, "it stands for the person, not for a session that may be over")
	return who
}

func TestExchangeIdentity(t *testing.T) {
	t.Parallel()

	e := newExchanges(t)

	t.Run("acts for a user who asked hours ago, with what both then and now is allowed", func(t *testing.T) {
		t.Parallel()

		user := e.newPerson("patient")
		token := e.signed(identity.Identity{
			Subject: user.String(), Scopes: []string{"appointments:write", "schedule:write", "nonsense"}, Roles: []string{"patient", "doctor"},
		}, keys.Memory-time.Minute)
		resp, id := e.exchange(token, e.as)
		who := e.recalled(resp)
		require.Equal(t, user.String(), who.Subject)
		require.Equal(t, []string{"appointments:write"}, who.Scopes, "the role of a doctor was revoked meanwhile")
		require.Equal(t, []string{"patient"}, who.Roles)
		require.WithinDuration(t, time.Now().Add(identity.MaxLifetime), who.Expires, 5*time.Second)
		actor, outcome, about, client := e.record(id)
		require.Equal(t, who.Actor, actor)
		require.Equal(t, "granted", outcome)
		require.Equal(t, user, *about)
		require.Nil(t, client)
	})

	t.Run("a role that was granted meanwhile adds nothing", func(t *testing.T) {
		t.Parallel()

		user := e.newPerson("patient", "doctor")
		resp, _ := e.exchange(e.signed(identity.Identity{Subject: user.String(), Scopes: []string{"account:read"}, Roles: []string{"patient"}}, time.Hour), e.as)
		who := e.recalled(resp)
		require.Equal(t, []string{"account:read"}, who.Scopes)
		require.Equal(t, []string{"patient"}, who.Roles)
	})

	stranger := identitytest.New(t)
	genuine := identity.Identity{Subject: e.newPerson("patient").String(), Scopes: []string{"account:read"}, Roles: []string{"patient"}}
	forged := genuine
	forged.Expires = time.Now().Add(time.Minute)
	parts := strings.Split(e.signed(genuine, 0), ".")
	machine := genuine
	machine.Subject = "appointment"
	closed := e.newPerson("patient")
	require.NoError(t, e.kratos.DeleteIdentity(t.Context(), closed))
	gone := genuine
	gone.Subject = closed.String()
	disabled := genuine
	off := e.newPerson("patient")
	disabled.Subject = off.String()
	disable(t, user{id: off})
	app := genuine
	app.ClientID = "an-app-that-nobody-allowed"
	for name, tt := range map[string]struct{ token, outcome string }{
		"another's signature":     {stranger.Token(t, forged), "forged"},
		"no signature":            {parts[0] + "." + parts[1] + ".", "forged"},
		"other claims":            {parts[0] + ".e30." + parts[2], "forged"},
		"garbage":                 {"garbage", "forged"},
		"one from the future":     {e.signed(genuine, -time.Hour), "forged"},
		"a machine's":             {e.signed(machine, 0), "forged"},
		"one from the day before": {e.signed(genuine, keys.Memory+time.Minute), "too_old"},
		"a closed account's":      {e.signed(gone, time.Hour), "inactive"},
		"a disabled account's":    {e.signed(disabled, time.Hour), "inactive"},
		"one without consent":     {e.signed(app, time.Hour), "consent_withdrawn"},
	} {
		t.Run("refuses "+name, func(t *testing.T) {
			t.Parallel()

			resp, id := e.exchange(tt.token, e.as)
			isProblem(t, errExchange, resp.Body, resp.StatusCode())
			_, outcome, about, _ := e.record(id)
			require.Equal(t, tt.outcome, outcome)
			require.Equal(t, tt.outcome == "forged", about == nil, "whom a forged one names is not put on record as theirs")
		})
	}

	t.Run("refuses one that was exchanged", func(t *testing.T) {
		t.Parallel()

		resp, _ := e.exchange(e.signed(genuine, time.Hour), e.as)
		e.recalled(resp)
		resp, id := e.exchange(resp.JSON200.AccessToken, e.as)
		isProblem(t, errExchange, resp.Body, resp.StatusCode())
		_, outcome, _, _ := e.record(id)
		require.Equal(t, "forged", outcome)
	})

	t.Run("is not for everyone", func(t *testing.T) {
		t.Parallel()

		token := e.signed(genuine, 0)
		resp, _ := e.exchange(token, e.asService(t, "mail:send"))
		isProblem(t, problem.Forbidden(""), resp.Body, resp.StatusCode())
		resp, _ = e.exchange(token, func(_ context.Context, r *http.Request) error { r.Header.Set(identity.Header, token); return nil })
		isProblem(t, problem.Forbidden(""), resp.Body, resp.StatusCode())
	})

	t.Run("keeps its record", func(t *testing.T) {
		t.Parallel()

		for _, sql := range []string{"UPDATE identity_exchanges SET outcome = 'granted'", "DELETE FROM identity_exchanges", "TRUNCATE identity_exchanges"} {
			_, err := e.db.Exec(t.Context(), sql)
			require.ErrorContains(t, err, "append-only")
		}
	})
}

func TestExchangeIdentityOfAnApplication(t *testing.T) {
	t.Parallel()

	e := newExchanges(t)
	u := e.newUser(t)
	app := newApp(t, "openid", "account:read", "appointments:write")
	token := authorize(t, e.bench, app, u, "account:read")
	signed := e.forwardAuth(t, bearer(token.AccessToken)).Header.Get(identity.Header)
	resp, id := e.exchange(signed, e.as)
	who := e.recalled(resp)
	require.Equal(t, u.id.String(), who.Subject)
	require.Equal(t, app.ClientID, who.ClientID)
	require.Equal(t, []string{"account:read"}, who.Scopes)
	_, _, _, client := e.record(id)
	require.Equal(t, app.ClientID, *client)

	more := e.signed(identity.Identity{Subject: u.id.String(), ClientID: app.ClientID, Scopes: []string{"account:read", "appointments:write"}}, time.Hour)
	resp, _ = e.exchange(more, e.as)
	require.Equal(t, []string{"account:read"}, e.recalled(resp).Scopes, "what it is allowed now")

	withdrawn, err := e.WithdrawConsentWithResponse(t.Context(), app.ClientID, e.bench.as(t, u))
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, withdrawn.StatusCode())
	resp, id = e.exchange(signed, e.as)
	isProblem(t, errExchange, resp.Body, resp.StatusCode())
	_, outcome, _, _ := e.record(id)
	require.Equal(t, "consent_withdrawn", outcome)
}

func TestExchangeIdentityWithoutKratos(t *testing.T) {
	t.Parallel()

	cfg := testConfig()
	gateway := orytest.NewGateway(t, cfg.KratosAdminURL)
	cfg.KratosAdminURL = gateway.URL
	b := newInstance(t, dbtest.New(t, "auth"), cfg)
	u := b.newUser(t)
	signed := b.forwardAuth(t, bearer(u.token)).Header.Get(identity.Header)
	machine := b.forwardAuth(t, bearer(machineToken(t, "identities:exchange"))).Header.Get(identity.Header)
	e := &exchanges{bench: b, t: t}
	as := func(_ context.Context, r *http.Request) error { r.Header.Set(identity.Header, machine); return nil }
	gateway.Cut(true)
	resp, _ := e.exchange(signed, as)
	isProblem(t, problem.Unavailable("Sign-in"), resp.Body, resp.StatusCode())
	gateway.Cut(false)
	resp, _ = e.exchange(signed, as)
	require.Equal(t, u.id.String(), e.recalled(resp).Subject)
}
