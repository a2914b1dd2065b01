package catalog

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	openapi_types "github.com/oapi-codegen/runtime/types"
	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/openapi/appointment"
	api "github.com/healthe/healthe/openapi/catalog"
	"github.com/healthe/healthe/openapi/problem"
)

func date(y int, m time.Month, d int) *openapi_types.Date {
	return &openapi_types.Date{Time: time.Date(y, m, d, 0, 0, 0, 0, time.UTC)}
}

// CAT-12: a doctor's day is one call, on the clinic's clock.
func TestGetDay(t *testing.T) {
	t.Parallel()

	t.Run("is a day on the clinic's clock", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		b.core.does("appointment", tells)
		var d api.Day
		got := b.part("/catalog/v1/me/day?date=2031-10-26", &d, "schedule:read") // the clock is put back
		require.Equal(t, "no-store", got.Header.Get("Cache-Control"))
		require.Equal(t, "Europe/Berlin", d.TimeZone)
		require.Equal(t, "2031-10-26", d.Date.String())
		require.Equal(t, "Dr. Noor Haddad", d.Doctor.Profile.Name)
		require.Len(t, *d.WorkingHours.Days, 1)
		require.Len(t, *d.Appointments.Items, 1)
		require.False(t, *d.Appointments.More)
		require.Equal(t, api.Live, d.TimeOff.State)
		require.Empty(t, *d.TimeOff.Items, "none touches this day")
		require.False(t, *d.TimeOff.More)
		asked := b.query("schedule")
		require.Equal(t, "2031-10-25T22:00:00Z", asked.Get("from"))
		require.Equal(t, "2031-10-26T23:00:00Z", asked.Get("to"))
		require.Empty(t, asked.Get("status"))
		require.Len(t, b.core.requests(), 4)
		for _, r := range b.core.requests() {
			require.NotEmpty(t, r.Header.Get("X-Healthe-Identity"), "asked as the caller")
		}
	})

	t.Run("is a day of UTC without the clinic, and says so", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		b.core.does("appointment", func(w http.ResponseWriter, r *http.Request) {
			if partOf(r) == "doctor" {
				refuses(problem.Unavailable("The database"))(w, r)
				return
			}
			tells(w, r)
		})
		var d api.Day
		b.part("/catalog/v1/me/day?date=2031-05-05", &d, "schedule:read")
		require.Equal(t, api.DoctorPart{State: api.Unavailable}, d.Doctor)
		require.Equal(t, "UTC", d.TimeZone)
		require.Equal(t, "2031-05-05T00:00:00Z", b.query("schedule").Get("from"))
		require.Len(t, *d.Appointments.Items, 1)
		require.Len(t, *d.TimeOff.Items, 1)
	})

	t.Run("is today if nothing is said", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		b.core.does("appointment", func(w http.ResponseWriter, r *http.Request) {
			if partOf(r) == "doctor" {
				says(http.StatusOK, strings.ReplaceAll(noor, "Europe/Berlin", "Pacific/Kiritimati"))(w, r)
				return
			}
			tells(w, r)
		})
		zone, err := time.LoadLocation("Pacific/Kiritimati")
		require.NoError(t, err)
		var d api.Day
		before := time.Now().In(zone).Format(time.DateOnly)
		b.part("/catalog/v1/me/day", &d, "schedule:read")
		require.Contains(t, []string{before, time.Now().In(zone).Format(time.DateOnly)}, d.Date.String())
	})

	t.Run("of who has no profile yet is empty, not unknown", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		b.core.does("appointment", func(w http.ResponseWriter, r *http.Request) {
			switch partOf(r) {
			case "doctor":
				refuses(problem.NotFound("Doctor"))(w, r)
			case "working_hours":
				refuses(problem.NotFound("Doctor profile"))(w, r)
			default:
				says(http.StatusOK, `{"items": []}`)(w, r)
			}
		})
		var d api.Day
		b.part("/catalog/v1/me/day?date=2031-05-05", &d, "schedule:read")
		require.Equal(t, api.DoctorPart{State: api.Live}, d.Doctor)
		require.Equal(t, api.WorkingHoursPart{State: api.Live, Days: &[]appointment.WorkingDay{}}, d.WorkingHours)
		require.Equal(t, api.AppointmentsPart{State: api.Live, Items: &[]appointment.Appointment{}, More: new(false)}, d.Appointments)
		require.Equal(t, api.TimeOffPart{State: api.Live, Items: &[]appointment.TimeOff{}, More: new(false)}, d.TimeOff)
	})

	t.Run("knows no time off of a day that is over", func(t *testing.T) { // the service lists what is not
		t.Parallel()

		b := newBench(t)
		b.core.does("appointment", tells)
		var d api.Day
		b.part("/catalog/v1/me/day?date=2025-05-05", &d, "schedule:read")
		require.Equal(t, api.TimeOffPart{State: api.Unavailable}, d.TimeOff)
		require.Equal(t, api.Live, d.Appointments.State)
	})

	t.Run("finds its time off behind that of other days", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		b.core.does("appointment", pages(3, "2031-05-05T09:00:00Z"))
		var d api.Day
		b.part("/catalog/v1/me/day?date=2031-05-05", &d, "schedule:read")
		require.Len(t, *d.TimeOff.Items, 1)
		require.False(t, *d.TimeOff.More)
		require.Equal(t, api.Live, d.TimeOff.State)
	})

	t.Run("asks for time off within bounds, and says that there may be more", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		b.core.does("appointment", pages(1000, "2031-05-05T09:00:00Z"))
		var d api.Day
		b.part("/catalog/v1/me/day?date=2031-05-05", &d, "schedule:read")
		require.Empty(t, *d.TimeOff.Items)
		require.True(t, *d.TimeOff.More)
	})

	t.Run("refuses dates that nobody means", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		for _, wrong := range []string{"9999-12-31", "0000-01-01", "2031-02-29", "tomorrow", ""} {
			got := b.do(request{method: http.MethodGet, path: "/catalog/v1/me/day?date=" + wrong, scopes: []string{"schedule:read"}})
			require.Equal(t, http.StatusBadRequest, got.StatusCode, wrong)
			require.Equal(t, "/query/date", got.problem(t).Errors[0].Pointer, wrong)
		}
		got := b.do(request{method: http.MethodGet, path: "/catalog/v1/me/day", scopes: []string{"appointments:read"}})
		require.Equal(t, http.StatusForbidden, got.StatusCode)
		require.Empty(t, b.core.requests())
	})
}

