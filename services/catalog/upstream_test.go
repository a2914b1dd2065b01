package catalog

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/openapi/problem"
)

const mail = `{"subject": "a", "text": "b", "recipients": [{"address": "ada@example.org"}]}`

// sendMail is a POST, with a key or without.
func (b *bench) sendMail(key string) answer {
	b.t.Helper()
	header := http.Header{}
	if key != "" {
		header.Set("Idempotency-Key", key)
	}
	return b.do(request{method: http.MethodPost, path: "/mailing/v1/messages", body: mail, scopes: []string{"mail:send"}, header: header})
}

// failing does bad the first n times and good afterwards, and counts.
func failing(n int32, bad, good http.HandlerFunc) (http.HandlerFunc, *atomic.Int32) {
	var calls atomic.Int32
	return func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1) <= n {
			bad(w, r)
			return
		}
		good(w, r)
	}, &calls
}

func TestRetries(t *testing.T) {
	t.Parallel()

	for name, bad := range map[string]http.HandlerFunc{
		"a reset": resets, "a 502": says(http.StatusBadGateway, ""), "a 503": says(http.StatusServiceUnavailable, ""), "a 504": says(http.StatusGatewayTimeout, ""),
	} {
		t.Run("a GET goes on after "+name, func(t *testing.T) {
			t.Parallel()

			b := newBench(t)
			h, calls := failing(2, bad, says(http.StatusOK, `{}`))
			b.core.does("appointment", h)
			require.Equal(t, http.StatusOK, b.get(clinics).StatusCode)
			require.EqualValues(t, 3, calls.Load())
		})
	}

	t.Run("a POST is sent again only with a key", func(t *testing.T) { // CAT-7
		t.Parallel()

		b := newBench(t)
		h, calls := failing(1, says(http.StatusServiceUnavailable, ""), says(http.StatusAccepted, `{}`))
		b.core.does("mailing", h)
		require.Equal(t, http.StatusServiceUnavailable, b.sendMail("").StatusCode)
		require.EqualValues(t, 1, calls.Load())

		h, calls = failing(1, says(http.StatusServiceUnavailable, ""), says(http.StatusAccepted, `{}`))
		b.core.does("mailing", h)
		require.Equal(t, http.StatusAccepted, b.sendMail("k").StatusCode)
		require.EqualValues(t, 2, calls.Load())
		seen := b.core.requests()
		require.Equal(t, seen[1].ContentLength, seen[2].ContentLength, "with the same body")
		require.EqualValues(t, len(mail), seen[2].ContentLength)
	})

	t.Run("a key that the operation does not heed changes nothing", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		h, calls := failing(1000, says(http.StatusServiceUnavailable, ""), nil)
		b.core.does("auth", h)
		b.do(request{
			method: http.MethodPost, path: "/auth/v1/login", body: `{"identifier": "ada", "password": "seven-Otters-dance-42"}`,
			header: http.Header{"Idempotency-Key": {"k"}},
		})
		require.EqualValues(t, 1, calls.Load())
	})

	for name, refusal := range map[string]http.HandlerFunc{"400": says(400, `{}`), "404": says(404, `{}`), "409": says(409, `{}`), "429": says(429, `{}`), "500": says(500, `{}`)} {
		t.Run("an answer is an answer: "+name, func(t *testing.T) {
			t.Parallel()

			b := newBench(t)
			h, calls := failing(1000, refusal, nil)
			b.core.does("appointment", h)
			b.get(clinics)
			require.EqualValues(t, 1, calls.Load())
		})
	}
}

