package deferral

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/kit/identity"
	"github.com/healthe/healthe/openapi/deferred"
	"github.com/healthe/healthe/openapi/problem"
)

func TestReplay(t *testing.T) { // CAT-6
	t.Parallel()

	t.Run("sends what the user sent, as the user", func(t *testing.T) {
		t.Parallel()

		b, user := newBench(t), uuid.New()
		id := b.takes(user, "k")
		b.tries(id)
		r := b.service.last()
		require.Equal(t, "/appointment/v1/appointments?a=%2F&b", r.RequestURI)
		require.Equal(t, "k", r.Header.Get("Idempotency-Key"))
		require.Equal(t, "application/json", r.Header.Get("Content-Type"))
		require.Equal(t, `"3"`, r.Header.Get("If-Match"))
		require.Equal(t, "again signed for "+user.String(), r.Header.Get("X-Healthe-Identity"))
		require.NotEmpty(t, r.Header.Get("X-Request-Id"))
		require.Empty(t, r.Header.Get("Cookie")+r.Header.Get("Authorization"), "nothing that one could log in with is kept")

		op := b.get(user, id)
		require.Equal(t, deferred.Succeeded, op.State)
		require.Equal(t, http.StatusCreated, op.Result.Status)
		require.Equal(t, "/appointment/v1/appointments/1", *op.Result.Location)
		require.Equal(t, 1, op.Tries)
		require.Empty(t, b.mails(), "whoever waits sees it")

		b.tries(id)
		require.Equal(t, 1, b.get(user, id).Tries, "what is over is not tried")
	})

	t.Run("tells of what took long", func(t *testing.T) {
		t.Parallel()

		b, user := newBench(t), uuid.New()
		id := b.takes(user, "k")
		b.now = func() time.Time { return time.Now().Add(2 * slow) }
		b.tries(id)
		require.Equal(t, []string{"operation_succeeded"}, b.mails())
		require.Equal(t, user, *b.mail.sent[0].Recipients[0].UserID)
		require.Equal(t, map[string]string{"url": "https://healthe.example/catalog/v1/operations/" + id.String()}, *b.mail.sent[0].Data)
	})

	t.Run("says what the service refused", func(t *testing.T) {
		t.Parallel()

		b, user := newBench(t), uuid.New()
		id := b.takes(user, "k")
		b.service.does(says(http.StatusConflict, "slot-taken"), nil) // it went to somebody else meanwhile
		b.tries(id)
		op := b.get(user, id)
		require.Equal(t, deferred.Failed, op.State)
		require.Equal(t, problem.Base+"slot-taken", op.Problem.Type)
		require.Equal(t, http.StatusConflict, op.Problem.Status)
		require.Equal(t, []string{"operation_failed"}, b.mails())
	})

	for name, answer := range map[string]http.HandlerFunc{
		"is out":                      says(http.StatusServiceUnavailable, "unavailable"),
		"has a bug":                   says(http.StatusInternalServerError, "internal"),
		"hangs up":                    resets,
		"is at it already":            says(http.StatusConflict, "idempotency-key-running"),
		"is asked too often":          says(http.StatusTooManyRequests, "too-many-requests"),
		"got the identity late":       says(http.StatusUnauthorized, "unauthenticated"),
		"is not what answered":        plain(http.StatusNotFound),
		"is not what answered a 403":  plain(http.StatusForbidden, "text/html"),
		"moved":                       plain(http.StatusFound),
		"was slow to read":            plain(http.StatusRequestTimeout),
		"is not known to the gateway": gatewaysOwn,
	} {
		t.Run("tries again when the service "+name, func(t *testing.T) {
			t.Parallel()

			b, user := newBench(t), uuid.New()
			id := b.takes(user, "k")
			b.service.does(answer, nil)
			b.tries(id)
			op := b.get(user, id)
			require.Equal(t, deferred.Pending, op.State)
			require.Equal(t, 1, op.Tries)
			b.service.does(nil, nil)
			b.tries(id)
			require.Equal(t, deferred.Succeeded, b.get(user, id).State)
			require.Len(t, b.service.keys(), 1)
		})
	}

	for name, answer := range map[string]http.HandlerFunc{
		"has a bug":    says(http.StatusInternalServerError, "internal"),
		"does not yet": says(http.StatusNotImplemented, "not-implemented"),
	} {
		t.Run("lets the next one go on when the service "+name, func(t *testing.T) {
			t.Parallel()

			b, user := newBench(t), uuid.New()
			id, next := b.takes(user, "1"), b.takes(user, "2")
			b.service.does(answer, nil)
			for n := range maxFaults - 1 {
				b.tries(id)
				require.Equal(t, deferred.Pending, b.get(user, id).State, n)
				_, wait, err := b.Get(t.Context(), identity.Identity{Subject: user.String()}, id)
				require.NoError(t, err)
				require.Greater(t, *wait, 25, "it may be mended meanwhile")
			}
			b.tries(id)
			op := b.get(user, id)
			require.Equal(t, deferred.Failed, op.State)
			require.Equal(t, maxFaults, op.Tries)
			require.GreaterOrEqual(t, op.Problem.Status, 500)
			require.Equal(t, []string{"operation_failed"}, b.mails())
			b.service.does(nil, nil)
			b.tries(next)
			require.Equal(t, deferred.Succeeded, b.get(user, next).State)
		})
	}

	for name, answer := range map[string]http.HandlerFunc{
		"502": says(http.StatusBadGateway, "unavailable"), "503": says(http.StatusServiceUnavailable, "unavailable"),
		"504": says(http.StatusGatewayTimeout, "timeout"), "500 of somebody on the way": plain(http.StatusInternalServerError),
	} {
		t.Run("goes on for as long as it takes after a "+name, func(t *testing.T) {
			t.Parallel()

			b, user := newBench(t), uuid.New()
			id := b.takes(user, "k")
			b.service.does(answer, nil)
			for range 2 * maxFaults {
				b.tries(id)
			}
			require.Equal(t, deferred.Pending, b.get(user, id).State)
		})
	}

	t.Run("does once what was done unheard", func(t *testing.T) { // CAT-7
		t.Parallel()

		b, user := newBench(t), uuid.New()
		id := b.takes(user, "k")
		b.service.does(nil, func() { panic(http.ErrAbortHandler) })
		b.tries(id)
		require.Equal(t, deferred.Pending, b.get(user, id).State)
		b.service.does(nil, nil)
		b.tries(id)
		require.Equal(t, deferred.Succeeded, b.get(user, id).State)
		require.Len(t, b.service.keys(), 1)
	})

	t.Run("asks nobody while the circuit is open", func(t *testing.T) {
		t.Parallel()

		b, user := newBench(t), uuid.New()
		id := b.takes(user, "k")
		b.cfg.Out = func(service string) bool { return service == "appointment" }
		b.tries(id)
		require.Equal(t, 0, b.get(user, id).Tries)
		require.Empty(t, b.service.keys())
		require.Zero(t, b.auth.asked.Load(), "no exchange, and nothing on its record")
		b.cfg.Out = nil
		b.tries(id)
		require.Equal(t, deferred.Succeeded, b.get(user, id).State)
		require.EqualValues(t, 1, b.auth.asked.Load())
	})

	t.Run("gives up in time", func(t *testing.T) {
		t.Parallel()

		b, user := newBench(t), uuid.New()
		id := b.takes(user, "k")
		b.service.does(says(http.StatusServiceUnavailable, "unavailable"), nil)
		b.now = func() time.Time { return time.Now().Add(lifetime - 2*time.Second) }
		b.tries(id)
		var due, expires time.Time
		require.NoError(t, b.db.QueryRow(t.Context(), "SELECT due_at, expires_at FROM operations").Scan(&due, &expires))
		require.Equal(t, expires, due, "not later than that")
		b.service.does(nil, nil)
		b.now = func() time.Time { return time.Now().Add(lifetime) }
		b.tries(id)
		op := b.get(user, id)
		require.Equal(t, deferred.Failed, op.State)
		require.Equal(t, errExpired.Type, op.Problem.Type)
		require.Equal(t, []string{"operation_failed"}, b.mails())
		require.Empty(t, b.service.keys(), "services may have forgotten the key")
	})
}

