package appointment

import (
	"time"

	"github.com/healthe/healthe/openapi/problem"
	"github.com/healthe/healthe/services/appointment/internal/store"
)

// Rules are how patients may book.
type Rules struct {
	LeadTime     time.Duration `env:"BOOKING_LEAD_TIME" envDefault:"1h"`    // a slot starts at least this far ahead
	Horizon      time.Duration `env:"BOOKING_HORIZON" envDefault:"4320h"`   // and at most this far
	CancelUntil  time.Duration `env:"CANCELLATION_WINDOW" envDefault:"12h"` // before it starts; after the reminder, which says that one can still cancel
	HoldFor      time.Duration `env:"HOLD_FOR" envDefault:"5m"`
	OfferFor     time.Duration `env:"OFFER_FOR" envDefault:"2h"` // how long someone on the waitlist may think
	RemindBefore time.Duration `env:"REMIND_BEFORE" envDefault:"24h"`
}

const (
	longestAppointment = 8 * time.Hour    // the database holds to it
	shortestOffer      = 10 * time.Minute // a slot that leaves less time to answer is not offered
)

var (
	errNotOffered  = problem.Conflict("slot-not-offered", "The doctor offers no slot of this length at this time.")
	errTooSoon     = problem.Conflict("too-soon", "The slot starts too soon to be booked.")
	errTooFarAhead = problem.Conflict("too-far-ahead", "The slot is too far ahead to be booked.")
	errTooLate     = problem.Conflict("too-late", "It is too late to cancel or move the appointment.")
	errNotBooked   = problem.Conflict("not-booked", "The appointment is over, was cancelled or did not take place.")
	errNotStarted  = problem.Conflict("not-started", "The appointment has not started yet.")
	errNoProfile   = problem.Conflict("no-patient-profile", "A patient profile is needed first.")
	errNoDoctor    = problem.Invalid(problem.Field{Pointer: "/doctor_id", Detail: "There is no such doctor."})
	errNoType      = problem.Invalid(problem.Field{Pointer: "/appointment_type_id", Detail: "There is no such appointment type."})
	errOddOverride = problem.Invalid(problem.Field{Pointer: "/starts_at", Detail: "An appointment starts at a whole minute."})
)

// block is a stretch of work, in minutes after midnight on the clinic's clock.
type block struct{ starts, ends int }

// day is what decides whether a doctor offers a slot.
type day struct {
	zone      *time.Location
	firstDate time.Time // the doctor's first day with slots, midnight UTC standing for the date
	blocks    []block   // of the weekday in question
	off       bool      // time off overlaps the slot
}

// checkSlot says whether a slot is on the doctor's grid: it starts a whole number of slots after a block of work does, and while it
// lasts the clinic's clock shows only times within it. So a time that the clock skips is no slot, an hour that it repeats has
// slots once (the second time, as Postgres reads it), and slots cannot overlap. The query of free slots says the same in SQL.
func checkSlot(d day, start time.Time, length time.Duration) error {
	local := start.In(d.zone)
	clock := wall(local)
	midnight := clock.Truncate(24 * time.Hour)
	minute := int(clock.Sub(midnight) / time.Minute)
	switch {
	case d.off, midnight.Before(d.firstDate):
		return errNotOffered
	case clock.Second() != 0 || clock.Nanosecond() != 0:
		return errNotOffered
	case !wall(local.Add(length - time.Microsecond)).Before(clock.Add(length)):
		return errNotOffered
	case repeats(local):
		return errNotOffered
	}
	for _, b := range d.blocks {
		if minute >= b.starts && minute+minutes(length) <= b.ends && (minute-b.starts)%minutes(length) == 0 {
			return nil
		}
	}
	return errNotOffered
}

// wall returns what the clock on the wall shows, as if it were UTC, so that it can be reckoned with.
func wall(t time.Time) time.Time {
	year, month, day := t.Date()
	return time.Date(year, month, day, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}

// repeats tells whether the clock will show this time once more, because it is about to be set back.
func repeats(t time.Time) bool {
	_, end := t.ZoneBounds()
	if end.IsZero() {
		return false
	}
	_, before := t.Zone()
	_, after := end.Zone()
	back := time.Duration(before-after) * time.Second
	return back > 0 && !t.Add(back).Before(end)
}

func minutes(d time.Duration) int { return int(d / time.Minute) }

// checkLead says whether a patient may still, and already, have a slot.
func (r Rules) checkLead(start, now time.Time) error {
	switch {
	case start.Before(now.Add(r.LeadTime)):
		return errTooSoon
	case start.After(now.Add(r.Horizon)):
		return errTooFarAhead
	}
	return nil
}

// checkOverride is all that binds a doctor who overrides the grid on purpose.
func (r Rules) checkOverride(start, now time.Time) error {
	switch {
	case !start.Truncate(time.Minute).Equal(start):
		return errOddOverride
	case start.Before(now):
		return errTooSoon
	case start.After(now.Add(r.Horizon)):
		return errTooFarAhead
	}
	return nil
}

// checkChange says whether who may cancel or move an appointment: a doctor until it starts, a patient until the window before.
func (r Rules) checkChange(a store.AppointmentDetail, who store.Party, now time.Time) error {
	window := r.CancelUntil
	if who == store.PartyDoctor {
		window = 0
	}
	switch {
	case a.Status != store.AppointmentStatusBooked:
		return errNotBooked
	case a.StartsAt.Add(-window).Before(now):
		return errTooLate
	}
	return nil
}

// checkOutcome says whether it can be told how an appointment went.
func checkOutcome(a store.AppointmentDetail, now time.Time) error {
	switch {
	case a.Status != store.AppointmentStatusBooked:
		return errNotBooked
	case a.StartsAt.After(now):
		return errNotStarted
	}
	return nil
}

// offerEnds returns until when a freed slot may be kept for someone on the waitlist, and whether that leaves time to answer.
func (r Rules) offerEnds(start, now time.Time) (time.Time, bool) {
	ends := now.Add(r.OfferFor)
	if last := start.Add(-r.LeadTime); last.Before(ends) {
		ends = last
	}
	return ends, ends.Sub(now) >= shortestOffer && !start.After(now.Add(r.Horizon))
}
