package catalog

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/healthe/healthe/kit/contract"
	"github.com/healthe/healthe/openapi/appointment"
	"github.com/healthe/healthe/openapi/auth"
	api "github.com/healthe/healthe/openapi/catalog"
	"github.com/healthe/healthe/openapi/problem"
	"github.com/healthe/healthe/services/catalog/internal/circuits"
	"github.com/healthe/healthe/services/catalog/internal/deferral"
	"github.com/healthe/healthe/services/catalog/internal/upstream"
)

// coreServices are those whose public operations are served here, each under its own path.
var coreServices = []string{"appointment", "auth", "forum", "mailing"}

// contracts reads those of the core services, and what they say of resilience. The error lists every mistake in all of them.
func contracts() (map[string]*openapi3.T, map[string]*upstream.Policies, error) {
	docs, wrong := map[string]*openapi3.T{}, []error(nil)
	for _, name := range coreServices {
		doc, err := contract.Load(name)
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		docs[name] = doc
	}
	policies, err := upstream.PoliciesOf(docs)
	return docs, policies, errors.Join(append(wrong, err)...)
}

// gateway finds who answers for a path by its first part, which is the name of the service.
type gateway map[string]http.Handler

func newHandler(ways map[string]*way, d *deferral.Deferral, c *circuits.Circuits, schemes contract.Schemes) (http.Handler, error) {
	all := gateway{}
	for _, name := range coreServices {
		var err error
		if all[name], err = newProxy(ways[name], d, schemes); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	own, err := newComposites(ways, d, c)
	if err != nil {
		return nil, err
	}
	all["catalog"], err = contract.Handler("catalog", schemes, own)
	return all, err
}

// newComposites makes calls of its own the way that everyone's go.
func newComposites(ways map[string]*way, d *deferral.Deferral, c *circuits.Circuits) (http.Handler, error) {
	people, err := auth.NewClientWithResponses(ways["auth"].target.String(), auth.WithRequestEditorFn(withCaller),
		auth.WithHTTPClient(&http.Client{Transport: ways["auth"]}))
	if err != nil {
		return nil, err
	}
	calendar, err := appointment.NewClientWithResponses(ways["appointment"].target.String(), appointment.WithRequestEditorFn(withCaller),
		appointment.WithHTTPClient(&http.Client{Transport: ways["appointment"]}))
	if err != nil {
		return nil, err
	}
	server := &composites{Circuits: c, operations: operations{d}, auth: people, appointment: calendar}
	strict := api.NewStrictHandlerWithOptions(server, nil, api.StrictHTTPServerOptions{
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

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
