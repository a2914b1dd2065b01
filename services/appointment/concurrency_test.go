package appointment

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	api "github.com/healthe/healthe/openapi/appointment"
)

// tally counts answers by status and problem.
type tally struct {
	mu sync.Mutex
	n  map[string]int
}

func (t *tally) add(status int, problemType string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n == nil {
		t.n = map[string]int{}
	}
	t.n[fmt.Sprint(status, " ", problemType)]++
}

func kindOf(resp *api.BookAppointmentResponse) string {
	if resp.ApplicationProblemJSON409 != nil {
		return resp.ApplicationProblemJSON409.Type
	}
	return ""
}

func TestOneSlotForTwoHundred(t *testing.T) { // APP-2, APP-4
	t.Parallel()

	for name, key := range map[string]func(int) *string{
		"with keys":    func(i int) *string { return new(fmt.Sprint(i)) },
		"without keys": func(int) *string { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			b := newBench(t)
			doctor := b.addDoctor()
			patients := make([]uuid.UUID, 200)
			for i := range patients {
				patients[i] = b.addPatient()
			}
			var answers tally
			var all sync.WaitGroup
			start := make(chan struct{})
			for i, patient := range patients {
				all.Go(func() {
					<-start
					resp, err := b.BookAppointmentWithResponse(t.Context(), &api.BookAppointmentParams{IdempotencyKey: key(i)}, b.request(doctor, slotAt(2, 9, 0)), b.patientOf(patient))
					if err != nil {
						t.Error(err)
						return
					}
					answers.add(resp.StatusCode(), kindOf(resp))
				})
			}
			close(start)
			all.Wait()
			require.Equal(t, map[string]int{"201 ": 1, "409 " + errSlotTaken.Type: 199}, answers.n)
			require.Equal(t, 1, b.count("SELECT count(*) FROM appointments"))
			require.Equal(t, 3, b.count("SELECT count(*) FROM river_job"), "nothing is sent for what was refused")
			free := b.slots(api.ListSlotsParams{DoctorID: &doctor, AppointmentTypeID: b.kind, From: date(2027, 3, 3), To: date(2027, 3, 3)})
			require.Len(t, free, 13)
		})
	}
}

func TestOnePatientAtManyDoctors(t *testing.T) { // APP-3
	t.Parallel()

	b := newBench(t)
	patient := b.addPatient()
	doctors := make([]uuid.UUID, 20)
	for i := range doctors {
		doctors[i] = b.addDoctor()
	}
	var answers tally
	var all sync.WaitGroup
	for _, doctor := range doctors {
		all.Go(func() {
			resp, err := b.BookAppointmentWithResponse(t.Context(), nil, b.request(doctor, slotAt(2, 9, 0)), b.patientOf(patient))
			if err != nil {
				t.Error(err)
				return
			}
			answers.add(resp.StatusCode(), kindOf(resp))
		})
	}
	all.Wait()
	require.Equal(t, map[string]int{"201 ": 1, "409 " + errPatientBusy.Type: 19}, answers.n)
}

func TestOneKeyFiftyTimes(t *testing.T) {
	t.Parallel()

	b := newBench(t)
	patient, doctor := b.addPatient(), b.addDoctor()
	var mu sync.Mutex
	var bodies []string
	var answers tally
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			resp, err := b.BookAppointmentWithResponse(t.Context(), &api.BookAppointmentParams{IdempotencyKey: new("one")}, b.request(doctor, slotAt(2, 9, 0)), b.patientOf(patient))
			if err != nil {
				t.Error(err)
				return
			}
			answers.add(resp.StatusCode(), kindOf(resp))
			if resp.StatusCode() == http.StatusCreated {
				mu.Lock()
				defer mu.Unlock()
				bodies = append(bodies, string(resp.Body))
			}
		})
	}
	all.Wait()
	require.Len(t, slices.Compact(bodies), 1, "equal answers")
	for kind := range answers.n {
		require.Contains(t, []string{"201 ", "409 https://healthe.dev/problems/idempotency-key-running"}, kind)
	}
	require.Equal(t, 1, b.count("SELECT count(*) FROM appointments"))
	require.Equal(t, 3, b.count("SELECT count(*) FROM river_job"))
}

// TestFreedSlotsUnderFire lets many wait, cancel, accept and move at once: nobody is double-booked and nothing fails unexpectedly.
func TestFreedSlotsUnderFire(t *testing.T) {
	t.Parallel()

	b := newBench(t)
	doctors := []uuid.UUID{b.addDoctor(), b.addDoctor()}
	patients := make([]uuid.UUID, 16)
	for i := range patients {
		patients[i] = b.addPatient()
	}
	times := []time.Time{slotAt(2, 9, 0), slotAt(2, 9, 30), slotAt(2, 10, 0)}
	var all sync.WaitGroup
	for i, patient := range patients {
		all.Go(func() {
			me := b.patientOf(patient)
			entry := b.wait(patient, &doctors[i%2], nil)
			for round := range 6 {
				at := times[(i+round)%len(times)]
				a, err := b.BookAppointmentWithResponse(t.Context(), nil, b.request(doctors[round%2], at), me)
				if err != nil || a.StatusCode() != http.StatusCreated && a.StatusCode() != http.StatusConflict {
					t.Errorf("book: %v %s", err, a.Body)
					return
				}
				if a.JSON201 != nil {
					moved, err := b.RescheduleAppointmentWithResponse(t.Context(), a.JSON201.ID, nil, api.Rescheduling{StartsAt: times[(i+round+1)%len(times)]}, me)
					if err != nil || moved.StatusCode() != http.StatusOK && moved.StatusCode() != http.StatusConflict {
						t.Errorf("move: %v %s", err, moved.Body)
					}
					gone, err := b.CancelAppointmentWithResponse(t.Context(), a.JSON201.ID, nil, api.Cancellation{}, me)
					if err != nil || gone.StatusCode() != http.StatusOK {
						t.Errorf("cancel: %v %s", err, gone.Body)
					}
				}
				if took, err := b.AcceptOfferWithResponse(t.Context(), entry.JSON201.ID, nil, me); err != nil || took.StatusCode() != http.StatusCreated && took.StatusCode() != http.StatusConflict {
					t.Errorf("accept: %v %s", err, took.Body)
				}
			}
		})
	}
	all.Wait()
	const live = "status IN ('held', 'offered', 'booked', 'completed')"
	require.Zero(t, b.count(`SELECT count(*) FROM appointments a JOIN appointments o ON a.id < o.id AND (a.doctor_id = o.doctor_id OR a.patient_id = o.patient_id)
		AND a.starts_at < o.ends_at AND a.ends_at > o.starts_at WHERE a.`+live+` AND o.`+live))
	require.Equal(t, b.count("SELECT count(*) FROM waitlist_offers WHERE status = 'open'"), b.count("SELECT count(*) FROM appointments WHERE status = 'offered'"))
	require.Equal(t, b.count("SELECT count(*) FROM waitlist_offers WHERE status = 'open'"), b.count("SELECT count(*) FROM waitlist_entries WHERE status = 'offered'"))
}
