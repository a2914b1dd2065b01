package catalog

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/kit/contract"
	"github.com/healthe/healthe/openapi/deferred"
	"github.com/healthe/healthe/openapi/problem"
	"github.com/healthe/healthe/services/catalog/internal/upstream"
)

const newPatient = `{"name": "Ada Park", "phone": "+491701234567", "birth_date": "1990-04-12", "gender": "female"}`

func (b *bench) register(subject, key, body string) answer {
	b.t.Helper()
	h := http.Header{}
	if key != "" {
		h.Set("Idempotency-Key", key)
	}
	return b.do(request{
		method: http.MethodPost, path: "/appointment/v1/me/patient", body: body, header: h,
		scopes: []string{"appointments:write", "account:read"}, subject: subject,
	})
}

func (a answer) operation(t *testing.T) deferred.DeferredOperation {
	t.Helper()
	require.Equal(t, http.StatusAccepted, a.StatusCode, a.text)
	var op deferred.DeferredOperation
	require.NoError(t, json.Unmarshal([]byte(a.text), &op))
	require.Equal(t, "/catalog/v1/operations/"+op.Id.String(), a.Header.Get("Location"))
	require.Equal(t, deferred.Pending, op.State)
	return op
}

func TestWritesWaitForAServiceThatIsOut(t *testing.T) { // CAT-6, CAT-7
	t.Parallel()

	for fault, broken := range map[string]http.HandlerFunc{
		"away": says(http.StatusServiceUnavailable, "no available server"), "resets": resets,
		"without its database": refuses(problem.Unavailable("The database")),
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()

			b := newBench(t)
			ada := uuid.NewString()
			b.core.does("appointment", broken)
			first := b.register(ada, "k1", newPatient).operation(t)
			for _, sent := range b.core.requests() {
				require.Equal(t, "k1", sent.Header.Get("Idempotency-Key"), "so that what was done is not done again")
			}
			require.Equal(t, first.Id, b.register(ada, "k1", newPatient).operation(t).Id)
			require.Equal(t, http.StatusUnprocessableEntity, b.register(ada, "k1", strings.Replace(newPatient, "Ada", "Eva", 1)).StatusCode)
			got := b.do(request{method: http.MethodGet, path: "/catalog/v1/operations/" + first.Id.String(), scopes: []string{"account:read"}, subject: ada})
			require.Equal(t, http.StatusOK, got.StatusCode, got.text)

			b.core.does("appointment", says(http.StatusCreated, `{}`))
			before := len(b.core.requests())
			second := b.register(ada, "", newPatient).operation(t)
			require.NotEqual(t, first.Id, second.Id)
			require.Len(t, b.core.requests(), before, "behind the one that waits")
			require.Equal(t, http.StatusCreated, b.register(uuid.NewString(), "", newPatient).StatusCode, "others wait for nobody")
			require.NotEmpty(t, b.core.requests()[before].Header.Get("Idempotency-Key"), "of our own making")
		})
	}
}

func TestAnswersAreNeverDeferred(t *testing.T) { // CAT-1, CAT-6
	t.Parallel()

	b := newBench(t)
	for _, refusal := range []*problem.Problem{
		problem.Invalid(problem.Field{Pointer: "/name", Detail: "x"}), problem.Forbidden("x"), problem.NotFound("Patient"), problem.Conflict("x", "y"),
	} {
		b.core.does("appointment", refuses(refusal))
		require.Equal(t, refusal.Status, b.register(uuid.NewString(), "", newPatient).StatusCode)
	}
	b.core.does("appointment", says(http.StatusInternalServerError, `{}`))
	require.Equal(t, http.StatusInternalServerError, b.register(uuid.NewString(), "", newPatient).StatusCode)
	b.core.does("appointment", says(http.StatusServiceUnavailable, ""))
	got := b.do(request{method: http.MethodPut, path: "/appointment/v1/me/patient", body: newPatient, scopes: []string{"appointments:write"}})
	require.Equal(t, http.StatusServiceUnavailable, got.StatusCode, "its contract does not say that it may wait")
	require.NotEmpty(t, got.Header.Get("Retry-After"))
	require.Equal(t, http.StatusBadRequest, b.register(uuid.NewString(), "", `{}`).StatusCode, "nothing wrong is kept")
}