// gatewaysOwn is Traefik's answer where it has never heard of a service.
func gatewaysOwn(w http.ResponseWriter, r *http.Request) {
	problem.Write(w, r, problem.New(http.StatusNotFound, "not-found", "Not found", nothingThere))
}

func TestReplayNeedsAnIdentity(t *testing.T) {
	t.Parallel()

	refused := problem.New(http.StatusForbidden, "exchange-refused", "Refused", "No.")
	for name, tt := range map[string]struct {
		answer *problem.Problem
		want   deferred.DeferredOperationState
	}{
		"the user may not act any more": {refused, deferred.Failed},
		"auth is out":                   {problem.Unavailable("Sign-in"), deferred.Pending},
		"we may not ask":                {problem.Forbidden("No."), deferred.Pending},
		"we are not known":              {problem.Unauthenticated("No."), deferred.Pending},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			b, user := newBench(t), uuid.New()
			id := b.takes(user, "k")
			b.auth.refuses = tt.answer
			b.tries(id)
			op := b.get(user, id)
			require.Equal(t, tt.want, op.State)
			require.Equal(t, 0, op.Tries, "the service was not asked")
			require.Empty(t, b.service.keys())
			if tt.want == deferred.Failed {
				require.Equal(t, errNotAllowed.Type, op.Problem.Type)
				require.Equal(t, []string{"operation_failed"}, b.mails())
			}
		})
	}
}

