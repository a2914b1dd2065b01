package upstream

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/failsafe-go/failsafe-go/bulkhead"
	"go.opentelemetry.io/otel"

	"github.com/healthe/healthe/kit/contract"
	"github.com/healthe/healthe/kit/telemetry"
)

// Settings are what all operations of a service share.
type Settings struct {
	FailureRate, SlowRate float64       // of the calls in the window: either opens the circuit
	Slow                  float64       // share of an operation's time limit after which a call is slow
	MinimumCalls          uint          // within the window, before a rate means anything
	Window                time.Duration // 1 s to 10 s
	OpenFor               time.Duration // until the first probe, give or take a quarter
	Probes                uint          // at once while half open; when as many have passed, the circuit closes
	Backoff               time.Duration // before the first retry, give or take half; doubled from retry to retry
	Share                 float64       // retries and hedges for each call, in the last ten seconds
	Reserve               uint          // retries and hedges beyond that
	Floor, Start, Ceiling uint          // of the calls at once, between which the limit adapts
	Wait                  time.Duration // for a place, when all are taken
	Idle                  time.Duration // between the parts of an answer's body
	Base                  http.RoundTripper
}

// Defaults are what fits a service with a few instances. Half of two instances gone is a failure rate of 0.5, which must not
// shut out the other half.
var Defaults = Settings{
	FailureRate: 0.6, SlowRate: 0.6, Slow: 0.5, MinimumCalls: 20, Window: 5 * time.Second, OpenFor: 2 * time.Second, Probes: 3,
	Backoff: 50 * time.Millisecond, Share: 0.2, Reserve: 10,
	Floor: 64, Start: 256, Ceiling: 1024, Wait: 100 * time.Millisecond, Idle: 5 * time.Second,
}

// Upstream is the way to one core service: an http.RoundTripper for whoever passes requests on and for generated clients.
// Each has connections, a circuit and bounds of its own, so that the trouble of one service is not the trouble of another.
type Upstream struct {
	name      string
	policies  Policies
	settings  Settings
	base      http.RoundTripper
	circuit   *circuit
	limiter   *limiter
	bulkheads map[string]bulkhead.Bulkhead[any] // by operation
	counts    counts
}

