package circuits

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	api "github.com/healthe/healthe/openapi/catalog"
)

const points = 60 // of a curve, one a second

// service is one core service as all instances together see it.
type service struct {
	api.Circuit // sums over the instances; rates weighed by calls; the percentiles of the instance that waits longest
	Deviant     string
	Override    *api.Override
	Curves      []curve
}

// sum puts together what the instances report of each service, in the order of their names.
func sum(s snapshot) []service {
	all := map[string]*service{}
	seen := map[string][]api.CircuitState{}
	for _, instance := range s.Instances {
		for _, c := range instance.Circuits {
			seen[c.Service] = append(seen[c.Service], c.State)
			have, ok := all[c.Service]
			if !ok {
				all[c.Service] = &service{Circuit: c}
				continue
			}
			have.add(c)
		}
	}
	services := make([]service, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		one := *all[name]
		alike := 0
		for _, state := range seen[name] {
			if state == one.State {
				alike++
			}
		}
		if n := len(seen[name]); alike < n {
			one.Deviant = fmt.Sprintf("on %d of %d instances", alike, n)
		}
		if i := slices.IndexFunc(s.Overrides, func(o api.Override) bool { return o.Service == name }); i >= 0 {
			one.Override = &s.Overrides[i]
		}
		services = append(services, one)
	}
	return services
}

func (s *service) add(c api.Circuit) {
	calls := s.CallsPerS + c.CallsPerS
	weighed := func(a, b float64) float64 {
		if calls == 0 {
			return max(a, b)
		}
		return (a*s.CallsPerS + b*c.CallsPerS) / calls
	}
	s.FailureRate, s.SlowRate = weighed(s.FailureRate, c.FailureRate), weighed(s.SlowRate, c.SlowRate)
	s.CallsPerS = calls
	s.P50Ms, s.P95Ms, s.P99Ms = max(s.P50Ms, c.P50Ms), max(s.P95Ms, c.P95Ms), max(s.P99Ms, c.P99Ms)
	s.Running += c.Running
	s.Limit += c.Limit
	s.Retries += c.Retries
	s.Rejected += c.Rejected
	s.Forced = s.Forced || c.Forced
	if severity(c.State) > severity(s.State) {
		s.State = c.State
	}
}

func severity(s api.CircuitState) int {
	return slices.Index([]api.CircuitState{api.CircuitStateClosed, api.CircuitStateHalfOpen, api.CircuitStateOpen}, s)
}

// Says names the state in words.
func (s service) Says() string {
	word := map[api.CircuitState]string{api.CircuitStateClosed: "closed", api.CircuitStateHalfOpen: "half open", api.CircuitStateOpen: "open"}[s.State]
	if s.Forced {
		word = "forced " + word
	}
	return word
}

// Sign is a mark beside the word that is told apart without colour.
func (s service) Sign() string {
	return map[api.CircuitState]string{api.CircuitStateClosed: "✓", api.CircuitStateHalfOpen: "◐", api.CircuitStateOpen: "✕"}[s.State]
}

// sample is one second of the history, by service.
type sample map[string]api.Circuit

func sampleOf(s snapshot) sample {
	all := sample{}
	for _, one := range sum(s) {
		all[one.Service] = one.Circuit
	}
	return all
}

// curve is a line of the last minute, the newest second at its right end.
type curve struct{ Name, Now, Most, Line, Area string }

const curveWidth, curveHeight = 118.0, 30.0 // in units of its own

func curves(name string, history []sample) []curve {
	draw := func(title string, value func(api.Circuit) float64, text func(float64) string, least float64) curve {
		var line strings.Builder
		most, last, first := 0.0, 0.0, -1.0
		for _, s := range history {
			most = max(most, value(s[name]))
		}
		top := max(most, least)
		for i, s := range history {
			one, ok := s[name]
			if !ok {
				continue
			}
			last = value(one)
			x := curveWidth - float64(len(history)-1-i)*curveWidth/(points-1)
			if first < 0 {
				first = x
			}
			fmt.Fprintf(&line, "%.1f,%.1f ", x, curveHeight-1-(curveHeight-3)*last/top)
		}
		c := curve{Name: title, Now: text(last), Most: text(most), Line: strings.TrimSpace(line.String())}
		if c.Line != "" {
			c.Area = fmt.Sprintf("%.1f,%g %s %g,%g", first, curveHeight, c.Line, curveWidth, curveHeight)
		}
		return c
	}
	return []curve{ // each at least as high as what is worth a look, so that noise stays at the bottom
		draw("calls a second", func(c api.Circuit) float64 { return c.CallsPerS }, number, 1),
		draw("failures", func(c api.Circuit) float64 { return c.FailureRate }, percent, .05),
		draw("p95", func(c api.Circuit) float64 { return c.P95Ms }, millis, 10),
	}
}

