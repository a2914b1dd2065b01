package upstream

import (
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
)

const (
	extension     = "x-healthe-resilience"
	readTimeout   = 2 * time.Second
	writeTimeout  = 5 * time.Second
	tries         = 2 // more, where trying again is harmless
	maxRetries    = 5
	maxBulkhead   = 10_000
	minTimeout    = time.Millisecond
	maxTimeout    = 10 * time.Second
	maxTTL        = 24 * time.Hour
	maxStale      = 7 * 24 * time.Hour
	deferredReply = "deferred.yaml#/components/responses/Deferred"
)

// read returns the policies of a contract and every mistake in it.
func read(service string, doc *openapi3.T) ([]*Policy, []error) {
	var all []*Policy
	var wrong []error
	public := map[string]string{} // the methods of those that pass here
	for _, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			if internal, _ := op.Extensions["x-healthe-internal"].(bool); !internal {
				public[op.OperationID] = method
			}
		}
	}
	for _, pattern := range slices.Sorted(maps.Keys(doc.Paths.Map())) {
		item := doc.Paths.Value(pattern)
		for method, op := range item.Operations() {
			r := &reader{at: service + " " + op.OperationID, public: public}
			stated, says := op.Extensions[extension]
			if _, passes := public[op.OperationID]; !passes {
				if says {
					r.refuse("is internal and never passes the catalog, so it has no %s", extension)
				}
				wrong = append(wrong, r.wrong...)
				continue
			}
			p := defaults(method)
			p.Operation, p.Pattern = op.OperationID, pattern
			security := doc.Security
			if op.Security != nil {
				security = *op.Security
			}
			p.Public = len(security) == 0
			p.Idempotent = takesKey(item.Parameters) || takesKey(op.Parameters)
			if p.Idempotent {
				p.Retries = tries
			}
			if says {
				r.policy(p, op, stated)
			}
			all, wrong = append(all, p), append(wrong, r.wrong...)
		}
	}
	return all, wrong
}

// defaults are what an operation has that says nothing.
func defaults(method string) *Policy {
	if isRead(method) {
		return &Policy{Method: method, Timeout: readTimeout, Retries: tries}
	}
	return &Policy{Method: method, Timeout: writeTimeout}
}

func takesKey(parameters openapi3.Parameters) bool {
	return slices.ContainsFunc(parameters, func(p *openapi3.ParameterRef) bool {
		return p.Value.In == "header" && p.Value.Name == "Idempotency-Key"
	})
}

// reader takes what an operation says apart and notes what is wrong with it.
type reader struct {
	at     string
	public map[string]string
	wrong  []error
}

func (r *reader) refuse(format string, args ...any) {
	r.wrong = append(r.wrong, fmt.Errorf(r.at+": "+format, args...))
}

func (r *reader) policy(p *Policy, op *openapi3.Operation, stated any) {
	says := r.object(extension, stated, "timeout", "retry", "hedge", "bulkhead", "on_failure", "cache")
	if v, ok := says["timeout"]; ok {
		p.Timeout = r.duration("timeout", v, minTimeout, maxTimeout)
	}
	if v, ok := says["retry"]; ok {
		p.Retries = r.number("retry", v, 0, maxRetries)
		if p.Retries > 0 && !isRead(p.Method) && !p.Idempotent {
			r.refuse("retry: a write that takes no Idempotency-Key is never sent twice")
		}
	}
	if v, ok := says["hedge"]; ok {
		p.Hedge = r.duration("hedge", v, minTimeout, maxTimeout)
		if !isRead(p.Method) {
			r.refuse("hedge: only a read may be sent twice at once")
		}
		if p.Hedge >= p.Timeout && p.Timeout > 0 {
			r.refuse("hedge: %s is not shorter than the timeout of %s", p.Hedge, p.Timeout)
		}
	}
	if v, ok := says["bulkhead"]; ok {
		p.Bulkhead = uint(r.number("bulkhead", v, 1, maxBulkhead))
	}
	if v, ok := says["cache"]; ok {
		p.Cache = r.cache(v)
		if p.Method != http.MethodGet {
			r.refuse("cache: only answers to GET are kept")
		}
	}
	if v, ok := says["on_failure"]; ok {
		r.onFailure(p, op, v)
	}
	if p.OnFailure != Stale && p.Cache != nil && p.Cache.Stale > 0 {
		r.refuse("cache.stale: serves nothing without on_failure: stale")
	}
}

