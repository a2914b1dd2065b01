package upstream

import (
	"iter"
	"math/bits"
	"time"
)

const (
	slots    = 10 // of a second each
	octaves  = 24 // up to 16 s; longer counts as that long
	parts    = 8  // of an octave: a percentile is exact to an eighth
	nBuckets = octaves * parts
)

// ring is what happened in the last seconds. Whoever uses it holds the circuit's lock.
type ring [slots]slot

type slot struct {
	second          int64
	began, repeated uint // calls let through; those among them that were retries or hedges
	all             tally
	took            [nBuckets]uint32
}

type tally struct{ calls, failed, slow uint }

func (t *tally) add(v verdict) {
	t.calls++
	if v.failed {
		t.failed++
	}
	if v.slow {
		t.slow++
	}
}

func (t *tally) rate(n uint) float64 { return min(1, float64(n)/float64(max(t.calls, 1))) }

func (r *ring) at(now time.Time) *slot {
	second := now.Unix()
	s := &r[second%slots]
	if s.second != second {
		*s = slot{second: second}
	}
	return s
}

// recent returns the slots that are not yet over.
func (r *ring) recent(now time.Time) iter.Seq[*slot] {
	return func(yield func(*slot) bool) {
		oldest := now.Unix() - slots
		for i := range r {
			if r[i].second > oldest && !yield(&r[i]) {
				return
			}
		}
	}
}

func (r *ring) sum(now time.Time) (sum tally) {
	for s := range r.recent(now) {
		sum.calls, sum.failed, sum.slow = sum.calls+s.all.calls, sum.failed+s.all.failed, sum.slow+s.all.slow
	}
	return sum
}

// percentiles returns the milliseconds below which those shares of the calls stayed.
func (r *ring) percentiles(now time.Time, shares ...float64) []float64 {
	var took [nBuckets]uint64
	var all uint64
	for s := range r.recent(now) {
		for i, n := range s.took {
			took[i] += uint64(n)
			all += uint64(n)
		}
	}
	found := make([]float64, len(shares))
	for i, share := range shares {
		rest := share * float64(all)
		for b, n := range took {
			if rest -= float64(n); n > 0 && rest <= 0 {
				found[i] = float64(bound(b)) / 1000
				break
			}
		}
	}
	return found
}

// bucket numbers durations by their highest bits: a bucket is an eighth of an octave wide.
func bucket(d time.Duration) int {
	us := uint64(max(d.Microseconds(), 0))
	if us < parts {
		return int(us)
	}
	shift := bits.Len64(us) - 4 // leaves 8 to 15
	return min(int(us>>shift)-parts+(shift+1)*parts, nBuckets-1)
}

// bound is the upper end of a bucket in microseconds.
func bound(b int) uint64 {
	if b < parts {
		return uint64(b)
	}
	return uint64(b%parts+parts+1)<<(b/parts-1) - 1
}
