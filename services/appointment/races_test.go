package appointment

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	api "github.com/healthe/healthe/openapi/appointment"
	"github.com/healthe/healthe/services/appointment/internal/store"
)

// between runs f while a transaction holds what first did, and commits that once f waits for it.
func (b *bench) between(first func(*store.Queries) error, f func()) {
	b.t.Helper()
	tx, err := b.service.db.Begin(b.t.Context())
	require.NoError(b.t, err)
	require.NoError(b.t, first(b.service.store.WithTx(tx)))
	var done sync.WaitGroup
	done.Go(func() {
		assert.Eventually(b.t, func() bool {
			return b.count("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") > 0
		}, 5*time.Second, 5*time.Millisecond)
		assert.NoError(b.t, tx.Commit(b.t.Context()))
	})
	f()
	done.Wait()
}

func TestLeavingWhileASlotIsOffered(t *testing.T) {
	t.Parallel()

	q := newQueue(t)
	q.between(func(s *store.Queries) error {
		_, err := s.SetEntryStatus(t.Context(), store.SetEntryStatusParams{ID: q.firstEntry, Status: store.WaitlistStatusWithdrawn})
		return err
	}, func() { q.mustCancel(q.holder, q.booked.ID) })
	require.Equal(t, api.Offered, q.entry(q.second, q.secondEntry).Status, "it goes to the next in line")
}

func TestCancellingWhatTheProfileTookAlong(t *testing.T) {
	t.Parallel()

	b := newBench(t)
	patient, doctor := b.addPatient(), b.addDoctor()
	a := b.mustBook(patient, doctor, slotAt(2, 9, 0))
	b.between(func(s *store.Queries) error { // as deletePatient does it, which knows of no doctor's lock
		_, err := s.CancelComing(t.Context(), store.CancelComingParams{CancelledBy: new(store.PartyPatient), Now: noon, PatientID: &patient})
		return err
	}, func() {
		resp, err := b.CancelScheduledAppointmentWithResponse(t.Context(), a.ID, nil, api.Cancellation{}, b.doctorOf(doctor))
		require.NoError(t, err)
		refused(t, errNotBooked, resp.StatusCode(), resp.Body)
	})
	require.Equal(t, 1, b.count("SELECT count(*) FROM appointments WHERE cancelled_by = 'patient' AND sequence = 1"))
}

func TestDecliningWithTheProfileGone(t *testing.T) {
	t.Parallel()

	q := newQueue(t)
	q.mustCancel(q.holder, q.booked.ID)
	q.between(func(s *store.Queries) error {
		_, err := s.DeletePatient(t.Context(), store.DeletePatientParams{ID: q.first})
		return err
	}, func() {
		resp, err := q.DeclineOfferWithResponse(t.Context(), q.firstEntry, nil, q.patientOf(q.first))
		require.NoError(t, err)
		require.Equal(t, http.StatusNotFound, resp.StatusCode(), string(resp.Body))
	})
}

// An appointment keeps its length when its type changes, so time off that begins within it is in its way.
func TestMovingIntoTimeOffAfterTheTypeChanged(t *testing.T) {
	t.Parallel()

	b := newBench(t)
	patient, doctor := b.addPatient(), b.addDoctor()
	b.kind = b.addType("Long visit", 60)
	a := b.mustBook(patient, doctor, slotAt(2, 9, 0))
	_, err := b.UpdateAppointmentTypeWithResponse(t.Context(), b.kind, nil, api.NewAppointmentType{Name: "Short visit", DurationMin: 10}, b.admin())
	require.NoError(t, err)
	_, err = b.CreateTimeOffWithResponse(t.Context(), nil, api.NewTimeOff{StartsAt: slotAt(3, 9, 30), EndsAt: slotAt(3, 12, 0)}, b.doctorOf(doctor))
	require.NoError(t, err)
	moved, err := b.RescheduleAppointmentWithResponse(t.Context(), a.ID, nil, api.Rescheduling{StartsAt: slotAt(3, 9, 0)}, b.patientOf(patient))
	require.NoError(t, err)
	refused(t, errNotOffered, moved.StatusCode(), moved.Body)
}

func TestAnExpiredHoldMakesNobodyBusy(t *testing.T) {
	t.Parallel()

	q := newQueue(t)
	q.mustHold(q.first, q.addDoctor(), q.booked.StartsAt)
	q.clock.set(noon.Add(usual.HoldFor))
	q.mustCancel(q.holder, q.booked.ID)
	require.Equal(t, api.Offered, q.entry(q.first, q.firstEntry).Status)
}
