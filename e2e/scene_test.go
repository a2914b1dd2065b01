package e2e

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"
)

// scene is somebody who has one of everything, so that a request gets as far as it can.
type scene struct {
	caller *caller
	ids    map[string]string // by the name of the property or parameter that takes it
}

// newScene makes the scene for an operation.
func (p *platform) newScene(t *testing.T, o operation) *scene {
	t.Helper()
	if o.service == "forum" {
		return p.newForumScene(t, o)
	}
	if o.service != "appointment" {
		s := &scene{caller: p.person(t, "doctor", "admin"), ids: map[string]string{}}
		if strings.Contains(o.path, "/role-requests/{id}") {
			asked := p.person(t).post(t, "/auth/v1/role-requests", map[string]any{"role": "doctor", "licence_number": "DE-1234"})
			s.ids["id"] = asked.wants(t, http.StatusCreated).id(t)
		}
		return s
	}
	own, other, patient := p.newPractice(t, "admin"), p.newPractice(t), p.patient(t)
	x := own.doctor
	x.fillIn(t)
	made := func(c *caller, path string, body any) string {
		return c.post(t, "/appointment/v1/"+path, body).wants(t, http.StatusCreated).id(t)
	}
	day := other.slots[0][:len(time.DateOnly)]
	s := &scene{caller: x, ids: map[string]string{
		"doctor_id": other.doctor.id, "appointment_type_id": other.visit, "clinic_id": own.clinic, "speciality_id": other.speciality,
		"patient_id": patient.id, "starts_at": other.slots[5], "ends_at": other.slots[9], "from_date": day, "to_date": day,
		"appointment_id": made(x, "appointments", other.booking(0)),
		"hold_id":        made(x, "holds", other.booking(1)),
		"entry_id":       made(x, "waitlist", map[string]any{"doctor_id": other.doctor.id, "appointment_type_id": other.visit, "from_date": day, "to_date": day}),
		"time_off_id":    made(x, "me/doctor/time-off", map[string]any{"starts_at": "2031-07-01T00:00:00Z", "ends_at": "2031-07-15T00:00:00Z"}),
	}}
	scheduled := made(patient, "appointments", own.booking(0))
	if strings.HasPrefix(o.path, "/appointment/v1/schedule") {
		s.ids["appointment_id"], s.ids["starts_at"], s.ids["appointment_type_id"] = scheduled, own.slots[5], own.visit
	}
	if o.id == "bookAppointment" { // the example is the other way to say it
		delete(s.ids, "hold_id")
	}
	return s
}

// newForumScene lets the caller write what only an author may change, and others what is read, answered and moderated.
func (p *platform) newForumScene(t *testing.T, o operation) *scene {
	t.Helper()
	x, ada := p.person(t, "doctor", "admin", "moderator"), p.person(t)
	author := ada
	if strings.HasPrefix(o.id, "update") || strings.HasPrefix(o.id, "delete") {
		author = x
	}
	d := author.discussion(t)
	s := &scene{caller: x, ids: map[string]string{
		"community_id": d.community, "post_id": d.post, "comment_id": d.comment, "author_id": d.author,
		"until": time.Now().AddDate(0, 0, 7).UTC().Format(time.RFC3339),
	}}
	switch o.id {
	case "deleteCommunity":
		s.ids["community_id"] = author.community(t)
	case "decideReview":
		p.person(t).post(t, posts+d.post+"/flags", map[string]string{"reason": "spam"}).wants(t, http.StatusNoContent)
		s.ids["review_id"] = x.reviewOf(t, d.post)
	}
	return s
}

// url is the operation's path with the things of the scene, and the query that it must have.
func (s *scene) url(o operation, name, value string) string {
	for i, p := range o.parameters {
		asked := p.In == "path" || p.Required || o.id == "listSlots" && p.Name == "doctor_id"
		if id, ok := s.ids[p.Name]; ok && p.Name != name && asked {
			o.path = strings.ReplaceAll(o.path, "{"+p.Name+"}", id)
			if p.In == "query" {
				fixed := *p.Schema.Value
				fixed.Enum = []any{id}
				known := *p
				known.Required, known.Schema = true, &openapi3.SchemaRef{Value: &fixed}
				o.parameters = slices.Clone(o.parameters)
				o.parameters[i] = &known
			}
		}
	}
	return o.urlWith(name, value)
}

// example is the body that the contract shows, with the things of the scene.
func (s *scene) example(o operation) any {
	shown, ok := o.example().(map[string]any)
	if !ok {
		return o.example()
	}
	body := maps.Clone(shown)
	for name := range body {
		if id, known := s.ids[name]; known {
			body[name] = id
		}
	}
	if _, named := body["name"]; named {
		body["name"] = unique("e2e")
	}
	return body
}

// What the contracts show works as it is shown, with the reader's own identifiers.
func TestTheExamplesOfTheContractsWork(t *testing.T) {
	t.Parallel()

	p := shared(t)
	expected := map[string]string{ // and why the others cannot
		"createPatient": "profile-exists", "createDoctor": "profile-exists", "completeAppointment": "not-started", "markNoShow": "not-started",
		"acceptOffer": "no-open-offer", "declineOffer": "no-open-offer", "joinWaitlist": "already-waiting",
		"deleteClinic": "in-use", "deleteSpeciality": "in-use", "deleteAppointmentType": "in-use", "getCalendarFeed": "not-found", "deleteCalendarFeed": "not-found",
		"getCalendar": "not-found", "restorePost": "not-hidden", "restoreComment": "not-hidden", "unlockPost": "not-locked", "releaseAuthor": "not-suspended",
	}
	for _, o := range operations(t) {
		if o.service != "appointment" && o.service != "forum" || o.internal {
			continue
		}
		t.Run(o.id, func(t *testing.T) {
			t.Parallel()
			s := p.newScene(t, o)
			got := s.caller.do(t, o.method, s.url(o, "", ""), s.example(o))
			if slug := expected[o.id]; slug != "" && got.StatusCode >= http.StatusBadRequest {
				prob := got.refused(t, http.StatusNotFound, http.StatusConflict)
				require.Equal(t, "https://healthe.dev/problems/"+slug, prob.Type)
				return
			}
			require.Less(t, got.StatusCode, http.StatusBadRequest, "%s", got)
		})
	}
}
