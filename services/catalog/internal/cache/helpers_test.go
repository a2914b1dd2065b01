package cache

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/kit/identity"
)

var (
	errAway = errors.New("connection refused")
	ann     = identity.Identity{Subject: "ann", Scopes: []string{"patients:read", "account:read"}, Roles: []string{"patient"}}
	bob     = identity.Identity{Subject: "bob", Scopes: []string{"patients:read", "account:read"}, Roles: []string{"patient"}}
	minute  = Policy{Operation: "toys.listToys", TTL: time.Minute, Stale: time.Hour, StaleIfError: true}
	always  = Policy{Operation: "toys.listToys", Stale: time.Hour, StaleIfError: true}
	public  = Policy{Operation: "toys.listToys", TTL: time.Minute, Stale: time.Hour, StaleIfError: true, Shared: true}
)

func isOut(resp *http.Response, err error) bool {
	return err != nil || resp.StatusCode == http.StatusServiceUnavailable
}

// service is a core service, of which a test says how it answers. It counts what it is asked.
type service struct {
	mu      sync.Mutex
	handler http.HandlerFunc
	asked   []*http.Request
	err     error
}

func (s *service) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.asked = append(s.asked, r)
	handler, err := s.handler, s.err
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	rec := httptest.NewRecorder()
	handler(rec, r)
	resp := rec.Result()
	resp.Request = r
	return resp, nil
}

func (s *service) calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked)
}

func (s *service) says(h http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handler, s.err = h, nil
}

func (s *service) fails(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// text answers with the fields "Name: value" and the body.
func text(body string, fields ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for _, f := range fields {
			name, value, _ := strings.Cut(f, ": ")
			w.Header().Add(name, value)
		}
		if tag := w.Header().Get("Etag"); tag != "" && r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = io.WriteString(w, body)
	}
}

func status(code int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

// bench is a cache that hears all there is to hear, with a clock of its own, before a service.
type bench struct {
	*Cache
	service *service
	time    time.Time
}

func newBench(t testing.TB) *bench {
	t.Helper()
	b := &bench{service: &service{handler: text("toys")}, time: time.Now()}
	b.Cache = silent(t, 64<<20)
	b.now = func() time.Time { return b.time }
	return b
}

// silent has no Postgres: what is invalidated is heard here alone.
func silent(t testing.TB, bound int64) *Cache {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), "postgres://nobody@127.0.0.1:1/none")
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	c := New(pool, bound, isOut)
	c.hears = func(time.Time) bool { return true }
	return c
}

// got is an answer with its body read.
type got struct {
	*http.Response
	body string
}

func request(t testing.TB, path string, fields ...string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		r.Header.Add(name, value)
	}
	return r
}

func (b *bench) get(t testing.TB, p Policy, who identity.Identity, path string, fields ...string) got {
	t.Helper()
	g, err := b.try(t, p, who, path, fields...)
	require.NoError(t, err)
	return g
}

func (b *bench) try(t testing.TB, p Policy, who identity.Identity, path string, fields ...string) (got, error) {
	t.Helper()
	resp, err := b.RoundTrip(request(t, path, fields...), &p, who, b.service)
	if err != nil {
		return got{}, err
	}
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return got{resp, string(body)}, nil
}

// serve is the fast path; nil if there is no hit.
func (b *bench) serve(t testing.TB, p Policy, who identity.Identity, method, path string, fields ...string) *http.Response {
	t.Helper()
	r := request(t, path, fields...)
	r.Method = method
	rec := httptest.NewRecorder()
	if !b.Serve(rec, r, &p, who) {
		return nil
	}
	return rec.Result()
}
