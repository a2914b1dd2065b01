package appointment

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	api "github.com/healthe/healthe/openapi/appointment"
)

func (b *bench) wait(patient uuid.UUID, doctor, speciality *uuid.UUID) *api.JoinWaitlistResponse {
	b.t.Helper()
	resp, err := b.JoinWaitlistWithResponse(b.t.Context(), nil, api.NewWaitlistEntry{
		DoctorID: doctor, SpecialityID: speciality, AppointmentTypeID: b.kind, FromDate: date(2027, 3, 1), ToDate: date(2027, 3, 12),
	}, b.patientOf(patient))
	require.NoError(b.t, err)
	return resp
}

// mustWait puts the patient on the doctor's waitlist.
func (b *bench) mustWait(patient, doctor uuid.UUID) uuid.UUID {
	b.t.Helper()
	resp := b.wait(patient, &doctor, nil)
	require.Equal(b.t, http.StatusCreated, resp.StatusCode(), string(resp.Body))
	return resp.JSON201.ID
}

func (b *bench) entry(patient, id uuid.UUID) api.WaitlistEntry {
	b.t.Helper()
	resp, err := b.GetWaitlistEntryWithResponse(b.t.Context(), id, b.patientOf(patient))
	require.NoError(b.t, err)
	require.Equal(b.t, http.StatusOK, resp.StatusCode(), string(resp.Body))
	return *resp.JSON200
}

// queue is a full slot and two patients who wait for it, first and second.
type queue struct {
	*bench
	doctor, holder, first, second uuid.UUID
	firstEntry, secondEntry       uuid.UUID
	booked                        api.Appointment
}

func newQueue(t *testing.T) *queue {
	t.Helper()
	b := newBench(t)
	q := &queue{bench: b, doctor: b.addDoctor(), holder: b.addPatient(), first: b.addPatient(), second: b.addPatient()}
	q.booked = b.mustBook(q.holder, q.doctor, slotAt(2, 9, 0))
	q.firstEntry, q.secondEntry = b.mustWait(q.first, q.doctor), b.mustWait(q.second, q.doctor)
	return q
}

