package appointment

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/healthe/healthe/kit/identity"
	"github.com/healthe/healthe/kit/page"
	api "github.com/healthe/healthe/openapi/appointment"
	"github.com/healthe/healthe/openapi/problem"
	"github.com/healthe/healthe/services/appointment/internal/store"
)

func (s *service) ListSchedule(ctx context.Context, req api.ListScheduleRequestObject) (api.ListScheduleResponseObject, error) {
	p, limit := req.Params, page.Limit(req.Params.Limit)
	after, err := page.Decode[timeKey](p.Cursor)
	if err != nil {
		return nil, err
	}
	endsAfter := s.now()
	if p.From != nil {
		endsAfter = *p.From
	}
	rows, err := s.store.ListSchedule(ctx, store.ListScheduleParams{
		DoctorID: identity.Caller(ctx).UserID(), EndsAfter: endsAfter, StartsBefore: p.To, Status: statusToDB(p.Status), PatientID: p.PatientID,
		AfterStart: after.At, AfterID: after.ID, MaxRows: limit + 1,
	})
	if err != nil {
		return nil, err
	}
	rows, next := page.Cut(rows, limit, func(r store.AppointmentDetail) timeKey { return timeKey{r.StartsAt, r.ID} })
	if err := audit(ctx, s.store, api.AppointmentRead, rows...); err != nil {
		return nil, err
	}
	return api.ListSchedule200JSONResponse{
		Body:    api.AppointmentPage{Items: each(rows, forDoctor), NextCursor: next},
		Headers: api.ListSchedule200ResponseHeaders{Link: page.Link(ctx, next)},
	}, nil
}

func (s *service) BookForPatient(ctx context.Context, req api.BookForPatientRequestObject) (api.BookForPatientResponseObject, error) {
	c := choice{
		doctor: identity.Caller(ctx).UserID(), patient: req.Body.PatientID, kind: req.Body.AppointmentTypeID, starts: req.Body.StartsAt,
		status: store.AppointmentStatusBooked, by: store.PartyDoctor, override: overrideToDB(req.Body.Override),
	}
	var booked store.AppointmentDetail
	err := s.atOnce(ctx, func(tx pgx.Tx, q *store.Queries) error {
		// A doctor who could book anyone could read anyone's profile.
		_, err := q.GetPatientOfDoctor(ctx, store.GetPatientOfDoctorParams{ID: c.patient, DoctorID: c.doctor})
		if err != nil {
			return found(err, "Patient")
		}
		if booked, err = s.take(ctx, q, c); err != nil {
			return noOwnProfile(err)
		}
		if err := audit(ctx, q, api.AppointmentBooked, booked); err != nil {
			return err
		}
		return s.enqueue(ctx, tx, s.afterBooking(booked, c.by))
	})
	if err != nil {
		return nil, err
	}
	return api.BookForPatient201JSONResponse{CreatedAppointmentJSONResponse: createdAppointment(booked, c.by)}, nil
}

// noOwnProfile: the doctor did not name themself in the request, so it is not the request that is wrong.
func noOwnProfile(err error) error {
	if p, ok := errors.AsType[*problem.Problem](err); ok && p == errNoDoctor {
		return problem.NotFound("Doctor profile")
	}
	return err
}

func (s *service) GetScheduledAppointment(ctx context.Context, req api.GetScheduledAppointmentRequestObject) (api.GetScheduledAppointmentResponseObject, error) {
	c := choice{doctor: identity.Caller(ctx).UserID(), by: store.PartyDoctor}
	a, err := s.store.GetAppointment(ctx, req.AppointmentID)
	if err != nil || !owns(c, a) {
		return nil, notMine(err)
	}
	if err := audit(ctx, s.store, api.AppointmentRead, a); err != nil {
		return nil, err
	}
	return api.GetScheduledAppointment200JSONResponse{OneAppointmentJSONResponse: oneAppointment(a, c.by)}, nil
}

func (s *service) CancelScheduledAppointment(ctx context.Context, req api.CancelScheduledAppointmentRequestObject) (api.CancelScheduledAppointmentResponseObject, error) {
	c := choice{doctor: identity.Caller(ctx).UserID(), by: store.PartyDoctor}
	cancelled, err := s.cancel(ctx, req.AppointmentID, reasonOf(req.Body), c)
	if err != nil {
		return nil, err
	}
	return api.CancelScheduledAppointment200JSONResponse{OneAppointmentJSONResponse: oneAppointment(cancelled, c.by)}, nil
}

func (s *service) RescheduleScheduledAppointment(ctx context.Context, req api.RescheduleScheduledAppointmentRequestObject) (api.RescheduleScheduledAppointmentResponseObject, error) {
	c := choice{doctor: identity.Caller(ctx).UserID(), starts: req.Body.StartsAt, by: store.PartyDoctor, override: overrideToDB(req.Body.Override)}
	moved, err := s.reschedule(ctx, req.AppointmentID, req.Params.IfMatch, c)
	if err != nil {
		return nil, noOwnProfile(err)
	}
	return api.RescheduleScheduledAppointment200JSONResponse{OneAppointmentJSONResponse: oneAppointment(moved, c.by)}, nil
}

func (s *service) CompleteAppointment(ctx context.Context, req api.CompleteAppointmentRequestObject) (api.CompleteAppointmentResponseObject, error) {
	a, err := s.conclude(ctx, req.AppointmentID, store.AppointmentStatusCompleted, api.AppointmentCompleted)
	if err != nil {
		return nil, err
	}
	return api.CompleteAppointment200JSONResponse{OneAppointmentJSONResponse: oneAppointment(a, store.PartyDoctor)}, nil
}

func (s *service) MarkNoShow(ctx context.Context, req api.MarkNoShowRequestObject) (api.MarkNoShowResponseObject, error) {
	a, err := s.conclude(ctx, req.AppointmentID, store.AppointmentStatusNoShow, api.AppointmentMarkedNoShow)
	if err != nil {
		return nil, err
	}
	return api.MarkNoShow200JSONResponse{OneAppointmentJSONResponse: oneAppointment(a, store.PartyDoctor)}, nil
}

// conclude records how an appointment went.
func (s *service) conclude(ctx context.Context, id uuid.UUID, outcome store.AppointmentStatus, action api.AuditAction) (store.AppointmentDetail, error) {
	c := choice{doctor: identity.Caller(ctx).UserID(), by: store.PartyDoctor}
	var a store.AppointmentDetail
	err := s.atOnce(ctx, func(_ pgx.Tx, q *store.Queries) error {
		var err error
		if a, err = lockAppointment(ctx, q, id, func(a store.AppointmentDetail) bool { return owns(c, a) }); err != nil {
			return err
		}
		if err := checkOutcome(a, s.now()); err != nil {
			return err
		}
		row, err := q.SetAppointmentStatus(ctx, store.SetAppointmentStatusParams{ID: id, Status: outcome, Now: s.now()})
		if errors.Is(err, pgx.ErrNoRows) {
			return errNotBooked
		}
		if err != nil {
			return err
		}
		a.Status, a.Version, a.UpdatedAt = row.Status, row.Version, row.UpdatedAt
		return audit(ctx, q, action, a)
	})
	return a, err
}

func overrideToDB(o *api.Override) *string {
	if o == nil {
		return nil
	}
	return &o.Reason
}
