package cache

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/healthe/healthe/db/dbtest"
)

// listening returns an instance over the database at dsn that hears.
func listening(t *testing.T, dsn string) *Cache {
	t.Helper()
	pool, err := pgxpool.New(context.WithoutCancel(t.Context()), dsn)
	require.NoError(t, err)
	c := New(pool, 1<<20, isOut)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Listen(ctx) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-done)
		pool.Close()
	})
	require.Eventually(t, func() bool { return c.hears(time.Now()) }, 10*time.Second, 5*time.Millisecond)
	return c
}

func TestAnInvalidationHoldsOnAllInstances(t *testing.T) { // CAT-4
	t.Parallel()

	dsn := dbtest.Empty(t).Reveal()
	one := &bench{Cache: listening(t, dsn), service: &service{handler: text("toys")}}
	two := &bench{Cache: listening(t, dsn), service: one.service}
	for range 3 {
		one.get(t, minute, ann, "/toys")
		two.get(t, minute, ann, "/toys")
		require.NotNil(t, one.serve(t, minute, ann, http.MethodGet, "/toys"))
		require.NotNil(t, two.serve(t, minute, ann, http.MethodGet, "/toys"))
		require.NoError(t, one.Invalidate(t.Context(), "toys.getToy", minute.Operation))
		require.Nil(t, one.serve(t, minute, ann, http.MethodGet, "/toys"))
		require.Nil(t, two.serve(t, minute, ann, http.MethodGet, "/toys"))
	}
	require.NoError(t, one.Invalidate(t.Context()), "a write that makes nothing untrue")
}

func TestWhatCouldNotBeSaidIsSaidLater(t *testing.T) {
	t.Parallel()

	dsn := dbtest.Empty(t).Reveal()
	one, two := listening(t, dsn), listening(t, dsn)
	n := two.marks.of("toys.listToys").number
	one.owed.add("toys.listToys") // as Invalidate does when Postgres does not take it
	require.Eventually(t, func() bool { return two.marks.of("toys.listToys").number > n }, 10*time.Second, 5*time.Millisecond)

	away := silent(t, 1<<20)
	require.Error(t, away.Invalidate(t.Context(), "a.b", "c.d"))
	require.Equal(t, map[string]bool{"a.b c.d": true}, away.owed.take())
}

func TestPayloadsHoldAllOperations(t *testing.T) {
	t.Parallel()

	var operations []string
	for n := range 500 {
		operations = append(operations, "toys.operation"+strconv.Itoa(n))
	}
	var m marks
	all := payloads(operations)
	require.Len(t, all, 2)
	for _, payload := range all {
		require.LessOrEqual(t, len(payload), 7900)
		m.raise(payload)
	}
	for _, operation := range operations {
		require.EqualValues(t, 1, m.of(operation).number)
	}
	require.Empty(t, payloads(nil))
}

// versions is a service whose answers are numbers that only grow. It looks first and answers later, as a slow one does.
type versions struct{ now [3]atomic.Int64 }

func (v *versions) RoundTrip(r *http.Request) (*http.Response, error) {
	n, _ := strconv.Atoi(r.URL.Path[len(r.URL.Path)-1:])
	seen := v.now[n].Load()
	if delay, err := time.ParseDuration(r.Header.Get("X-Delay")); err == nil {
		select {
		case <-time.After(delay): // the service's own slowness; nothing waits for it to pass
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	tag := fmt.Sprintf(`"%d"`, seen)
	if r.Header.Get("If-None-Match") == tag {
		return respond(r, http.StatusNotModified, http.Header{"Etag": {tag}}, nil), nil
	}
	return respond(r, http.StatusOK, http.Header{"Etag": {tag}}, []byte(strconv.FormatInt(seen, 10))), nil
}

type step struct {
	write    bool
	resource int
	instance int
	delay    time.Duration
	control  string
}

// TestNobodyReadsFromBeforeAWrite: whatever writers and readers do on two instances, a read that began after a write was
// announced never gets what was there before it.
func TestNobodyReadsFromBeforeAWrite(t *testing.T) { // CAT-4
	t.Parallel()

	dsn := dbtest.Empty(t).Reveal()
	caches := []*Cache{listening(t, dsn), listening(t, dsn)}
	policies := []Policy{{Operation: "a.get", TTL: time.Hour}, {Operation: "b.get", TTL: time.Hour, Shared: true}, {Operation: "c.get", TTL: 0, Stale: time.Hour, StaleIfError: true}}
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		one := rapid.Custom(func(rt *rapid.T) step {
			return step{
				write: rapid.IntRange(0, 3).Draw(rt, "write") == 0, resource: rapid.IntRange(0, 2).Draw(rt, "resource"), instance: rapid.IntRange(0, 1).Draw(rt, "instance"),
				delay:   rapid.SampledFrom([]time.Duration{0, 50 * time.Microsecond, time.Millisecond}).Draw(rt, "delay"),
				control: rapid.SampledFrom([]string{"", "", "", "no-cache", "max-age=1"}).Draw(rt, "control"),
			}
		})
		workers := rapid.SliceOfN(rapid.SliceOfN(one, 1, 12), 2, 6).Draw(rt, "workers")
		service := &versions{}
		var announced [3]atomic.Int64 // what everyone must see
		var wrong atomic.Pointer[string]
		complain := func(format string, args ...any) { wrong.Store(new(fmt.Sprintf(format, args...))) }
		var all sync.WaitGroup
		for _, steps := range workers {
			all.Go(func() {
				for _, s := range steps {
					c, p := caches[s.instance], &policies[s.resource]
					if s.write {
						written := service.now[s.resource].Add(1)
						if err := c.Invalidate(t.Context(), p.Operation); err != nil {
							complain("%v", err)
						}
						for seen := announced[s.resource].Load(); seen < written && !announced[s.resource].CompareAndSwap(seen, written); seen = announced[s.resource].Load() {
						}
						continue
					}
					least := announced[s.resource].Load()
					r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("/%d/%d", round, s.resource), http.NoBody)
					r.Header.Set("X-Delay", s.delay.String())
					if s.control != "" {
						r.Header.Set("Cache-Control", s.control)
					}
					resp, err := c.RoundTrip(r, p, ann, service)
					if err != nil {
						complain("%v", err)
						continue
					}
					body, _ := io.ReadAll(resp.Body)
					if got, _ := strconv.ParseInt(string(body), 10, 64); got < least {
						complain("read %d of %s from instance %d after %d was announced: %s", got, p.Operation, s.instance, least, resp.Header.Get("Cache-Status"))
					}
				}
			})
		}
		all.Wait()
		if said := wrong.Load(); said != nil {
			rt.Fatal(*said)
		}
	})
	for _, c := range caches {
		require.NotZero(t, c.Report().Hits, "the cache did take part")
		require.NotZero(t, c.Report().Collapsed)
	}
}
