package appointment

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/bench/ratio"
	"github.com/healthe/healthe/db/dbtest"
	"github.com/healthe/healthe/kit/contract"
	"github.com/healthe/healthe/kit/identity"
	"github.com/healthe/healthe/kit/postgres"
	"github.com/healthe/healthe/kit/server"
	"github.com/healthe/healthe/kittest/identitytest"
	"github.com/healthe/healthe/mail"
	api "github.com/healthe/healthe/openapi/appointment"
	"github.com/healthe/healthe/services/appointment/internal/store"
)

// BenchmarkRatio compares the service with a bare net/http and pgx handler that runs the same SQL: what identity,
// contract, rules and telemetry cost. Run it with `./task bench`.
func BenchmarkRatio(b *testing.B) {
	y := newYard(b)
	plan := ratio.Plan{Workers: 16, Round: 2 * time.Second, Rounds: 6}
	b.Run("bookAppointment", func(b *testing.B) {
		report(b, plan.Run(b.Context(), y.book(y.service), y.book(y.bare)), 0.7)
	})
	b.Run("listSlots", func(b *testing.B) {
		report(b, plan.Run(b.Context(), y.search(y.service), y.search(y.bare)), 0.8)
	})
}

func report(b *testing.B, r ratio.Result, least float64) {
	b.Helper()
	b.ReportMetric(r.Ratio(), "ratio")
	b.ReportMetric(0, "ns/op") // one run says nothing about that
	fmt.Printf("%s over bare net/http and pgx: %s (at least %.2f)\n", b.Name(), r, least)
	require.Zero(b, r.FailuresA+r.FailuresB)
}

const yardDoctors, slotsADay = 200, 48

// yard is a clinic whose doctors never sleep, served twice.
type yard struct {
	s              *service
	issuer         *identitytest.Issuer
	service, bare  string // URLs
	client         *http.Client
	speciality     uuid.UUID
	kind           uuid.UUID
	doctors, users []uuid.UUID
	midnight       time.Time
	next           atomic.Int64

	mu     sync.Mutex
	tokens map[uuid.UUID]string
	signed time.Time
}

func newYard(b *testing.B) *yard {
	b.Helper()
	y := &yard{issuer: identitytest.New(b), client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	s, err := newService(openDB(b), mail.New(&fakeMailing{}), usual, "https://healthe.example")
	require.NoError(b, err)
	y.s = s
	h, err := newHandler(s, contract.Schemes{"healthe": y.issuer.Verifier.Authenticate})
	require.NoError(b, err)
	bare := http.NewServeMux()
	bare.HandleFunc("POST /appointment/v1/appointments", y.bareBook)
	bare.HandleFunc("GET /appointment/v1/slots", y.bareSlots)
	for url, h := range map[*string]http.Handler{&y.service: server.Wrap(h), &y.bare: bare} {
		srv := httptest.NewServer(h)
		b.Cleanup(srv.Close)
		*url = srv.URL
	}
	y.midnight = time.Now().UTC().Truncate(allDay).Add(2 * allDay)
	y.seed(b)
	return y
}

// openDB returns a fresh database behind a pool like that of the service.
func openDB(b *testing.B) *postgres.DB {
	b.Helper()
	db, err := postgres.Open(context.WithoutCancel(b.Context()), dbtest.URL(b, "appointment"), "appointment")
	require.NoError(b, err)
	b.Cleanup(db.Close)
	return db
}

func (y *yard) seed(b *testing.B) {
	b.Helper()
	ctx := b.Context()
	var clinic uuid.UUID
	require.NoError(b, y.s.db.QueryRow(ctx, `INSERT INTO clinics (name, address, latitude, longitude, time_zone, phone)
		VALUES ('Yard', 'Yard', 0, 0, 'UTC', '+491') RETURNING id`).Scan(&clinic))
	require.NoError(b, y.s.db.QueryRow(ctx, `INSERT INTO specialities (name, description) VALUES ('Yard', '') RETURNING id`).Scan(&y.speciality))
	require.NoError(b, y.s.db.QueryRow(ctx, `INSERT INTO appointment_types (name, duration_min) VALUES ('Yard', 30) RETURNING id`).Scan(&y.kind))
	for range yardDoctors {
		doctor, user := uuid.New(), uuid.New()
		_, err := y.s.db.Exec(ctx, `INSERT INTO doctors (id, name, speciality_id, clinic_id, biography, phone, starting_date)
			VALUES ($1, 'Dr. Yard', $2, $3, '', '+491', '2020-01-01')`, doctor, y.speciality, clinic)
		require.NoError(b, err)
		_, err = y.s.db.Exec(ctx, `INSERT INTO working_hours SELECT $1, weekday, 0, 1440 FROM generate_series(1, 7) AS weekday`, doctor)
		require.NoError(b, err)
		_, err = y.s.db.Exec(ctx, `INSERT INTO patients (id, name, phone, birth_date, gender) VALUES ($1, 'Ada', '+491', '1990-01-01', 'female')`, user)
		require.NoError(b, err)
		y.doctors, y.users = append(y.doctors, doctor), append(y.users, user)
	}
	_, err := y.s.db.Exec(ctx, "ANALYZE")
	require.NoError(b, err)
}

// token keeps the identity of a user for as long as Traefik's forward-auth would.
func (y *yard) token(user uuid.UUID) string {
	y.mu.Lock()
	defer y.mu.Unlock()
	if time.Since(y.signed) > 30*time.Second {
		y.tokens, y.signed = map[uuid.UUID]string{}, time.Now()
	}
	token, ok := y.tokens[user]
	if !ok {
		now := time.Now()
		token, _ = y.issuer.Signer.Sign(identity.Identity{Subject: user.String(), Scopes: asPatient, Expires: now.Add(55 * time.Second)}, now)
		y.tokens[user] = token
	}
	return token
}

// book takes another slot each time; no two at one time have the same patient.
func (y *yard) book(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		n := int(y.next.Add(1))
		who, slot := n%yardDoctors, n/yardDoctors
		body, err := json.Marshal(api.NewAppointment{
			DoctorID: &y.doctors[who], AppointmentTypeID: &y.kind, StartsAt: new(y.midnight.Add(time.Duration(slot) * allDay / slotsADay)),
		})
		if err != nil {
			return err
		}
		return y.do(ctx, http.MethodPost, url+"/appointment/v1/appointments", y.users[who], body, http.StatusCreated)
	}
}