func TestCopiesServeUntilAWriteChangesThem(t *testing.T) { // CAT-4
	t.Parallel()

	const specialities = "/appointment/v1/specialities"
	b := newBench(t)
	var asked atomic.Int64
	b.core.does("appointment", func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			asked.Add(1)
		}
		says(http.StatusOK, `{"items": []}`)(w, r)
	})
	reads := func() int64 {
		before := asked.Load()
		require.Equal(t, http.StatusOK, b.get(specialities).StatusCode)
		return asked.Load() - before
	}
	require.Eventually(t, func() bool { return reads() == 0 }, 10*time.Second, 20*time.Millisecond, "once this instance hears of writes")
	got := b.get(specialities)
	require.NotEmpty(t, got.Header.Get("Age"))
	require.Contains(t, got.Header.Get("Cache-Status"), "hit")

	write := request{method: http.MethodPost, path: specialities, body: `{"name": "Cardiology", "description": "The heart."}`, scopes: []string{"reference:write"}}
	require.Equal(t, http.StatusOK, b.do(write).StatusCode)
	require.EqualValues(t, 1, reads())
	require.Zero(t, reads())

	b.core.does("appointment", says(http.StatusServiceUnavailable, ""))
	require.Zero(t, reads(), "fresh, whatever became of the service")
}

func TestCopiesOutlastWritesThatWereNotSent(t *testing.T) {
	t.Parallel()

	const hours = "/appointment/v1/me/doctor/working-hours"
	b := newBench(t)
	doctor := request{method: http.MethodGet, path: hours, scopes: []string{"schedule:read", "schedule:write"}, subject: uuid.NewString()}
	b.core.does("appointment", says(http.StatusOK, `{"days": []}`))
	require.Equal(t, http.StatusOK, b.do(doctor).StatusCode)
	b.core.does("appointment", says(http.StatusServiceUnavailable, ""))
	change := request{method: http.MethodPut, path: hours, body: `{"days": []}`, scopes: doctor.scopes}
	for range 30 { // until the circuit is open, and beyond
		require.Equal(t, http.StatusServiceUnavailable, b.do(change).StatusCode)
	}
	old := b.do(doctor)
	require.Equal(t, http.StatusOK, old.StatusCode, "nothing has changed it")
	require.Contains(t, old.Header.Get("Warning"), "110")
}

func TestBookingDoesNotWaitForOurDatabase(t *testing.T) {
	t.Parallel()

	b := newBench(t)
	b.core.does("appointment", says(http.StatusCreated, `{}`))
	for range b.db.Pool().Config().MaxConns - b.db.Pool().Stat().AcquiredConns() {
		conn, err := b.db.Pool().Acquire(t.Context())
		require.NoError(t, err)
		defer conn.Release()
	}
	require.Equal(t, http.StatusCreated, b.register(uuid.NewString(), "", newPatient).StatusCode)
}

// toys is a service of no contract file: its bodies are large, and one of its answers goes on.
const toys = `
openapi: 3.0.3
info: { title: toys, version: "1" }
paths:
  /toys/v1/film:
    put:
      operationId: putFilm
      x-healthe-body-limit: 67108864
      security: []
      requestBody: { required: true, content: { application/octet-stream: { schema: { type: string, format: binary } } } }
      responses: { "204": { description: Kept. } }
  /toys/v1/events:
    get:
      operationId: watch
      security: []
      responses: { "200": { description: Events., content: { text/event-stream: { schema: { type: string } } } } }
`

func TestStreamsPass(t *testing.T) {
	t.Parallel()

	took, goOn := make(chan struct{}), make(chan struct{})
	core := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			_, err := io.ReadFull(r.Body, make([]byte, 1<<20))
			if err == nil {
				close(took)
			}
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: 1\n\n")
		w.(http.Flusher).Flush()
		<-goOn
		_, _ = io.WriteString(w, "data: 2\n\n")
	}))
	defer core.Close()
	doc, err := openapi3.NewLoader().LoadFromData([]byte(toys))
	require.NoError(t, err)
	policies, err := upstream.PoliciesOf(map[string]*openapi3.T{"toys": doc})
	require.NoError(t, err)
	target, err := url.Parse(core.URL)
	require.NoError(t, err)
	h, err := newProxy(&way{doc: doc, upstream: upstream.New("toys", policies["toys"], testSettings()), target: target}, nil, contract.Schemes{})
	require.NoError(t, err)
	catalog := httptest.NewServer(h)
	defer catalog.Close()

	body, upload := io.Pipe()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, catalog.URL+"/toys/v1/film", body)
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/octet-stream")
	go func() {
		part := make([]byte, 1<<20)
		_, _ = upload.Write(part)
		_, _ = upload.Write(part)
		<-took // before the rest is even written
		_, _ = upload.Write(part)
		_ = upload.Close()
	}()
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusNoContent, resp.StatusCode)

	events, err := http.Get(catalog.URL + "/toys/v1/events")
	require.NoError(t, err)
	defer events.Body.Close()
	line, err := bufio.NewReader(events.Body).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "data: 1\n", line, "before the service has said the rest")
	close(goOn)
}
