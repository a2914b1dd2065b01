package mail

import (
	"testing"
	"time"
)

func TestDelay(t *testing.T) {
	t.Parallel()

	for try, want := range map[int]time.Duration{1: 2 * time.Second, 3: 8 * time.Second, 1000: longestDelay} {
		if got := Delay(try); got != want {
			t.Errorf("after try %d: %v, want %v", try, got, want)
		}
	}
}
