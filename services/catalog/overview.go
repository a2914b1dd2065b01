package catalog

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/healthe/healthe/kit/identity"
	"github.com/healthe/healthe/openapi/appointment"
	"github.com/healthe/healthe/openapi/auth"
	api "github.com/healthe/healthe/openapi/catalog"
)

const (
	overviewDeadline     = 3 * time.Second // for all parts together
	overviewAppointments = 5
)

// composites implements every operation of openapi/catalog.yaml.
type composites struct {
	auth        auth.ClientWithResponsesInterface
	appointment appointment.ClientWithResponsesInterface
}

var _ api.StrictServerInterface = (*composites)(nil)

func (c *composites) GetOverview(ctx context.Context, _ api.GetOverviewRequestObject) (api.GetOverviewResponseObject, error) {
	ctx, cancel := context.WithTimeout(ctx, overviewDeadline)
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
	if err != nil || resp.JSON200 == nil {
		missing(ctx, "account", err, resp)
		return api.AccountPart{State: api.Unavailable}
	}
	return api.AccountPart{State: api.Live, Account: resp.JSON200}
}

func (c *composites) patient(ctx context.Context) api.PatientPart {
	resp, err := c.appointment.GetOwnPatientWithResponse(ctx)
	switch {
	case err == nil && resp.JSON200 != nil:
		return api.PatientPart{State: api.Live, Profile: resp.JSON200}
	case err == nil && resp.ApplicationProblemJSON404 != nil: // the service says that there is none, not somebody on the way to it
		return api.PatientPart{State: api.Live}
	}
	missing(ctx, "patient", err, resp)
	return api.PatientPart{State: api.Unavailable}
}

func (c *composites) coming(ctx context.Context) api.AppointmentsPart {
	resp, err := c.appointment.ListAppointmentsWithResponse(ctx, &appointment.ListAppointmentsParams{
		When: new(appointment.Coming), Status: new(appointment.Booked), Limit: new(overviewAppointments),
	})
	if err != nil || resp.JSON200 == nil {
		missing(ctx, "appointments", err, resp)
		return api.AppointmentsPart{State: api.Unavailable}
	}
	return api.AppointmentsPart{State: api.Live, Items: &resp.JSON200.Items, More: new(resp.JSON200.NextCursor != nil)}
}

// missing says in the log why a part is.
func missing(ctx context.Context, part string, err error, resp interface{ StatusCode() int }) {
	status := 0
	if err == nil {
		status = resp.StatusCode()
	}
	slog.WarnContext(ctx, "part unavailable", "part", part, "status", status, "error", err)
}

// asCaller makes the calls of a composite the caller's own: it passes on the identity that came with the request.
func asCaller(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), identityKey{}, r.Header.Get(identity.Header))))
	})
}

type identityKey struct{}

// withCaller edits the requests of generated clients.
func withCaller(ctx context.Context, r *http.Request) error {
	signed, _ := ctx.Value(identityKey{}).(string)
	r.Header.Set(identity.Header, signed)
	return nil
}
