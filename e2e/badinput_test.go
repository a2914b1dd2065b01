package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// MAIL-3, APP-17: whatever is wrong with a request, the answer is a problem that names it, from every operation
// there is. The cases are made from the contracts, so that a new operation is tested by being written down.
func TestBadInputIsRefusedByEveryOperation(t *testing.T) {
	t.Parallel()

	p := shared(t)
	for _, o := range operations(t) {
		if o.internal {
			continue
		}
		t.Run(o.service+"/"+o.id, func(t *testing.T) {
			t.Parallel()
			c := p.person(t, "doctor", "admin", "moderator")
			for _, bad := range o.badBodies() {
				bad.checkedBy(t, c.do(t, o.method, o.url(), bad.body, bad.edits...))
			}
			for _, bad := range o.badParameters() {
				bad.checkedBy(t, c.do(t, o.method, bad.url, o.example(), bad.edits...))
			}
			c.get(t, me).wants(t, http.StatusOK) // nothing of it was done
		})
	}
}

// badRequest is a request with one mistake.
type badRequest struct {
	what    string
	url     string
	body    any
	edits   []edit
	status  int
	pointer string // of the mistake
	whole   bool   // no single field is to blame
}

func (b badRequest) checkedBy(t *testing.T, got answer) {
	t.Helper()
	if got.StatusCode != b.status {
		t.Errorf("%s: want %d, have %s", b.what, b.status, got)
		return
	}
	p, err := got.problem()
	if err != nil {
		t.Errorf("%s: %s: %v", b.what, got, err)
		return
	}
	if b.whole || b.status != http.StatusBadRequest {
		return
	}
	for _, field := range p.Errors {
		if field.Pointer == b.pointer && field.Detail != "" {
			return
		}
	}
	t.Errorf("%s: %s does not name %q", b.what, got, b.pointer)
}

// badBodies are bodies that break the contract, each in one way.
func (o operation) badBodies() []badRequest {
	if o.doc.RequestBody == nil {
		return []badRequest{{what: "a body where none belongs", body: map[string]string{"a": "b"}, status: http.StatusBadRequest, whole: true}}
	}
	body := o.doc.RequestBody.Value
	text, _ := json.Marshal(o.example())
	limit := 1 << 20
	if more, ok := o.doc.Extensions["x-healthe-body-limit"].(float64); ok {
		limit = int(more)
	}
	whole := func(what string, body []byte) badRequest {
		return badRequest{what: what, body: body, status: http.StatusBadRequest, whole: true}
	}
	typed := func(mediaType string) badRequest {
		return badRequest{what: "content type " + mediaType, body: text, status: http.StatusUnsupportedMediaType, edits: []edit{header("Content-Type", mediaType)}}
	}
	all := []badRequest{
		whole("half an object", []byte(`{"a":`)),
		whole("no JSON", []byte("not json")),
		whole("two documents", slices.Concat(text, text)),
		whole("an array", []byte("[]")),
		whole("a string", []byte(`"text"`)),
		whole("null", []byte("null")),
		whole("deep arrays", bytes.Repeat([]byte("["), 100_000)),
		whole("deep objects", []byte(strings.Repeat(`{"a":`, 20_000)+"1"+strings.Repeat("}", 20_000))),
		whole("an unknown property of deep arrays", []byte(`{"deep":`+strings.Repeat("[", 5_000)+strings.Repeat("]", 5_000)+"}")),
		whole("a NUL byte", slices.Concat([]byte{0}, text)),
		whole("a byte order mark", slices.Concat([]byte("\xef\xbb\xbf"), text)),
		whole("UTF-16", []byte("\xff\xfe{\x00}\x00")),
		typed("text/plain"), typed("application/xml"), typed("application/x-www-form-urlencoded"), typed("multipart/form-data; boundary=x"),
		typed("application/jsonp"), typed(""), typed(";"), typed("application/json, text/plain"),
		{what: "an oversized body", body: slices.Concat(text[:len(text)-1], bytes.Repeat([]byte(" "), limit), []byte("}")), status: http.StatusRequestEntityTooLarge},
	}
	if body.Required {
		all = append(all, badRequest{what: "no body", body: nil, status: http.StatusBadRequest, whole: true})
	}
	for _, m := range mistakes("", body.Content["application/json"].Schema.Value, o.example(), true) {
		all = append(all, badRequest{what: fmt.Sprintf("%s: %s", m.pointer, m.what), body: put(o.example(), m.pointer, m.value), status: http.StatusBadRequest, pointer: m.pointer})
	}
	return all
}

