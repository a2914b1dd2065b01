package catalog

import (
	"context"
	"log/slog"
	"slices"
	"sort"
	"sync"
	"time"
	_ "time/tzdata" // a container built from nothing has none, and every day would be one of UTC

	"github.com/google/uuid"
	openapi_types "github.com/oapi-codegen/runtime/types"

	"github.com/healthe/healthe/openapi/appointment"
	api "github.com/healthe/healthe/openapi/catalog"
	"github.com/healthe/healthe/openapi/problem"
)

const (
	dayAppointments = 100
	dayTimeOff      = 100
	timeOffPages    = 10 // of a hundred

	furthestAhead = 16 * time.Hour // the clock of no zone was ever further from UTC
	furthestYears = 100
)

var errFarDay = problem.Invalid(problem.Field{Pointer: "/query/date", Detail: "The day is more than 100 years away."})

func (c *composites) GetDay(ctx context.Context, req api.GetDayRequestObject) (api.GetDayResponseObject, error) {
	now := time.Now()
	if far(req.Params.Date, now) {
		return nil, errFarDay
	}
	ctx, cancel := context.WithTimeout(ctx, compositeDeadline)
	defer cancel()
	var shown api.Day
	var off api.TimeOffPart
	var parts sync.WaitGroup
	parts.Go(func() { shown.WorkingHours = c.workingHours(ctx) })
	parts.Go(func() { off = c.timeOff(ctx) })
	shown.Doctor = c.doctor(ctx)
	zone := clinicClock(ctx, shown.Doctor)
	today := dayOf(req.Params.Date, zone, now)
	shown.Date, shown.TimeZone = openapi_types.Date{Time: today.date}, zone.String()
	parts.Go(func() { shown.Appointments = c.schedule(ctx, today) })
	parts.Wait()
	shown.TimeOff = touching(today, off, now)
	return api.GetDay200JSONResponse{
		Body:    shown,
		Headers: api.GetDay200ResponseHeaders{CacheControl: new("no-store")},
	}, nil
}

// doctor has half of the time: when the day starts is known only with the clinic, and the appointments are asked for after that.
func (c *composites) doctor(ctx context.Context) api.DoctorPart {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/2)
		defer cancel()
	}
	resp, err := c.appointment.GetOwnDoctorWithResponse(ctx)
	known := err == nil && resp.JSON200 != nil && resp.JSON200.ID != uuid.Nil
	if !known && (err != nil || !absent(resp.ApplicationProblemJSON404, "Doctor")) {
		missing(ctx, "doctor", err, resp)
		return api.DoctorPart{State: api.Unavailable}
	}
	state, age := standing(resp.HTTPResponse)
	return api.DoctorPart{State: state, AgeS: age, Profile: resp.JSON200}
}

// workingHours are none as long as there is no profile.
func (c *composites) workingHours(ctx context.Context) api.WorkingHoursPart {
	resp, err := c.appointment.GetWorkingHoursWithResponse(ctx)
	part := api.WorkingHoursPart{State: api.Unavailable}
	switch {
	case err == nil && resp.JSON200 != nil && resp.JSON200.Days != nil:
		part.Days = &resp.JSON200.Days
	case err == nil && absent(resp.ApplicationProblemJSON404, "Doctor profile"):
		part.Days = &[]appointment.WorkingDay{}
	default:
		missing(ctx, "working_hours", err, resp)
		return part
	}
	part.State, part.AgeS = standing(resp.HTTPResponse)
	return part
}

func (c *composites) schedule(ctx context.Context, d day) api.AppointmentsPart {
	resp, err := c.appointment.ListScheduleWithResponse(ctx, &appointment.ListScheduleParams{
		From: &d.starts, To: &d.ends, Limit: new(dayAppointments),
	})
	if err != nil || resp.JSON200 == nil || resp.JSON200.Items == nil {
		missing(ctx, "schedule", err, resp)
		return api.AppointmentsPart{State: api.Unavailable}
	}
	state, age := standing(resp.HTTPResponse)
	return api.AppointmentsPart{State: state, AgeS: age, Items: &resp.JSON200.Items, More: new(resp.JSON200.NextCursor != nil)}
}

