package appointment

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/google/uuid"
	openapi "github.com/oapi-codegen/runtime/types"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/db/dbtest"
	"github.com/healthe/healthe/kit/contract"
	"github.com/healthe/healthe/kit/server"
	"github.com/healthe/healthe/kittest/contracttest"
	"github.com/healthe/healthe/kittest/identitytest"
	"github.com/healthe/healthe/mail"
	api "github.com/healthe/healthe/openapi/appointment"
	"github.com/healthe/healthe/openapi/mailing"
)

// noon is when tests happen: Monday, 1 March 2027, 12:00 in Berlin.
var noon = time.Date(2027, 3, 1, 11, 0, 0, 0, time.UTC)

var (
	usual      = Rules{LeadTime: time.Hour, Horizon: 180 * allDay, CancelUntil: allDay, HoldFor: 5 * time.Minute, OfferFor: 2 * time.Hour, RemindBefore: allDay}
	asPatient  = []string{"appointments:read", "appointments:write"}
	asDoctor   = []string{"appointments:read", "appointments:write", "schedule:read", "schedule:write", "patients:read"}
	asAdmin    = []string{"reference:write"}
	officeDays = []api.WorkingDayWeekday{api.Monday, api.Tuesday, api.Wednesday, api.Thursday, api.Friday}
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	openapi3filter.RegisterBodyDecoder("text/calendar", openapi3filter.PlainBodyDecoder)
	m.Run()
}

// bench is the service with a database, a clock and a mailing service of its own.
type bench struct {
	*api.ClientWithResponses
	t       testing.TB
	service *service
	issuer  *identitytest.Issuer
	post    *fakeMailing
	clock   *clock
	url     string

	clinic, speciality, kind uuid.UUID // a clinic in Berlin, a speciality, a type of half an hour
}

func newBench(t testing.TB) *bench {
	t.Helper()
	b := bareBench(t)
	b.clinic = b.addClinic("Europe/Berlin")
	b.speciality = b.addSpeciality("Cardiology")
	b.kind = b.addType("First visit", 30)
	return b
}

// bareBench has no reference data.
func bareBench(t testing.TB) *bench {
	t.Helper()
	b := &bench{t: t, issuer: identitytest.New(t), post: &fakeMailing{mails: map[string]mailing.NewMessage{}}, clock: &clock{at: noon}}
	s, err := newService(dbtest.New(t, "appointment"), mail.New(b.post), usual, "https://healthe.example")
	require.NoError(t, err)
	s.now = b.clock.now
	b.service = s
	h, err := newHandler(s, contract.Schemes{"healthe": b.issuer.Verifier.Authenticate})
	require.NoError(t, err)
	doc, err := contract.Load("appointment")
	require.NoError(t, err)
	srv := httptest.NewServer(contracttest.Responses(t, doc, server.Wrap(h)))
	t.Cleanup(srv.Close)
	b.url = srv.URL
	b.ClientWithResponses, err = api.NewClientWithResponses(srv.URL, api.WithHTTPClient(srv.Client()))
	require.NoError(t, err)
	return b
}

func (b *bench) as(who uuid.UUID, scopes ...string) api.RequestEditorFn {
	return b.issuer.As(b.t, who.String(), scopes...)
}

func (b *bench) patientOf(who uuid.UUID) api.RequestEditorFn { return b.as(who, asPatient...) }
func (b *bench) doctorOf(who uuid.UUID) api.RequestEditorFn  { return b.as(who, asDoctor...) }
func (b *bench) admin() api.RequestEditorFn                  { return b.as(uuid.New(), asAdmin...) }

func (b *bench) addClinic(zone string) uuid.UUID {
	b.t.Helper()
	resp, err := b.CreateClinicWithResponse(b.t.Context(), nil, newClinic("Clinic "+uuid.NewString(), zone), b.admin())
	require.NoError(b.t, err)
	require.Equal(b.t, http.StatusCreated, resp.StatusCode(), string(resp.Body))
	return resp.JSON201.ID
}

