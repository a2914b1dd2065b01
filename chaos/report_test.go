package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/openapi/catalog"
)

func good() row {
	return row{fault: fault{name: "resets"}, recovered: true, others: 12 * time.Millisecond, othersNormal: 10 * time.Millisecond}
}

func TestVerdict(t *testing.T) {
	t.Parallel()

	require.NoError(t, verdict([]row{good(), good()}))
	for name, c := range map[string]struct {
		spoil func(*row)
		says  string
	}{
		"a lost write":            {func(r *row) { r.lost = 1; r.wrong = []string{"lost"} }, "1 accepted writes were lost"},
		"a doubled one":           {func(r *row) { r.doubled = 2 }, "2 writes were done twice"},
		"a wrong refusal":         {func(r *row) { r.wrong = []string{"refused"} }, "1 writes were refused although they were done"},
		"no end of it":            {func(r *row) { r.recovered = false }, "it was not over 30s after"},
		"others slower":           {func(r *row) { r.others = 16 * time.Millisecond }, "1.60 times"},
		"others failing":          {func(r *row) { r.failedOthers = 1 }, "1 reads of other services failed"},
		"nothing to compare with": {func(r *row) { r.othersNormal = 0 }, "nothing was measured"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := good()
			c.spoil(&r)
			err := verdict([]row{good(), r})
			require.ErrorContains(t, err, c.says)
			require.NotContains(t, err.Error(), "\n", "one thing is said once")
		})
	}

	t.Run("who shares what breaks may be slower, and not lose", func(t *testing.T) {
		t.Parallel()
		r := good()
		r.shared, r.others, r.failedOthers = true, time.Second, 3
		require.NoError(t, verdict([]row{r}))
		r.lost = 1
		require.Error(t, verdict([]row{r}))
	})
}

func TestMarkdown(t *testing.T) {
	t.Parallel()

	r := good()
	r.seen = count([]sample{{status: http.StatusOK}, {status: http.StatusServiceUnavailable}, {status: http.StatusBadGateway}})
	r.known, r.opened, r.closed = true, new(1400*time.Millisecond), new(2*time.Second)
	r.balance.deferred, r.drained = 3, 4100*time.Millisecond
	untouched, silent, stuck := good(), good(), good()
	untouched.known = true
	stuck.known, stuck.opened = true, new(time.Second)
	lines := strings.Split(strings.TrimSpace(markdown([]row{r, untouched, silent, stuck})), "\n")
	require.Len(t, lines, 6)
	for _, line := range lines {
		require.Equal(t, strings.Count(lines[0], "|"), strings.Count(line, "|"), line)
	}
	require.Contains(t, lines[2], "| 502: 1, 503: 1 |")
	require.Contains(t, lines[2], "| 1.4 s | 2.0 s |")
	require.Contains(t, lines[2], "| 4.1 s |")
	require.Contains(t, lines[2], "| 1.20 |")
	require.Contains(t, lines[3], "| stays closed | - |")
	require.Contains(t, lines[4], "| ? | ? |")
	require.Contains(t, lines[5], "| 1.0 s | never |")
}

func TestDocument(t *testing.T) {
	t.Parallel()

	kept := good()
	kept.accepted, kept.balance.deferred = 7, 2
	whole, err := document([]row{kept})
	require.NoError(t, err)
	require.Contains(t, whole, "7 writes were accepted, 2 of them deferred; 0 were lost and 0 done twice")
	require.Contains(t, whole, "at most 1.20 times")
	require.NotContains(t, whole, "not kept")

	kept.lost = 1
	whole, err = document([]row{kept})
	require.NoError(t, err)
	require.Contains(t, whole, "- resets: 1 accepted writes were lost\n")
}

