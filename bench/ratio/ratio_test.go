package ratio_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/healthe/healthe/bench/ratio"
)

func TestRun(t *testing.T) {
	t.Parallel()

	var calls atomic.Int64
	ok := func(context.Context) error { calls.Add(1); return nil }
	bad := func(context.Context) error { return errors.New("no") }
	got := ratio.Plan{Workers: 2, Round: 5 * time.Millisecond, Rounds: 3}.Run(t.Context(), ok, bad)
	if len(got.A) != 2 || len(got.B) != 2 || calls.Load() == 0 {
		t.Fatalf("rounds are missing: %+v", got)
	}
	if got.FailuresA != 0 || got.FailuresB == 0 || got.B[0] != 0 {
		t.Errorf("failures do not count as done: %+v", got)
	}
	if r := (ratio.Result{A: []float64{1, 8, 3}, B: []float64{2, 4, 2}}).Ratio(); r != 1.5 {
		t.Errorf("the median of 0.5, 2 and 1.5 is not %v", r)
	}
}