func (r *reader) onFailure(p *Policy, op *openapi3.Operation, v any) {
	switch v {
	case "fail":
	case "stale":
		p.OnFailure = Stale
		if p.Cache == nil || p.Cache.Stale == 0 {
			r.refuse("on_failure: stale needs cache.stale, for how long an answer may serve")
		}
	case "defer":
		p.OnFailure = Defer
		accepted := op.Responses.Status(http.StatusAccepted)
		switch {
		case p.Method != http.MethodPost:
			r.refuse("on_failure: only a POST can be deferred")
		case !p.Idempotent:
			r.refuse("on_failure: a write is deferred under its Idempotency-Key, which this one does not take")
		case accepted == nil || accepted.Ref != deferredReply:
			r.refuse("on_failure: defer needs the response 202 to be %s", deferredReply)
		}
	default:
		r.refuse("on_failure: %v is none of fail, stale, defer", v)
	}
}

func (r *reader) cache(v any) *Cache {
	before := len(r.wrong)
	c, says := &Cache{}, r.object("cache", v, "ttl", "stale", "invalidated_by")
	if ttl, ok := says["ttl"]; ok {
		c.TTL = r.duration("cache.ttl", ttl, 0, maxTTL)
	}
	if stale, ok := says["stale"]; ok {
		c.Stale = r.duration("cache.stale", stale, 0, maxStale)
	}
	if len(r.wrong) == before && c.TTL == 0 && c.Stale == 0 {
		r.refuse("cache: neither ttl nor stale is longer than 0, so nothing is ever served from it")
	}
	writes, ok := says["invalidated_by"]
	if !ok {
		return c
	}
	list, ok := writes.([]any)
	if !ok {
		r.refuse("cache.invalidated_by: is no list")
	}
	for _, v := range list {
		name, _ := v.(string)
		switch method, ok := r.public[name]; {
		case !ok:
			r.refuse("cache.invalidated_by: %v is no public operation of this service", v)
		case isRead(method):
			r.refuse("cache.invalidated_by: %s is a read and changes nothing", name)
		case slices.Contains(c.InvalidatedBy, name):
			r.refuse("cache.invalidated_by: %s stands there twice", name)
		default:
			c.InvalidatedBy = append(c.InvalidatedBy, name)
		}
	}
	return c
}

func (r *reader) object(name string, v any, known ...string) map[string]any {
	says, ok := v.(map[string]any)
	if !ok {
		r.refuse("%s: is no object", name)
		return nil
	}
	for _, key := range slices.Sorted(maps.Keys(says)) {
		if !slices.Contains(known, key) {
			r.refuse("%s: there is no %q; there are %s", name, key, strings.Join(known, ", "))
		}
	}
	return says
}

func (r *reader) duration(name string, v any, low, high time.Duration) time.Duration {
	text, ok := v.(string)
	d, err := time.ParseDuration(text)
	switch {
	case !ok || err != nil:
		r.refuse("%s: %v is no duration such as 500ms", name, v)
	case d < low || d > high:
		r.refuse("%s: %s is not between %s and %s", name, text, low, high)
	default:
		return d
	}
	return 0
}

func (r *reader) number(name string, v any, low, high int) int {
	n, ok := v.(float64)
	if !ok || n != math.Trunc(n) || n < float64(low) || n > float64(high) {
		r.refuse("%s: %v is no whole number between %d and %d", name, v, low, high)
		return 0
	}
	return int(n)
}
