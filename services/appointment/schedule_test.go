package appointment

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	api "github.com/healthe/healthe/openapi/appointment"
)

func (b *bench) bookFor(doctor, patient uuid.UUID, starts time.Time, why *string) *api.BookForPatientResponse {
	b.t.Helper()
	body := api.NewScheduledAppointment{PatientID: patient, AppointmentTypeID: b.kind, StartsAt: starts}
	if why != nil {
		body.Override = &api.Override{Reason: *why}
	}
	resp, err := b.BookForPatientWithResponse(b.t.Context(), nil, body, b.doctorOf(doctor))
	require.NoError(b.t, err)
	return resp
}

func TestListSchedule(t *testing.T) { // APP-10: it says who, what and until when
	t.Parallel()

	b := newBench(t)
	patient, doctor := b.addPatient(), b.addDoctor()
	first, second := b.mustBook(patient, doctor, slotAt(1, 9, 0)), b.mustBook(b.addPatient(), doctor, slotAt(2, 9, 0))
	b.mustBook(patient, b.addDoctor(), slotAt(3, 9, 0))
	list := func(p api.ListScheduleParams) []uuid.UUID {
		t.Helper()
		resp, err := b.ListScheduleWithResponse(t.Context(), &p, b.doctorOf(doctor))
		require.NoError(t, err)
		var ids []uuid.UUID
		for _, a := range resp.JSON200.Items {
			ids = append(ids, a.ID)
			require.Equal(t, "Ada Park", *a.Patient.Name)
			require.Equal(t, 30*time.Minute, a.EndsAt.Sub(a.StartsAt))
			require.Equal(t, "First visit", a.AppointmentType.Name)
		}
		return ids
	}
	require.Equal(t, []uuid.UUID{first.ID, second.ID}, list(api.ListScheduleParams{}))
	require.Equal(t, []uuid.UUID{second.ID}, list(api.ListScheduleParams{From: new(slotAt(2, 0, 0))}))
	require.Equal(t, []uuid.UUID{first.ID}, list(api.ListScheduleParams{To: new(slotAt(2, 0, 0))}))
	require.Equal(t, []uuid.UUID{first.ID}, list(api.ListScheduleParams{PatientID: &patient}))
	require.Empty(t, list(api.ListScheduleParams{Status: new(api.NoShow)}))

	records, err := b.ListAuditRecordsWithResponse(t.Context(), &api.ListAuditRecordsParams{Limit: new(2)}, b.patientOf(patient))
	require.NoError(t, err)
	require.Len(t, records.JSON200.Items, 2)
	require.NotNil(t, records.JSON200.NextCursor)
	require.Equal(t, api.AppointmentRead, records.JSON200.Items[0].Action)
	require.Equal(t, first.ID, *records.JSON200.Items[0].AppointmentID)
	rest, err := b.ListAuditRecordsWithResponse(t.Context(), &api.ListAuditRecordsParams{Cursor: records.JSON200.NextCursor}, b.patientOf(patient))
	require.NoError(t, err)
	require.Len(t, rest.JSON200.Items, 1)

	denied, err := b.ListScheduleWithResponse(t.Context(), nil, b.patientOf(doctor))
	require.NoError(t, err)
	require.Equal(t, http.StatusForbidden, denied.StatusCode())
}

func TestBookForPatient(t *testing.T) {
	t.Parallel()

	t.Run("serves only those who are the doctor's patients", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		patient, doctor := b.addPatient(), b.addDoctor()
		require.Equal(t, http.StatusNotFound, b.bookFor(doctor, patient, slotAt(2, 9, 0), nil).StatusCode())
		b.mustBook(patient, doctor, slotAt(1, 9, 0))
		require.Equal(t, http.StatusCreated, b.bookFor(doctor, patient, slotAt(2, 9, 0), nil).StatusCode())
		require.Equal(t, http.StatusNotFound, b.bookFor(uuid.New(), patient, slotAt(2, 10, 0), nil).StatusCode())
		b.work()
		require.Len(t, b.post.sent("doctor_notice"), 1, "only of what the patient booked")
		require.Equal(t, 1, b.count("SELECT count(*) FROM audit_records WHERE patient_id = $1 AND action = 'appointment_booked'", patient))
	})

	t.Run("overrides the hours and the calendar on purpose only", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		patient, other, doctor := b.addPatient(), b.addPatient(), b.addDoctor()
		taken := b.mustBook(patient, doctor, slotAt(2, 9, 0))
		b.mustBook(other, doctor, slotAt(2, 14, 0))
		evening := b.bookFor(doctor, patient, slotAt(2, 20, 7), nil)
		refused(t, errNotOffered, evening.StatusCode(), evening.Body)
		over := b.bookFor(doctor, other, taken.StartsAt, nil)
		refused(t, errSlotTaken, over.StatusCode(), over.Body)
		reason := "Results must be discussed today"
		resp := b.bookFor(doctor, patient, slotAt(2, 20, 7), &reason)
		require.Equal(t, http.StatusCreated, resp.StatusCode(), string(resp.Body))
		require.Equal(t, reason, *resp.JSON201.OverrideReason)
		resp = b.bookFor(doctor, other, taken.StartsAt, &reason)
		require.Equal(t, http.StatusCreated, resp.StatusCode(), string(resp.Body))
		require.Equal(t, 1, b.count("SELECT count(*) FROM appointments WHERE overbooked"))

		seen, err := b.GetAppointmentWithResponse(t.Context(), resp.JSON201.ID, b.patientOf(other))
		require.NoError(t, err)
		require.Nil(t, seen.JSON200.OverrideReason, "that is the doctor's")
		busy := b.bookFor(doctor, patient, slotAt(2, 9, 15), &reason)
		refused(t, errPatientBusy, busy.StatusCode(), busy.Body) // never the patient
		past := b.bookFor(doctor, patient, slotAt(-1, 9, 15), &reason)
		refused(t, errTooSoon, past.StatusCode(), past.Body)

		// The overbooked appointment still takes the doctor's time when the one beside it goes.
		b.mustCancel(patient, taken.ID)
		free := b.book(b.addPatient(), doctor, taken.StartsAt)
		refused(t, errSlotTaken, free.StatusCode(), free.Body)
		offered := b.slots(api.ListSlotsParams{DoctorID: &doctor, AppointmentTypeID: b.kind, From: date(2027, 3, 3), To: date(2027, 3, 3)})
		require.Equal(t, slotAt(2, 9, 30), offered[0].StartsAt)
	})
}

