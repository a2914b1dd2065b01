package catalog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"net/http/httputil"
	"net/url"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/healthe/healthe/kit/contract"
	"github.com/healthe/healthe/kit/telemetry"
	"github.com/healthe/healthe/openapi/problem"
)

// newProxy serves the public operations of one core service from its contract: what breaks the contract is refused here,
// the rest goes to the service. No operation is written down here.
func newProxy(u *upstream, target *url.URL, schemes contract.Schemes) (http.Handler, error) {
	doc, err := contract.Load(u.name)
	if err != nil {
		return nil, err
	}
	return contract.HandlerOf(publicPart(doc), schemes, &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { u.rewrite(r, target) },
		Transport:      u,
		ModifyResponse: u.answer,
		ErrorHandler:   u.fail,
		ErrorLog:       slog.NewLogLogger(slog.Default().Handler(), slog.LevelWarn), // an answer that broke off
	})
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

// rewrite makes the request that the core service gets.
func (u *upstream) rewrite(r *httputil.ProxyRequest, target *url.URL) {
	r.SetURL(target)
	r.Out.Host = target.Host
	for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"} { // Traefik's, about the client
		if values, ok := r.In.Header[name]; ok {
			r.Out.Header[name] = values
		}
	}
	r.Out.Header.Set("X-Request-Id", telemetry.FromContext(r.In.Context()).ID)
	r.Out.Header.Del("Expect") // the contract has read the body, and with it the trailers, which belong to none
	r.Out.Trailer = nil
	if u.name != "auth" { // others get to know who calls by the signed identity, and never hold what one could log in with
		r.Out.Header.Del("Authorization")
		r.Out.Header.Del("Cookie")
	}
}

// answer lets through what the core service said, and stops what somebody between said in its place.
func (u *upstream) answer(resp *http.Response) error {
	resp.Header.Del("X-Request-Id") // this request has one, and the answer carries it already
	if mediaType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); outage(resp) && mediaType != "application/problem+json" {
		return fmt.Errorf("no answer of its own: %s", resp.Status)
	}
	return nil
}

func (u *upstream) fail(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(r.Context().Err(), context.Canceled) {
		return // the client went away
	}
	problem.Write(w, r, u.problem(err))
}
