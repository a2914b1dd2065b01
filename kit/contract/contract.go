// Package contract holds a service to its OpenAPI document: who may call an operation and
// what a request must look like is decided here, from the document, before a handler runs.
// In tests, kittest/contracttest does the same for responses.
package contract

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"github.com/healthe/healthe/kit/identity"
	"github.com/healthe/healthe/kit/telemetry"
	"github.com/healthe/healthe/openapi"
	"github.com/healthe/healthe/openapi/problem"
)

// Options are how strictly messages are checked.
var Options = &openapi3filter.Options{
	MultiError:            true,
	IncludeResponseStatus: true,
	AuthenticationFunc:    openapi3filter.NoopAuthenticationFunc, // this package decides, from the same document
}

func init() { // kin-openapi leaves the first unchecked and the others to loose patterns
	openapi3.DefineStringFormatValidator("uuid", openapi3.NewRegexpFormatValidator(openapi3.FormatOfStringForUUIDOfRFC9562))
	openapi3.DefineStringFormatValidator("byte", openapi3.NewCallbackValidator(func(s string) error {
		_, err := base64.StdEncoding.DecodeString(s)
		return err
	}))
	openapi3.DefineStringFormatValidator("date", openapi3.NewCallbackValidator(func(s string) error {
		_, err := time.Parse(time.DateOnly, s)
		return err
	}))
	openapi3.DefineStringFormatValidator("date-time", openapi3.NewCallbackValidator(func(s string) error {
		t, err := time.Parse(time.RFC3339, s)
		if err == nil && t.Year() < 1 {
			err = fmt.Errorf("year %d does not exist", t.Year())
		}
		return err
	}))
}

// Load returns the document of one service, with its references resolved.
func Load(service string) (*openapi3.T, error) {
	loader := openapi3.NewLoader()
	loader.IsExternalRefsAllowed = true
	loader.ReadFromURIFunc = func(_ *openapi3.Loader, uri *url.URL) ([]byte, error) {
		return openapi.Files.ReadFile(uri.Path)
	}
	doc, err := loader.LoadFromURI(&url.URL{Path: service + ".yaml"})
	if err != nil {
		return nil, fmt.Errorf("contract %s: %w", service, err)
	}
	return doc, doc.Validate(context.Background())
}

// Authenticate finds out who sends a request. A request that says nothing is no error and
// returns the zero Identity; one that says something false is refused.
type Authenticate func(*http.Request) (identity.Identity, error)

// Schemes are the ways to authenticate, by their names in the contract.
type Schemes map[string]Authenticate

// Operation is what the contract says of the request at hand.
type Operation struct {
	ID         string
	Doc        *openapi3.Operation
	URL        *url.URL
	Idempotent bool // takes an Idempotency-Key
}

type operationKey struct{}

// Current returns the operation that ctx serves.
func Current(ctx context.Context) (Operation, bool) {
	op, ok := ctx.Value(operationKey{}).(Operation)
	return op, ok
}

// Handler lets only requests reach next that the contract of service allows.
func Handler(service string, schemes Schemes, next http.Handler) (http.Handler, error) {
	doc, err := Load(service)
	if err != nil {
		return nil, err
	}
	return HandlerOf(doc, schemes, next)
}

// HandlerOf does the same for a document at hand.
func HandlerOf(doc *openapi3.T, schemes Schemes, next http.Handler) (http.Handler, error) {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { problem.Write(w, r, problem.NotFound("Path")) })
	for pattern, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			g, err := newGate(doc, pattern, method, op)
			if err != nil {
				return nil, err
			}
			g.schemes, g.next = schemes, next
			if err := g.knowsSchemes(); err != nil {
				return nil, err
			}
			mux.Handle(method+" "+pattern, g)
		}
		allow := strings.Join(slices.Sorted(maps.Keys(item.Operations())), ", ")
		if item.Get != nil {
			allow += ", " + http.MethodHead
		}
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Allow", allow)
			problem.Write(w, r, problem.MethodNotAllowed())
		})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The mux would redirect such a path to its clean form; an API client means what it says.
		if p := r.URL.Path; p == "" || p[0] != '/' || path.Clean(p) != p {
			problem.Write(w, r, problem.NotFound("Path"))
			return
		}
		mux.ServeHTTP(w, r)
	}), nil
}

