package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	api "github.com/healthe/healthe/openapi/catalog"
)

// dialled is an upstream on a real network.
func dialled(t testing.TB, h http.HandlerFunc) (*Upstream, string) {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return newToys(t, Defaults), srv.URL
}

func TestTimeLimits(t *testing.T) {
	t.Parallel()

	t.Run("are the contract's", func(t *testing.T) {
		t.Parallel()

		for what, limit := range map[string]time.Duration{getOne: 2 * time.Second, remove: 5 * time.Second} {
			synctest.Test(t, func(t *testing.T) {
				u, core := newService(t, after(limit-time.Millisecond, says(200)))
				status, err := ask(t.Context(), t, u, what)
				require.NoError(t, err)
				require.Equal(t, 200, status)
				core.does(after(limit+time.Millisecond, says(200)))
				_, err = ask(t.Context(), t, u, what)
				require.ErrorIs(t, err, ErrTimeout)
			})
		}
	})
	t.Run("close the answer that comes after them", func(t *testing.T) {
		t.Parallel()

		synctest.Test(t, func(t *testing.T) {
			var closed atomic.Int64
			u, _ := newService(t, func(*http.Request) (*http.Response, error) {
				<-time.After(2 * time.Second) // to the moment, and hears nobody
				return &http.Response{StatusCode: 200, Header: http.Header{}, Body: closing{strings.NewReader("{}"), &closed}}, nil
			})
			_, err := ask(t.Context(), t, u, getOne)
			if err != nil {
				require.ErrorIs(t, err, ErrTimeout)
			}
			require.EqualValues(t, 1, closed.Load())
			require.Zero(t, u.Report().Running)
		})
	})
	t.Run("are no longer than the caller's", func(t *testing.T) {
		t.Parallel()

		synctest.Test(t, func(t *testing.T) {
			left := time.Duration(0)
			u, core := newService(t, func(r *http.Request) (*http.Response, error) {
				end, _ := r.Context().Deadline()
				left = time.Until(end)
				return hangs(r)
			})
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			began := time.Now()
			_, err := ask(ctx, t, u, getOne)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Equal(t, time.Second, time.Since(began))
			require.Equal(t, time.Second, left, "and the attempt knows it")
			require.EqualValues(t, 1, core.calls.Load())
		})
	})
}

// sending is an answer whose parts come with a pause before each.
func sending(mediaType string, pauses ...time.Duration) does {
	return func(r *http.Request) (*http.Response, error) {
		body, w := io.Pipe()
		go func() {
			for _, d := range pauses {
				if err := pause(r.Context(), d); err != nil {
					w.CloseWithError(err)
					return
				}
				_, _ = io.WriteString(w, "part")
			}
			_ = w.Close()
		}()
		return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {mediaType}}, Body: body}, nil
	}
}

func TestAnswersKeepComing(t *testing.T) {
	t.Parallel()

	tests := map[string]struct {
		core does
		err  error
		took time.Duration
	}{
		"a slow body may take longer than the limit of its beginning": {sending("text/csv", 4*time.Second, 4*time.Second, 4*time.Second), nil, 12 * time.Second},
		"a body that stops is given up":                               {sending("text/csv", time.Second, time.Hour), ErrTimeout, 6 * time.Second},
		"a stream may be silent":                                      {sending("text/event-stream; charset=utf-8", time.Hour, time.Hour), nil, 2 * time.Hour},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			synctest.Test(t, func(t *testing.T) {
				u, _ := newService(t, tt.core)
				began := time.Now()
				_, err := ask(t.Context(), t, u, getOne)
				require.ErrorIs(t, err, tt.err)
				require.Equal(t, tt.took, time.Since(began))
				require.Equal(t, tt.err != nil, u.Report().FailureRate > 0, "what stops counts")
			})
		})
	}

	t.Run("a reader who leaves says nothing of the service", func(t *testing.T) {
		t.Parallel()

		synctest.Test(t, func(t *testing.T) {
			u, _ := newService(t, sending("text/csv", 0, time.Hour))
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			_, err := ask(ctx, t, u, getOne)
			require.ErrorIs(t, err, context.Canceled)
			require.Zero(t, u.Report().FailureRate)
		})
	})
	t.Run("a slow answer that is retried holds nobody up", func(t *testing.T) {
		t.Parallel()

		synctest.Test(t, func(t *testing.T) {
			bad := sending("text/html", 15*time.Millisecond, 15*time.Millisecond, time.Hour)
			u, core := newService(t, func(r *http.Request) (*http.Response, error) {
				resp, err := bad(r)
				resp.StatusCode = 502
				return resp, err
			})
			time.AfterFunc(10*time.Millisecond, func() { core.does(says(200)) })
			began := time.Now()
			status, err := ask(t.Context(), t, u, getOne)
			require.NoError(t, err)
			require.Equal(t, 200, status)
			require.Less(t, time.Since(began), 100*time.Millisecond)
		})
	})
}

