package appointment

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/riverqueue/river"

	"github.com/healthe/healthe/kit/postgres"
	"github.com/healthe/healthe/services/appointment/internal/store"
)

const (
	sweepEvery = time.Minute
	mostInLine = 20 // tries to lock whoever is next, while the line moves
)

// freed is a slot that someone gave up, and does not want to be offered.
type freed struct {
	doctor, kind, by uuid.UUID
	starts, ends     time.Time
}

func (f freed) length() *int32 { return new(int32(minutes(f.ends.Sub(f.starts)))) } //nolint:gosec // at most 480

// passOn offers a slot to the next in line, in the transaction that freed it: nobody who is not waiting can be faster. The
// doctor's calendar is locked. That nobody waits, or that the slot is not bookable any more, is no error.
func (s *service) passOn(ctx context.Context, tx pgx.Tx, f freed) error {
	q := s.store.WithTx(tx)
	expires, ok := s.rules.offerEnds(f.starts, s.now())
	if !ok {
		return nil
	}
	cal, err := q.LockCalendar(ctx, store.LockCalendarParams{DoctorID: f.doctor, AppointmentTypeID: f.kind, StartsAt: f.starts, LengthMin: f.length()})
	if errors.Is(err, pgx.ErrNoRows) { // the doctor is gone
		return nil
	}
	if err != nil {
		return err
	}
	d, err := dayOf(cal)
	if err != nil {
		return err
	}
	if checkSlot(d, f.starts, f.ends.Sub(f.starts)) != nil {
		return nil
	}
	entry, err := s.nextInLine(ctx, q, f, cal.SpecialityID, d.zone)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.offer(ctx, tx, entry, f, cal.Clinic.ID, expires)
}

// nextInLine returns who is to be asked, with the entry and the profile locked. The line may move while we wait for these locks,
// so it is looked at again.
func (s *service) nextInLine(ctx context.Context, q *store.Queries, f freed, speciality uuid.UUID, zone *time.Location) (store.WaitlistEntry, error) {
	var locked uuid.UUID
	for range mostInLine {
		row, err := q.GetNextInLine(ctx, store.GetNextInLineParams{
			DoctorID: f.doctor, SpecialityID: speciality, StartsAt: f.starts, EndsAt: f.ends, DurationMin: *f.length(),
			GivenUpBy: f.by, Day: pgtype.Date{Time: wall(f.starts.In(zone)), Valid: true}, Now: s.now(),
		})
		if err != nil {
			return store.WaitlistEntry{}, err
		}
		if row.WaitlistEntry.ID == locked {
			return row.WaitlistEntry, nil
		}
		if _, err := q.LockWaitlistEntry(ctx, row.WaitlistEntry.ID); err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return store.WaitlistEntry{}, err
		}
		locked = row.WaitlistEntry.ID
	}
	return store.WaitlistEntry{}, pgx.ErrNoRows
}

// offer holds the slot for the entry's patient and tells them.
func (s *service) offer(ctx context.Context, tx pgx.Tx, entry store.WaitlistEntry, f freed, clinic uuid.UUID, expires time.Time) error {
	var held store.Appointment
	err := pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error {
		var err error
		held, err = s.store.WithTx(tx).CreateAppointment(ctx, store.CreateAppointmentParams{
			DoctorID: f.doctor, PatientID: entry.PatientID, ClinicID: clinic, AppointmentTypeID: entry.AppointmentTypeID,
			StartsAt: f.starts, EndsAt: f.ends, Earliest: f.starts.Add(-longestAppointment),
			Status: store.AppointmentStatusOffered, ExpiresAt: &expires, Now: s.now(),
		})
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) || postgres.Constraint(err) == "appointments_doctor_excl" { // it is taken again, or overbooked
		return nil
	}
	if err != nil {
		return err
	}
	q := s.store.WithTx(tx)
	if _, err := q.SetEntryStatus(ctx, store.SetEntryStatusParams{ID: entry.ID, Status: store.WaitlistStatusOffered}); err != nil {
		return err
	}
	o, err := q.CreateOffer(ctx, store.CreateOfferParams{
		EntryID: entry.ID, AppointmentID: held.ID, DoctorID: f.doctor, StartsAt: f.starts, EndsAt: f.ends, ExpiresAt: expires,
	})
	if err != nil {
		return err
	}
	mail := mailTo(entry.PatientID, held, "waitlist_offer")
	mail.EntryID = &entry.ID
	return s.enqueue(ctx, tx, []river.InsertManyParams{
		{Args: mail},
		{Args: endOfferJob{OfferID: o.ID}, InsertOpts: &river.InsertOpts{ScheduledAt: expires}},
	})
}

