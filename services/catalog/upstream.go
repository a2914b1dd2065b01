package catalog

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/bulkhead"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/failsafehttp"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"github.com/failsafe-go/failsafe-go/timeout"

	"github.com/healthe/healthe/kit/contract"
	"github.com/healthe/healthe/kit/telemetry"
	"github.com/healthe/healthe/openapi/problem"
)

// policy says how much of a core service's trouble the catalog takes on itself.
type policy struct {
	timeout      time.Duration // of one attempt, until its answer begins
	retries      int
	backoff      time.Duration // doubled from retry to retry
	concurrency  uint          // calls at once
	failureRate  float64       // opens the circuit
	minimumCalls uint          // within the window, before the rate means anything
	window       time.Duration
	openFor      time.Duration // until the next probe
}

var defaultPolicy = policy{
	timeout: 5 * time.Second, retries: 2, backoff: 50 * time.Millisecond, concurrency: 1024,
	failureRate: 0.5, minimumCalls: 20, window: 10 * time.Second, openFor: 2 * time.Second,
}

// upstream is the way to one core service. Each has connections, a circuit and a bound on calls of its own, so that the
// trouble of one is not the trouble of another.
type upstream struct {
	name    string
	breaker circuitbreaker.CircuitBreaker[*http.Response]
	retried http.RoundTripper // for what may be done twice
	once    http.RoundTripper
}

func newUpstream(name string, p policy) *upstream {
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.MaxIdleConnsPerHost, base.MaxIdleConns = 256, 256
	base.DisableCompression = true // answers pass as they are
	base.Proxy = nil               // neighbours are no farther than the next machine

	breaker := circuitbreaker.NewBuilder[*http.Response]().HandleIf(counts).
		WithFailureRateThreshold(p.failureRate, p.minimumCalls, p.window).WithDelay(p.openFor).WithSuccessThreshold(3).Build()
	retry := retrypolicy.NewBuilder[*http.Response]().HandleIf(passing).
		WithMaxRetries(p.retries).WithBackoff(p.backoff, 10*p.backoff).WithJitterFactor(0.3).ReturnLastFailure().
		OnRetryScheduled(func(e failsafe.ExecutionScheduledEvent[*http.Response]) { discard(e.LastResult()) }).Build()
	inner := []failsafe.Policy[*http.Response]{breaker, bulkhead.New[*http.Response](p.concurrency), timeout.New[*http.Response](p.timeout)}
	carry := telemetry.Transport{Base: base}
	return &upstream{
		name: name, breaker: breaker,
		once:    failsafehttp.NewRoundTripper(carry, inner...),
		retried: failsafehttp.NewRoundTripper(carry, append([]failsafe.Policy[*http.Response]{retry}, inner...)...),
	}
}

// RoundTrip sends a request, a second time only if that cannot do anything twice.
func (u *upstream) RoundTrip(r *http.Request) (*http.Response, error) {
	if repeatable(r) {
		return u.retried.RoundTrip(r)
	}
	return u.once.RoundTrip(r)
}

// repeatable says whether doing a request twice is doing it once. A key counts only where the operation heeds it.
func repeatable(r *http.Request) bool {
	op, _ := contract.Current(r.Context())
	return r.Method == http.MethodGet || r.Method == http.MethodHead || op.Idempotent && r.Header.Get("Idempotency-Key") != ""
}

// outage says whether an answer means that nobody could answer. A 4xx is an answer, and so is a 500: the service is there,
// and what one request broke must not shut out all the others.
func outage(resp *http.Response) bool {
	return resp != nil && (resp.StatusCode == http.StatusBadGateway || resp.StatusCode == http.StatusServiceUnavailable || resp.StatusCode == http.StatusGatewayTimeout)
}

// counts says what speaks against the circuit. That the caller went away does not, nor that our own bound on calls is reached.
func counts(resp *http.Response, err error) bool {
	if err != nil {
		return !errors.Is(err, context.Canceled) && !errors.Is(err, bulkhead.ErrFull)
	}
	return outage(resp)
}

// passing says what may be over in a moment.
func passing(resp *http.Response, err error) bool {
	if err != nil {
		for _, final := range []error{context.Canceled, context.DeadlineExceeded, timeout.ErrExceeded, circuitbreaker.ErrOpen, bulkhead.ErrFull} {
			if errors.Is(err, final) {
				return false
			}
		}
		return true
	}
	return outage(resp)
}

// problem says in the catalog's own words why a core service gave no answer.
func (u *upstream) problem(err error) *problem.Problem {
	switch unavailable := problem.Unavailable("The " + u.name + " service"); {
	case errors.Is(err, circuitbreaker.ErrOpen):
		return unavailable.RetryAfter(max(u.breaker.RemainingDelay(), time.Second)).Because(err)
	case errors.Is(err, timeout.ErrExceeded), errors.Is(err, context.DeadlineExceeded):
		return problem.Timeout().Because(err)
	default:
		return unavailable.Because(err)
	}
}

// discard lets the connection of an answer that nobody will read be used again.
func discard(resp *http.Response) {
	if resp == nil || resp.Body == nil {
		return
	}
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
	_ = resp.Body.Close()
}
