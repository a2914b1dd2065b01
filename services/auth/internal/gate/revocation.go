package gate

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// remembered is how long a revocation is kept: longer than a look-up takes and an entry lives.
const remembered = 2 * Bound

// revocations are numbered as they arrive. What was looked up before number n is void if it
// concerns whom n names, also when the look-up is still on its way.
type revocations struct {
	latest atomic.Uint64 // number of the last one

	mu    sync.Mutex
	floor uint64 // what was looked up before this one is void, whomever it concerns
	of    map[string]mark
}

type mark struct {
	number uint64
	at     time.Time
}

func newRevocations() *revocations { return &revocations{of: map[string]mark{}} }

// add voids what is known of who.
func (r *revocations) add(who string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for k, m := range r.of {
		if now.Sub(m.at) > remembered {
			delete(r.of, k)
		}
	}
	n := r.latest.Load() + 1
	r.of[who] = mark{n, now}
	r.latest.Store(n) // last: whoever sees the number finds the mark
}

// addAll voids everything.
func (r *revocations) addAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.floor = r.latest.Load() + 1
	clear(r.of)
	r.latest.Store(r.floor)
}

// void tells whether any of who was revoked after number since.
func (r *revocations) void(since uint64, who ...string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if since < r.floor {
		return true
	}
	for _, w := range who {
		if r.of[w].number > since {
			return true
		}
	}
	return false
}

// Listen hears of revocations until ctx ends. While they are not heard nothing cached is used, and nothing is again that
// was cached before.
func (g *Gate) Listen(ctx context.Context) error { return g.told.Listen(ctx) }

// Revoke voids what this instance knows of a subject or a session.
func (g *Gate) Revoke(who string) { g.revoked.add(who, time.Now()) }

// Announce makes every instance forget what it knows of a subject or a session, this one first, and returns when none
// relies on it any more.
func (g *Gate) Announce(ctx context.Context, who string) error { return g.told.Say(ctx, who) }
