package appointment

import (
	"context"
	_ "embed"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/healthe/healthe/kit/page"
	api "github.com/healthe/healthe/openapi/appointment"
	"github.com/healthe/healthe/openapi/problem"
)

const longestSearch = 31 // days

// Read by pgx itself, with named parameters: sqlc does not understand a WITH inside a LATERAL.
//
//go:embed slots.sql
var listSlots string

var (
	errWhoseSlots  = problem.Invalid(problem.Field{Pointer: "/query/doctor_id", Detail: "Give either doctor_id or speciality_id."})
	errSlotDays    = problem.Invalid(problem.Field{Pointer: "/query/to", Detail: "The last day is at most 30 days after the first, and not before it."})
	errSlotType    = problem.Invalid(problem.Field{Pointer: "/query/appointment_type_id", Detail: "There is no such appointment type."})
	allDay         = 24 * time.Hour
	furthestAhead  = 14 * time.Hour // the clock of no zone is further ahead of UTC
	furthestBehind = 12 * time.Hour // or behind
)

// slot is a free time of a doctor, and as such the key of a page.
type slot struct {
	StartsAt time.Time
	DoctorID uuid.UUID
}

func (s *service) ListSlots(ctx context.Context, req api.ListSlotsRequestObject) (api.ListSlotsResponseObject, error) {
	p := req.Params
	switch days := p.To.Sub(p.From.Time) / allDay; {
	case (p.DoctorID == nil) == (p.SpecialityID == nil):
		return nil, errWhoseSlots
	case days < 0 || days >= longestSearch:
		return nil, errSlotDays
	}
	after, err := page.Decode[slot](p.Cursor)
	if err != nil {
		return nil, err
	}
	kind, err := s.store.GetAppointmentType(ctx, p.AppointmentTypeID)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, errSlotType
	}
	if err != nil {
		return nil, err
	}
	limit := page.Limit(p.Limit)
	rows, err := s.freeSlots(ctx, p, kind.DurationMin, after, limit+1)
	if err != nil {
		return nil, err
	}
	rows, next := page.Cut(rows, limit, func(r slot) slot { return r })
	length := time.Duration(kind.DurationMin) * time.Minute
	return api.ListSlots200JSONResponse{
		Body: api.SlotPage{Items: each(rows, func(r slot) api.Slot {
			return api.Slot{DoctorID: r.DoctorID, StartsAt: utc(r.StartsAt), EndsAt: utc(r.StartsAt.Add(length))}
		}), NextCursor: next},
		Headers: api.ListSlots200ResponseHeaders{Link: page.Link(ctx, next)},
	}, nil
}

// freeSlots asks for the slots of whole UTC days, from the one in which the first can be to the one in which the last can.
func (s *service) freeSlots(ctx context.Context, p api.ListSlotsParams, length int32, after slot, limit int32) ([]slot, error) {
	now := s.now()
	earliest, latest := now.Add(s.rules.LeadTime), now.Add(s.rules.Horizon)
	first := later(later(p.From.Add(-furthestAhead), earliest), after.StartsAt)
	last := earlier(p.To.Add(allDay+furthestBehind), latest)
	rows, err := s.db.Query(ctx, listSlots, pgx.NamedArgs{
		"doctor_id": p.DoctorID, "speciality_id": p.SpecialityID, "duration_min": length,
		"from_day": p.From.Time, "to_day": p.To.Time, "earliest": earliest, "latest": latest,
		"first_day": first.UTC().Truncate(allDay), "last_day": last,
		"after_start": after.StartsAt, "after_doctor": after.DoctorID, "max_rows": limit, "now": now,
	})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[slot])
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
