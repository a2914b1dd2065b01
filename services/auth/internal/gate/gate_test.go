package gate

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/db/dbtest"
	"github.com/healthe/healthe/kit/identity"
	"github.com/healthe/healthe/services/auth/internal/hydra"
	"github.com/healthe/healthe/services/auth/internal/kratos"
)

type plainSigner struct{}

func (plainSigner) Sign(i identity.Identity, _ time.Time) (string, error) { return i.Subject, nil }

// slowKratos knows one session until it is told to forget it, and can be made to wait between
// looking and answering: the moment in which a revocation crosses a look-up.
type slowKratos struct {
	user, session uuid.UUID
	asked         atomic.Int64
	forgotten     atomic.Bool
	looked        chan struct{} // not nil: says that it looked
	answer        chan struct{} // and waits until it may answer
}

func (k *slowKratos) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/sessions/whoami" { // it is well
		return
	}
	known := !k.forgotten.Load()
	if k.asked.Add(1) == 1 && k.looked != nil {
		close(k.looked)
		<-k.answer
	}
	if !known {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{
		"id": k.session, "active": true, "expires_at": time.Now().Add(time.Hour), "identity": map[string]any{"id": k.user, "state": "active"},
	})
}

// newGate returns a gate that hears all there is to hear, and one over pool that hears when it listens.
func newGate(t *testing.T, k *slowKratos, pool ...*pgxpool.Pool) *Gate {
	t.Helper()
	k.user, k.session = uuid.New(), uuid.New()
	srv := httptest.NewServer(k)
	t.Cleanup(srv.Close)
	if len(pool) == 1 {
		return gateOf(srv, pool[0])
	}
	g := gateOf(srv, nil)
	g.hears = func(time.Time) bool { return true }
	return g
}

func gateOf(srv *httptest.Server, pool *pgxpool.Pool) *Gate {
	return New(kratos.New(srv.URL, srv.URL, srv.Client()), hydra.New(srv.URL, srv.Client()), plainSigner{}, Roles{Everyone: {"account:read"}}, pool)
}

func TestRevocationVoidsALookUpOnItsWay(t *testing.T) { // AUTH-5
	t.Parallel()

	for name, who := range map[string]func(*slowKratos) string{
		"of the session": func(k *slowKratos) string { return k.session.String() },
		"of the user":    func(k *slowKratos) string { return k.user.String() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			k := &slowKratos{looked: make(chan struct{}), answer: make(chan struct{})}
			g := newGate(t, k)
			result := make(chan error)
			go func() {
				_, err := g.Open(t.Context(), "ory_st_x")
				result <- err
			}()
			<-k.looked
			k.forgotten.Store(true)
			g.Revoke(who(k))
			close(k.answer) // with what it saw before
			require.ErrorIs(t, <-result, ErrRefused)
			require.EqualValues(t, 3, k.asked.Load(), "and once more, as a no is asked twice")
		})
	}
}

func TestRevocationOfOthersVoidsNothing(t *testing.T) {
	t.Parallel()

	k := &slowKratos{}
	g := newGate(t, k)
	for range 3 {
		_, err := g.Open(t.Context(), "ory_st_x")
		require.NoError(t, err)
		g.Revoke(uuid.NewString())
	}
	require.EqualValues(t, 1, k.asked.Load())
}

func TestKnownGoesOnToItsBound(t *testing.T) {
	t.Parallel()

	k := &slowKratos{}
	g := newGate(t, k)
	p, err := g.Open(t.Context(), "ory_st_x")
	require.NoError(t, err)
	g.kratos = kratos.New("http://127.0.0.1:1", "http://127.0.0.1:1", http.DefaultClient) // away
	p.fresh.Store(0)
	_, err = g.Open(t.Context(), "ory_st_x")
	require.NoError(t, err, "not fresh, but within the bound")
	p.fresh.Store(0)
	p.made = time.Now().Add(-Bound)
	_, err = g.Open(t.Context(), "ory_st_x")
	require.ErrorIs(t, err, ErrAway)
}

func TestNothingIsCachedWhileRevocationsAreNotHeard(t *testing.T) {
	t.Parallel()

	db := dbtest.New(t, "auth")
	k := &slowKratos{}
	g := newGate(t, k, db.Pool())
	open := func() int64 {
		before := k.asked.Load()
		_, err := g.Open(t.Context(), "ory_st_x")
		require.NoError(t, err)
		return k.asked.Load() - before
	}
	open()
	require.EqualValues(t, 1, open(), "asks each time")

	go func() { _ = g.Listen(t.Context()) }()
	cached := func() bool { return open() == 0 }
	require.Eventually(t, cached, 10*time.Second, 10*time.Millisecond)

	k.forgotten.Store(true)
	require.NoError(t, newGate(t, &slowKratos{}, db.Pool()).Announce(t.Context(), k.session.String())) // at another instance
	_, err := g.Open(t.Context(), "ory_st_x")
	require.ErrorIs(t, err, ErrRefused, "at once")

	k.forgotten.Store(false)
	require.Eventually(t, cached, 10*time.Second, 10*time.Millisecond)
	k.forgotten.Store(true) // and its notice is lost with the connection
	_, err = db.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'auth_revoked'`)
	require.NoError(t, err)
	require.Eventually(t, func() bool { _, err := g.Open(t.Context(), "ory_st_x"); return err != nil }, time.Second, time.Millisecond)
}

func TestARevocationDoesNotWaitForASilentInstanceForEver(t *testing.T) {
	t.Parallel()

	db := dbtest.New(t, "auth")
	silent, err := db.Pool().Acquire(t.Context())
	require.NoError(t, err)
	defer silent.Release()
	_, err = silent.Exec(t.Context(), "SET application_name = 'auth_revoked'")
	require.NoError(t, err)
	require.NoError(t, newGate(t, &slowKratos{}, db.Pool()).Announce(t.Context(), uuid.NewString()))
}

func TestRoles(t *testing.T) {
	t.Parallel()

	roles, err := LoadRoles()
	require.NoError(t, err)
	doctor := kratos.Identity{Metadata: &kratos.Metadata{Roles: []string{"doctor", "doctor", "emperor", Machine}}}
	require.Equal(t, []string{"patient", "doctor"}, roles.Of(doctor), "everyone is a patient, and unknown roles are none, nor a machine's")
	require.Equal(t, []string{"patient"}, roles.Of(kratos.Identity{}))
	require.NotContains(t, roles.Scopes([]string{"patient", "doctor"}), "roles:review")
	require.Equal(t, []string{"account:read"}, roles.Cut([]string{"openid", "account:read", "schedule:write", "contacts:read"}, []string{"patient"}))
	require.Equal(t, []string{"contacts:read", "identities:exchange", "mail:send"}, roles.Scopes([]string{Machine}))
}

func BenchmarkOpen(b *testing.B) {
	k := &slowKratos{user: uuid.New(), session: uuid.New()}
	srv := httptest.NewServer(k)
	defer srv.Close()
	g := gateOf(srv, nil)
	g.hears = func(time.Time) bool { return true }
	b.ReportAllocs()
	for b.Loop() {
		if _, err := g.Open(b.Context(), "ory_st_x"); err != nil {
			b.Fatal(err)
		}
	}
}
