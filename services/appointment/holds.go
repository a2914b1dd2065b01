package appointment

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/healthe/healthe/kit/identity"
	api "github.com/healthe/healthe/openapi/appointment"
	"github.com/healthe/healthe/services/appointment/internal/store"
)

func (s *service) CreateHold(ctx context.Context, req api.CreateHoldRequestObject) (api.CreateHoldResponseObject, error) {
	c := choice{
		doctor: req.Body.DoctorID, patient: identity.Caller(ctx).UserID(), kind: req.Body.AppointmentTypeID, starts: req.Body.StartsAt,
		status: store.AppointmentStatusHeld, expires: new(s.now().Add(s.rules.HoldFor)), by: store.PartyPatient,
	}
	var held store.AppointmentDetail
	err := s.atOnce(ctx, func(_ pgx.Tx, q *store.Queries) error {
		var err error
		held, err = s.take(ctx, q, c)
		return err
	})
	if err != nil {
		return nil, err
	}
	return api.CreateHold201JSONResponse{
		Body: api.Hold{
			ID: held.ID, DoctorID: held.DoctorID, AppointmentTypeID: held.AppointmentTypeID,
			StartsAt: utc(held.StartsAt), EndsAt: utc(held.EndsAt), ExpiresAt: utc(*held.ExpiresAt),
		},
		Headers: api.CreateHold201ResponseHeaders{Location: new("/appointment/v1/holds/" + held.ID.String())},
	}, nil
}

func (s *service) GetHold(ctx context.Context, req api.GetHoldRequestObject) (api.GetHoldResponseObject, error) {
	row, err := s.store.GetHold(ctx, store.GetHoldParams{ID: req.HoldID, PatientID: identity.Caller(ctx).UserID(), Now: new(s.now())})
	if err != nil {
		return nil, found(err, "Hold")
	}
	return api.GetHold200JSONResponse{
		ID: row.ID, DoctorID: row.DoctorID, AppointmentTypeID: row.AppointmentTypeID,
		StartsAt: utc(row.StartsAt), EndsAt: utc(row.EndsAt), ExpiresAt: utc(*row.ExpiresAt),
	}, nil
}

func (s *service) DeleteHold(ctx context.Context, req api.DeleteHoldRequestObject) (api.DeleteHoldResponseObject, error) {
	n, err := s.store.DeleteHold(ctx, store.DeleteHoldParams{ID: req.HoldID, PatientID: identity.Caller(ctx).UserID(), Now: new(s.now())})
	if err := deleted(n, err); err != nil {
		return nil, found(err, "Hold")
	}
	return api.DeleteHold204Response{}, nil
}
