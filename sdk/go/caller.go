package healthe

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"mime"
	"net/http"
	"strconv"
	"time"

	"github.com/healthe/healthe/openapi/problem"
)

const (
	maxProblem = 1 << 20          // bytes of a problem that are read
	longWait   = 30 * time.Second // a Retry-After beyond it is the caller's business
)

// Problems that a caller may want to tell apart, for errors.Is. More are in docs/problems.md, for Is.
var (
	NotFound           = problem.NotFound("It")
	Unauthenticated    = problem.Unauthenticated("")
	Forbidden          = problem.Forbidden("")
	Invalid            = problem.Invalid()
	PreconditionFailed = problem.PreconditionFailed()
	TooManyRequests    = problem.TooManyRequests(0)
	Unavailable        = problem.Unavailable("It")
)

// Is says whether err is the problem that docs/problems.md names so: healthe.Is(err, "slot-taken").
func Is(err error, name string) bool {
	return errors.Is(err, problem.New(0, name, "", ""))
}

// caller sends the requests of the generated clients.
type caller struct{ *settings }

// Do sends r, again if need be, and returns only answers that are no refusal.
func (c *caller) Do(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPost && r.Header.Get("Idempotency-Key") == "" {
		r.Header.Set("Idempotency-Key", rand.Text())
	}
	if r.Header.Get("User-Agent") == "" {
		r.Header.Set("User-Agent", "healthe-go")
	}
	for attempt := 1; ; attempt++ {
		resp, err := c.send(r)
		wait, passing := c.passing(attempt, resp, err)
		if attempt == c.attempts || !passing || !repeatable(r) {
			return refusal(resp, err)
		}
		discard(resp)
		if err := sleep(r.Context(), wait); err != nil {
			return nil, err
		}
		if r, err = again(r); err != nil {
			return nil, err
		}
	}
}

func (c *caller) send(r *http.Request) (*http.Response, error) {
	if c.tokens != nil {
		token, err := c.tokens.Token()
		if err != nil {
			return nil, fmt.Errorf("healthe: access token: %w", err)
		}
		token.SetAuthHeader(r)
	}
	return c.transport.Do(r)
}

// passing says whether what came may be over in a moment, and how long that is.
func (c *caller) passing(attempt int, resp *http.Response, err error) (time.Duration, bool) {
	wait := c.wait << (attempt - 1)
	wait += mathrand.N(wait/2 + 1)
	if err != nil {
		return wait, !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
	}
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
	case http.StatusConflict: // with a Retry-After: the first one of this key still runs
		if resp.Header.Get("Retry-After") == "" {
			return 0, false
		}
	default:
		return 0, false
	}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil {
		wait = max(wait, time.Duration(seconds)*time.Second)
	}
	return wait, wait <= longWait
}

// repeatable says whether doing r twice is doing it once, and whether it can be sent twice.
func repeatable(r *http.Request) bool {
	if r.Body != nil && r.Body != http.NoBody && r.GetBody == nil {
		return false
	}
	return r.Method == http.MethodGet || r.Method == http.MethodHead || r.Header.Get("Idempotency-Key") != ""
}

func again(r *http.Request) (*http.Request, error) {
	r = r.Clone(r.Context())
	if r.GetBody == nil {
		return r, nil
	}
	var err error
	r.Body, err = r.GetBody()
	return r, err
}

// refusal makes an error of an answer that is one.
func refusal(resp *http.Response, err error) (*http.Response, error) {
	if err != nil || resp.StatusCode < http.StatusBadRequest {
		return resp, err
	}
	defer discard(resp)
	p := &problem.Problem{}
	mediaType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if mediaType != "application/problem+json" || json.NewDecoder(io.LimitReader(resp.Body, maxProblem)).Decode(p) != nil || p.Status == 0 {
		return nil, fmt.Errorf("healthe: the server answered %s", resp.Status)
	}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil {
		p = p.RetryAfter(time.Duration(seconds) * time.Second)
	}
	return nil, p
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func discard(resp *http.Response) {
	if resp != nil {
		_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // lets the connection be used again
		_ = resp.Body.Close()
	}
}
