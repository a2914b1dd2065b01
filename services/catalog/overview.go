package catalog

import (
	"context"
	"sync"

	"github.com/google/uuid"

	"github.com/healthe/healthe/openapi/appointment"
	"github.com/healthe/healthe/openapi/auth"
	api "github.com/healthe/healthe/openapi/catalog"
	"github.com/healthe/healthe/services/catalog/internal/circuits"
)

const overviewAppointments = 5

// composites implements every operation of openapi/catalog.yaml.
type composites struct {
	*circuits.Circuits
	operations
	auth        auth.ClientWithResponsesInterface
	appointment appointment.ClientWithResponsesInterface
}

var _ api.StrictServerInterface = (*composites)(nil)

func (c *composites) GetOverview(ctx context.Context, _ api.GetOverviewRequestObject) (api.GetOverviewResponseObject, error) {
	ctx, cancel := context.WithTimeout(ctx, compositeDeadline)
	defer cancel()
	var overview api.Overview
	var parts sync.WaitGroup
	parts.Go(func() { overview.Account = c.account(ctx) })
	parts.Go(func() { overview.Patient = c.patient(ctx) })
	parts.Go(func() { overview.Appointments = c.coming(ctx) })
	parts.Wait()
	return api.GetOverview200JSONResponse{
		Body:    overview,
		Headers: api.GetOverview200ResponseHeaders{CacheControl: new("no-store")},
	}, nil
}

func (c *composites) account(ctx context.Context) api.AccountPart {
	resp, err := c.auth.GetMeWithResponse(ctx)
	if err != nil || resp.JSON200 == nil || resp.JSON200.ID == uuid.Nil {
		missing(ctx, "account", err, resp)
		return api.AccountPart{State: api.Unavailable}
	}
	state, age := standing(resp.HTTPResponse)
	return api.AccountPart{State: state, AgeS: age, Account: resp.JSON200}
}

func (c *composites) patient(ctx context.Context) api.PatientPart {
	resp, err := c.appointment.GetOwnPatientWithResponse(ctx)
	known := err == nil && resp.JSON200 != nil && resp.JSON200.ID != uuid.Nil
	if !known && (err != nil || !absent(resp.ApplicationProblemJSON404, "Patient profile")) {
		missing(ctx, "patient", err, resp)
		return api.PatientPart{State: api.Unavailable}
	}
	state, age := standing(resp.HTTPResponse)
	return api.PatientPart{State: state, AgeS: age, Profile: resp.JSON200}
}

func (c *composites) coming(ctx context.Context) api.AppointmentsPart {
	resp, err := c.appointment.ListAppointmentsWithResponse(ctx, &appointment.ListAppointmentsParams{
		When: new(appointment.Coming), Status: new(appointment.Booked), Limit: new(overviewAppointments),
	})
	if err != nil || resp.JSON200 == nil || resp.JSON200.Items == nil {
		missing(ctx, "appointments", err, resp)
		return api.AppointmentsPart{State: api.Unavailable}
	}
	state, age := standing(resp.HTTPResponse)
	return api.AppointmentsPart{State: state, AgeS: age, Items: &resp.JSON200.Items, More: new(resp.JSON200.NextCursor != nil)}
}
