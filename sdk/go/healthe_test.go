package healthe_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/openapi/appointment"
	"github.com/healthe/healthe/openapi/mailing"
	"github.com/healthe/healthe/openapi/problem"
	healthe "github.com/healthe/healthe/sdk/go"
)

// platform answers what a test tells it to, one after the other, and remembers what it was asked.
type platform struct {
	*httptest.Server
	mu      sync.Mutex
	answers []http.HandlerFunc
	asked   []*http.Request
	bodies  []string
}

func newPlatform(t *testing.T, answers ...http.HandlerFunc) *platform {
	t.Helper()
	p := &platform{answers: answers}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		p.mu.Lock()
		p.asked, p.bodies = append(p.asked, r), append(p.bodies, string(body))
		next := p.answers[0]
		if len(p.answers) > 1 {
			p.answers = p.answers[1:]
		}
		p.mu.Unlock()
		next(w, r)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *platform) client(t *testing.T, options ...healthe.Option) *healthe.Client {
	t.Helper()
	c, err := healthe.New(p.URL, append([]healthe.Option{healthe.WithRetries(3, time.Millisecond)}, options...)...)
	require.NoError(t, err)
	return c
}

func says(status int, body any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
	}
}

func refuses(p *problem.Problem) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { problem.Write(w, r, p) }
}

