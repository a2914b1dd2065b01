package upstream

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/budget"
	"github.com/failsafe-go/failsafe-go/hedgepolicy"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
)

const (
	spread     = .25 // of a pause, either way
	maxBackoff = 16  // times the first
)

// plan is how often a request may be sent.
type plan struct {
	retries int
	hedge   time.Duration
}

// plan says what may be done with r, whose body must be at hand for another time.
func (p *Policy) plan(r *http.Request) (as plan) {
	if p.repeatable(r) && (empty(r) || r.GetBody != nil) {
		as.retries = p.Retries
	}
	if isRead(r.Method) && empty(r) {
		as.hedge = p.Hedge
	}
	return as
}

// prepare makes the policies of every plan that there can be. Retries and hedges have a budget each: in a common one, a request that
// may have both would count for two.
func (u *Upstream) prepare() {
	retries, hedges := u.budget(), u.budget()
	for _, p := range u.operations() {
		for _, as := range []plan{{p.Retries, p.Hedge}, {p.Retries, 0}, {0, p.Hedge}} {
			u.plans[as] = failsafe.With(u.policiesOf(as, retries, hedges)...)
		}
	}
}

// budget bounds what is sent again by what is under way.
func (u *Upstream) budget() budget.Budget {
	return budget.NewBuilder().WithMaxRate(u.settings.Share).WithMinConcurrency(u.settings.Reserve).Build()
}

func (u *Upstream) policiesOf(as plan, retries, hedges budget.Budget) []failsafe.Policy[reply] {
	all := []failsafe.Policy[reply]{
		retrypolicy.NewBuilder[reply]().
			HandleIf(func(got reply, err error) bool { return !got.last && passing(got.resp, err) }).
			AbortIf(func(reply, error) bool { return !u.circuit.again() }). // asked of what would be sent again
			WithMaxRetries(as.retries).ReturnLastFailure().
			WithBackoff(u.settings.Backoff, maxBackoff*u.settings.Backoff).WithJitterFactor(spread).
			WithBudget(retries).
			OnRetryScheduled(func(e failsafe.ExecutionScheduledEvent[reply]) {
				flightOf(e.Context()).failed(e.LastResult(), e.LastError())
			}).
			OnRetry(func(e failsafe.ExecutionEvent[reply]) {
				u.counts.retries.Add(1)
				flightOf(e.Context()).clear()
			}).
			Build(),
	}
	if as.hedge > 0 {
		all = append(all, hedgepolicy.NewBuilderWithDelay[reply](as.hedge).
			CancelIf(func(got reply, err error) bool { return got.alone || !Out(got.resp, err) }).
			WithBudget(hedges).
			OnHedge(func(failsafe.ExecutionEvent[reply]) {
				u.counts.hedges.Add(1)
				u.circuit.hedged()
			}).
			Build())
	}
	return all
}

// reply is what came of one attempt.
type reply struct {
	resp  *http.Response
	last  bool // it is not sent again, whatever came
	alone bool // no hedge has been sent beside it
}

// flight is one request in all its attempts. It knows every answer, because the policies close none.
type flight struct {
	upstream *Upstream
	request  *http.Request
	policy   *Policy
	retries  int

	mu     sync.Mutex
	over   bool
	come   []*http.Response
	latest reply // before a retry that the budget may yet refuse
	err    error
}

type flightKey struct{}

func flightOf(ctx context.Context) *flight { return ctx.Value(flightKey{}).(*flight) }

func (f *flight) send(all failsafe.Executor[reply]) (*http.Response, error) {
	ctx := context.WithValue(f.request.Context(), flightKey{}, f)
	got, err := all.WithContext(ctx).GetWithExecution(f.attempt)
	f.mu.Lock()
	defer f.mu.Unlock()
	if errors.Is(err, budget.ErrExceeded) {
		got, err = f.latest, f.err
	}
	f.over = true
	for _, resp := range f.come {
		if resp != got.resp {
			_ = resp.Body.Close()
		}
	}
	return got.resp, err
}

// attempt is called again for each retry, and beside itself for a hedge.
func (f *flight) attempt(exec failsafe.Execution[reply]) (reply, error) {
	r, try, hedges := f.request, exec.Retries(), exec.Hedges()
	if try > 0 {
		var err error
		if r, err = repeat(r); err != nil {
			return reply{last: true}, err
		}
	}
	c := newCall(r.Context()) // and not the policies', which end with the first answer, when its body is still to be read
	stop := context.AfterFunc(exec.Context(), c.cancel)
	resp, err := f.upstream.attempt(c, r, f.policy)
	stop()
	f.keep(resp)
	end, ok := r.Context().Deadline()
	pause := time.Duration((1 + spread) * float64(f.upstream.settings.Backoff<<try))
	return reply{
		resp:  resp,
		last:  try >= f.retries || ok && time.Until(end) <= pause,
		alone: !exec.IsHedge() && exec.Hedges() == hedges,
	}, err
}

func (f *flight) keep(resp *http.Response) {
	if resp == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over {
		_ = resp.Body.Close()
		return
	}
	f.come = append(f.come, resp)
}

func (f *flight) failed(got reply, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.latest, f.err = got, err
}

// clear lets go of the answers that a retry takes the place of.
func (f *flight) clear() {
	f.mu.Lock()
	come := f.come
	f.come = nil
	f.mu.Unlock()
	for _, resp := range come {
		discard(resp)
	}
}
