package mailing

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/db/dbtest"
	"github.com/healthe/healthe/kit/config"
	"github.com/healthe/healthe/kit/contract"
	"github.com/healthe/healthe/kit/postgres"
	"github.com/healthe/healthe/kit/server"
	"github.com/healthe/healthe/kittest/contracttest"
	"github.com/healthe/healthe/kittest/identitytest"
	"github.com/healthe/healthe/openapi/auth"
	api "github.com/healthe/healthe/openapi/mailing"
	"github.com/healthe/healthe/openapi/problem"
)

const courierSecret = config.Secret("a-secret-of-this-test")

// bench is one running service with a database and a mail server of its own.
type bench struct {
	*api.ClientWithResponses
	t      *testing.T
	issuer *identitytest.Issuer
	smtp   *smtpServer
	auth   *fakeAuth
	db     *postgres.DB
	s      *service
}

func newBench(t *testing.T) *bench {
	t.Helper()

	smtp, people, pool := newSMTPServer(t), &fakeAuth{known: uuid.New(), verified: true}, dbtest.New(t, "mailing")
	out, err := newSender(config.Secret(smtp.url("?tls=none")), "Healthe <no-reply@healthe.example>", nil)
	require.NoError(t, err)
	s, err := newService(pool, out, newContacts(people), func(int) time.Duration { return time.Millisecond })
	require.NoError(t, err)
	issuer := identitytest.New(t)
	h, err := newHandler(s, contract.Schemes{"healthe": issuer.Verifier.Authenticate, "courier": authenticateCourier(courierSecret)})
	require.NoError(t, err)
	doc, err := contract.Load("mailing")
	require.NoError(t, err)
	srv := httptest.NewServer(contracttest.Responses(t, doc, server.Wrap(h)))
	t.Cleanup(srv.Close)
	client, err := api.NewClientWithResponses(srv.URL)
	require.NoError(t, err)
	return &bench{client, t, issuer, smtp, people, pool, s}
}

// work starts sending.
func (b *bench) work() *bench {
	b.t.Helper()
	require.NoError(b.t, b.s.jobs.Start(context.WithoutCancel(b.t.Context())))
	b.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(b.t.Context()), 5*time.Second)
		defer cancel()
		_ = b.s.jobs.StopAndCancel(ctx)
	})
	return b
}

func (b *bench) as(subject string, scopes ...string) api.RequestEditorFn {
	return b.issuer.As(b.t, subject, scopes...)
}

// send sends a mail as the appointment service does.
func (b *bench) send(m api.NewMessage) *api.Message {
	b.t.Helper()
	resp, err := b.SendMessageWithResponse(b.t.Context(), nil, m, b.as("appointment", "mail:send"))
	require.NoError(b.t, err)
	require.NotNil(b.t, resp.JSON202, string(resp.Body))
	return resp.JSON202
}

// look asks what became of a mail, with the right to read all.
func (b *bench) look(id uuid.UUID) *api.Message {
	b.t.Helper()
	resp, err := b.GetMessageWithResponse(b.t.Context(), id, b.as("an admin", "mail:read"))
	require.NoError(b.t, err)
	require.NotNil(b.t, resp.JSON200, string(resp.Body))
	return resp.JSON200
}

// await waits until a mail has the status.
func (b *bench) await(id uuid.UUID, status api.DeliveryStatus) *api.Message {
	b.t.Helper()
	var got *api.Message
	require.Eventually(b.t, func() bool { got = b.look(id); return got.Status == status }, 20*time.Second, 20*time.Millisecond)
	return got
}

// count asks the database.
func (b *bench) count(query string, args ...any) int {
	b.t.Helper()
	var n int
	require.NoError(b.t, b.db.QueryRow(b.t.Context(), query, args...).Scan(&n))
	return n
}

func (b *bench) exec(statement string, args ...any) {
	b.t.Helper()
	_, err := b.db.Exec(b.t.Context(), statement, args...)
	require.NoError(b.t, err)
}

func to(addresses ...string) []api.NewRecipient {
	var all []api.NewRecipient
	for _, a := range addresses {
		all = append(all, api.NewRecipient{Address: &a})
	}
	return all
}

func plain(addresses ...string) api.NewMessage {
	return api.NewMessage{Subject: new("Greetings"), Text: new("Hello there.\n"), Recipients: to(addresses...)}
}

func pointers(p *problem.Problem) []string {
	var all []string
	for _, f := range p.Errors {
		all = append(all, f.Pointer)
	}
	return all
}

// fakeAuth knows one user; it may be down.
type fakeAuth struct {
	auth.ClientWithResponsesInterface
	known    uuid.UUID
	verified bool
	down     atomic.Bool
	asked    atomic.Int32
}

func (f *fakeAuth) GetContactWithResponse(_ context.Context, id auth.UserID, _ ...auth.RequestEditorFn) (*auth.GetContactResponse, error) {
	f.asked.Add(1)
	switch {
	case f.down.Load():
		return &auth.GetContactResponse{HTTPResponse: &http.Response{StatusCode: http.StatusServiceUnavailable}}, nil
	case id != f.known:
		return &auth.GetContactResponse{HTTPResponse: &http.Response{StatusCode: http.StatusNotFound}}, nil
	}
	return &auth.GetContactResponse{
		HTTPResponse: &http.Response{StatusCode: http.StatusOK},
		JSON200:      &auth.Contact{Email: "ada@example.org", Name: "Ada\r\nBcc: all@example.org", Verified: f.verified},
	}, nil
}

func TestNewRefusesOpenLinesInProduction(t *testing.T) {
	t.Parallel()

	cfg := Config{SMTPURL: "smtp://mail.example:587?tls=starttls", MailFrom: "no-reply@healthe.example"}
	cfg.Env = "production"
	_, err := New(t.Context(), cfg)
	require.ErrorContains(t, err, "SMTP_URL")
}
