package e2e

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/openapi/deferred"
)

const operationsPath = "/catalog/v1/operations"

// CAT-6, CAT-7: what is written while appointment is out is carried out when it is back: in order, once, or refused with a
// word to its user.
func TestWritesWaitForAppointment(t *testing.T) {
	p := shared(t)
	c := p.newPractice(t)
	ada, bea := p.person(t), p.patient(t)
	processes := p.named(t, "appointment")
	for _, name := range processes {
		p.down(t, name)
	}
	back := func() {
		for _, name := range processes {
			require.NoError(t, p.StartProcess(context.WithoutCancel(t.Context()), name))
		}
		p.healthy(t)
	}
	t.Cleanup(func() { p.healthy(t) })

	profile := ada.later(t, "/appointment/v1/me/patient", map[string]any{"name": "Ada Park", "phone": "+491701234567", "birth_date": "1990-04-12", "gender": "female"})
	booking := ada.later(t, appointments, c.booking(0), key("booking"))
	require.Equal(t, booking.Id, ada.later(t, appointments, c.booking(0), key("booking")).Id)
	late := bea.later(t, appointments, c.booking(0)) // the same slot
	withdrawn := bea.later(t, appointments, c.booking(1))
	bea.get(t, operationsPath+"/"+booking.Id.String()).refused(t, http.StatusNotFound)
	bea.do(t, http.MethodDelete, operationsPath+"/"+withdrawn.Id.String(), nil).wants(t, http.StatusNoContent)
	back()

	require.Equal(t, deferred.Succeeded, ada.ended(t, profile).State, "before the booking that needs it")
	require.Equal(t, deferred.Withdrawn, bea.ended(t, withdrawn).State)
	winner, loser, won, lost := ada, bea, ada.ended(t, booking), bea.ended(t, late)
	if won.State == deferred.Failed {
		winner, loser, won, lost = bea, ada, lost, won
	}
	require.Equal(t, deferred.Succeeded, won.State)
	winner.get(t, *won.Result.Location).wants(t, http.StatusOK)
	require.Equal(t, deferred.Failed, lost.State)
	require.Equal(t, http.StatusConflict, lost.Problem.Status)
	require.True(t, strings.HasSuffix(lost.Problem.Type, "/slot-taken"), lost.Problem.Type)
	require.Contains(t, p.text(t, p.mailTo(t, loser.email, 1)[0]), lost.Id.String())
	var page struct{ Items []struct{ Status string } }
	winner.get(t, appointments).wants(t, http.StatusOK).decode(t, &page)
	require.Len(t, page.Items, 1)
	loser.get(t, appointments).wants(t, http.StatusOK).decode(t, &page)
	require.Empty(t, page.Items)
}

// CAT-9: an operator shuts one service out: reads are answered from copies, marked as old, writes wait, others do not notice.
func TestACircuitThatAnAdminForcesOpen(t *testing.T) {
	p := shared(t)
	admin, ada, noor := p.person(t, "admin"), p.patient(t), p.newPractice(t).doctor
	const (
		specialities = "/appointment/v1/specialities"
		hours        = "/appointment/v1/me/doctor/working-hours"
		override     = "/catalog/v1/circuits/appointment/override"
	)
	ada.get(t, "/catalog/v1/circuits").refused(t, http.StatusForbidden)
	ada.do(t, http.MethodPut, override, map[string]string{"state": "open", "reason": "no right"}).refused(t, http.StatusForbidden)
	ada.get(t, specialities).wants(t, http.StatusOK)
	noor.get(t, hours).wants(t, http.StatusOK)
	release := func() { admin.do(t, http.MethodDelete, override, nil).wants(t, http.StatusNoContent) }
	defer release()
	admin.do(t, http.MethodPut, override, map[string]string{"state": "open", "reason": "moving house"}).wants(t, http.StatusOK)

	stale := noor.get(t, hours).wants(t, http.StatusOK)
	require.Contains(t, stale.Header.Get("Warning"), "110")
	require.NotEmpty(t, stale.Header.Get("Age"))
	ada.get(t, appointments).refused(t, http.StatusServiceUnavailable) // clinical: nobody keeps it
	ada.get(t, me).wants(t, http.StatusOK)
	release()
	ada.get(t, appointments).wants(t, http.StatusOK)
}

// later writes what is kept until the service is back.
func (c *caller) later(t *testing.T, path string, body any, edits ...edit) (op deferred.DeferredOperation) {
	t.Helper()
	got := c.post(t, path, body, edits...).wants(t, http.StatusAccepted)
	got.decode(t, &op)
	require.Equal(t, operationsPath+"/"+op.Id.String(), got.Header.Get("Location"))
	return op
}

// ended waits until it is known what became of it.
func (c *caller) ended(t *testing.T, op deferred.DeferredOperation) deferred.DeferredOperation {
	t.Helper()
	eventually(t, op.Operation+" has ended", time.Minute, func() (bool, string) {
		got := c.get(t, operationsPath+"/"+op.Id.String()).wants(t, http.StatusOK)
		got.decode(t, &op)
		return op.State != deferred.Pending, got.String()
	})
	return op
}