func TestOutages(t *testing.T) {
	t.Parallel()

	tests := map[string]struct {
		core   http.HandlerFunc
		status int
	}{
		"no instance":        {nil, http.StatusServiceUnavailable},
		"a reset":            {resets, http.StatusServiceUnavailable},
		"a bad gateway":      {says(http.StatusBadGateway, "<html>"), http.StatusServiceUnavailable},
		"nothing ever comes": {hangs, http.StatusGatewayTimeout},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { // CAT-1
			t.Parallel()

			b := newBench(t)
			if tt.core != nil {
				b.core.does("appointment", tt.core)
			}
			got := b.get(clinics)
			require.Equal(t, tt.status, got.StatusCode)
			require.Equal(t, tt.status, got.problem(t).Status)
			require.NotEmpty(t, got.Header.Get("Retry-After"))
			require.NotContains(t, got.text, "127.0.0.1", "nothing of our insides")
		})
	}

	t.Run("nobody listens", func(t *testing.T) {
		t.Parallel()

		gone := httptest.NewServer(http.NotFoundHandler())
		gone.Close()
		core := &fakeCore{}
		b := &bench{t: t, core: core, url: newCatalog(t, gone.URL, core, testPolicy)}
		b.issuer = core.issuer
		require.Equal(t, http.StatusServiceUnavailable, b.get(clinics).StatusCode)
		require.Equal(t, http.StatusServiceUnavailable, b.sendMail("").StatusCode)
	})

	t.Run("an answer that breaks off is not taken for a whole one", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		b.core.does("appointment", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte(`{"items": [`))
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		})
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.url+clinics, http.NoBody)
		require.NoError(t, err)
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			_ = resp.Body.Close()
		}
		require.Error(t, err)
	})
}

func TestCircuit(t *testing.T) {
	t.Parallel()

	t.Run("opens on outages, answers at once, and closes again", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		h, calls := failing(1000, says(http.StatusServiceUnavailable, ""), nil)
		b.core.does("mailing", h)
		for range testPolicy.minimumCalls {
			b.sendMail("")
		}
		reached := calls.Load()
		got := b.sendMail("")
		require.Equal(t, http.StatusServiceUnavailable, got.StatusCode)
		require.NotEmpty(t, got.Header.Get("Retry-After"))
		require.Equal(t, reached, calls.Load(), "an open circuit asks nobody")
		b.core.does("mailing", says(http.StatusAccepted, `{}`))
		require.Eventually(t, func() bool { return b.sendMail("").StatusCode == http.StatusAccepted }, 5*time.Second, 20*time.Millisecond)
	})

	t.Run("stays closed in a storm of refusals", func(t *testing.T) { // CAT-2
		t.Parallel()

		b := newBench(t)
		for _, status := range []int{400, 401, 403, 404, 409, 422, 429, 500} {
			b.core.does("appointment", says(status, `{}`))
			for range 2 * testPolicy.minimumCalls {
				require.Equal(t, status, b.get(clinics).StatusCode)
			}
		}
		b.core.does("appointment", says(http.StatusOK, `{}`))
		require.Equal(t, http.StatusOK, b.get(clinics).StatusCode)
	})

	t.Run("of one service is not that of another", func(t *testing.T) { // CAT-9
		t.Parallel()

		b := newBench(t)
		b.core.does("mailing", hangs)
		b.core.does("appointment", says(http.StatusOK, `{}`))
		var hanging sync.WaitGroup
		for range 50 {
			hanging.Go(func() { b.sendMail("") })
		}
		began := time.Now()
		for range 20 {
			require.Equal(t, http.StatusOK, b.get(clinics).StatusCode)
		}
		require.Less(t, time.Since(began), 5*time.Second, "waiting behind the hanging ones would take longer")
		hanging.Wait()
		require.GreaterOrEqual(t, b.sendMail("").StatusCode, http.StatusServiceUnavailable)
		require.Equal(t, http.StatusOK, b.get(clinics).StatusCode)
	})
}

func TestProblemSaysNothingOfTheCause(t *testing.T) {
	t.Parallel()

	u := newUpstream("auth", testPolicy)
	p := u.problem(http.ErrHandlerTimeout)
	require.ErrorIs(t, p, problem.Unavailable(""))
	require.Equal(t, "The auth service is not available at the moment.", p.Detail)
}
