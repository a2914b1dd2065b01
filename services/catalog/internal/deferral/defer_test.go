package deferral

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/kit/identity"
	"github.com/healthe/healthe/openapi/problem"
)

func TestDefer(t *testing.T) { // CAT-6, CAT-7
	t.Parallel()

	t.Run("the same key is the same operation", func(t *testing.T) {
		t.Parallel()

		b, user := newBench(t), uuid.New()
		id := b.takes(user, "k")
		again, err := b.Defer(t.Context(), booking(user, "k", "{}"))
		require.NoError(t, err)
		require.Equal(t, id, again.Id)
		_, err = b.Defer(t.Context(), booking(user, "k", `{"other": 1}`))
		require.ErrorIs(t, err, errOtherRequest)

		require.NotEqual(t, id, b.takes(uuid.New(), "k"), "somebody else's key is another")
		app := booking(user, "k", "{}")
		app.Caller.ClientID = "fitness-app"
		other, err := b.Defer(t.Context(), app)
		require.NoError(t, err)
		require.NotEqual(t, id, other.Id, "and so is an application's")

		b.tries(id)
		again, err = b.Defer(t.Context(), booking(user, "k", "{}"))
		require.NoError(t, err)
		require.Equal(t, id, again.Id)
		require.Equal(t, http.StatusCreated, again.Result.Status, "also when it is over")
	})

	t.Run("what came to nothing is not promised again", func(t *testing.T) {
		t.Parallel()

		b, user := newBench(t), uuid.New()
		failed := b.takes(user, "failed")
		b.service.does(says(http.StatusConflict, "slot-taken"), nil)
		b.tries(failed)
		withdrawn := b.takes(user, "withdrawn")
		require.NoError(t, b.Withdraw(t.Context(), identity.Identity{Subject: user.String()}, withdrawn))
		for _, key := range []string{"failed", "withdrawn"} {
			_, err := b.Defer(t.Context(), booking(user, key, "{}"))
			require.ErrorIs(t, err, errEnded, key)
			_, err = b.Defer(t.Context(), booking(user, key, `{"other": 1}`))
			require.ErrorIs(t, err, errOtherRequest, key)
		}
		b.takes(user, "another")
	})

	t.Run("a key is free again after a day", func(t *testing.T) {
		t.Parallel()

		b, user := newBench(t), uuid.New()
		id := b.takes(user, "k")
		b.tries(id)
		_, err := b.db.Exec(t.Context(), "UPDATE operations SET created_at = now() - interval '25 hours'")
		require.NoError(t, err)
		op, err := b.Defer(t.Context(), booking(user, "k", `{"other": 1}`))
		require.NoError(t, err)
		require.NotEqual(t, id, op.Id)
	})

	t.Run("one key at once is one operation", func(t *testing.T) {
		t.Parallel()

		b, user := newBench(t), uuid.New()
		ids := make([]uuid.UUID, 20)
		var wg sync.WaitGroup
		for i := range ids {
			wg.Go(func() {
				op, err := b.Defer(t.Context(), booking(user, "k", "{}"))
				if err != nil {
					t.Error(err)
				}
				ids[i] = op.Id
			})
		}
		wg.Wait()
		for _, id := range ids {
			require.Equal(t, ids[0], id)
		}
	})

	t.Run("only so many wait, however many ask at once", func(t *testing.T) {
		t.Parallel()

		b, user := newBench(t), uuid.New()
		refused := make(chan error, 30)
		var wg sync.WaitGroup
		for i := range cap(refused) {
			wg.Go(func() {
				_, err := b.Defer(t.Context(), booking(user, fmt.Sprint(i), "{}"))
				refused <- err
			})
		}
		wg.Wait()
		close(refused)
		taken := 0
		for err := range refused {
			if err == nil {
				taken++
				continue
			}
			require.ErrorIs(t, err, errTooMany)
		}
		require.Equal(t, maxPending, taken)
		b.takes(uuid.New(), "k") // another user's bound is another
		pending, _, err := b.Backlog(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, maxPending+1, pending)
	})

	t.Run("nobody to act for", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		machine := booking(uuid.New(), "k", "{}")
		machine.Caller.Subject = "appointment"
		_, err := b.Defer(t.Context(), machine)
		require.ErrorIs(t, err, problem.Unavailable(""))
	})

	t.Run("the database is away", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		b.db.Close()
		_, err := b.Defer(t.Context(), booking(uuid.New(), "k", "{}"))
		require.Error(t, err, "what is not stored is not accepted")
	})
}

func TestPending(t *testing.T) {
	t.Parallel()

	b, user := newBench(t), uuid.New()
	id := b.takes(user, "k")
	for service, want := range map[string]bool{"appointment": true, "mailing": false} {
		pending, err := b.Pending(t.Context(), user, service)
		require.NoError(t, err)
		require.Equal(t, want, pending, service)
	}
	b.tries(id)
	pending, err := b.Pending(t.Context(), user, "appointment")
	require.NoError(t, err)
	require.False(t, pending)
}

func TestPace(t *testing.T) {
	t.Parallel()

	for waited, want := range map[time.Duration]time.Duration{
		0: time.Second, 2 * time.Second: time.Second, 10 * time.Second: 5 * time.Second, time.Minute: 30 * time.Second, time.Hour: 30 * time.Second,
	} {
		require.Equal(t, want, pace(waited), waited)
	}
}

// TestWhatIsErased looks into the database itself: what ended keeps nothing that the user wrote.
func TestWhatIsErased(t *testing.T) {
	t.Parallel()

	b, user := newBench(t), uuid.New()
	b.tries(b.takes(user, "k"))
	_, err := b.db.Exec(t.Context(), "UPDATE operations SET body = 'x'")
	require.ErrorContains(t, err, "operations_erased_check")

	hashes := func() (n int) {
		require.NoError(t, b.forget(t.Context(), nil))
		require.NoError(t, b.db.QueryRow(t.Context(), "SELECT count(request_hash) FROM operations").Scan(&n))
		return n
	}
	require.Equal(t, 1, hashes(), "the key still tells requests apart")
	_, err = b.db.Exec(t.Context(), "UPDATE operations SET created_at = now() - interval '25 hours'")
	require.NoError(t, err)
	require.Zero(t, hashes(), "what one could guess what they wrote by")

	_, err = b.db.Exec(t.Context(), "UPDATE operations SET ended_at = now() - interval '29 days'")
	require.NoError(t, err)
	waiting := b.takes(user, "other")
	require.NoError(t, b.forget(t.Context(), nil))
	rows := func() (n int) {
		require.NoError(t, b.db.QueryRow(t.Context(), "SELECT count(*) FROM operations").Scan(&n))
		return n
	}
	require.Equal(t, 2, rows())
	_, err = b.db.Exec(t.Context(), "UPDATE operations SET ended_at = now() - interval '31 days' WHERE ended_at IS NOT NULL")
	require.NoError(t, err)
	require.NoError(t, b.forget(t.Context(), nil))
	require.Equal(t, 1, rows())
	require.Equal(t, waiting, b.get(user, waiting).Id)
}
