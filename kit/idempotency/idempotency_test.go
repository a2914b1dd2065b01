package idempotency_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/db/dbtest"
	"github.com/healthe/healthe/kit/contract"
	"github.com/healthe/healthe/kit/idempotency"
	"github.com/healthe/healthe/kit/identity"
	"github.com/healthe/healthe/kit/postgres"
	"github.com/healthe/healthe/openapi/problem"
)

const document = `
openapi: 3.0.3
info: { title: Counter, version: 1.0.0 }
components: { securitySchemes: { healthe: { type: http, scheme: bearer } } }
paths:
  /count:
    post:
      operationId: count
      security: [{ healthe: [] }]
      parameters: [{ name: Idempotency-Key, in: header, schema: { type: string } }]
      requestBody: { content: { application/json: { schema: { type: object } } } }
      responses: { "201": { description: ok }, "204": { description: done } }
`

// counter writes a row for each request; fail decides what becomes of it afterwards.
type counter struct {
	db     *postgres.DB
	url    string
	mu     sync.Mutex
	fail   error
	hold   chan struct{}
	silent bool // answers without a body
}

func newCounter(t *testing.T) *counter {
	t.Helper()
	c := &counter{db: dbtest.New(t, "mailing")}
	_, err := c.db.Exec(t.Context(), "CREATE TABLE counts (id serial, CONSTRAINT counts_pkey PRIMARY KEY (id))")
	require.NoError(t, err)
	doc, err := openapi3.NewLoader().LoadFromData([]byte(document))
	require.NoError(t, err)
	who := func(r *http.Request) (identity.Identity, error) {
		return identity.Identity{Subject: r.Header.Get("Test-Caller")}, nil
	}
	h, err := contract.HandlerOf(doc, contract.Schemes{"healthe": who}, idempotency.Middleware(c.db, c))
	require.NoError(t, err)
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	c.url = srv.URL + "/count"
	return c
}

func (c *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var id int
	err := pgx.BeginFunc(r.Context(), c.db, func(tx pgx.Tx) error {
		return tx.QueryRow(r.Context(), "INSERT INTO counts DEFAULT VALUES RETURNING id").Scan(&id)
	})
	if c.hold != nil {
		<-c.hold // once to say that it has begun,
		<-c.hold // once to wait
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		err = c.fail
	}
	if err != nil {
		contract.Fail(w, r, err)
		return
	}
	if c.silent {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Location", fmt.Sprintf("/count/%d", id))
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, `{"id":%d}`, id)
}

func (c *counter) rows(t *testing.T) (n int) {
	t.Helper()
	require.NoError(t, c.db.QueryRow(t.Context(), "SELECT count(*) FROM counts").Scan(&n))
	return n
}

func (c *counter) post(ctx context.Context, t *testing.T, caller, key, body string) *httptest.ResponseRecorder {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Test-Caller", caller)
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	rec := httptest.NewRecorder()
	rec.Code = resp.StatusCode
	for k, v := range resp.Header {
		rec.Header()[k] = v
	}
	_, err = rec.Body.ReadFrom(resp.Body)
	require.NoError(t, err)
	return rec
}

