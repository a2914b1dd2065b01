package auth

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/db/dbtest"
	"github.com/healthe/healthe/kit/config"
	"github.com/healthe/healthe/kit/identity"
	"github.com/healthe/healthe/openapi/problem"
	"github.com/healthe/healthe/services/auth/internal/gate"
	"github.com/healthe/healthe/services/auth/internal/orytest"
)

func TestForwardAuth(t *testing.T) {
	t.Parallel()

	b := newBench(t)
	u := b.newUser(t)

	t.Run("says who it is, signed and for a minute at most", func(t *testing.T) { // AUTH-6, X-1
		t.Parallel()

		resp := b.forwardAuth(t, bearer(u.token))
		require.Equal(t, http.StatusOK, resp.StatusCode)
		verifier := identity.NewVerifier(b.url+"/auth/v1/jwks.json", http.DefaultClient)
		who, err := verifier.Verify(t.Context(), resp.Header.Get(identity.Header), time.Now())
		require.NoError(t, err)
		require.Equal(t, u.id.String(), who.Subject)
		require.Equal(t, u.session, who.SessionID)
		require.Equal(t, []string{"patient"}, who.Roles)
		require.LessOrEqual(t, time.Until(who.Expires), identity.MaxLifetime)
	})

	t.Run("cuts a machine's scopes to what the contract gives machines", func(t *testing.T) {
		t.Parallel()

		resp := b.forwardAuth(t, bearer(machineToken(t, "mail:send", "mail:read", "account:read", "roles:review", "appointments:write", "contacts:read")))
		require.Equal(t, http.StatusOK, resp.StatusCode)
		verifier := identity.NewVerifier(b.url+"/auth/v1/jwks.json", http.DefaultClient)
		who, err := verifier.Verify(t.Context(), resp.Header.Get(identity.Header), time.Now())
		require.NoError(t, err)
		require.ElementsMatch(t, []string{"mail:send", "contacts:read"}, who.Scopes)
		require.Equal(t, []string{gate.Machine}, who.Roles)
	})

	t.Run("says nothing of who says nothing", func(t *testing.T) {
		t.Parallel()

		forged := http.Header{identity.Header: {"forged"}, "Cookie": {"theme=dark"}}
		resp := b.forwardAuth(t, forged)
		require.Equal(t, http.StatusOK, resp.StatusCode)
		require.Empty(t, resp.Header.Get(identity.Header))
	})

	t.Run("refuses what it does not know", func(t *testing.T) {
		t.Parallel()

		for _, value := range []string{
			"Bearer ory_st_unknown", "Bearer ory_at_unknown", "Bearer ", "Bearer", "Basic YTpi", u.token, "Bearer x" + u.token,
			"Bearer " + u.token + "x", "Bearer eyJhbGciOiJub25lIn0.e30.", "Bearer ory_st_" + strings.Repeat("x", 4000),
		} {
			resp := b.forwardAuth(t, http.Header{"Authorization": {value}})
			require.Equal(t, http.StatusUnauthorized, resp.StatusCode, value)
			require.Equal(t, "application/problem+json", resp.Header.Get("Content-Type"))
			require.NotEmpty(t, resp.Header.Get("WWW-Authenticate"))
			require.Empty(t, resp.Header.Get(identity.Header))
		}
		double := b.forwardAuth(t, http.Header{"Authorization": {"Bearer " + u.token, "Bearer ory_st_other"}})
		require.Equal(t, http.StatusUnauthorized, double.StatusCode)
	})

	t.Run("takes the cookie for changes only from our own pages", func(t *testing.T) {
		t.Parallel()

		for name, c := range map[string]struct {
			method, origin, referer string
			want                    int
		}{
			"reading":                        {"GET", "", "", http.StatusOK},
			"reading from elsewhere":         {"GET", "https://evil.example", "", http.StatusOK},
			"changing from here":             {"POST", b.cfg.PublicURL, "", http.StatusOK},
			"changing from here, by referer": {"DELETE", "", b.cfg.PublicURL + "/settings", http.StatusOK},
			"changing over the TLS door":     {"POST", "https://localhost:8443", "", http.StatusOK},
			"changing from elsewhere":        {"POST", "https://evil.example", "", http.StatusForbidden},
			"changing from a neighbour":      {"POST", b.cfg.PublicURL + ".evil.example", "", http.StatusForbidden},
			"changing from nowhere":          {"PUT", "", "", http.StatusForbidden},
			"changing from a sandbox":        {"PATCH", "null", "", http.StatusForbidden},
			"an unknown method":              {"BREW", "", "", http.StatusForbidden},
		} {
			h := http.Header{"Cookie": {gate.Cookie + "=" + u.token}, "X-Forwarded-Method": {c.method}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"localhost:8443"}}
			if c.origin != "" {
				h.Set("Origin", c.origin)
			}
			if c.referer != "" {
				h.Set("Referer", c.referer)
			}
			require.Equal(t, c.want, b.forwardAuth(t, h).StatusCode, name)
		}
	})
}

