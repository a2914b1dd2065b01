package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/kit/contract"
	"github.com/healthe/healthe/kittest/contracttest"
	"github.com/healthe/healthe/openapi/appointment"
	"github.com/healthe/healthe/openapi/auth"
	api "github.com/healthe/healthe/openapi/catalog"
	"github.com/healthe/healthe/openapi/problem"
)

const (
	account = `{"id": "0b5c2d5e-6a1c-4a3e-9f3e-8f5f6a7b8c9d", "username": "ada", "email": "ada@example.org", "email_verified": true, "name": "Ada",
		"roles": ["patient"], "scopes": ["account:read"], "created_at": "2026-05-01T08:00:00Z"}`
	profile = `{"id": "0b5c2d5e-6a1c-4a3e-9f3e-8f5f6a7b8c9d", "name": "Ada", "phone": "+493012345678", "birth_date": "1990-12-10", "gender": "female"}`
	booked  = `[{"id": "01990c5e-7a10-7cc3-8a51-2f6d3b1f0a10", "status": "booked", "starts_at": "2031-05-05T07:30:00Z", "ends_at": "2031-05-05T08:00:00Z",
		"patient": {"id": "0b5c2d5e-6a1c-4a3e-9f3e-8f5f6a7b8c9d"}, "doctor": {"id": "4d1f3f9a-0b0e-4a37-9a6e-9e3a5f6b7c8d", "name": "Dr. Noor Haddad"},
		"clinic": {"id": "01990c5e-7a10-7cc3-8a51-2f6d3b1f0a01", "name": "City Clinic", "address": "x", "phone": "+493012345678", "time_zone": "Europe/Berlin"},
		"appointment_type": {"id": "01990c5e-7a10-7cc3-8a51-2f6d3b1f0a03", "name": "First visit"},
		"created_at": "2026-05-01T08:00:00Z", "updated_at": "2026-05-01T08:00:00Z"}]`
	noor = `{"id": "4d1f3f9a-0b0e-4a37-9a6e-9e3a5f6b7c8d", "name": "Dr. Noor Haddad", "biography": "Heart.", "phone": "+493012345679", "starting_date": "2024-01-01",
		"speciality": {"id": "01990c5e-7a10-7cc3-8a51-2f6d3b1f0a02", "name": "Cardiology"}, "distance_m": 1240,
		"clinic": {"id": "01990c5e-7a10-7cc3-8a51-2f6d3b1f0a01", "name": "City Clinic", "address": "x", "coordinates": {"latitude": 52.5, "longitude": 13.4},
			"time_zone": "Europe/Berlin", "phone": "+493012345678"}}`
	hours = `[{"weekday": "monday", "starts_at": "09:00", "ends_at": "17:00", "breaks": []}]`
	off   = `[{"id": "01990c5e-7a10-7cc3-8a51-2f6d3b1f0a30", "starts_at": "2031-05-01T00:00:00Z", "ends_at": "2031-05-08T00:00:00Z", "reason": "Summer"}]`
	free  = `[{"doctor_id": "4d1f3f9a-0b0e-4a37-9a6e-9e3a5f6b7c8d", "starts_at": "2031-05-05T07:30:00Z", "ends_at": "2031-05-05T08:00:00Z"}]`
)

var (
	noorID  = "4d1f3f9a-0b0e-4a37-9a6e-9e3a5f6b7c8d"
	otherID = "5e2f3f9a-0b0e-4a37-9a6e-9e3a5f6b7c8d"
	other   = strings.ReplaceAll(noor, noorID, otherID)
)

// truth is what the services say, part by part, in the words of a composite.
var truth = map[string]string{
	"account": account, "patient": profile, "appointments": booked,
	"doctor": noor, "working_hours": hours, "schedule": booked, "time_off": off,
	"doctors": "[" + noor + "," + other + "]", "slots of " + noorID: free, "slots of " + otherID: "[]",
}