// TestLease: no lock is held while the service is asked, and who is asked for too long loses their turn.
func TestLease(t *testing.T) {
	t.Parallel()

	// begins makes a try that hangs in the service until release, and has ended when it returns.
	begins := func(b *bench, ctx context.Context, id uuid.UUID) (release func()) {
		begun, hung, ended := make(chan struct{}), make(chan struct{}), make(chan error)
		b.service.does(nil, func() { close(begun); <-hung })
		go func() {
			ended <- (&replayer{deferral: b.Deferral}).Work(ctx, &river.Job[replayJob]{Args: replayJob{id}})
		}()
		<-begun
		b.service.does(nil, nil)
		return func() { b.t.Helper(); close(hung); require.NoError(b.t, <-ended) }
	}

	t.Run("holds no connection, and nobody else begins", func(t *testing.T) {
		t.Parallel()

		b, user := newBench(t), uuid.New()
		id := b.takes(user, "k")
		release := begins(b, t.Context(), id)
		require.Zero(t, b.db.Pool().Stat().AcquiredConns())
		_, wait, err := b.Get(t.Context(), identity.Identity{Subject: user.String()}, id)
		require.NoError(t, err)
		require.Equal(t, 1, *wait, "worth asking before the lease is over")
		b.tries(id)
		require.EqualValues(t, 1, b.auth.asked.Load())
		release()
		require.Equal(t, deferred.Succeeded, b.get(user, id).State)
	})

	for name, withdrawn := range map[string]bool{"is taken over when it is over": false, "keeps nobody from withdrawing when it is over": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			b, user := newBench(t), uuid.New()
			id := b.takes(user, "k")
			release := begins(b, t.Context(), id)
			_, err := b.db.Exec(t.Context(), "UPDATE operations SET due_at = now() - interval '1 hour'")
			require.NoError(t, err)
			want := deferred.Withdrawn
			if withdrawn {
				require.NoError(t, b.Withdraw(t.Context(), identity.Identity{Subject: user.String()}, id))
			} else {
				want = deferred.Failed
				b.service.does(says(http.StatusConflict, "slot-taken"), nil)
				require.NoError(t, b.recover(t.Context()))
				b.tries(id)
			}
			release()
			require.Equal(t, want, b.get(user, id).State, "a late verdict is dropped")
		})
	}

	t.Run("ends with the verdict when the process stops", func(t *testing.T) {
		t.Parallel()

		b, user := newBench(t), uuid.New()
		id := b.takes(user, "k")
		ctx, stop := context.WithCancel(t.Context())
		release := begins(b, ctx, id)
		stop()
		require.Eventually(t, func() bool { return b.get(user, id).Tries == 1 }, time.Minute, 5*time.Millisecond)
		release()
		require.Equal(t, deferred.Pending, b.get(user, id).State, "nobody heard what the service said")
		b.tries(id) // and not behind the lease
		require.Equal(t, deferred.Succeeded, b.get(user, id).State)

		id = b.takes(user, "heard")
		ctx, stop = context.WithCancel(t.Context())
		b.cfg.Upstream = func(string) http.RoundTripper { return stopper(stop) }
		require.NoError(t, (&replayer{deferral: b.Deferral}).Work(ctx, &river.Job[replayJob]{Args: replayJob{id}}))
		require.Error(t, ctx.Err())
		require.Equal(t, deferred.Succeeded, b.get(user, id).State)
	})
}

// stopper stops the process as soon as the service has answered.
type stopper func()

func (s stopper) RoundTrip(*http.Request) (*http.Response, error) {
	s()
	return &http.Response{StatusCode: http.StatusCreated, Header: http.Header{}, Body: http.NoBody}, nil
}

