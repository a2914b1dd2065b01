package appointment

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/healthe/healthe/mail"
	"github.com/healthe/healthe/openapi/mailing"
	"github.com/healthe/healthe/services/appointment/internal/store"
)

// What a doctor is told; the template says it as it is.
const (
	eventBooked    = "a new appointment"
	eventMoved     = "an appointment was moved"
	eventCancelled = "an appointment was cancelled"
)

// mailJob tells someone about an appointment. It says what was true when it was made, in identifiers and times alone.
type mailJob struct {
	Template      string     `json:"template"`
	To            uuid.UUID  `json:"to"`
	AppointmentID uuid.UUID  `json:"appointment_id"`
	Sequence      int32      `json:"sequence"`
	StartsAt      time.Time  `json:"starts_at"`
	EndsAt        time.Time  `json:"ends_at"`
	Previous      *time.Time `json:"previous,omitempty"`
	ExpiresAt     *time.Time `json:"expires_at,omitempty"`
	EntryID       *uuid.UUID `json:"entry_id,omitempty"`
	Event         string     `json:"event,omitempty"`
}

func (mailJob) Kind() string                 { return "mail" }
func (mailJob) InsertOpts() river.InsertOpts { return river.InsertOpts{MaxAttempts: mail.Tries} }

// key is the same however often the job runs, so that the mail arrives once.
func (j mailJob) key() string {
	return fmt.Sprintf("%s:%s:%d:%s", j.Template, j.AppointmentID, j.Sequence, j.To)
}

// overtaken tells whether what the mail would say is not so any more: who reads it after the mail about the later change, which
// may be sent first, believes the wrong one.
func (j mailJob) overtaken(a store.AppointmentDetail, now time.Time) bool {
	if j.Template == "waitlist_offer" {
		return a.Status != store.AppointmentStatusOffered || !now.Before(*j.ExpiresAt)
	}
	return a.Sequence > j.Sequence
}

func mailTo(user uuid.UUID, a store.Appointment, template string) mailJob {
	return mailJob{
		Template: template, To: user, AppointmentID: a.ID, Sequence: a.Sequence, StartsAt: a.StartsAt, EndsAt: a.EndsAt, ExpiresAt: a.ExpiresAt,
	}
}

func noticeTo(doctor uuid.UUID, a store.Appointment, event string) mailJob {
	job := mailTo(doctor, a, "doctor_notice")
	job.Event = event
	return job
}

// remindJob reminds the patient, if the appointment still is what it was when the job was made.
type remindJob struct {
	AppointmentID uuid.UUID `json:"appointment_id"`
	Sequence      int32     `json:"sequence"`
}

func (remindJob) Kind() string                 { return "remind" }
func (remindJob) InsertOpts() river.InsertOpts { return river.InsertOpts{MaxAttempts: mail.Tries} }

func (s *service) enqueue(ctx context.Context, tx pgx.Tx, todo []river.InsertManyParams) error {
	if len(todo) == 0 {
		return nil
	}
	_, err := s.jobs.InsertManyTx(ctx, tx, todo)
	return err
}

// row is the part of a detail that jobs need.
func row(a store.AppointmentDetail) store.Appointment {
	return store.Appointment{ID: a.ID, DoctorID: a.DoctorID, PatientID: a.PatientID, StartsAt: a.StartsAt, EndsAt: a.EndsAt, Sequence: a.Sequence}
}

func (s *service) afterBooking(a store.AppointmentDetail, by store.Party) []river.InsertManyParams {
	todo := []river.InsertManyParams{{Args: mailTo(a.PatientID, row(a), "appointment_booked")}}
	if by == store.PartyPatient {
		todo = append(todo, river.InsertManyParams{Args: noticeTo(a.DoctorID, row(a), eventBooked)})
	}
	return append(todo, s.reminders(a)...)
}

func (s *service) afterMoving(before, after store.AppointmentDetail, by store.Party) []river.InsertManyParams {
	mail := mailTo(after.PatientID, row(after), "appointment_changed")
	mail.Previous = &before.StartsAt
	todo := []river.InsertManyParams{{Args: mail}}
	if by == store.PartyPatient {
		todo = append(todo, river.InsertManyParams{Args: noticeTo(after.DoctorID, row(after), eventMoved)})
	}
	return append(todo, s.reminders(after)...)
}

