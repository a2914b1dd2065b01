package catalog

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	openapi_types "github.com/oapi-codegen/runtime/types"

	"github.com/healthe/healthe/kit/page"
	"github.com/healthe/healthe/openapi/appointment"
	api "github.com/healthe/healthe/openapi/catalog"
	"github.com/healthe/healthe/openapi/problem"
)

const (
	foundDoctors  = 10 // if not asked for more or fewer
	nextSlots     = 5
	slotDays      = 31 // the longest search that there is
	slotsAtOnce   = 8  // so that one request takes no more than its share of the service
	typePointer   = "/query/appointment_type_id"
	cursorPointer = "/query/cursor"
)

var (
	errHalfPlace = problem.Invalid(problem.Field{Pointer: "/query/latitude", Detail: "Give latitude and longitude together; a radius needs both."})
	errFarFrom   = problem.Invalid(problem.Field{Pointer: "/query/from", Detail: "The day is more than 100 years away."})
	errSlotType  = problem.Invalid(problem.Field{Pointer: typePointer, Detail: "There is no such appointment type."})
	errCursor    = problem.Invalid(problem.Field{Pointer: cursorPointer, Detail: "This is no cursor that a page gave."})
	errDirectory = problem.Unavailable("The directory of doctors")
)

func (c *composites) FindDoctors(ctx context.Context, req api.FindDoctorsRequestObject) (api.FindDoctorsResponseObject, error) {
	p, now := req.Params, time.Now()
	switch {
	case (p.Latitude == nil) != (p.Longitude == nil), p.RadiusM != nil && p.Latitude == nil:
		return nil, errHalfPlace
	case far(p.From, now):
		return nil, errFarFrom
	}
	ctx, cancel := context.WithTimeout(asNobody(ctx), compositeDeadline)
	defer cancel()
	listed, err := c.directory(ctx, p)
	if err != nil {
		return nil, err
	}
	found := api.DoctorPage{NextCursor: listed.JSON200.NextCursor}
	found.State, found.AgeS = standing(listed.HTTPResponse)
	found.Items, err = c.withSlots(ctx, listed.JSON200.Items, p, now)
	if err != nil {
		return nil, err
	}
	return api.FindDoctors200JSONResponse{
		Body:    found,
		Headers: api.FindDoctors200ResponseHeaders{Link: page.Link(ctx, found.NextCursor)},
	}, nil
}

// directory is a page of doctors, without which there is no answer.
func (c *composites) directory(ctx context.Context, p api.FindDoctorsParams) (*appointment.ListDoctorsResponse, error) {
	resp, err := c.appointment.ListDoctorsWithResponse(ctx, &appointment.ListDoctorsParams{
		SpecialityID: &p.SpecialityID, Latitude: p.Latitude, Longitude: p.Longitude, RadiusM: p.RadiusM,
		Limit: cmp.Or(p.Limit, new(foundDoctors)), Cursor: p.Cursor,
	})
	switch {
	case err == nil && resp.JSON200 != nil && resp.JSON200.Items != nil:
		return resp, nil
	case err == nil && blames(resp.ApplicationProblemJSON400, cursorPointer):
		return nil, errCursor
	}
	missing(ctx, "doctors", err, resp)
	return nil, errDirectory.Because(plain(err))
}

// withSlots asks for the free slots of each doctor. Whose cannot be had are still found.
func (c *composites) withSlots(ctx context.Context, doctors []appointment.Doctor, p api.FindDoctorsParams, now time.Time) ([]api.FoundDoctor, error) {
	found, errs := make([]api.FoundDoctor, len(doctors)), make([]error, len(doctors))
	turns := make(chan struct{}, slotsAtOnce)
	var parts sync.WaitGroup
	for i, doctor := range doctors {
		found[i].Doctor = doctor
		parts.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			from := dayOf(p.From, clock(ctx, doctor.Clinic), now).date
			found[i].Slots, errs[i] = c.slots(ctx, doctor.ID, p.AppointmentTypeID, from)
		})
	}
	parts.Wait()
	return found, cmp.Or(errs...)
}

// slots are the next free ones of a doctor. Its error is about the request, and the same whichever doctor is asked for.
func (c *composites) slots(ctx context.Context, doctor, kind openapi_types.UUID, from time.Time) (api.SlotsPart, error) {
	resp, err := c.appointment.ListSlotsWithResponse(ctx, &appointment.ListSlotsParams{
		DoctorID: &doctor, AppointmentTypeID: kind, Limit: new(nextSlots),
		From: openapi_types.Date{Time: from}, To: openapi_types.Date{Time: from.AddDate(0, 0, slotDays-1)},
	})
	switch {
	case err == nil && resp.JSON200 != nil && resp.JSON200.Items != nil:
		state, age := standing(resp.HTTPResponse)
		return api.SlotsPart{State: state, AgeS: age, Items: &resp.JSON200.Items}, nil
	case err == nil && blames(resp.ApplicationProblemJSON400, typePointer):
		return api.SlotsPart{State: api.Unavailable}, errSlotType
	}
	missing(ctx, "slots", err, resp)
	return api.SlotsPart{State: api.Unavailable}, nil
}

// blames says whether a service refused a request for what it has at pointer.
func blames(p *problem.Problem, pointer string) bool {
	return p != nil && p.Status == http.StatusBadRequest && slices.ContainsFunc(p.Errors, func(f problem.Field) bool { return f.Pointer == pointer })
}
