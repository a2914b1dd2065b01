// Package upstream is the way to one core service: what the contract says of each operation's resilience, and the circuit,
// the bounds, the time limits and the retries that hold a service's trouble in.
package upstream

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
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
	Service, Operation, Method, Pattern string

	Timeout    time.Duration // of one attempt, until its answer begins
	Retries    int           // of a write: only where the request has an Idempotency-Key
	Hedge      time.Duration // a second attempt starts after this; 0: none
	Bulkhead   uint          // attempts at once; 0: only the bound of the whole service
	OnFailure  OnFailure
	Cache      *Cache
	Public     bool // anyone may call it, and everyone gets the same answer
	Idempotent bool // takes an Idempotency-Key

	segments []string // of Pattern
}

// Cache says how long answers are kept.
type Cache struct {
	TTL, Stale    time.Duration // fresh; after that, while the service is out
	InvalidatedBy []string      // writes of the same service
}

// Policies are those of the public operations of some services.
type Policies struct {
	byID        map[string]map[string]*Policy // service, operation
	byShape     map[shape][]*Policy           // those without parameters first
	invalidated map[string]map[string][]string
}

// shape is what tells most operations apart at once.
type shape struct {
	service, method string
	segments        int
}

// PoliciesOf reads contracts, by the names of their services. Its error lists every mistake in all of them.
func PoliciesOf(docs map[string]*openapi3.T) (Policies, error) {
	all := Policies{map[string]map[string]*Policy{}, map[shape][]*Policy{}, map[string]map[string][]string{}}
	var wrong []error
	for service, doc := range docs {
		found, mistakes := read(service, doc)
		wrong = append(wrong, mistakes...)
		all.byID[service], all.invalidated[service] = map[string]*Policy{}, map[string][]string{}
		for _, p := range found {
			all.byID[service][p.Operation] = p
			key := shape{service, p.Method, len(p.segments)}
			all.byShape[key] = append(all.byShape[key], p)
			if p.Cache == nil {
				continue
			}
			for _, write := range p.Cache.InvalidatedBy {
				all.invalidated[service][write] = append(all.invalidated[service][write], p.Operation)
			}
		}
	}
	for _, alike := range all.byShape {
		slices.SortFunc(alike, func(a, b *Policy) int {
			return cmp.Or(strings.Count(a.Pattern, "{")-strings.Count(b.Pattern, "{"), cmp.Compare(a.Pattern, b.Pattern))
		})
	}
	for _, reads := range all.invalidated {
		for _, operations := range reads {
			slices.Sort(operations)
		}
	}
	slices.SortFunc(wrong, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	return all, errors.Join(wrong...)
}

// All returns every policy, in no order.
func (p Policies) All() []*Policy {
	var all []*Policy
	for _, operations := range p.byID {
		for _, policy := range operations {
			all = append(all, policy)
		}
	}
	return all
}

// ByID returns nil for what is no public operation of the service.
func (p Policies) ByID(service, operation string) *Policy { return p.byID[service][operation] }

// Of finds the operation that a request is for, and returns nil if there is none.
func (p Policies) Of(r *http.Request) *Policy {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	path := strings.TrimPrefix(r.URL.EscapedPath(), "/")
	service, _, _ := strings.Cut(path, "/")
	for _, policy := range p.byShape[shape{service, method, strings.Count(path, "/") + 1}] {
		if policy.matches(r.URL) {
			return policy
		}
	}
	return nil
}

// InvalidatedBy returns the reads whose answers a write changes.
func (p Policies) InvalidatedBy(service, write string) []string { return p.invalidated[service][write] }

func (p *Policy) matches(u *url.URL) bool {
	rest := strings.TrimPrefix(u.EscapedPath(), "/")
	for i, want := range p.segments {
		got, after, more := strings.Cut(rest, "/")
		if (want != got && want[0] != '{') || got == "" || more != (i < len(p.segments)-1) {
			return false
		}
		rest = after
	}
	return true
}

// repeatable says whether sending r twice does no more than sending it once.
func (p *Policy) repeatable(r *http.Request) bool {
	return isRead(r.Method) || p.Idempotent && r.Header.Get("Idempotency-Key") != ""
}

func isRead(method string) bool { return method == http.MethodGet || method == http.MethodHead }
