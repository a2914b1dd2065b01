package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/oapi-codegen/runtime/types"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/sync/errgroup"

	"github.com/healthe/healthe/openapi/appointment"
	"github.com/healthe/healthe/openapi/auth"
	"github.com/healthe/healthe/openapi/catalog"
)

const (
	patients  = 24                      // they take turns in booking
	newcomers = 4                       // for each fault, who register while it lasts
	clinics   = 40                      // a list long enough to be sent slowly
	password  = "seven-Otters-dance-42" //nolint:gosec // of accounts that live for minutes
	atATime   = 8                       // requests, while the scene is set
)

// person is somebody with a session.
type person struct {
	id          uuid.UUID
	username    string
	token       string
	auth        *auth.ClientWithResponses
	appointment *appointment.ClientWithResponses
	catalog     *catalog.ClientWithResponses
}

// scene is who takes part, and the doctor whom they book.
type scene struct {
	admin, doctor       *person
	patients, newcomers []*person
	visit               uuid.UUID // the appointment type
	firstSlot           time.Time
}

const slotLength = 5 * time.Minute

// slot is the nth of a doctor who never sleeps.
func (s *scene) slot(n int) time.Time { return s.firstSlot.Add(time.Duration(n) * slotLength) }

// setScene makes the people and the practice.
func (p *platform) setScene(ctx context.Context, runs int) (*scene, error) {
	s := &scene{patients: make([]*person, patients), newcomers: make([]*person, runs*newcomers)}
	s.firstSlot = time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, 3) // can be cancelled still
	for _, a := range p.Accounts() {
		who, err := p.logIn(ctx, a.Username, a.Password)
		if err != nil {
			return nil, err
		}
		switch a.Username {
		case "admin":
			s.admin = who
		case "doctor":
			s.doctor = who
		}
	}
	if s.admin == nil || s.doctor == nil {
		return nil, fmt.Errorf("the stack has no demo accounts admin and doctor")
	}
	if err := s.openPractice(ctx); err != nil {
		return nil, err
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost) // what a log-in costs is not the subject here
	if err != nil {
		return nil, err
	}
	crowd, ctx := errgroup.WithContext(ctx)
	crowd.SetLimit(atATime)
	for i := range s.patients {
		crowd.Go(func() (err error) {
			if s.patients[i], err = p.join(ctx, fmt.Sprintf("patient-%d", i), string(hash)); err != nil {
				return err
			}
			resp, err := s.patients[i].register(ctx, uuid.NewString())
			return expect(http.StatusCreated, resp, err)
		})
	}
	for i := range s.newcomers {
		crowd.Go(func() (err error) {
			s.newcomers[i], err = p.join(ctx, fmt.Sprintf("newcomer-%d", i), string(hash))
			return err
		})
	}
	return s, crowd.Wait()
}

// join makes an account whose address is verified, and logs in.
func (p *platform) join(ctx context.Context, username, hash string) (*person, error) {
	email := username + "@chaos.example"
	body, err := json.Marshal(map[string]any{
		"schema_id":            "default",
		"traits":               map[string]string{"username": username, "email": email, "name": "Pat Ient"},
		"metadata_public":      map[string]any{"roles": []string{"patient"}},
		"credentials":          map[string]any{"password": map[string]any{"config": map[string]string{"hashed_password": hash}}},
		"verifiable_addresses": []map[string]any{{"value": email, "verified": true, "via": "email", "status": "completed"}},
	})
	if err != nil {
		return nil, err
	}
	url := fmt.Sprintf("http://127.0.0.1:%d/admin/identities", p.Ports["KRATOS_ADMIN_PORT"])
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err := expect(http.StatusCreated, resp, err); err != nil {
		return nil, err
	}
	return p.logIn(ctx, username, password)
}

func (p *platform) logIn(ctx context.Context, username, password string) (*person, error) {
	visitor, err := p.client("")
	if err != nil {
		return nil, err
	}
	login, err := visitor.auth.LogInWithResponse(ctx, auth.Credentials{Identifier: username, Password: password})
	if err != nil {
		return nil, err
	}
	if login.JSON200 == nil {
		return nil, fmt.Errorf("log in as %s: %s", username, login.Status())
	}
	who, err := p.client(login.JSON200.SessionToken)
	if err != nil {
		return nil, err
	}
	me, err := who.auth.GetMeWithResponse(ctx)
	if err != nil {
		return nil, err
	}
	if me.JSON200 == nil {
		return nil, fmt.Errorf("getMe as %s: %s", username, me.Status())
	}
	who.id, who.username = me.JSON200.ID, username
	return who, nil
}