func TestBodiesAreNotHeld(t *testing.T) {
	t.Parallel()

	t.Run("a request passes while it comes", func(t *testing.T) {
		t.Parallel()

		arrived := make(chan struct{})
		u, url := dialled(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.ReadFull(r.Body, make([]byte, 5))
			close(arrived)
			rest, _ := io.ReadAll(r.Body)
			_, _ = w.Write(rest)
		})
		body, client := io.Pipe()
		go func() {
			_, _ = io.WriteString(client, "first")
			<-arrived
			_, _ = io.WriteString(client, "second")
			_ = client.Close()
		}()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/toys/v1/toys", body)
		require.NoError(t, err)
		r.Header.Set("Idempotency-Key", "k")
		resp, err := u.RoundTrip(r)
		require.NoError(t, err)
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, "second", string(text))
	})
	t.Run("an answer passes while it comes", func(t *testing.T) {
		t.Parallel()

		read := make(chan struct{})
		u, url := dialled(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "first")
			_ = http.NewResponseController(w).Flush()
			select {
			case <-read:
				_, _ = io.WriteString(w, "second")
			case <-r.Context().Done():
			}
		})
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/toys/v1/toys/7", nil)
		require.NoError(t, err)
		resp, err := u.RoundTrip(r)
		require.NoError(t, err)
		defer resp.Body.Close()
		_, err = io.ReadFull(resp.Body, make([]byte, 5))
		require.NoError(t, err)
		close(read)
		rest, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, "second", string(rest))
	})
	t.Run("a request at hand is sent again whole, one that streams is not", func(t *testing.T) {
		t.Parallel()

		var mu sync.Mutex
		var got []string
		u, url := dialled(t, func(w http.ResponseWriter, r *http.Request) {
			text, _ := io.ReadAll(r.Body)
			mu.Lock()
			defer mu.Unlock()
			got = append(got, fmt.Sprintf("%d %s", r.ContentLength, text))
			w.WriteHeader(http.StatusServiceUnavailable)
		})
		for _, body := range []io.Reader{strings.NewReader("at hand"), struct{ io.Reader }{strings.NewReader("streams")}} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/toys/v1/toys", body)
			require.NoError(t, err)
			r.Header.Set("Idempotency-Key", "k")
			resp, err := u.RoundTrip(r)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
		}
		require.Equal(t, []string{"7 at hand", "7 at hand", "7 at hand", "-1 streams"}, got)
	})
}

