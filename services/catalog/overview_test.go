package catalog

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/kit/contract"
	"github.com/healthe/healthe/kittest/contracttest"
	api "github.com/healthe/healthe/openapi/catalog"
	"github.com/healthe/healthe/openapi/problem"
)

const (
	account = `{"id": "0b5c2d5e-6a1c-4a3e-9f3e-8f5f6a7b8c9d", "username": "ada", "email": "ada@example.org", "email_verified": true, "name": "Ada",
		"roles": ["patient"], "scopes": ["account:read"], "created_at": "2026-05-01T08:00:00Z"}`
	profile = `{"id": "0b5c2d5e-6a1c-4a3e-9f3e-8f5f6a7b8c9d", "name": "Ada", "phone": "+493012345678", "birth_date": "1990-12-10", "gender": "female"}`
	booked  = `{"items": [{"id": "01990c5e-7a10-7cc3-8a51-2f6d3b1f0a10", "status": "booked", "starts_at": "2026-05-04T07:30:00Z", "ends_at": "2026-05-04T08:00:00Z",
		"patient": {"id": "0b5c2d5e-6a1c-4a3e-9f3e-8f5f6a7b8c9d"}, "doctor": {"id": "4d1f3f9a-0b0e-4a37-9a6e-9e3a5f6b7c8d", "name": "Dr. Noor Haddad"},
		"clinic": {"id": "01990c5e-7a10-7cc3-8a51-2f6d3b1f0a01", "name": "City Clinic", "address": "x", "phone": "+493012345678", "time_zone": "Europe/Berlin"},
		"appointment_type": {"id": "01990c5e-7a10-7cc3-8a51-2f6d3b1f0a03", "name": "First visit"},
		"created_at": "2026-05-01T08:00:00Z", "updated_at": "2026-05-01T08:00:00Z"}], "next_cursor": "x"}`
)

// appointments is the appointment service of one patient.
func appointments(patient, coming http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/me/patient") {
			patient(w, r)
			return
		}
		coming(w, r)
	}
}

func (b *bench) overview(scopes ...string) (api.Overview, answer) {
	b.t.Helper()
	got := b.do(request{method: http.MethodGet, path: "/catalog/v1/me/overview", scopes: scopes})
	var o api.Overview
	require.NoError(b.t, json.Unmarshal([]byte(got.text), &o), got.text)
	return o, got
}

// CAT-12: one call instead of three, as the caller, and nothing is left to guess.
func TestGetOverview(t *testing.T) {
	t.Parallel()

	t.Run("shows every part", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		b.core.does("auth", says(http.StatusOK, account))
		b.core.does("appointment", appointments(says(http.StatusOK, profile), says(http.StatusOK, booked)))
		o, got := b.overview("account:read", "appointments:read")
		require.Equal(t, http.StatusOK, got.StatusCode, got.text)
		require.Equal(t, "no-store", got.Header.Get("Cache-Control"))
		require.Equal(t, "ada", o.Account.Account.Username)
		require.Equal(t, "Ada", o.Patient.Profile.Name)
		require.Len(t, *o.Appointments.Items, 1)
		require.True(t, *o.Appointments.More)
		for _, r := range b.core.requests() {
			require.NotEmpty(t, r.Header.Get("X-Healthe-Identity"), "asked as the caller")
			require.Equal(t, got.Header.Get("X-Request-Id"), r.Header.Get("X-Request-Id"))
		}
	})

	t.Run("tells nothing there from nothing known", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		b.core.does("auth", says(http.StatusOK, account))
		b.core.does("appointment", appointments(refuses(problem.NotFound("Patient")), says(http.StatusOK, `{"items": []}`)))
		o, _ := b.overview("account:read", "appointments:read")
		require.Equal(t, api.PatientPart{State: api.Live}, o.Patient)
		require.Equal(t, api.Live, o.Appointments.State)
		require.NotNil(t, o.Appointments.Items)
		require.Empty(t, *o.Appointments.Items)
	})

	t.Run("needs both scopes", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		_, got := b.overview("account:read")
		require.Equal(t, http.StatusForbidden, got.StatusCode)
		require.Equal(t, http.StatusUnauthorized, b.get("/catalog/v1/me/overview").StatusCode)
		require.Empty(t, b.core.requests())
	})
}

// Whatever is down, in whatever way, no part claims to know what it does not.
func TestOverviewNeverLies(t *testing.T) {
	t.Parallel()

	faults := map[string]http.HandlerFunc{
		"away": says(http.StatusServiceUnavailable, "no available server"), "hangs": hangs, "resets": resets,
		"breaks": says(http.StatusInternalServerError, `{}`), "is refused": refuses(problem.Unauthenticated("no")),
		"is not routed": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "404 page not found", http.StatusNotFound) },
		"says nonsense": says(http.StatusOK, `[1`),
	}
	patient := testPolicy
	patient.minimumCalls = 1000 // the circuits stay closed, so that each subset is a case of its own
	for fault, broken := range faults {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()

			b := newBenchWith(t, patient)
			for down := 1; down < 8; down++ {
				b.checkOverview(down, broken)
			}
		})
	}
}

// checkOverview breaks the parts whose bits are in down.
func (b *bench) checkOverview(down int, broken http.HandlerFunc) {
	b.t.Helper()
	pick := func(bit int, good string) http.HandlerFunc {
		if down&bit != 0 {
			return broken
		}
		return says(http.StatusOK, good)
	}
	b.core.does("auth", pick(1, account))
	b.core.does("appointment", appointments(pick(2, profile), pick(4, booked)))
	began := time.Now()
	o, got := b.overview("account:read", "appointments:read")
	require.Equal(b.t, http.StatusOK, got.StatusCode)
	require.Less(b.t, time.Since(began), overviewDeadline+time.Second)

	check := func(bit int, state api.PartState, known bool) {
		b.t.Helper()
		want := api.Live
		if down&bit != 0 {
			want = api.Unavailable
		}
		require.Equal(b.t, want, state, "with %b down", down)
		require.Equal(b.t, want == api.Live, known, "with %b down", down)
	}
	check(1, o.Account.State, o.Account.Account != nil)
	check(2, o.Patient.State, o.Patient.Profile != nil)
	check(4, o.Appointments.State, o.Appointments.Items != nil)
}

func TestOverviewKeepsItsContract(t *testing.T) {
	t.Parallel()

	b := newBench(t)
	b.core.does("auth", says(http.StatusOK, account))
	doc, err := contract.Load("catalog")
	require.NoError(t, err)
	checked := contracttest.Responses(t, doc, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, got := b.overview("account:read", "appointments:read")
		w.Header().Set("Content-Type", got.Header.Get("Content-Type"))
		w.WriteHeader(got.StatusCode)
		_, _ = w.Write([]byte(got.text))
	}))
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/catalog/v1/me/overview", http.NoBody)
	require.NoError(t, err)
	checked.ServeHTTP(discardWriter{http.Header{}}, r)
}

type discardWriter struct{ header http.Header }

func (d discardWriter) Header() http.Header         { return d.header }
func (d discardWriter) Write(b []byte) (int, error) { return len(b), nil }
func (discardWriter) WriteHeader(int)               {}
