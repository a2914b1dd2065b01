package appointment

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	api "github.com/healthe/healthe/openapi/appointment"
)

func TestBookAppointment(t *testing.T) {
	t.Parallel()

	t.Run("takes a free slot", func(t *testing.T) { // APP-5: one row is both the slot and the appointment
		t.Parallel()

		b := newBench(t)
		patient, doctor := b.addPatient(), b.addDoctor()
		resp := b.book(patient, doctor, slotAt(2, 9, 0))
		require.Equal(t, http.StatusCreated, resp.StatusCode(), string(resp.Body))
		a := resp.JSON201
		require.Equal(t, "/appointment/v1/appointments/"+a.ID.String(), resp.HTTPResponse.Header.Get("Location"))
		require.Equal(t, `"v1"`, resp.HTTPResponse.Header.Get("ETag"))
		require.Equal(t, "no-store", resp.HTTPResponse.Header.Get("Cache-Control"))
		require.Equal(t, slotAt(2, 9, 0), a.StartsAt) // APP-13: the instant that was asked for, in UTC
		require.Equal(t, slotAt(2, 9, 30), a.EndsAt)
		require.Equal(t, "Europe/Berlin", a.Clinic.TimeZone)
		read, err := b.GetAppointmentWithResponse(t.Context(), a.ID, b.patientOf(patient))
		require.NoError(t, err)
		a.CreatedAt, a.UpdatedAt = read.JSON200.CreatedAt, read.JSON200.UpdatedAt
		require.Equal(t, a, read.JSON200)
	})

	t.Run("refuses what overlaps, however it is cut", func(t *testing.T) { // APP-3
		t.Parallel()

		b := newBench(t)
		patient, other, doctor := b.addPatient(), b.addPatient(), b.addDoctor()
		b.mustBook(patient, doctor, slotAt(2, 9, 30))
		b.kind = b.addType("Long visit", 60)
		taken := b.book(other, doctor, slotAt(2, 9, 0))
		refused(t, errSlotTaken, taken.StatusCode(), taken.Body)
		busy := b.book(patient, b.addDoctor(), slotAt(2, 9, 0))
		refused(t, errPatientBusy, busy.StatusCode(), busy.Body)
		b.mustBook(other, doctor, slotAt(2, 10, 0))
	})

	t.Run("keeps to the rules", func(t *testing.T) { // APP-3
		t.Parallel()

		b := newBench(t)
		patient, doctor := b.addPatient(), b.addDoctor()
		for name, c := range map[string]struct {
			starts time.Time
			want   error
		}{
			"the past":      {slotAt(-3, 9, 0), errTooSoon},
			"within hour":   {noon.Add(59 * time.Minute), errTooSoon},
			"next year":     {slotAt(300, 9, 0), errTooFarAhead},
			"at night":      {slotAt(2, 3, 0), errNotOffered},
			"on Sunday":     {slotAt(6, 9, 0), errNotOffered},
			"in the break":  {slotAt(2, 12, 0), errNotOffered},
			"off the grid":  {slotAt(2, 9, 10), errNotOffered},
			"odd fractions": {slotAt(2, 9, 0).Add(time.Millisecond), errNotOffered},
		} {
			resp := b.book(patient, doctor, c.starts)
			refused(t, c.want, resp.StatusCode(), []byte(name + string(resp.Body))[len(name):])
		}
	})

	t.Run("needs a profile, a doctor and a type", func(t *testing.T) { // APP-11
		t.Parallel()

		b := newBench(t)
		patient, doctor := b.addPatient(), b.addDoctor()
		nobody := b.book(uuid.New(), doctor, slotAt(2, 9, 0))
		refused(t, errNoProfile, nobody.StatusCode(), nobody.Body)
		own := b.book(doctor, doctor, slotAt(2, 9, 0))
		refused(t, errOwnAppointment, own.StatusCode(), own.Body)
		none := b.book(patient, uuid.New(), slotAt(2, 9, 0))
		require.Equal(t, "/doctor_id", problemOf(t, none.Body).Errors[0].Pointer)
		b.kind = uuid.New()
		kind := b.book(patient, doctor, slotAt(2, 9, 0))
		require.Equal(t, "/appointment_type_id", problemOf(t, kind.Body).Errors[0].Pointer)
		for _, half := range []api.NewAppointment{{}, {DoctorID: &doctor}, {HoldID: &doctor, DoctorID: &doctor}} {
			resp, err := b.BookAppointmentWithResponse(t.Context(), nil, half, b.patientOf(patient))
			require.NoError(t, err)
			refused(t, errHalfChoice, resp.StatusCode(), resp.Body)
		}
	})

	t.Run("refuses a key that was used for something else", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		patient, doctor := b.addPatient(), b.addDoctor()
		p := &api.BookAppointmentParams{IdempotencyKey: new("k")}
		first, err := b.BookAppointmentWithResponse(t.Context(), p, b.request(doctor, slotAt(2, 9, 0)), b.patientOf(patient))
		require.NoError(t, err)
		again, err := b.BookAppointmentWithResponse(t.Context(), p, b.request(doctor, slotAt(2, 9, 0)), b.patientOf(patient))
		require.NoError(t, err)
		require.Equal(t, first.JSON201, again.JSON201)
		require.Equal(t, "true", again.HTTPResponse.Header.Get("Idempotency-Replayed"))
		other, err := b.BookAppointmentWithResponse(t.Context(), p, b.request(doctor, slotAt(3, 9, 0)), b.patientOf(patient))
		require.NoError(t, err)
		require.Equal(t, http.StatusUnprocessableEntity, other.StatusCode())
	})
}

