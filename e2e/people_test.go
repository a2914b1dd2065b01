package e2e

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"
)

// anyone's password. Its hash is a cheap one: what a log-in costs is not the subject here.
const password = "seven-Otters-dance-42"

var passwordHash = sync.OnceValue(func() string {
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		panic(err)
	}
	return string(hash)
})

// unique returns a name that nothing else in the stack has.
func unique(prefix string) string { return prefix + "-" + strings.ToLower(rand.Text()[:10]) }

// person makes an account with roles beside patient and logs in. Signing up by mail is a test of its own.
func (p *platform) person(t *testing.T, roles ...string) *caller {
	t.Helper()
	c := p.visitor()
	c.username, c.password = unique("e2e"), password
	c.email = c.username + "@example.com"
	kratos := p.visitor().at(p.local("KRATOS_ADMIN_PORT"))
	c.id = kratos.post(t, "/admin/identities", map[string]any{
		"schema_id":            "default",
		"traits":               map[string]string{"username": c.username, "email": c.email, "name": "Eve Ryone"},
		"metadata_public":      map[string]any{"roles": append([]string{"patient"}, roles...)},
		"credentials":          map[string]any{"password": map[string]any{"config": map[string]string{"hashed_password": passwordHash()}}},
		"verifiable_addresses": []map[string]any{{"value": c.email, "verified": true, "via": "email", "status": "completed"}},
	}).wants(t, http.StatusCreated).id(t)
	c.login(t)
	return c
}

// login starts one more session of the same person; the caller goes on with that one.
func (c *caller) login(t *testing.T) {
	t.Helper()
	var session struct {
		SessionToken string `json:"session_token"`
	}
	body := map[string]string{"identifier": c.username, "password": c.password}
	c.bearing("").post(t, "/auth/v1/login", body).wants(t, http.StatusOK).decode(t, &session)
	require.NotEmpty(t, session.SessionToken)
	c.token = session.SessionToken
}

// patient is a person with the profile that booking needs.
func (p *platform) patient(t *testing.T) *caller {
	t.Helper()
	c := p.person(t)
	c.fillIn(t)
	return c
}

func (c *caller) fillIn(t *testing.T) {
	t.Helper()
	c.post(t, "/appointment/v1/me/patient", map[string]any{
		"name": "Pat Ient", "phone": "+491701234567", "birth_date": "1990-04-12", "gender": "female",
	}).wants(t, http.StatusCreated)
}

// crowd makes n patients.
func (p *platform) crowd(t *testing.T, n int) []*caller {
	t.Helper()
	all := make([]*caller, n)
	for i := range all {
		all[i] = p.patient(t)
	}
	return all
}

// practice is a doctor with slots of half an hour on every day.
type practice struct {
	doctor             *caller
	clinic, speciality string
	visit              string // the appointment type
	slots              []string
}

// newPractice makes a clinic and its doctor, who may have more roles.
func (p *platform) newPractice(t *testing.T, roles ...string) *practice {
	t.Helper()
	admin := p.person(t, "admin")
	make := func(path string, body map[string]any) string {
		body["name"] = unique("E2E")
		return admin.post(t, "/appointment/v1/"+path, body).wants(t, http.StatusCreated).id(t)
	}
	c := &practice{doctor: p.person(t, append(roles, "doctor")...)}
	c.clinic = make("clinics", map[string]any{
		"address": "Luisenstr. 1, 10117 Berlin", "time_zone": "UTC", "phone": "+493012345678",
		"coordinates": map[string]float64{"latitude": 52.5225, "longitude": 13.3792},
	})
	c.speciality = make("specialities", map[string]any{"description": "Heart and circulation"})
	c.visit = make("appointment-types", map[string]any{"duration_min": 30})
	c.doctor.post(t, "/appointment/v1/me/doctor", map[string]any{
		"name": "Dr. Noor Haddad", "speciality_id": c.speciality, "clinic_id": c.clinic,
		"biography": "Cardiologist.", "phone": "+493012345679", "starting_date": "2024-01-01",
	}).wants(t, http.StatusCreated)
	var days []map[string]any
	for _, day := range []string{"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"} {
		days = append(days, map[string]any{"weekday": day, "starts_at": "00:00", "ends_at": "24:00", "breaks": []any{}})
	}
	c.doctor.do(t, http.MethodPut, "/appointment/v1/me/doctor/working-hours", map[string]any{"days": days}).wants(t, http.StatusOK)
	c.slots = c.freeSlots(t)
	return c
}

// freeSlots are the next hundred from the day after tomorrow, far enough away to be cancelled.
func (c *practice) freeSlots(t *testing.T) []string {
	t.Helper()
	from := time.Now().UTC().AddDate(0, 0, 2)
	query := url.Values{
		"doctor_id": {c.doctor.id}, "appointment_type_id": {c.visit}, "limit": {"100"},
		"from": {from.Format(time.DateOnly)}, "to": {from.AddDate(0, 0, 10).Format(time.DateOnly)},
	}
	var page struct {
		Items []struct {
			StartsAt string `json:"starts_at"`
		}
	}
	c.doctor.p.visitor().get(t, "/appointment/v1/slots?"+query.Encode()).wants(t, http.StatusOK).decode(t, &page)
	require.Len(t, page.Items, 100)
	var starts []string
	for _, slot := range page.Items {
		starts = append(starts, slot.StartsAt)
	}
	return starts
}

// booking is the body that books the nth slot.
func (c *practice) booking(n int) map[string]any {
	return map[string]any{"doctor_id": c.doctor.id, "appointment_type_id": c.visit, "starts_at": c.slots[n]}
}

const appointments = "/appointment/v1/appointments"

// mail is a letter as Mailpit has it.
type mail struct {
	ID        string `json:"ID"`
	MessageID string `json:"MessageID"`
	Subject   string `json:"Subject"`
}

// mails lists what has come for an address, newest first.
func (p *platform) mails(t *testing.T, address string) []mail {
	t.Helper()
	var found struct{ Messages []mail }
	query := url.Values{"query": {fmt.Sprintf("to:%q", address)}, "limit": {"500"}}
	p.visitor().at(p.MailURL()).get(t, "/api/v1/search?"+query.Encode()).wants(t, http.StatusOK).decode(t, &found)
	return found.Messages
}

// mailTo waits until at least n mails have come for an address.
func (p *platform) mailTo(t *testing.T, address string, n int) []mail {
	t.Helper()
	var found []mail
	eventually(t, fmt.Sprintf("%d mails for %s", n, address), patience, func() (bool, string) {
		found = p.mails(t, address)
		return len(found) >= n, fmt.Sprint(found)
	})
	return found
}

// text is what a mail says.
func (p *platform) text(t *testing.T, m mail) string {
	t.Helper()
	var full struct{ Text string }
	p.visitor().at(p.MailURL()).get(t, "/api/v1/message/"+m.ID).wants(t, http.StatusOK).decode(t, &full)
	return full.Text
}

// same compares two answers in all that tells something: what differs by chance is taken out.
func same(t *testing.T, a, b answer) {
	t.Helper()
	require.Equal(t, plain(t, a), plain(t, b))
}

func plain(t *testing.T, a answer) map[string]any {
	t.Helper()
	var body map[string]any
	require.NoError(t, json.Unmarshal(a.body, &body), "%s", a)
	for name, value := range body {
		if text, ok := value.(string); ok && (uuid.Validate(text) == nil || name == "instance" || strings.HasSuffix(name, "_at")) {
			body[name] = "…"
		}
	}
	return map[string]any{"status": a.StatusCode, "type": a.Header.Get("Content-Type"), "body": body}
}