func TestMoreRunsOfAFault(t *testing.T) {
	t.Parallel()

	one, two := good(), good()
	one.runs, two.runs = 1, 1
	one.seen = count([]sample{{status: http.StatusOK}, {status: http.StatusBadGateway}})
	two.seen = count([]sample{{status: http.StatusBadGateway}, {status: http.StatusServiceUnavailable}, {}})
	one.balance, two.balance = balance{accepted: 3}, balance{accepted: 2, lost: 1, wrong: []string{"lost"}}
	one.opened, two.opened = new(time.Second), new(2*time.Second)
	one.closed, two.drained, two.failedOthers = new(3*time.Second), 4*time.Second, 1
	two.recovered = false

	both := one.and(two)
	require.Equal(t, "resets (2 runs)", both.title())
	require.Equal(t, 5, both.requests)
	require.Equal(t, map[int]int{http.StatusBadGateway: 2, http.StatusServiceUnavailable: 1}, both.failed)
	require.Equal(t, map[int]int{http.StatusBadGateway: 1}, one.failed, "what was seen before stays as it is")
	require.Equal(t, balance{accepted: 5, lost: 1, wrong: []string{"lost"}}, both.balance)
	require.Equal(t, []time.Duration{2 * time.Second, 3 * time.Second, 4 * time.Second}, []time.Duration{*both.opened, *both.closed, both.drained})
	require.Equal(t, 1, both.failedOthers)
	require.False(t, both.recovered)
}

func TestRowsPoolTheirSamples(t *testing.T) {
	t.Parallel()

	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	s := &session{}
	for second := range 60 { // slow in the first round, as ever in the second
		took := time.Millisecond
		if second == 15 {
			took = time.Second
		}
		s.ledger.add(sample{group: other, at: at(second), took: took, status: http.StatusOK})
		s.ledger.add(sample{group: faulted, at: at(second), took: time.Minute, status: http.StatusServiceUnavailable})
	}
	for i := range 2 {
		begun := 30 * i
		s.rounds = append(s.rounds, &round{
			row:    row{fault: fault{name: "resets"}, runs: 1},
			before: span{at(begun), at(begun + 10)}, broken: span{at(begun + 10), at(begun + 20)}, recovering: span{at(begun + 20), at(begun + 22)}, after: span{at(begun + 22), at(begun + 30)},
		})
	}
	rows := s.rows()
	require.Len(t, rows, 1)
	require.Equal(t, 48, rows[0].requests)
	require.Equal(t, 24, rows[0].failedReads)
	require.Zero(t, rows[0].failedOthers)
	require.Equal(t, time.Second, rows[0].others, "of twenty samples, one was slow")
	require.Equal(t, time.Millisecond, rows[0].othersNormal)
}

func TestCircuitsOfAllInstances(t *testing.T) {
	t.Parallel()

	of := func(states ...catalog.CircuitState) *catalog.Circuits {
		var c catalog.Circuits
		for _, s := range states {
			c.Instances = append(c.Instances, catalog.InstanceReport{Circuits: []catalog.Circuit{
				{Service: "auth", State: catalog.CircuitStateOpen}, {Service: target, State: s},
			}})
		}
		return &c
	}
	const open, closed, half = catalog.CircuitStateOpen, catalog.CircuitStateClosed, catalog.CircuitStateHalfOpen
	for name, c := range map[string]struct {
		circuits *catalog.Circuits
		want     look
		known    bool
	}{
		"closed everywhere": {of(closed, closed), look{closed: true}, true},
		"open at one":       {of(closed, open), look{open: true}, true},
		"half open":         {of(half, closed), look{open: true}, true},
		"nobody reports":    {of(), look{closed: true}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, known := read(c.circuits, target)
			require.Equal(t, c.known, known)
			require.Equal(t, c.want, got)
		})
	}
}

func TestFirst(t *testing.T) {
	t.Parallel()

	at := time.Unix(100, 0)
	w := &watcher{looks: []look{{at: at, open: true}, {at: at.Add(time.Second), closed: true}, {at: at.Add(3 * time.Second), open: true}}}
	open := func(l look) bool { return l.open }
	took, ok := w.first(at, open)
	require.True(t, ok)
	require.Equal(t, 3*time.Second, took, "what was open already is not news")
	_, ok = w.first(at.Add(3*time.Second), open)
	require.False(t, ok)
	require.True(t, w.known(at))
	require.False(t, w.known(at.Add(time.Minute)))
}

func TestChoose(t *testing.T) {
	t.Parallel()

	all, err := choose("")
	require.NoError(t, err)
	require.Len(t, all, len(faults))
	two, err := choose("kill-all,latency")
	require.NoError(t, err)
	require.Equal(t, "kill-all", two[0].name)
	require.Equal(t, "latency", two[1].name)
	_, err = choose("latency,flood")
	require.ErrorContains(t, err, `no fault "flood"`)
}
