package upstream

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	api "github.com/healthe/healthe/openapi/catalog"
)

// toys is a contract with one operation of each kind.
const toys = `
openapi: 3.0.3
info: { title: Toys, version: 1.0.0 }
paths:
  /toys/v1/toys:
    get:
      operationId: listToys
      security: []
      x-healthe-resilience: { bulkhead: 4, on_failure: stale, cache: { ttl: 1m, stale: 1h, invalidated_by: [createToy, deleteToy] } }
      responses: { "200": { description: ok } }
    post:
      operationId: createToy
      security: []
      parameters: [{ name: Idempotency-Key, in: header, schema: { type: string } }]
      responses: { "200": { description: ok } }
  /toys/v1/toys/new:
    get:
      operationId: getNewToy
      security: [{ healthe: [] }]
      x-healthe-resilience: { hedge: 100ms }
      responses: { "200": { description: ok } }
  /toys/v1/toys/{id}:
    get:
      operationId: getToy
      security: [{ healthe: [] }]
      responses: { "200": { description: ok } }
    delete:
      operationId: deleteToy
      security: [{ healthe: [] }]
      responses: { "200": { description: ok } }
components:
  securitySchemes: { healthe: { type: http, scheme: bearer } }
`

func policies(t testing.TB, service, contract string) (*Policies, error) {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData([]byte(contract))
	require.NoError(t, err)
	all, err := PoliciesOf(map[string]*openapi3.T{service: doc})
	return all[service], err
}

func newToys(t testing.TB, s Settings) *Upstream {
	t.Helper()
	all, err := policies(t, "toys", toys)
	require.NoError(t, err)
	return New("toys", all, s)
}

// RoundTrip sends a request for the operation that it is for.
func (u *Upstream) RoundTrip(r *http.Request) (*http.Response, error) { return u.Send(r, u.Of(r)) }

// does is the service, without a network.
type does func(*http.Request) (*http.Response, error)

func (f does) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func says(status int) does {
	return func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("{}"))}, nil
	}
}

// pause waits, or says that nobody waits any more.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// after answers when d is over, if anybody still waits then.
func after(d time.Duration, next does) does {
	return func(r *http.Request) (*http.Response, error) {
		if err := pause(r.Context(), d); err != nil {
			return nil, err
		}
		return next(r)
	}
}

var hangs = after(time.Hour, says(200))

func resets(*http.Request) (*http.Response, error) { return nil, errors.New("connection reset") }

// service is what a test changes while it is asked.
type service struct {
	now   atomic.Pointer[does]
	calls atomic.Int64
}

func (s *service) does(f does) { s.now.Store(&f) }

func (s *service) RoundTrip(r *http.Request) (*http.Response, error) {
	s.calls.Add(1)
	return (*s.now.Load())(r)
}

func newService(t testing.TB, f does) (*Upstream, *service) {
	t.Helper()
	s := &service{}
	s.does(f)
	settings := Defaults
	settings.Base = s
	return newToys(t, settings), s
}

const (
	listAll = "GET /toys/v1/toys"
	getOne  = "GET /toys/v1/toys/7"
	getNew  = "GET /toys/v1/toys/new"
	create  = "POST /toys/v1/toys"
	remove  = "DELETE /toys/v1/toys/7"
)

// ask sends a request and reads the answer. Its status is 0 if there is none.
func ask(ctx context.Context, t testing.TB, u *Upstream, what string, header ...string) (int, error) {
	t.Helper()
	method, path, _ := strings.Cut(what, " ")
	r := httptest.NewRequestWithContext(ctx, method, "http://internal"+path, http.NoBody)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := u.RoundTrip(r)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode, err
}

