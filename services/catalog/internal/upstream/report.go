package upstream

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/healthe/healthe/kit/telemetry"
	api "github.com/healthe/healthe/openapi/catalog"
)

// counts are since the start of the process.
type counts struct {
	running                               atomic.Int64 // at this moment
	answered, failed, late, gone, brokeUp atomic.Int64 // attempts, by what became of them
	open, full                            atomic.Int64 // attempts that were not made
	retries, hedges                       atomic.Int64
}

// ended returns what counts attempts that ended so.
func (c *counts) ended(err error, v verdict) *atomic.Int64 {
	switch {
	case errors.Is(err, ErrTimeout):
		return &c.late
	case v.failed:
		return &c.failed
	case err != nil:
		return &c.gone
	default:
		return &c.answered
	}
}

// Force holds the circuit open or closed until it is released, which nil does. Forcing what is forced changes nothing.
func (u *Upstream) Force(state *api.OverrideState) {
	if state == nil {
		u.circuit.force("")
		return
	}
	u.circuit.force(*state)
}

// Shut says whether the circuit lets no call through at this moment, not even a probe.
func (u *Upstream) Shut() bool { return u.circuit.shut() }

// Report says how the service does, seen from here. Rates and percentiles are those of the last ten seconds.
func (u *Upstream) Report() api.Circuit {
	state, forced := u.circuit.shows()
	report := api.Circuit{
		Service: u.name, State: state, Forced: forced, Running: int(u.counts.running.Load()), Limit: u.limiter.Limit(),
		Retries: u.counts.retries.Load(), Rejected: u.counts.open.Load() + u.counts.full.Load(),
	}
	u.circuit.measure(&report)
	return report
}

func (c *circuit) measure(report *api.Circuit) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	sum := c.ring.sum(now)
	report.CallsPerS = float64(sum.calls) / now.Sub(time.Unix(now.Unix()-slots+1, 0)).Seconds() // the last second is not over
	report.FailureRate, report.SlowRate = sum.rate(sum.failed), sum.rate(sum.slow)
	took := c.ring.percentiles(now, .5, .95, .99)
	report.P50Ms, report.P95Ms, report.P99Ms = took[0], took[1], took[2]
}

// observe lets the metrics read what is counted anyway, and measures how long attempts take.
func (u *Upstream) observe(meter metric.Meter) {
	state := telemetry.Must(meter.Int64ObservableGauge("upstream.circuit", metric.WithDescription("0 closed, 1 half open, 2 open.")))
	running := telemetry.Must(meter.Int64ObservableGauge("upstream.running", metric.WithDescription("Calls at this moment.")))
	limit := telemetry.Must(meter.Int64ObservableGauge("upstream.limit", metric.WithDescription("How many calls are let through at once.")))
	calls := telemetry.Must(meter.Int64ObservableCounter("upstream.calls", metric.WithDescription("Attempts, by what became of them.")))
	retries := telemetry.Must(meter.Int64ObservableCounter("upstream.retries", metric.WithDescription("Attempts after a failed one.")))
	hedges := telemetry.Must(meter.Int64ObservableCounter("upstream.hedges", metric.WithDescription("Attempts beside one that took long.")))
	service := attribute.String("upstream", u.name)
	only := metric.WithAttributes(service)
	u.outcomes = map[*atomic.Int64]metric.MeasurementOption{}
	for count, outcome := range map[*atomic.Int64]string{
		&u.counts.answered: "answered", &u.counts.failed: "failed", &u.counts.late: "late", &u.counts.gone: "gone",
		&u.counts.brokeUp: "broke_up", &u.counts.open: "rejected_open", &u.counts.full: "rejected_full",
	} {
		u.outcomes[count] = metric.WithAttributes(service, attribute.String("outcome", outcome))
	}
	u.duration = telemetry.Duration(meter, "upstream.request.duration", "How long attempts took until their answer began, by what became of them.")
	telemetry.Must(meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		shown, _ := u.circuit.shows()
		o.ObserveInt64(state, stateNumbers[shown], only)
		o.ObserveInt64(running, u.counts.running.Load(), only)
		o.ObserveInt64(limit, int64(u.limiter.Limit()), only)
		o.ObserveInt64(retries, u.counts.retries.Load(), only)
		o.ObserveInt64(hedges, u.counts.hedges.Load(), only)
		for count, option := range u.outcomes {
			o.ObserveInt64(calls, count.Load(), option)
		}
		return nil
	}, state, running, limit, calls, retries, hedges))
}

var stateNumbers = map[api.CircuitState]int64{api.CircuitStateClosed: 0, api.CircuitStateHalfOpen: 1, api.CircuitStateOpen: 2}
