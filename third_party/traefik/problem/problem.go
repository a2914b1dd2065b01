// Package problem makes Traefik's own errors application/problem+json (RFC 9457).
//
// Traefik's errors middleware cannot: it replaces by status alone, so that the 503 of a service, with its
// details, would be lost too, and it needs one more server that never fails. This handler is compiled in,
// around each entry point, and touches only errors that are plain text or have no type at all.
package problem

import (
	"bufio"
	"crypto/rand"
	"encoding/json"
	"net"
	"net/http"
	"strings"
)

const (
	base      = "https://healthe.dev/problems/"
	requestID = "X-Request-Id"
)

type document struct {
	Type     string `json:"type"`
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Detail   string `json:"detail,omitempty"`
	Instance string `json:"instance"`
}

// documents has the words for what Traefik answers by itself; other statuses get those of net/http.
var documents = map[int]document{
	http.StatusNotFound:           {Type: "not-found", Title: "Not found", Detail: "There is nothing at this path."},
	http.StatusTooManyRequests:    {Type: "too-many-requests", Title: "Too many requests", Detail: "Wait before trying again; see Retry-After."},
	http.StatusBadGateway:         {Type: "unavailable", Title: "Unavailable", Detail: "The service is not available at the moment."},
	http.StatusServiceUnavailable: {Type: "unavailable", Title: "Unavailable", Detail: "The service is not available at the moment."},
	http.StatusGatewayTimeout:     {Type: "timeout", Title: "Timeout", Detail: "The answer took too long."},
}

// Handler gives every request an id, and every error that next answers in plain text the form of a problem.
func Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(requestID)
		if !plausible(id) {
			id = rand.Text()
			r.Header.Set(requestID, id)
		}
		next.ServeHTTP(&writer{ResponseWriter: w, id: id}, r)
	})
}

// plausible keeps what a client sends as an id from filling logs or faking lines in them.
func plausible(id string) bool {
	return len(id) >= 8 && len(id) <= 64 && !strings.ContainsFunc(id, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '-' && r != '_' && r != '.'
	})
}

type writer struct {
	http.ResponseWriter
	id       string
	wrote    bool
	replaced bool // the body was written by us: what follows of the old one is dropped
}

func (w *writer) WriteHeader(status int) {
	if w.wrote || status < http.StatusOK { // 1xx may come any number of times
		w.ResponseWriter.WriteHeader(status)
		return
	}
	w.wrote = true
	h := w.Header()
	if h.Get(requestID) == "" {
		h.Set(requestID, w.id)
	}
	if !ownError(status, h.Get("Content-Type")) {
		w.ResponseWriter.WriteHeader(status)
		return
	}
	w.replaced = true
	doc, ok := documents[status]
	if !ok {
		doc = document{Type: "about:blank", Title: http.StatusText(status)}
	} else {
		doc.Type = base + doc.Type
	}
	doc.Status, doc.Instance = status, "urn:request:"+w.id
	body, _ := json.Marshal(doc) // strings and a number: cannot fail
	for _, name := range []string{"Content-Length", "Content-Encoding", "ETag", "Last-Modified"} {
		h.Del(name) // they described the old body
	}
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	if retryable(status) && h.Get("Retry-After") == "" {
		h.Set("Retry-After", "1")
	}
	w.ResponseWriter.WriteHeader(status)
	_, _ = w.ResponseWriter.Write(append(body, '\n'))
}

func (w *writer) Write(b []byte) (int, error) {
	if !w.wrote {
		w.WriteHeader(http.StatusOK)
	}
	if w.replaced {
		return len(b), nil
	}
	return w.ResponseWriter.Write(b)
}

// Flush is for what looks for an http.Flusher itself instead of asking a ResponseController.
func (w *writer) Flush() {
	if !w.wrote {
		w.WriteHeader(http.StatusOK)
	}
	_ = http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack is for what looks for an http.Hijacker itself: WebSockets.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(w.ResponseWriter).Hijack()
}

// Unwrap lets http.ResponseController reach what the connection can do (deadlines, full duplex).
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func ownError(status int, contentType string) bool {
	return status >= http.StatusBadRequest && (contentType == "" || strings.HasPrefix(contentType, "text/plain"))
}

func retryable(status int) bool {
	return status == http.StatusTooManyRequests || status == http.StatusBadGateway ||
		status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout
}
