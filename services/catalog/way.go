package catalog

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/healthe/healthe/kit/identity"
	"github.com/healthe/healthe/services/catalog/internal/cache"
	"github.com/healthe/healthe/services/catalog/internal/upstream"
)

// way is how everyone in the catalog reaches one core service: through the copies of its answers, and its circuit. It is the
// transport of the composites' clients and of what is carried out later; the proxy sends by it what its contract has let in.
type way struct {
	doc      *openapi3.T
	upstream *upstream.Upstream
	target   *url.URL
	cache    *cache.Cache
	kept     map[string]*cache.Policy // by operation; nil: no copies
}

// kept says how the answers of a service are kept.
func kept(u *upstream.Upstream) map[string]*cache.Policy {
	all := map[string]*cache.Policy{}
	for p := range u.All() {
		if p.Cache != nil {
			all[p.Operation] = &cache.Policy{
				Operation: copies(u.Name(), p.Operation), TTL: p.Cache.TTL, Stale: p.Cache.Stale,
				Shared: p.Public, StaleIfError: p.OnFailure == upstream.Stale,
			}
		}
	}
	return all
}

// copies names the answers of an operation among those of all services.
func copies(service, operation string) string { return service + "." + operation }

// serve answers with a copy that is as good as the service's own answer, if there is one.
func (w *way) serve(rw http.ResponseWriter, r *http.Request, policy *upstream.Policy) bool {
	kept := w.kept[policy.Operation]
	return kept != nil && w.cache.Serve(rw, r, kept, identity.Caller(r.Context()))
}

// RoundTrip sends what a client of our own asks. What is carried out later does not know where the service is now.
func (w *way) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != w.target.Host {
		r = r.Clone(r.Context())
		r.URL.Scheme, r.URL.Host = w.target.Scheme, w.target.Host
	}
	return w.send(r, w.upstream.Of(r))
}

// send asks the service, or answers in its place as the contract allows. When it returns from a write, no instance has
// copies any more of what the write changed.
func (w *way) send(r *http.Request, policy *upstream.Policy) (*http.Response, error) {
	if kept := w.kept[policy.Operation]; kept != nil {
		ask := roundTrip(func(r *http.Request) (*http.Response, error) { return w.upstream.Send(r, policy) })
		return w.cache.RoundTrip(r, kept, identity.Caller(r.Context()), ask)
	}
	resp, err := w.upstream.Send(r, policy)
	if done(resp, err) {
		w.changed(r, policy.Operation)
	}
	return resp, err
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// done says whether a write was done, perhaps. What was not even sent leaves all copies as they are: they are what there is
// to show while the service is out.
func done(resp *http.Response, err error) bool {
	if err != nil {
		dial, ok := errors.AsType[*net.OpError](err)
		return !errors.Is(err, upstream.ErrOpen) && !errors.Is(err, upstream.ErrFull) && !(ok && dial.Op == "dial")
	}
	return resp.StatusCode < http.StatusBadRequest || resp.StatusCode >= http.StatusInternalServerError && resp.StatusCode != http.StatusServiceUnavailable
}

// changed drops the copies of what a write may have changed, on all instances.
func (w *way) changed(r *http.Request, write string) {
	var all []string
	for _, read := range w.upstream.InvalidatedBy(write) {
		all = append(all, copies(w.upstream.Name(), read))
	}
	if len(all) == 0 {
		return
	}
	if err := w.cache.Invalidate(r.Context(), all...); err != nil { // who does not hear of it uses no copies
		slog.WarnContext(r.Context(), "not every instance heard of a write", "operation", write, "error", err)
	}
}

// buffers are what answers pass through.
var buffers = &bufferPool{sync.Pool{New: func() any { return new([32 << 10]byte) }}}

type bufferPool struct{ pool sync.Pool }

func (b *bufferPool) Get() []byte  { return b.pool.Get().(*[32 << 10]byte)[:] }
func (b *bufferPool) Put(p []byte) { b.pool.Put((*[32 << 10]byte)(p)) }
