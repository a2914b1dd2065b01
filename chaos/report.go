package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// row is what was measured of one fault, in one run or several.
type row struct {
	fault
	runs int
	seen
	balance
	known                     bool           // whether the catalog said anything about the circuit
	opened, closed            *time.Duration // after the fault came, after it went
	recovered                 bool
	drained                   time.Duration // from the end of the fault until every deferred write had ended
	failedReads, failedOthers int
	others, othersNormal      time.Duration // p99 of reads of other services
}

// and adds another run of the same fault: what can be counted is, of times the longest stays.
func (r row) and(more row) row {
	r.runs += more.runs
	r.seen, r.balance = r.seen.and(more.seen), r.balance.and(more.balance)
	r.known, r.recovered = r.known && more.known, r.recovered && more.recovered
	r.opened, r.closed, r.drained = later(r.opened, more.opened), later(r.closed, more.closed), max(r.drained, more.drained)
	r.failedReads += more.failedReads
	r.failedOthers += more.failedOthers
	return r
}

func later(a, b *time.Duration) *time.Duration {
	if a == nil || b != nil && *b > *a {
		return b
	}
	return a
}

// ratio is how much slower the others were; 0 if there is nothing to compare.
func (r row) ratio() float64 {
	if r.othersNormal == 0 {
		return 0
	}
	return float64(r.others) / float64(r.othersNormal)
}

// broke lists what was promised and not kept.
func (r row) broke() (all []string) {
	say := func(bad bool, format string, args ...any) {
		if bad {
			all = append(all, r.name+": "+fmt.Sprintf(format, args...))
		}
	}
	say(r.lost > 0, "%d accepted writes were lost", r.lost)
	say(r.doubled > 0, "%d writes were done twice", r.doubled)
	say(len(r.wrong) > r.lost, "%d writes were refused although they were done", len(r.wrong)-r.lost)
	say(!r.recovered, "it was not over %s after the fault was", recovery)
	say(!r.shared && r.ratio() > worstP99, "the p99 of other services was %.2f times its normal one", r.ratio())
	say(!r.shared && r.othersNormal == 0, "nothing was measured of other services")
	say(!r.shared && r.failedOthers > 0, "%d reads of other services failed", r.failedOthers)
	return all
}

func verdict(rows []row) error {
	var broke []string
	for _, r := range rows {
		broke = append(broke, r.broke()...)
	}
	if len(broke) == 0 {
		return nil
	}
	return errors.New(strings.Join(broke, "\nchaos: "))
}

var columns = []string{
	"Fault", "Requests", "Answered", "Stale", "Deferred (202)", "4xx", "5xx", "No answer", "Circuit open after", "Closed again after",
	"Reads failed", "Writes accepted", "Deferred ones done after", "Lost", "Doubled", "Others' p99",
}

// markdown is the table.
func markdown(rows []row) string {
	var b strings.Builder
	line := func(cells []string) { fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | ")) }
	line(columns)
	rule := make([]string, len(columns))
	for i := range rule {
		rule[i] = "--:"
	}
	rule[0] = "---"
	line(rule)
	for _, r := range rows {
		line([]string{
			r.title(), number(r.requests), number(r.fresh), number(r.stale), number(r.seen.deferred), number(r.seen.refused), byStatus(r.failed), number(r.unanswered),
			r.after(r.opened, "stays closed"), r.after(r.closed, "-"),
			number(r.failedReads), number(r.accepted), r.done(), number(r.lost), number(r.doubled), fmt.Sprintf("%.2f", r.ratio()),
		})
	}
	return b.String()
}

func (r row) title() string {
	if r.runs > 1 {
		return fmt.Sprintf("%s (%d runs)", r.name, r.runs)
	}
	return r.name
}

func (r row) done() string {
	if r.balance.deferred == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f s", r.drained.Seconds())
}

func number(n int) string { return fmt.Sprint(n) }

func (r row) after(d *time.Duration, none string) string {
	switch {
	case !r.known:
		return "?"
	case r.opened == nil:
		return none
	case d == nil:
		return "never"
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

func byStatus(failed map[int]int) string {
	if len(failed) == 0 {
		return "0"
	}
	var all []string
	for _, status := range slices.Sorted(maps.Keys(failed)) {
		all = append(all, fmt.Sprintf("%d: %d", status, failed[status]))
	}
	return strings.Join(all, ", ")
}
