package upstream

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	api "github.com/healthe/healthe/openapi/catalog"
)

func TestCircuit(t *testing.T) {
	t.Parallel()

	const open, closed, halfOpen = api.CircuitStateOpen, api.CircuitStateClosed, api.CircuitStateHalfOpen
	state := func(u *Upstream) api.CircuitState { return u.Report().State }
	many := func(t *testing.T, u *Upstream, n int) {
		t.Helper()
		for range n {
			_, _ = ask(t.Context(), t, u, remove) // which is not tried again
		}
	}

	for name, bad := range map[string]does{"resets": resets, "502": says(502), "503": says(503), "504": says(504), "silence": hangs} {
		synctest.Test(t, func(t *testing.T) {
			u, core := newService(t, bad)
			var all sync.WaitGroup
			for range Defaults.MinimumCalls {
				all.Go(func() { many(t, u, 1) })
			}
			all.Wait()
			require.Equal(t, open, state(u), name)
			_, err := ask(t.Context(), t, u, remove)
			require.ErrorIs(t, err, ErrOpen)
			require.EqualValues(t, Defaults.MinimumCalls, core.calls.Load(), "an open circuit asks nobody")
			require.EqualValues(t, 1, u.Report().Rejected)
			wait := u.circuit.wait()
			require.GreaterOrEqual(t, wait, Defaults.OpenFor*3/4)
			require.LessOrEqual(t, wait, Defaults.OpenFor*5/4)

			core.does(says(200))
			<-time.After(wait)
			many(t, u, int(Defaults.Probes)-1)
			require.Equal(t, halfOpen, state(u))
			many(t, u, 1)
			require.Equal(t, closed, state(u))
		})
	}

	for _, status := range []int{200, 304, 400, 401, 403, 404, 409, 412, 413, 422, 429, 500} { // CAT-2
		u, _ := newService(t, says(status))
		many(t, u, 5*int(Defaults.MinimumCalls))
		require.Equal(t, closed, state(u), status)
	}

	t.Run("stays closed when half of the instances are gone", func(t *testing.T) {
		t.Parallel()

		u, core := newService(t, says(200))
		for i := range 500 {
			core.does([]does{says(200), says(502)}[i%2])
			many(t, u, 1)
		}
		require.Equal(t, closed, state(u))
	})
	t.Run("looks at a rolling window", func(t *testing.T) {
		t.Parallel()

		synctest.Test(t, func(t *testing.T) {
			u, core := newService(t, says(200))
			many(t, u, 100)
			core.does(says(503))
			many(t, u, 50)
			require.Equal(t, closed, state(u), "the good calls are more")
			<-time.After(Defaults.Window)
			many(t, u, int(Defaults.MinimumCalls)-1)
			require.Equal(t, closed, state(u), "few calls say nothing")
			many(t, u, 1)
			require.Equal(t, open, state(u), "the good calls are long ago")
		})
	})
	t.Run("opens on slow calls", func(t *testing.T) {
		t.Parallel()

		synctest.Test(t, func(t *testing.T) {
			u, core := newService(t, after(999*time.Millisecond, says(200)))
			crowd(t, t.Context(), u, getOne, 50)
			require.Equal(t, closed, state(u))
			core.does(after(time.Second, says(404)))
			<-time.After(10 * time.Second)
			crowd(t, t.Context(), u, getOne, 50)
			require.Equal(t, open, state(u))
		})
	})
	t.Run("opens when failures and slow calls together are too many", func(t *testing.T) {
		t.Parallel()

		synctest.Test(t, func(t *testing.T) {
			u, core := newService(t, nil)
			for _, does := range []does{resets, says(200), after(2500*time.Millisecond, says(200))} {
				core.does(does)
				crowd(t, t.Context(), u, remove, 10)
			}
			require.Equal(t, open, state(u))
		})
	})
	t.Run("opens when answers begin and do not end", func(t *testing.T) {
		t.Parallel()

		synctest.Test(t, func(t *testing.T) {
			u, _ := newService(t, func(r *http.Request) (*http.Response, error) {
				resp, err := says(200)(r)
				resp.Body = io.NopCloser(failing{errors.New("connection reset")})
				return resp, err
			})
			many(t, u, int(Defaults.MinimumCalls)-1)
			require.Equal(t, closed, state(u))
			many(t, u, 1)
			require.Equal(t, open, state(u))
		})
	})
	t.Run("opens on calls that were given up when they were slow already", func(t *testing.T) {
		t.Parallel()

		for _, patience := range []time.Duration{999 * time.Millisecond, time.Second} {
			synctest.Test(t, func(t *testing.T) {
				u, _ := newService(t, hangs)
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(patience, cancel)
				crowd(t, ctx, u, getOne, 50)
				require.Equal(t, patience == time.Second, state(u) == open)
				require.Zero(t, u.Report().FailureRate)
			})
		}
	})
	t.Run("lets a few probes through at a time", func(t *testing.T) {
		t.Parallel()

		synctest.Test(t, func(t *testing.T) {
			u, core := newService(t, resets)
			many(t, u, 20)
			<-time.After(3 * time.Second)
			var now, most atomic.Int64
			core.calls.Store(0)
			core.does(func(r *http.Request) (*http.Response, error) {
				most.Store(max(most.Load(), now.Add(1)))
				defer now.Add(-1)
				return after(100*time.Millisecond, says(503))(r)
			})
			crowd(t, t.Context(), u, remove, 500)
			require.EqualValues(t, Defaults.Probes, most.Load())
			require.EqualValues(t, Defaults.Probes, core.calls.Load())
			require.Equal(t, open, state(u), "a failed probe opens it again")
		})
	})
	t.Run("does not hear calls of an earlier time", func(t *testing.T) {
		t.Parallel()

		synctest.Test(t, func(t *testing.T) {
			u, core := newService(t, after(4*time.Second, resets))
			old := make(chan struct{})
			go func() {
				crowd(t, t.Context(), u, remove, 10)
				close(old)
			}()
			synctest.Wait()
			core.does(resets)
			many(t, u, 20)
			require.Equal(t, open, state(u))
			<-time.After(3 * time.Second)
			core.does(says(200))
			many(t, u, 1)
			require.Equal(t, halfOpen, state(u))
			<-old
			require.Equal(t, halfOpen, state(u))

			var now, most atomic.Int64
			core.does(func(r *http.Request) (*http.Response, error) {
				most.Store(max(most.Load(), now.Add(1)))
				defer now.Add(-1)
				return after(100*time.Millisecond, says(200))(r)
			})
			crowd(t, t.Context(), u, remove, 500)
			require.EqualValues(t, Defaults.Probes, most.Load(), "and they leave no permits behind")
			require.Equal(t, closed, state(u))
		})
	})
	t.Run("gets back the permits of callers that go away", func(t *testing.T) {
		t.Parallel()

		synctest.Test(t, func(t *testing.T) {
			u, core := newService(t, resets)
			many(t, u, 20)
			<-time.After(3 * time.Second)
			core.does(hangs)
			for range 1000 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
				for _, what := range []string{listAll, getNew, create, remove} {
					_, err := ask(ctx, t, u, what)
					require.ErrorIs(t, err, context.DeadlineExceeded)
				}
				cancel()
			}
			require.Equal(t, halfOpen, state(u))
			require.Zero(t, u.Report().Running)
			require.Zero(t, u.limiter.Inflight())
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			core.calls.Store(0)
			crowd(t, ctx, u, remove, 500)
			require.EqualValues(t, Defaults.Probes, core.calls.Load(), "and no more than there were")
			require.Equal(t, halfOpen, state(u))
			core.does(says(200))
			many(t, u, 3)
			require.Equal(t, closed, state(u))
			crowd(t, t.Context(), u, listAll, 4)
			require.Zero(t, u.Report().Running)
		})
	})
}