func TestRetries(t *testing.T) {
	t.Parallel()

	for name, bad := range map[string]does{"a reset": resets, "a 502": says(502), "a 503": says(503), "a 504": says(504)} {
		for what, want := range map[string]int64{getOne: 3, "HEAD /toys/v1/toys/7": 3, create: 1, create + " with a key": 3, remove: 1, remove + " with a key": 1} { // CAT-7
			t.Run(what+" after "+name, func(t *testing.T) {
				t.Parallel()

				synctest.Test(t, func(t *testing.T) {
					u, core := newService(t, bad)
					var header []string
					what, keyed := strings.CutSuffix(what, " with a key")
					if keyed {
						header = []string{"Idempotency-Key", "k"}
					}
					began := time.Now()
					_, _ = ask(t.Context(), t, u, what, header...)
					require.Equal(t, want, core.calls.Load())
					if want > 1 {
						require.Greater(t, time.Since(began), 75*time.Millisecond, "with a pause between, longer each time")
						require.Less(t, time.Since(began), 225*time.Millisecond)
					}
				})
			})
		}
	}

	for _, status := range []int{200, 400, 401, 403, 404, 409, 412, 422, 429, 500, 501} {
		u, core := newService(t, says(status))
		got, err := ask(t.Context(), t, u, getOne)
		require.NoError(t, err)
		require.Equal(t, status, got)
		require.EqualValues(t, 1, core.calls.Load(), "an answer is an answer")
	}

	t.Run("not after a whole time limit", func(t *testing.T) {
		t.Parallel()

		synctest.Test(t, func(t *testing.T) {
			u, core := newService(t, hangs)
			began := time.Now()
			_, err := ask(t.Context(), t, u, getOne)
			require.ErrorIs(t, err, ErrTimeout)
			require.Equal(t, 2*time.Second, time.Since(began))
			require.EqualValues(t, 1, core.calls.Load())
		})
	})
	t.Run("not past the caller's deadline", func(t *testing.T) {
		t.Parallel()

		synctest.Test(t, func(t *testing.T) {
			u, core := newService(t, says(503))
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			status, err := ask(ctx, t, u, getOne)
			require.NoError(t, err)
			require.Equal(t, 503, status)
			require.EqualValues(t, 1, core.calls.Load())
		})
	})
	t.Run("within a budget", func(t *testing.T) {
		t.Parallel()

		synctest.Test(t, func(t *testing.T) {
			u, core := newService(t, resets)
			closed := api.OverrideStateClosed
			u.Force(&closed)
			const calls = 1000
			began := time.Now()
			for range calls {
				_, _ = ask(t.Context(), t, u, getOne)
				require.NoError(t, pause(t.Context(), time.Millisecond))
			}
			require.Less(t, time.Since(began), 20*time.Second) // each ten seconds have a reserve of their own
			require.LessOrEqual(t, core.calls.Load(), int64(calls*1.2)+3*10)
			require.Greater(t, core.calls.Load(), int64(calls*1.1))
		})
	})
	t.Run("within a budget of those at once, whose answer is the last", func(t *testing.T) {
		t.Parallel()

		synctest.Test(t, func(t *testing.T) {
			u, core := newService(t, says(200))
			for range 1000 { // which leave 230 retries in these ten seconds
				_, err := ask(t.Context(), t, u, getOne)
				require.NoError(t, err)
			}
			var closed atomic.Int64
			core.calls.Store(0)
			core.does(after(50*time.Millisecond, func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: 503, Header: http.Header{}, Body: closing{strings.NewReader("{}"), &closed}}, nil
			}))
			var all sync.WaitGroup
			var unavailable atomic.Int64
			for range 100 {
				all.Go(func() {
					if status, err := ask(t.Context(), t, u, getOne); err == nil && status == 503 {
						unavailable.Add(1)
					}
				})
			}
			all.Wait()
			require.EqualValues(t, 100, unavailable.Load())
			require.Equal(t, 100+u.Report().Retries, core.calls.Load())
			require.Greater(t, core.calls.Load(), int64(100))
			require.Less(t, core.calls.Load(), int64(200))
			require.Equal(t, core.calls.Load(), closed.Load())
		})
	})
}

func TestAKeyThatNobodyHeedsIsNotSent(t *testing.T) {
	t.Parallel()

	var sent []string
	u, _ := newService(t, func(r *http.Request) (*http.Response, error) {
		sent = append(sent, r.Header.Get("Idempotency-Key"))
		return says(200)(r)
	})
	for _, what := range []string{create, remove, getOne} {
		_, err := ask(t.Context(), t, u, what, "Idempotency-Key", "k")
		require.NoError(t, err)
	}
	require.Equal(t, []string{"k", "", ""}, sent, "http.Transport repeats a request that has one")
}

