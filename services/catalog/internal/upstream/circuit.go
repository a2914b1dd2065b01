package upstream

import (
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	api "github.com/healthe/healthe/openapi/catalog"
)

// circuit decides whether a service is asked at all. What it decides by is what it reports: the same one-second slots.
type circuit struct {
	name string
	Settings

	mu         sync.Mutex
	ring       ring
	state      api.CircuitState
	generation uint64    // a call that began in an earlier one has nothing to say about this one
	until      time.Time // the first probe, while open
	probes     uint      // under way, while half open
	passed     uint      // that came back well
	forced     api.OverrideState
}

// permit is what a call holds until it is released or recorded.
type permit struct{ generation uint64 }

// verdict is what a call says about the service.
type verdict struct{ failed, slow bool }

func newCircuit(name string, s Settings) *circuit {
	return &circuit{name: name, Settings: s, state: api.CircuitStateClosed}
}

// acquire lets a call through, or says ErrOpen.
func (c *circuit) acquire() (permit, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	switch {
	case c.forced == api.OverrideStateOpen:
		return permit{}, ErrOpen
	case c.forced == api.OverrideStateClosed || c.state == api.CircuitStateClosed:
	case c.state == api.CircuitStateOpen && now.Before(c.until):
		return permit{}, ErrOpen
	case c.state == api.CircuitStateOpen:
		c.turn(api.CircuitStateHalfOpen)
		c.probes = 1
	case c.probes+c.passed >= c.Probes: // as many as must pass are enough
		return permit{}, ErrOpen
	default:
		c.probes++
	}
	c.ring.at(now).began++
	return permit{c.generation}, nil
}

// release gives back the permit of a call that says nothing about the service.
func (c *circuit) release(p permit) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.generation == c.generation && c.state == api.CircuitStateHalfOpen {
		c.probes--
	}
}

// record gives back the permit of a call that took so long.
func (c *circuit) record(p permit, v verdict, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	slot := c.ring.at(now)
	slot.all.add(v)
	slot.took[bucket(took)]++
	if p.generation != c.generation || c.forced != "" {
		return
	}
	switch c.state {
	case api.CircuitStateClosed:
		slot.judged.add(v)
		c.judge(now)
	case api.CircuitStateHalfOpen:
		c.probes--
		if v.failed || v.slow {
			c.open(now)
			return
		}
		if c.passed++; c.passed >= c.Probes {
			c.turn(api.CircuitStateClosed)
		}
	}
}

// broke says that an answer which had begun did not end.
func (c *circuit) broke() {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	slot := c.ring.at(now)
	slot.all.failed++
	if c.state == api.CircuitStateClosed && c.forced == "" {
		slot.judged.failed++
		c.judge(now)
	}
}

func (c *circuit) judge(now time.Time) {
	sum := c.ring.sum(now, c.Window, func(s *slot) tally { return s.judged })
	if sum.calls >= c.MinimumCalls && (sum.rate(sum.failed) >= c.FailureRate || sum.rate(sum.slow) >= c.SlowRate) {
		c.open(now)
	}
}

func (c *circuit) open(now time.Time) {
	c.turn(api.CircuitStateOpen)
	c.until = now.Add(jitter(c.OpenFor)) // not all catalogs at once
}

func (c *circuit) turn(to api.CircuitState) {
	c.state, c.probes, c.passed = to, 0, 0
	c.generation++
	c.ring.forget()
	slog.Warn("circuit turns", "upstream", c.name, "state", to)
}

// force sets the state by hand; "" gives it back, and starts anew.
func (c *circuit) force(to api.OverrideState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.forced != to {
		c.forced = to
		c.turn(api.CircuitStateClosed)
	}
}

// again says whether the budget has a retry or a hedge left, and takes it.
func (c *circuit) again() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	var began, repeated uint
	for s := range c.ring.recent(now, slots*time.Second) {
		began, repeated = began+s.began, repeated+s.repeated
	}
	if float64(repeated) >= float64(c.Reserve)+c.Share*float64(began-min(began, repeated)) {
		return false
	}
	c.ring.at(now).repeated++
	return true
}

// wait is how long an open circuit stays so, as far as is known.
func (c *circuit) wait() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.forced == api.OverrideStateOpen {
		return forcedWait
	}
	return max(time.Until(c.until), time.Second)
}

// shows returns the state that callers meet, and whether somebody forced it.
func (c *circuit) shows() (api.CircuitState, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.forced != "" {
		return api.CircuitState(c.forced), true
	}
	return c.state, false
}

// jitter returns d, give or take a quarter.
func jitter(d time.Duration) time.Duration {
	return d*3/4 + time.Duration(rand.Int64N(int64(d)/2+1))
}
