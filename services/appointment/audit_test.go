package appointment

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/kit/identity"
	api "github.com/healthe/healthe/openapi/appointment"
)

// TestAuditOfApplications has an application do everything to a patient's data that it can in their name.
func TestAuditOfApplications(t *testing.T) {
	t.Parallel()

	q := newQueue(t)
	token := q.issuer.Token(t, identity.Identity{Subject: q.first.String(), Scopes: asPatient, ClientID: "fitness-app"})
	app := func(_ context.Context, r *http.Request) error { r.Header.Set(identity.Header, token); return nil }
	records := func() []api.AuditRecord {
		t.Helper()
		resp, err := q.ListAuditRecordsWithResponse(t.Context(), nil, q.patientOf(q.first))
		require.NoError(t, err)
		return resp.JSON200.Items
	}
	_, err := q.GetOwnPatientWithResponse(t.Context(), q.patientOf(q.first))
	require.NoError(t, err)
	require.Empty(t, records(), "what patients do themselves they know")

	_, err = q.GetOwnPatientWithResponse(t.Context(), app)
	require.NoError(t, err)
	_, err = q.UpdatePatientWithResponse(t.Context(), nil, ada, app)
	require.NoError(t, err)
	booked, err := q.BookAppointmentWithResponse(t.Context(), nil, q.request(q.doctor, slotAt(3, 9, 0)), app)
	require.NoError(t, err)
	id := booked.JSON201.ID
	_, err = q.ListAppointmentsWithResponse(t.Context(), nil, app)
	require.NoError(t, err)
	_, err = q.GetAppointmentWithResponse(t.Context(), id, app)
	require.NoError(t, err)
	_, err = q.RescheduleAppointmentWithResponse(t.Context(), id, nil, api.Rescheduling{StartsAt: slotAt(4, 9, 0)}, app)
	require.NoError(t, err)
	_, err = q.CancelAppointmentWithResponse(t.Context(), id, nil, api.Cancellation{}, app)
	require.NoError(t, err)
	q.mustCancel(q.holder, q.booked.ID)
	_, err = q.AcceptOfferWithResponse(t.Context(), q.firstEntry, nil, app)
	require.NoError(t, err)
	_, err = q.DeletePatientWithResponse(t.Context(), nil, app)
	require.NoError(t, err)
	want := []api.AuditAction{ // the latest first
		api.ProfileDeleted, api.AppointmentCancelled, api.AppointmentBooked, api.AppointmentCancelled, api.AppointmentRescheduled,
		api.AppointmentRead, api.AppointmentRead, api.AppointmentBooked, api.ProfileChanged, api.ProfileRead,
	}
	actions := make([]api.AuditAction, 0, len(want))
	for _, r := range records() {
		require.Equal(t, q.first, r.ActorID)
		require.Equal(t, "fitness-app", *r.ClientID)
		actions = append(actions, r.Action)
	}
	require.Equal(t, want, actions)
}
