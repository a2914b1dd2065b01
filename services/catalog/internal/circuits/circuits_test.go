package circuits

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
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
	"github.com/healthe/healthe/kittest/identitytest"
	api "github.com/healthe/healthe/openapi/catalog"
)

const soon, look = 20 * time.Second, 10 * time.Millisecond

// fakeSource is a circuit that a test sets.
type fakeSource struct {
	mu  sync.Mutex
	now api.Circuit
}

func (f *fakeSource) Report() api.Circuit {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

func (f *fakeSource) Force(state *api.OverrideState) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now.Forced, f.now.State = state != nil, api.CircuitStateClosed
	if state != nil {
		f.now.State = api.CircuitState(*state)
	}
}

func (f *fakeSource) forced(state api.CircuitState) bool {
	now := f.Report()
	return now.Forced && now.State == state
}

// instance of the catalog, as far as circuits go.
type fixture struct {
	*Circuits
	sources map[string]*fakeSource
	stop    func() // returns when it has
}

func start(t *testing.T, db *postgres.DB, name string, changes ...func(*Config)) *fixture {
	t.Helper()

	f := &fixture{sources: map[string]*fakeSource{}}
	cfg := Config{
		DB: db, Sources: map[string]Source{},
		Cache: func() api.CacheReport {
			return api.CacheReport{Hits: 3, Misses: 1, Bytes: 1 << 20, BoundBytes: 4 << 20}
		},
		Backlog: func(ctx context.Context) (int64, time.Duration, error) { return 2, 90 * time.Second, ctx.Err() },
		Life:    func(ctx context.Context) context.Context { return ctx },
	}
	for _, service := range []string{"appointment", "mailing"} {
		f.sources[service] = &fakeSource{now: api.Circuit{Service: service, State: api.CircuitStateClosed, CallsPerS: 10, Limit: 64}}
		cfg.Sources[service] = f.sources[service]
	}
	for _, change := range changes {
		change(&cfg)
	}
	f.Circuits = New(cfg)
	f.instance = cmp.Or(name, f.instance)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	f.stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-done)
	})
	t.Cleanup(f.stop)
	return f
}

// others are the operations that nobody calls here.
type others struct{ api.StrictServerInterface }

// operator is an admin who uses one instance's API.
type operator struct {
	*api.ClientWithResponses
	id  uuid.UUID
	url string
	as  string // the signed identity
}

func (f *fixture) operator(t *testing.T) operator {
	t.Helper()

	issuer := identitytest.New(t)
	strict := api.NewStrictHandlerWithOptions(struct {
		others
		*Circuits
	}{Circuits: f.Circuits}, nil, api.StrictHTTPServerOptions{RequestErrorHandlerFunc: contract.Refuse, ResponseErrorHandlerFunc: contract.Fail})
	h, err := contract.Handler("catalog", contract.Schemes{"healthe": issuer.Verifier.Authenticate}, api.HandlerWithOptions(strict, api.StdHTTPServerOptions{}))
	require.NoError(t, err)
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	o := operator{id: uuid.New(), url: srv.URL}
	o.as = issuer.Token(t, identity.Identity{Subject: o.id.String(), Scopes: []string{"circuits:read", "circuits:write"}})
	o.ClientWithResponses, err = api.NewClientWithResponses(srv.URL, api.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.Header.Set(identity.Header, o.as)
		return nil
	}))
	require.NoError(t, err)
	return o
}

func (o operator) force(t *testing.T, service string, state api.NewOverrideState, reason string) *api.ForceCircuitResponse {
	t.Helper()
	got, err := o.ForceCircuitWithResponse(t.Context(), service, api.NewOverride{State: state, Reason: reason})
	require.NoError(t, err)
	return got
}

func (o operator) list(t *testing.T) api.Circuits {
	t.Helper()
	got, err := o.ListCircuitsWithResponse(t.Context())
	require.NoError(t, err)
	require.NotNil(t, got.JSON200, string(got.Body))
	require.Equal(t, "no-store", got.HTTPResponse.Header.Get("Cache-Control"))
	return *got.JSON200
}

func names(c api.Circuits) (all []string) {
	for _, i := range c.Instances {
		all = append(all, i.Instance)
	}
	return all
}

