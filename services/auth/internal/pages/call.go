package pages

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/healthe/healthe/kit/identity"
	"github.com/healthe/healthe/openapi/problem"
	"github.com/healthe/healthe/services/auth/internal/gate"
)

// operation is a request to auth's API.
type operation struct {
	method, path string
	as           *gate.Passport // nil: nobody
	body, into   any
}

// call makes an operation on behalf of the browser that sent r. A refusal is returned as the
// problem that it is.
func (p *pages) call(r *http.Request, o operation) error {
	var body bytes.Buffer
	if o.body != nil {
		if err := json.NewEncoder(&body).Encode(o.body); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(r.Context(), o.method, o.path, &body)
	if err != nil {
		return err
	}
	req.RemoteAddr = r.RemoteAddr
	for _, name := range []string{"X-Forwarded-For", "User-Agent"} {
		req.Header[name] = r.Header[name]
	}
	if o.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if o.as != nil {
		req.Header[identity.Header] = o.as.Header
	}
	answer := &recorder{header: http.Header{}, status: http.StatusOK}
	p.API.ServeHTTP(answer, req)
	if answer.status >= http.StatusBadRequest {
		var refused problem.Problem
		if err := json.Unmarshal(answer.body.Bytes(), &refused); err != nil {
			return err
		}
		if seconds, err := strconv.Atoi(answer.header.Get("Retry-After")); err == nil && refused.Status == http.StatusTooManyRequests {
			refused.Detail = tooMany(time.Duration(seconds) * time.Second)
		}
		return &refused
	}
	if o.into == nil {
		return nil
	}
	return json.Unmarshal(answer.body.Bytes(), o.into)
}

// passport returns who is logged in in this browser, nil if nobody is.
func (p *pages) passport(r *http.Request) (*gate.Passport, error) {
	c, err := r.Cookie(gate.Cookie)
	if err != nil || c.Value == "" {
		return nil, nil
	}
	passport, err := p.Gate.OpenSession(r.Context(), c.Value)
	if errors.Is(err, gate.ErrRefused) {
		return nil, nil
	}
	return passport, err
}

type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) Write(b []byte) (int, error) { return r.body.Write(b) }
func (r *recorder) WriteHeader(status int)      { r.status = status }