func TestWaitlist(t *testing.T) {
	t.Parallel()

	t.Run("offers a cancelled slot to the next in line, who takes it", func(t *testing.T) {
		t.Parallel()

		q := newQueue(t)
		q.mustCancel(q.holder, q.booked.ID)
		offer := q.entry(q.first, q.firstEntry)
		require.Equal(t, api.Offered, offer.Status)
		require.Equal(t, q.booked.StartsAt, offer.Offer.StartsAt)
		require.Equal(t, noon.Add(2*time.Hour), offer.Offer.ExpiresAt)
		require.Equal(t, api.Waiting, q.entry(q.second, q.secondEntry).Status)
		faster := q.book(q.addPatient(), q.doctor, q.booked.StartsAt)
		refused(t, errSlotTaken, faster.StatusCode(), faster.Body)
		q.work()
		mails := q.post.sent("waitlist_offer")
		require.Len(t, mails, 1)
		require.Equal(t, q.first, *mails[0].Recipients[0].UserID)
		require.NotEmpty(t, (*mails[0].Data)["expires_at"])

		taken, err := q.AcceptOfferWithResponse(t.Context(), q.firstEntry, nil, q.patientOf(q.first))
		require.NoError(t, err)
		require.Equal(t, http.StatusCreated, taken.StatusCode(), string(taken.Body))
		require.Equal(t, api.Booked, taken.JSON201.Status)
		require.Equal(t, api.Accepted, q.entry(q.first, q.firstEntry).Status)
		again, err := q.AcceptOfferWithResponse(t.Context(), q.firstEntry, nil, q.patientOf(q.first))
		require.NoError(t, err)
		refused(t, errNoOffer, again.StatusCode(), again.Body)
		q.work()
		require.Len(t, q.post.sent("appointment_booked"), 1)
	})

	t.Run("offers what was moved away from, but not to who moved", func(t *testing.T) {
		t.Parallel()

		q := newQueue(t)
		q.wait(q.holder, &q.doctor, nil)
		resp, err := q.RescheduleAppointmentWithResponse(t.Context(), q.booked.ID, nil, api.Rescheduling{StartsAt: slotAt(3, 9, 0)}, q.patientOf(q.holder))
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, resp.StatusCode())
		require.Equal(t, api.Offered, q.entry(q.first, q.firstEntry).Status)
	})

	t.Run("goes on to the next when one declines, and never asks twice", func(t *testing.T) {
		t.Parallel()

		q := newQueue(t)
		q.mustCancel(q.holder, q.booked.ID)
		declined, err := q.DeclineOfferWithResponse(t.Context(), q.firstEntry, nil, q.patientOf(q.first))
		require.NoError(t, err)
		require.Equal(t, api.Waiting, declined.JSON200.Status)
		require.Equal(t, api.Offered, q.entry(q.second, q.secondEntry).Status)
		declined, err = q.DeclineOfferWithResponse(t.Context(), q.secondEntry, nil, q.patientOf(q.second))
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, declined.StatusCode())
		require.Equal(t, api.Waiting, q.entry(q.first, q.firstEntry).Status)
		q.mustBook(q.addPatient(), q.doctor, q.booked.StartsAt) // nobody wants it: free for everyone
		none, err := q.DeclineOfferWithResponse(t.Context(), q.firstEntry, nil, q.patientOf(q.first))
		require.NoError(t, err)
		refused(t, errNoOffer, none.StatusCode(), none.Body)
	})

	t.Run("goes on to the next when one does not answer", func(t *testing.T) {
		t.Parallel()

		q := newQueue(t)
		q.mustCancel(q.holder, q.booked.ID)
		q.clock.set(noon.Add(2*time.Hour + time.Second))
		late, err := q.AcceptOfferWithResponse(t.Context(), q.firstEntry, nil, q.patientOf(q.first))
		require.NoError(t, err)
		refused(t, errOfferGone, late.StatusCode(), late.Body)
		faster := q.book(q.addPatient(), q.doctor, q.booked.StartsAt)
		refused(t, errSlotTaken, faster.StatusCode(), faster.Body) // nobody jumps the queue in between
		q.work()
		require.Equal(t, api.Waiting, q.entry(q.first, q.firstEntry).Status)
		require.Equal(t, api.Offered, q.entry(q.second, q.secondEntry).Status)
	})

	t.Run("passes the offer on when one leaves", func(t *testing.T) {
		t.Parallel()

		q := newQueue(t)
		q.mustCancel(q.holder, q.booked.ID)
		stale, err := q.LeaveWaitlistWithResponse(t.Context(), q.firstEntry, &api.LeaveWaitlistParams{IfMatch: new(`"v1"`)}, q.patientOf(q.first))
		require.NoError(t, err)
		require.Equal(t, http.StatusPreconditionFailed, stale.StatusCode())
		left, err := q.LeaveWaitlistWithResponse(t.Context(), q.firstEntry, nil, q.patientOf(q.first))
		require.NoError(t, err)
		require.Equal(t, http.StatusNoContent, left.StatusCode())
		require.Equal(t, api.Withdrawn, q.entry(q.first, q.firstEntry).Status)
		require.Equal(t, api.Offered, q.entry(q.second, q.secondEntry).Status)
		again, err := q.LeaveWaitlistWithResponse(t.Context(), q.firstEntry, nil, q.patientOf(q.first))
		require.NoError(t, err)
		refused(t, errNotWaiting, again.StatusCode(), again.Body)
	})

	t.Run("skips who is busy then", func(t *testing.T) {
		t.Parallel()

		q := newQueue(t)
		q.mustBook(q.first, q.addDoctor(), q.booked.StartsAt)
		q.mustCancel(q.holder, q.booked.ID)
		require.Equal(t, api.Waiting, q.entry(q.first, q.firstEntry).Status)
		require.Equal(t, api.Offered, q.entry(q.second, q.secondEntry).Status)
	})

	t.Run("serves who waits for the speciality too", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		doctor, holder, patient := b.addDoctor(), b.addPatient(), b.addPatient()
		entry := b.wait(patient, nil, &b.speciality)
		b.mustCancel(holder, b.mustBook(holder, doctor, slotAt(2, 9, 0)).ID)
		require.Equal(t, doctor, b.entry(patient, entry.JSON201.ID).Offer.DoctorID)
	})

	t.Run("offers nothing that is too near, off or outside the days", func(t *testing.T) {
		t.Parallel()

		q := newQueue(t)
		late := q.mustBook(q.addPatient(), q.doctor, slotAt(15, 9, 0)) // after the last day
		q.mustCancel(late.Patient.ID, late.ID)
		_, err := q.CreateTimeOffWithResponse(t.Context(), nil, api.NewTimeOff{StartsAt: slotAt(2, 8, 0), EndsAt: slotAt(2, 18, 0)}, q.doctorOf(q.doctor))
		require.NoError(t, err)
		q.mustCancel(q.holder, q.booked.ID) // in time off
		near := q.mustBook(q.addPatient(), q.doctor, slotAt(1, 9, 0))
		q.clock.set(slotAt(1, 7, 55))
		_, err = q.CancelScheduledAppointmentWithResponse(t.Context(), near.ID, nil, api.Cancellation{}, q.doctorOf(q.doctor)) // five minutes to answer
		require.NoError(t, err)
		require.Equal(t, api.Waiting, q.entry(q.first, q.firstEntry).Status)
	})

	t.Run("lets nobody wait twice, for nothing or as someone else", func(t *testing.T) {
		t.Parallel()

		q := newQueue(t)
		twice := q.wait(q.first, &q.doctor, nil)
		refused(t, errAlreadyWaiting, twice.StatusCode(), twice.Body)
		both := q.wait(q.first, &q.doctor, &q.speciality)
		refused(t, errWaitForWhat, both.StatusCode(), both.Body)
		own := q.wait(q.doctor, &q.doctor, nil)
		refused(t, errOwnAppointment, own.StatusCode(), own.Body)
		nobody := q.wait(uuid.New(), &q.doctor, nil)
		refused(t, errNoProfile, nobody.StatusCode(), nobody.Body)
		for pointer, resp := range map[string]*api.JoinWaitlistResponse{"/doctor_id": q.wait(q.first, new(uuid.New()), nil), "/speciality_id": q.wait(q.first, nil, new(uuid.New()))} {
			require.Equal(t, pointer, problemOf(t, resp.Body).Errors[0].Pointer)
		}
		past, err := q.JoinWaitlistWithResponse(t.Context(), nil, api.NewWaitlistEntry{DoctorID: &q.doctor, AppointmentTypeID: q.kind, FromDate: date(2026, 1, 1), ToDate: date(2026, 1, 2)}, q.patientOf(q.holder))
		require.NoError(t, err)
		refused(t, errWaitDays, past.StatusCode(), past.Body)
		kind, err := q.JoinWaitlistWithResponse(t.Context(), nil, api.NewWaitlistEntry{DoctorID: &q.doctor, AppointmentTypeID: uuid.New(), FromDate: date(2027, 3, 1), ToDate: date(2027, 3, 2)}, q.patientOf(q.holder))
		require.NoError(t, err)
		refused(t, errNoType, kind.StatusCode(), kind.Body)

		theirs, err := q.GetWaitlistEntryWithResponse(t.Context(), q.firstEntry, q.patientOf(q.second))
		require.NoError(t, err)
		require.Equal(t, http.StatusNotFound, theirs.StatusCode())
		take, err := q.AcceptOfferWithResponse(t.Context(), q.firstEntry, nil, q.patientOf(q.second))
		require.NoError(t, err)
		require.Equal(t, http.StatusNotFound, take.StatusCode())
		list, err := q.ListWaitlistEntriesWithResponse(t.Context(), &api.ListWaitlistEntriesParams{Status: new(api.Waiting)}, q.patientOf(q.first))
		require.NoError(t, err)
		require.Len(t, list.JSON200.Items, 1)
	})
}

func TestSweep(t *testing.T) {
	t.Parallel()

	q := newQueue(t)
	hold := q.mustHold(q.addPatient(), q.doctor, slotAt(3, 9, 0))
	q.clock.set(time.Date(2027, 3, 14, 0, 0, 0, 0, time.UTC))
	require.NoError(t, (&sweeper{service: q.service}).Work(t.Context(), nil))
	require.Zero(t, q.count("SELECT count(*) FROM appointments WHERE id = $1", hold.ID))
	require.Equal(t, api.Ended, q.entry(q.first, q.firstEntry).Status)
}
