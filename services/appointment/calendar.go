package appointment

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"time"
	"unicode"

	ics "github.com/arran4/golang-ical"
	"github.com/google/uuid"

	"github.com/healthe/healthe/kit/identity"
	api "github.com/healthe/healthe/openapi/appointment"
	"github.com/healthe/healthe/services/appointment/internal/store"
)

const (
	product     = "-//Healthe//Appointments//EN"
	feedHistory = 31 * 24 * time.Hour
	feedLength  = 500
)

// CreateCalendarFeed keeps no more than a hash of the address's secret: who reads the database cannot read calendars. The token
// is in the query, which no log of ours holds.
func (s *service) CreateCalendarFeed(ctx context.Context, _ api.CreateCalendarFeedRequestObject) (api.CreateCalendarFeedResponseObject, error) {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	token := base64.RawURLEncoding.EncodeToString(secret)
	feed, err := s.store.SetCalendarFeed(ctx, store.SetCalendarFeedParams{UserID: identity.Caller(ctx).UserID(), TokenHash: hash(token)})
	if err != nil {
		return nil, err
	}
	return api.CreateCalendarFeed201JSONResponse{URL: s.publicURL + "/appointment/v1/calendar.ics?token=" + token, CreatedAt: utc(feed.CreatedAt)}, nil
}

func (s *service) GetCalendarFeed(ctx context.Context, _ api.GetCalendarFeedRequestObject) (api.GetCalendarFeedResponseObject, error) {
	feed, err := s.store.GetCalendarFeed(ctx, identity.Caller(ctx).UserID())
	if err != nil {
		return nil, found(err, "Calendar feed")
	}
	return api.GetCalendarFeed200JSONResponse{CreatedAt: utc(feed.CreatedAt)}, nil
}

func (s *service) DeleteCalendarFeed(ctx context.Context, _ api.DeleteCalendarFeedRequestObject) (api.DeleteCalendarFeedResponseObject, error) {
	n, err := s.store.DeleteCalendarFeed(ctx, identity.Caller(ctx).UserID())
	if err := deleted(n, err); err != nil {
		return nil, found(err, "Calendar feed")
	}
	return api.DeleteCalendarFeed204Response{}, nil
}

func (s *service) GetCalendar(ctx context.Context, req api.GetCalendarRequestObject) (api.GetCalendarResponseObject, error) {
	feed, err := s.store.GetCalendarFeedByToken(ctx, hash(req.Params.Token))
	if err != nil {
		return nil, found(err, "Calendar feed")
	}
	rows, err := s.store.ListCalendar(ctx, store.ListCalendarParams{UserID: feed.UserID, EndsAfter: s.now().Add(-feedHistory), MaxRows: feedLength})
	if err != nil {
		return nil, err
	}
	cal := newCalendar(ics.MethodPublish)
	cal.SetXWRCalName("Healthe")
	for _, a := range rows {
		addEvent(cal, a, s.publicURL, a.DoctorID == feed.UserID)
	}
	file := cal.Serialize(ics.WithNewLineWindows)
	return api.GetCalendar200TextCalendarResponse{
		Body: strings.NewReader(file), ContentLength: int64(len(file)),
		Headers: api.GetCalendar200ResponseHeaders{CacheControl: new("private, no-store")},
	}, nil
}

// eventFile is the attachment of a mail: the appointment as the job knew it, for the patient.
func eventFile(j mailJob, a store.AppointmentDetail, publicURL string) string {
	method := ics.MethodPublish
	a.StartsAt, a.EndsAt, a.Sequence, a.Status = j.StartsAt, j.EndsAt, j.Sequence, store.AppointmentStatusBooked
	if j.Template == "appointment_cancelled" {
		method, a.Status = ics.MethodCancel, store.AppointmentStatusCancelled
	}
	cal := newCalendar(method)
	addEvent(cal, a, publicURL, false)
	return cal.Serialize(ics.WithNewLineWindows)
}

func newCalendar(method ics.Method) *ics.Calendar {
	cal := ics.NewCalendar()
	cal.SetProductId(product)
	cal.SetMethod(method)
	return cal
}

// addEvent writes an appointment (RFC 5545). Its UID never changes and its SEQUENCE grows with each change, so that a calendar
// program replaces what it has. In a doctor's calendar, which others may see, it does not say who the patient is.
func addEvent(cal *ics.Calendar, a store.AppointmentDetail, publicURL string, ofDoctor bool) {
	event := cal.AddEvent(uid(a.ID))
	event.SetSequence(int(a.Sequence))
	event.SetDtStampTime(a.UpdatedAt)
	event.SetStartAt(a.StartsAt)
	event.SetEndAt(a.EndsAt)
	event.SetLocation(oneLine(a.ClinicName + ", " + a.Address))
	organizer := publicURL + "/appointment/v1/doctors/" + a.DoctorID.String()
	event.SetProperty(ics.ComponentPropertyOrganizer, organizer, ics.WithCN(parameter(a.DoctorName))) // SetOrganizer makes a mailto: of it
	event.SetStatus(ics.ObjectStatusConfirmed)
	if a.Status == store.AppointmentStatusCancelled {
		event.SetStatus(ics.ObjectStatusCancelled)
	}
	if ofDoctor {
		event.SetSummary("Appointment: " + oneLine(a.TypeName))
		event.SetURL(publicURL + "/appointment/v1/schedule/" + a.ID.String())
		return
	}
	event.SetSummary("Appointment with " + oneLine(a.DoctorName))
	event.SetURL(publicURL + "/appointment/v1/appointments/" + a.ID.String())
}

// oneLine makes blanks of control characters, which a text cannot hold.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}

var notInParameters = strings.NewReplacer("'", "’", `"`, "", ",", "", ";", "", ":", "", `\`, "")

// parameter leaves out what a parameter's value can only hold quoted: the library escapes it instead, and programs show the escapes.
func parameter(s string) string { return notInParameters.Replace(oneLine(s)) }

func uid(appointment uuid.UUID) string { return appointment.String() + "@healthe" }

func hash(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}