// giveUp ends an open offer and offers the slot to the next. The entry's state is the caller's to set.
func (s *service) giveUp(ctx context.Context, tx pgx.Tx, o store.WaitlistOffer, status store.OfferStatus) error {
	q := s.store.WithTx(tx)
	if _, err := q.LockDoctor(ctx, o.DoctorID); err != nil {
		return err
	}
	n, err := q.SetOfferStatus(ctx, store.SetOfferStatusParams{ID: o.ID, Status: status})
	if err != nil || n == 0 {
		return err
	}
	held, err := q.DeleteOffered(ctx, o.AppointmentID)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.passOn(ctx, tx, freed{o.DoctorID, held.AppointmentTypeID, held.PatientID, o.StartsAt, o.EndsAt})
}

// endOfferJob ends an offer that nobody answered.
type endOfferJob struct {
	OfferID uuid.UUID `json:"offer_id"`
}

func (endOfferJob) Kind() string { return "end_offer" }

type offerEnder struct {
	river.WorkerDefaults[endOfferJob]
	service *service
}

func (w *offerEnder) Work(ctx context.Context, job *river.Job[endOfferJob]) error {
	s := w.service
	return s.atOnce(ctx, func(tx pgx.Tx, q *store.Queries) error {
		o, err := q.GetOffer(ctx, job.Args.OfferID)
		if errors.Is(err, pgx.ErrNoRows) { // with the patient's profile
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := q.LockDoctor(ctx, o.DoctorID); err != nil {
			return err
		}
		if o, err = q.GetOffer(ctx, o.ID); err != nil || o.Status != store.OfferStatusOpen {
			return err
		}
		if _, err := q.SetEntryStatus(ctx, store.SetEntryStatusParams{ID: o.EntryID, Status: store.WaitlistStatusWaiting}); err != nil {
			return err
		}
		return s.giveUp(ctx, tx, o, store.OfferStatusExpired)
	})
}

// offerSlotJob offers a slot that was freed with many others.
type offerSlotJob struct {
	DoctorID uuid.UUID `json:"doctor_id"`
	TypeID   uuid.UUID `json:"type_id"`
	StartsAt time.Time `json:"starts_at"`
	EndsAt   time.Time `json:"ends_at"`
}

func (offerSlotJob) Kind() string { return "offer_slot" }

type slotOfferer struct {
	river.WorkerDefaults[offerSlotJob]
	service *service
}

func (w *slotOfferer) Work(ctx context.Context, job *river.Job[offerSlotJob]) error {
	a := job.Args
	f := freed{a.DoctorID, a.TypeID, uuid.Nil, a.StartsAt, a.EndsAt}
	return w.service.atOnce(ctx, func(tx pgx.Tx, _ *store.Queries) error { return w.service.passOn(ctx, tx, f) })
}

// sweepJob forgets holds and waits whose time is over.
type sweepJob struct{}

func (sweepJob) Kind() string { return "sweep" }

type sweeper struct {
	river.WorkerDefaults[sweepJob]
	service *service
}

func (w *sweeper) Work(ctx context.Context, _ *river.Job[sweepJob]) error {
	now := w.service.now()
	holds, err := w.service.store.DeleteExpiredHolds(ctx, &now)
	if err != nil {
		return err
	}
	// The last day is over everywhere once it is over where the clock is furthest behind.
	entries, err := w.service.store.EndWaitlistEntries(ctx, pgtype.Date{Time: now.Add(-furthestBehind), Valid: true})
	if err != nil {
		return err
	}
	if holds+entries > 0 {
		slog.InfoContext(ctx, "swept", "holds", holds, "entries", entries)
	}
	return nil
}
