package main

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/healthe/healthe/openapi/appointment"
	"github.com/healthe/healthe/openapi/auth"
	"github.com/healthe/healthe/openapi/deferred"
)

const (
	otherRate   = 100              // a second: reads of auth
	faultedRate = 40               // reads of appointment
	writeRate   = 4                // bookings
	cancelEvery = 5                // of those that were booked at once
	patience    = 20 * time.Second // of a client with one answer
	tries       = 12               // of a write, until its client gives up
)

// client keeps connections open as a browser does. What goes over a connection that is gone is not sent again.
var client = &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 512, MaxIdleConns: 512}}

// load is what people do all the time. Each request begins when it is due, whether or not those before it have been answered.
type load struct {
	*scene
	ledger  ledger
	running sync.WaitGroup
	slots   atomic.Int64           // given away so far
	joined  atomic.Int64           // newcomers so far
	current atomic.Pointer[writes] // nil: nobody writes
	joining atomic.Bool            // newcomers register
}

// start begins to send, until ctx ends.
func (l *load) start(ctx context.Context) {
	l.every(ctx, otherRate, l.readOther)
	l.every(ctx, faultedRate, l.readFaulted)
	l.every(ctx, writeRate, l.write)
}

// every calls f for the nth time n/rate seconds from now.
func (l *load) every(ctx context.Context, rate int, f func(ctx context.Context, n int)) {
	l.running.Go(func() {
		tick := time.NewTicker(time.Second / time.Duration(rate))
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				l.running.Go(func() { f(ctx, n) })
			}
		}
	})
}

func (l *load) readOther(ctx context.Context, n int) {
	who := l.patients[n%len(l.patients)].auth
	l.read(ctx, other, func(ctx context.Context) (*http.Response, error) {
		if n%2 == 0 {
			return who.GetMe(ctx)
		}
		return who.ListRoleRequests(ctx, &auth.ListRoleRequestsParams{})
	})
}

func (l *load) readFaulted(ctx context.Context, n int) {
	who := l.patients[n/4%len(l.patients)].appointment
	l.read(ctx, faulted, func(ctx context.Context) (*http.Response, error) {
		switch n % 4 {
		case 0:
			return who.ListClinics(ctx, &appointment.ListClinicsParams{})
		case 1:
			return who.ListDoctors(ctx, &appointment.ListDoctorsParams{})
		case 2:
			return who.GetOwnPatient(ctx)
		default:
			return who.ListAppointments(ctx, &appointment.ListAppointmentsParams{})
		}
	})
}

// read asks once, as the clients who are counted do.
func (l *load) read(ctx context.Context, g group, ask func(context.Context) (*http.Response, error)) {
	begun := time.Now()
	resp, err := ask(ctx)
	l.note(ctx, g, begun, resp, err)
}

// note takes down what a client saw, once the whole answer is there, and returns the body.
func (l *load) note(ctx context.Context, g group, begun time.Time, resp *http.Response, err error) []byte {
	s := sample{group: g, at: begun}
	var body []byte
	if err == nil {
		s.status, s.stale = resp.StatusCode, stale(resp.Header)
		if body, err = io.ReadAll(resp.Body); err != nil {
			s.status = 0
		}
		_ = resp.Body.Close()
	}
	s.took = time.Since(begun)
	if ctx.Err() == nil { // else it is we who went away
		l.ledger.add(s)
	}
	return body
}

// stale says whether an answer is marked as one from before.
func stale(h http.Header) bool {
	for _, warning := range h.Values("Warning") {
		if strings.HasPrefix(warning, "110") || strings.HasPrefix(warning, "111") {
			return true
		}
	}
	return false
}

// write books, and now and then registers somebody new.
func (l *load) write(ctx context.Context, n int) {
	all := l.current.Load()
	if all == nil {
		return
	}
	if n%writeRate == 0 && l.joining.Load() {
		if i := int(l.joined.Add(1)) - 1; i < len(l.newcomers) {
			l.send(ctx, all, &write{kind: registration, who: l.newcomers[i]})
		}
	}
	who := l.patients[n%len(l.patients)]
	w := &write{kind: booking, who: who, slot: l.slot(int(l.slots.Add(1)) - 1)}
	l.send(ctx, all, w)
	if w.appointment != uuid.Nil && n%cancelEvery == 0 {
		w.cancelled = true
		l.send(ctx, all, &write{kind: cancellation, who: who, slot: w.slot, appointment: w.appointment})
	}
}

// send asks under one key until there is an answer that ends it.
func (l *load) send(ctx context.Context, all *writes, w *write) {
	w.key = uuid.NewString()
	over, ok := all.open(w)
	if !ok {
		return
	}
	defer over()
	for n := range tries {
		begun := time.Now()
		resp, err := w.ask(ctx, l.visit, l.doctor.id)
		body := l.note(ctx, writing, begun, resp, err)
		if w.ended(resp, err, body) || !pause(ctx, wait(resp, n)) {
			return
		}
	}
}

// ask sends the request, the same each time.
func (w *write) ask(ctx context.Context, visit, doctor uuid.UUID) (*http.Response, error) {
	switch w.kind {
	case registration:
		return w.who.register(ctx, w.key)
	case cancellation:
		return w.who.appointment.CancelAppointment(ctx, w.appointment, &appointment.CancelAppointmentParams{IdempotencyKey: &w.key}, appointment.Cancellation{})
	default:
		return w.who.appointment.BookAppointment(ctx, &appointment.BookAppointmentParams{IdempotencyKey: &w.key},
			appointment.NewAppointment{DoctorID: &doctor, AppointmentTypeID: &visit, StartsAt: &w.slot})
	}
}

// ended reads what a write was answered, and says whether that is final.
func (w *write) ended(resp *http.Response, err error, body []byte) bool {
	if err != nil {
		return false
	}
	var read error
	switch status := resp.StatusCode; {
	case status == http.StatusAccepted:
		var d deferred.DeferredOperation
		read = json.Unmarshal(body, &d)
		w.operation = d.Id
	case status < http.StatusBadRequest:
		var made struct{ ID uuid.UUID }
		read = json.Unmarshal(body, &made)
		if w.kind == booking {
			w.appointment = made.ID
		}
	case status < http.StatusInternalServerError && status != http.StatusTooManyRequests && resp.Header.Get("Retry-After") == "":
		w.refused = status
		return true
	default:
		return false
	}
	w.accepted = read == nil // what broke off says nothing
	return w.accepted
}

// wait is how long a client holds off: what the answer asks for, but not long.
func wait(resp *http.Response, n int) time.Duration {
	const longestWait = 3 * time.Second
	seconds := 0
	if resp != nil {
		seconds, _ = strconv.Atoi(resp.Header.Get("Retry-After"))
	}
	return min(cmp.Or(time.Duration(seconds)*time.Second, time.Duration(n+1)*300*time.Millisecond), longestWait)
}

func drain(resp *http.Response) {
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
}
