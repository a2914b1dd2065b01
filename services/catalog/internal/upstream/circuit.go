package upstream

import (
	"log/slog"
	"sync"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"

	api "github.com/healthe/healthe/openapi/catalog"
)

// circuit decides whether a service is asked at all. Whoever turns to the breaker holds the lock, so that a permit and the
// state that it was given in belong together.
type circuit struct {
	name string
	Settings

	mu         sync.Mutex
	ring       ring
	breaker    circuitbreaker.CircuitBreaker[any]
	generation uint64 // a call that began in an earlier one has nothing to say about this one
	spare      uint   // probes that said nothing: the breaker takes no permit back without a verdict
	forced     api.OverrideState
}

// permit is what a call holds until it is released or judged.
type permit struct {
	generation uint64
	probe      bool
}

// verdict is what a call says about the service.
type verdict struct{ failed, slow bool }

func (v verdict) bad() bool { return v.failed || v.slow }

var states = map[circuitbreaker.State]api.CircuitState{
	circuitbreaker.ClosedState:   api.CircuitStateClosed,
	circuitbreaker.HalfOpenState: api.CircuitStateHalfOpen,
	circuitbreaker.OpenState:     api.CircuitStateOpen,
}

func newCircuit(name string, s Settings) *circuit {
	c := &circuit{name: name, Settings: s}
	c.breaker = c.newBreaker()
	return c
}

func (c *circuit) newBreaker() circuitbreaker.CircuitBreaker[any] {
	return circuitbreaker.NewBuilder[any]().
		WithFailureRateThreshold(c.FailureRate, c.MinimumCalls, c.Window).
		WithDelay(c.OpenFor).WithJitterFactor(spread). // not all catalogs at once
		WithSuccessThreshold(c.Probes).
		OnStateChanged(func(e circuitbreaker.StateChangedEvent) { c.turned(states[e.NewState]) }).
		Build()
}

// turned is called with the lock held, by whoever made the breaker turn.
func (c *circuit) turned(to api.CircuitState) {
	c.generation++
	c.spare = 0
	slog.Warn("circuit turns", "upstream", c.name, "state", to)
}

// acquire lets a call through, or says ErrOpen.
func (c *circuit) acquire() (permit, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.forced == api.OverrideStateOpen:
		return permit{}, ErrOpen
	case c.forced == api.OverrideStateClosed:
	case c.spare > 0:
		c.spare--
	case !c.breaker.TryAcquirePermit():
		return permit{}, ErrOpen
	}
	c.ring.at(time.Now()).began++
	return permit{c.generation, c.breaker.IsHalfOpen()}, nil
}

// release gives back the permit of a call that says nothing about the service.
func (c *circuit) release(p permit) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.probe && p.generation == c.generation {
		c.spare++
	}
}

// judge gives back the permit of a call that says something. One of an earlier generation holds none of this.
func (c *circuit) judge(p permit, bad bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case p.generation != c.generation || c.forced != "":
	case bad:
		c.breaker.RecordFailure()
	default:
		c.breaker.RecordSuccess()
	}
}

// note keeps for the report what became of a call that took so long.
func (c *circuit) note(v verdict, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	slot := c.ring.at(time.Now())
	slot.all.add(v)
	slot.took[bucket(took)]++
}

// broke notes that an answer which had begun did not end.
func (c *circuit) broke() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ring.at(time.Now()).all.failed++
}

// force sets the state by hand; "" gives it back, and starts anew.
func (c *circuit) force(to api.OverrideState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.forced != to {
		c.forced = to
		c.breaker = c.newBreaker()
		c.turned(c.state())
	}
}

// again says whether the calls of the last ten seconds leave a retry, and takes it.
func (c *circuit) again() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	var began, repeated uint
	for s := range c.ring.recent(now) {
		began, repeated = began+s.began, repeated+s.repeated
	}
	if float64(repeated) >= float64(c.Reserve)+c.Share*float64(began-min(began, repeated)) {
		return false
	}
	c.ring.at(now).repeated++
	return true
}

// hedged takes from the same calls what the budget of those under way has allowed.
func (c *circuit) hedged() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ring.at(time.Now()).repeated++
}

// wait is how long an open circuit stays so, as far as is known.
func (c *circuit) wait() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.forced == api.OverrideStateOpen {
		return forcedWait
	}
	return max(c.breaker.RemainingDelay(), time.Second)
}

// shut says whether a call at this moment would not be let through. It takes no permit.
func (c *circuit) shut() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.forced == api.OverrideStateOpen || c.forced == "" && c.breaker.IsOpen() && c.breaker.RemainingDelay() > 0
}

// shows returns the state that callers meet, and whether somebody forced it.
func (c *circuit) shows() (api.CircuitState, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state(), c.forced != ""
}

func (c *circuit) state() api.CircuitState {
	if c.forced != "" {
		return api.CircuitState(c.forced)
	}
	return states[c.breaker.State()]
}