// What a client does with its body is not the service's fault.
func TestUploads(t *testing.T) {
	t.Parallel()

	reads := func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }
	broken := errors.New("unexpected EOF")
	for name, tt := range map[string]struct {
		body io.Reader
		is   func(error) bool
	}{
		"too long": {http.MaxBytesReader(nil, io.NopCloser(strings.NewReader(strings.Repeat("a", 100))), 10), func(err error) bool {
			tooLong, ok := errors.AsType[*http.MaxBytesError](err)
			return ok && tooLong.Limit == 10
		}},
		"broken off": {io.MultiReader(strings.NewReader("a"), failing{broken}), func(err error) bool { return errors.Is(err, broken) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			u, url := dialled(t, reads)
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/toys/v1/toys", tt.body)
			require.NoError(t, err)
			resp, err := u.RoundTrip(r)
			if err == nil {
				_ = resp.Body.Close()
			}
			require.True(t, tt.is(err), err)
			require.False(t, Out(nil, err))
			require.Less(t, u.Problem(err).Status, 500)
			require.Zero(t, u.Report().CallsPerS)
			require.Zero(t, u.counts.failed.Load())
		})
	}

	t.Run("slow", func(t *testing.T) {
		t.Parallel()

		synctest.Test(t, func(t *testing.T) {
			u, _ := newService(t, func(r *http.Request) (*http.Response, error) {
				go func() { _, _ = io.Copy(io.Discard, r.Body) }()
				return hangs(r)
			})
			body, client := io.Pipe()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/toys/v1/toys", body)
			_, err := u.RoundTrip(r)
			require.ErrorIs(t, err, ErrTimeout)
			require.Zero(t, u.Report().CallsPerS)
			require.NoError(t, client.Close())
		})
	})
}

type failing struct{ error }

func (f failing) Read([]byte) (int, error) { return 0, f.error }

// CAT-9: the pools of the original were one.
func TestOneHangingUpstreamDoesNotSlowAnother(t *testing.T) {
	t.Parallel()

	var waiting atomic.Int64
	full := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/slow/", func(_ http.ResponseWriter, r *http.Request) {
		if waiting.Add(1) == int64(Defaults.Start) {
			close(full)
		}
		<-r.Context().Done()
	})
	mux.HandleFunc("/toys/", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") })
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	slow, toys := New("slow", newPolicies(nil), Defaults), newToys(t, Defaults)

	ctx, cancel := context.WithCancel(t.Context())
	var hanging sync.WaitGroup
	for range 2 * Defaults.Start {
		hanging.Go(func() {
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL+"/slow/v1/a", nil)
			if err == nil {
				_, _ = slow.RoundTrip(r)
			}
		})
	}
	<-full
	for range 100 {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+"/toys/v1/toys/7", nil)
		require.NoError(t, err)
		resp, err := toys.RoundTrip(r)
		require.NoError(t, err)
		_, _ = io.Copy(io.Discard, resp.Body)
		require.NoError(t, resp.Body.Close())
	}
	report := toys.Report()
	require.Less(t, report.P95Ms, 250.0)
	require.Equal(t, api.CircuitStateClosed, report.State)
	cancel()
	hanging.Wait()
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()

	u := newToys(t, Defaults)
	gone := httptest.NewServer(nil)
	gone.Close()
	for _, what := range []string{http.MethodGet, http.MethodDelete} {
		r, err := http.NewRequestWithContext(t.Context(), what, gone.URL+"/toys/v1/toys/7", nil)
		require.NoError(t, err)
		_, err = u.RoundTrip(r)
		require.Error(t, err)
		require.True(t, Out(nil, err))
		require.Equal(t, 503, u.Problem(err).Status)
	}
}

func BenchmarkRoundTrip(b *testing.B) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"items": []}`) }))
	b.Cleanup(srv.Close)
	u := newToys(b, Defaults)
	still := Defaults
	still.Base = does(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(nil))}, nil
	})
	bare := still.Base
	for _, bb := range []struct {
		name string
		http.RoundTripper
	}{{"network bare", transport()}, {"network upstream", u}, {"none bare", bare}, {"none upstream", newToys(b, still)}} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, srv.URL+"/toys/v1/toys/7", nil)
			require.NoError(b, err)
			for b.Loop() {
				resp, err := bb.RoundTrip(r)
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
		})
	}
}