// badParameters are paths, queries and headers that break the contract, each in one way.
func (o operation) badParameters() []badRequest {
	invalid := func(what, url, pointer string, edits ...edit) badRequest {
		return badRequest{what: what, url: url, status: http.StatusBadRequest, pointer: pointer, edits: edits}
	}
	and := "?"
	if strings.Contains(o.url(), "?") {
		and = "&"
	}
	all := []badRequest{
		invalid("an unknown parameter", o.url()+and+"no_such_parameter=1", "/query/no_such_parameter"),
		invalid("a parameter in capitals", o.url()+and+"LIMIT=1", "/query/LIMIT"),
	}
	undecodable := invalid("a query that cannot be decoded", o.url()+and+"limit=%zz", "/query")
	undecodable.whole = true
	all = append(all, undecodable)
	for _, param := range o.parameters {
		at := "/" + param.In + "/" + param.Name
		for _, m := range mistakes(at, param.Schema.Value, nil, false) {
			text, isText := m.value.(string)
			if !isText {
				continue
			}
			switch param.In {
			case "header":
				if printable(text) {
					all = append(all, invalid(param.Name+": "+m.what, o.url(), at, header(param.Name, text)))
				}
			case "path":
				if text != "" {
					all = append(all, invalid(param.Name+": "+m.what, o.urlWith(param.Name, escape(text)), at))
				}
			default:
				all = append(all, invalid(param.Name+": "+m.what, o.urlWith(param.Name, escape(text)), at))
			}
		}
		if param.In == "query" && param.Required {
			all = append(all, invalid("without "+param.Name, without(o.url(), param.Name), at))
		}
	}
	return all
}

func printable(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
}

// without takes a parameter out of a query.
func without(url, name string) string {
	path, query, _ := strings.Cut(url, "?")
	kept := slices.DeleteFunc(strings.Split(query, "&"), func(pair string) bool { return strings.HasPrefix(pair, name+"=") })
	return path + "?" + strings.Join(kept, "&")
}

// Anything that anyone may think of, whether the contract allows it or not, is answered and breaks nothing.
func TestNoInputBreaksAnOperation(t *testing.T) {
	t.Parallel()

	p := shared(t)
	for _, o := range operations(t) {
		if o.internal {
			continue
		}
		t.Run(o.service+"/"+o.id, func(t *testing.T) {
			t.Parallel()
			s := p.newScene(t, o)
			send := func(what, url string, body any, edits ...edit) {
				got := s.caller.do(t, o.method, url, body, edits...)
				if got.StatusCode >= http.StatusInternalServerError || got.StatusCode == http.StatusTooManyRequests && o.doc.Responses.Value("429") == nil {
					t.Errorf("%s: %s", what, got)
				} else if got.StatusCode >= http.StatusBadRequest {
					if _, err := got.problem(); err != nil {
						t.Errorf("%s: %s: %v", what, got, err)
					}
				}
				if got.StatusCode == http.StatusUnauthorized && o.secured || got.StatusCode == http.StatusTooManyRequests { // it logs out, or deletes the account; or that is all it may for now
					s = p.newScene(t, o)
				}
			}
			for _, param := range o.parameters {
				for _, odd := range oddTexts(param.Schema.Value) {
					what := fmt.Sprintf("%s = %.40q", param.Name, odd)
					if param.In != "header" {
						send(what, s.url(o, param.Name, escape(odd)), s.example(o))
					} else if printable(odd) {
						send(what, s.url(o, "", ""), s.example(o), header(param.Name, odd))
					}
				}
			}
			if o.doc.RequestBody == nil {
				send("as it should be", s.url(o, "", ""), nil)
				return
			}
			schema := o.doc.RequestBody.Value.Content["application/json"].Schema.Value
			for _, odd := range oddValues("", schema, s.example(o)) {
				send(fmt.Sprintf("%s = %.60v", odd.pointer, odd.value), s.url(o, "", ""), put(s.example(o), odd.pointer, odd.value))
			}
		})
	}
}

// what is refused names the mistake and repeats nothing of the request.
func TestARefusalRepeatsNothingOfTheRequest(t *testing.T) {
	t.Parallel()

	c := shared(t).person(t, "admin", "moderator")
	for _, o := range operations(t) {
		if o.internal || o.doc.RequestBody == nil {
			continue
		}
		schema := o.doc.RequestBody.Value.Content["application/json"].Schema.Value
		for name := range schema.Properties {
			secret := unique("secret")
			got := c.do(t, o.method, o.url(), put(o.example(), "/"+name, map[string]any{"odd": secret + "\x7f"}))
			require.NotContains(t, string(got.body), secret, "%s", o.id)
		}
	}
}
