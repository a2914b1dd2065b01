package e2e

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// sent is a request under load, and what became of it.
type sent struct {
	at  time.Time // when it was sent
	got answer
	err error // there was no answer
}

func (s sent) String() string {
	if s.err != nil {
		return s.err.Error()
	}
	return s.got.String()
}

// load is requests that go on while something is broken.
type load struct {
	stop context.CancelFunc
	wait sync.WaitGroup
	mu   sync.Mutex
	all  []sent
}

// startLoad lets each caller send one request in every interval; send makes the nth.
func startLoad(t *testing.T, callers []*caller, every time.Duration, send func(ctx context.Context, c *caller, n int) (answer, error)) *load {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	l := &load{stop: stop}
	t.Cleanup(func() { stop(); l.wait.Wait() })
	for _, c := range callers {
		l.wait.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				at := time.Now()
				got, err := send(ctx, c, n)
				if ctx.Err() == nil {
					l.mu.Lock()
					l.all = append(l.all, sent{at, got, err})
					l.mu.Unlock()
				}
				pause(ctx, time.Until(at.Add(every)))
			}
		})
	}
	return l
}

// since waits for d and returns what was sent after the moment, answered by now.
func (l *load) since(t *testing.T, moment time.Time, d time.Duration) []sent {
	t.Helper()
	pause(t.Context(), d)
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(l.all), func(s sent) bool { return s.at.Before(moment) })
}

// calm waits until every request of the last while was answered as it should be.
func (l *load) calm(t *testing.T, within, while time.Duration) {
	t.Helper()
	began := time.Now()
	for time.Since(began) < within {
		moment := time.Now()
		last := l.since(t, moment, while)
		if len(last) > 0 && !slices.ContainsFunc(last, sent.bad) {
			t.Logf("calm after %.1f s", (time.Since(began) - while).Seconds())
			return
		}
	}
	require.FailNow(t, "no calm within "+within.String(), "%v", l.since(t, time.Now().Add(-while), 0))
}

func (s sent) bad() bool { return s.err != nil || s.got.StatusCode >= http.StatusBadRequest }

// clean finds that whatever failed did so in the way that the contracts promise: 503 or 504, as a problem, with the advice to
// come back. Nothing is refused to a caller who may, and nothing breaks.
func clean(t *testing.T, all []sent) {
	t.Helper()
	require.NotEmpty(t, all)
	count := map[string]int{}
	for _, s := range all {
		require.NoError(t, s.err)
		count[fmt.Sprint(s.got.StatusCode)]++
		if !s.bad() {
			continue
		}
		require.Contains(t, []int{http.StatusServiceUnavailable, http.StatusGatewayTimeout}, s.got.StatusCode, "%s", s)
		_, err := s.got.problem()
		require.NoError(t, err, "%s", s)
		require.NotEmpty(t, s.got.Header.Get("Retry-After"), "%s", s)
	}
	t.Logf("%d requests: %v", len(all), count)
}

// pids are the processes that run, to see later that they are still the same.
func (p *platform) pids(t *testing.T, but ...string) map[string]int {
	t.Helper()
	processes, err := p.Processes(context.WithoutCancel(t.Context())) // also while cleaning up
	require.NoError(t, err)
	all := map[string]int{}
	for _, process := range processes {
		if process.Running && !slices.Contains(but, process.Name) {
			all[process.Name] = process.PID
		}
	}
	return all
}

// named returns the processes of a service, appointment-0 and appointment-1.
func (p *platform) named(t *testing.T, service string) []string {
	t.Helper()
	var names []string
	for name := range p.pids(t) {
		if name == service || len(name) > len(service) && name[:len(service)+1] == service+"-" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// down stops a process, and starts it again at the end of the test if the test has not.
func (p *platform) down(t *testing.T, name string) {
	t.Helper()
	require.NoError(t, p.StopProcess(t.Context(), name))
	eventually(t, "down: "+name, patience, func() (bool, string) {
		_, runs := p.pids(t)[name]
		return !runs, name + " still runs"
	})
	t.Cleanup(func() { p.up(t, name) })
}

// up starts a process that is down and waits until all is well. process-compose needs a moment to see that one has ended.
func (p *platform) up(t *testing.T, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	for err := error(nil); ; pause(ctx, tick) {
		require.NoError(t, ctx.Err(), "%s does not start: %v", name, err)
		if _, runs := p.pids(t)[name]; runs {
			break
		}
		err = p.StartProcess(ctx, name)
	}
	p.healthy(t)
}

// healthy waits until every process that should run does, and each service has the instances that it had.
func (p *platform) healthy(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 2*time.Minute)
	defer cancel()
	for state := ""; ; pause(ctx, tick) {
		require.NoError(t, ctx.Err(), "not healthy: %s", state)
		processes, err := p.Processes(ctx)
		require.NoError(t, err)
		state = ""
		for _, process := range processes {
			if s := process.State(); s != "healthy" && s != "done" {
				state += process.Name + " " + s + "; "
			}
		}
		for _, service := range p.Services() {
			urls, err := p.Instances(ctx, service)
			if want := scaled[service]; err != nil || len(urls) < max(1, want) {
				state += service + " is not registered; "
			}
		}
		if state == "" {
			return
		}
	}
}
