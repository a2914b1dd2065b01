package appointment

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/healthe/healthe/kit/etag"
	"github.com/healthe/healthe/kit/identity"
	"github.com/healthe/healthe/kit/page"
	api "github.com/healthe/healthe/openapi/appointment"
	"github.com/healthe/healthe/openapi/problem"
	"github.com/healthe/healthe/services/appointment/internal/store"
)

var (
	errHoldGone   = problem.Conflict("hold-expired", "The hold has expired or was given up.")
	errHalfChoice = problem.Invalid(problem.Field{Pointer: "", Detail: "Give either hold_id alone, or doctor_id, appointment_type_id and starts_at."})
)

func (s *service) BookAppointment(ctx context.Context, req api.BookAppointmentRequestObject) (api.BookAppointmentResponseObject, error) {
	b, me := req.Body, identity.Caller(ctx).UserID()
	direct := b.DoctorID != nil && b.AppointmentTypeID != nil && b.StartsAt != nil
	if direct == (b.HoldID != nil) || !direct && (b.DoctorID != nil || b.AppointmentTypeID != nil || b.StartsAt != nil) {
		return nil, errHalfChoice
	}
	var booked store.AppointmentDetail
	err := s.atOnce(ctx, func(tx pgx.Tx, q *store.Queries) error {
		var err error
		if direct {
			booked, err = s.take(ctx, q, choice{
				doctor: *b.DoctorID, patient: me, kind: *b.AppointmentTypeID, starts: *b.StartsAt,
				status: store.AppointmentStatusBooked, by: store.PartyPatient,
			})
		} else {
			booked, err = s.takeHeld(ctx, q, *b.HoldID, me)
		}
		if err != nil {
			return err
		}
		if err := audit(ctx, q, api.AppointmentBooked, booked); err != nil {
			return err
		}
		return s.enqueue(ctx, tx, s.afterBooking(booked, store.PartyPatient))
	})
	if err != nil {
		return nil, err
	}
	return api.BookAppointment201JSONResponse{CreatedAppointmentJSONResponse: createdAppointment(booked, store.PartyPatient)}, nil
}

// takeHeld books the slot that the patient holds, under the locks that a booking takes.
func (s *service) takeHeld(ctx context.Context, q *store.Queries, id, patient uuid.UUID) (store.AppointmentDetail, error) {
	held, err := q.GetHold(ctx, store.GetHoldParams{ID: id, PatientID: patient, Now: new(s.now())})
	if errors.Is(err, pgx.ErrNoRows) {
		return store.AppointmentDetail{}, errHoldGone
	}
	if err != nil {
		return store.AppointmentDetail{}, err
	}
	cal, err := lockCalendar(ctx, q, choice{doctor: held.DoctorID, patient: patient, kind: held.AppointmentTypeID, starts: held.StartsAt})
	if err != nil {
		return store.AppointmentDetail{}, err
	}
	row, err := q.SetAppointmentBooked(ctx, store.SetAppointmentBookedParams{ID: id, PatientID: patient, Now: s.now()})
	if errors.Is(err, pgx.ErrNoRows) {
		return store.AppointmentDetail{}, errHoldGone
	}
	return detail(row, cal), err
}

