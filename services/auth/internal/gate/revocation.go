package gate

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Channel is where instances tell each other, by Postgres' NOTIFY, whose credentials changed:
// the payload is a subject or a session.
const Channel = "auth_revoked"

// remembered is how long a revocation is kept: longer than a look-up takes and an entry lives.
const remembered = 2 * Bound

// revocations are numbered as they arrive. What was looked up before number n is void if it
// concerns whom n names, also when the look-up is still on its way.
type revocations struct {
	live   atomic.Bool   // whether they arrive
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

// Listen hears of revocations until ctx ends. While the connection is away nothing cached is
// used, and nothing is again that was cached before it came back.
func (g *Gate) Listen(pool *pgxpool.Pool) func(context.Context) error {
	return func(ctx context.Context) error {
		for ctx.Err() == nil {
			err := g.listen(ctx, pool)
			g.revoked.live.Store(false)
			g.revoked.addAll()
			if ctx.Err() != nil {
				return nil
			}
			slog.WarnContext(ctx, "revocations are not heard; nothing is cached", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(250 * time.Millisecond):
			}
		}
		return nil
	}
}

func (g *Gate) listen(ctx context.Context, pool *pgxpool.Pool) error {
	pooled, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	conn := pooled.Hijack() // it listens: it must not go back
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "LISTEN "+Channel); err != nil {
		return err
	}
	g.revoked.addAll()
	g.revoked.live.Store(true)
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		g.Revoke(n.Payload)
	}
}

// Revoke voids what this instance knows of a subject or a session.
func (g *Gate) Revoke(who string) { g.revoked.add(who, time.Now()) }