// client makes the generated clients of somebody, which ask once and keep no connection apart from the others'.
func (p *platform) client(token string) (*person, error) {
	as := func(_ context.Context, r *http.Request) error {
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		return nil
	}
	who := &person{token: token}
	var err1, err2, err3 error
	who.auth, err1 = auth.NewClientWithResponses(p.PublicURL(), auth.WithHTTPClient(client), auth.WithRequestEditorFn(as))
	who.appointment, err2 = appointment.NewClientWithResponses(p.PublicURL(), appointment.WithHTTPClient(client), appointment.WithRequestEditorFn(as))
	who.catalog, err3 = catalog.NewClientWithResponses(p.PublicURL(), catalog.WithHTTPClient(client), catalog.WithRequestEditorFn(as))
	for _, err := range []error{err1, err2, err3} {
		if err != nil {
			return nil, err
		}
	}
	return who, nil
}

// openPractice makes a clinic among others and a doctor who works around the clock.
func (s *scene) openPractice(ctx context.Context) error {
	desk := s.admin.appointment
	var clinic *appointment.Clinic
	for i := range clinics {
		made, err := desk.CreateClinicWithResponse(ctx, nil, appointment.NewClinic{
			Name: fmt.Sprintf("City Clinic %02d", i), Address: "Luisenstr. 1, 10117 Berlin", Phone: "+493012345678", TimeZone: "UTC",
			Coordinates: appointment.Coordinates{Latitude: 52.5225, Longitude: 13.3792},
		})
		if err != nil {
			return err
		}
		if clinic = made.JSON201; clinic == nil {
			return fmt.Errorf("createClinic: %s", made.Status())
		}
	}
	speciality, err := desk.CreateSpecialityWithResponse(ctx, nil, appointment.NewSpeciality{Name: "Cardiology", Description: "Heart and circulation"})
	if err != nil {
		return err
	}
	visit, err := desk.CreateAppointmentTypeWithResponse(ctx, nil, appointment.NewAppointmentType{Name: "Visit", DurationMin: int32(slotLength.Minutes())})
	if err != nil {
		return err
	}
	if speciality.JSON201 == nil || visit.JSON201 == nil {
		return fmt.Errorf("createSpeciality: %s, createAppointmentType: %s", speciality.Status(), visit.Status())
	}
	s.visit = visit.JSON201.ID
	resp, err := s.doctor.appointment.CreateDoctor(ctx, nil, appointment.NewDoctor{
		Name: "Dr. Noor Haddad", SpecialityID: speciality.JSON201.ID, ClinicID: clinic.ID, Biography: "Cardiologist.",
		Phone: "+493012345679", StartingDate: types.Date{Time: time.Now().UTC()},
	})
	if err := expect(http.StatusCreated, resp, err); err != nil {
		return err
	}
	var days []appointment.WorkingDay
	for _, day := range []appointment.WorkingDayWeekday{
		appointment.Monday, appointment.Tuesday, appointment.Wednesday, appointment.Thursday, appointment.Friday, appointment.Saturday, appointment.Sunday,
	} {
		days = append(days, appointment.WorkingDay{Weekday: day, StartsAt: "00:00", EndsAt: "24:00", Breaks: []appointment.Break{}})
	}
	resp, err = s.doctor.appointment.SetWorkingHours(ctx, nil, appointment.WorkingHours{Days: days})
	return expect(http.StatusOK, resp, err)
}

// register makes the profile that booking needs.
func (p *person) register(ctx context.Context, key string) (*http.Response, error) {
	return p.appointment.CreatePatient(ctx, &appointment.CreatePatientParams{IdempotencyKey: &key}, appointment.NewPatient{
		Name: "Pat Ient", Phone: "+491701234567", Gender: appointment.Female,
		BirthDate: types.Date{Time: time.Date(1990, time.December, 10, 0, 0, 0, 0, time.UTC)},
	})
}

// expect makes an error of any other answer than the one that there should be.
func expect(status int, resp *http.Response, err error) error {
	if err != nil {
		return err
	}
	defer drain(resp)
	if resp.StatusCode != status {
		return fmt.Errorf("%s %s: %s", resp.Request.Method, resp.Request.URL.Path, resp.Status)
	}
	return nil
}
