package upstream

import (
	"time"

	"github.com/failsafe-go/failsafe-go/adaptivelimiter"
)

// newLimiter bounds the calls to a service at once by how their time answers to the crowd. As many may wait as may run.
// What calls take now is held against what they took in the last minute, so that a service that became slower gets its bound back.
func newLimiter(s Settings) adaptivelimiter.AdaptiveLimiter[any] {
	return adaptivelimiter.NewBuilder[any]().
		WithLimits(s.Floor, s.Ceiling, s.Start).
		WithMaxLimitFunc(func(inflight int) float64 { return max(float64(s.Start), 2*float64(inflight)) }). // what is not in use is not known
		WithRecentWindow(100*time.Millisecond, time.Second, 50).
		WithBaselineWindow(600).
		WithQueueing(1, 1).
		Build()
}
