package deferral

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/healthe/healthe/kit/identity"
	"github.com/healthe/healthe/kit/page"
	"github.com/healthe/healthe/openapi/deferred"
	"github.com/healthe/healthe/openapi/problem"
	"github.com/healthe/healthe/services/catalog/internal/store"
)

var (
	errEnded  = problem.Conflict("operation-ended", "This write was carried out, refused or withdrawn already.")
	errAtWork = problem.Conflict("operation-running", "This write is being carried out at this moment.").RetryAfter(time.Second)
)

// List returns a page of who's operations, newest first, and the cursor of the next page. An application sees what it
// asked for itself, the user sees all. state may be empty.
func (d *Deferral) List(ctx context.Context, who identity.Identity, state string, limit *int, cursor *string) ([]deferred.DeferredOperation, *string, error) {
	before, err := page.Decode[*uuid.UUID](cursor)
	if err != nil {
		return nil, nil, err
	}
	if before == nil {
		before = &uuid.Max
	}
	params := store.ListOperationsParams{UserID: who.UserID(), ClientID: who.ClientID, BeforeID: *before, MaxRows: page.Limit(limit) + 1}
	if state != "" {
		params.State = new(store.OperationState(state))
	}
	rows, err := d.store.ListOperations(ctx, params)
	if err != nil {
		return nil, nil, err
	}
	rows, next := page.Cut(rows, page.Limit(limit), func(r store.Operation) uuid.UUID { return r.ID })
	items := make([]deferred.DeferredOperation, len(rows))
	for i, row := range rows {
		items[i] = toAPI(row)
	}
	return items, next, nil
}

// Get returns one of who's operations, and while it is pending, in how many seconds it is worth asking again.
func (d *Deferral) Get(ctx context.Context, who identity.Identity, id uuid.UUID) (deferred.DeferredOperation, *int, error) {
	row, err := d.store.GetOperation(ctx, store.GetOperationParams{ID: id, UserID: who.UserID(), ClientID: who.ClientID})
	if err != nil {
		return deferred.DeferredOperation{}, nil, missing(err)
	}
	if row.State != store.OperationStatePending {
		return toAPI(row), nil, nil
	}
	seconds := 1
	if row.Claim == nil { // else it is due when the lease is over, and known before
		seconds = max(seconds, int(row.DueAt.Sub(d.now())/time.Second)+1)
	}
	return toAPI(row), &seconds, nil
}

// Withdraw has one of who's operations not carried out any more.
func (d *Deferral) Withdraw(ctx context.Context, who identity.Identity, id uuid.UUID) error {
	var row store.Operation
	err := pgx.BeginFunc(ctx, d.db, func(tx pgx.Tx) error {
		var err error
		row, err = store.New(tx).LockOwnOperation(ctx, store.LockOwnOperationParams{ID: id, UserID: who.UserID(), ClientID: who.ClientID})
		if err != nil {
			return missing(err)
		}
		if row.State != store.OperationStatePending {
			return errEnded
		}
		if row.Claim != nil && row.DueAt.After(d.now()) {
			return errAtWork
		}
		return d.end(ctx, tx, row, verdict{state: store.OperationStateWithdrawn})
	})
	if err == nil {
		d.metrics.hasEnded(ctx, row.Service, store.OperationStateWithdrawn)
	}
	return err
}

func missing(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return problem.NotFound("Operation").Because(err)
	}
	return err
}

func toAPI(row store.Operation) deferred.DeferredOperation {
	out := deferred.DeferredOperation{
		Id: row.ID, Operation: row.Operation, State: deferred.DeferredOperationState(row.State), Tries: int(row.Tries),
		CreatedAt: row.CreatedAt.UTC(), UpdatedAt: row.UpdatedAt.UTC(), ExpiresAt: row.ExpiresAt.UTC(),
	}
	if row.Status != nil {
		out.Result = &struct {
			Location *string `json:"location,omitempty"`
			Status   int     `json:"status"`
		}{Location: row.Location, Status: int(*row.Status)}
	}
	if row.Problem != nil {
		out.Problem = &problem.Problem{}
		if err := json.Unmarshal(row.Problem, out.Problem); err != nil { // we wrote it
			slog.Error("unreadable problem", "id", row.ID, "error", err)
		}
	}
	return out
}
