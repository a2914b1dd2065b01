package broadcast_test

import (
	"context"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/db/broadcast"
	"github.com/healthe/healthe/db/dbtest"
)

const (
	eventually = 10 * time.Second
	often      = 5 * time.Millisecond
)

// instance is one of a service: what it heard, and how often it may have missed something.
type instance struct {
	*broadcast.Broadcast
	pool   *pgxpool.Pool
	mu     sync.Mutex
	words  []string
	missed atomic.Int64
	stop   context.CancelFunc
}

func (i *instance) hear(word string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.words = append(i.words, word)
}

func (i *instance) heard() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]string(nil), i.words...)
}

func (i *instance) hearing() bool { return i.Hearing(time.Now()) }

// join adds an instance that hears over the database at dsn.
func join(t *testing.T, dsn string) *instance {
	t.Helper()
	pool, err := pgxpool.New(context.WithoutCancel(t.Context()), dsn)
	require.NoError(t, err)
	i := &instance{pool: pool}
	i.Broadcast = broadcast.New(pool, "news", i.hear, func() { i.missed.Add(1) })
	ctx, stop := context.WithCancel(t.Context())
	i.stop = stop
	done := make(chan error, 1)
	go func() { done <- i.Listen(ctx) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-done)
		pool.Close()
	})
	require.Eventually(t, i.hearing, eventually, often)
	return i
}

func TestSayIsHeardEverywhereWhenItReturns(t *testing.T) {
	t.Parallel()

	dsn := dbtest.Empty(t).Reveal()
	all := []*instance{join(t, dsn), join(t, dsn), join(t, dsn)}
	var said sync.WaitGroup
	for n, from := range all {
		said.Go(func() {
			for _, word := range []string{" a b ", "", strings.Repeat("x", broadcast.MaxPayload-1)} {
				began := time.Now()
				word = strconv.Itoa(n) + word
				assert.NoError(t, from.Say(t.Context(), word))
				for _, i := range all {
					assert.Contains(t, i.heard(), word)
				}
				assert.Less(t, time.Since(began), 2*time.Second, "it waits for confirmations, not for the time to pass")
			}
		})
	}
	said.Wait()
	for _, i := range all {
		require.Len(t, i.heard(), 9, "each once, at the one who said it too")
	}
}

func TestSayGoesOnWhenItsCallerIsGone(t *testing.T) {
	t.Parallel()

	dsn := dbtest.Empty(t).Reveal()
	one, two := join(t, dsn), join(t, dsn)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, one.Say(gone, "done"))
	require.Equal(t, []string{"done"}, two.heard())
}

func TestSayWithoutPostgresIsHeardHere(t *testing.T) {
	t.Parallel()

	pool, err := pgxpool.New(t.Context(), "postgres://nobody@127.0.0.1:1/none")
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	var heard string
	b := broadcast.New(pool, "news", func(word string) { heard = word }, func() {})
	require.Error(t, b.Say(t.Context(), "alone"))
	require.Equal(t, "alone", heard)
	require.False(t, b.Hearing(time.Now()))
}

func TestSayRefusesWhatPostgresCannotCarry(t *testing.T) {
	t.Parallel()

	require.ErrorContains(t, join(t, dbtest.Empty(t).Reveal()).Say(t.Context(), strings.Repeat("x", 8000)), "payload")
}

func TestListenComesBack(t *testing.T) {
	t.Parallel()

	dsn := dbtest.Empty(t).Reveal()
	one, two := join(t, dsn), join(t, dsn)
	missed := two.missed.Load()
	_, err := one.pool.Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'news'")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return two.missed.Load() >= missed+2 && two.hearing() }, eventually, often, "once when it broke, once before it is whole")
	require.NoError(t, one.Say(t.Context(), "again"))
	require.Equal(t, []string{"again"}, two.heard())
}

func TestSayDoesNotWaitForWhoHasGone(t *testing.T) {
	t.Parallel()

	dsn := dbtest.Empty(t).Reveal()
	one, two := join(t, dsn), join(t, dsn)
	two.stop()
	require.Eventually(t, func() bool { return !two.hearing() }, eventually, often)
	began := time.Now()
	require.NoError(t, one.Say(t.Context(), "alone"))
	require.Less(t, time.Since(began), time.Second)
}

// TestAHalfOpenConnectionIsNoticed has a listener whose connection stands, but carries nothing any more.
func TestAHalfOpenConnectionIsNoticed(t *testing.T) {
	t.Parallel()

	dsn := dbtest.Empty(t).Reveal()
	wire := newWire(t, dsn)
	one, two := join(t, dsn), join(t, wire.dsn)
	wire.cut.Store(true)
	require.NoError(t, one.Say(t.Context(), "unheard"))
	require.False(t, two.hearing(), "when Say returns, who has not heard it knows that it does not hear")
	require.Empty(t, two.heard())

	missed := two.missed.Load()
	wire.cut.Store(false) // for connections made from now on
	require.Eventually(t, func() bool { return two.hearing() && two.missed.Load() > missed }, eventually, often)
	require.NoError(t, one.Say(t.Context(), "heard"))
	require.Contains(t, two.heard(), "heard")
}

// wire passes bytes on to Postgres until it is cut; a connection that met the cut stays silent and open.
type wire struct {
	dsn string
	cut atomic.Bool
}

func newWire(t *testing.T, dsn string) *wire {
	t.Helper()
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	target := u.Host
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { ln.Close() })
	u.Host = ln.Addr().String()
	w := &wire{dsn: u.String()}
	go func() {
		for {
			client, err := ln.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", target)
			if err != nil {
				client.Close()
				continue
			}
			t.Cleanup(func() { client.Close(); server.Close() })
			go w.carry(server, client)
			go w.carry(client, server)
		}
	}()
	return w
}

func (w *wire) carry(to io.Writer, from io.Reader) {
	buf := make([]byte, 32<<10)
	silent := false
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if silent = silent || w.cut.Load(); silent {
			continue
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}
