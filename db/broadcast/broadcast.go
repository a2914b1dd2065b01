// Package broadcast lets the instances of a service tell each other something at once, over the Postgres that they share
// (LISTEN and NOTIFY). Whoever says something knows, when it returns, that nobody goes on as if it had not been said.
package broadcast

import (
	"context"
	"crypto/rand"
	"log/slog"
	"maps"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// MaxPayload is how many bytes can be said at once; Postgres bounds a notice to 8,000 with what we add.
	MaxPayload = 7900
	// lease is how long an instance that Postgres has answered counts as hearing, and how long the others wait for it.
	lease = 2 * time.Second
	beat  = lease / 4 // between proofs that the connection is not half open
	again = 250 * time.Millisecond
	look  = 50 * time.Millisecond // for listeners that have gone
)

// Broadcast is one instance's part in a channel.
type Broadcast struct {
	pool             *pgxpool.Pool
	channel, replies string
	heard            func(payload string)
	missed           func()
	born             time.Time
	until            atomic.Int64 // the lease ends, counted from born
	said             atomic.Uint64
	mu               sync.Mutex
	awaited          map[string]chan string // by the number of what was said: who confirms it
}

// New returns an instance's part in channel. heard gets what is said, missed is told that something may have been said
// unheard; both must be quick and safe for concurrent use.
func New(pool *pgxpool.Pool, channel string, heard func(payload string), missed func()) *Broadcast {
	replies := channel + "_" + strings.ToLower(rand.Text()[:12])
	return &Broadcast{pool: pool, channel: channel, replies: replies, heard: heard, missed: missed, born: time.Now(), awaited: map[string]chan string{}}
}

// Hearing tells whether all is heard that was said by now. Where it is false, nothing known can be relied on.
func (b *Broadcast) Hearing(now time.Time) bool { return int64(now.Sub(b.born)) < b.until.Load() }

// Listen hears until ctx ends, over a connection of its own that it makes anew whenever it breaks.
func (b *Broadcast) Listen(ctx context.Context) error {
	for {
		err := b.listen(ctx)
		b.until.Store(0)
		b.missed()
		if ctx.Err() != nil {
			return nil
		}
		slog.WarnContext(ctx, "other instances are not heard", "channel", b.channel, "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(again):
		}
	}
}

func (b *Broadcast) listen(ctx context.Context) error {
	starting, cancel := context.WithTimeout(ctx, 2*lease)
	defer cancel()
	conn, err := pgx.ConnectConfig(starting, b.pool.Config().ConnConfig)
	if err != nil {
		return err
	}
	defer func() { _ = conn.PgConn().Conn().Close() }() // no farewell: it may be half open
	proof := time.Now()
	// Known by its name only once it listens: nobody waits for a confirmation of what was said before.
	for _, sql := range []string{"LISTEN " + b.channel + "; LISTEN " + b.replies + "; SET synchronous_commit = off", "SET application_name = " + b.channel} {
		if _, err := conn.Exec(starting, sql); err != nil {
			return err
		}
	}
	b.missed()
	ended, end := context.WithCancel(ctx)
	end()
	for {
		n, err := conn.WaitForNotification(ended) // came along with an answer: heard before the lease grows
		if err != nil {
			b.until.Store(int64(proof.Add(lease).Sub(b.born)))
			waiting, cancel := context.WithDeadline(ctx, proof.Add(beat))
			n, err = conn.WaitForNotification(waiting)
			cancel()
		}
		sql, args := "SELECT", []any(nil)
		if err == nil {
			sql, args = b.take(n, conn.PgConn().PID())
		} else if ctx.Err() != nil || !pgconn.Timeout(err) {
			return err
		}
		if sql == "" {
			continue
		}
		sent := time.Now()
		asking, cancel := context.WithTimeout(ctx, lease)
		_, err = conn.Exec(asking, sql, args...)
		cancel()
		if err != nil {
			return err
		}
		proof = sent
	}
}

const notify = "SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, $2)" // nobody hears it after a crash

// take hears a notice, and returns the statement that confirms it if someone else said it.
func (b *Broadcast) take(n *pgconn.Notification, pid uint32) (string, []any) {
	first, rest, _ := strings.Cut(n.Payload, " ")
	if n.Channel == b.replies {
		b.confirm(first, rest)
		return "", nil
	}
	number, payload, _ := strings.Cut(rest, " ")
	listener := strconv.FormatUint(uint64(pid), 10)
	if first == b.replies {
		b.confirm(number, listener) // heard when it was said
		return "", nil
	}
	b.heard(payload)
	return notify, []any{first, number + " " + listener}
}

// Say tells payload to every instance, this one first, at once and even where Postgres is away: then, it returns an error.
// It waits until all have heard it, or are not Hearing any more: for 2 s at most. It takes no part in a transaction of ctx
// and goes on if ctx is cancelled, as what it tells of has happened.
func (b *Broadcast) Say(ctx context.Context, payload string) error {
	b.heard(payload)
	number := strconv.FormatUint(b.said.Add(1), 10)
	confirmed := make(chan string, 1024) // instances, more than there are
	b.mu.Lock()
	b.awaited[number] = confirmed
	b.mu.Unlock()
	defer func() { b.mu.Lock(); delete(b.awaited, number); b.mu.Unlock() }()
	saying, cancel := context.WithTimeout(context.WithoutCancel(ctx), lease)
	defer cancel()
	if _, err := b.pool.Exec(saying, notify, b.channel, b.replies+" "+number+" "+payload); err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(context.WithoutCancel(ctx), lease)
	defer cancel()
	due, err := b.listeners(waiting)
	for err != nil || len(due) > 0 { // not knowing who listens, until none can that has not heard
		select {
		case pid := <-confirmed:
			delete(due, pid)
		case <-time.After(look):
			if there, err := b.listeners(waiting); err == nil {
				maps.DeleteFunc(due, func(pid string, _ bool) bool { return !there[pid] })
			}
		case <-waiting.Done():
			slog.WarnContext(ctx, "not every instance has confirmed; what is silent relies on nothing", "channel", b.channel)
			return nil
		}
	}
	return nil
}

func (b *Broadcast) listeners(ctx context.Context) (map[string]bool, error) {
	rows, _ := b.pool.Query(ctx, "SELECT pid::text FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1", b.channel)
	pids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	all := map[string]bool{}
	for _, pid := range pids {
		all[pid] = true
	}
	return all, err
}

func (b *Broadcast) confirm(number, pid string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case b.awaited[number] <- pid: // nil, if nobody waits any more
	default:
	}
}