func TestHolds(t *testing.T) {
	t.Parallel()

	t.Run("keep the slot and become the appointment", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		patient, other, doctor := b.addPatient(), b.addPatient(), b.addDoctor()
		hold := b.mustHold(patient, doctor, slotAt(2, 9, 0))
		require.Equal(t, noon.Add(usual.HoldFor), hold.ExpiresAt)
		taken := b.book(other, doctor, slotAt(2, 9, 0))
		refused(t, errSlotTaken, taken.StatusCode(), taken.Body)
		theirs, err := b.GetHoldWithResponse(t.Context(), hold.ID, b.patientOf(other))
		require.NoError(t, err)
		require.Equal(t, http.StatusNotFound, theirs.StatusCode())
		steal, err := b.BookAppointmentWithResponse(t.Context(), nil, api.NewAppointment{HoldID: &hold.ID}, b.patientOf(other))
		require.NoError(t, err)
		refused(t, errHoldGone, steal.StatusCode(), steal.Body)
		hidden, err := b.GetAppointmentWithResponse(t.Context(), hold.ID, b.patientOf(patient))
		require.NoError(t, err)
		require.Equal(t, http.StatusNotFound, hidden.StatusCode(), "a hold is no appointment yet")
		booked, err := b.BookAppointmentWithResponse(t.Context(), nil, api.NewAppointment{HoldID: &hold.ID}, b.patientOf(patient))
		require.NoError(t, err)
		require.Equal(t, http.StatusCreated, booked.StatusCode(), string(booked.Body))
		require.Equal(t, hold.ID, booked.JSON201.ID)
	})

	t.Run("are one at a time", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		patient, other, doctor := b.addPatient(), b.addPatient(), b.addDoctor()
		first := b.mustHold(patient, doctor, slotAt(2, 9, 0))
		second := b.mustHold(patient, doctor, slotAt(2, 10, 0))
		gone, err := b.GetHoldWithResponse(t.Context(), first.ID, b.patientOf(patient))
		require.NoError(t, err)
		require.Equal(t, http.StatusNotFound, gone.StatusCode())
		b.mustBook(other, doctor, slotAt(2, 9, 0))
		b.mustBook(patient, doctor, slotAt(2, 10, 0)) // what one holds oneself is in nobody's way
		require.Zero(t, b.count("SELECT count(*) FROM appointments WHERE id = $1", second.ID))
	})

	t.Run("expire", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		patient, other, doctor := b.addPatient(), b.addPatient(), b.addDoctor()
		hold := b.mustHold(patient, doctor, slotAt(2, 9, 0))
		moving := b.mustBook(other, doctor, slotAt(2, 11, 0))
		b.clock.set(noon.Add(usual.HoldFor))
		for _, who := range []uuid.UUID{patient, other} {
			late, err := b.BookAppointmentWithResponse(t.Context(), nil, api.NewAppointment{HoldID: &hold.ID}, b.patientOf(who))
			require.NoError(t, err)
			refused(t, errHoldGone, late.StatusCode(), late.Body)
		}
		moved, err := b.RescheduleAppointmentWithResponse(t.Context(), moving.ID, nil, api.Rescheduling{StartsAt: slotAt(2, 9, 0)}, b.patientOf(other))
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, moved.StatusCode(), string(moved.Body))
	})

	t.Run("can be given up", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		patient, other, doctor := b.addPatient(), b.addPatient(), b.addDoctor()
		hold := b.mustHold(patient, doctor, slotAt(2, 9, 0))
		theirs, err := b.DeleteHoldWithResponse(t.Context(), hold.ID, b.patientOf(other))
		require.NoError(t, err)
		require.Equal(t, http.StatusNotFound, theirs.StatusCode())
		given, err := b.DeleteHoldWithResponse(t.Context(), hold.ID, b.patientOf(patient))
		require.NoError(t, err)
		require.Equal(t, http.StatusNoContent, given.StatusCode())
		b.mustBook(other, doctor, slotAt(2, 9, 0))
		own, err := b.CreateHoldWithResponse(t.Context(), nil, api.NewHold{DoctorID: doctor, AppointmentTypeID: b.kind, StartsAt: slotAt(2, 9, 0)}, b.patientOf(doctor))
		require.NoError(t, err)
		refused(t, errOwnAppointment, own.StatusCode(), own.Body)
	})
}