// partOf names the part that a composite asks for with a request.
func partOf(r *http.Request) string {
	part := map[string]string{
		"/auth/v1/me": "account", "/appointment/v1/me/patient": "patient", "/appointment/v1/appointments": "appointments",
		"/appointment/v1/me/doctor": "doctor", "/appointment/v1/me/doctor/working-hours": "working_hours",
		"/appointment/v1/me/doctor/time-off": "time_off", "/appointment/v1/schedule": "schedule",
		"/appointment/v1/doctors": "doctors", "/appointment/v1/slots": "slots of ",
	}[r.URL.Path]
	if part == "slots of " {
		part += r.URL.Query().Get("doctor_id")
	}
	return part
}

// tells answers as the services do while all is well.
func tells(w http.ResponseWriter, r *http.Request) {
	text := truth[partOf(r)]
	switch {
	case strings.HasSuffix(r.URL.Path, "/working-hours"):
		text = `{"days": ` + text + `}`
	case strings.HasPrefix(text, "["):
		text = `{"items": ` + text + `}`
	}
	says(http.StatusOK, text)(w, r)
}

const staleAge = 40

// cached answers as a cache on the way does for a service that is out.
func cached(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Warning", `110 - "Response is Stale"`)
	w.Header().Set("Age", fmt.Sprint(staleAge))
	tells(w, r)
}

// half is the beginning of the truth.
func half(r *http.Request) string { return truth[partOf(r)][:len(truth[partOf(r)])/2] }

// breaksOff hangs up in the middle of the truth.
func breaksOff(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", "1000")
	_, _ = io.WriteString(w, half(r))
	panic(http.ErrAbortHandler)
}

// stalls begins the truth and never ends it.
func stalls(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, half(r))
	_ = http.NewResponseController(w).Flush()
	<-r.Context().Done()
}

var nowhere = problem.New(http.StatusNotFound, "not-found", "Not found", "There is nothing at this path.") // as Traefik says it

// faults are the ways in which a service can fail to tell the truth.
var faults = map[string]http.HandlerFunc{
	"refused": nil, // nobody listens
	"hang":    hangs, "stall": stalls, "reset": resets, "break off": breaksOff,
	"503": says(http.StatusServiceUnavailable, "no available server"), "503 problem": refuses(problem.Unavailable("The service")),
	"500": says(http.StatusInternalServerError, `{}`), "401": refuses(problem.Unauthenticated("no")), "429": refuses(problem.TooManyRequests(time.Second)),
	"404": says(http.StatusNotFound, "404 page not found"), "404 problem": refuses(nowhere), "302": says(http.StatusFound, ""),
	"no JSON": says(http.StatusOK, `[1`), "null": says(http.StatusOK, `null`), "nothing in it": says(http.StatusOK, `{}`), "204": says(http.StatusNoContent, ""),
	"a page": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<!doctype html>") },
}

// states are those of the parts in one case: live, stale, or unavailable in the way of the fault.
type states map[string]api.PartState

type statesKey struct{}

// scripted sends each request of a composite to what its part does in the case at hand.
type scripted struct{ live, stale, broken string }

func (s scripted) RoundTrip(r *http.Request) (*http.Response, error) {
	state := r.Context().Value(statesKey{}).(states)[partOf(r)]
	r = r.Clone(r.Context())
	r.URL.Host = map[api.PartState]string{api.Live: s.live, api.Stale: s.stale, api.Unavailable: s.broken}[state]
	return http.DefaultTransport.RoundTrip(r)
}

// newScripted makes composites over services that answer, that are out behind a cache, and that are broken.
func newScripted(t *testing.T, broken http.HandlerFunc) *composites {
	t.Helper()
	host := func(h http.HandlerFunc) string {
		if h == nil {
			return "127.0.0.1:1"
		}
		srv := httptest.NewServer(h)
		t.Cleanup(srv.Close)
		return srv.Listener.Addr().String()
	}
	client := &http.Client{Transport: scripted{host(tells), host(cached), host(broken)}}
	people, err := auth.NewClientWithResponses("http://core", auth.WithHTTPClient(client))
	require.NoError(t, err)
	calendar, err := appointment.NewClientWithResponses("http://core", appointment.WithHTTPClient(client))
	require.NoError(t, err)
	return &composites{auth: people, appointment: calendar}
}

// every returns all cases that parts can make together.
func every(parts ...string) []states {
	if len(parts) == 0 {
		return []states{{}}
	}
	var all []states
	for _, rest := range every(parts[1:]...) {
		for _, state := range []api.PartState{api.Live, api.Stale, api.Unavailable} {
			one := maps.Clone(rest)
			one[parts[0]] = state
			all = append(all, one)
		}
	}
	return all
}

