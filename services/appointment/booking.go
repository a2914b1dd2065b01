package appointment

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/healthe/healthe/kit/etag"
	"github.com/healthe/healthe/openapi/problem"
	"github.com/healthe/healthe/services/appointment/internal/store"
)

// choice is the slot that someone wants, and how.
type choice struct {
	doctor, patient, kind uuid.UUID
	starts                time.Time
	status                store.AppointmentStatus
	expires               *time.Time // of a hold
	by                    store.Party
	override              *string // the doctor's reason
	length                *int32  // in minutes, of an appointment that is moved; else that of the type
}

// take makes an appointment or a hold of a choice. Doctor and patient are locked in this order, so that all who want either
// take turns; then the rules are asked, and at last the constraints decide.
func (s *service) take(ctx context.Context, q *store.Queries, c choice) (store.AppointmentDetail, error) {
	if c.doctor == c.patient {
		return store.AppointmentDetail{}, errOwnAppointment
	}
	cal, err := lockCalendar(ctx, q, c)
	if err != nil {
		return store.AppointmentDetail{}, err
	}
	length := time.Duration(cal.DurationMin) * time.Minute
	if err := s.checkChoice(cal, c, length); err != nil {
		return store.AppointmentDetail{}, err
	}
	row, err := q.CreateAppointment(ctx, store.CreateAppointmentParams{
		DoctorID: c.doctor, PatientID: c.patient, ClinicID: cal.Clinic.ID, AppointmentTypeID: c.kind,
		StartsAt: c.starts, EndsAt: c.starts.Add(length), Earliest: c.starts.Add(-longestAppointment),
		Status: c.status, ExpiresAt: c.expires, OverrideReason: c.override, GivesUpHold: c.by == store.PartyPatient, Now: s.now(),
	})
	if errors.Is(err, pgx.ErrNoRows) { // an overbooked appointment is in the way, which no constraint sees
		return store.AppointmentDetail{}, errSlotTaken
	}
	return detail(row, cal), explain(err)
}

// lockCalendar reads what the rules need, and says what is missing.
func lockCalendar(ctx context.Context, q *store.Queries, c choice) (store.LockCalendarRow, error) {
	cal, err := q.LockCalendar(ctx, store.LockCalendarParams{DoctorID: c.doctor, PatientID: c.patient, AppointmentTypeID: c.kind, StartsAt: c.starts, LengthMin: c.length})
	switch {
	case err == nil && cal.PatientName == "":
		return cal, errNoProfile
	case errors.Is(err, pgx.ErrNoRows):
		if _, err := q.GetAppointmentType(ctx, c.kind); errors.Is(err, pgx.ErrNoRows) {
			return cal, errNoType
		}
		return cal, errNoDoctor
	}
	return cal, err
}

func (s *service) checkChoice(cal store.LockCalendarRow, c choice, length time.Duration) error {
	now := s.now()
	if c.override != nil {
		return s.rules.checkOverride(c.starts, now)
	}
	lead := s.rules
	if c.by == store.PartyDoctor {
		lead.LeadTime = 0
	}
	if err := lead.checkLead(c.starts, now); err != nil {
		return err
	}
	d, err := dayOf(cal)
	if err != nil {
		return err
	}
	return checkSlot(d, c.starts, length)
}

// dayOf puts what was read into the terms of the rules.
func dayOf(cal store.LockCalendarRow) (day, error) {
	zone, err := time.LoadLocation(cal.Clinic.TimeZone)
	d := day{zone: zone, firstDate: cal.StartingDate.Time, off: cal.IsOff}
	for i := range cal.BlockStarts {
		d.blocks = append(d.blocks, block{int(cal.BlockStarts[i]), int(cal.BlockEnds[i])})
	}
	return d, err
}

