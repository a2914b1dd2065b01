package deferral

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/db/dbtest"
	"github.com/healthe/healthe/kit/config"
	"github.com/healthe/healthe/kit/postgres"
)

// instance is one catalog process, as far as it concerns deferred writes.
type instance struct {
	*Deferral
	name string
	db   *postgres.DB
	dead atomic.Bool
	stop context.CancelFunc
	gone sync.WaitGroup
}

func startInstance(t *testing.T, url config.Secret, name string, s *fakeService) *instance {
	t.Helper()
	cfg, err := pgxpool.ParseConfig(url.Reveal())
	require.NoError(t, err)
	cfg.ConnConfig.RuntimeParams["application_name"] = name
	cfg.MaxConns = 16
	i := &instance{name: name}
	cfg.AfterConnect = func(context.Context, *pgx.Conn) error { // not before: kill does not see a connection that is being made
		if i.dead.Load() {
			return errors.New("killed")
		}
		return nil
	}
	pool, err := pgxpool.NewWithConfig(context.WithoutCancel(t.Context()), cfg)
	require.NoError(t, err)
	i.db = postgres.New(pool)
	i.Deferral = newDeferral(t, i.db, s, &fakeAuth{}, &fakeMail{})
	i.tryTime, i.leaseTime = 400*time.Millisecond, 500*time.Millisecond
	i.overdue, i.sweepEvery = 100*time.Millisecond, 50*time.Millisecond
	i.pace = func(time.Duration) time.Duration { return 5 * time.Millisecond }
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	i.stop = stop
	for _, f := range i.Background() {
		i.gone.Go(func() { _ = f(ctx) })
	}
	return i
}

// kill is what kill -9 is to the database and to the services: the connections are gone for good, and what was sent was sent.
func (i *instance) kill(t *testing.T, url config.Secret) {
	t.Helper()
	i.dead.Store(true)
	i.stop()
	pool, err := pgxpool.New(t.Context(), url.Reveal())
	require.NoError(t, err)
	defer pool.Close()
	_, err = pool.Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database()", i.name)
	require.NoError(t, err)
	i.gone.Wait()
	i.db.Close()
}

// moody answers well or ill by chance: it is out, hangs up before or after it is done, or takes its time.
func moody(s *fakeService) {
	s.does(func(w http.ResponseWriter, r *http.Request) {
		switch rand.N(10) {
		case 0, 1:
			says(http.StatusServiceUnavailable, "unavailable")(w, r)
			return
		case 2:
			resets(w, r)
		case 3:
			plain(http.StatusNotFound)(w, r)
			return
		case 4:
			select { // until the caller is killed, and a little beyond
			case <-r.Context().Done():
			case <-time.After(rand.N(200 * time.Millisecond)):
			}
		}
		if strings.HasSuffix(r.Header.Get("Idempotency-Key"), "refused") {
			says(http.StatusConflict, "slot-taken")(w, r)
		}
	}, func() {
		if rand.N(5) == 0 {
			panic(http.ErrAbortHandler)
		}
	})
}

// CAT-6, CAT-7: whatever service and catalog do meanwhile, what was accepted is done once, in its order, or said to be refused.
func TestEveryWriteOnceInOrder(t *testing.T) {
	t.Parallel()

	const users, writes, lives = 6, 8, 4
	url, service := dbtest.URL(t, "catalog"), newService(t)
	moody(service)

	var accepted sync.WaitGroup
	instances := [2]*instance{startInstance(t, url, "first", service), startInstance(t, url, "second", service)}
	entry, err := pgxpool.New(t.Context(), url.Reveal())
	require.NoError(t, err)
	defer entry.Close()
	door := newDeferral(t, postgres.New(entry), service, &fakeAuth{}, &fakeMail{})
	for range users {
		user := uuid.New()
		accepted.Go(func() {
			for n := range writes {
				key := fmt.Sprintf("%02d", n)
				if n == writes/2 {
					key += "refused"
				}
				if _, err := door.Defer(context.WithoutCancel(t.Context()), booking(user, key, "{}")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for life := range lives {
		victim := instances[life%2]
		reached := len(service.keys()) + 3
		require.Eventually(t, func() bool { return len(service.keys()) >= min(reached, users*(writes-1)) }, time.Minute, 5*time.Millisecond)
		victim.kill(t, url)
		instances[life%2] = startInstance(t, url, fmt.Sprintf("%s again", victim.name), service)
	}
	accepted.Wait()
	service.does(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.Header.Get("Idempotency-Key"), "refused") {
			says(http.StatusConflict, "slot-taken")(w, r)
		}
	}, nil)
	require.Eventually(t, func() bool {
		pending, _, err := door.Backlog(t.Context())
		return err == nil && pending == 0
	}, time.Minute, 20*time.Millisecond)
	for _, i := range instances {
		i.stop()
		i.gone.Wait()
		i.db.Close()
	}

	done := map[string][]string{}
	for _, name := range service.keys() {
		who, key, _ := strings.Cut(name, "\x1f")
		done[who] = append(done[who], key)
	}
	require.Len(t, done, users)
	for who, keys := range done {
		require.Len(t, keys, writes-1, "each once, the refused one never")
		require.True(t, slices.IsSorted(keys), "%s: %v", who, keys)
	}
	rows, err := entry.Query(t.Context(), "SELECT state::text, count(*) FROM operations GROUP BY state")
	require.NoError(t, err)
	defer rows.Close()
	states := map[string]int{}
	for rows.Next() {
		var state string
		var n int
		require.NoError(t, rows.Scan(&state, &n))
		states[state] = n
	}
	require.Equal(t, map[string]int{"succeeded": users * (writes - 1), "failed": users}, states)
}
