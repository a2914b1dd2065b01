package seed

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Progress shows how a run gets on: one line that changes for a person, plain lines for a script. The zero value says nothing.
type Progress struct {
	W        io.Writer
	Terminal bool

	began, last time.Time
	now         string // what is going on
	done, total int    // rows
}

const (
	barWidth    = 24
	betweenBars = 200 * time.Millisecond
	betweenRows = 10 * time.Second // of plain lines
	lookEvery   = 4096             // rows
)

func (p *Progress) begin(total int) { p.began, p.total = time.Now(), total }

// table begins to load one.
func (p *Progress) table(name string) {
	p.now = name
	p.show(!p.Terminal)
}

func (p *Progress) row() {
	p.done++
	if p.done%lookEvery == 0 {
		p.show(false)
	}
}

// step begins something that says nothing of itself until it is done.
func (p *Progress) step(about string) {
	p.now = about
	p.show(true)
}

func (p *Progress) end() {
	if p.W == nil {
		return
	}
	if p.Terminal {
		fmt.Fprint(p.W, "\r\x1b[K")
	}
	fmt.Fprintf(p.W, "%s rows in %s, and every count is right.\n", grouped(p.done), time.Since(p.began).Round(time.Second))
}

func (p *Progress) show(anyway bool) {
	wait := betweenBars
	if !p.Terminal {
		wait = betweenRows
	}
	if p.W == nil || !anyway && time.Since(p.last) < wait {
		return
	}
	p.last = time.Now()
	if p.Terminal {
		fmt.Fprintf(p.W, "\r%s\x1b[K", p.line())
	} else {
		fmt.Fprintln(p.W, p.line())
	}
}

// line leaves out rate and time left once all rows are loaded: indexes take as long as they take.
func (p *Progress) line() string {
	spent := time.Since(p.began)
	share := float64(p.done) / float64(max(p.total, 1))
	bar := int(share * barWidth)
	line := fmt.Sprintf("[%s%s] %3.0f %%  %s", strings.Repeat("#", bar), strings.Repeat(" ", barWidth-bar), share*100, p.now)
	if p.done == 0 || p.done == p.total {
		return fmt.Sprintf("%s, %s", line, spent.Round(time.Second))
	}
	left := time.Duration(float64(spent) * (1 - share) / share)
	return fmt.Sprintf("%s, %s rows/s, %s left", line, grouped(int(float64(p.done)/spent.Seconds())), left.Round(time.Second))
}

// grouped writes 1234567 as 1,234,567.
func grouped(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
