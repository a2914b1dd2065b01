package main

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
)

type kind int

const (
	booking kind = iota
	registration
	cancellation
)

// write is something that a client wants done, once, however often it has to ask.
type write struct {
	kind kind
	who  *person
	slot time.Time // of a booking or its cancellation: no two bookings want the same one
	key  string

	accepted    bool      // 201, 200 or 202 was answered
	refused     int       // the 4xx that ended it
	appointment uuid.UUID // what a booking made
	operation   uuid.UUID // what a deferred one can be followed by
	state       string    // what became of the deferred one
	detail      string    // why that failed
	cancelled   bool      // a booking whose cancellation was sent
}

// writes are those of one fault.
type writes struct {
	mu      sync.Mutex
	all     []*write
	closed  bool
	running sync.WaitGroup
}

// open takes a write on, unless it comes too late; whoever sends it says when it is over.
func (w *writes) open(one *write) (over func(), ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil, false
	}
	w.all = append(w.all, one)
	w.running.Add(1)
	return w.running.Done, true
}

// close waits until all that were taken on are over, and returns them.
func (w *writes) close() []*write {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.running.Wait()
	return w.all
}

// entry is one appointment as the service has it.
type entry struct {
	id        uuid.UUID
	patient   uuid.UUID
	slot      time.Time
	cancelled bool
}

// truth is what the service has in the end.
type truth struct {
	entries  []entry
	profiles map[uuid.UUID]bool // people who have one
}

// balance is what became of the writes.
type balance struct {
	sent, accepted, deferred, refused, unknown, lost, doubled int
	wrong                                                     []string // what was lost, or refused although it was done
}

// and adds what became of other writes.
func (b balance) and(more balance) balance {
	return balance{
		b.sent + more.sent, b.accepted + more.accepted, b.deferred + more.deferred, b.refused + more.refused, b.unknown + more.unknown,
		b.lost + more.lost, b.doubled + more.doubled, slices.Concat(b.wrong, more.wrong),
	}
}

// settle compares what clients were told with what the service has. A deferred write that ended in any other way than being
// done counts as lost too: nothing here gives the service a reason to refuse one.
func settle(all []*write, t truth) balance {
	bySlot := map[int64][]entry{}
	for _, e := range t.entries {
		bySlot[e.slot.Unix()] = append(bySlot[e.slot.Unix()], e)
	}
	var b balance
	for _, w := range all {
		b.sent++
		if w.kind == booking && len(bySlot[w.slot.Unix()]) > 1 {
			b.doubled++
		}
		switch {
		case !w.accepted && w.refused > 0:
			b.refused++
			if w.kind == booking && w.done(bySlot[w.slot.Unix()], t.profiles) {
				b.wrong = append(b.wrong, "refused although done: "+w.String())
			}
			continue
		case !w.accepted:
			b.unknown++
			continue
		}
		b.accepted++
		if w.operation != uuid.Nil {
			b.deferred++
		}
		if !w.done(bySlot[w.slot.Unix()], t.profiles) {
			b.lost++
			b.wrong = append(b.wrong, "lost: "+w.String())
		}
	}
	slices.Sort(b.wrong)
	return b
}

// done says whether the service has what it was asked for.
func (w *write) done(there []entry, profiles map[uuid.UUID]bool) bool {
	switch {
	case w.operation != uuid.Nil && w.state != "succeeded":
		return false
	case w.kind == registration:
		return profiles[w.who.id]
	}
	return slices.ContainsFunc(there, func(e entry) bool {
		mine := e.patient == w.who.id && (w.appointment == uuid.Nil || e.id == w.appointment)
		if w.kind == cancellation {
			return mine && e.cancelled
		}
		return mine && (!e.cancelled || w.cancelled)
	})
}

func (w *write) String() string {
	s := map[kind]string{booking: "booking", registration: "registration", cancellation: "cancellation"}[w.kind]
	if w.kind != registration {
		s += " of " + w.slot.Format(time.RFC3339)
	}
	s += " by " + w.who.username
	if w.operation != uuid.Nil {
		s += ", deferred as " + w.operation.String() + ", which is " + cmp.Or(w.state, "pending")
		if w.detail != "" {
			s += " (" + w.detail + ")"
		}
	}
	return s
}
