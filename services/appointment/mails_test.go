package appointment

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	ics "github.com/arran4/golang-ical"
	"github.com/google/uuid"
	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/mail"
	api "github.com/healthe/healthe/openapi/appointment"
	"github.com/healthe/healthe/openapi/mailing"
)

// file reads the one event that a mail brings.
func file(t *testing.T, m mailing.NewMessage) (method string, event *ics.VEvent) {
	t.Helper()
	cal, err := ics.ParseCalendar(strings.NewReader(string((*m.Attachments)[0].Content)))
	require.NoError(t, err)
	require.Len(t, cal.Events(), 1)
	for _, p := range cal.CalendarProperties {
		if p.IANAToken == string(ics.PropertyMethod) {
			method = p.Value
		}
	}
	return method, cal.Events()[0]
}

func property(e *ics.VEvent, p ics.ComponentProperty) string { return e.GetProperty(p).Value }

func TestMails(t *testing.T) { // APP-18: patient and doctor are told, with names, and after the commit
	t.Parallel()

	b := newBench(t)
	patient, doctor := b.addPatient(), b.addDoctor()
	a := b.mustBook(patient, doctor, slotAt(3, 9, 0))
	b.work()
	_, err := b.RescheduleAppointmentWithResponse(t.Context(), a.ID, nil, api.Rescheduling{StartsAt: slotAt(4, 10, 0)}, b.patientOf(patient))
	require.NoError(t, err)
	b.work()
	b.mustCancel(patient, a.ID)
	b.work()

	events := make([]string, 0, 3)
	for _, m := range b.post.sent("doctor_notice") {
		require.Equal(t, doctor, *m.Recipients[0].UserID)
		events = append(events, (*m.Data)["event"])
	}
	require.Equal(t, []string{eventBooked, eventMoved, eventCancelled}, events)
	for sequence, want := range []struct {
		template, method, status string
		starts                   time.Time
	}{
		{"appointment_booked", "PUBLISH", "CONFIRMED", slotAt(3, 9, 0)},
		{"appointment_changed", "PUBLISH", "CONFIRMED", slotAt(4, 10, 0)},
		{"appointment_cancelled", "CANCEL", "CANCELLED", slotAt(4, 10, 0)},
	} {
		mails := b.post.sent(want.template)
		require.Len(t, mails, 1, want.template)
		require.Equal(t, patient, *mails[0].Recipients[0].UserID)
		require.Equal(t, "Dr. Noor Haddad", (*mails[0].Data)["doctor"])
		require.Equal(t, onTheClock(want.starts, "Europe/Berlin"), (*mails[0].Data)["starts_at"])
		method, event := file(t, mails[0])
		require.Equal(t, want.method, method)
		require.Equal(t, a.ID.String()+"@healthe", property(event, ics.ComponentPropertyUniqueId))
		require.Equal(t, string(rune('0'+sequence)), property(event, ics.ComponentPropertySequence))
		require.Equal(t, want.status, property(event, ics.ComponentPropertyStatus))
		at, err := event.GetStartAt()
		require.NoError(t, err)
		require.True(t, want.starts.Equal(at))
	}
	require.Equal(t, "Thursday, 4 March 2027, 09:00 (Europe/Berlin)", (*b.post.sent("appointment_changed")[0].Data)["previous"])
}

func TestMailsThatAreOvertaken(t *testing.T) {
	t.Parallel()

	t.Run("do not confirm what was moved or cancelled since", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		patient, doctor := b.addPatient(), b.addDoctor()
		a := b.mustBook(patient, doctor, slotAt(3, 9, 0))
		_, err := b.RescheduleAppointmentWithResponse(t.Context(), a.ID, nil, api.Rescheduling{StartsAt: slotAt(4, 10, 0)}, b.patientOf(patient))
		require.NoError(t, err)
		b.mustCancel(patient, a.ID)
		b.work() // mailing was away all the time
		require.Empty(t, b.post.sent("appointment_booked"))
		require.Empty(t, b.post.sent("appointment_changed"))
		require.Len(t, b.post.sent("appointment_cancelled"), 1)
		require.Len(t, b.post.sent("doctor_notice"), 1)
	})

	t.Run("do not offer what was taken or is offered no more", func(t *testing.T) {
		t.Parallel()

		q := newQueue(t)
		q.mustCancel(q.holder, q.booked.ID)
		_, err := q.AcceptOfferWithResponse(t.Context(), q.firstEntry, nil, q.patientOf(q.first))
		require.NoError(t, err)
		q.work()
		require.Empty(t, q.post.sent("waitlist_offer"))
		require.Len(t, q.post.sent("appointment_booked"), 1, "of the offer; the first one was cancelled before")
	})
}

