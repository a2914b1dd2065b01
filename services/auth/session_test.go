package auth

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	api "github.com/healthe/healthe/openapi/auth"
	"github.com/healthe/healthe/openapi/problem"
	"github.com/healthe/healthe/services/auth/internal/kratos"
	"github.com/healthe/healthe/services/auth/internal/orytest"
)

func TestLogIn(t *testing.T) {
	t.Parallel()

	t.Run("starts a session that says when it ends", func(t *testing.T) { // AUTH-6
		t.Parallel()

		b := newBench(t)
		u := b.newUser(t)
		got := b.logIn(t, "  "+u.email+" ", goodPassword).JSON200
		require.NotNil(t, got)
		require.WithinDuration(t, time.Now().Add(24*time.Hour), got.ExpiresAt, time.Minute)
		session, err := b.kratos.Whoami(t.Context(), got.SessionToken)
		require.NoError(t, err)
		require.WithinDuration(t, got.ExpiresAt, session.ExpiresAt, time.Second, "what is said is what is")
	})

	t.Run("answers alike for a wrong password and an unknown account", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		u := b.newUser(t)
		unknown, _ := someone()
		for _, identifier := range []string{u.username, unknown} {
			began := time.Now()
			got := b.logIn(t, identifier, "not-the-Password-1")
			isProblem(t, errCredentials, got.Body, got.StatusCode())
			require.GreaterOrEqual(t, time.Since(began), evenly)
		}
	})

	t.Run("locks an account against guessing, known or not, on every instance", func(t *testing.T) { // AUTH-9
		t.Parallel()

		b := newBench(t)
		other := newInstance(t, b.db, b.cfg)
		u := b.newUser(t)
		unknown, _ := someone()
		for _, identifier := range []string{u.username, unknown} {
			for i := range guessesPerPair.tries {
				instance := b
				if i%2 == 1 {
					instance = other
				}
				got := instance.logIn(t, identifier, "not-the-Password-1")
				isProblem(t, errCredentials, got.Body, got.StatusCode())
			}
			locked := other.logIn(t, identifier, goodPassword) // the right one does not help
			require.Equal(t, http.StatusTooManyRequests, locked.StatusCode())
			require.NotEmpty(t, locked.HTTPResponse.Header.Get("Retry-After"))
		}
		require.Equal(t, http.StatusOK, b.forwardAuth(t, bearer(u.token)).StatusCode, "open sessions go on")

		_, err := b.db.Exec(t.Context(), `UPDATE attempts SET resets_at = now() - interval '1 second'`)
		require.NoError(t, err)
		require.NotNil(t, b.logIn(t, u.username, goodPassword).JSON200, "a lock ends")
	})

	t.Run("lets nobody keep an owner out from one place", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		u := b.newUser(t)
		from := func(address, password string) int {
			resp, err := b.LogInWithResponse(t.Context(), api.Credentials{Identifier: u.username, Password: password},
				func(_ context.Context, r *http.Request) error {
					r.Header.Set("X-Forwarded-For", address)
					return nil
				})
			require.NoError(t, err)
			return resp.StatusCode()
		}
		for range guessesPerPair.tries {
			require.Equal(t, http.StatusUnauthorized, from("203.0.113.9", "not-the-Password-1"))
		}
		for range guessesPerAccount.tries {
			require.Equal(t, http.StatusTooManyRequests, from("203.0.113.9", goodPassword))
		}
		require.Equal(t, http.StatusOK, from("203.0.113.10", goodPassword))

		s := &service{db: b.db, store: storeOf(b), box: boxOf(t)}
		for range guessesPerAccount.tries {
			require.NoError(t, s.take(t.Context(), guessesPerAccount, u.username))
		}
		require.Equal(t, http.StatusTooManyRequests, from("203.0.113.11", goodPassword), "from many places")
	})

	t.Run("counts no guess while Kratos is away", func(t *testing.T) {
		t.Parallel()

		b, kratos, _ := newCuttable(t)
		u := b.newUser(t)
		kratos.Cut(true)
		for range guessesPerPair.tries + 1 {
			require.Equal(t, http.StatusServiceUnavailable, b.logIn(t, u.username, goodPassword).StatusCode())
		}
		kratos.Cut(false)
		require.NotNil(t, b.logIn(t, u.username, goodPassword).JSON200)
	})

	t.Run("refuses a disabled account like a wrong password", func(t *testing.T) { // AUTH-5
		t.Parallel()

		b := newBench(t)
		u := b.newUser(t)
		disable(t, u)
		got := b.logIn(t, u.username, goodPassword)
		isProblem(t, errCredentials, got.Body, got.StatusCode())
	})

	t.Run("limits one sender over many accounts", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		s := &service{db: b.db, store: storeOf(b), box: boxOf(t)}
		for range guessesPerSender.tries {
			require.NoError(t, s.take(t.Context(), guessesPerSender, "127.0.0.1"))
		}
		got := b.logIn(t, "anyone", "not-the-Password-1")
		require.Equal(t, http.StatusTooManyRequests, got.StatusCode())
	})
}