func newClinic(name, zone string) api.NewClinic {
	return api.NewClinic{
		Name: name, Address: "Luisenstr. 1, 10117 Berlin", Coordinates: api.Coordinates{Latitude: 52.5225, Longitude: 13.3792},
		TimeZone: zone, Phone: "+493012345678",
	}
}

func (b *bench) addSpeciality(name string) uuid.UUID {
	b.t.Helper()
	resp, err := b.CreateSpecialityWithResponse(b.t.Context(), nil, api.NewSpeciality{Name: name}, b.admin())
	require.NoError(b.t, err)
	require.Equal(b.t, http.StatusCreated, resp.StatusCode(), string(resp.Body))
	return resp.JSON201.ID
}

func (b *bench) addType(name string, minutes int32) uuid.UUID {
	b.t.Helper()
	resp, err := b.CreateAppointmentTypeWithResponse(b.t.Context(), nil, api.NewAppointmentType{Name: name, DurationMin: minutes}, b.admin())
	require.NoError(b.t, err)
	require.Equal(b.t, http.StatusCreated, resp.StatusCode(), string(resp.Body))
	return resp.JSON201.ID
}

var ada = api.NewPatient{Name: "Ada Park", Phone: "+491701234567", BirthDate: date(1990, 4, 12), Gender: api.Female}

// addPatient returns a user with a patient profile.
func (b *bench) addPatient() uuid.UUID {
	b.t.Helper()
	who := uuid.New()
	resp, err := b.CreatePatientWithResponse(b.t.Context(), nil, ada, b.patientOf(who))
	require.NoError(b.t, err)
	require.Equal(b.t, http.StatusCreated, resp.StatusCode(), string(resp.Body))
	return who
}

func (b *bench) noor() api.NewDoctor {
	return api.NewDoctor{
		Name: "Dr. Noor Haddad", SpecialityID: b.speciality, ClinicID: b.clinic, Biography: "Cardiologist.", Phone: "+493012345679", StartingDate: date(2024, 1, 1),
	}
}

// addDoctor returns a doctor who works from 9 to 12 and from 13 to 17 on the days from Monday to Friday.
func (b *bench) addDoctor() uuid.UUID {
	b.t.Helper()
	who := uuid.New()
	resp, err := b.CreateDoctorWithResponse(b.t.Context(), nil, b.noor(), b.doctorOf(who))
	require.NoError(b.t, err)
	require.Equal(b.t, http.StatusCreated, resp.StatusCode(), string(resp.Body))
	b.setHours(who, officeHours())
	return who
}

func officeHours() api.WorkingHours {
	var hours api.WorkingHours
	for _, d := range officeDays {
		hours.Days = append(hours.Days, api.WorkingDay{Weekday: d, StartsAt: "09:00", EndsAt: "17:00", Breaks: []api.Break{{StartsAt: "12:00", EndsAt: "13:00"}}})
	}
	return hours
}

func (b *bench) setHours(doctor uuid.UUID, hours api.WorkingHours) {
	b.t.Helper()
	resp, err := b.SetWorkingHoursWithResponse(b.t.Context(), nil, hours, b.doctorOf(doctor))
	require.NoError(b.t, err)
	require.Equal(b.t, http.StatusOK, resp.StatusCode(), string(resp.Body))
}

// slotAt returns a time in Berlin some days after noon.
func slotAt(days, hour, minute int) time.Time {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		panic(err)
	}
	return time.Date(2027, 3, 1+days, hour, minute, 0, 0, berlin).UTC()
}

func (b *bench) request(doctor uuid.UUID, starts time.Time) api.NewAppointment {
	return api.NewAppointment{DoctorID: &doctor, AppointmentTypeID: &b.kind, StartsAt: &starts}
}

func (b *bench) book(patient, doctor uuid.UUID, starts time.Time) *api.BookAppointmentResponse {
	b.t.Helper()
	resp, err := b.BookAppointmentWithResponse(b.t.Context(), nil, b.request(doctor, starts), b.patientOf(patient))
	require.NoError(b.t, err)
	return resp
}

func (b *bench) mustBook(patient, doctor uuid.UUID, starts time.Time) api.Appointment {
	b.t.Helper()
	resp := b.book(patient, doctor, starts)
	require.Equal(b.t, http.StatusCreated, resp.StatusCode(), string(resp.Body))
	return *resp.JSON201
}

