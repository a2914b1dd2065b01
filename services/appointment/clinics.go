package appointment

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/healthe/healthe/kit/etag"
	"github.com/healthe/healthe/kit/page"
	api "github.com/healthe/healthe/openapi/appointment"
	"github.com/healthe/healthe/openapi/problem"
	"github.com/healthe/healthe/services/appointment/internal/store"
)

var errNoZone = problem.Invalid(problem.Field{Pointer: "/time_zone", Detail: "There is no such IANA time zone."})

// nameKey is where a page of a list by name starts.
type nameKey struct {
	Name string
	ID   uuid.UUID
}

func (s *service) ListClinics(ctx context.Context, req api.ListClinicsRequestObject) (api.ListClinicsResponseObject, error) {
	after, err := page.Decode[nameKey](req.Params.Cursor)
	if err != nil {
		return nil, err
	}
	limit := page.Limit(req.Params.Limit)
	rows, err := s.store.ListClinics(ctx, store.ListClinicsParams{AfterName: after.Name, AfterID: after.ID, MaxRows: limit + 1})
	if err != nil {
		return nil, err
	}
	rows, next := page.Cut(rows, limit, func(c store.Clinic) nameKey { return nameKey{c.Name, c.ID} })
	return api.ListClinics200JSONResponse{
		Body:    api.ClinicPage{Items: each(rows, clinicToAPI), NextCursor: next},
		Headers: api.ListClinics200ResponseHeaders{Link: page.Link(ctx, next)},
	}, nil
}

func (s *service) CreateClinic(ctx context.Context, req api.CreateClinicRequestObject) (api.CreateClinicResponseObject, error) {
	if err := checkZone(req.Body.TimeZone); err != nil {
		return nil, err
	}
	c := req.Body
	row, err := s.store.CreateClinic(ctx, store.CreateClinicParams{
		Name: c.Name, Address: c.Address, Latitude: c.Coordinates.Latitude, Longitude: c.Coordinates.Longitude,
		TimeZone: c.TimeZone, Phone: c.Phone, Url: c.URL,
	})
	if err != nil {
		return nil, explainZone(err)
	}
	return api.CreateClinic201JSONResponse{CreatedClinicJSONResponse: api.CreatedClinicJSONResponse{
		Body:    clinicToAPI(row),
		Headers: api.CreatedClinicResponseHeaders{ETag: new(etag.Of(row.Version)), Location: new("/appointment/v1/clinics/" + row.ID.String())},
	}}, nil
}

func (s *service) GetClinic(ctx context.Context, req api.GetClinicRequestObject) (api.GetClinicResponseObject, error) {
	row, err := s.store.GetClinic(ctx, req.ClinicID)
	if err != nil {
		return nil, found(err, "Clinic")
	}
	return api.GetClinic200JSONResponse{OneClinicJSONResponse: oneClinic(row)}, nil
}

func (s *service) UpdateClinic(ctx context.Context, req api.UpdateClinicRequestObject) (api.UpdateClinicResponseObject, error) {
	version, err := etag.Version(req.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	if err := checkZone(req.Body.TimeZone); err != nil {
		return nil, err
	}
	c := req.Body
	row, err := s.store.UpdateClinic(ctx, store.UpdateClinicParams{
		Name: c.Name, Address: c.Address, Latitude: c.Coordinates.Latitude, Longitude: c.Coordinates.Longitude,
		TimeZone: c.TimeZone, Phone: c.Phone, Url: c.URL, ID: req.ClinicID, IfVersion: version,
	})
	if err != nil {
		_, exists := s.store.GetClinic(ctx, req.ClinicID)
		return nil, missing(explainZone(err), exists, "Clinic")
	}
	return api.UpdateClinic200JSONResponse{OneClinicJSONResponse: oneClinic(row)}, nil
}

func (s *service) DeleteClinic(ctx context.Context, req api.DeleteClinicRequestObject) (api.DeleteClinicResponseObject, error) {
	version, err := etag.Version(req.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	n, err := s.store.DeleteClinic(ctx, store.DeleteClinicParams{ID: req.ClinicID, IfVersion: version})
	if err := deleted(n, err); err != nil {
		_, exists := s.store.GetClinic(ctx, req.ClinicID)
		return nil, missing(err, exists, "Clinic")
	}
	return api.DeleteClinic204Response{}, nil
}

// checkZone wants a time zone that Go knows; that Postgres knows it too, a constraint makes sure.
func checkZone(name string) error {
	if _, err := time.LoadLocation(name); err != nil {
		return errNoZone.Because(err)
	}
	return nil
}

func explainZone(err error) error {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == "22023" { // invalid_parameter_value
		return errNoZone.Because(err)
	}
	return explain(err)
}

func oneClinic(c store.Clinic) api.OneClinicJSONResponse {
	return api.OneClinicJSONResponse{Body: clinicToAPI(c), Headers: api.OneClinicResponseHeaders{ETag: new(etag.Of(c.Version))}}
}

func clinicToAPI(c store.Clinic) api.Clinic {
	return api.Clinic{
		ID: c.ID, Name: c.Name, Address: c.Address, Coordinates: api.Coordinates{Latitude: c.Latitude, Longitude: c.Longitude},
		TimeZone: c.TimeZone, Phone: c.Phone, URL: c.Url,
	}
}
