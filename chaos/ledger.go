package main

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"
)

// group says what a request tells something about.
type group int

const (
	faulted group = iota // a read of the service that the fault is about
	other                // a read of another service, undisturbed
	writing              // a write to the service that the fault is about
)

// sample is one request as the client saw it.
type sample struct {
	group  group
	at     time.Time
	took   time.Duration
	status int  // 0: no answer
	stale  bool // the catalog said so
}

// failed is an answer that is none.
func (s sample) failed() bool { return s.status == 0 || s.status >= http.StatusInternalServerError }

// ledger keeps all samples of a run.
type ledger struct {
	mu      sync.Mutex
	samples []sample
}

func (l *ledger) add(s sample) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.samples = append(l.samples, s)
}

// span is a time of the run.
type span struct{ from, to time.Time }

// during returns the samples that began in one of the spans.
func (l *ledger) during(spans ...span) []sample {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []sample
	for _, s := range l.samples {
		if slices.ContainsFunc(spans, func(p span) bool { return !s.at.Before(p.from) && s.at.Before(p.to) }) {
			found = append(found, s)
		}
	}
	return found
}

// of picks the samples of one group.
func of(all []sample, g group) []sample {
	return slices.DeleteFunc(slices.Clone(all), func(s sample) bool { return s.group != g })
}

// seen counts what clients saw.
type seen struct {
	requests, fresh, stale, deferred, refused, unanswered int
	failed                                                map[int]int // by status, 5xx
}

// and adds what was seen another time.
func (s seen) and(more seen) seen {
	sum := seen{
		s.requests + more.requests, s.fresh + more.fresh, s.stale + more.stale, s.deferred + more.deferred,
		s.refused + more.refused, s.unanswered + more.unanswered, maps.Clone(s.failed),
	}
	for status, n := range more.failed {
		sum.failed[status] += n
	}
	return sum
}

func count(all []sample) seen {
	c := seen{requests: len(all), failed: map[int]int{}}
	for _, s := range all {
		switch {
		case s.status == 0:
			c.unanswered++
		case s.status >= http.StatusInternalServerError:
			c.failed[s.status]++
		case s.status >= http.StatusBadRequest:
			c.refused++
		case s.stale:
			c.stale++
		case s.group == writing && s.status == http.StatusAccepted:
			c.deferred++
		default:
			c.fresh++
		}
	}
	return c
}

// failures counts the samples without a proper answer.
func failures(all []sample) (n int) {
	for _, s := range all {
		if s.failed() {
			n++
		}
	}
	return n
}

// percentile is the smallest duration that a share p of the samples does not exceed, by nearest rank; 0 without any.
func percentile(all []sample, p float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.SortedFunc(slices.Values(all), func(a, b sample) int { return cmp.Compare(a.took, b.took) })
	rank := int(p * float64(len(sorted)))
	if float64(rank) < p*float64(len(sorted)) {
		rank++
	}
	return sorted[max(rank, 1)-1].took
}
