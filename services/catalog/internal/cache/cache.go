// Package cache keeps what core services answered to reads, as RFC 9111 says, for whom it was answered, and serves it again
// while it is fresh, or marked as old while the service is out (RFC 5861). It forgets at once what a write made untrue, on
// every instance, and makes one call of identical reads that are under way at once.
package cache

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/maypok86/otter/v2"

	"github.com/healthe/healthe/db/broadcast"
	"github.com/healthe/healthe/kit/identity"
	api "github.com/healthe/healthe/openapi/catalog"
	"github.com/healthe/healthe/openapi/problem"
)

const (
	maxBody = 1 << 20 // what is longer is passed on, not kept
	// validators is how long at least a copy with an entity tag is kept: asking whether it still holds is cheap.
	validators = time.Minute
	channel    = "catalog_invalidated"
)

var errNotStored = problem.New(http.StatusGatewayTimeout, "timeout", "Timeout", "Nothing stored answers this, and only-if-cached asks nobody else.")

// Policy says how the answers of one operation are kept.
type Policy struct {
	Operation    string        // its service and identifier: "appointment.listClinics"
	TTL          time.Duration // how long an answer serves without asking; a shorter max-age of the service wins
	Stale        time.Duration // how long beyond that it serves while the service is out
	Shared       bool          // one copy for all callers
	StaleIfError bool
}

// Cache is one instance's store, bounded in bytes. One serves all requests.
type Cache struct {
	bound   int64
	out     func(*http.Response, error) bool
	now     func() time.Time
	store   *otter.Cache[key, *entry]
	marks   marks
	flights flights
	told    *broadcast.Broadcast
	hears   func(now time.Time) bool // whether invalidations arrive
	owed    owed

	hits, misses, stale, collapsed, evictions atomic.Int64
}

// New returns a store of at most bound bytes, one of several that tell each other over pool what was invalidated. out tells
// of an answer or a failure whether the service is out. Nothing counts as fresh before Listen runs.
func New(pool *pgxpool.Pool, bound int64, out func(*http.Response, error) bool) *Cache {
	c := &Cache{bound: bound, out: out, now: time.Now, flights: flights{of: map[flightKey]*flight{}}}
	c.store = otter.Must(&otter.Options[key, *entry]{
		MaximumWeight: uint64(bound),
		Weigher:       func(_ key, e *entry) uint32 { return e.weight },
		ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[key, *entry]) time.Duration {
			return e.Value.kept
		}),
		OnAtomicDeletion: func(e otter.DeletionEvent[key, *entry]) {
			if e.WasEvicted() {
				c.evictions.Add(1)
			}
		},
	})
	c.told = broadcast.New(pool, channel, c.marks.raise, c.marks.raiseAll)
	c.hears = c.told.Hearing
	c.measure()
	return c
}

// Report counts since the instance started.
func (c *Cache) Report() api.CacheReport {
	return api.CacheReport{
		Entries: int64(c.store.EstimatedSize()), Bytes: int64(c.store.WeightedSize()), BoundBytes: c.bound,
		Hits: c.hits.Load(), Misses: c.misses.Load(), Stale: c.stale.Load(), Collapsed: c.collapsed.Load(),
	}
}

// question is a read and what is known of its answer. What it remembers of invalidations is from before it looked.
type question struct {
	r       *http.Request
	policy  *Policy
	next    http.RoundTripper
	wants   directives
	base    key // of the operation, the caller and the address
	key     key // and of what the answer varies by, as far as known
	known   *entry
	mark    mark
	now     time.Time
	hearing bool
}

// ask looks up what is known; false if the answer to r cannot come from a cache.
func (c *Cache) ask(r *http.Request, p *Policy, caller identity.Identity) (question, bool) {
	q := question{r: r, policy: p, now: c.now()}
	if p == nil || !readable(r) {
		return q, false
	}
	var ok bool
	if q.base, ok = keyOf(p, r.URL, caller); !ok {
		return q, false
	}
	q.wants = parse(r.Header["Cache-Control"])
	q.hearing = c.hears(q.now)
	q.mark = c.marks.of(p.Operation)
	q.key, q.known = c.find(q.base, r.Header)
	return q, true
}

func (c *Cache) find(base key, h http.Header) (key, *entry) {
	e, _ := c.store.GetIfPresent(base)
	if e == nil || e.vary == nil {
		return base, e
	}
	k := base.variant(e.vary, h)
	e, _ = c.store.GetIfPresent(k)
	return k, e
}

