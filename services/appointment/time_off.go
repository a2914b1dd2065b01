package appointment

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/healthe/healthe/kit/identity"
	"github.com/healthe/healthe/kit/page"
	api "github.com/healthe/healthe/openapi/appointment"
	"github.com/healthe/healthe/openapi/problem"
	"github.com/healthe/healthe/services/appointment/internal/store"
)

var (
	errTimeOffOrder = problem.Invalid(problem.Field{Pointer: "/ends_at", Detail: "It must end after it starts."})
	errTimeOffLong  = problem.Invalid(problem.Field{Pointer: "/ends_at", Detail: "It lasts more than 5 years, or starts more than 5 years ahead."})
	errTimeOffPast  = problem.Invalid(problem.Field{Pointer: "/ends_at", Detail: "It is over already."})
)

func (s *service) ListTimeOff(ctx context.Context, req api.ListTimeOffRequestObject) (api.ListTimeOffResponseObject, error) {
	after, err := page.Decode[*timeKey](req.Params.Cursor)
	if err != nil {
		return nil, err
	}
	if after == nil {
		after = &timeKey{At: s.now()}
	}
	limit := page.Limit(req.Params.Limit)
	rows, err := s.store.ListTimeOff(ctx, store.ListTimeOffParams{
		DoctorID: identity.Caller(ctx).UserID(), AfterEnd: after.At, AfterID: after.ID, MaxRows: limit + 1,
	})
	if err != nil {
		return nil, err
	}
	rows, next := page.Cut(rows, limit, func(r store.TimeOff) timeKey { return timeKey{r.EndsAt, r.ID} })
	return api.ListTimeOff200JSONResponse{
		Body:    api.TimeOffPage{Items: each(rows, timeOffToAPI), NextCursor: next},
		Headers: api.ListTimeOff200ResponseHeaders{Link: page.Link(ctx, next)},
	}, nil
}

func (s *service) CreateTimeOff(ctx context.Context, req api.CreateTimeOffRequestObject) (api.CreateTimeOffResponseObject, error) {
	t, me := req.Body, identity.Caller(ctx).UserID()
	switch {
	case !t.EndsAt.After(t.StartsAt):
		return nil, errTimeOffOrder
	case t.EndsAt.Before(s.now()):
		return nil, errTimeOffPast
	case t.StartsAt.After(s.now().AddDate(5, 0, 0)), t.EndsAt.After(t.StartsAt.AddDate(5, 0, 0)):
		return nil, errTimeOffLong
	}
	var row store.TimeOff
	err := s.atOnce(ctx, func(_ pgx.Tx, q *store.Queries) error {
		doctor, err := q.LockDoctor(ctx, me) // so that it does not outlive a profile that is being deleted
		if err != nil {
			return found(err, "Doctor profile")
		}
		if doctor.DeletedAt != nil {
			return problem.NotFound("Doctor profile")
		}
		reason := ""
		if t.Reason != nil {
			reason = *t.Reason
		}
		row, err = q.CreateTimeOff(ctx, store.CreateTimeOffParams{DoctorID: me, StartsAt: t.StartsAt, EndsAt: t.EndsAt, Reason: reason})
		return err
	})
	if err != nil {
		return nil, err
	}
	return api.CreateTimeOff201JSONResponse(timeOffToAPI(row)), nil
}

func (s *service) DeleteTimeOff(ctx context.Context, req api.DeleteTimeOffRequestObject) (api.DeleteTimeOffResponseObject, error) {
	n, err := s.store.DeleteTimeOff(ctx, store.DeleteTimeOffParams{ID: req.TimeOffID, DoctorID: identity.Caller(ctx).UserID()})
	if err := deleted(n, err); err != nil {
		return nil, found(err, "Time off")
	}
	return api.DeleteTimeOff204Response{}, nil
}

func timeOffToAPI(r store.TimeOff) api.TimeOff {
	return api.TimeOff{ID: r.ID, StartsAt: utc(r.StartsAt), EndsAt: utc(r.EndsAt), Reason: r.Reason}
}

// timeKey is where a page of a list by time starts.
type timeKey struct {
	At time.Time
	ID uuid.UUID
}
