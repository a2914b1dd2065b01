package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/healthe/healthe/openapi/catalog"
)

// look is what the catalog said of the circuits at one moment.
type look struct {
	at     time.Time
	open   bool // at one instance at least; half open is not closed yet
	closed bool // at all of them
}

// watcher looks at the circuit of one service all the time, as an operator would.
type watcher struct {
	mu    sync.Mutex
	looks []look
}

const (
	lookEvery = 200 * time.Millisecond
	lookLimit = 2 * time.Second
)

// watch looks until ctx ends. Looks that got no answer tell nothing.
func (w *watcher) watch(ctx context.Context, operator *person, service string) {
	for pause(ctx, lookEvery) {
		once, cancel := context.WithTimeout(ctx, lookLimit)
		resp, err := operator.catalog.ListCircuitsWithResponse(once)
		cancel()
		if err != nil || resp.JSON200 == nil {
			continue
		}
		if l, known := read(resp.JSON200, service); known {
			l.at = time.Now()
			w.mu.Lock()
			w.looks = append(w.looks, l)
			w.mu.Unlock()
		}
	}
}

// read finds a service in what every instance reports.
func read(c *catalog.Circuits, service string) (l look, known bool) {
	l.closed = true
	for _, instance := range c.Instances {
		for _, circuit := range instance.Circuits {
			if circuit.Service != service {
				continue
			}
			known = true
			if circuit.State != catalog.CircuitStateClosed {
				l.open, l.closed = true, false
			}
		}
	}
	return l, known
}

// first is how long after a moment the first look was of a kind; not at all if there was none.
func (w *watcher) first(after time.Time, is func(look) bool) (time.Duration, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.IndexFunc(w.looks, func(l look) bool { return l.at.After(after) && is(l) })
	if i < 0 {
		return 0, false
	}
	return w.looks[i].at.Sub(after), true
}

// known says whether anything was learnt since a moment.
func (w *watcher) known(since time.Time) bool {
	_, ok := w.first(since, func(look) bool { return true })
	return ok
}
