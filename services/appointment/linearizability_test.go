package appointment

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	api "github.com/healthe/healthe/openapi/appointment"
)

const (
	modelDoctors = 2
	modelTimes   = 4
	modelClients = 16
	modelRounds  = 20
)

// cell is a slot in the model: who has it, and whether they only hold it. Patients count from 1.
type cell struct {
	patient int
	held    bool
}

// calendars is the whole state: what each doctor has at each time.
type calendars [modelDoctors][modelTimes]cell

type place struct{ doctor, time int }

// step is one request, and what came of it.
type (
	step struct {
		op       string
		patient  int
		at, from place
	}
	outcome struct {
		result string           // ok, or the slug of a problem
		free   [modelTimes]bool // of a search
	}
)

// model is a calendar that does one thing at a time.
var model = porcupine.Model{
	Init: func() any { return calendars{} },
	Step: func(state, input, output any) (bool, any) {
		return apply(state.(calendars), input.(step), output.(outcome))
	},
	Equal:             func(a, b any) bool { return a == b },
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %+v", input, output) },
}

// apply says whether a calendar in state c may answer s with o, and what it is then.
func apply(c calendars, s step, o outcome) (bool, calendars) {
	next := c
	switch s.op {
	case "search":
		for t := range modelTimes {
			if o.free[t] != (c[s.at.doctor][t].patient == 0) {
				return false, c
			}
		}
		return true, c
	case "cancel", "release":
		next[s.at.doctor][s.at.time] = cell{}
		return o.result == "ok", next
	case "bookHeld":
		mine := c[s.at.doctor][s.at.time] == cell{s.patient, true}
		next[s.at.doctor][s.at.time] = cell{s.patient, false}
		return mine && o.result == "ok", next
	case "book", "hold":
		next = next.without(cell{s.patient, true}) // a new choice gives up the hold
	case "move":
		next[s.from.doctor][s.from.time] = cell{}
	}
	taken := next[s.at.doctor][s.at.time].patient != 0
	busy := false
	for d := range modelDoctors {
		busy = busy || d != s.at.doctor && next[d][s.at.time].patient == s.patient
	}
	switch o.result {
	case "ok":
		next[s.at.doctor][s.at.time] = cell{s.patient, s.op == "hold"}
		return !taken && !busy, next
	case errSlotTaken.Type:
		return taken, c // and nothing changed
	case errPatientBusy.Type:
		return busy || taken && next[s.at.doctor][s.at.time].patient == s.patient, c
	}
	return false, c
}

func (c calendars) without(gone cell) calendars {
	for d := range modelDoctors {
		for t := range modelTimes {
			if c[d][t] == gone {
				c[d][t] = cell{}
			}
		}
	}
	return c
}

// client is one patient who does random things and knows what they have.
type client struct {
	*bench
	n       int
	me      uuid.UUID
	doctors [modelDoctors]uuid.UUID
	booked  map[place]uuid.UUID
	hold    *place
	holdID  uuid.UUID
	random  *rand.Rand
}

func modelTime(t int) time.Time { return slotAt(2, 9, 0).Add(time.Duration(t) * 30 * time.Minute) }

// next does one random thing that makes sense.
func (c *client) next() (step, outcome) {
	s := step{patient: c.n, at: place{c.random.IntN(modelDoctors), c.random.IntN(modelTimes)}}
	switch n := c.random.IntN(10); {
	case n < 2:
		s.op = "search"
		return s, outcome{free: c.search(s.at.doctor)}
	case n < 4 && c.hold != nil:
		s.at = *c.hold
		if n == 2 {
			s.op = "release"
			resp, err := c.DeleteHoldWithResponse(c.t.Context(), c.holdID, c.patientOf(c.me))
			c.hold = nil
			return s, c.outcome(err, resp.StatusCode(), resp.Body)
		}
		s.op = "bookHeld"
		return s, c.book(s, api.NewAppointment{HoldID: &c.holdID})
	case n < 7 && len(c.booked) > 0:
		for s.from = range c.booked {
			break
		}
		if n == 4 {
			s.op, s.at = "cancel", s.from
			resp, err := c.CancelAppointmentWithResponse(c.t.Context(), c.booked[s.at], nil, api.Cancellation{}, c.patientOf(c.me))
			delete(c.booked, s.at)
			return s, c.outcome(err, resp.StatusCode(), resp.Body)
		}
		s.op, s.at.doctor = "move", s.from.doctor
		return s, c.move(s)
	case n < 8:
		s.op = "hold"
		return s, c.take(s)
	}
	s.op = "book"
	return s, c.book(s, c.request(c.doctors[s.at.doctor], modelTime(s.at.time)))
}

