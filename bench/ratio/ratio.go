// Package ratio measures two ways of doing the same thing side by side, in turns, so that
// their ratio holds although the machine's own speed drifts.
package ratio

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Plan says how to measure.
type Plan struct {
	Workers int           // how many ask at once, each again as soon as it has its answer
	Round   time.Duration // one turn of one side
	Rounds  int           // turns of each side; the first of each is a warm-up and does not count
}

// Result is what both sides did.
type Result struct {
	A, B      []float64 // operations per second, one number a counted round
	FailuresA int64
	FailuresB int64
}

// Run lets a and b take turns. A failed operation does not count as done.
func (p Plan) Run(ctx context.Context, a, b func(context.Context) error) Result {
	var r Result
	for round := range p.Rounds {
		perSecondA, failedA := p.turn(ctx, a)
		perSecondB, failedB := p.turn(ctx, b)
		if round == 0 {
			continue
		}
		r.A, r.B = append(r.A, perSecondA), append(r.B, perSecondB)
		r.FailuresA += failedA
		r.FailuresB += failedB
	}
	return r
}

func (p Plan) turn(ctx context.Context, op func(context.Context) error) (perSecond float64, failures int64) {
	var done, failed atomic.Int64
	began := time.Now()
	end := began.Add(p.Round)
	var workers sync.WaitGroup
	for range p.Workers {
		workers.Go(func() {
			for time.Now().Before(end) && ctx.Err() == nil {
				if op(ctx) == nil {
					done.Add(1)
				} else {
					failed.Add(1)
				}
			}
		})
	}
	workers.Wait()
	return float64(done.Load()) / time.Since(began).Seconds(), failed.Load()
}

// Ratio returns the median of A over B, taken round by round.
func (r Result) Ratio() float64 {
	ratios := make([]float64, len(r.A))
	for i := range r.A {
		ratios[i] = r.A[i] / r.B[i]
	}
	return median(ratios)
}

func (r Result) String() string {
	s := fmt.Sprintf("%.2f (%.0f/s over %.0f/s)", r.Ratio(), median(r.A), median(r.B))
	if r.FailuresA+r.FailuresB > 0 {
		s += fmt.Sprintf(", FAILURES %d and %d", r.FailuresA, r.FailuresB)
	}
	return s
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	if len(sorted) == 0 {
		return 0
	}
	return (sorted[len(sorted)/2] + sorted[(len(sorted)-1)/2]) / 2
}
