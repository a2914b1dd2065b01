// Package upstream is the way to one core service: what the contract says of each operation's resilience, and the circuit,
// the bounds, the time limits and the retries that hold a service's trouble in.
package upstream

import (
	"cmp"
	"errors"
	"iter"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
)

// OnFailure is what is done for a caller when the service cannot answer.
type OnFailure int

const (
	Fail  OnFailure = iota // say so
	Stale                  // answer with an earlier answer, marked
	Defer                  // take the write on, and carry it out later
)

// Policy is what the contract says of one operation, with the defaults of its method filled in.
type Policy struct {
	Operation, Method, Pattern string

	Timeout    time.Duration // of one attempt, until its answer begins
	Retries    int           // of a write: only where the request has an Idempotency-Key
	Hedge      time.Duration // a second attempt starts after this; 0: none
	Bulkhead   uint          // attempts at once; 0: only the bound of the whole service
	OnFailure  OnFailure
	Cache      *Cache
	Public     bool // anyone may call it, and everyone gets the same answer
	Idempotent bool // takes an Idempotency-Key
}

// Cache says how long answers are kept.
type Cache struct {
	TTL, Stale    time.Duration // fresh; after that, while the service is out
	InvalidatedBy []string      // writes of the same service
}

// Policies are those of the public operations of one service.
type Policies struct {
	byID        map[string]*Policy
	mux         *http.ServeMux
	invalidated map[string][]string // by write
}

// PoliciesOf reads contracts, by the names of their services. Its error lists every mistake in all of them.
func PoliciesOf(docs map[string]*openapi3.T) (map[string]*Policies, error) {
	all, wrong := map[string]*Policies{}, []error(nil)
	for service, doc := range docs {
		found, mistakes := read(service, doc)
		wrong = append(wrong, mistakes...)
		all[service] = newPolicies(found)
	}
	slices.SortFunc(wrong, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	return all, errors.Join(wrong...)
}

// found is what the mux leads to, and serves nothing.
type found struct {
	http.Handler
	policy *Policy
}

func newPolicies(all []*Policy) *Policies {
	p := &Policies{map[string]*Policy{}, http.NewServeMux(), map[string][]string{}}
	for _, policy := range all {
		p.byID[policy.Operation] = policy
		p.mux.Handle(policy.Method+" "+policy.Pattern, found{policy: policy})
		if policy.Cache == nil {
			continue
		}
		for _, write := range policy.Cache.InvalidatedBy {
			p.invalidated[write] = append(p.invalidated[write], policy.Operation)
		}
	}
	return p
}

// All returns every policy, in no order.
func (p *Policies) All() iter.Seq[*Policy] { return maps.Values(p.byID) }

// ByID returns nil for what is no public operation.
func (p *Policies) ByID(operation string) *Policy { return p.byID[operation] }

// Of finds the operation that a request is for. One that there is not, or not any more, has the defaults of its method.
func (p *Policies) Of(r *http.Request) *Policy {
	handler, _ := p.mux.Handler(r)
	if f, ok := handler.(found); ok {
		return f.policy
	}
	return defaults(r.Method)
}

// InvalidatedBy returns the reads whose answers a write changes.
func (p *Policies) InvalidatedBy(write string) []string { return p.invalidated[write] }

// repeatable says whether sending r twice does no more than sending it once.
func (p *Policy) repeatable(r *http.Request) bool {
	return isRead(r.Method) || p.Idempotent && r.Header.Get("Idempotency-Key") != ""
}

func isRead(method string) bool { return method == http.MethodGet || method == http.MethodHead }