func TestScheduledAppointment(t *testing.T) {
	t.Parallel()

	b := newBench(t)
	patient, doctor, stranger := b.addPatient(), b.addDoctor(), b.addDoctor()
	a := b.mustBook(patient, doctor, slotAt(1, 9, 0))
	read, err := b.GetScheduledAppointmentWithResponse(t.Context(), a.ID, b.doctorOf(doctor))
	require.NoError(t, err)
	require.Equal(t, "Ada Park", *read.JSON200.Patient.Name) // APP-11
	theirs, err := b.GetScheduledAppointmentWithResponse(t.Context(), a.ID, b.doctorOf(stranger))
	require.NoError(t, err)
	require.Equal(t, http.StatusNotFound, theirs.StatusCode())
	b.clock.set(slotAt(1, 8, 0)) // too late for the patient
	move := func(who uuid.UUID, to time.Time, o *api.Override) *api.RescheduleScheduledAppointmentResponse {
		t.Helper()
		resp, err := b.RescheduleScheduledAppointmentWithResponse(t.Context(), a.ID, nil, api.ScheduledRescheduling{StartsAt: to, Override: o}, b.doctorOf(who))
		require.NoError(t, err)
		return resp
	}
	require.Equal(t, http.StatusNotFound, move(stranger, slotAt(1, 10, 0), nil).StatusCode())
	moved := move(doctor, slotAt(1, 10, 0), nil)
	require.Equal(t, slotAt(1, 10, 0), moved.JSON200.StartsAt)
	b.work()
	outside := move(doctor, slotAt(1, 19, 0), nil)
	refused(t, errNotOffered, outside.StatusCode(), outside.Body)
	moved = move(doctor, slotAt(1, 19, 0), &api.Override{Reason: "After hours"})
	require.Equal(t, "After hours", *moved.JSON200.OverrideReason)
	b.work()

	cancel := func(who uuid.UUID) *api.CancelScheduledAppointmentResponse {
		t.Helper()
		resp, err := b.CancelScheduledAppointmentWithResponse(t.Context(), a.ID, nil, api.Cancellation{Reason: new("I am ill")}, b.doctorOf(who))
		require.NoError(t, err)
		return resp
	}
	require.Equal(t, http.StatusNotFound, cancel(stranger).StatusCode())
	done := cancel(doctor)
	require.Equal(t, api.PartyDoctor, *done.JSON200.CancelledBy)
	again := cancel(doctor)
	refused(t, errNotBooked, again.StatusCode(), again.Body)
	b.work()
	require.Len(t, b.post.sent("appointment_changed"), 2)
	require.Len(t, b.post.sent("appointment_cancelled"), 1)
	var actions []api.AuditAction
	records, err := b.ListAuditRecordsWithResponse(t.Context(), nil, b.patientOf(patient))
	require.NoError(t, err)
	for _, r := range records.JSON200.Items {
		actions = append(actions, r.Action)
	}
	require.Equal(t, []api.AuditAction{api.AppointmentCancelled, api.AppointmentRescheduled, api.AppointmentRescheduled, api.AppointmentRead}, actions)
}

func TestOutcome(t *testing.T) { // APP-9
	t.Parallel()

	b := newBench(t)
	patient, doctor, stranger := b.addPatient(), b.addDoctor(), b.addDoctor()
	kept, missed := b.mustBook(patient, doctor, slotAt(1, 9, 0)), b.mustBook(patient, doctor, slotAt(1, 10, 0))
	complete := func(who uuid.UUID) *api.CompleteAppointmentResponse {
		t.Helper()
		resp, err := b.CompleteAppointmentWithResponse(t.Context(), kept.ID, nil, b.doctorOf(who))
		require.NoError(t, err)
		return resp
	}
	early := complete(doctor)
	refused(t, errNotStarted, early.StatusCode(), early.Body)
	b.clock.set(slotAt(1, 10, 0))
	require.Equal(t, http.StatusNotFound, complete(stranger).StatusCode())
	require.Equal(t, api.Completed, complete(doctor).JSON200.Status)
	again := complete(doctor)
	refused(t, errNotBooked, again.StatusCode(), again.Body)
	absent, err := b.MarkNoShowWithResponse(t.Context(), missed.ID, nil, b.doctorOf(doctor))
	require.NoError(t, err)
	require.Equal(t, api.NoShow, absent.JSON200.Status)
	late, err := b.CancelScheduledAppointmentWithResponse(t.Context(), missed.ID, nil, api.Cancellation{}, b.doctorOf(doctor))
	require.NoError(t, err)
	refused(t, errNotBooked, late.StatusCode(), late.Body)
}