func TestHedge(t *testing.T) {
	t.Parallel()

	tests := map[string]struct {
		what        string
		first, next does
		status      int
		took        time.Duration
		calls       int64
	}{
		"is not needed":                  {getNew, after(99*time.Millisecond, says(200)), nil, 200, 99 * time.Millisecond, 1},
		"wins":                           {getNew, hangs, after(10*time.Millisecond, says(200)), 200, 110 * time.Millisecond, 2},
		"loses":                          {getNew, after(150*time.Millisecond, says(404)), hangs, 404, 150 * time.Millisecond, 2},
		"outlives a failed first":        {getNew, after(150*time.Millisecond, resets), after(100*time.Millisecond, says(200)), 200, 200 * time.Millisecond, 2},
		"fails before the first answers": {getNew, after(150*time.Millisecond, says(200)), resets, 200, 150 * time.Millisecond, 2},
		"is only where it is asked for":  {getOne, after(time.Second, says(200)), nil, 200, time.Second, 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			synctest.Test(t, func(t *testing.T) {
				u, core := newService(t, tt.first)
				if tt.next != nil {
					time.AfterFunc(time.Millisecond, func() { core.does(tt.next) })
				}
				began := time.Now()
				status, err := ask(t.Context(), t, u, tt.what)
				require.NoError(t, err)
				require.Equal(t, tt.status, status)
				require.Equal(t, tt.took, time.Since(began))
				require.Equal(t, tt.calls, core.calls.Load())
				synctest.Wait()
				require.Zero(t, u.Report().Running, "the loser is called off")
			})
		})
	}

	t.Run("does not wait for itself when nobody is asked", func(t *testing.T) {
		t.Parallel()

		synctest.Test(t, func(t *testing.T) {
			u, core := newService(t, says(503))
			open := api.OverrideStateOpen
			u.Force(&open)
			began := time.Now()
			_, err := ask(t.Context(), t, u, getNew)
			require.ErrorIs(t, err, ErrOpen)
			require.Zero(t, time.Since(began))
			require.Zero(t, core.calls.Load())
			require.Zero(t, u.counts.hedges.Load())
		})
	})
	t.Run("does not wait for itself after an earlier one", func(t *testing.T) {
		t.Parallel()

		synctest.Test(t, func(t *testing.T) {
			u, core := newService(t, after(150*time.Millisecond, resets))
			time.AfterFunc(160*time.Millisecond, func() { core.does(resets) })
			began := time.Now()
			_, err := ask(t.Context(), t, u, getNew)
			require.Error(t, err)
			require.EqualValues(t, 4, core.calls.Load(), "one, a hedge, and two more")
			require.Less(t, time.Since(began), (250+63+125)*time.Millisecond+time.Millisecond)
		})
	})
	t.Run("stays within the budget", func(t *testing.T) {
		t.Parallel()

		synctest.Test(t, func(t *testing.T) {
			u, core := newService(t, after(time.Second/2, says(200)))
			require.Zero(t, crowd(t, t.Context(), u, getNew, 200))
			require.Equal(t, 200+u.counts.hedges.Load(), core.calls.Load())
			require.Greater(t, core.calls.Load(), int64(200*1.1))
			require.LessOrEqual(t, core.calls.Load(), int64(200*1.2)+3*10)
		})
	})
	t.Run("leaves the answer whole that it brought", func(t *testing.T) {
		t.Parallel()

		synctest.Test(t, func(t *testing.T) {
			u, core := newService(t, hangs)
			time.AfterFunc(time.Millisecond, func() { core.does(sending("text/csv", time.Second, 4*time.Second, 4*time.Second)) })
			began := time.Now()
			status, err := ask(t.Context(), t, u, getNew)
			require.NoError(t, err)
			require.Equal(t, 200, status)
			require.Equal(t, 9100*time.Millisecond, time.Since(began))
		})
	})
	t.Run("closes the answer that comes second", func(t *testing.T) {
		t.Parallel()

		synctest.Test(t, func(t *testing.T) {
			var closed atomic.Int64
			deaf := does(func(*http.Request) (*http.Response, error) {
				<-time.After(120 * time.Millisecond) // hears nobody
				return &http.Response{StatusCode: 200, Header: http.Header{}, Body: closing{strings.NewReader("{}"), &closed}}, nil
			})
			u, core := newService(t, deaf)
			_, err := ask(t.Context(), t, u, getNew)
			require.NoError(t, err)
			<-time.After(time.Second)
			require.EqualValues(t, 2, core.calls.Load())
			require.EqualValues(t, 2, closed.Load())
		})
	})
}

type closing struct {
	io.Reader
	closed *atomic.Int64
}

func (c closing) Close() error {
	c.closed.Add(1)
	return nil
}