func TestReminders(t *testing.T) {
	t.Parallel()

	t.Run("come the day before", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		patient, doctor := b.addPatient(), b.addDoctor()
		b.mustBook(patient, doctor, slotAt(3, 9, 0))
		b.clock.set(slotAt(2, 8, 59))
		b.work()
		require.Empty(t, b.post.sent("appointment_reminder"))
		b.clock.set(slotAt(2, 9, 0))
		b.work()
		require.Len(t, b.post.sent("appointment_reminder"), 1)
	})

	t.Run("are void once the appointment is moved or cancelled", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		patient, doctor := b.addPatient(), b.addDoctor()
		moved, gone := b.mustBook(patient, doctor, slotAt(3, 9, 0)), b.mustBook(patient, doctor, slotAt(3, 11, 0))
		_, err := b.RescheduleAppointmentWithResponse(t.Context(), moved.ID, nil, api.Rescheduling{StartsAt: slotAt(4, 10, 0)}, b.patientOf(patient))
		require.NoError(t, err)
		b.mustCancel(patient, gone.ID)
		b.clock.set(slotAt(2, 12, 0))
		b.work()
		require.Empty(t, b.post.sent("appointment_reminder"))
		b.clock.set(slotAt(3, 10, 0))
		b.work()
		reminders := b.post.sent("appointment_reminder")
		require.Len(t, reminders, 1)
		require.Equal(t, onTheClock(slotAt(4, 10, 0), "Europe/Berlin"), (*reminders[0].Data)["starts_at"])
	})

	t.Run("are none for an appointment of today", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		b.mustBook(b.addPatient(), b.addDoctor(), slotAt(0, 14, 0))
		b.clock.set(slotAt(0, 15, 0))
		b.work()
		require.Empty(t, b.post.sent("appointment_reminder"))
	})
}

func TestMailWaitsForMailing(t *testing.T) { // a mail that cannot be sent undoes no booking
	t.Parallel()

	b := newBench(t)
	a := b.mustBook(b.addPatient(), b.addDoctor(), slotAt(3, 9, 0))
	job := &river.Job[mailJob]{Args: mailJob{Template: "appointment_booked", AppointmentID: a.ID, To: a.Patient.ID, StartsAt: a.StartsAt, EndsAt: a.EndsAt}}
	w := &mailer{service: b.service, post: mail.New(b.post)}
	b.post.down = true
	require.Error(t, w.Work(t.Context(), job))
	b.post.down = false
	require.NoError(t, w.Work(t.Context(), job))
	require.NoError(t, w.Work(t.Context(), job), "its answer was lost, so it runs again")
	require.Len(t, b.post.sent("appointment_booked"), 1)
	w.post = mail.New(refusing{})
	err := w.Work(t.Context(), job)
	_, cancelled := errors.AsType[*river.JobCancelError](err)
	require.True(t, cancelled, "no further try helps: %v", err)
}

// refusing takes no mail at all.
type refusing struct {
	mailing.ClientWithResponsesInterface
}

func (refusing) SendMessageWithResponse(_ context.Context, _ *mailing.SendMessageParams, _ mailing.NewMessage, _ ...mailing.RequestEditorFn) (*mailing.SendMessageResponse, error) {
	return &mailing.SendMessageResponse{HTTPResponse: &http.Response{StatusCode: http.StatusBadRequest}, Body: []byte(`{"type":"invalid"}`)}, nil
}

func TestCalendarFeed(t *testing.T) {
	t.Parallel()

	b := newBench(t)
	patient, doctor := b.addPatient(), b.addDoctor()
	b.mustBook(patient, doctor, slotAt(3, 9, 0))
	b.mustHold(patient, doctor, slotAt(3, 11, 0))
	none, err := b.GetCalendarFeedWithResponse(t.Context(), b.patientOf(patient))
	require.NoError(t, err)
	require.Equal(t, http.StatusNotFound, none.StatusCode())
	subscribe := func(who uuid.UUID) string {
		t.Helper()
		resp, err := b.CreateCalendarFeedWithResponse(t.Context(), b.patientOf(who))
		require.NoError(t, err)
		require.Equal(t, http.StatusCreated, resp.StatusCode(), string(resp.Body))
		_, token, ok := strings.Cut(resp.JSON201.URL, "token=")
		require.True(t, ok)
		return token
	}
	read := func(token string) *api.GetCalendarResponse {
		t.Helper()
		resp, err := b.GetCalendarWithResponse(t.Context(), &api.GetCalendarParams{Token: token})
		require.NoError(t, err)
		return resp
	}
	token := subscribe(patient)
	require.Zero(t, b.count("SELECT count(*) FROM calendar_feeds WHERE position($1 IN encode(token_hash, 'escape')) > 0", token), "not kept")
	feed := read(token)
	require.Equal(t, http.StatusOK, feed.StatusCode())
	require.Equal(t, "private, no-store", feed.HTTPResponse.Header.Get("Cache-Control"))
	require.Equal(t, 1, strings.Count(string(feed.Body), "BEGIN:VEVENT"), "a hold is no appointment yet")
	require.Contains(t, string(feed.Body), "Appointment with Dr. Noor Haddad")
	theirs := read(subscribe(doctor))
	require.Equal(t, 1, strings.Count(string(theirs.Body), "BEGIN:VEVENT"))
	require.NotContains(t, string(theirs.Body), "Ada")

	renewed := subscribe(patient)
	require.Equal(t, http.StatusNotFound, read(token).StatusCode())
	has, err := b.GetCalendarFeedWithResponse(t.Context(), b.patientOf(patient))
	require.NoError(t, err)
	require.NotContains(t, string(has.Body), renewed)
	revoked, err := b.DeleteCalendarFeedWithResponse(t.Context(), b.patientOf(patient))
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, revoked.StatusCode())
	require.Equal(t, http.StatusNotFound, read(renewed).StatusCode())
	require.Equal(t, http.StatusBadRequest, read("short").StatusCode())
}
