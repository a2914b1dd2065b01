package auth

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/openapi/problem"
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
			for i := range guessesPerAccount.tries {
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

	t.Run("limits one sender over many accounts", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		_, err := b.db.Exec(t.Context(), `SELECT 1`)
		require.NoError(t, err)
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