// New returns the way to the service of that name. Settings.Base takes the place of the network.
func New(name string, policies Policies, s Settings) *Upstream {
	base := s.Base
	if base == nil {
		base = transport()
	}
	u := &Upstream{
		name: name, policies: policies, settings: s, circuit: newCircuit(name, s), base: telemetry.Transport{Base: base},
		limiter:   newLimiter(s),
		bulkheads: map[string]bulkhead.Bulkhead[any]{},
	}
	for _, p := range policies.byID[name] {
		if p.Bulkhead > 0 {
			u.bulkheads[p.Operation] = bulkhead.New[any](p.Bulkhead)
		}
	}
	u.observe(otel.Meter("healthe"))
	return u
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

// Policy returns that of the operation which a request is for.
func (u *Upstream) Policy(r *http.Request) *Policy {
	if op, ok := contract.Current(r.Context()); ok { // which may be the catalog's own, that asks this service something else
		if p := u.policies.ByID(u.name, op.ID); p != nil && (p.Method == r.Method || isRead(p.Method) && isRead(r.Method)) && p.matches(r.URL) {
			return p
		}
	}
	if p := u.policies.Of(r); p != nil && p.Service == u.name {
		return p
	}
	p := defaults(r.Method)
	p.Service = u.name
	return p
}

// RoundTrip sends a request, a second time only if that cannot do anything twice.
func (u *Upstream) RoundTrip(r *http.Request) (*http.Response, error) {
	p := u.Policy(r)
	if !p.Idempotent && r.Header.Get("Idempotency-Key") != "" { // nobody heeds it, but http.Transport would send such a request again
		r = r.Clone(r.Context())
		r.Header.Del("Idempotency-Key")
	}
	retries := 0
	if p.repeatable(r) && (empty(r) || r.GetBody != nil) {
		retries = p.Retries
	}
	for try := 0; ; try++ {
		resp, err := u.send(r, p)
		if try >= retries || !u.passing(resp, err) {
			return resp, err
		}
		delay := jitter(u.settings.Backoff << try)
		if end, ok := r.Context().Deadline(); ok && time.Until(end) <= delay || !u.circuit.again() {
			return resp, err
		}
		discard(resp)
		u.counts.retries.Add(1)
		if err := pause(r.Context(), delay); err != nil {
			return nil, err
		}
		if r, err = repeat(r); err != nil {
			return nil, err
		}
	}
}

// send makes one attempt, or two where the contract has hedges.
func (u *Upstream) send(r *http.Request, p *Policy) (*http.Response, error) {
	if p.Hedge == 0 || !empty(r) || !isRead(r.Method) {
		return u.attempt(newCall(r.Context()), r, p)
	}
	type result struct {
		call *call
		resp *http.Response
		err  error
	}
	answers, done := make(chan result), make(chan struct{})
	defer close(done)
	var calls []*call
	start := func() {
		c := newCall(r.Context())
		calls = append(calls, c)
		go func() {
			resp, err := u.attempt(c, r, p)
			select {
			case answers <- result{c, resp, err}:
			case <-done:
				discard(resp)
			}
		}()
	}
	start()
	hedge := time.NewTimer(p.Hedge)
	defer hedge.Stop()
	var last result
	for ended := 0; ended < len(calls); {
		select {
		case <-hedge.C:
			if u.circuit.again() {
				u.counts.hedges.Add(1)
				start()
			}
		case got := <-answers:
			ended++
			discard(last.resp)
			if last = got; u.Out(got.resp, got.err) {
				continue
			}
			for _, c := range calls {
				if c != got.call {
					c.cancel() // its timer is its own
				}
			}
			return got.resp, got.err
		}
	}
	return last.resp, last.err
}

// attempt asks once, if the circuit and the bounds allow.
func (u *Upstream) attempt(c *call, r *http.Request, p *Policy) (*http.Response, error) {
	permit, err := u.circuit.acquire()
	if err != nil {
		u.counts.open.Add(1)
		return nil, c.refuse(r, err)
	}
	if err := u.enter(c.ctx, p); err != nil {
		u.circuit.release(permit)
		return nil, c.refuse(r, err)
	}
	u.counts.running.Add(1)
	began := time.Now()
	sent := watch(r)
	c.limit(p.Timeout)
	resp, err := u.base.RoundTrip(sent.request(r, c.ctx))
	took := time.Since(began)
	u.counts.running.Add(-1)
	if c.lift() { // at the very moment that an answer came, perhaps
		discard(resp)
		resp, err = nil, ErrTimeout
	}

	v := verdict{failed: err != nil || outage(resp), slow: took >= time.Duration(u.settings.Slow*float64(p.Timeout))}
	if err != nil && !errors.Is(err, ErrTimeout) && c.ctx.Err() != nil { // the caller gave up, or a hedge was faster
		v.failed = false
	}
	mute := sent.stuck() || err != nil && !v.failed && !v.slow // what the client did says nothing, and neither does a short wait
	if mute {
		v = verdict{}
		u.circuit.release(permit)
	} else {
		u.circuit.record(permit, v, took)
	}
	u.leave(p, took, !mute && (v.slow || !v.failed)) // what fails at once would make the service look fast
	u.counts.ended(err, v)
	if err != nil {
		c.stop()
		return nil, sent.cause(err)
	}
	return u.carry(c, resp), nil
}

// enter takes a place within the bounds of the operation and of the service, or says ErrFull.
func (u *Upstream) enter(ctx context.Context, p *Policy) error {
	own := u.bulkheads[p.Operation]
	if own != nil && !own.TryAcquirePermit() {
		u.counts.full.Add(1)
		return ErrFull
	}
	err := u.limiter.enter(ctx)
	if errors.Is(err, ErrFull) {
		u.counts.full.Add(1)
	}
	if err != nil && own != nil {
		own.ReleasePermit()
	}
	return err
}

func (u *Upstream) leave(p *Policy, took time.Duration, tells bool) {
	if own := u.bulkheads[p.Operation]; own != nil {
		own.ReleasePermit()
	}
	u.limiter.leave(took, tells)
}