// away is a database that does not answer.
func away(t *testing.T) *postgres.DB {
	t.Helper()

	db, err := postgres.Open(t.Context(), "postgres://catalog@127.0.0.1:1/catalog?sslmode=disable", "catalog")
	require.NoError(t, err)
	t.Cleanup(db.Close)
	return db
}

func TestListCircuits(t *testing.T) {
	t.Parallel()

	t.Run("any instance shows all that run", func(t *testing.T) {
		t.Parallel()

		db := dbtest.New(t, "catalog")
		_, err := db.Exec(t.Context(), "INSERT INTO circuit_reports (instance, report, reported_at) VALUES ('dead', '{}', now() - interval '1 hour')")
		require.NoError(t, err)
		a, b := start(t, db, "a"), start(t, db, "b")
		one := a.operator(t)
		require.Eventually(t, func() bool { return len(names(one.list(t))) == 2 }, soon, look)
		got := one.list(t)
		require.Equal(t, []string{"a", "b"}, names(got), "and not one that is silent")
		require.Equal(t, "mailing", got.Instances[1].Circuits[1].Service)
		require.EqualValues(t, 3, got.Instances[1].Cache.Hits)
		require.EqualValues(t, 2, *got.Deferred.Pending)
		require.Empty(t, got.Overrides)
		require.Eventually(t, func() bool {
			var left int
			require.NoError(t, db.QueryRow(t.Context(), "SELECT count(*) FROM circuit_reports WHERE instance = 'dead'").Scan(&left))
			return left == 0
		}, soon, look, "what is silent is swept")
		b.stop()
		require.Equal(t, []string{"a"}, names(one.list(t)), "one that stops takes its report away")
	})

	t.Run("with the database away, this instance alone and no number that is not known", func(t *testing.T) {
		t.Parallel()

		a := start(t, away(t), "a", func(c *Config) {
			c.Backlog = func(context.Context) (int64, time.Duration, error) { return 0, 0, errors.New("away") }
		})
		one := a.operator(t)
		got := one.list(t)
		require.Equal(t, []string{"a"}, names(got))
		require.Nil(t, got.Deferred.Pending)
		require.Equal(t, http.StatusServiceUnavailable, one.force(t, "mailing", "open", "A reason").StatusCode())
	})

	t.Run("under a name of its own, and without the record", func(t *testing.T) {
		t.Parallel()

		one := start(t, away(t), "").operator(t)
		got := one.list(t)
		require.Len(t, got.Instances, 1)
		require.NotEmpty(t, got.Instances[0].Instance)
		require.Equal(t, http.StatusServiceUnavailable, one.force(t, "mailing", "open", "A reason").StatusCode())
		record, err := one.ListCircuitOverridesWithResponse(t.Context(), nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusServiceUnavailable, record.StatusCode())
	})
}

// read returns the events of a stream until it ends.
func (o operator) read(ctx context.Context, t *testing.T) <-chan [2]string {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, o.url+"/catalog/v1/circuits/events", http.NoBody)
	require.NoError(t, err)
	req.Header.Set(identity.Header, o.as)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.Equal(t, "text/event-stream", resp.Header.Get("Content-Type"))
	require.Equal(t, "no-store", resp.Header.Get("Cache-Control"))
	events := make(chan [2]string, 100)
	go func() {
		defer close(events)
		defer resp.Body.Close()
		var name string
		var data []string
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			switch field, value, _ := strings.Cut(lines.Text(), ": "); field {
			case "event":
				name = value
			case "data":
				data = append(data, value)
			case "retry":
				events <- [2]string{"retry", value}
			case "":
				if name != "" {
					events <- [2]string{name, strings.Join(data, "\n")}
				}
				name, data = "", nil
			}
		}
	}()
	return events
}

