package cache

import (
	"context"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/healthe/healthe/db/broadcast"
)

// mark says how many invalidations had been heard when something was asked for. An answer is no newer than its mark.
type mark struct {
	missed uint64 // times at which any may have been missed
	number uint64 // of the operation
}

type marks struct {
	missed atomic.Uint64
	mu     sync.Mutex                                // held to add an operation
	known  atomic.Pointer[map[string]*atomic.Uint64] // read without a lock
}

func (m *marks) of(operation string) mark {
	missed := m.missed.Load() // first: what is raised meanwhile counts as later
	return mark{missed, m.number(operation).Load()}
}

func (m *marks) number(operation string) *atomic.Uint64 {
	if known := m.known.Load(); known != nil {
		if n, ok := (*known)[operation]; ok {
			return n
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	more := map[string]*atomic.Uint64{}
	if known := m.known.Load(); known != nil {
		if n, ok := (*known)[operation]; ok {
			return n
		}
		maps.Copy(more, *known)
	}
	n := new(atomic.Uint64)
	more[operation] = n
	m.known.Store(&more)
	return n
}

// raise voids what is known of the operations in payload.
func (m *marks) raise(payload string) {
	for operation := range strings.SplitSeq(payload, " ") {
		m.number(operation).Add(1)
	}
}

func (m *marks) raiseAll() { m.missed.Add(1) }

// payloads puts operations into as few notices as hold them.
func payloads(operations []string) []string {
	var all []string
	for _, operation := range operations {
		if last := len(all) - 1; last >= 0 && len(all[last])+1+len(operation) <= broadcast.MaxPayload {
			all[last] += " " + operation
		} else {
			all = append(all, operation)
		}
	}
	return all
}

// repayment is how often it is tried to tell others what they could not be told.
const repayment = 500 * time.Millisecond

// owed is what was invalidated here and could not be said to others.
type owed struct {
	mu       sync.Mutex
	payloads map[string]bool
}

func (o *owed) add(payload string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.payloads == nil {
		o.payloads = map[string]bool{}
	}
	o.payloads[payload] = true
}

func (o *owed) take() map[string]bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := o.payloads
	o.payloads = nil
	return all
}

// repay says what is owed until ctx ends.
func (c *Cache) repay(ctx context.Context) {
	ticks := time.NewTicker(repayment)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticks.C:
			if !c.hears(now) {
				continue
			}
			for payload := range c.owed.take() {
				if err := c.told.Say(ctx, payload); err != nil {
					c.owed.add(payload)
				}
			}
		}
	}
}