func afterCancelling(a store.Appointment, by store.Party) []river.InsertManyParams {
	todo := []river.InsertManyParams{{Args: mailTo(a.PatientID, a, "appointment_cancelled")}}
	if by == store.PartyPatient {
		todo = append(todo, river.InsertManyParams{Args: noticeTo(a.DoctorID, a, eventCancelled)})
	}
	return todo
}

// reminders is empty for an appointment so near that its confirmation reminds enough.
func (s *service) reminders(a store.AppointmentDetail) []river.InsertManyParams {
	at := a.StartsAt.Add(-s.rules.RemindBefore)
	if !at.After(s.now()) {
		return nil
	}
	return []river.InsertManyParams{{Args: remindJob{a.ID, a.Sequence}, InsertOpts: &river.InsertOpts{ScheduledAt: at, MaxAttempts: mail.Tries}}}
}

type mailer struct {
	river.WorkerDefaults[mailJob]
	service *service
	post    mail.Post
}

func (w *mailer) NextRetry(job *river.Job[mailJob]) time.Time {
	return time.Now().Add(mail.Delay(job.Attempt))
}

func (w *mailer) Work(ctx context.Context, job *river.Job[mailJob]) error {
	a, err := w.service.store.GetAppointment(ctx, job.Args.AppointmentID)
	if errors.Is(err, pgx.ErrNoRows) { // an offer that is over: too late to tell
		return nil
	}
	if err != nil {
		return err
	}
	if job.Args.overtaken(a, w.service.now()) {
		return nil
	}
	return w.post.Send(ctx, job.Args.key(), w.service.compose(job.Args, a))
}

type reminder struct {
	river.WorkerDefaults[remindJob]
	service *service
	post    mail.Post
}

func (w *reminder) NextRetry(job *river.Job[remindJob]) time.Time {
	return time.Now().Add(mail.Delay(job.Attempt))
}

func (w *reminder) Work(ctx context.Context, job *river.Job[remindJob]) error {
	a, err := w.service.store.GetAppointment(ctx, job.Args.AppointmentID)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	if a.Status != store.AppointmentStatusBooked || a.Sequence != job.Args.Sequence || a.StartsAt.Before(w.service.now()) {
		return nil // it was moved or cancelled, or nobody needs reminding any more
	}
	mail := mailTo(a.PatientID, row(a), "appointment_reminder")
	return w.post.Send(ctx, mail.key(), w.service.compose(mail, a))
}

// compose says in a mail what the job was made for; the names are those of today.
func (s *service) compose(j mailJob, a store.AppointmentDetail) mailing.NewMessage {
	data := map[string]string{
		"doctor": a.DoctorName, "clinic": a.ClinicName, "address": a.Address,
		"starts_at": onTheClock(j.StartsAt, a.TimeZone), "url": s.publicURL + "/appointment/v1/appointments/" + a.ID.String(),
	}
	if j.Previous != nil {
		data["previous"] = onTheClock(*j.Previous, a.TimeZone)
	}
	if j.ExpiresAt != nil {
		data["expires_at"] = onTheClock(*j.ExpiresAt, a.TimeZone)
	}
	if j.Event != "" {
		data["event"] = j.Event
		data["url"] = s.publicURL + "/appointment/v1/schedule/" + a.ID.String()
	}
	if j.Template == "appointment_cancelled" {
		data["url"] = s.publicURL + "/appointment/v1/doctors" // to book another one
	}
	if j.EntryID != nil {
		data["url"] = s.publicURL + "/appointment/v1/waitlist/" + j.EntryID.String()
	}
	m := mailing.NewMessage{Template: &j.Template, Data: &data, Recipients: []mailing.NewRecipient{{UserID: &j.To}}}
	switch j.Template {
	case "appointment_booked", "appointment_changed", "appointment_cancelled":
		file := eventFile(j, a, s.publicURL)
		m.Attachments = &[]mailing.Attachment{{Name: "appointment.ics", ContentType: mailing.TextCalendar, Content: []byte(file)}}
	}
	return m
}

// onTheClock writes a time as the clinic's clock shows it.
func onTheClock(t time.Time, zone string) string {
	location, err := time.LoadLocation(zone)
	if err != nil { // the database knows a zone that this machine does not
		location, zone = time.UTC, "UTC"
	}
	return t.In(location).Format("Monday, 2 January 2006, 15:04") + " (" + zone + ")"
}
