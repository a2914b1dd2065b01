package catalog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/http/httputil"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"

	"github.com/healthe/healthe/kit/contract"
	"github.com/healthe/healthe/kit/identity"
	"github.com/healthe/healthe/kit/telemetry"
	"github.com/healthe/healthe/openapi/problem"
	"github.com/healthe/healthe/services/catalog/internal/deferral"
	"github.com/healthe/healthe/services/catalog/internal/upstream"
)

// proxy serves the public operations of one core service from its contract: what breaks the contract is refused here, the
// rest goes to the service as the contract's `x-healthe-resilience` says. No operation is written down here.
type proxy struct {
	*way
	deferral *deferral.Deferral
	reverse  httputil.ReverseProxy
}

func newProxy(w *way, d *deferral.Deferral, schemes contract.Schemes) (http.Handler, error) {
	p := &proxy{way: w, deferral: d}
	p.reverse = httputil.ReverseProxy{
		Rewrite:        p.rewrite,
		ModifyResponse: p.answer,
		ErrorHandler:   p.fail,
		ErrorLog:       slog.NewLogLogger(slog.Default().Handler(), slog.LevelWarn), // an answer that broke off
		BufferPool:     buffers,
	}
	return contract.HandlerOf(publicPart(w.doc), schemes, p)
}

// publicPart takes out of a contract what only other services may ask.
func publicPart(doc *openapi3.T) *openapi3.T {
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			if internal, _ := op.Extensions["x-healthe-internal"].(bool); internal {
				item.SetOperation(method, nil)
			}
		}
		if len(item.Operations()) == 0 {
			doc.Paths.Delete(path)
		}
	}
	return doc
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	op, _ := contract.Current(r.Context())
	policy := p.upstream.ByID(op.ID)
	switch {
	case p.serve(w, r, policy):
	case policy.OnFailure == upstream.Defer:
		p.attempt(w, r, policy)
	case streams(op):
		p.pass(w, r.WithContext(unbounded(r.Context())), policy)
	default:
		p.pass(w, r, policy)
	}
}

// pass hands on a request for an operation, and what comes of it.
func (p *proxy) pass(w http.ResponseWriter, r *http.Request, policy *upstream.Policy) {
	reverse := p.reverse
	reverse.Transport = roundTrip(func(r *http.Request) (*http.Response, error) { return p.send(r, policy) })
	reverse.ServeHTTP(w, r)
}

// streams says whether an operation answers with what goes on for as long as the client stays.
func streams(op contract.Operation) bool {
	ok := op.Doc.Responses.Status(http.StatusOK)
	return ok != nil && ok.Value.Content["text/event-stream"] != nil
}

type attemptKey struct{}

// pendingTimeout is how long a write waits to hear whether others wait; it does not wait for our database.
const pendingTimeout = 300 * time.Millisecond

// attempt sends a write that is carried out later if the service is out. It goes under a key from the beginning, so that
// what was done although nobody heard of it is not done again.
func (p *proxy) attempt(w http.ResponseWriter, r *http.Request, policy *upstream.Policy) {
	body, err := io.ReadAll(r.Body) // which the contract has read already, and bounded
	if err != nil {
		contract.Refuse(w, r, err)
		return
	}
	if r.Header.Get("Idempotency-Key") == "" {
		r.Header.Set("Idempotency-Key", uuid.NewString())
	}
	write := &deferral.Request{
		Service: p.upstream.Name(), Operation: policy.Operation, HTTP: r, Body: body, Key: r.Header.Get("Idempotency-Key"),
		Caller: identity.Caller(r.Context()), Identity: r.Header.Get(identity.Header),
	}
	ctx, cancel := context.WithTimeout(r.Context(), pendingTimeout)
	waiting, err := p.deferral.Pending(ctx, write.Caller.UserID(), p.upstream.Name())
	cancel()
	if err != nil {
		slog.WarnContext(r.Context(), "deferred writes are not known", "error", err) // the service may well be there
	}
	if waiting { // to come before an earlier one could mean to be refused
		p.put(w, r, write, nil)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	p.pass(w, r.WithContext(context.WithValue(r.Context(), attemptKey{}, write)), policy)
}

// put keeps a write for later, because of cause or of an earlier one that waits.
func (p *proxy) put(w http.ResponseWriter, r *http.Request, write *deferral.Request, cause error) {
	taken, err := p.deferral.Defer(r.Context(), *write)
	if known, ok := errors.AsType[*problem.Problem](err); ok {
		problem.Write(w, r, known)
		return
	}
	if err != nil {
		problem.Write(w, r, p.upstream.Problem(errors.Join(cause, err)))
		return
	}
	slog.InfoContext(r.Context(), "deferred", "operation_id", taken.Id, "cause", cause)
	w.Header().Set("Location", "/catalog/v1/operations/"+taken.Id.String())
	writeJSON(w, http.StatusAccepted, taken)
}

// rewrite makes the request that the core service gets.
func (p *proxy) rewrite(r *httputil.ProxyRequest) {
	r.SetURL(p.target)
	r.Out.Host = p.target.Host
	for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"} { // Traefik's, about the client
		if values, ok := r.In.Header[name]; ok {
			r.Out.Header[name] = values
		}
	}
	r.Out.Header.Set("X-Request-Id", telemetry.FromContext(r.In.Context()).ID)
	for _, name := range []string{"Expect", "Upgrade", "Connection"} { // ReverseProxy passes an upgrade on
		r.Out.Header.Del(name)
	}
	r.Out.Trailer = nil              // the contract has read the body, and with it the trailers, which belong to none
	if p.upstream.Name() != "auth" { // others get to know who calls by the signed identity, and never hold what one could log in with
		r.Out.Header.Del("Authorization")
		r.Out.Header.Del("Cookie")
	}
}

// answer lets through what the core service said, and stops what somebody between said in its place, and an outage where
// the write can wait.
func (p *proxy) answer(resp *http.Response) error {
	resp.Header.Del("X-Request-Id") // this request has one, and the answer carries it already
	if !upstream.Out(resp, nil) {
		return nil
	}
	mediaType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if mediaType != "application/problem+json" || resp.Request.Context().Value(attemptKey{}) != nil {
		return &outage{resp.StatusCode}
	}
	return nil
}

// outage is an answer that means that nobody could answer.
type outage struct{ status int }

func (o *outage) Error() string { return fmt.Sprintf("nobody could answer: %d", o.status) }

func (p *proxy) fail(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(r.Context().Err(), context.Canceled) {
		return // the client went away
	}
	_, silent := errors.AsType[*outage](err)
	write, waits := r.Context().Value(attemptKey{}).(*deferral.Request)
	if waits && (silent || upstream.Out(nil, err)) && !errors.Is(err, upstream.ErrFull) {
		p.put(w, r, write, err)
		return
	}
	problem.Write(w, r, p.upstream.Problem(err))
}