func (y *yard) search(url string) func(context.Context) error {
	from, to := y.midnight.Add(100*allDay), y.midnight.Add(129*allDay)
	path := fmt.Sprintf("%s/appointment/v1/slots?speciality_id=%s&appointment_type_id=%s&from=%s&to=%s&limit=20",
		url, y.speciality, y.kind, from.Format(time.DateOnly), to.Format(time.DateOnly))
	return func(ctx context.Context) error {
		return y.do(ctx, http.MethodGet, path, y.users[0], nil, http.StatusOK)
	}
}

func (y *yard) do(ctx context.Context, method, url string, user uuid.UUID, body []byte, want int) error {
	r, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set(identity.Header, y.token(user))
	resp, err := y.client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != want {
		err = fmt.Errorf("%s: %s", resp.Status, answer)
	}
	return err
}

// bareBook books and answers with the same statements in the same transaction, and does nothing else. It takes the
// caller's word for who they are.
func (y *yard) bareBook(w http.ResponseWriter, r *http.Request) {
	var in api.NewAppointment
	err := json.NewDecoder(r.Body).Decode(&in)
	ctx := r.Context()
	var row store.Appointment
	if err == nil {
		user := y.users[slices.Index(y.doctors, *in.DoctorID)]
		err = pgx.BeginFunc(ctx, y.s.db, func(tx pgx.Tx) error {
			q := store.New(tx)
			cal, err := q.LockCalendar(ctx, store.LockCalendarParams{DoctorID: *in.DoctorID, PatientID: user, AppointmentTypeID: *in.AppointmentTypeID, StartsAt: *in.StartsAt})
			if err != nil {
				return err
			}
			row, err = q.CreateAppointment(ctx, store.CreateAppointmentParams{
				DoctorID: *in.DoctorID, PatientID: user, ClinicID: cal.Clinic.ID, AppointmentTypeID: *in.AppointmentTypeID,
				StartsAt: *in.StartsAt, EndsAt: in.StartsAt.Add(time.Duration(cal.DurationMin) * time.Minute), Earliest: in.StartsAt.Add(-longestAppointment),
				Status: store.AppointmentStatusBooked, GivesUpHold: true, Now: time.Now(),
			})
			if err != nil {
				return err
			}
			return y.s.enqueue(ctx, tx, y.s.afterBooking(detail(row, cal), store.PartyPatient))
		})
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(row)
}

func (y *yard) bareSlots(w http.ResponseWriter, r *http.Request) {
	q, ctx := r.URL.Query(), r.Context()
	kind, err := y.s.store.GetAppointmentType(ctx, uuid.MustParse(q.Get("appointment_type_id")))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	from, _ := time.Parse(time.DateOnly, q.Get("from"))
	to, _ := time.Parse(time.DateOnly, q.Get("to"))
	limit, _ := strconv.Atoi(q.Get("limit"))
	now := time.Now()
	rows, err := y.s.db.Query(ctx, listSlots, pgx.NamedArgs{
		"doctor_id": nil, "speciality_id": q.Get("speciality_id"), "duration_min": kind.DurationMin,
		"from_day": from, "to_day": to, "earliest": now.Add(time.Hour), "latest": now.Add(180 * allDay),
		"first_day": from.Add(-furthestAhead).Truncate(allDay), "last_day": to.Add(allDay + furthestBehind),
		"after_start": time.Time{}, "after_doctor": uuid.Nil, "max_rows": limit + 1, "now": now,
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	slots, err := pgx.CollectRows(rows, pgx.RowToStructByPos[slot])
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"items": slots})
}