// CAT-10: the original's stream was public.
func TestWatchCircuits(t *testing.T) {
	t.Parallel()

	t.Run("sends the numbers and the page, and forgets who goes", func(t *testing.T) {
		t.Parallel()

		a := start(t, dbtest.New(t, "catalog"), "a")
		one := a.operator(t)
		ctx, leave := context.WithCancel(t.Context())
		events := one.read(ctx, t)
		require.Equal(t, [2]string{"retry", "1000"}, <-events)
		for range 2 { // seconds
			numbers := <-events
			require.Equal(t, "circuits", numbers[0])
			var got api.Circuits
			require.NoError(t, json.Unmarshal([]byte(numbers[1]), &got))
			require.Equal(t, []string{"a"}, names(got))
			drawn := <-events
			require.Equal(t, "page", drawn[0])
			require.True(t, strings.HasPrefix(drawn[1], `<div id="live"`))
			require.Contains(t, drawn[1], "All circuits are closed.")
		}
		require.EqualValues(t, 1, a.watchers.Load())
		leave()
		require.Eventually(t, func() bool { return a.watchers.Load() == 0 }, soon, look)
	})

	t.Run("ends when the instance stops", func(t *testing.T) {
		t.Parallel()

		life, end := context.WithCancel(t.Context())
		a := start(t, dbtest.New(t, "catalog"), "a", func(c *Config) { c.Life = func(context.Context) context.Context { return life } })
		events := a.operator(t).read(t.Context(), t)
		<-events
		end()
		for range events { // until it is closed
		}
		require.Zero(t, a.watchers.Load())
	})

	t.Run("goes on past the deadline of a request", func(t *testing.T) {
		t.Parallel()

		a := start(t, dbtest.New(t, "catalog"), "a", func(c *Config) { c.Life = func(context.Context) context.Context { return t.Context() } })
		rec := newSluggish()
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		watch, err := a.WatchCircuits(gone, api.WatchCircuitsRequestObject{})
		require.NoError(t, err)
		done := make(chan error)
		go func() { done <- watch.VisitWatchCircuitsResponse(rec) }()
		<-rec.took
		require.Zero(t, <-rec.deadlines, "the deadline for reading the request would end the connection")
		require.Contains(t, <-rec.took, "event: circuits")
		close(rec.gone)
		require.NoError(t, <-done, "nothing is left to say to who does not read")
	})

	t.Run("whoever is slow misses some, and nothing waits for them", func(t *testing.T) {
		t.Parallel()

		a := New(Config{
			DB: dbtest.New(t, "catalog"), Cache: func() api.CacheReport { return api.CacheReport{} },
			Backlog: func(context.Context) (int64, time.Duration, error) { return 0, 0, nil }, Life: func(ctx context.Context) context.Context { return ctx },
			Sources: map[string]Source{"mailing": &fakeSource{now: api.Circuit{Service: "mailing", State: api.CircuitStateClosed}}},
		})
		source := a.Sources["mailing"].(*fakeSource)
		a.tick(t.Context(), false)
		rec := newSluggish()
		watch, err := a.WatchCircuits(t.Context(), api.WatchCircuitsRequestObject{})
		require.NoError(t, err)
		done := make(chan error)
		go func() { done <- watch.VisitWatchCircuitsResponse(rec) }()
		<-rec.asked
		for n := range 50 { // while the first event is not taken
			source.mu.Lock()
			source.now.Retries = int64(n)
			source.mu.Unlock()
			a.tick(t.Context(), false)
		}
		require.Contains(t, <-rec.took, `"retries":0`)
		require.Contains(t, <-rec.took, `"retries":49`, "the latest, and none between")
		close(rec.gone)
		a.tick(t.Context(), false)
		require.NoError(t, <-done)
	})
}

// sluggish is a client that takes what is sent when a test does, and fails once it is gone.
type sluggish struct {
	header    http.Header
	asked     chan struct{}
	took      chan string
	gone      chan struct{}
	deadlines chan time.Time
}

func newSluggish() *sluggish {
	return &sluggish{header: http.Header{}, asked: make(chan struct{}, 100), took: make(chan string), gone: make(chan struct{}), deadlines: make(chan time.Time, 100)}
}

func (s *sluggish) Header() http.Header { return s.header }
func (s *sluggish) WriteHeader(int)     {}
func (s *sluggish) Flush()              {}
func (s *sluggish) SetReadDeadline(t time.Time) error {
	s.deadlines <- t
	return nil
}

func (s *sluggish) Write(b []byte) (int, error) {
	s.asked <- struct{}{}
	select {
	case s.took <- string(b):
		return len(b), nil
	case <-s.gone:
		return 0, io.ErrClosedPipe
	}
}
