package circuits

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/healthe/healthe/kit/identity"
	"github.com/healthe/healthe/kit/page"
	api "github.com/healthe/healthe/openapi/catalog"
	"github.com/healthe/healthe/openapi/problem"
	"github.com/healthe/healthe/services/catalog/internal/store"
)

var (
	errNoService = problem.NotFound("Service")
	errNobody    = problem.Forbidden("Only a person forces circuits: who did it is kept.")
	errNoReason  = problem.Invalid(problem.Field{Pointer: "/reason", Detail: "Say why, in a few words."})
)

// ListCircuits answers with what all instances see.
func (c *Circuits) ListCircuits(ctx context.Context, _ api.ListCircuitsRequestObject) (api.ListCircuitsResponseObject, error) {
	return api.ListCircuits200JSONResponse{
		Body:    c.take(ctx).Circuits,
		Headers: api.ListCircuits200ResponseHeaders{CacheControl: new("no-store")},
	}, nil
}

// ForceCircuit holds the circuit of a service open or closed on all instances, on record. Saying again what is in force
// changes nothing, and so does not take the name from it of who said it first.
func (c *Circuits) ForceCircuit(ctx context.Context, req api.ForceCircuitRequestObject) (api.ForceCircuitResponseObject, error) {
	wanted := store.CreateCircuitOverrideParams{
		Service: req.Service, State: store.ForcedState(req.Body.State), Reason: strings.TrimSpace(req.Body.Reason),
	}
	if wanted.Reason == "" {
		return nil, errNoReason
	}
	var row store.CircuitOverride
	err := c.change(ctx, req.Service, func(q *store.Queries, by uuid.UUID) error {
		var err error
		row, err = q.GetCircuitOverride(ctx, req.Service)
		if err == nil && row.State == wanted.State && row.Reason == wanted.Reason {
			return nil
		}
		if err == nil {
			_, err = q.ReleaseCircuitOverride(ctx, store.ReleaseCircuitOverrideParams{ReleasedBy: by, Service: req.Service})
		}
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		wanted.ForcedBy = by
		row, err = q.CreateCircuitOverride(ctx, wanted)
		return err
	})
	if err != nil {
		return nil, err
	}
	return api.ForceCircuit200JSONResponse(toOverride(row)), nil
}

// ReleaseCircuit lets a circuit go by itself again, on all instances.
func (c *Circuits) ReleaseCircuit(ctx context.Context, req api.ReleaseCircuitRequestObject) (api.ReleaseCircuitResponseObject, error) {
	err := c.change(ctx, req.Service, func(q *store.Queries, by uuid.UUID) error {
		_, err := q.ReleaseCircuitOverride(ctx, store.ReleaseCircuitOverrideParams{ReleasedBy: by, Service: req.Service})
		return err
	})
	if err != nil {
		return nil, err
	}
	return api.ReleaseCircuit204Response{}, nil
}

// ListCircuitOverrides answers with a page of the record.
func (c *Circuits) ListCircuitOverrides(ctx context.Context, req api.ListCircuitOverridesRequestObject) (api.ListCircuitOverridesResponseObject, error) {
	before, err := page.Decode[*uuid.UUID](req.Params.Cursor)
	if err != nil {
		return nil, err
	}
	limit := page.Limit(req.Params.Limit)
	rows, err := c.store.ListCircuitOverrides(ctx, store.ListCircuitOverridesParams{Before: before, RowLimit: limit + 1})
	if err != nil {
		return nil, err
	}
	rows, next := page.Cut(rows, limit, func(r store.CircuitOverride) uuid.UUID { return r.ID })
	return api.ListCircuitOverrides200JSONResponse{
		Body:    api.OverridePage{Items: toOverrides(rows), NextCursor: next},
		Headers: api.ListCircuitOverrides200ResponseHeaders{Link: page.Link(ctx, next)},
	}, nil
}

// change writes to the record on behalf of the caller, and makes all instances follow.
func (c *Circuits) change(ctx context.Context, service string, write func(*store.Queries, uuid.UUID) error) error {
	by := identity.Caller(ctx).UserID()
	switch {
	case c.Sources[service] == nil:
		return errNoService
	case by == uuid.Nil:
		return errNobody
	}
	err := pgx.BeginFunc(ctx, c.DB, func(tx pgx.Tx) error {
		q := store.New(tx)
		if err := q.LockCircuitOverrides(ctx); err != nil {
			return err
		}
		return write(q, by)
	})
	if err != nil {
		return err
	}
	// It is on record: what fails from here on comes right when the instance looks again.
	if err := errors.Join(c.reload(ctx), c.others.Say(ctx, service)); err != nil {
		slog.WarnContext(ctx, "an override is followed late", "service", service, "error", err)
	}
	return nil
}

// wake makes this instance look whether something was forced or released.
func (c *Circuits) wake() {
	select {
	case c.stir <- struct{}{}:
	default: // it will look anyway
	}
}

// follow keeps the circuits as they are forced. While the database is away, the last known overrides stay in force.
func (c *Circuits) follow(ctx context.Context) {
	for {
		reading, cancel := context.WithTimeout(ctx, patience)
		err := c.reload(reading)
		cancel()
		again := followPoll
		if err != nil {
			again = every
		}
		select {
		case <-ctx.Done():
			return
		case <-c.stir:
		case <-time.After(again):
		}
	}
}

// reload reads what is in force and holds the circuits to it.
func (c *Circuits) reload(ctx context.Context) error {
	c.following.Lock()
	defer c.following.Unlock()
	rows, err := c.store.ListCircuitOverridesInForce(ctx)
	if err != nil {
		return err
	}
	wanted := map[string]*api.OverrideState{}
	for _, row := range rows {
		wanted[row.Service] = new(api.OverrideState(row.State))
	}
	for name, source := range c.Sources {
		source.Force(wanted[name])
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inForce = toOverrides(rows)
	return nil
}

func toOverrides(rows []store.CircuitOverride) []api.Override {
	all := make([]api.Override, len(rows))
	for i, row := range rows {
		all[i] = toOverride(row)
	}
	return all
}

func toOverride(row store.CircuitOverride) api.Override {
	o := api.Override{
		Service: row.Service, State: api.OverrideState(row.State), Reason: row.Reason,
		By: row.ForcedBy, At: row.ForcedAt.UTC(), ReleasedBy: row.ReleasedBy,
	}
	if row.ReleasedAt != nil {
		o.ReleasedAt = new(row.ReleasedAt.UTC())
	}
	return o
}