func TestTimeOffIsAsOldAsItsOldestPage(t *testing.T) {
	t.Parallel()

	srv := httptest.NewServer(pages(3, "2031-05-05T09:00:00Z"))
	t.Cleanup(srv.Close)
	calendar, err := appointment.NewClientWithResponses(srv.URL)
	require.NoError(t, err)
	got := (&composites{appointment: calendar}).timeOff(t.Context())
	require.Equal(t, api.Stale, got.State, "the second page is")
	require.Equal(t, new(staleAge), got.AgeS)
	require.Len(t, *got.Items, 3)
	require.False(t, *got.More)
}

// pages answers with n pages of time off on other days, the second as a cache does for a service that is out. The last has what
// starts at the time given.
func pages(n int, starts string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if partOf(r) != "time_off" {
			tells(w, r)
			return
		}
		at := 1
		_, _ = fmt.Sscanf(r.URL.Query().Get("cursor"), "page-%d", &at)
		item := func(starts string) string {
			return fmt.Sprintf(`{"items": [{"id": "01990c5e-7a10-7cc3-8a51-2f6d3b1f0a30", "starts_at": %q, "ends_at": "2031-05-05T10:00:00Z", "reason": ""}]`, starts)
		}
		switch {
		case at == n:
			says(http.StatusOK, item(starts)+"}")(w, r)
			return
		case at == 2:
			w.Header().Set("Warning", `110 - "Response is Stale"`)
			w.Header().Set("Age", fmt.Sprint(staleAge))
		}
		earlier := strings.ReplaceAll(item("2030-05-05T09:00:00Z"), "2031", "2030")
		says(http.StatusOK, earlier+fmt.Sprintf(`, "next_cursor": "page-%d"}`, at+1))(w, r)
	}
}

