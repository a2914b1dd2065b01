package appointment

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/healthe/healthe/kit/etag"
	"github.com/healthe/healthe/kit/identity"
	api "github.com/healthe/healthe/openapi/appointment"
	"github.com/healthe/healthe/openapi/problem"
	"github.com/healthe/healthe/services/appointment/internal/store"
)

// weekdays in the order of ISO 8601, Monday first.
var weekdays = []api.WorkingDayWeekday{api.Monday, api.Tuesday, api.Wednesday, api.Thursday, api.Friday, api.Saturday, api.Sunday}

func (s *service) GetWorkingHours(ctx context.Context, _ api.GetWorkingHoursRequestObject) (api.GetWorkingHoursResponseObject, error) {
	me := identity.Caller(ctx).UserID()
	doctor, err := s.store.GetDoctor(ctx, me)
	if err != nil {
		return nil, found(err, "Doctor profile")
	}
	one, err := oneWorkingHours(ctx, s.store, me, doctor.Doctor.HoursVersion)
	if err != nil {
		return nil, err
	}
	return api.GetWorkingHours200JSONResponse{OneWorkingHoursJSONResponse: one}, nil
}

func (s *service) SetWorkingHours(ctx context.Context, req api.SetWorkingHoursRequestObject) (api.SetWorkingHoursResponseObject, error) {
	version, err := etag.Version(req.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	hours, err := hoursToDB(req.Body.Days)
	if err != nil {
		return nil, err
	}
	me := identity.Caller(ctx).UserID()
	hours.DoctorID = me
	var one api.OneWorkingHoursJSONResponse
	err = s.atOnce(ctx, func(_ pgx.Tx, q *store.Queries) error {
		now, err := q.SetHoursVersion(ctx, store.SetHoursVersionParams{ID: me, IfVersion: version})
		if err != nil {
			_, exists := q.GetDoctor(ctx, me)
			return missing(err, exists, "Doctor profile")
		}
		if err := q.DeleteWorkingHours(ctx, me); err != nil {
			return err
		}
		if err := q.CreateWorkingHours(ctx, hours); err != nil {
			return err
		}
		one, err = oneWorkingHours(ctx, q, me, now)
		return err
	})
	if err != nil {
		return nil, err
	}
	return api.SetWorkingHours200JSONResponse{OneWorkingHoursJSONResponse: one}, nil
}

// hoursToDB cuts each day into blocks of work and says everything that is wrong with them.
func hoursToDB(days []api.WorkingDay) (store.CreateWorkingHoursParams, error) {
	var p store.CreateWorkingHoursParams
	var wrong []problem.Field
	add := func(weekday int16, starts, ends int32) {
		p.Weekdays, p.StartsMin, p.EndsMin = append(p.Weekdays, weekday), append(p.StartsMin, starts), append(p.EndsMin, ends)
	}
	seen := map[api.WorkingDayWeekday]bool{}
	for i, d := range days {
		at := fmt.Sprintf("/days/%d", i)
		if seen[d.Weekday] {
			wrong = append(wrong, problem.Field{Pointer: at + "/weekday", Detail: "This weekday is there twice."})
		}
		seen[d.Weekday] = true
		starts, ends := clockToMinutes(d.StartsAt), clockToMinutes(d.EndsAt)
		if starts >= ends {
			wrong = append(wrong, problem.Field{Pointer: at + "/ends_at", Detail: "The day must end after it starts."})
			continue
		}
		weekday := int16(slices.Index(weekdays, d.Weekday) + 1) //nolint:gosec // 1 to 7
		for j, b := range d.Breaks {
			breakStarts, breakEnds := clockToMinutes(b.StartsAt), clockToMinutes(b.EndsAt)
			if breakStarts <= starts || breakEnds <= breakStarts || breakEnds >= ends {
				wrong = append(wrong, problem.Field{Pointer: fmt.Sprintf("%s/breaks/%d", at, j), Detail: "A break lies between two stretches of work, in order."})
				continue
			}
			add(weekday, starts, breakStarts)
			starts = breakEnds
		}
		add(weekday, starts, ends)
	}
	if len(wrong) > 0 {
		return p, problem.Invalid(wrong...)
	}
	return p, nil
}

func oneWorkingHours(ctx context.Context, q *store.Queries, doctor uuid.UUID, version int32) (api.OneWorkingHoursJSONResponse, error) {
	rows, err := q.ListWorkingHours(ctx, doctor)
	return api.OneWorkingHoursJSONResponse{
		Body:    api.WorkingHours{Days: hoursToAPI(rows)},
		Headers: api.OneWorkingHoursResponseHeaders{ETag: new(etag.Of(version))},
	}, err
}

// hoursToAPI puts the blocks of each weekday together again: what lies between two is a break.
func hoursToAPI(rows []store.WorkingHour) []api.WorkingDay {
	days := []api.WorkingDay{}
	for _, r := range rows {
		starts, ends := minutesToClock(r.StartsMin), minutesToClock(r.EndsMin)
		weekday := weekdays[r.Weekday-1]
		if n := len(days); n > 0 && days[n-1].Weekday == weekday {
			day := &days[n-1]
			day.Breaks = append(day.Breaks, api.Break{StartsAt: day.EndsAt, EndsAt: starts})
			day.EndsAt = ends
			continue
		}
		days = append(days, api.WorkingDay{Weekday: weekday, StartsAt: starts, EndsAt: ends, Breaks: []api.Break{}})
	}
	return days
}

// clockToMinutes reads HH:MM, which the contract has checked.
func clockToMinutes(clock string) int32 {
	hours, _ := strconv.Atoi(clock[:2])
	mins, _ := strconv.Atoi(clock[3:])
	return int32(hours*60 + mins) //nolint:gosec // at most 1440
}

func minutesToClock(m int32) string { return fmt.Sprintf("%02d:%02d", m/60, m%60) }