// told is what a composite said of one part.
type told struct {
	state api.PartState
	age   *int
	data  any
}

// check compares what a composite said with what its parts did.
func (s states) check(t *testing.T, said map[string]told) {
	t.Helper()
	require.ElementsMatch(t, slices.Collect(maps.Keys(s)), slices.Collect(maps.Keys(said)))
	for part, got := range said {
		require.Equal(t, s[part], got.state, "%s of %v", part, s)
		data, err := json.Marshal(got.data)
		require.NoError(t, err)
		if got.state == api.Unavailable {
			require.Equal(t, "null", string(data), "%s of %v", part, s)
		} else {
			require.JSONEq(t, truth[part], string(data), "%s of %v", part, s)
		}
		if got.state == api.Stale {
			require.Equal(t, new(staleAge), got.age, "%s of %v", part, s)
		} else {
			require.Nil(t, got.age, "%s of %v", part, s)
		}
	}
}

// composed is one composite: the parts it asks for, and what it says of them.
type composed struct {
	parts []string
	ask   func(ctx context.Context, c *composites) (map[string]told, error)
}

var all = map[string]composed{
	"overview": {[]string{"account", "patient", "appointments"}, func(ctx context.Context, c *composites) (map[string]told, error) {
		resp, err := c.GetOverview(ctx, api.GetOverviewRequestObject{})
		if err != nil {
			return nil, err
		}
		o := resp.(api.GetOverview200JSONResponse).Body
		return map[string]told{
			"account": {o.Account.State, o.Account.AgeS, o.Account.Account}, "patient": {o.Patient.State, o.Patient.AgeS, o.Patient.Profile},
			"appointments": {o.Appointments.State, o.Appointments.AgeS, o.Appointments.Items},
		}, nil
	}},
	"day": {[]string{"doctor", "working_hours", "schedule", "time_off"}, func(ctx context.Context, c *composites) (map[string]told, error) {
		resp, err := c.GetDay(ctx, api.GetDayRequestObject{Params: api.GetDayParams{Date: date(2031, 5, 5)}})
		if err != nil {
			return nil, err
		}
		d := resp.(api.GetDay200JSONResponse).Body
		if want := map[bool]string{true: "UTC", false: "Europe/Berlin"}[d.Doctor.State == api.Unavailable]; d.TimeZone != want {
			return nil, errors.New("on the clock of " + d.TimeZone)
		}
		return map[string]told{
			"doctor": {d.Doctor.State, d.Doctor.AgeS, d.Doctor.Profile}, "working_hours": {d.WorkingHours.State, d.WorkingHours.AgeS, d.WorkingHours.Days},
			"schedule": {d.Appointments.State, d.Appointments.AgeS, d.Appointments.Items}, "time_off": {d.TimeOff.State, d.TimeOff.AgeS, d.TimeOff.Items},
		}, nil
	}},
	"doctors": {[]string{"doctors", "slots of " + noorID, "slots of " + otherID}, func(ctx context.Context, c *composites) (map[string]told, error) {
		resp, err := c.FindDoctors(ctx, api.FindDoctorsRequestObject{Params: api.FindDoctorsParams{SpecialityID: uuid.New(), AppointmentTypeID: uuid.New()}})
		if err != nil {
			return nil, err
		}
		p := resp.(api.FindDoctors200JSONResponse).Body
		said, doctors := map[string]told{}, []appointment.Doctor{}
		for _, f := range p.Items {
			doctors = append(doctors, f.Doctor)
			said["slots of "+f.Doctor.ID.String()] = told{f.Slots.State, f.Slots.AgeS, f.Slots.Items}
		}
		said["doctors"] = told{p.State, p.AgeS, doctors}
		return said, nil
	}},
}