func TestCancelAppointment(t *testing.T) { // APP-9
	t.Parallel()

	b := newBench(t)
	patient, other, doctor := b.addPatient(), b.addPatient(), b.addDoctor()
	a := b.mustBook(patient, doctor, slotAt(2, 9, 0))
	cancel := func(who uuid.UUID) (*api.CancelAppointmentResponse, error) {
		return b.CancelAppointmentWithResponse(t.Context(), a.ID, nil, api.Cancellation{Reason: new("I am travelling")}, b.patientOf(who))
	}
	theirs, err := cancel(other)
	require.NoError(t, err)
	require.Equal(t, http.StatusNotFound, theirs.StatusCode())
	b.clock.set(slotAt(1, 9, 1))
	late, err := cancel(patient)
	require.NoError(t, err)
	refused(t, errTooLate, late.StatusCode(), late.Body)
	b.clock.set(slotAt(1, 9, 0))
	done, err := cancel(patient)
	require.NoError(t, err)
	require.Equal(t, api.Cancelled, done.JSON200.Status)
	require.Equal(t, api.PartyPatient, *done.JSON200.CancelledBy)
	require.Equal(t, "I am travelling", *done.JSON200.CancellationReason)
	require.Equal(t, `"v2"`, done.HTTPResponse.Header.Get("ETag"))
	again, err := cancel(patient)
	require.NoError(t, err)
	refused(t, errNotBooked, again.StatusCode(), again.Body)
	b.mustBook(other, doctor, slotAt(2, 9, 0))

	status, body := b.raw(t, http.MethodPost, "/appointment/v1/appointments/"+a.ID.String()+"/cancellation", "", asPatient...)
	require.Equal(t, http.StatusNotFound, status, "no body is as good as an empty one: "+string(body))
}

