package e2e

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// atOnce runs f n times together, and returns the answers.
func atOnce(t *testing.T, n int, f func(i int) (answer, error)) []answer {
	t.Helper()
	all, errs := make([]answer, n), make([]error, n)
	start := make(chan struct{})
	var running sync.WaitGroup
	for i := range n {
		running.Go(func() {
			<-start
			all[i], errs[i] = f(i)
		})
	}
	close(start)
	running.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	return all
}

// APP-2, APP-3, APP-4: two instances, two hundred patients' clicks, one slot.
func TestOneSlotIsBookedOnce(t *testing.T) {
	t.Parallel()

	p := shared(t)
	c := p.newPractice(t)
	patients := p.crowd(t, 40)
	answers := atOnce(t, 200, func(i int) (answer, error) {
		return patients[i%len(patients)].try(t.Context(), http.MethodPost, appointments, c.booking(0))
	})
	won := 0
	for _, got := range answers {
		if got.StatusCode == http.StatusCreated {
			won++
			continue
		}
		got.refused(t, http.StatusConflict)
	}
	require.Equal(t, 1, won)

	var schedule struct{ Items []struct{ ID string } }
	c.doctor.get(t, "/appointment/v1/schedule").wants(t, http.StatusOK).decode(t, &schedule)
	require.Len(t, schedule.Items, 1)
	total := 0
	for _, patient := range patients {
		var own struct{ Items []struct{ ID string } }
		patient.get(t, appointments).wants(t, http.StatusOK).decode(t, &own)
		total += len(own.Items)
	}
	require.Equal(t, 1, total)
	require.NotContains(t, c.freeSlots(t), c.slots[0]) // and the list of free slots knows
}

// a client that does not know whether its request arrived sends it again.
func TestOneKeyBooksOnce(t *testing.T) {
	t.Parallel()

	p := shared(t)
	c := p.newPractice(t)
	ada, eve := p.patient(t), p.patient(t)
	k := unique("key")
	answers := atOnce(t, 50, func(int) (answer, error) {
		return ada.try(t.Context(), http.MethodPost, appointments, c.booking(0), key(k))
	})
	first, replayed := "", 0
	for _, got := range answers {
		if got.StatusCode == http.StatusConflict {
			require.Equal(t, "https://healthe.dev/problems/idempotency-key-running", got.refused(t, http.StatusConflict).Type)
			continue
		}
		got.wants(t, http.StatusCreated)
		if first == "" {
			first = string(got.body)
		}
		require.Equal(t, first, string(got.body))
		if got.Header.Get("Idempotency-Replayed") == "true" {
			replayed++
		}
	}
	require.NotEmpty(t, first)
	again := ada.post(t, appointments, c.booking(0), key(k)).wants(t, http.StatusCreated)
	require.Equal(t, first, string(again.body))
	require.Equal(t, "true", again.Header.Get("Idempotency-Replayed"))
	ada.post(t, appointments, c.booking(1), key(k)).refused(t, http.StatusUnprocessableEntity)
	eve.post(t, appointments, c.booking(1), key(k)).wants(t, http.StatusCreated) // somebody else's key is another
	var own struct{ Items []struct{ ID string } }
	ada.get(t, appointments).wants(t, http.StatusOK).decode(t, &own)
	require.Len(t, own.Items, 1)
	t.Logf("%d of %d answers were replayed", replayed, len(answers))

	mails := p.mailTo(t, ada.email, 1) // MAIL-2, APP-18
	require.Len(t, mails, 1, fmt.Sprint(mails))
}
