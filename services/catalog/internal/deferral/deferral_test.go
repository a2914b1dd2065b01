package deferral

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/db/dbtest"
	"github.com/healthe/healthe/kit/identity"
	"github.com/healthe/healthe/kit/postgres"
	"github.com/healthe/healthe/openapi/auth"
	"github.com/healthe/healthe/openapi/deferred"
	"github.com/healthe/healthe/openapi/mailing"
	"github.com/healthe/healthe/openapi/problem"
)

// bench is a Deferral whose tries a test makes one by one, and the world around it.
type bench struct {
	*Deferral
	t       *testing.T
	service *fakeService
	auth    *fakeAuth
	mail    *fakeMail
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, service: newService(t), auth: &fakeAuth{}, mail: &fakeMail{}}
	b.Deferral = newDeferral(t, dbtest.New(t, "catalog"), b.service, b.auth, b.mail)
	return b
}

func newDeferral(t *testing.T, db *postgres.DB, s *fakeService, a *fakeAuth, m *fakeMail) *Deferral {
	t.Helper()
	target, err := url.Parse(s.url)
	require.NoError(t, err)
	d, err := New(db, Config{
		Target: target, Upstream: func(string) http.RoundTripper { return http.DefaultTransport }, Auth: a, Mailing: m,
		PublicURL: "https://healthe.example",
	})
	require.NoError(t, err)
	return d
}

func booking(user uuid.UUID, key, body string) Request {
	r := httptest.NewRequest(http.MethodPost, "/appointment/v1/appointments?a=%2F&b", nil)
	r.Header = http.Header{"Content-Type": {"application/json"}, "If-Match": {`"3"`}, "Cookie": {"secret"}, "Authorization": {"Bearer secret"}}
	return Request{
		Service: "appointment", Operation: "bookAppointment", HTTP: r, Body: []byte(body), Key: key,
		Caller: identity.Identity{Subject: user.String()}, Identity: "signed for " + user.String(),
	}
}

func (b *bench) takes(user uuid.UUID, key string) uuid.UUID {
	b.t.Helper()
	op, err := b.Defer(b.t.Context(), booking(user, key, "{}"))
	require.NoError(b.t, err)
	require.Equal(b.t, deferred.Pending, op.State)
	return op.Id
}

// tries makes one try, whenever it would be due.
func (b *bench) tries(id uuid.UUID) {
	b.t.Helper()
	_, err := b.db.Exec(b.t.Context(), "UPDATE operations SET due_at = now() - interval '1 hour' WHERE id = $1", id)
	require.NoError(b.t, err)
	require.NoError(b.t, (&replayer{deferral: b.Deferral}).Work(b.t.Context(), &river.Job[replayJob]{Args: replayJob{id}}))
}

func (b *bench) get(user, id uuid.UUID) deferred.DeferredOperation {
	b.t.Helper()
	op, _, err := b.Get(b.t.Context(), identity.Identity{Subject: user.String()}, id)
	require.NoError(b.t, err)
	return op
}

// mails sends what is due and returns the templates.
func (b *bench) mails() []string {
	b.t.Helper()
	rows, err := b.db.Query(b.t.Context(), "SELECT args->>'template', args->>'to', args->>'operation_id' FROM river_job WHERE kind = 'mail' ORDER BY id")
	require.NoError(b.t, err)
	defer rows.Close()
	var templates []string
	for rows.Next() {
		var template string
		var to, id uuid.UUID
		require.NoError(b.t, rows.Scan(&template, &to, &id))
		job := &river.Job[mailJob]{Args: mailJob{Template: template, To: to, OperationID: id}}
		require.NoError(b.t, (&mailer{deferral: b.Deferral}).Work(b.t.Context(), job))
		templates = append(templates, template)
	}
	require.NoError(b.t, rows.Err())
	return templates
}

// fakeAuth lets everybody act, unless a test says otherwise.
type fakeAuth struct {
	auth.ClientWithResponsesInterface
	refuses *problem.Problem
	hangs   bool // until the caller gives up
	asked   atomic.Int32
}

func (f *fakeAuth) ExchangeIdentityWithResponse(ctx context.Context, body auth.NewIdentityExchange, _ ...auth.RequestEditorFn) (*auth.ExchangeIdentityResponse, error) {
	f.asked.Add(1)
	if f.hangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if p := f.refuses; p != nil {
		resp := &auth.ExchangeIdentityResponse{HTTPResponse: &http.Response{StatusCode: p.Status, Status: http.StatusText(p.Status)}}
		if p.Status == http.StatusForbidden {
			resp.ApplicationProblemJSON403 = p
		}
		return resp, nil
	}
	return &auth.ExchangeIdentityResponse{
		HTTPResponse: &http.Response{StatusCode: http.StatusOK},
		JSON200:      &auth.IdentityExchange{AccessToken: "again " + body.SubjectToken},
	}, nil
}

type fakeMail struct {
	mailing.ClientWithResponsesInterface
	mu   sync.Mutex
	sent []mailing.NewMessage
}

func (f *fakeMail) SendMessageWithResponse(_ context.Context, _ *mailing.SendMessageParams, m mailing.NewMessage, _ ...mailing.RequestEditorFn) (*mailing.SendMessageResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sent = append(f.sent, m)
	return &mailing.SendMessageResponse{HTTPResponse: &http.Response{StatusCode: http.StatusAccepted}}, nil
}

// fakeService does a request with a key once, as package idempotency has services do, and what a test wants around it.
type fakeService struct {
	url string

	mu     sync.Mutex
	before http.HandlerFunc // in place of doing it, where it writes something
	after  func()           // once it is done, before that is said
	done   []string         // keys in order
	seen   []*http.Request
}

func newService(t *testing.T) *fakeService {
	t.Helper()
	s := &fakeService{}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	s.url = srv.URL
	return s
}

func (s *fakeService) does(before http.HandlerFunc, after func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before, s.after = before, after
}

func (s *fakeService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	s.mu.Lock()
	before, after := s.before, s.after
	s.seen = append(s.seen, r)
	s.mu.Unlock()
	if before != nil {
		rec := &recorder{ResponseWriter: w}
		if before(rec, r); rec.wrote {
			return
		}
	}
	key := r.Header.Get("X-Healthe-Identity") + "\x1f" + r.Header.Get("Idempotency-Key")
	s.once(key)
	if after != nil {
		after()
	}
	w.Header().Set("Location", "/appointment/v1/appointments/1")
	w.WriteHeader(http.StatusCreated)
}

// once does what the key names if it is not done.
func (s *fakeService) once(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.done, key) {
		s.done = append(s.done, key)
	}
}

func (s *fakeService) keys() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.done...)
}

func (s *fakeService) last() *http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[len(s.seen)-1]
}

type recorder struct {
	http.ResponseWriter
	wrote bool
}

func (r *recorder) WriteHeader(status int) {
	r.wrote = true
	r.ResponseWriter.WriteHeader(status)
}

// says answers with a problem of the platform.
func says(status int, slug string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		problem.Write(w, r, problem.New(status, slug, "No", "No."))
	}
}

// plain answers as somebody does who is not one of our services.
func plain(status int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", cmp.Or(strings.Join(header, ""), "text/plain"))
		w.WriteHeader(status)
	}
}

func resets(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