func (s *service) ListAppointments(ctx context.Context, req api.ListAppointmentsRequestObject) (api.ListAppointmentsResponseObject, error) {
	p, me, limit := req.Params, identity.Caller(ctx).UserID(), page.Limit(req.Params.Limit)
	from, err := page.Decode[*timeKey](p.Cursor)
	if err != nil {
		return nil, err
	}
	var rows []store.AppointmentDetail
	if p.When != nil && *p.When == api.Past {
		if from == nil {
			from = &timeKey{At: s.now().Add(time.Hour), ID: uuid.Max} // what is over started before
		}
		rows, err = s.store.ListPastAppointments(ctx, store.ListPastAppointmentsParams{
			PatientID: me, Now: s.now(), Status: statusToDB(p.Status), DoctorID: p.DoctorID, BeforeStart: from.At, BeforeID: from.ID, MaxRows: limit + 1,
		})
	} else {
		if from == nil {
			from = &timeKey{}
		}
		rows, err = s.store.ListComingAppointments(ctx, store.ListComingAppointmentsParams{
			PatientID: me, Now: s.now(), Status: statusToDB(p.Status), DoctorID: p.DoctorID, AfterStart: from.At, AfterID: from.ID, MaxRows: limit + 1,
		})
	}
	if err != nil {
		return nil, err
	}
	rows, next := page.Cut(rows, limit, func(r store.AppointmentDetail) timeKey { return timeKey{r.StartsAt, r.ID} })
	if err := audit(ctx, s.store, api.AppointmentRead, rows...); err != nil {
		return nil, err
	}
	return api.ListAppointments200JSONResponse{
		Body:    api.AppointmentPage{Items: each(rows, forPatient), NextCursor: next},
		Headers: api.ListAppointments200ResponseHeaders{Link: page.Link(ctx, next)},
	}, nil
}

func (s *service) GetAppointment(ctx context.Context, req api.GetAppointmentRequestObject) (api.GetAppointmentResponseObject, error) {
	a, err := s.store.GetAppointment(ctx, req.AppointmentID)
	if err != nil || a.PatientID != identity.Caller(ctx).UserID() || !visible(a) {
		return nil, notMine(err)
	}
	if err := audit(ctx, s.store, api.AppointmentRead, a); err != nil {
		return nil, err
	}
	return api.GetAppointment200JSONResponse{OneAppointmentJSONResponse: oneAppointment(a, store.PartyPatient)}, nil
}

func (s *service) CancelAppointment(ctx context.Context, req api.CancelAppointmentRequestObject) (api.CancelAppointmentResponseObject, error) {
	c := choice{patient: identity.Caller(ctx).UserID(), by: store.PartyPatient}
	cancelled, err := s.cancel(ctx, req.AppointmentID, reasonOf(req.Body), c)
	if err != nil {
		return nil, err
	}
	return api.CancelAppointment200JSONResponse{OneAppointmentJSONResponse: oneAppointment(cancelled, c.by)}, nil
}

func (s *service) RescheduleAppointment(ctx context.Context, req api.RescheduleAppointmentRequestObject) (api.RescheduleAppointmentResponseObject, error) {
	c := choice{patient: identity.Caller(ctx).UserID(), starts: req.Body.StartsAt, by: store.PartyPatient}
	moved, err := s.reschedule(ctx, req.AppointmentID, req.Params.IfMatch, c)
	if err != nil {
		return nil, err
	}
	return api.RescheduleAppointment200JSONResponse{OneAppointmentJSONResponse: oneAppointment(moved, c.by)}, nil
}

// cancel frees the slot and offers it to the waitlist before anyone else can see it.
func (s *service) cancel(ctx context.Context, id uuid.UUID, reason *string, c choice) (store.AppointmentDetail, error) {
	var cancelled store.AppointmentDetail
	err := s.atOnce(ctx, func(tx pgx.Tx, q *store.Queries) error {
		a, err := lockAppointment(ctx, q, id, func(a store.AppointmentDetail) bool { return owns(c, a) })
		if err != nil {
			return err
		}
		if err := s.rules.checkChange(a, c.by, s.now()); err != nil {
			return err
		}
		row, err := q.SetAppointmentCancelled(ctx, store.SetAppointmentCancelledParams{ID: id, CancelledBy: &c.by, Reason: reason, Now: s.now()})
		if errors.Is(err, pgx.ErrNoRows) {
			return errNotBooked
		}
		if err != nil {
			return err
		}
		cancelled = a
		cancelled.Status, cancelled.CancelledBy, cancelled.CancellationReason = row.Status, row.CancelledBy, row.CancellationReason
		cancelled.Sequence, cancelled.Version, cancelled.UpdatedAt = row.Sequence, row.Version, row.UpdatedAt
		if err := audit(ctx, q, api.AppointmentCancelled, cancelled); err != nil {
			return err
		}
		if err := s.enqueue(ctx, tx, afterCancelling(row, c.by)); err != nil {
			return err
		}
		return s.passOn(ctx, tx, freed{a.DoctorID, a.AppointmentTypeID, a.PatientID, a.StartsAt, a.EndsAt})
	})
	return cancelled, err
}

