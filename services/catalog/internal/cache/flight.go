package cache

import (
	"context"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"time"
)

// flightTime bounds a call whose caller may be gone; the way to the service has closer bounds of its own.
const flightTime = 30 * time.Second

// flightKey is what reads must have in common to share a call: those that began after an invalidation share none from before.
type flightKey struct {
	key  key
	mark mark
}

type flights struct {
	mu sync.Mutex
	of map[flightKey]*flight
}

// flight is a call under way. It belongs to nobody: whoever began it may leave.
type flight struct {
	leader question // with a request of its own
	end    context.CancelFunc
	lead   chan answer // for whoever began it
	done   chan struct{}
	shared answer // when done; empty if it serves nobody else
}

// join waits for the call that is under way, or begins one.
func (c *Cache) join(q *question) answer {
	ctx, k := q.r.Context(), flightKey{q.key, q.mark}
	c.flights.mu.Lock()
	f, found := c.flights.of[k]
	if !found {
		f = &flight{lead: make(chan answer), done: make(chan struct{})}
		c.flights.of[k] = f
	}
	c.flights.mu.Unlock()
	if !found {
		var flying context.Context
		flying, f.end = context.WithCancel(context.WithoutCancel(ctx))
		f.leader = *q
		f.leader.r = q.r.Clone(flying) // the caller's own is theirs again when they leave
		go c.fly(ctx, k, f)
		select {
		case a := <-f.lead:
			return a
		case <-ctx.Done():
			return answer{err: ctx.Err(), out: c.out(nil, ctx.Err())}
		}
	}
	select {
	case <-f.done:
	case <-ctx.Done():
		return answer{err: ctx.Err(), out: c.out(nil, ctx.Err())}
	}
	a := f.shared
	if a.err == nil && (a.entry == nil || !f.serves(a.entry, q)) {
		return c.fetch(q.r.Clone(ctx), q) // it serves nobody else
	}
	a.collapsed = true
	return a
}

// serves tells whether the answer to the flight's leader is one to q.
func (f *flight) serves(e *entry, q *question) bool {
	vary := e.varies()
	return f.leader.base.variant(vary, f.leader.r.Header) == q.base.variant(vary, q.r.Header)
}

// fly makes the call, and hands the answer to all who wait.
func (c *Cache) fly(leader context.Context, k flightKey, f *flight) {
	bound := time.AfterFunc(flightTime, f.end)
	a := c.guarded(&f.leader)
	bound.Stop()
	if a.resp == nil {
		f.end()
		f.shared = a
	} else { // for the leader alone, who reads it for as long as they stay
		release := context.AfterFunc(leader, f.end)
		a.resp.Body = &owned{a.resp.Body, func() { release(); f.end() }}
	}
	c.flights.mu.Lock()
	delete(c.flights.of, k)
	c.flights.mu.Unlock()
	close(f.done)
	select {
	case f.lead <- a:
	case <-leader.Done():
		a.close()
	}
}

// guarded is fetch where no server catches a panic.
func (c *Cache) guarded(q *question) (a answer) {
	defer func() {
		if p := recover(); p != nil {
			a = answer{err: fmt.Errorf("panic: %v\n%s", p, debug.Stack())}
		}
	}()
	return c.fetch(q.r, q)
}

// owned is a body that ends its call when it is closed.
type owned struct {
	io.ReadCloser
	end func()
}

func (o *owned) Close() error {
	defer o.end()
	return o.ReadCloser.Close()
}
