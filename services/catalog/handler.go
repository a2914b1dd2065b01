package catalog

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/healthe/healthe/kit/contract"
	"github.com/healthe/healthe/openapi/appointment"
	"github.com/healthe/healthe/openapi/auth"
	api "github.com/healthe/healthe/openapi/catalog"
	"github.com/healthe/healthe/openapi/problem"
)

// coreServices are those whose public operations are served here.
var coreServices = []string{"appointment", "auth", "mailing"}

// gateway finds the service that a path belongs to: its first part.
type gateway map[string]http.Handler

func newHandler(target *url.URL, schemes contract.Schemes, p policy) (http.Handler, error) {
	all, upstreams := gateway{}, map[string]*upstream{}
	for _, name := range coreServices {
		upstreams[name] = newUpstream(name, p)
		proxy, err := newProxy(upstreams[name], target, schemes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all[name] = proxy
	}
	own, err := newComposites(target, upstreams)
	if err != nil {
		return nil, err
	}
	all["catalog"], err = contract.Handler("catalog", schemes, own)
	return all, err
}

// newComposites makes calls of its own through the same circuits as everyone's.
func newComposites(target *url.URL, upstreams map[string]*upstream) (http.Handler, error) {
	people, err := auth.NewClientWithResponses(target.String(), auth.WithRequestEditorFn(withCaller),
		auth.WithHTTPClient(&http.Client{Transport: upstreams["auth"]}))
	if err != nil {
		return nil, err
	}
	calendar, err := appointment.NewClientWithResponses(target.String(), appointment.WithRequestEditorFn(withCaller),
		appointment.WithHTTPClient(&http.Client{Transport: upstreams["appointment"]}))
	if err != nil {
		return nil, err
	}
	strict := api.NewStrictHandlerWithOptions(&composites{auth: people, appointment: calendar}, nil, api.StrictHTTPServerOptions{
		RequestErrorHandlerFunc:  contract.Refuse,
		ResponseErrorHandlerFunc: contract.Fail,
	})
	return asCaller(api.HandlerWithOptions(strict, api.StdHTTPServerOptions{ErrorHandlerFunc: contract.Refuse})), nil
}

func (g gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	next, ok := g[name]
	if !ok {
		problem.Write(w, r, problem.NotFound("Path"))
		return
	}
	next.ServeHTTP(w, r)
}