// crowd sends n requests at once and waits for the answers. It returns how many were not let through.
func crowd(t *testing.T, ctx context.Context, u *Upstream, what string, n int) int64 {
	t.Helper()
	var all sync.WaitGroup
	var refused atomic.Int64
	for range n {
		all.Go(func() {
			if _, err := ask(ctx, t, u, what); errors.Is(err, ErrFull) {
				refused.Add(1)
			}
		})
	}
	all.Wait()
	return refused.Load()
}

func TestForce(t *testing.T) {
	t.Parallel()

	u, core := newService(t, says(200))
	open, closed := api.OverrideStateOpen, api.OverrideStateClosed
	u.Force(&open)
	_, err := ask(t.Context(), t, u, getOne)
	require.ErrorIs(t, err, ErrOpen)
	require.Zero(t, core.calls.Load())
	require.Equal(t, "10", retryAfter(t, u, err))
	require.True(t, u.Shut())
	report := u.Report()
	require.Equal(t, api.CircuitStateOpen, report.State)
	require.True(t, report.Forced)

	u.Force(&closed)
	core.does(resets)
	for range 100 {
		_, err := ask(t.Context(), t, u, remove)
		require.NotErrorIs(t, err, ErrOpen)
	}
	require.Equal(t, api.CircuitStateClosed, u.Report().State)
	require.False(t, u.Shut())

	u.Force(nil)
	require.False(t, u.Report().Forced)
	for range 20 {
		_, _ = ask(t.Context(), t, u, remove)
	}
	require.Equal(t, api.CircuitStateOpen, u.Report().State, "it goes by itself again")
	require.True(t, u.Shut())
	require.Eventually(t, func() bool { return !u.Shut() }, 10*time.Second, 5*time.Millisecond, "a probe may go, whoever makes it")
	u.Force(nil)
	require.Equal(t, api.CircuitStateOpen, u.Report().State, "and no second release closes it")
}

