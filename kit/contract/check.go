package contract

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
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

const maxFields = 50 // that one answer calls wrong: a body of thousands must not get a longer answer

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
	for _, name := range slices.Sorted(maps.Keys(query)) {
		values, repeatable := query[name], g.query[name] != nil && g.query[name].Schema.Value.Type.Is("array")
		switch {
		case g.query[name] == nil:
			wrong = append(wrong, problem.Field{Pointer: "/query/" + name, Detail: "There is no such parameter."})
		case len(values) > 1 && !repeatable:
			wrong = append(wrong, problem.Field{Pointer: "/query/" + name, Detail: "Give it once."})
		case strings.ContainsRune(strings.Join(values, ""), 0):
			wrong = append(wrong, problem.Field{Pointer: "/query/" + name, Detail: "A NUL character is not allowed."})
		case !utf8.ValidString(strings.Join(values, "")):
			wrong = append(wrong, problem.Field{Pointer: "/query/" + name, Detail: "The value is not UTF-8."})
		}
	}
	if len(wrong) > 0 {
		return problem.Invalid(wrong...)
	}
	options := *Options
	if options.ExcludeRequestBody, err = g.checkBody(w, r); err != nil {
		return err
	}
	params := make(map[string]string, len(g.pathNames))
	for _, name := range g.pathNames {
		params[name] = r.PathValue(name)
	}
	return openapi3filter.ValidateRequest(r.Context(), &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params, QueryParams: query, Route: g.route, Options: &options,
	})
}

// checkBody refuses what is no body of the operation at all: the wrong media type, too long,
// not JSON, or JSON that the validator, the decoder and Postgres would not all read alike. What is to be
// no JSON streams: it is read by the handler alone, which gets a *http.MaxBytesError where it is too long.
func (g *gate) checkBody(w http.ResponseWriter, r *http.Request) (streams bool, _ error) {
	if r.Body == nil || r.ContentLength == 0 {
		return false, nil // whether that is allowed, the contract says
	}
	r.Body = http.MaxBytesReader(w, r.Body, g.bodyLimit)
	mediaType, _, noType := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if g.mediaTypes[mediaType] && !strings.HasSuffix(mediaType, "json") && r.ContentLength <= g.bodyLimit {
		return true, nil
	}
	body, err := io.ReadAll(r.Body)
	if _, tooLong := errors.AsType[*http.MaxBytesError](err); tooLong {
		return false, problem.TooLarge(g.bodyLimit)
	}
	if err != nil {
		return false, problem.Invalid(problem.Field{Pointer: "", Detail: "The body ended early."}).Because(err)
	}
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil } // for who must send it again
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	switch {
	case len(body) == 0: // in chunks, of which there were none
		return false, nil
	case g.mediaTypes == nil:
		return false, problem.Invalid(problem.Field{Pointer: "", Detail: "This operation takes no body."})
	case noType != nil || !g.mediaTypes[mediaType]:
		return false, problem.UnsupportedMediaType()
	case !json.Valid(body):
		return false, problem.Invalid(problem.Field{Pointer: "", Detail: "The body is not JSON."})
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if bad := ambiguous(dec, ""); bad != nil {
		return false, problem.Invalid(*bad)
	}
	return false, nil
}

// ambiguous finds, in a valid JSON value at pointer, a NUL, which Postgres cannot hold, or a name that an object has twice:
// the validator sees the last of the two alone, the decoder merges them.
func ambiguous(dec *json.Decoder, pointer string) *problem.Field {
	token, _ := dec.Token()
	if s, ok := token.(string); ok && strings.ContainsRune(s, 0) {
		return &problem.Field{Pointer: pointer, Detail: "A NUL character is not allowed."}
	}
	begin, ok := token.(json.Delim)
	if !ok {
		return nil
	}
	seen := map[string]bool{}
	for i := 0; dec.More(); i++ {
		at := strconv.Itoa(i)
		if begin == '{' {
			name, _ := dec.Token()
			at = name.(string)
			if seen[at] || strings.ContainsRune(at, 0) {
				return &problem.Field{Pointer: pointer + "/" + escape.Replace(at), Detail: "A name must come once only, and hold no NUL."}
			}
			seen[at] = true
		}
		if bad := ambiguous(dec, pointer+"/"+escape.Replace(at)); bad != nil {
			return bad
		}
	}
	_, _ = dec.Token() // its end
	return nil
}

// Refuse answers a request that could not be read. Generated code calls it too.
func Refuse(w http.ResponseWriter, r *http.Request, err error) {
	if _, ok := errors.AsType[*problem.Problem](err); !ok {
		all := fields(err)
		err = problem.Invalid(all[:min(len(all), maxFields)]...) // drops err itself, which quotes the body
	}
	problem.Write(w, r, err)
}

// Fail answers a request whose operation failed. Generated code calls it.
func Fail(w http.ResponseWriter, r *http.Request, err error) {
	if tooLong, ok := errors.AsType[*http.MaxBytesError](err); ok { // found while it streamed
		err = problem.TooLarge(tooLong.Limit).Because(err)
	}
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
			detail := cmp.Or(err.Reason, "The value cannot be read.")
			if schema, ok := errors.AsType[*openapi3.SchemaError](err.Err); ok {
				detail = reason(schema)
			}
			return []problem.Field{{Pointer: "/" + p.In + "/" + p.Name, Detail: detail}}
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
		return []problem.Field{{Pointer: pointer(at), Detail: reason(err)}}
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok { // 30.0 is an integer to the validator alone
		return []problem.Field{{Pointer: pointer(strings.Split(wrong.Field, ".")), Detail: "This does not fit the type " + wrong.Type.String() + "."}}
	}
	return []problem.Field{{Pointer: "", Detail: "The request does not match the contract."}}
}

// reason leaves out how a format is checked, which helps nobody and may quote the value.
func reason(err *openapi3.SchemaError) string {
	if err.SchemaField != "format" {
		return err.Reason
	}
	short, _, _ := strings.Cut(err.Reason, " (")
	return short
}

var escape = strings.NewReplacer("~", "~0", "/", "~1")

func pointer(path []string) string {
	all := "" // the whole body
	for _, part := range path {
		all += "/" + escape.Replace(part)
	}
	return all
}