// CAT-1, CAT-5, CAT-12: whatever is down, in whatever way, and whatever is answered from before, no part claims to know what it does not.
func TestNoCompositeLies(t *testing.T) {
	t.Parallel()

	for fault, broken := range faults {
		for name, composite := range all {
			t.Run(name+" with "+fault, func(t *testing.T) {
				t.Parallel()

				c := newScripted(t, broken)
				cases := every(composite.parts...)
				answers, errs := make([]map[string]told, len(cases)), make([]error, len(cases))
				limit, turns := compositeDeadline, make(chan struct{}, 2)
				if fault == "hang" || fault == "stall" { // the caller's own deadline counts too
					limit, turns = compositeDeadline-500*time.Millisecond, make(chan struct{}, 27)
				}
				var asked sync.WaitGroup
				for i, s := range cases {
					turns <- struct{}{}
					asked.Go(func() {
						defer func() { <-turns }()
						ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), statesKey{}, s), limit)
						defer cancel()
						answers[i], errs[i] = composite.ask(ctx, c)
						if late, _ := ctx.Deadline(); time.Since(late) > time.Second {
							t.Errorf("%v is answered long after its deadline", s)
						}
					})
				}
				asked.Wait()
				for i, s := range cases {
					if s["doctors"] == api.Unavailable { // without whom there is nothing to say of slots
						require.ErrorIs(t, errs[i], errDirectory)
						continue
					}
					require.NoError(t, errs[i])
					s.check(t, answers[i])
				}
			})
		}
	}
}

func TestStanding(t *testing.T) {
	t.Parallel()

	hourAgo := time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat)
	for name, c := range map[string]struct {
		header http.Header
		state  api.PartState
		age    *int
	}{
		"no cache at all":        {http.Header{}, api.Live, nil},
		"a hit within its time":  {http.Header{"Age": {"7"}, "Cache-Status": {"catalog; hit"}}, api.Live, nil},
		"past its time":          {http.Header{"Warning": {`110 - "Response is Stale"`}, "Age": {"40"}}, api.Stale, new(40)},
		"among other warnings":   {http.Header{"Warning": {`299 - "a, b"`, `214 - "x", 110 catalog "stale"`}, "Age": {"0"}}, api.Stale, new(0)},
		"other warnings":         {http.Header{"Warning": {`214 - "110 things"`, "1100 x"}, "Age": {"40"}}, api.Live, nil},
		"an age that is none":    {http.Header{"Warning": {"110 -"}, "Age": {"-3"}, "Date": {"yesterday"}}, api.Stale, nil},
		"a date without an age":  {http.Header{"Warning": {"110 -"}, "Date": {hourAgo}}, api.Stale, new(3600)},
		"a date yet to come":     {http.Header{"Warning": {"110 -"}, "Date": {"Fri, 01 Jan 2100 00:00:00 GMT"}}, api.Stale, new(0)},
		"an age beside its date": {http.Header{"Warning": {"110 -"}, "Age": {"40"}, "Date": {hourAgo}}, api.Stale, new(40)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			state, age := standing(&http.Response{Header: c.header})
			require.Equal(t, c.state, state)
			if c.age == nil {
				require.Nil(t, age)
				return
			}
			require.InDelta(t, *c.age, *age, 60)
		})
	}
}

// part asks a composite over HTTP and holds the answer to the contract.
func (b *bench) part(path string, into any, scopes ...string) answer {
	b.t.Helper()
	got := b.do(request{method: http.MethodGet, path: path, scopes: scopes})
	require.Equal(b.t, http.StatusOK, got.StatusCode, got.text)
	b.kept(path, got)
	require.NoError(b.t, json.Unmarshal([]byte(got.text), into), got.text)
	return got
}

// kept holds an answer to the contract.
func (b *bench) kept(path string, got answer) {
	b.t.Helper()
	doc, err := contract.Load("catalog")
	require.NoError(b.t, err)
	checked := contracttest.Responses(b.t, doc, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", got.Header.Get("Content-Type"))
		w.WriteHeader(got.StatusCode)
		_, _ = io.WriteString(w, got.text)
	}))
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, path, http.NoBody)
	require.NoError(b.t, err)
	checked.ServeHTTP(httptest.NewRecorder(), r)
}

// query of the latest request for a part.
func (b *bench) query(part string) url.Values {
	b.t.Helper()
	for _, r := range slices.Backward(b.core.requests()) {
		if partOf(r) == part {
			return r.URL.Query()
		}
	}
	require.FailNow(b.t, "never asked for "+part)
	return nil
}
