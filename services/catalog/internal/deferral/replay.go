package deferral

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/healthe/healthe/services/catalog/internal/store"
)

const (
	longestPause = 30 * time.Second
	// slow is how long a success may take without a mail: who waits for the answer sees it.
	slow = time.Minute
)

// replayJob is one try of an operation.
type replayJob struct {
	ID uuid.UUID `json:"id"`
}

func (replayJob) Kind() string { return "replay" }

type replayer struct {
	river.WorkerDefaults[replayJob]
	deferral *Deferral
}

// Work tries an operation if it is its turn. A failure to do so is of the database; the sweep finds the operation again.
func (w *replayer) Work(ctx context.Context, job *river.Job[replayJob]) error {
	d, now := w.deferral, w.deferral.now()
	trying, cancel := context.WithTimeout(ctx, d.tryTime) // begins before the lease does, and so ends before it
	defer cancel()
	row, err := d.store.ClaimOperation(trying, store.ClaimOperationParams{
		Claim: uuid.New(), Until: now.Add(d.leaseTime), ID: job.Args.ID, Now: now.Add(time.Second),
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // over, not due, behind another, or somebody else is at it
	}
	if err != nil {
		return err
	}
	v := d.try(trying, row)
	d.metrics.tries.Add(ctx, int64(v.tried), of(row.Service))
	ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), storeTime) // what is known is kept even if this process ends
	defer cancel()
	err = pgx.BeginFunc(ctx, d.db, func(tx pgx.Tx) error {
		if v.state == store.OperationStatePending {
			return d.postpone(ctx, tx, row, v)
		}
		return d.end(ctx, tx, row, v)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		slog.WarnContext(ctx, "deferred write was taken over", "operation", row.Operation, "id", row.ID)
		return nil // what they find out counts
	}
	if err == nil && v.state != store.OperationStatePending {
		d.metrics.hasEnded(ctx, row.Service, v.state)
	}
	return err
}

// try carries an operation out, or finds out why not.
func (d *Deferral) try(ctx context.Context, row store.Operation) verdict {
	if !d.now().Before(row.ExpiresAt) {
		return verdict{state: store.OperationStateFailed, problem: errExpired}
	}
	if d.cfg.Out != nil && d.cfg.Out(row.Service) {
		return verdict{state: store.OperationStatePending}
	}
	return d.call(ctx, row)
}

// postpone makes the next try, or returns pgx.ErrNoRows if row is somebody else's by now.
func (d *Deferral) postpone(ctx context.Context, tx pgx.Tx, row store.Operation, v verdict) error {
	now := d.now()
	pause := d.pace(now.Sub(row.CreatedAt))
	pause = max(pause-rand.N(pause/4+1), min(v.wait, longestPause)) // those that failed together do not come back together
	due := now.Add(pause)
	if due.After(row.ExpiresAt) {
		due = row.ExpiresAt
	}
	slog.InfoContext(ctx, "deferred write waits", "operation", row.Operation, "id", row.ID, "error", v.cause)
	params := store.SetOperationDueParams{DueAt: due, Tried: v.tried, Now: now, ID: row.ID, Claim: row.Claim}
	if v.fault != nil {
		params.Faulted = 1
	}
	if _, err := store.New(tx).SetOperationDue(ctx, params); err != nil {
		return err
	}
	return d.enqueue(ctx, tx, due, row.ID)
}

// end writes down what became of an operation, tells the user if need be, and lets the next one go on. It returns
// pgx.ErrNoRows if row is somebody else's by now. The row is locked before the user, as Withdraw does.
func (d *Deferral) end(ctx context.Context, tx pgx.Tx, row store.Operation, v verdict) error {
	q, now := store.New(tx), d.now()
	params := store.EndOperationParams{State: v.state, Tried: v.tried, Now: now, ID: row.ID, Claim: row.Claim}
	switch v.state {
	case store.OperationStateSucceeded:
		params.Status = new(int32(v.status)) //nolint:gosec // of HTTP
		if v.location != "" {
			params.Location = &v.location
		}
	case store.OperationStateFailed:
		var err error
		if params.Problem, err = json.Marshal(v.problem); err != nil {
			return err
		}
	}
	ended, err := q.EndOperation(ctx, params)
	if err != nil {
		return err
	}
	if err := q.LockUser(ctx, row.UserID.String()); err != nil { // else one that is being added would not be seen to be next
		return err
	}
	if mail := letter(ended); mail != nil {
		if _, err := d.jobs.InsertTx(ctx, tx, *mail, nil); err != nil {
			return err
		}
	}
	next, err := q.SetNextDue(ctx, store.SetNextDueParams{Now: now, UserID: row.UserID, Service: row.Service})
	if err != nil {
		return err
	}
	slog.InfoContext(ctx, "deferred write ended", "operation", row.Operation, "id", row.ID, "state", v.state, "tries", ended.Tries)
	return d.enqueue(ctx, tx, now, next...)
}
