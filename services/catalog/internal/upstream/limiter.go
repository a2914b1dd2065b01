package upstream

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"
)

const (
	tolerance  = 2.0 // calls may take so many times as long as they do without a crowd
	smoothing  = 0.2 // of a step of the limit
	stepTime   = 100 * time.Millisecond
	stepCalls  = 10   // at least, for a step
	quietPace  = 0.05 // how fast the usual time follows while there is room,
	fasterPace = 0.2  // while calls get faster
	crowdPace  = 0.001
)

// limiter bounds the calls to a service at once by how its speed answers to them, after the gradient method of Netflix'
// concurrency-limits: when calls take more than tolerance times their usual time while the bound is in use, it sinks.
// Idle or slow for other reasons, a service keeps its bound, and it never sinks below a floor.
type limiter struct {
	floor, ceiling float64
	wait           time.Duration

	mu      sync.Mutex
	limit   float64
	running int
	waiting []chan struct{}

	usual time.Duration // of a call, without a crowd
	since time.Time     // the last step; what follows is since then
	calls int
	took  time.Duration
	peak  int
}

func newLimiter(s Settings) *limiter {
	return &limiter{floor: float64(s.Floor), ceiling: float64(s.Ceiling), limit: float64(s.Start), wait: s.Wait, since: time.Now()}
}

// enter takes a place, waits a moment for one, or says ErrFull. As many may wait as may run.
func (l *limiter) enter(ctx context.Context) error {
	l.mu.Lock()
	if l.running < int(l.limit) {
		l.running++
		l.peak = max(l.peak, l.running)
		l.mu.Unlock()
		return nil
	}
	if len(l.waiting) >= int(l.limit) || l.wait <= 0 {
		l.mu.Unlock()
		return ErrFull
	}
	place := make(chan struct{})
	l.waiting = append(l.waiting, place)
	l.mu.Unlock()

	timer := time.NewTimer(l.wait)
	defer timer.Stop()
	var err error
	select {
	case <-place:
		if err = ctx.Err(); err != nil { // nobody waits for the answer
			l.leave(0, false)
		}
		return err
	case <-timer.C:
		err = ErrFull
	case <-ctx.Done():
		err = ctx.Err()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	at := slices.Index(l.waiting, place)
	if at < 0 {
		return nil // it came at the same moment
	}
	l.waiting = slices.Delete(l.waiting, at, at+1)
	return err
}

// leave gives a place back. What the call took counts if it tells how busy the service is.
func (l *limiter) leave(took time.Duration, tells bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if tells {
		l.calls++
		l.took += took
		if now := time.Now(); l.calls >= stepCalls && now.Sub(l.since) >= stepTime {
			l.step(now)
		}
	}
	l.running--
	for len(l.waiting) > 0 && l.running < int(l.limit) {
		l.running++
		close(l.waiting[0])
		l.waiting = l.waiting[1:]
	}
	l.peak = max(l.peak, l.running)
}

func (l *limiter) step(now time.Time) {
	took, crowded := l.took/time.Duration(l.calls), float64(l.peak) >= l.limit/2
	l.since, l.calls, l.took, l.peak = now, 0, 0, l.running
	pace := quietPace
	switch {
	case l.usual == 0:
		pace = 1
	case took < l.usual:
		pace = fasterPace
	case crowded:
		pace = crowdPace
	}
	l.usual += time.Duration(pace * float64(took-l.usual))
	if !crowded {
		return
	}
	gradient := min(1, max(0.5, tolerance*float64(l.usual)/float64(max(took, 1))))
	l.limit += smoothing * (l.limit*gradient + math.Sqrt(l.limit) - l.limit)
	l.limit = min(l.ceiling, max(l.floor, l.limit))
}

// now is how many calls may run at once.
func (l *limiter) now() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int(l.limit)
}