// lockAppointment returns an appointment as it stands, with its doctor's calendar locked.
func lockAppointment(ctx context.Context, q *store.Queries, id uuid.UUID, mine func(store.AppointmentDetail) bool) (store.AppointmentDetail, error) {
	a, err := q.GetAppointment(ctx, id)
	if err != nil || !mine(a) {
		return a, notMine(err)
	}
	if _, err := q.LockDoctor(ctx, a.DoctorID); err != nil {
		return a, err
	}
	return q.GetAppointment(ctx, id)
}

// move takes an appointment to another slot of its doctor and gives up the old one.
func (s *service) move(ctx context.Context, q *store.Queries, id uuid.UUID, ifMatch *string, c choice) (before, after store.AppointmentDetail, err error) {
	before, err = q.GetAppointment(ctx, id)
	if err != nil || !owns(c, before) {
		return before, after, notMine(err)
	}
	length := before.EndsAt.Sub(before.StartsAt)
	c.doctor, c.patient, c.kind, c.length = before.DoctorID, before.PatientID, before.AppointmentTypeID, new(int32(minutes(length))) //nolint:gosec // at most 480
	cal, err := lockCalendar(ctx, q, c)
	if err != nil {
		return before, after, err
	}
	if before, err = q.GetAppointment(ctx, id); err != nil { // as it stands now that it is ours to change
		return before, after, err
	}
	version, err := etag.Version(ifMatch)
	if err != nil {
		return before, after, err
	}
	if version != nil && *version != before.Version {
		return before, after, problem.PreconditionFailed()
	}
	if err := s.rules.checkChange(before, c.by, s.now()); err != nil {
		return before, after, err
	}
	if err := s.checkChoice(cal, c, length); err != nil {
		return before, after, err
	}
	row, err := q.MoveAppointment(ctx, store.MoveAppointmentParams{
		ID: id, DoctorID: c.doctor, PatientID: c.patient, ClinicID: cal.Clinic.ID, StartsAt: c.starts, EndsAt: c.starts.Add(length),
		Earliest: c.starts.Add(-longestAppointment), OverrideReason: c.override, Now: s.now(),
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return before, after, errSlotTaken
	}
	return before, detail(row, cal), explain(err)
}

// owns tells whether an appointment is the caller's in the role in which they ask.
func owns(c choice, a store.AppointmentDetail) bool {
	if c.by == store.PartyDoctor {
		return visible(a) && a.DoctorID == c.doctor
	}
	return visible(a) && a.PatientID == c.patient
}

// visible tells appointments from holds and offers, which have resources of their own.
func visible(a store.AppointmentDetail) bool {
	return a.Status != store.AppointmentStatusHeld && a.Status != store.AppointmentStatusOffered
}

// notMine answers alike for an appointment that is not there and one that is somebody else's.
func notMine(err error) error {
	if err == nil {
		err = pgx.ErrNoRows
	}
	return found(err, "Appointment")
}

// detail joins a row just written with what was read for it.
func detail(a store.Appointment, cal store.LockCalendarRow) store.AppointmentDetail {
	return store.AppointmentDetail{
		ID: a.ID, DoctorID: a.DoctorID, PatientID: a.PatientID, ClinicID: a.ClinicID, AppointmentTypeID: a.AppointmentTypeID,
		StartsAt: a.StartsAt, EndsAt: a.EndsAt, Status: a.Status, ExpiresAt: a.ExpiresAt, Overbooked: a.Overbooked,
		OverrideReason: a.OverrideReason, CancelledBy: a.CancelledBy, CancellationReason: a.CancellationReason,
		Sequence: a.Sequence, Version: a.Version, CreatedAt: a.CreatedAt, UpdatedAt: a.UpdatedAt,
		DoctorName: cal.DoctorName, PatientName: cal.PatientName, TypeName: cal.TypeName,
		ClinicName: cal.Clinic.Name, Address: cal.Clinic.Address, Phone: cal.Clinic.Phone, TimeZone: cal.Clinic.TimeZone,
	}
}