func TestBounds(t *testing.T) {
	t.Parallel()

	const few = 16 // the limiter looks how many wait before it waits itself, and its bound moves by two
	t.Run("of an operation", func(t *testing.T) {
		t.Parallel()

		synctest.Test(t, func(t *testing.T) {
			u, core := newService(t, after(10*time.Millisecond, says(200)))
			require.EqualValues(t, 46, crowd(t, t.Context(), u, listAll, 50))
			require.EqualValues(t, 4, core.calls.Load())
			require.Equal(t, api.CircuitStateClosed, u.Report().State)
			require.Zero(t, u.Report().FailureRate, "our own bound says nothing of the service")
			require.Zero(t, crowd(t, t.Context(), u, getOne, 50), "and nothing of other operations")
			require.EqualValues(t, 46, u.Report().Rejected)
		})
	})
	t.Run("of a service, with a short wait", func(t *testing.T) {
		t.Parallel()

		synctest.Test(t, func(t *testing.T) {
			u, _ := newService(t, after(90*time.Millisecond, says(200)))
			require.InDelta(t, 1000-2*Defaults.Start, crowd(t, t.Context(), u, getOne, 1000), few)
			u, _ = newService(t, after(110*time.Millisecond, says(200)))
			require.EqualValues(t, 1000-Defaults.Start, crowd(t, t.Context(), u, getOne, 1000))
			require.Zero(t, u.limiter.Queued())
		})
	})
	t.Run("are not held by who went away", func(t *testing.T) {
		t.Parallel()

		synctest.Test(t, func(t *testing.T) {
			u, _ := newService(t, hangs)
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(50*time.Millisecond, cancel)
			require.InDelta(t, 1000-2*Defaults.Start, crowd(t, ctx, u, getOne, 1000), few)
			require.Zero(t, u.limiter.Queued())
			require.Zero(t, u.limiter.Inflight())
		})
	})
	t.Run("adapt to the service", func(t *testing.T) {
		t.Parallel()

		synctest.Test(t, func(t *testing.T) { // 32 places of 10 ms: 3,200 calls a second
			places := make(chan struct{}, 32)
			u, _ := newService(t, func(r *http.Request) (*http.Response, error) {
				select {
				case places <- struct{}{}:
				case <-r.Context().Done():
					return nil, r.Context().Err()
				}
				defer func() { <-places }()
				return after(jitter(10*time.Millisecond), says(200))(r)
			})
			load := func(n int) api.Circuit {
				ctx, cancel := context.WithTimeout(t.Context(), 12*time.Second)
				defer cancel()
				var all sync.WaitGroup
				for range n {
					all.Go(func() {
						for ctx.Err() == nil {
							if _, err := ask(ctx, t, u, getOne); errors.Is(err, ErrFull) {
								_ = pause(ctx, 50*time.Millisecond)
							}
						}
					})
				}
				<-time.After(11 * time.Second)
				report := u.Report()
				cancel()
				all.Wait()
				return report
			}
			quiet, crowded, after := load(4), load(400), load(4)
			require.EqualValues(t, Defaults.Start, quiet.Limit, "few calls do not move it")
			require.Less(t, crowded.Limit, 150)
			require.GreaterOrEqual(t, crowded.Limit, int(Defaults.Floor))
			require.Greater(t, crowded.CallsPerS, 2900.0, "nothing of the service's power is lost")
			require.Less(t, crowded.P50Ms, 60.0, "where 400 at once would wait 125 ms")
			require.Less(t, after.P50Ms, 12.0)
			require.Equal(t, api.CircuitStateClosed, after.State)
		})
	})
}

// jitter returns d, give or take a quarter.
func jitter(d time.Duration) time.Duration {
	return d*3/4 + time.Duration(rand.Int64N(int64(d)/2+1))
}