// newCuttable is an instance whose Kratos and Hydra can be cut off.
func newCuttable(t *testing.T) (b *bench, kratos, hydra *orytest.Gateway) {
	t.Helper()
	cfg := testConfig()
	kratos, hydra = orytest.NewGateway(t, cfg.KratosPublicURL), orytest.NewGateway(t, cfg.HydraAdminURL)
	cfg.KratosPublicURL, cfg.HydraAdminURL = kratos.URL, hydra.URL
	return newInstance(t, dbtest.New(t, "auth"), cfg), kratos, hydra
}

// warm makes b remember token, which it does once it hears of revocations.
func (b *bench) warm(t *testing.T, token string, asked *orytest.Gateway) {
	t.Helper()
	eventually(t, func() bool {
		before := asked.Calls.Load()
		require.Equal(t, http.StatusOK, b.forwardAuth(t, bearer(token)).StatusCode)
		return asked.Calls.Load() == before
	})
}

func TestForwardAuthAsksOnce(t *testing.T) {
	t.Parallel()

	b, kratos, _ := newCuttable(t)
	u := b.newUser(t)
	b.warm(t, u.token, kratos)
	b.session(t, u) // has nothing to do with it
	other := b.session(t, u)
	before := kratos.Calls.Load()
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if resp := b.forwardAuth(t, bearer(other.token)); resp.StatusCode != http.StatusOK {
				t.Error(resp.Status)
			}
		})
	}
	wg.Wait()
	require.LessOrEqual(t, kratos.Calls.Load()-before, int64(2))
}

func TestForwardAuthWithoutKratosAndHydra(t *testing.T) {
	t.Parallel()

	b, kratos, hydra := newCuttable(t)
	u := b.newUser(t)
	machine, never := machineToken(t, "mail:send"), machineToken(t, "mail:send")
	unseen := b.session(t, u)
	b.warm(t, u.token, kratos)
	b.warm(t, machine, hydra)
	kratos.Cut(true)
	hydra.Cut(true)

	require.Equal(t, http.StatusOK, b.forwardAuth(t, bearer(u.token)).StatusCode, "who is known goes on")
	require.Equal(t, http.StatusOK, b.forwardAuth(t, bearer(machine)).StatusCode)
	for _, token := range []string{unseen.token, never, "ory_st_unknown", "ory_at_unknown"} {
		resp := b.forwardAuth(t, bearer(token))
		require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode, "never open")
		require.Empty(t, resp.Header.Get(identity.Header))
		require.NotEmpty(t, resp.Header.Get("Retry-After"))
	}
	login := b.logIn(t, u.username, goodPassword)
	isProblem(t, problem.Unavailable("Sign-in"), login.Body, login.StatusCode())
	kratos.Cut(false)
	hydra.Cut(false)
	require.Equal(t, http.StatusOK, b.forwardAuth(t, bearer(unseen.token)).StatusCode, "and recovers")
}

func TestTenInstancesStartAtOnce(t *testing.T) { // AUTH-11
	t.Parallel()

	url := dbtest.URL(t, "auth")
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			cfg := testConfig()
			cfg.DatabaseURL = url + "&pool_max_conns=3"
			if !strings.Contains(url.Reveal(), "?") {
				cfg.DatabaseURL = url + "?pool_max_conns=3"
			}
			svc, err := New(t.Context(), cfg)
			if err != nil {
				t.Error(err)
				return
			}
			svc.Close()
		})
	}
	wg.Wait()
	b := newInstance(t, openURL(t, url), testConfig())
	keys, err := b.GetJWKSWithResponse(t.Context())
	require.NoError(t, err)
	require.Len(t, keys.JSON200.Keys, 1, "one key, whoever made it")
}

func TestNewRefusesAShortSecret(t *testing.T) {
	t.Parallel()

	cfg := testConfig()
	cfg.KeyEncryptionSecret = config.Secret("short")
	_, err := build(t.Context(), cfg, dbtest.New(t, "auth"), nil)
	require.ErrorContains(t, err, "KEY_ENCRYPTION_SECRET")
	require.NotContains(t, err.Error(), "short")
}
