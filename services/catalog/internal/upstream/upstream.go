package upstream

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/adaptivelimiter"
	"github.com/failsafe-go/failsafe-go/bulkhead"
	"github.com/failsafe-go/failsafe-go/timeout"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"

	"github.com/healthe/healthe/kit/telemetry"
)

// Settings are what all operations of a service share.
type Settings struct {
	FailureRate           float64       // of the calls in the window, slow ones among them: opens the circuit
	Slow                  float64       // share of an operation's time limit after which a call is slow
	MinimumCalls          uint          // within the window, before a rate means anything
	Window                time.Duration // 1 s to 10 s
	OpenFor               time.Duration // until the first probe, give or take a quarter
	Probes                uint          // at once while half open; when as many have passed, the circuit closes
	Backoff               time.Duration // before the first retry, give or take a quarter; doubled from retry to retry
	Share                 float64       // of retries and hedges among the calls under way, and for each call of the last ten seconds
	Reserve               uint          // retries and hedges beyond that
	Floor, Start, Ceiling uint          // of the calls at once, between which the limit adapts
	Wait                  time.Duration // for a place, when all are taken
	Idle                  time.Duration // between the parts of an answer's body
	Base                  http.RoundTripper
}

// Defaults are what fits a service with a few instances. Half of two instances gone is a failure rate of 0.5, which must not
// shut out the other half.
var Defaults = Settings{
	FailureRate: 0.6, Slow: 0.5, MinimumCalls: 20, Window: 5 * time.Second, OpenFor: 2 * time.Second, Probes: 3,
	Backoff: 50 * time.Millisecond, Share: 0.2, Reserve: 10,
	Floor: 64, Start: 256, Ceiling: 1024, Wait: 100 * time.Millisecond, Idle: 5 * time.Second,
}

// Upstream is the way to one core service, with what the contract says of its operations. Each has connections, a circuit and bounds of its own, so that the trouble of one service is not the trouble of another.
type Upstream struct {
	*Policies
	name      string
	settings  Settings
	base      http.RoundTripper
	circuit   *circuit
	plans     map[plan]failsafe.Executor[reply]
	limits    map[time.Duration]failsafe.Executor[*http.Response] // by the time limit of an attempt
	limiter   adaptivelimiter.AdaptiveLimiter[any]
	bulkheads map[string]bulkhead.Bulkhead[any] // by operation
	counts    counts
	outcomes  map[*atomic.Int64]metric.MeasurementOption // by what counts them
	duration  metric.Float64Histogram
}

// New returns the way to the service of that name. Settings.Base takes the place of the network.
func New(name string, policies *Policies, s Settings) *Upstream {
	base := s.Base
	if base == nil {
		base = transport()
	}
	u := &Upstream{
		Policies: policies, name: name, settings: s, circuit: newCircuit(name, s), base: telemetry.Transport{Base: base},
		plans: map[plan]failsafe.Executor[reply]{}, limits: map[time.Duration]failsafe.Executor[*http.Response]{},
		limiter: newLimiter(s), bulkheads: map[string]bulkhead.Bulkhead[any]{},
	}
	for _, p := range u.operations() {
		u.limits[p.Timeout] = failsafe.With(timeout.New[*http.Response](p.Timeout))
		if p.Bulkhead > 0 {
			u.bulkheads[p.Operation] = bulkhead.New[any](p.Bulkhead)
		}
	}
	u.prepare()
	u.observe(otel.Meter("healthe"))
	return u
}

// operations returns those of the contract, and what stands for any other.
func (u *Upstream) operations() []*Policy {
	return slices.AppendSeq([]*Policy{defaults(http.MethodGet), defaults(http.MethodPost)}, u.All())
}

func transport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost, t.MaxIdleConns = 256, 256
	t.DisableCompression = true // answers pass as they are
	t.Proxy = nil               // neighbours are no farther than the next machine
	t.DialContext = (&net.Dialer{Timeout: time.Second, KeepAlive: 15 * time.Second}).DialContext
	return t
}

// Name returns the name of the service.
func (u *Upstream) Name() string { return u.name }

