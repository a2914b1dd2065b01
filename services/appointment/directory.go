package appointment

import (
	"context"

	"github.com/google/uuid"

	"github.com/healthe/healthe/kit/page"
	api "github.com/healthe/healthe/openapi/appointment"
	"github.com/healthe/healthe/openapi/problem"
	"github.com/healthe/healthe/services/appointment/internal/store"
)

var errHalfPlace = problem.Invalid(problem.Field{Pointer: "/query/latitude", Detail: "Give latitude and longitude together; a radius needs both."})

// distanceKey is where a page of a list by distance starts.
type distanceKey struct {
	Metres int32
	ID     uuid.UUID
}

func (s *service) ListDoctors(ctx context.Context, req api.ListDoctorsRequestObject) (api.ListDoctorsResponseObject, error) {
	p := req.Params
	var items []api.Doctor
	var next *string
	var err error
	switch {
	case p.Latitude != nil && p.Longitude != nil:
		items, next, err = s.doctorsByDistance(ctx, p)
	case p.Latitude != nil || p.Longitude != nil || p.RadiusM != nil:
		return nil, errHalfPlace
	default:
		items, next, err = s.doctorsByName(ctx, p)
	}
	if err != nil {
		return nil, err
	}
	return api.ListDoctors200JSONResponse{
		Body:    api.DoctorPage{Items: items, NextCursor: next},
		Headers: api.ListDoctors200ResponseHeaders{Link: page.Link(ctx, next)},
	}, nil
}

func (s *service) doctorsByName(ctx context.Context, p api.ListDoctorsParams) ([]api.Doctor, *string, error) {
	after, err := page.Decode[nameKey](p.Cursor)
	if err != nil {
		return nil, nil, err
	}
	limit := page.Limit(p.Limit)
	rows, err := s.store.ListDoctors(ctx, store.ListDoctorsParams{
		Name: p.Name, SpecialityID: p.SpecialityID, ClinicID: p.ClinicID, AfterName: after.Name, AfterID: after.ID, MaxRows: limit + 1,
	})
	if err != nil {
		return nil, nil, err
	}
	rows, next := page.Cut(rows, limit, func(r store.ListDoctorsRow) nameKey { return nameKey{r.Doctor.Name, r.Doctor.ID} })
	return each(rows, func(r store.ListDoctorsRow) api.Doctor { return doctorToAPI(r.Doctor, r.Clinic, r.SpecialityName) }), next, nil
}

func (s *service) doctorsByDistance(ctx context.Context, p api.ListDoctorsParams) ([]api.Doctor, *string, error) {
	after, err := page.Decode[*distanceKey](p.Cursor)
	if err != nil {
		return nil, nil, err
	}
	if after == nil {
		after = &distanceKey{Metres: -1}
	}
	var radius *int32
	if p.RadiusM != nil {
		radius = new(int32(*p.RadiusM)) //nolint:gosec // the contract keeps it below half the Earth
	}
	limit := page.Limit(p.Limit)
	rows, err := s.store.ListDoctorsByDistance(ctx, store.ListDoctorsByDistanceParams{
		Name: p.Name, SpecialityID: p.SpecialityID, ClinicID: p.ClinicID, Latitude: *p.Latitude, Longitude: *p.Longitude, Radius: radius,
		AfterDistance: after.Metres, AfterID: after.ID, MaxRows: limit + 1,
	})
	if err != nil {
		return nil, nil, err
	}
	rows, next := page.Cut(rows, limit, func(r store.ListDoctorsByDistanceRow) distanceKey { return distanceKey{r.Distance, r.Doctor.ID} })
	return each(rows, func(r store.ListDoctorsByDistanceRow) api.Doctor {
		d := doctorToAPI(r.Doctor, r.Clinic, r.SpecialityName)
		d.DistanceM = new(int(r.Distance))
		return d
	}), next, nil
}

func (s *service) GetDoctor(ctx context.Context, req api.GetDoctorRequestObject) (api.GetDoctorResponseObject, error) {
	one, err := s.oneDoctor(ctx, req.DoctorID)
	if err != nil {
		return nil, err
	}
	return api.GetDoctor200JSONResponse{OneDoctorJSONResponse: one}, nil
}
