package problem

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHandler(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer  http.HandlerFunc
		status  int
		mime    string
		body    string // the whole body, or "" for a problem of the given status
		waiting string
	}{
		"makes plain text errors problems": {
			func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no available server", 503) },
			503, "application/problem+json", "", "1",
		},
		"makes errors without a body problems": {
			func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502) },
			502, "application/problem+json", "", "1",
		},
		"keeps a Retry-After": {
			func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", "7")
				http.Error(w, "Too Many Requests", 429)
			},
			429, "application/problem+json", "", "7",
		},
		"leaves the problems of services alone": {
			func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/problem+json")
				w.WriteHeader(503)
				_, _ = w.Write([]byte(`{"detail":"mine"}`))
			},
			503, "application/problem+json", `{"detail":"mine"}`, "",
		},
		"leaves good answers alone": {
			func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				_, _ = w.Write([]byte("hello"))
			},
			200, "text/html", "hello", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			Handler(c.answer).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
			if w.Code != c.status || w.Header().Get("Content-Type") != c.mime || w.Header().Get("Retry-After") != c.waiting {
				t.Errorf("got %d %v", w.Code, w.Header())
			}
			if c.body != "" {
				if w.Body.String() != c.body {
					t.Errorf("body %q", w.Body)
				}
				return
			}
			var doc document
			if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil || doc.Status != c.status ||
				doc.Instance != "urn:request:"+w.Header().Get(requestID) {
				t.Errorf("%v: %s", err, w.Body)
			}
		})
	}
}

func TestHandlerGivesRequestsAnID(t *testing.T) {
	t.Parallel()
	for sent, kept := range map[string]bool{"": false, "abc-1234": true, "short": false, "two\nlines": false, strings.Repeat("x", 65): false} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set(requestID, sent)
		var got string
		Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header.Get(requestID) })).
			ServeHTTP(httptest.NewRecorder(), r)
		if got == "" || (got == sent) != kept {
			t.Errorf("%q became %q", sent, got)
		}
	}
}