func TestMiddleware(t *testing.T) {
	t.Parallel()

	t.Run("repeats the first answer", func(t *testing.T) {
		t.Parallel()

		c := newCounter(t)
		first := c.post(t.Context(), t, "ann", "k1", `{}`)
		second := c.post(t.Context(), t, "ann", "k1", `{}`)
		require.Equal(t, 201, first.Code)
		require.Equal(t, 201, second.Code)
		require.Equal(t, first.Body.String(), second.Body.String())
		require.Equal(t, first.Header().Get("Location"), second.Header().Get("Location"))
		require.Equal(t, "true", second.Header().Get("Idempotency-Replayed"))
		require.Empty(t, first.Header().Get("Idempotency-Replayed"))
		require.Equal(t, 1, c.rows(t))
	})

	t.Run("repeats an answer that has no body", func(t *testing.T) {
		t.Parallel()

		c := newCounter(t)
		c.silent = true
		for _, replayed := range []string{"", "true"} {
			got := c.post(t.Context(), t, "ann", "k1", `{}`)
			require.Equal(t, 204, got.Code)
			require.Empty(t, got.Body.String())
			require.Equal(t, replayed, got.Header().Get("Idempotency-Replayed"))
		}
		require.Equal(t, 1, c.rows(t))
	})

	t.Run("keeps callers, keys and requests apart", func(t *testing.T) {
		t.Parallel()

		c := newCounter(t)
		c.post(t.Context(), t, "ann", "k1", `{}`)
		require.Equal(t, 201, c.post(t.Context(), t, "bob", "k1", `{}`).Code)
		require.Equal(t, 201, c.post(t.Context(), t, "ann", "k2", `{}`).Code)
		require.Equal(t, 422, c.post(t.Context(), t, "ann", "k1", `{"a":1}`).Code)
		c.post(t.Context(), t, "ann", "", `{}`)
		c.post(t.Context(), t, "ann", "", `{}`)
		require.Equal(t, 5, c.rows(t))
	})

	t.Run("keeps a refusal, and nothing of what was refused", func(t *testing.T) {
		t.Parallel()

		c := newCounter(t)
		c.fail = problem.Conflict("taken", "Taken.")
		require.Equal(t, 409, c.post(t.Context(), t, "ann", "k1", `{}`).Code)
		c.fail = nil
		again := c.post(t.Context(), t, "ann", "k1", `{}`)
		require.Equal(t, 409, again.Code)
		require.Contains(t, again.Body.String(), "/taken")
		require.Equal(t, 0, c.rows(t))
	})

	t.Run("does not keep our own failure", func(t *testing.T) {
		t.Parallel()

		c := newCounter(t)
		c.fail = problem.Unavailable("Something")
		require.Equal(t, 503, c.post(t.Context(), t, "ann", "k1", `{}`).Code)
		c.fail = nil
		require.Equal(t, 201, c.post(t.Context(), t, "ann", "k1", `{}`).Code)
		require.Equal(t, 1, c.rows(t))
	})

	t.Run("forgets after a day", func(t *testing.T) {
		t.Parallel()

		c := newCounter(t)
		c.post(t.Context(), t, "ann", "k1", `{}`)
		_, err := c.db.Exec(t.Context(), "UPDATE idempotency_keys SET created_at = now() - interval '25 hours'")
		require.NoError(t, err)
		require.Equal(t, 201, c.post(t.Context(), t, "ann", "k1", `{"other":true}`).Code)
		require.Equal(t, 2, c.rows(t))
	})

	t.Run("says that the first is still running", func(t *testing.T) {
		t.Parallel()

		c := newCounter(t)
		c.hold = make(chan struct{})
		done := make(chan int)
		go func() { done <- c.post(t.Context(), t, "ann", "k1", `{}`).Code }()
		c.hold <- struct{}{} // the handler has begun
		require.Equal(t, 409, c.post(t.Context(), t, "ann", "k1", `{}`).Code)
		close(c.hold)
		require.Equal(t, 201, <-done)
		require.Equal(t, 1, c.rows(t))
	})
}

func TestNobodyGetsBetweenARefusalAndItsKeeping(t *testing.T) {
	t.Parallel()

	c := newCounter(t)
	c.fail = problem.Conflict("taken", "Taken.")
	tx, err := c.db.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "LOCK TABLE idempotency_keys IN EXCLUSIVE MODE") // can be read, not written
	require.NoError(t, err)
	first := make(chan int)
	go func() { first <- c.post(t.Context(), t, "ann", "k1", `{}`).Code }()
	require.Eventually(t, func() (waits bool) {
		const waiting = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'idempotency_keys'::regclass)"
		return c.db.QueryRow(t.Context(), waiting).Scan(&waits) == nil && waits
	}, 10*time.Second, 10*time.Millisecond)
	c.mu.Lock()
	c.fail = nil
	c.mu.Unlock()
	second := make(chan string, 1)
	go func() { second <- c.post(t.Context(), t, "ann", "k1", `{}`).Body.String() }()
	select {
	case body := <-second:
		require.Contains(t, body, "idempotency-key-running")
	case <-time.After(5 * time.Second):
		t.Error("the second request ran")
	}
	require.NoError(t, tx.Rollback(t.Context()))
	require.Equal(t, 409, <-first)
	require.Equal(t, 0, c.rows(t))
}

func TestFiftyAtOnceHappenOnce(t *testing.T) {
	t.Parallel()

	c := newCounter(t)
	bodies := make(chan string, 50)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			for { // 409 says that the first still runs
				if rec := c.post(t.Context(), t, "ann", "k1", `{}`); rec.Code != 409 {
					bodies <- fmt.Sprint(rec.Code, rec.Body.String())
					return
				}
			}
		})
	}
	all.Wait()
	close(bodies)
	for body := range bodies {
		require.Equal(t, `201{"id":1}`, strings.ReplaceAll(body, " ", ""))
	}
	require.Equal(t, 1, c.rows(t))
}