// Send sends a request for an operation, a second time only if that cannot do anything twice.
func (u *Upstream) Send(r *http.Request, p *Policy) (*http.Response, error) {
	if !p.Idempotent && r.Header.Get("Idempotency-Key") != "" { // nobody heeds it, but http.Transport would send such a request again
		r = r.Clone(r.Context())
		r.Header.Del("Idempotency-Key")
	}
	as := p.plan(r)
	if as == (plan{}) {
		return u.attempt(newCall(r.Context()), r, p)
	}
	f := &flight{upstream: u, request: r, policy: p, retries: as.retries}
	return f.send(u.plans[as])
}

// attempt asks once, if the circuit and the bounds allow.
func (u *Upstream) attempt(c *call, r *http.Request, p *Policy) (*http.Response, error) {
	permit, err := u.circuit.acquire()
	if err != nil {
		u.counts.open.Add(1)
		return nil, c.refuse(r, err)
	}
	place, err := u.enter(c.ctx, p)
	if err != nil {
		u.circuit.release(permit)
		return nil, c.refuse(r, err)
	}
	u.counts.running.Add(1)
	began := time.Now()
	sent := watch(r)
	resp, err := u.ask(c, sent.request(r, c.ctx), p.Timeout)
	took := time.Since(began)
	u.counts.running.Add(-1)

	v := verdict{failed: err != nil || outage(resp), slow: took >= time.Duration(u.settings.Slow*float64(p.Timeout))}
	if err != nil && !errors.Is(err, ErrTimeout) && c.ctx.Err() != nil { // the caller gave up, or a hedge was faster
		v.failed = false
	}
	mute := sent.stuck() || err != nil && !v.bad() // what the client did says nothing, and neither does a short wait
	if mute {
		v = verdict{}
	} else {
		u.circuit.note(v, took)
	}
	place.leave(!mute && (v.slow || !v.failed)) // what fails at once would make the service look fast
	ended := u.counts.ended(err, v)
	ended.Add(1)
	u.duration.Record(r.Context(), took.Seconds(), u.outcomes[ended])
	switch {
	case mute:
		u.circuit.release(permit)
	case err != nil || v.bad():
		u.circuit.judge(permit, true)
	}
	if err != nil {
		c.stop()
		return nil, sent.cause(err)
	}
	return u.carry(c, permit, mute || v.bad(), resp), nil
}

// ask sends a request. What the policy calls off is the wait for the answer, never the answer's body.
func (u *Upstream) ask(c *call, r *http.Request, limit time.Duration) (*http.Response, error) {
	var came *http.Response
	resp, err := u.limits[limit].WithContext(c.ctx).GetWithExecution(func(exec failsafe.Execution[*http.Response]) (_ *http.Response, err error) {
		stop := context.AfterFunc(exec.Context(), c.cancel)
		defer stop()
		came, err = u.base.RoundTrip(r)
		return came, err
	})
	if !errors.Is(err, timeout.ErrExceeded) {
		return resp, err
	}
	c.cancel()
	if came != nil { // at the very moment
		_ = came.Body.Close()
	}
	return nil, ErrTimeout
}

// place is what a call holds within the bounds of the operation and of the service.
type place struct {
	own     bulkhead.Bulkhead[any]
	service adaptivelimiter.Permit
}

// enter takes a place, waits a moment for one, or says ErrFull.
func (u *Upstream) enter(ctx context.Context, p *Policy) (place, error) {
	own := u.bulkheads[p.Operation]
	if own != nil && !own.TryAcquirePermit() {
		u.counts.full.Add(1)
		return place{}, ErrFull
	}
	service, err := u.limiter.AcquirePermitWithMaxWait(ctx, u.settings.Wait)
	if err == nil {
		return place{own, service}, nil
	}
	if own != nil {
		own.ReleasePermit()
	}
	if errors.Is(err, adaptivelimiter.ErrExceeded) {
		u.counts.full.Add(1)
		err = ErrFull
	}
	return place{}, err
}

// leave gives the place back. What the call took counts if it tells how busy the service is.
func (p place) leave(tells bool) {
	if p.own != nil {
		p.own.ReleasePermit()
	}
	if tells {
		p.service.Record()
		return
	}
	p.service.Drop()
}
