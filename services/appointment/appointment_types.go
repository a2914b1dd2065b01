package appointment

import (
	"context"

	"github.com/healthe/healthe/kit/etag"
	"github.com/healthe/healthe/kit/page"
	api "github.com/healthe/healthe/openapi/appointment"
	"github.com/healthe/healthe/services/appointment/internal/store"
)

func (s *service) ListAppointmentTypes(ctx context.Context, req api.ListAppointmentTypesRequestObject) (api.ListAppointmentTypesResponseObject, error) {
	after, err := page.Decode[nameKey](req.Params.Cursor)
	if err != nil {
		return nil, err
	}
	limit := page.Limit(req.Params.Limit)
	rows, err := s.store.ListAppointmentTypes(ctx, store.ListAppointmentTypesParams{AfterName: after.Name, AfterID: after.ID, MaxRows: limit + 1})
	if err != nil {
		return nil, err
	}
	rows, next := page.Cut(rows, limit, func(r store.AppointmentType) nameKey { return nameKey{r.Name, r.ID} })
	return api.ListAppointmentTypes200JSONResponse{
		Body:    api.AppointmentTypePage{Items: each(rows, appointmentTypeToAPI), NextCursor: next},
		Headers: api.ListAppointmentTypes200ResponseHeaders{Link: page.Link(ctx, next)},
	}, nil
}

func (s *service) CreateAppointmentType(ctx context.Context, req api.CreateAppointmentTypeRequestObject) (api.CreateAppointmentTypeResponseObject, error) {
	row, err := s.store.CreateAppointmentType(ctx, store.CreateAppointmentTypeParams{Name: req.Body.Name, DurationMin: req.Body.DurationMin})
	if err != nil {
		return nil, explain(err)
	}
	return api.CreateAppointmentType201JSONResponse{CreatedAppointmentTypeJSONResponse: api.CreatedAppointmentTypeJSONResponse{
		Body:    appointmentTypeToAPI(row),
		Headers: api.CreatedAppointmentTypeResponseHeaders{ETag: new(etag.Of(row.Version)), Location: new("/appointment/v1/appointment-types/" + row.ID.String())},
	}}, nil
}

func (s *service) GetAppointmentType(ctx context.Context, req api.GetAppointmentTypeRequestObject) (api.GetAppointmentTypeResponseObject, error) {
	row, err := s.store.GetAppointmentType(ctx, req.AppointmentTypeID)
	if err != nil {
		return nil, found(err, "Appointment type")
	}
	return api.GetAppointmentType200JSONResponse{OneAppointmentTypeJSONResponse: oneAppointmentType(row)}, nil
}

func (s *service) UpdateAppointmentType(ctx context.Context, req api.UpdateAppointmentTypeRequestObject) (api.UpdateAppointmentTypeResponseObject, error) {
	version, err := etag.Version(req.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	row, err := s.store.UpdateAppointmentType(ctx, store.UpdateAppointmentTypeParams{
		Name: req.Body.Name, DurationMin: req.Body.DurationMin, ID: req.AppointmentTypeID, IfVersion: version,
	})
	if err != nil {
		_, exists := s.store.GetAppointmentType(ctx, req.AppointmentTypeID)
		return nil, missing(err, exists, "Appointment type")
	}
	return api.UpdateAppointmentType200JSONResponse{OneAppointmentTypeJSONResponse: oneAppointmentType(row)}, nil
}

func (s *service) DeleteAppointmentType(ctx context.Context, req api.DeleteAppointmentTypeRequestObject) (api.DeleteAppointmentTypeResponseObject, error) {
	version, err := etag.Version(req.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	n, err := s.store.DeleteAppointmentType(ctx, store.DeleteAppointmentTypeParams{ID: req.AppointmentTypeID, IfVersion: version})
	if err := deleted(n, err); err != nil {
		_, exists := s.store.GetAppointmentType(ctx, req.AppointmentTypeID)
		return nil, missing(err, exists, "Appointment type")
	}
	return api.DeleteAppointmentType204Response{}, nil
}

func oneAppointmentType(r store.AppointmentType) api.OneAppointmentTypeJSONResponse {
	return api.OneAppointmentTypeJSONResponse{Body: appointmentTypeToAPI(r), Headers: api.OneAppointmentTypeResponseHeaders{ETag: new(etag.Of(r.Version))}}
}

func appointmentTypeToAPI(r store.AppointmentType) api.AppointmentType {
	return api.AppointmentType{ID: r.ID, Name: r.Name, DurationMin: r.DurationMin}
}