// timeOff is all that is not over. It is listed by its end, so that no page but the last can tell that nothing else touches a day.
func (c *composites) timeOff(ctx context.Context) api.TimeOffPart {
	all, next := []appointment.TimeOff{}, (*string)(nil)
	part := api.TimeOffPart{State: api.Live, Items: &all}
	for range timeOffPages {
		resp, err := c.appointment.ListTimeOffWithResponse(ctx, &appointment.ListTimeOffParams{Limit: new(100), Cursor: next})
		if err != nil || resp.JSON200 == nil || resp.JSON200.Items == nil {
			missing(ctx, "time_off", err, resp)
			return api.TimeOffPart{State: api.Unavailable}
		}
		all, next = append(all, resp.JSON200.Items...), resp.JSON200.NextCursor
		if state, age := standing(resp.HTTPResponse); state == api.Stale { // a chain is as old as its oldest link
			part.State = state
			if part.AgeS == nil || age != nil && *age > *part.AgeS {
				part.AgeS = age
			}
		}
		if next == nil {
			break
		}
	}
	part.More = new(next != nil)
	return part
}

// touching keeps what touches the day. What is over is not listed: of a day that is, nothing is known.
func touching(d day, off api.TimeOffPart, now time.Time) api.TimeOffPart {
	if off.Items == nil || !d.ends.After(now) {
		return api.TimeOffPart{State: api.Unavailable}
	}
	items := slices.DeleteFunc(*off.Items, func(t appointment.TimeOff) bool {
		return !t.StartsAt.Before(d.ends) || !t.EndsAt.After(d.starts)
	})
	if len(items) > dayTimeOff {
		items, off.More = items[:dayTimeOff], new(true)
	}
	off.Items = &items
	return off
}

// clinicClock is that of the doctor's clinic, UTC where it is not known.
func clinicClock(ctx context.Context, d api.DoctorPart) *time.Location {
	if d.Profile == nil {
		return time.UTC
	}
	return clock(ctx, d.Profile.Clinic)
}

func clock(ctx context.Context, clinic appointment.Clinic) *time.Location {
	zone, err := time.LoadLocation(clinic.TimeZone)
	if err != nil || zone == time.Local {
		slog.ErrorContext(ctx, "clinic with an unknown time zone", "clinic", clinic.ID, "error", err)
		return time.UTC
	}
	return zone
}

// day is a date on some clock, and when it is: from starts and before ends.
type day struct {
	date         time.Time // at midnight, as UTC
	starts, ends time.Time
}

// dayOf is the day of a date, of now if there is none.
func dayOf(date *openapi_types.Date, zone *time.Location, now time.Time) day {
	on := midnight(now.In(zone))
	if date != nil {
		on = midnight(date.Time)
	}
	return day{date: on, starts: startOf(on, zone), ends: startOf(on.AddDate(0, 0, 1), zone)}
}

// startOf is the first instant of a date, to the second. Where clocks are changed at midnight, no time of day is sure to be it.
func startOf(date time.Time, zone *time.Location) time.Time {
	earliest := date.Add(-furthestAhead)
	return earliest.Add(time.Duration(sort.Search(int(2*furthestAhead/time.Second), func(s int) bool {
		return !midnight(earliest.Add(time.Duration(s) * time.Second).In(zone)).Before(date)
	})) * time.Second)
}

func midnight(t time.Time) time.Time {
	y, m, d := t.Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

// far says of dates that nobody means, and whose neighbours need not be dates any more.
func far(date *openapi_types.Date, now time.Time) bool {
	return date != nil && (date.Before(now.AddDate(-furthestYears, 0, 0)) || date.After(now.AddDate(furthestYears, 0, 0)))
}
