package stack

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// Progress is told how a start gets on.
type Progress interface {
	Say(format string, args ...any)    // one line that stays
	Update(format string, args ...any) // what is going on now; each replaces the one before
}

type silent struct{}

func (silent) Say(string, ...any)    {}
func (silent) Update(string, ...any) {}

// Terminal shows the present state in one line that it overwrites.
type Terminal struct {
	W     io.Writer
	Width int
	mu    sync.Mutex
	shown bool
}

// Say prints a line for good.
func (t *Terminal) Say(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clear()
	fmt.Fprintf(t.W, format+"\n", args...)
}

// Update replaces the line at the bottom.
func (t *Terminal) Update(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clear()
	line := fmt.Sprintf(format, args...)
	if r := []rune(line); t.Width > 1 && len(r) >= t.Width {
		line = string(r[:t.Width-1]) // a wrapped line could not be cleared
	}
	fmt.Fprint(t.W, line)
	t.shown = line != ""
}

func (t *Terminal) clear() {
	if t.shown {
		fmt.Fprint(t.W, "\r\x1b[K")
		t.shown = false
	}
}

// Lines is for scripts: plain lines, and of what goes on only one every few seconds.
type Lines struct {
	W     io.Writer
	Every time.Duration
	mu    sync.Mutex
	last  time.Time
}

// Say prints a line.
func (l *Lines) Say(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(l.W, format+"\n", args...)
	l.last = time.Now()
}

// Update prints a line when there was none for a while.
func (l *Lines) Update(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last.IsZero() {
		l.last = time.Now()
	}
	line := fmt.Sprintf(format, args...)
	if strings.TrimSpace(line) == "" || time.Since(l.last) < l.Every {
		return
	}
	fmt.Fprintln(l.W, line)
	l.last = time.Now()
}