func resets(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

var (
	down    = says(http.StatusServiceUnavailable, nil)
	page    = says(http.StatusOK, map[string]any{"items": []any{}})
	queued  = says(http.StatusAccepted, map[string]any{"id": "01990c5e-7a10-7cc3-8a51-2f6d3b1f0a11", "status": "queued", "created_at": "2026-05-01T08:00:00Z", "recipients": []any{}})
	aLetter = mailing.NewMessage{Subject: new("a"), Text: new("b"), Recipients: []mailing.NewRecipient{{Address: new("ada@example.org")}}}
)

func send(ctx context.Context, c *healthe.Client, key *string) (*mailing.Message, error) {
	return healthe.Accepted(c.Mailing.SendMessageWithResponse(ctx, &mailing.SendMessageParams{IdempotencyKey: key}, aLetter))
}

func TestRequestsSayWhoCalls(t *testing.T) {
	t.Parallel()

	p := newPlatform(t, page)
	_, err := healthe.OK(p.client(t, healthe.WithSessionToken("s3ssion")).Appointment.ListClinicsWithResponse(t.Context(), nil))
	require.NoError(t, err)
	require.Equal(t, "Bearer s3ssion", p.asked[0].Header.Get("Authorization"))
	_, err = healthe.OK(p.client(t).Appointment.ListClinicsWithResponse(t.Context(), nil))
	require.NoError(t, err)
	require.Empty(t, p.asked[1].Header.Get("Authorization"))
}

func TestClientCredentialsFetchATokenOnce(t *testing.T) {
	t.Parallel()

	p := newPlatform(t, says(http.StatusOK, map[string]any{"access_token": "t0ken", "token_type": "bearer", "expires_in": 3600}), page)
	c := p.client(t, healthe.WithClientCredentials("app", "secret", "mail:send"))
	for range 2 {
		_, err := healthe.OK(c.Appointment.ListClinicsWithResponse(t.Context(), nil))
		require.NoError(t, err)
	}
	require.Len(t, p.asked, 3)
	require.Equal(t, "/oauth2/token", p.asked[0].URL.Path)
	require.Equal(t, "Bearer t0ken", p.asked[2].Header.Get("Authorization"))
}

func TestRetries(t *testing.T) {
	t.Parallel()

	t.Run("a GET goes on", func(t *testing.T) {
		t.Parallel()

		p := newPlatform(t, down, resets, page)
		_, err := healthe.OK(p.client(t).Appointment.ListClinicsWithResponse(t.Context(), nil))
		require.NoError(t, err)
		require.Len(t, p.asked, 3)
	})

	t.Run("a POST goes on under one key", func(t *testing.T) {
		t.Parallel()

		p := newPlatform(t, down, resets, queued)
		m, err := send(t.Context(), p.client(t), nil)
		require.NoError(t, err)
		require.Equal(t, mailing.Queued, m.Status)
		require.Len(t, p.asked, 3)
		require.NotEmpty(t, p.asked[0].Header.Get("Idempotency-Key"))
		for i := range p.asked {
			require.Equal(t, p.asked[0].Header.Get("Idempotency-Key"), p.asked[i].Header.Get("Idempotency-Key"))
			require.Equal(t, p.bodies[0], p.bodies[i])
		}
		_, err = send(t.Context(), p.client(t), nil)
		require.NoError(t, err)
		require.NotEqual(t, p.asked[0].Header.Get("Idempotency-Key"), p.asked[3].Header.Get("Idempotency-Key"), "another POST is another")
		_, err = send(t.Context(), p.client(t), new("mine"))
		require.NoError(t, err)
		require.Equal(t, "mine", p.asked[4].Header.Get("Idempotency-Key"))
	})

	t.Run("a PUT does not", func(t *testing.T) {
		t.Parallel()

		p := newPlatform(t, down)
		err := healthe.Done(p.client(t).Appointment.SetWorkingHoursWithResponse(t.Context(), nil, appointment.SetWorkingHoursJSONRequestBody{}))
		require.Error(t, err)
		require.Len(t, p.asked, 1)
	})

	t.Run("waits for the first request of a key", func(t *testing.T) {
		t.Parallel()

		p := newPlatform(t, refuses(problem.Conflict("idempotency-key-running", "Still running.").RetryAfter(time.Second)), queued)
		began := time.Now()
		_, err := send(t.Context(), p.client(t), nil)
		require.NoError(t, err)
		require.GreaterOrEqual(t, time.Since(began), time.Second, "as long as it was asked to")
	})

	t.Run("ends with the context", func(t *testing.T) {
		t.Parallel()

		p := newPlatform(t, refuses(problem.TooManyRequests(20*time.Second)))
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := send(ctx, p.client(t), nil)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestRefusalsAreErrors(t *testing.T) {
	t.Parallel()

	t.Run("that say what is wrong", func(t *testing.T) {
		t.Parallel()

		p := newPlatform(t, refuses(problem.Invalid(problem.Field{Pointer: "/subject", Detail: "Too long."})))
		_, err := send(t.Context(), p.client(t), nil)
		got, ok := errors.AsType[*problem.Problem](err)
		require.True(t, ok)
		require.Equal(t, "/subject", got.Errors[0].Pointer)
		require.ErrorIs(t, err, healthe.Invalid)
		require.NotErrorIs(t, err, healthe.NotFound)
		require.Len(t, p.asked, 1, "an answer is an answer")
	})

	t.Run("even from something that is no service of ours", func(t *testing.T) {
		t.Parallel()

		p := newPlatform(t, says(http.StatusTeapot, "hello"))
		_, err := send(t.Context(), p.client(t), nil)
		require.ErrorContains(t, err, "418")
	})

	t.Run("and so is a success without a body", func(t *testing.T) {
		t.Parallel()

		p := newPlatform(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
		_, err := send(t.Context(), p.client(t), nil)
		require.Error(t, err)
	})
}

func TestAll(t *testing.T) {
	t.Parallel()

	numbers := func(fail bool) func(*string) ([]int, *string, error) {
		return func(cursor *string) ([]int, *string, error) {
			switch {
			case cursor == nil:
				return []int{1, 2}, new("a"), nil
			case *cursor == "a" && !fail:
				return []int{3}, nil, nil
			}
			return nil, nil, io.ErrUnexpectedEOF
		}
	}
	walk := func(fail bool, limit int) (got []int, last error) {
		for n, err := range healthe.All(numbers(fail)) {
			if last = err; err == nil {
				got = append(got, n)
			}
			if len(got) == limit {
				break
			}
		}
		return got, last
	}
	got, err := walk(false, 10)
	require.NoError(t, err)
	require.Equal(t, []int{1, 2, 3}, got)
	got, err = walk(true, 10)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Equal(t, []int{1, 2}, got)
	got, err = walk(true, 1)
	require.NoError(t, err)
	require.Equal(t, []int{1}, got)
}

func TestNewRefusesWhatIsNoURL(t *testing.T) {
	t.Parallel()

	for _, bad := range []string{"", "localhost:8080", "ftp://healthe.example", "://"} {
		_, err := healthe.New(bad)
		require.Error(t, err, bad)
	}
}
