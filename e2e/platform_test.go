package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/dev/stack"
	"github.com/healthe/healthe/openapi/problem"
)

const (
	patience   = 20 * time.Second // until something happens that must happen
	tick       = 50 * time.Millisecond
	callLimit  = 30 * time.Second
	problemDoc = "application/problem+json"
)

// platform is a running stack.
type platform struct{ *stack.Stack }

// caller is somebody who sends requests. Each has a network address of their own on this machine, so that nobody uses up
// what the rate limits allow to another.
type caller struct {
	p      *platform
	base   string // where paths without a host go
	client *http.Client
	token  string // of the session or application; "" for nobody

	id, email, username, password string // of a person
}

var lastAddress atomic.Uint32

// visitor returns a caller who has not logged in.
func (p *platform) visitor() *caller {
	n := lastAddress.Add(1)
	dialer := &net.Dialer{Timeout: 5 * time.Second, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 1, byte(n>>8), byte(n))}}
	return &caller{p: p, base: p.PublicURL(), client: &http.Client{
		Timeout: callLimit,
		Transport: &http.Transport{
			MaxIdleConnsPerHost: 100, DisableCompression: true,
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				return dialer.DialContext(ctx, "tcp4", strings.Replace(address, "localhost:", "127.0.0.1:", 1))
			},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// bearing is the same caller with another token.
func (c caller) bearing(token string) *caller {
	c.token = token
	return &c
}

// at is the same caller, calling another server.
func (c caller) at(base string) *caller {
	c.base = base
	return &c
}

// edit changes a request before it is sent.
type edit func(*http.Request)

func header(name, value string) edit {
	return func(r *http.Request) { r.Header[http.CanonicalHeaderKey(name)] = []string{value} }
}

func key(value string) edit { return header("Idempotency-Key", value) }

// answer is a response that was read to its end.
type answer struct {
	*http.Response
	body []byte
	took time.Duration
}

func (c *caller) get(t *testing.T, path string, edits ...edit) answer {
	t.Helper()
	return c.do(t, http.MethodGet, path, nil, edits...)
}

func (c *caller) post(t *testing.T, path string, body any, edits ...edit) answer {
	t.Helper()
	return c.do(t, http.MethodPost, path, body, edits...)
}

// do sends a request and fails the test if there is no answer at all. A body that is no []byte is sent as JSON.
func (c *caller) do(t *testing.T, method, path string, body any, edits ...edit) answer {
	t.Helper()
	got, err := c.try(t.Context(), method, path, body, edits...)
	require.NoError(t, err)
	return got
}

// try is do for other goroutines than the test's.
func (c *caller) try(ctx context.Context, method, path string, body any, edits ...edit) (answer, error) {
	var content io.Reader = http.NoBody
	switch body := body.(type) {
	case nil:
	case []byte:
		content = bytes.NewReader(body)
	default:
		text, err := json.Marshal(body)
		if err != nil {
			return answer{}, err
		}
		content = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, content)
	if err != nil {
		return answer{}, err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	for _, e := range edits {
		e(r)
	}
	began := time.Now()
	res, err := c.client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") { // goes on: how it begins is enough
		res.Body = io.NopCloser(io.LimitReader(res.Body, 8))
	}
	text, err := io.ReadAll(res.Body)
	return answer{res, text, time.Since(began)}, err
}

func (a answer) String() string {
	return fmt.Sprintf("%s %s: %d %s", a.Request.Method, a.Request.URL.Path, a.StatusCode, bytes.TrimSpace(a.body))
}

// wants is for answers that must be of one status.
func (a answer) wants(t *testing.T, status int) answer {
	t.Helper()
	require.Equal(t, status, a.StatusCode, "%s", a)
	return a
}

func (a answer) decode(t *testing.T, into any) {
	t.Helper()
	require.NoError(t, json.Unmarshal(a.body, into), "%s", a)
}

// id is the identifier of the thing in the answer.
func (a answer) id(t *testing.T) string {
	t.Helper()
	var thing struct{ ID string }
	a.decode(t, &thing)
	require.NotEmpty(t, thing.ID, "%s", a)
	return thing.ID
}

// refused is for answers that must be a problem of one of these statuses, whoever on the way made it.
func (a answer) refused(t *testing.T, statuses ...int) problem.Problem {
	t.Helper()
	require.Contains(t, statuses, a.StatusCode, "%s", a)
	p, err := a.problem()
	require.NoError(t, err, "%s", a)
	return p
}

// problem reads the answer as a problem and finds what every problem must have.
func (a answer) problem() (p problem.Problem, err error) {
	switch err = json.Unmarshal(a.body, &p); {
	case a.Header.Get("Content-Type") != problemDoc:
		return p, fmt.Errorf("is no problem but %q", a.Header.Get("Content-Type"))
	case err != nil:
		return p, err
	case p.Status != a.StatusCode || p.Title == "" || p.Type == "":
		return p, fmt.Errorf("the problem does not say what it is")
	case p.Instance != "urn:request:"+a.Header.Get("X-Request-Id"):
		return p, fmt.Errorf("instance %q is not the request id %q", p.Instance, a.Header.Get("X-Request-Id"))
	case a.Header.Get("Cache-Control") != "no-store":
		return p, fmt.Errorf("could be cached: %q", a.Header.Get("Cache-Control"))
	case a.StatusCode == http.StatusUnauthorized && a.Header.Get("WWW-Authenticate") == "":
		return p, fmt.Errorf("does not say how to authenticate")
	}
	return p, nil
}

// eventually polls until done says so, and tells what it said last if it never does.
func eventually(t *testing.T, what string, within time.Duration, done func() (bool, string)) {
	t.Helper()
	last := ""
	for deadline := time.Now().Add(within); time.Now().Before(deadline); pause(t.Context(), tick) {
		ok, said := done()
		if ok {
			return
		}
		last = said
	}
	require.FailNow(t, "not "+what+" within "+within.String(), last)
}

// pause waits, but not longer than ctx lives.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// local is the address of one of the stack's servers, by the name of its port.
func (p *platform) local(port string) string {
	return (&url.URL{Scheme: "http", Host: fmt.Sprintf("127.0.0.1:%d", p.Ports[port])}).String()
}