// view is all that the page shows of one second.
type view struct {
	At            time.Time
	Title         string
	Summary       string
	Alone         bool
	Services      []service
	Instances     []instance
	Overrides     []api.Override
	Cache         cache
	Deferred      api.DeferredWrites
	Calls         float64
	Pictures      []picture
	ServicesKnown []string
}

// Waits is how many writes are deferred, where that is known.
func (v view) Waits() int64 {
	if v.Deferred.Pending == nil {
		return 0
	}
	return *v.Deferred.Pending
}

type instance struct {
	api.InstanceReport
	Cache cache
}

type cache struct{ api.CacheReport }

// Asked tells whether anything could have been answered from the cache yet.
func (c cache) Asked() bool { return c.Hits+c.Misses > 0 }

// Ratio is the share of reads that were answered from the cache.
func (c cache) Ratio() float64 { return float64(c.Hits) / float64(max(c.Hits+c.Misses, 1)) }

// Fill is how full the cache is, of 1.
func (c cache) Fill() float64 { return min(1, float64(c.Bytes)/float64(max(c.BoundBytes, 1))) }

func viewOf(s snapshot, history []sample) view {
	v := view{At: s.at, Alone: s.alone, Services: sum(s), Overrides: s.Overrides, Deferred: s.Deferred}
	for i := range v.Services {
		one := &v.Services[i]
		one.Curves = curves(one.Service, history)
		v.Calls += one.CallsPerS
		v.ServicesKnown = append(v.ServicesKnown, one.Service)
	}
	for _, r := range s.Instances {
		v.Instances = append(v.Instances, instance{r, cache{r.Cache}})
		v.Cache.Entries += r.Cache.Entries
		v.Cache.Bytes += r.Cache.Bytes
		v.Cache.BoundBytes += r.Cache.BoundBytes
		v.Cache.Hits += r.Cache.Hits
		v.Cache.Misses += r.Cache.Misses
		v.Cache.Stale += r.Cache.Stale
		v.Cache.Collapsed += r.Cache.Collapsed
	}
	v.Title, v.Summary = summary(v.Services)
	v.Pictures = []picture{wide(v), narrow(v)}
	return v
}

// Circuit is what an instance says of a service.
func (i instance) Circuit(name string) *service {
	for _, c := range i.Circuits {
		if c.Service == name {
			return &service{Circuit: c}
		}
	}
	return nil
}

// summary says in a sentence what is not as it should be; it changes only when a state does.
func summary(services []service) (title, sentence string) {
	var off []string
	for _, s := range services {
		if s.State != api.CircuitStateClosed || s.Forced {
			off = append(off, s.Service+" is "+s.Says())
		}
	}
	switch {
	case len(services) == 0:
		return "No circuits", "No core service is known."
	case len(off) == 0:
		return "All closed", "All circuits are closed."
	case len(off) == 1:
		return strings.Replace(off[0], " is ", " ", 1), strings.ToUpper(off[0][:1]) + off[0][1:] + "."
	}
	sentence = strings.Join(off[:len(off)-1], ", ") + " and " + off[len(off)-1] + "."
	return strconv.Itoa(len(off)) + " off", strings.ToUpper(sentence[:1]) + sentence[1:]
}

// number writes what is counted a second: with one digit after the point as long as that says something.
func number(f float64) string {
	switch {
	case f >= 10_000:
		return fmt.Sprintf("%.1fk", f/1000)
	case f >= 9.95 || f == math.Trunc(f):
		return fmt.Sprintf("%.0f", f)
	}
	return fmt.Sprintf("%.1f", f)
}

// percent takes a share of 1. What is not nothing does not look like it.
func percent(f float64) string {
	switch p := 100 * f; {
	case p > 0 && p < .1:
		return "<0.1 %"
	case p > 99.9 && p < 100:
		return ">99.9 %"
	case p < 9.95:
		return number(p) + " %"
	default:
		return fmt.Sprintf("%.0f %%", p)
	}
}

func millis(f float64) string {
	if f >= 999.5 {
		return number(f/1000) + " s"
	}
	return number(f) + " ms"
}

func mebibytes(n int64) string { return number(float64(n)/(1<<20)) + " MiB" }

// waited writes seconds in the largest unit that they fill.
func waited(seconds int64) string {
	for _, unit := range []struct {
		seconds int64
		name    string
	}{{86_400, "d"}, {3600, "h"}, {60, "min"}} {
		if seconds >= unit.seconds {
			return fmt.Sprintf("%d %s", seconds/unit.seconds, unit.name)
		}
	}
	return fmt.Sprintf("%d s", seconds)
}

func plural(n int64, one, many string) string {
	return strconv.FormatInt(n, 10) + " " + cmp.Or(map[bool]string{true: one}[n == 1], many)
}