func (c *client) search(doctor int) (free [modelTimes]bool) {
	resp, err := c.ListSlotsWithResponse(c.t.Context(), &api.ListSlotsParams{DoctorID: &c.doctors[doctor], AppointmentTypeID: c.kind, From: date(2027, 3, 3), To: date(2027, 3, 3)})
	if err != nil || resp.StatusCode() != http.StatusOK {
		c.t.Errorf("search: %v", err)
		return free
	}
	for _, s := range resp.JSON200.Items {
		if n := int(s.StartsAt.Sub(modelTime(0)) / (30 * time.Minute)); n < modelTimes {
			free[n] = true
		}
	}
	return free
}

func (c *client) book(s step, request api.NewAppointment) outcome {
	resp, err := c.BookAppointmentWithResponse(c.t.Context(), nil, request, c.patientOf(c.me))
	o := c.outcome(err, resp.StatusCode(), resp.Body)
	if o.result == "ok" {
		c.booked[s.at], c.hold = resp.JSON201.ID, nil
	}
	return o
}

func (c *client) take(s step) outcome {
	resp, err := c.CreateHoldWithResponse(c.t.Context(), nil, api.NewHold{DoctorID: c.doctors[s.at.doctor], AppointmentTypeID: c.kind, StartsAt: modelTime(s.at.time)}, c.patientOf(c.me))
	o := c.outcome(err, resp.StatusCode(), resp.Body)
	if o.result == "ok" {
		c.hold, c.holdID = &s.at, resp.JSON201.ID
	}
	return o
}

func (c *client) move(s step) outcome {
	resp, err := c.RescheduleAppointmentWithResponse(c.t.Context(), c.booked[s.from], nil, api.Rescheduling{StartsAt: modelTime(s.at.time)}, c.patientOf(c.me))
	o := c.outcome(err, resp.StatusCode(), resp.Body)
	if o.result == "ok" {
		id := c.booked[s.from]
		delete(c.booked, s.from)
		c.booked[s.at] = id
	}
	return o
}

func (c *client) outcome(err error, status int, body []byte) outcome {
	switch {
	case err != nil:
		c.t.Error(err)
	case status < http.StatusBadRequest:
		return outcome{result: "ok"}
	}
	return outcome{result: problemOf(c.t, body).Type}
}

// TestLinearizability has 16 clients do random things at once, and checks that a calendar which does one thing at a time could have
// given the same answers in an order that contradicts no clock.
func TestLinearizability(t *testing.T) {
	t.Parallel()

	b := newBench(t)
	var doctors [modelDoctors]uuid.UUID
	for d := range doctors {
		doctors[d] = b.addDoctor()
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	began := time.Now()
	var mu sync.Mutex
	var history []porcupine.Operation
	var all sync.WaitGroup
	for n := range modelClients {
		c := &client{bench: b, n: n + 1, me: b.addPatient(), doctors: doctors, booked: map[place]uuid.UUID{}, random: rand.New(rand.NewPCG(seed, uint64(n)))}
		all.Go(func() {
			for range modelRounds {
				call := time.Since(began)
				s, o := c.next()
				done := time.Since(began)
				mu.Lock()
				history = append(history, porcupine.Operation{ClientId: n, Input: s, Call: int64(call), Output: o, Return: int64(done)})
				mu.Unlock()
			}
		})
	}
	all.Wait()
	result, info := porcupine.CheckOperationsVerbose(model, history, time.Minute)
	if result != porcupine.Ok {
		path := t.ArtifactDir() + "/history.html"
		require.NoError(t, porcupine.VisualizePath(model, info, path))
		t.Fatalf("%s; see %s (with -artifacts)", result, path)
	}
}

func TestModelNoticesADoubleBooking(t *testing.T) {
	t.Parallel()

	both := func(op string, results ...string) []porcupine.Operation {
		var history []porcupine.Operation
		for n, result := range results {
			history = append(history, porcupine.Operation{ClientId: n, Input: step{op: op, patient: n + 1}, Output: outcome{result: result}, Return: 1})
		}
		return history
	}
	require.True(t, porcupine.CheckOperations(model, both("book", "ok", errSlotTaken.Type)))
	require.False(t, porcupine.CheckOperations(model, both("book", "ok", "ok")))
	require.False(t, porcupine.CheckOperations(model, both("hold", "ok", "ok")))
	require.False(t, porcupine.CheckOperations(model, both("book", errSlotTaken.Type)), "nobody has it")
}