// gate checks the requests for one operation.
type gate struct {
	route      *routers.Route
	op         Operation
	security   openapi3.SecurityRequirements
	query      map[string]*openapi3.Parameter
	pathNames  []string
	bodyLimit  int64
	schemes    Schemes
	next       http.Handler
	mediaTypes map[string]bool // nil: takes no body
}

func newGate(doc *openapi3.T, pattern, method string, op *openapi3.Operation) (*gate, error) {
	item := doc.Paths.Value(pattern)
	g := &gate{
		route:     &routers.Route{Spec: doc, Path: pattern, PathItem: item, Method: method, Operation: op, Server: &openapi3.Server{}},
		op:        Operation{ID: op.OperationID, Doc: op},
		query:     map[string]*openapi3.Parameter{},
		bodyLimit: 1 << 20,
	}
	for _, ref := range append(append(openapi3.Parameters{}, item.Parameters...), op.Parameters...) {
		switch p := ref.Value; {
		case p.In == "query":
			g.query[p.Name] = p
		case p.In == "path":
			g.pathNames = append(g.pathNames, p.Name)
		case p.In == "header" && p.Name == "Idempotency-Key":
			g.op.Idempotent = true
		}
	}
	switch {
	case op.Security != nil:
		g.security = *op.Security
	case doc.Security != nil:
		g.security = doc.Security
	default:
		return nil, fmt.Errorf("operation %s: says nothing of its security; write `security: []` where anyone may call it", op.OperationID)
	}
	// Who may be nobody is still asked for a name first, and a false one is refused.
	g.security = slices.SortedStableFunc(slices.Values(g.security), func(a, b openapi3.SecurityRequirement) int { return len(b) - len(a) })
	if limit, ok := op.Extensions["x-healthe-body-limit"].(float64); ok {
		g.bodyLimit = int64(limit)
	}
	if op.RequestBody != nil {
		g.mediaTypes = map[string]bool{}
		for mediaType := range op.RequestBody.Value.Content {
			g.mediaTypes[mediaType] = true
		}
	}
	return g, nil
}

func (g *gate) knowsSchemes() error {
	for _, requirement := range g.security {
		for name := range requirement {
			if g.schemes[name] == nil {
				return fmt.Errorf("operation %s: nothing checks the security scheme %q", g.op.ID, name)
			}
		}
	}
	return nil
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	telemetry.FromContext(r.Context()).Operation = g.op.ID
	caller, err := g.authorize(r)
	if err == nil {
		err = g.check(w, r)
	}
	if err != nil {
		Refuse(w, r, err)
		return
	}
	op := g.op
	op.URL = r.URL
	ctx := context.WithValue(identity.NewContext(r.Context(), caller), operationKey{}, op)
	g.next.ServeHTTP(w, r.WithContext(ctx))
}

// Private keeps what only someone known may read out of every cache, unless the contract lets the catalog keep copies of it
// for them. Where a copy is good for a while, nothing is said here, and the catalog has clients ask each time.
func Private(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		op, _ := Current(r.Context())
		resilience, _ := op.Doc.Extensions["x-healthe-resilience"].(map[string]any)
		cache, kept := resilience["cache"].(map[string]any)
		switch {
		case identity.Caller(r.Context()).Subject == "":
		case !kept:
			w.Header().Set("Cache-Control", "no-store")
		case cache["ttl"] == "0s":
			w.Header().Set("Cache-Control", "private, max-age=0")
		}
		next.ServeHTTP(w, r)
	})
}