func TestRefreshSession(t *testing.T) { // AUTH-3, AUTH-4, AUTH-6
	t.Parallel()

	b := newBench(t)
	u := b.newUser(t)
	before, err := b.kratos.Whoami(t.Context(), u.token)
	require.NoError(t, err)
	resp, err := b.RefreshSessionWithResponse(t.Context(), b.as(t, u))
	require.NoError(t, err)
	require.NotNil(t, resp.JSON200, string(resp.Body))
	require.Equal(t, u.session, resp.JSON200.ID.String(), "it is bound to the session that asks")
	require.True(t, resp.JSON200.ExpiresAt.After(before.ExpiresAt))

	nobody, err := b.RefreshSessionWithResponse(t.Context())
	require.NoError(t, err)
	require.Equal(t, http.StatusUnauthorized, nobody.StatusCode())
}

func TestLogOut(t *testing.T) { // AUTH-5
	t.Parallel()

	b := newBench(t)
	other := newInstance(t, b.db, b.cfg)
	u := b.newUser(t)
	require.Equal(t, http.StatusOK, b.forwardAuth(t, bearer(u.token)).StatusCode)
	eventually(t, func() bool { // cached there too: it answers without asking Kratos
		return other.forwardAuth(t, bearer(u.token)).StatusCode == http.StatusOK
	})
	resp, err := b.LogOutWithResponse(t.Context(), b.as(t, u))
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, resp.StatusCode(), string(resp.Body))
	require.Equal(t, http.StatusUnauthorized, b.forwardAuth(t, bearer(u.token)).StatusCode)
	require.Eventually(t, func() bool { return other.forwardAuth(t, bearer(u.token)).StatusCode == http.StatusUnauthorized },
		time.Second, time.Millisecond, "far sooner than the cache forgets")
}

func TestSessions(t *testing.T) { // AUTH-9
	t.Parallel()

	b := newBench(t)
	u := b.newUser(t)
	second, third := b.session(t, u), b.session(t, u)
	stranger := b.newUser(t)

	list, err := b.ListSessionsWithResponse(t.Context(), nil, b.as(t, u))
	require.NoError(t, err)
	require.Len(t, list.JSON200.Items, 3)
	for _, s := range list.JSON200.Items {
		require.Equal(t, s.ID.String() == u.session, s.Current)
		require.Contains(t, *s.UserAgent, "Go-http-client")
	}

	foreign, err := b.DeleteSessionWithResponse(t.Context(), uuid.MustParse(u.session), b.as(t, stranger))
	require.NoError(t, err)
	isProblem(t, problem.NotFound("Session"), foreign.Body, foreign.StatusCode())
	unknown, err := b.DeleteSessionWithResponse(t.Context(), uuid.New(), b.as(t, u))
	require.NoError(t, err)
	require.Equal(t, foreign.StatusCode(), unknown.StatusCode())

	one, err := b.DeleteSessionWithResponse(t.Context(), uuid.MustParse(second.session), b.as(t, u))
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, one.StatusCode())
	require.Equal(t, http.StatusUnauthorized, b.forwardAuth(t, bearer(second.token)).StatusCode)
	require.Equal(t, http.StatusOK, b.forwardAuth(t, bearer(third.token)).StatusCode)

	rest, err := b.DeleteOtherSessionsWithResponse(t.Context(), b.as(t, u))
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, rest.StatusCode())
	require.Equal(t, http.StatusUnauthorized, b.forwardAuth(t, bearer(third.token)).StatusCode)
	require.Equal(t, http.StatusOK, b.forwardAuth(t, bearer(u.token)).StatusCode)
}

func TestDeleteOtherSessionsEndsThemAll(t *testing.T) {
	t.Parallel()

	b := newBench(t)
	u := b.newUser(t)
	var oldest, newest string
	for range kratos.MaxSessions + 5 {
		token, _, err := b.kratos.Login(t.Context(), u.username, goodPassword, "somebody who collects them")
		require.NoError(t, err)
		if newest = token; oldest == "" {
			oldest = token
		}
	}
	resp, err := b.DeleteOtherSessionsWithResponse(t.Context(), b.as(t, u))
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, resp.StatusCode(), string(resp.Body))
	for _, token := range []string{oldest, newest} {
		require.Equal(t, http.StatusUnauthorized, b.forwardAuth(t, bearer(token)).StatusCode)
	}
	require.Equal(t, http.StatusOK, b.forwardAuth(t, bearer(u.token)).StatusCode)
}

func TestListSessionsInPages(t *testing.T) {
	t.Parallel()

	b := newBench(t)
	u := b.newUser(t)
	b.session(t, u)
	b.session(t, u)
	seen := map[uuid.UUID]bool{}
	params := listSessions(2, nil)
	for {
		resp, err := b.ListSessionsWithResponse(t.Context(), params, b.as(t, u))
		require.NoError(t, err)
		require.NotNil(t, resp.JSON200, string(resp.Body))
		for _, s := range resp.JSON200.Items {
			seen[s.ID] = true
		}
		if resp.JSON200.NextCursor == nil {
			break
		}
		require.Len(t, resp.JSON200.Items, 2)
		params = listSessions(2, resp.JSON200.NextCursor)
	}
	require.Len(t, seen, 3)
	bad, err := b.ListSessionsWithResponse(t.Context(), listSessions(2, new("nonsense")), b.as(t, u))
	require.NoError(t, err)
	require.Equal(t, http.StatusBadRequest, bad.StatusCode())
}

// disable switches an account off beside the API, as an operator does.
func disable(t *testing.T, u user) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, orytest.Get().KratosAdmin+"/admin/identities/"+u.id.String(),
		strings.NewReader(`[{"op": "replace", "path": "/state", "value": "inactive"}]`))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)
}
