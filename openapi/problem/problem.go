// Package problem is the platform's one error model: RFC 9457 problem details.
//
// A failure is declared once, next to the rule it protects, in words the caller
// may read. What caused it travels along for the log and never leaves the process.
package problem

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"
)

// Base prefixes every problem type; each has a section in docs/problems.md.
const Base = "https://healthe.dev/problems/"

// Problem is the error a handler returns, the body on the wire and what a client gets back.
type Problem struct {
	Type     string  `json:"type"`
	Title    string  `json:"title"`
	Status   int     `json:"status"`
	Detail   string  `json:"detail,omitempty"`
	Instance string  `json:"instance,omitempty"` // urn:request:<X-Request-Id>, for bug reports
	Errors   []Field `json:"errors,omitempty"`

	cause      error
	retryAfter time.Duration
	challenge  string
}

// Field points at one invalid part of a request: a JSON Pointer into the body, or
// "/query/limit", "/path/id", "/header/If-Match".
type Field struct {
	Pointer string `json:"pointer"`
	Detail  string `json:"detail"`
}

// New declares a problem. slug names its section in docs/problems.md.
func New(status int, slug, title, detail string) *Problem {
	p := &Problem{Type: Base + slug, Title: title, Status: status, Detail: detail}
	if status == http.StatusUnauthorized {
		p.challenge = `Bearer realm="healthe"` // RFC 9110, 15.5.2: a 401 says how
	}
	return p
}

// Invalid says which parts of the request are wrong (400).
func Invalid(fields ...Field) *Problem {
	p := New(http.StatusBadRequest, "invalid", "Invalid request", "The request does not match the contract; see errors.")
	p.Errors = fields
	return p
}

// Unauthenticated says that the caller must say who they are (401).
func Unauthenticated(detail string) *Problem {
	return New(http.StatusUnauthorized, "unauthenticated", "Not authenticated", detail)
}

// Forbidden says that the caller is known and still may not do this (403).
func Forbidden(detail string) *Problem {
	return New(http.StatusForbidden, "forbidden", "Forbidden", detail)
}

// NotFound says that the thing does not exist, or that the caller may not know it does (404).
func NotFound(thing string) *Problem {
	return New(http.StatusNotFound, "not-found", "Not found", thing+" not found.")
}

// MethodNotAllowed says that the path exists and this method on it does not (405).
func MethodNotAllowed() *Problem {
	return New(http.StatusMethodNotAllowed, "method-not-allowed", "Method not allowed", "This path does not know the method.")
}

// Conflict says that the request is sound but the current state refuses it (409).
func Conflict(slug, detail string) *Problem {
	return New(http.StatusConflict, slug, "Conflict", detail)
}

// PreconditionFailed says that someone else changed the thing first (412).
func PreconditionFailed() *Problem {
	return New(http.StatusPreconditionFailed, "precondition-failed", "Changed meanwhile", "Someone changed this since you read it; read it again.")
}

// TooLarge says that the body is over the limit in bytes (413).
func TooLarge(limit int64) *Problem {
	return New(http.StatusRequestEntityTooLarge, "too-large", "Body too large", fmt.Sprintf("The body may have at most %d bytes.", limit))
}

// UnsupportedMediaType says that the body's content type is not one of the operation's (415).
func UnsupportedMediaType() *Problem {
	return New(http.StatusUnsupportedMediaType, "unsupported-media-type", "Unsupported media type", "The operation does not take this Content-Type.")
}

// TooManyRequests asks the caller to slow down (429).
func TooManyRequests(retryAfter time.Duration) *Problem {
	return New(http.StatusTooManyRequests, "too-many-requests", "Too many requests", "Wait before trying again; see Retry-After.").RetryAfter(retryAfter)
}

// Unavailable says that something this service needs is down; retrying may work (503).
func Unavailable(what string) *Problem {
	return New(http.StatusServiceUnavailable, "unavailable", "Unavailable", what+" is not available at the moment.").RetryAfter(time.Second)
}

// Timeout says that the answer took longer than the request's deadline (504).
func Timeout() *Problem {
	return New(http.StatusGatewayTimeout, "timeout", "Timeout", "The answer took too long.").RetryAfter(time.Second)
}

// Because returns a copy of p that carries err as its cause.
func (p *Problem) Because(err error) *Problem {
	q := *p
	q.cause = err
	return &q
}

// RetryAfter returns a copy of p that tells the caller when to try again.
func (p *Problem) RetryAfter(d time.Duration) *Problem {
	q := *p
	q.retryAfter = d
	return &q
}

func (p *Problem) Error() string {
	if p == nil {
		return "no problem at all" // a nil *Problem in an error is somebody's mistake, not a reason to panic
	}
	if p.cause != nil {
		return fmt.Sprintf("%s: %v", cmp.Or(p.Detail, p.Title), p.cause)
	}
	return cmp.Or(p.Detail, p.Title)
}

func (p *Problem) Unwrap() error {
	if p == nil {
		return nil
	}
	return p.cause
}

// Is makes errors.Is compare problems by type, so a copy still matches its original.
func (p *Problem) Is(target error) bool {
	t, ok := target.(*Problem)
	return ok && t != nil && p != nil && t.Type == p.Type
}

// Write is the only place in the platform that turns an error into a response.
func Write(w http.ResponseWriter, r *http.Request, err error) {
	p := From(err)
	level := slog.LevelInfo
	if p.Status >= http.StatusInternalServerError && !errors.Is(err, context.Canceled) {
		level = slog.LevelError
	}
	slog.Log(r.Context(), level, "request failed", "status", p.Status, "problem", p.Type, "error", err)

	h := w.Header()
	if id := h.Get("X-Request-Id"); id != "" {
		p.Instance = "urn:request:" + id
	}
	if p.challenge != "" {
		h.Set("WWW-Authenticate", p.challenge)
	}
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((p.retryAfter+time.Second-1)/time.Second)))
	}
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Del("Content-Length")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the caller is gone; nothing left to tell it
}

// From copies the problem inside err, or hides err behind one that says nothing.
func From(err error) Problem {
	if p, ok := errors.AsType[*Problem](err); ok && p != nil {
		return *p
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) { // canceled: nobody waits for the answer
		return *Timeout()
	}
	return *New(http.StatusInternalServerError, "internal", "Internal error", "This is our mistake. The request id helps us to find it.")
}