func (s *service) reschedule(ctx context.Context, id uuid.UUID, ifMatch *string, c choice) (store.AppointmentDetail, error) {
	var moved store.AppointmentDetail
	err := s.atOnce(ctx, func(tx pgx.Tx, q *store.Queries) error {
		before, after, err := s.move(ctx, q, id, ifMatch, c)
		if err != nil {
			return err
		}
		moved = after
		if err := audit(ctx, q, api.AppointmentRescheduled, after); err != nil {
			return err
		}
		if err := s.enqueue(ctx, tx, s.afterMoving(before, after, c.by)); err != nil {
			return err
		}
		return s.passOn(ctx, tx, freed{before.DoctorID, before.AppointmentTypeID, before.PatientID, before.StartsAt, before.EndsAt})
	})
	return moved, err
}

func reasonOf(body *api.Cancellation) *string {
	if body == nil {
		return nil
	}
	return body.Reason
}

func statusToDB(status *api.AppointmentStatus) *store.AppointmentStatus {
	if status == nil {
		return nil
	}
	return new(store.AppointmentStatus(*status))
}

func createdAppointment(a store.AppointmentDetail, reader store.Party) api.CreatedAppointmentJSONResponse {
	path := "/appointment/v1/appointments/"
	if reader == store.PartyDoctor {
		path = "/appointment/v1/schedule/"
	}
	return api.CreatedAppointmentJSONResponse{
		Body:    appointmentToAPI(a, reader),
		Headers: api.CreatedAppointmentResponseHeaders{ETag: new(etag.Of(a.Version)), Location: new(path + a.ID.String())},
	}
}

func oneAppointment(a store.AppointmentDetail, reader store.Party) api.OneAppointmentJSONResponse {
	return api.OneAppointmentJSONResponse{
		Body: appointmentToAPI(a, reader), Headers: api.OneAppointmentResponseHeaders{ETag: new(etag.Of(a.Version))},
	}
}

func forPatient(a store.AppointmentDetail) api.Appointment {
	return appointmentToAPI(a, store.PartyPatient)
}

func forDoctor(a store.AppointmentDetail) api.Appointment {
	return appointmentToAPI(a, store.PartyDoctor)
}

func appointmentToAPI(a store.AppointmentDetail, reader store.Party) api.Appointment {
	out := api.Appointment{
		ID: a.ID, Status: api.AppointmentStatus(a.Status), StartsAt: utc(a.StartsAt), EndsAt: utc(a.EndsAt),
		Patient:         api.PatientReference{ID: a.PatientID, Name: optional(a.PatientName)},
		Doctor:          api.Reference{ID: a.DoctorID, Name: a.DoctorName},
		Clinic:          api.Place{ID: a.ClinicID, Name: a.ClinicName, Address: a.Address, Phone: a.Phone, TimeZone: a.TimeZone},
		AppointmentType: api.Reference{ID: a.AppointmentTypeID, Name: a.TypeName},
		CancelledBy:     (*api.Party)(a.CancelledBy), CancellationReason: a.CancellationReason,
		CreatedAt: utc(a.CreatedAt), UpdatedAt: utc(a.UpdatedAt),
	}
	if reader == store.PartyDoctor {
		out.OverrideReason = a.OverrideReason
	}
	return out
}