// TestBusyWorkers: what hangs does not add up.
func TestBusyWorkers(t *testing.T) {
	t.Parallel()

	t.Run("auth keeps a worker for a moment", func(t *testing.T) {
		t.Parallel()

		b, user := newBench(t), uuid.New()
		id := b.takes(user, "k")
		b.auth.hangs = true
		start := time.Now()
		b.tries(id)
		require.Less(t, time.Since(start), 2*exchangeTime)
		require.Equal(t, deferred.Pending, b.get(user, id).State)
		require.Empty(t, b.service.keys())
	})

	t.Run("one job waits for each write", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		b.takes(uuid.New(), "k")
		b.takes(uuid.New(), "k")
		sweeps := func() (available int) {
			for range 3 {
				_, err := b.db.Exec(t.Context(), "UPDATE operations SET due_at = now() - interval '1 hour'")
				require.NoError(t, err)
				require.NoError(t, b.recover(t.Context()))
			}
			require.NoError(t, b.db.QueryRow(t.Context(), "SELECT count(*) FROM river_job WHERE kind = 'replay' AND state = 'available'").Scan(&available))
			return available
		}
		require.Equal(t, 2, sweeps())
		for _, lost := range []string{
			"UPDATE river_job SET state = 'scheduled', scheduled_at = now() - interval '1 hour'",       // and nobody leads
			"UPDATE river_job SET state = 'running', attempted_at = now() WHERE state = 'available'",   // and the process died
			"UPDATE river_job SET state = 'discarded', finalized_at = now() WHERE state = 'available'", // the database was away
		} {
			_, err := b.db.Exec(t.Context(), lost)
			require.NoError(t, err)
			require.Equal(t, 2, sweeps(), lost)
		}
	})
}

func TestOrder(t *testing.T) {
	t.Parallel()

	b, user := newBench(t), uuid.New()
	first, second := b.takes(user, "1"), b.takes(user, "2")
	elsewhere := booking(user, "3", "{}")
	elsewhere.Service, elsewhere.Operation = "mailing", "sendMessage"
	third, err := b.Defer(t.Context(), elsewhere)
	require.NoError(t, err)
	stranger := b.takes(uuid.New(), "1")

	b.tries(second)
	require.Empty(t, b.service.keys(), "behind the first")
	b.tries(third.Id)
	b.tries(stranger)
	require.Len(t, b.service.keys(), 2, "another service and another user wait for nobody")

	b.service.does(says(http.StatusConflict, "slot-taken"), nil)
	b.tries(first)
	require.Equal(t, deferred.Failed, b.get(user, first).State)
	b.service.does(nil, nil)
	var jobs int
	require.NoError(t, b.db.QueryRow(t.Context(),
		"SELECT count(*) FROM river_job WHERE kind = 'replay' AND state = 'available' AND args->>'id' = $1", second.String()).Scan(&jobs))
	require.Equal(t, 2, jobs, "one from its start, one now that it is its turn")
	b.tries(second)
	require.Equal(t, deferred.Succeeded, b.get(user, second).State)
}

func TestWithdrawnIsNotCarriedOut(t *testing.T) {
	t.Parallel()

	b, user := newBench(t), uuid.New()
	me := identity.Identity{Subject: user.String()}
	first, second := b.takes(user, "1"), b.takes(user, "2")

	begun, release, tried := make(chan struct{}), make(chan struct{}), make(chan struct{})
	b.service.does(nil, func() { close(begun); <-release })
	go func() {
		defer close(tried)
		if err := (&replayer{deferral: b.Deferral}).Work(t.Context(), &river.Job[replayJob]{Args: replayJob{first}}); err != nil {
			t.Error(err)
		}
	}()
	<-begun
	require.ErrorIs(t, b.Withdraw(t.Context(), me, first), errAtWork)
	require.NoError(t, b.Withdraw(t.Context(), me, second), "the one behind it is nobody's yet")
	require.ErrorIs(t, b.Withdraw(t.Context(), me, first), errAtWork, "and the first is not let go by that")
	close(release)
	<-tried
	require.ErrorIs(t, b.Withdraw(t.Context(), me, first), errEnded)
	b.service.does(nil, nil)
	b.tries(second)
	require.Len(t, b.service.keys(), 1)
	require.Empty(t, b.mails())
}

func TestJudge(t *testing.T) {
	t.Parallel()

	v := judge(http.StatusServiceUnavailable, http.Header{"Retry-After": {"3600"}}, nil, nil)
	require.Equal(t, longestPause, v.wait, "a service is not asked later than it would be anyhow")
	v = judge(http.StatusBadRequest, http.Header{"Content-Type": {"application/problem+json"}}, []byte(`{"type": "https`), errors.New("cut off"))
	require.Equal(t, "pending", string(v.state), "half a refusal is none")
}