// A day is as long as the clock of its clinic makes it.
func TestDayOf(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct {
		zone         string
		date         *openapi_types.Date
		starts, ends string
	}{
		"an ordinary one":                {"Europe/Berlin", date(2026, 5, 4), "2026-05-03T22:00:00Z", "2026-05-04T22:00:00Z"},
		"of UTC":                         {"UTC", date(2026, 5, 4), "2026-05-04T00:00:00Z", "2026-05-05T00:00:00Z"},
		"of 23 hours":                    {"Europe/Berlin", date(2026, 3, 29), "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"},
		"of 25 hours":                    {"Europe/Berlin", date(2026, 10, 25), "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"},
		"that starts at one":             {"Africa/Cairo", date(2026, 4, 24), "2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z"},
		"whose last hour is there twice": {"Africa/Cairo", date(2026, 10, 29), "2026-10-28T21:00:00Z", "2026-10-29T22:00:00Z"},
		"that starts twice":              {"America/Havana", date(2026, 11, 1), "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"},
		"furthest ahead":                 {"Pacific/Kiritimati", date(2026, 5, 4), "2026-05-03T10:00:00Z", "2026-05-04T10:00:00Z"},
		"furthest behind":                {"Etc/GMT+12", date(2026, 5, 4), "2026-05-04T12:00:00Z", "2026-05-05T12:00:00Z"},
		"of half an hour less":           {"Australia/Lord_Howe", date(2026, 10, 4), "2026-10-03T13:30:00Z", "2026-10-04T13:00:00Z"},
		"that a country left out":        {"Pacific/Apia", date(2011, 12, 30), "2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z"},
		"today":                          {"America/New_York", nil, "2026-05-03T04:00:00Z", "2026-05-04T04:00:00Z"}, // it is evening there
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			zone, err := time.LoadLocation(c.zone)
			require.NoError(t, err)
			got := dayOf(c.date, zone, time.Date(2026, 5, 4, 2, 0, 0, 0, time.UTC))
			require.Equal(t, c.starts, got.starts.Format(time.RFC3339))
			require.Equal(t, c.ends, got.ends.Format(time.RFC3339))
			if c.date != nil {
				require.Equal(t, c.date.Time, got.date)
			}
		})
	}
}

func TestTouching(t *testing.T) {
	t.Parallel()

	today := dayOf(date(2026, 5, 4), time.UTC, time.Time{})
	now := today.starts.Add(9 * time.Hour)
	for name, c := range map[string]struct {
		from, to time.Duration // from the start of the day
		touches  bool
	}{
		"within":             {time.Hour, 2 * time.Hour, true},
		"around":             {-time.Hour, 48 * time.Hour, true},
		"into it":            {-time.Hour, time.Second, true},
		"out of it":          {23 * time.Hour, 30 * time.Hour, true},
		"up to its start":    {-time.Hour, 0, false},
		"from its end":       {24 * time.Hour, 25 * time.Hour, false},
		"exactly it":         {0, 24 * time.Hour, true},
		"days before it":     {-72 * time.Hour, -48 * time.Hour, false},
		"from days after it": {72 * time.Hour, 96 * time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			items := []appointment.TimeOff{{StartsAt: today.starts.Add(c.from), EndsAt: today.starts.Add(c.to)}}
			got := touching(today, api.TimeOffPart{State: api.Live, Items: &items, More: new(false)}, now)
			require.Equal(t, c.touches, len(*got.Items) == 1)
		})
	}

	t.Run("at most as many as the contract says", func(t *testing.T) {
		t.Parallel()

		items := make([]appointment.TimeOff, dayTimeOff+1)
		for i := range items {
			items[i] = appointment.TimeOff{StartsAt: today.starts, EndsAt: today.ends}
		}
		got := touching(today, api.TimeOffPart{State: api.Live, Items: &items, More: new(false)}, now)
		require.Len(t, *got.Items, dayTimeOff)
		require.True(t, *got.More)
	})
}

func TestClock(t *testing.T) {
	t.Parallel()

	for name, want := range map[string]string{"Europe/Berlin": "Europe/Berlin", "Mars/Olympus": "UTC", "Local": "UTC", "": "UTC", "../etc": "UTC"} {
		require.Equal(t, want, clock(t.Context(), appointment.Clinic{TimeZone: name}).String(), name)
	}
}