func TestRescheduleAppointment(t *testing.T) { // APP-9
	t.Parallel()

	b := newBench(t)
	patient, other, doctor := b.addPatient(), b.addPatient(), b.addDoctor()
	a, theirs := b.mustBook(patient, doctor, slotAt(2, 9, 0)), b.mustBook(other, doctor, slotAt(2, 10, 0))
	move := func(who uuid.UUID, to time.Time, tag *string) *api.RescheduleAppointmentResponse {
		t.Helper()
		resp, err := b.RescheduleAppointmentWithResponse(t.Context(), a.ID, &api.RescheduleAppointmentParams{IfMatch: tag}, api.Rescheduling{StartsAt: to}, b.patientOf(who))
		require.NoError(t, err)
		return resp
	}
	taken := move(patient, theirs.StartsAt, nil)
	refused(t, errSlotTaken, taken.StatusCode(), taken.Body)
	require.Equal(t, http.StatusNotFound, move(other, slotAt(2, 11, 0), nil).StatusCode())
	off := move(patient, slotAt(2, 18, 0), nil)
	refused(t, errNotOffered, off.StatusCode(), off.Body)
	moved := move(patient, slotAt(2, 9, 30), new(`"v1"`))
	require.Equal(t, http.StatusOK, moved.StatusCode(), string(moved.Body))
	require.Equal(t, a.ID, moved.JSON200.ID, "the identifier stays")
	require.Equal(t, slotAt(2, 9, 30), moved.JSON200.StartsAt)
	require.Equal(t, http.StatusPreconditionFailed, move(patient, slotAt(2, 11, 0), new(`"v1"`)).StatusCode())
	b.mustBook(b.addPatient(), doctor, slotAt(2, 9, 0)) // the old slot is free
	b.mustBook(patient, b.addDoctor(), slotAt(2, 11, 0))
	busy := move(patient, slotAt(2, 11, 0), nil)
	refused(t, errPatientBusy, busy.StatusCode(), busy.Body)
	b.clock.set(slotAt(2, 8, 0))
	late := move(patient, slotAt(3, 9, 0), nil)
	refused(t, errTooLate, late.StatusCode(), late.Body)
}

func TestListAppointments(t *testing.T) {
	t.Parallel()

	b := newBench(t)
	patient, doctor, second := b.addPatient(), b.addDoctor(), b.addDoctor()
	for d := 1; d <= 4; d++ {
		b.mustBook(patient, doctor, slotAt(d, 9, 0))
	}
	cancelled := b.mustBook(patient, second, slotAt(4, 10, 0))
	b.mustCancel(patient, cancelled.ID)
	b.mustHold(patient, second, slotAt(4, 14, 0))
	b.mustBook(b.addPatient(), doctor, slotAt(1, 10, 0))
	b.clock.set(slotAt(2, 12, 0))
	list := func(p api.ListAppointmentsParams) (days []int) {
		t.Helper()
		p.Limit = new(1)
		for {
			resp, err := b.ListAppointmentsWithResponse(t.Context(), &p, b.patientOf(patient))
			require.NoError(t, err)
			for _, a := range resp.JSON200.Items {
				require.Equal(t, patient, a.Patient.ID)
				days = append(days, a.StartsAt.Day()-1)
			}
			if p.Cursor = resp.JSON200.NextCursor; p.Cursor == nil {
				return days
			}
		}
	}
	require.Equal(t, []int{3, 4, 4}, list(api.ListAppointmentsParams{}))
	require.Equal(t, []int{2, 1}, list(api.ListAppointmentsParams{When: new(api.Past)}))
	require.Equal(t, []int{4}, list(api.ListAppointmentsParams{Status: new(api.Cancelled)}))
	require.Equal(t, []int{3, 4}, list(api.ListAppointmentsParams{DoctorID: &doctor}))
}
