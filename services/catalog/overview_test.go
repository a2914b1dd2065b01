package catalog

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	api "github.com/healthe/healthe/openapi/catalog"
	"github.com/healthe/healthe/openapi/problem"
)

const overview = "/catalog/v1/me/overview"

// CAT-12: one call instead of three, as the caller, and nothing is left to guess.
func TestGetOverview(t *testing.T) {
	t.Parallel()

	t.Run("shows every part", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		b.core.does("auth", tells)
		b.core.does("appointment", tells)
		var o api.Overview
		got := b.part(overview, &o, "account:read", "appointments:read")
		require.Equal(t, "no-store", got.Header.Get("Cache-Control"))
		require.Equal(t, "ada", o.Account.Account.Username)
		require.Equal(t, "Ada", o.Patient.Profile.Name)
		require.Len(t, *o.Appointments.Items, 1)
		require.False(t, *o.Appointments.More)
		require.Len(t, b.core.requests(), 3)
		for _, r := range b.core.requests() {
			require.NotEmpty(t, r.Header.Get("X-Healthe-Identity"), "asked as the caller")
			require.Equal(t, got.Header.Get("X-Request-Id"), r.Header.Get("X-Request-Id"))
		}
	})

	t.Run("says that there is more", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		b.core.does("appointment", says(http.StatusOK, `{"items": `+booked+`, "next_cursor": "x"}`))
		var o api.Overview
		b.part(overview, &o, "account:read", "appointments:read")
		require.True(t, *o.Appointments.More)
		require.Equal(t, "5", b.query("appointments").Get("limit"))
	})

	t.Run("tells nothing there from nothing known", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		b.core.does("appointment", func(w http.ResponseWriter, r *http.Request) {
			if partOf(r) == "patient" {
				refuses(problem.NotFound("Patient profile"))(w, r)
				return
			}
			says(http.StatusOK, `{"items": []}`)(w, r)
		})
		var o api.Overview
		b.part(overview, &o, "account:read", "appointments:read")
		require.Equal(t, api.AccountPart{State: api.Unavailable}, o.Account)
		require.Equal(t, api.PatientPart{State: api.Live}, o.Patient)
		require.Equal(t, api.Live, o.Appointments.State)
		require.NotNil(t, o.Appointments.Items)
		require.Empty(t, *o.Appointments.Items)
	})

	t.Run("needs both scopes", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		got := b.do(request{method: http.MethodGet, path: overview, scopes: []string{"account:read"}})
		require.Equal(t, http.StatusForbidden, got.StatusCode)
		require.Equal(t, http.StatusUnauthorized, b.get(overview).StatusCode)
		require.Empty(t, b.core.requests())
	})
}
