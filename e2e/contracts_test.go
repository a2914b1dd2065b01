package e2e

import (
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/openapi"
)

// operation is one line of a contract, with all that a test needs to call it.
type operation struct {
	service, id, method, path string
	doc                       *openapi3.Operation
	parameters                []*openapi3.Parameter
	internal                  bool // not for clients
	secured                   bool // needs somebody
}

// contracts reads every operation of every contract, the order being always the same.
var contracts = sync.OnceValues(func() ([]operation, error) {
	files, err := openapi.Files.ReadDir(".")
	if err != nil {
		return nil, err
	}
	var all []operation
	for _, f := range files {
		service := strings.TrimSuffix(f.Name(), filepath.Ext(f.Name()))
		loader := openapi3.NewLoader()
		loader.IsExternalRefsAllowed = true
		loader.ReadFromURIFunc = func(_ *openapi3.Loader, u *url.URL) ([]byte, error) { return openapi.Files.ReadFile(u.Path) }
		doc, err := loader.LoadFromURI(&url.URL{Path: f.Name()})
		if err != nil {
			return nil, err
		}
		for path, item := range doc.Paths.Map() {
			for method, op := range item.Operations() {
				o := operation{service: service, id: op.OperationID, method: method, path: path, doc: op}
				for _, ref := range slices.Concat(item.Parameters, op.Parameters) {
					o.parameters = append(o.parameters, ref.Value)
				}
				o.internal, _ = op.Extensions["x-healthe-internal"].(bool)
				o.secured = op.Security != nil && len(*op.Security) > 0 &&
					!slices.ContainsFunc(*op.Security, func(r openapi3.SecurityRequirement) bool { return len(r) == 0 })
				all = append(all, o)
			}
		}
	}
	slices.SortFunc(all, func(a, b operation) int { return strings.Compare(a.service+a.id, b.service+b.id) })
	return all, nil
})

func operations(t *testing.T) []operation {
	t.Helper()
	all, err := contracts()
	require.NoError(t, err)
	require.NotEmpty(t, all)
	return all
}

// url is the operation's path with identifiers of things that do not exist, and the query that it must have.
func (o operation) url() string {
	return o.urlWith("", "")
}

// urlWith puts value, already encoded, in place of one parameter of the path or query.
func (o operation) urlWith(name, value string) string {
	path, query := o.path, ""
	for _, p := range o.parameters {
		text, given := url.QueryEscape(plausible(p.Schema.Value)), p.Required
		if p.Name == name {
			text, given = value, true
		}
		switch {
		case p.In == "path":
			path = strings.ReplaceAll(path, "{"+p.Name+"}", text)
		case p.In == "query" && given:
			query += "&" + p.Name + "=" + text
		}
	}
	if query == "" {
		return path
	}
	return path + "?" + query[1:]
}

// plausible is a value that a parameter may have.
func plausible(s *openapi3.Schema) string {
	switch {
	case len(s.Enum) > 0:
		return s.Enum[0].(string)
	case s.Format == "uuid":
		return uuid.NewString()
	case s.Format == "date":
		return "2030-05-04"
	case s.Format == "date-time":
		return "2030-05-04T07:30:00Z"
	case s.Type.Is("string"):
		return strings.Repeat("a", int(max(1, s.MinLength)))
	}
	return "1"
}

// example is the body that the contract shows, or nil for an operation without one.
func (o operation) example() any {
	if o.doc.RequestBody == nil {
		return nil
	}
	return o.doc.RequestBody.Value.Content["application/json"].Example
}
