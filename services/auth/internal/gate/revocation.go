package gate

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/healthe/healthe/services/auth/internal/store"
)

const (
	// remembered is how long a revocation is kept: longer than a look-up takes and an entry lives.
	remembered = 2 * Bound
	// heardTimeout is how long to wait for the other instances to confirm a revocation.
	heardTimeout = 2 * time.Second
	heardAgain   = 50 * time.Millisecond
	maxInstances = 1024
)

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
	if _, err := conn.Exec(ctx, "SET application_name = 'auth revocations'; LISTEN auth_revoked; LISTEN auth_heard"); err != nil {
		return err
	}
	g.revoked.addAll()
	g.revoked.live.Store(true)
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		notice, rest, _ := strings.Cut(n.Payload, " ")
		if n.Channel == "auth_heard" {
			g.announced.confirm(notice, rest)
			continue
		}
		g.Revoke(rest)
		if err := store.New(conn).ConfirmRevocation(ctx, notice); err != nil {
			return err
		}
	}
}

// Revoke voids what this instance knows of a subject or a session.
func (g *Gate) Revoke(who string) { g.revoked.add(who, time.Now()) }

// Announce makes every instance forget what it knows of a subject or a session, this one first, and returns when all
// have, or after heardTimeout: an instance that is silent for so long serves nobody, and what it knows ends within Fresh.
// It is said outside of any transaction of ctx, whose end nobody would hear while waiting for it.
func (g *Gate) Announce(ctx context.Context, pool *pgxpool.Pool, who string) error {
	g.Revoke(who)
	notice := uuid.NewString()
	confirmed := g.announced.expect(notice)
	defer g.announced.forget(notice)
	q := store.New(pool)
	if err := q.AnnounceRevocation(ctx, store.AnnounceRevocationParams{Notice: notice, Who: who}); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, heardTimeout)
	defer cancel()
	heard := map[string]bool{}
	for {
		rows, _ := pool.Query(ctx, listListeners) // again each time: one may have gone
		listeners, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			break
		}
		if !slices.ContainsFunc(listeners, func(pid string) bool { return !heard[pid] }) {
			return nil
		}
		select {
		case pid := <-confirmed:
			heard[pid] = true
		case <-time.After(heardAgain):
		case <-ctx.Done():
		}
	}
	slog.WarnContext(ctx, "not every instance has confirmed a revocation; it holds there within seconds")
	return nil
}

// listListeners is not among the queries because sqlc does not know the view.
const listListeners = "SELECT pid::text FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'auth revocations'"

// announcements are what this instance has announced and waits to be confirmed.
type announcements struct {
	mu sync.Mutex
	of map[string]chan string
}

func (a *announcements) expect(notice string) <-chan string {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := make(chan string, maxInstances)
	a.of[notice] = c
	return c
}

func (a *announcements) forget(notice string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.of, notice)
}

// confirm tells whoever waits for notice that the listener pid has heard it.
func (a *announcements) confirm(notice, pid string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	select {
	case a.of[notice] <- pid: // nil, if another instance announced it
	default:
	}
}