// fresh tells whether what is known serves without asking.
func (q *question) fresh() bool {
	if q.known == nil || !q.hearing || q.wants.noCache || q.wants.noStore || q.known.mark != q.mark {
		return false
	}
	age := q.known.age(q.now)
	return age < q.known.lifetime && q.wants.accept(age, q.known.lifetime)
}

// excused tells whether what is known serves in place of a failure. A copy from a time in which invalidations may have been
// missed does, as it is marked; one that a write is known to have made untrue does not.
func (c *Cache) excused(q *question) bool {
	if q.known == nil || q.known.strict || q.wants.noCache || q.wants.noStore {
		return false
	}
	age := q.known.age(c.now())
	return age <= q.known.lifetime+q.known.stale && q.wants.accept(age, age) && q.known.mark.number == c.marks.of(q.policy.Operation).number
}

// Serve answers a read from what is fresh, without any call, and says whether it did. caller is known to be who sent r.
func (c *Cache) Serve(w http.ResponseWriter, r *http.Request, p *Policy, caller identity.Identity) bool {
	q, ok := c.ask(r, p, caller)
	switch {
	case ok && q.fresh():
		c.hits.Add(1)
		q.known.write(w, r, q.now)
		return true
	case ok && q.wants.onlyIfCached:
		problem.Write(w, r, errNotStored)
		return true
	}
	return false
}

// RoundTrip answers r from what is fresh, or by next, or, while the service is out, from what is left. Its answers say in
// Cache-Status where they come from, and in Age and Warning that they are old.
func (c *Cache) RoundTrip(r *http.Request, p *Policy, caller identity.Identity, next http.RoundTripper) (*http.Response, error) {
	q, ok := c.ask(r, p, caller)
	if !ok {
		return next.RoundTrip(r)
	}
	q.next = next
	switch {
	case q.fresh():
		c.hits.Add(1)
		return q.known.answer(r, q.now, hit), nil
	case q.wants.onlyIfCached:
		return notStored(r), nil
	}
	a := c.call(&q)
	if a.out && c.excused(&q) {
		c.stale.Add(1)
		a.close()
		return q.known.answer(r, c.now(), old), nil
	}
	if a.err != nil {
		return nil, a.err
	}
	if a.collapsed {
		c.collapsed.Add(1)
	} else {
		c.misses.Add(1)
	}
	if a.entry != nil {
		return a.entry.answer(r, c.now(), q.forwarded(a)), nil
	}
	a.resp.Header.Set("Cache-Status", q.forwarded(a))
	unlessSaid(a.resp.Header)
	return a.resp, nil
}

// call gets an answer from the service: together with others who ask the same, where their answer may serve all.
func (c *Cache) call(q *question) answer {
	switch {
	case q.r.Method == http.MethodHead:
		resp, err := q.next.RoundTrip(q.r)
		return answer{resp: resp, err: err, out: c.out(resp, err)}
	case !q.hearing, q.wants.noCache, q.wants.noStore, q.wants.maxAge == 0:
		return c.fetch(q.r.Clone(q.r.Context()), q)
	default:
		return c.join(q)
	}
}

// readable tells whether r is a plain read of the whole, the only thing that is kept.
func readable(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead || r.ContentLength != 0 {
		return false
	}
	for _, part := range []string{"Range", "If-Match", "If-Unmodified-Since", "If-Range", "Upgrade"} {
		if _, asked := r.Header[part]; asked {
			return false
		}
	}
	return true
}

func notStored(r *http.Request) *http.Response {
	body, _ := json.Marshal(errNotStored)
	return respond(r, http.StatusGatewayTimeout, http.Header{"Content-Type": {"application/problem+json"}, "Cache-Control": {"no-store"}}, body)
}

// Listen hears what other instances invalidate until ctx ends, and says again what could not be said to them.
func (c *Cache) Listen(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.repay(ctx)
	}()
	err := c.told.Listen(ctx)
	<-done
	return err
}

// Invalidate makes all instances forget what they know of operations, this one first. When it returns, no read that begins
// afterwards gets an answer from before, on any instance that could be told; with an error, others are told as soon as can be.
func (c *Cache) Invalidate(ctx context.Context, operations ...string) error {
	var failed error
	for _, payload := range payloads(operations) {
		if err := c.told.Say(ctx, payload); err != nil {
			c.owed.add(payload)
			failed = errors.Join(failed, err)
		}
	}
	return failed
}
