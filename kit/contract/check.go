package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"

	"github.com/healthe/healthe/kit/identity"
	"github.com/healthe/healthe/kit/postgres"
	"github.com/healthe/healthe/openapi/problem"
)

var (
	errNoIdentity = problem.Unauthenticated("Send an access token or a session token as Authorization: Bearer.")
	errNoScope    = problem.Forbidden("Your role or your token does not have the scope that this operation needs.")
)

// authorize returns who calls, if one of the operation's security requirements is met.
func (g *gate) authorize(r *http.Request) (identity.Identity, error) {
	if len(g.security) == 0 {
		return identity.Identity{}, nil
	}
	refusal := error(errNoIdentity)
	for _, requirement := range g.security {
		caller, err := identity.Identity{}, error(nil)
		met := true
		for name, scopes := range requirement {
			caller, err = g.schemes[name](r)
			switch {
			case err != nil:
				return caller, err
			case caller.Subject == "":
				met = false
			default:
				for _, scope := range scopes {
					if !caller.Has(scope) {
						met, refusal = false, errNoScope
					}
				}
			}
		}
		if met {
			return caller, nil
		}
	}
	return identity.Identity{}, refusal
}

// check compares the request with the contract. It leaves the body ready to be read again.
func (g *gate) check(w http.ResponseWriter, r *http.Request) error {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return problem.Invalid(problem.Field{Pointer: "/query", Detail: "The query cannot be decoded."})
	}
	var wrong []problem.Field
	for name, values := range query {
		switch {
		case !g.query[name]:
			wrong = append(wrong, problem.Field{Pointer: "/query/" + name, Detail: "There is no such parameter."})
		case strings.ContainsRune(strings.Join(values, ""), 0):
			wrong = append(wrong, problem.Field{Pointer: "/query/" + name, Detail: "A NUL character is not allowed."})
		case !utf8.ValidString(strings.Join(values, "")):
			wrong = append(wrong, problem.Field{Pointer: "/query/" + name, Detail: "The value is not UTF-8."})
		}
	}
	if len(wrong) > 0 {
		return problem.Invalid(wrong...)
	}
	if err := g.checkBody(w, r); err != nil {
		return err
	}
	params := make(map[string]string, len(g.pathNames))
	for _, name := range g.pathNames {
		params[name] = r.PathValue(name)
	}
	return openapi3filter.ValidateRequest(r.Context(), &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params, QueryParams: query, Route: g.route, Options: Options,
	})
}

// checkBody refuses what is no body of the operation at all: the wrong media type, too long,
// not JSON, or with characters that Postgres cannot hold.
func (g *gate) checkBody(w http.ResponseWriter, r *http.Request) error {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return nil // whether that is allowed, the contract says
	}
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if g.mediaTypes == nil {
		return problem.Invalid(problem.Field{Pointer: "", Detail: "This operation takes no body."})
	}
	if err != nil || !g.mediaTypes[mediaType] {
		return problem.UnsupportedMediaType()
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, g.bodyLimit))
	if _, tooLong := errors.AsType[*http.MaxBytesError](err); tooLong {
		return problem.TooLarge(g.bodyLimit)
	}
	if err != nil {
		return problem.Invalid(problem.Field{Pointer: "", Detail: "The body ended early."}).Because(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if strings.HasSuffix(mediaType, "json") {
		if !json.Valid(body) {
			return problem.Invalid(problem.Field{Pointer: "", Detail: "The body is not JSON."})
		}
		if bytes.Contains(body, []byte(`\u0000`)) && hasNUL(body) {
			return problem.Invalid(problem.Field{Pointer: "", Detail: "A NUL character is not allowed."})
		}
	}
	return nil
}

// hasNUL tells an escaped NUL from an escaped backslash that u0000 follows.
func hasNUL(body []byte) bool {
	var v any
	return json.Unmarshal(body, &v) == nil && holdsNUL(v)
}

func holdsNUL(v any) bool {
	switch v := v.(type) {
	case string:
		return strings.ContainsRune(v, 0)
	case []any:
		for _, e := range v {
			if holdsNUL(e) {
				return true
			}
		}
	case map[string]any:
		for k, e := range v {
			if strings.ContainsRune(k, 0) || holdsNUL(e) {
				return true
			}
		}
	}
	return false
}

// Refuse answers a request that could not be read. Generated code calls it too.
func Refuse(w http.ResponseWriter, r *http.Request, err error) {
	if _, ok := errors.AsType[*problem.Problem](err); !ok {
		err = problem.Invalid(fields(err)...) // drops err itself, which quotes the body
	}
	problem.Write(w, r, err)
}

// Fail answers a request whose operation failed. Generated code calls it.
func Fail(w http.ResponseWriter, r *http.Request, err error) {
	problem.Write(w, r, postgres.Explain(err))
}

// unknownProperty finds the name that kin-openapi puts into the reason and not into the pointer.
var unknownProperty = regexp.MustCompile(`^property "(.*)" is unsupported$`)

func fields(err error) []problem.Field {
	switch err := err.(type) {
	case openapi3.MultiError:
		var all []problem.Field
		for _, e := range err {
			all = append(all, fields(e)...)
		}
		return all
	case *openapi3filter.RequestError:
		if p := err.Parameter; p != nil {
			return []problem.Field{{Pointer: "/" + p.In + "/" + p.Name, Detail: parameterReason(err)}}
		}
		if err.Err != nil {
			return fields(err.Err)
		}
		return []problem.Field{{Pointer: "", Detail: err.Reason}}
	case *openapi3.SchemaError:
		at := err.JSONPointer()
		if unknown := unknownProperty.FindStringSubmatch(err.Reason); unknown != nil {
			at = append(at, unknown[1])
		}
		return []problem.Field{{Pointer: pointer(at), Detail: err.Reason}}
	}
	return []problem.Field{{Pointer: "", Detail: "The request does not match the contract."}}
}

// parameterReason finds the sentence that says what is wrong, and never the value.
func parameterReason(err *openapi3filter.RequestError) string {
	if schema, ok := errors.AsType[*openapi3.SchemaError](err.Err); ok {
		return schema.Reason
	}
	if err.Reason != "" {
		return err.Reason
	}
	return "The value cannot be read."
}

func pointer(path []string) string {
	if len(path) == 0 {
		return "" // the whole body
	}
	escape := strings.NewReplacer("~", "~0", "/", "~1")
	for i := range path {
		path[i] = escape.Replace(path[i])
	}
	return "/" + strings.Join(path, "/")
}
