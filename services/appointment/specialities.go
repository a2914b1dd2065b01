package appointment

import (
	"context"

	"github.com/healthe/healthe/kit/etag"
	"github.com/healthe/healthe/kit/page"
	api "github.com/healthe/healthe/openapi/appointment"
	"github.com/healthe/healthe/services/appointment/internal/store"
)

func (s *service) ListSpecialities(ctx context.Context, req api.ListSpecialitiesRequestObject) (api.ListSpecialitiesResponseObject, error) {
	after, err := page.Decode[nameKey](req.Params.Cursor)
	if err != nil {
		return nil, err
	}
	limit := page.Limit(req.Params.Limit)
	rows, err := s.store.ListSpecialities(ctx, store.ListSpecialitiesParams{AfterName: after.Name, AfterID: after.ID, MaxRows: limit + 1})
	if err != nil {
		return nil, err
	}
	rows, next := page.Cut(rows, limit, func(r store.Speciality) nameKey { return nameKey{r.Name, r.ID} })
	return api.ListSpecialities200JSONResponse{
		Body:    api.SpecialityPage{Items: each(rows, specialityToAPI), NextCursor: next},
		Headers: api.ListSpecialities200ResponseHeaders{Link: page.Link(ctx, next)},
	}, nil
}

func (s *service) CreateSpeciality(ctx context.Context, req api.CreateSpecialityRequestObject) (api.CreateSpecialityResponseObject, error) {
	row, err := s.store.CreateSpeciality(ctx, store.CreateSpecialityParams{Name: req.Body.Name, Description: req.Body.Description})
	if err != nil {
		return nil, explain(err)
	}
	return api.CreateSpeciality201JSONResponse{CreatedSpecialityJSONResponse: api.CreatedSpecialityJSONResponse{
		Body:    specialityToAPI(row),
		Headers: api.CreatedSpecialityResponseHeaders{ETag: new(etag.Of(row.Version)), Location: new("/appointment/v1/specialities/" + row.ID.String())},
	}}, nil
}

func (s *service) GetSpeciality(ctx context.Context, req api.GetSpecialityRequestObject) (api.GetSpecialityResponseObject, error) {
	row, err := s.store.GetSpeciality(ctx, req.SpecialityID)
	if err != nil {
		return nil, found(err, "Speciality")
	}
	return api.GetSpeciality200JSONResponse{OneSpecialityJSONResponse: oneSpeciality(row)}, nil
}

func (s *service) UpdateSpeciality(ctx context.Context, req api.UpdateSpecialityRequestObject) (api.UpdateSpecialityResponseObject, error) {
	version, err := etag.Version(req.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	row, err := s.store.UpdateSpeciality(ctx, store.UpdateSpecialityParams{
		Name: req.Body.Name, Description: req.Body.Description, ID: req.SpecialityID, IfVersion: version,
	})
	if err != nil {
		_, exists := s.store.GetSpeciality(ctx, req.SpecialityID)
		return nil, missing(err, exists, "Speciality")
	}
	return api.UpdateSpeciality200JSONResponse{OneSpecialityJSONResponse: oneSpeciality(row)}, nil
}

func (s *service) DeleteSpeciality(ctx context.Context, req api.DeleteSpecialityRequestObject) (api.DeleteSpecialityResponseObject, error) {
	version, err := etag.Version(req.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	n, err := s.store.DeleteSpeciality(ctx, store.DeleteSpecialityParams{ID: req.SpecialityID, IfVersion: version})
	if err := deleted(n, err); err != nil {
		_, exists := s.store.GetSpeciality(ctx, req.SpecialityID)
		return nil, missing(err, exists, "Speciality")
	}
	return api.DeleteSpeciality204Response{}, nil
}

func oneSpeciality(r store.Speciality) api.OneSpecialityJSONResponse {
	return api.OneSpecialityJSONResponse{Body: specialityToAPI(r), Headers: api.OneSpecialityResponseHeaders{ETag: new(etag.Of(r.Version))}}
}

func specialityToAPI(r store.Speciality) api.Speciality {
	return api.Speciality{ID: r.ID, Name: r.Name, Description: r.Description}
}