func (b *bench) mustCancel(patient uuid.UUID, id uuid.UUID) {
	b.t.Helper()
	resp, err := b.CancelAppointmentWithResponse(b.t.Context(), id, nil, api.Cancellation{}, b.patientOf(patient))
	require.NoError(b.t, err)
	require.Equal(b.t, http.StatusOK, resp.StatusCode(), string(resp.Body))
}

func (b *bench) count(sql string, args ...any) int {
	b.t.Helper()
	var n int
	require.NoError(b.t, b.service.db.QueryRow(b.t.Context(), sql, args...).Scan(&n))
	return n
}

// work does every job that is due by the bench's clock, in the order in which they were made, until none is.
func (b *bench) work() {
	b.t.Helper()
	for {
		var id int64
		var kind string
		var args []byte
		row := b.service.db.QueryRow(b.t.Context(), `DELETE FROM river_job WHERE id = (
			SELECT id FROM river_job WHERE state IN ('available', 'scheduled') AND scheduled_at <= $1 ORDER BY id LIMIT 1) RETURNING id, kind, args`, b.clock.now())
		if row.Scan(&id, &kind, &args) != nil {
			return
		}
		s, mail := b.service, mail.New(b.post)
		switch kind {
		case "mail":
			do(b, &mailer{service: s, post: mail}, args)
		case "remind":
			do(b, &reminder{service: s, post: mail}, args)
		case "end_offer":
			do(b, &offerEnder{service: s}, args)
		case "offer_slot":
			do(b, &slotOfferer{service: s}, args)
		default:
			b.t.Fatalf("nobody does %s", kind)
		}
	}
}

func do[T river.JobArgs](b *bench, worker interface {
	Work(context.Context, *river.Job[T]) error
}, args []byte,
) {
	b.t.Helper()
	job := &river.Job[T]{JobRow: &rivertype.JobRow{}}
	require.NoError(b.t, json.Unmarshal(args, &job.Args))
	require.NoError(b.t, worker.Work(b.t.Context(), job))
}

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
}

// fakeMailing takes each key once, as mailing does.
type fakeMailing struct {
	mailing.ClientWithResponsesInterface
	mu    sync.Mutex
	keys  []string
	mails map[string]mailing.NewMessage
	down  bool
}

func (f *fakeMailing) SendMessageWithResponse(_ context.Context, p *mailing.SendMessageParams, m mailing.NewMessage, _ ...mailing.RequestEditorFn) (*mailing.SendMessageResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return &mailing.SendMessageResponse{HTTPResponse: &http.Response{StatusCode: http.StatusServiceUnavailable}}, nil
	}
	if _, ok := f.mails[*p.IdempotencyKey]; !ok {
		f.keys = append(f.keys, *p.IdempotencyKey)
		f.mails[*p.IdempotencyKey] = m
	}
	return &mailing.SendMessageResponse{HTTPResponse: &http.Response{StatusCode: http.StatusAccepted}}, nil
}

// sent returns the mails of one template, in order.
func (f *fakeMailing) sent(template string) []mailing.NewMessage {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []mailing.NewMessage
	for _, k := range f.keys {
		if *f.mails[k].Template == template {
			all = append(all, f.mails[k])
		}
	}
	return all
}

// problemOf is what a refusal says.
func problemOf(t testing.TB, body []byte) (p struct {
	Type   string
	Status int
	Errors []struct{ Pointer, Detail string }
},
) {
	t.Helper()
	require.NoError(t, json.Unmarshal(body, &p), string(body))
	return p
}

// refused checks that an answer is the problem want.
func refused(t testing.TB, want error, status int, body []byte) {
	t.Helper()
	p := problemOf(t, body)
	require.Equal(t, fmt.Sprint(typeOf(want), " ", statusOf(want)), fmt.Sprint(p.Type, " ", status), string(body))
}

func date(year int, month time.Month, day int) openapi.Date {
	return openapi.Date{Time: time.Date(year, month, day, 0, 0, 0, 0, time.UTC)}
}

func jsonOf(t testing.TB, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return text
}
