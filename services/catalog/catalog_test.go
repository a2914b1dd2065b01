package catalog

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/db/dbtest"
	"github.com/healthe/healthe/kit/contract"
	"github.com/healthe/healthe/kit/identity"
	"github.com/healthe/healthe/kit/postgres"
	kit "github.com/healthe/healthe/kit/server"
	"github.com/healthe/healthe/kittest/identitytest"
	"github.com/healthe/healthe/openapi/problem"
	"github.com/healthe/healthe/services/catalog/internal/cache"
	"github.com/healthe/healthe/services/catalog/internal/circuits"
	"github.com/healthe/healthe/services/catalog/internal/deferral"
	"github.com/healthe/healthe/services/catalog/internal/upstream"
)

// testSettings are the real ones with the waits taken out.
func testSettings() upstream.Settings {
	s := upstream.Defaults
	s.MinimumCalls, s.OpenFor, s.Backoff = 10, 200*time.Millisecond, time.Millisecond
	return s
}

type bench struct {
	t      *testing.T
	url    string
	issuer *identitytest.Issuer
	core   *fakeCore
	db     *postgres.DB
}

func newBench(t *testing.T) *bench {
	t.Helper()
	return newBenchWith(t, testSettings())
}

func newBenchWith(t *testing.T, s upstream.Settings) *bench {
	t.Helper()

	core := &fakeCore{services: map[string]http.HandlerFunc{}}
	internal := httptest.NewServer(core)
	t.Cleanup(internal.Close)
	url, db := newCatalog(t, internal.URL, core, s) // which makes the issuer
	return &bench{t, url, core.issuer, core, db}
}

func newCatalog(t *testing.T, internalURL string, core *fakeCore, s upstream.Settings) (url string, db *postgres.DB) {
	t.Helper()

	core.issuer = identitytest.New(t)
	docs, policies, err := contracts()
	require.NoError(t, err)
	pool := dbtest.New(t, "catalog")
	copies := cache.New(pool.Pool(), 1<<20, upstream.Out)
	ctx, stop := context.WithCancel(t.Context())
	var listening sync.WaitGroup
	listening.Go(func() { _ = copies.Listen(ctx) })
	t.Cleanup(func() { stop(); listening.Wait() })
	ways, err := Config{Config: kit.Config{InternalURL: internalURL}}.ways(docs, policies, copies, s)
	require.NoError(t, err)
	later, err := deferral.New(pool, deferral.Config{}) // takes writes on, and carries none out
	require.NoError(t, err)
	seen := circuits.New(circuits.Config{DB: pool, Sources: sources(ways), Cache: copies.Report, Backlog: later.Backlog, Life: unbounded})
	h, err := newHandler(ways, later, seen, contract.Schemes{"healthe": core.issuer.Verifier.Authenticate})
	require.NoError(t, err)
	srv := httptest.NewServer(withLife(kit.Wrap(h)))
	t.Cleanup(srv.Close)
	return srv.URL, pool
}

type request struct {
	method, path, body string
	header             http.Header
	scopes             []string // nil: nobody
	subject            string   // "": somebody new
}

// answer is what came back, read to its end.
type answer struct {
	*http.Response
	text string
}

func (b *bench) do(r request) answer {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), r.method, b.url+r.path, strings.NewReader(r.body))
	require.NoError(b.t, err)
	for name, values := range r.header {
		req.Header[name] = values
	}
	if r.body != "" && req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.scopes != nil {
		who := identity.Identity{Subject: cmp.Or(r.subject, uuid.NewString()), Scopes: r.scopes, Roles: []string{"patient"}}
		req.Header.Set(identity.Header, b.issuer.Token(b.t, who))
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	require.NoError(b.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(b.t, err)
	return answer{resp, string(text)}
}

// get reads something that anyone may read.
func (b *bench) get(path string) answer {
	b.t.Helper()
	return b.do(request{method: http.MethodGet, path: path})
}

func (a answer) problem(t *testing.T) problem.Problem {
	t.Helper()
	require.Equal(t, "application/problem+json", a.Header.Get("Content-Type"), a.text)
	var p problem.Problem
	require.NoError(t, json.Unmarshal([]byte(a.text), &p))
	return p
}

// fakeCore is Traefik's internal entry point and all services behind it.
type fakeCore struct {
	issuer *identitytest.Issuer

	mu       sync.Mutex
	services map[string]http.HandlerFunc
	seen     []*http.Request
}

// does sets what a service does.
func (f *fakeCore) does(service string, h http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.services[service] = h
}

func (f *fakeCore) requests() []*http.Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]*http.Request(nil), f.seen...)
}

func (f *fakeCore) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.seen = append(f.seen, r.Clone(context.WithoutCancel(r.Context())))
	h := f.services[strings.Split(r.URL.Path, "/")[1]]
	f.mu.Unlock()
	if h == nil {
		http.Error(w, "no available server", http.StatusServiceUnavailable) // what Traefik says
		return
	}
	h(w, r)
}

// says answers with JSON.
func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// refuses answers with a problem, as a service does.
func refuses(p *problem.Problem) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { problem.Write(w, r, p) }
}

// hangs answers nothing until the caller gives up.
func hangs(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice that the caller is gone
	<-r.Context().Done()
}

// resets cuts the connection.
func resets(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
