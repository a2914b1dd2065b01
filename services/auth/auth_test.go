package auth

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/healthe/healthe/db/dbtest"
	"github.com/healthe/healthe/kit/config"
	"github.com/healthe/healthe/kit/contract"
	"github.com/healthe/healthe/kit/identity"
	"github.com/healthe/healthe/kit/postgres"
	"github.com/healthe/healthe/kit/server"
	"github.com/healthe/healthe/kittest/contracttest"
	api "github.com/healthe/healthe/openapi/auth"
	"github.com/healthe/healthe/openapi/mailing"
	"github.com/healthe/healthe/openapi/problem"
	"github.com/healthe/healthe/services/auth/internal/kratos"
	"github.com/healthe/healthe/services/auth/internal/orytest"
)

func TestMain(m *testing.M) { orytest.Main(m) }

const goodPassword = "seven-Otters-dance-42"

// bench is one running auth with a database of its own, in front of the real Kratos and Hydra.
type bench struct {
	*api.ClientWithResponses
	url    string
	db     *postgres.DB
	mail   *orytest.Mail
	kratos *kratos.Client
	cfg    Config
}

func testConfig() Config {
	ory := orytest.Get()
	return Config{
		Config:          server.Config{PublicURL: ory.PublicURL, InternalURL: "http://127.0.0.1:1"},
		KratosPublicURL: ory.KratosPublic, KratosAdminURL: ory.KratosAdmin, HydraAdminURL: ory.HydraAdmin,
		KeyEncryptionSecret: config.Secret("a-secret-of-the-tests"), SignupsPerAddress: 60, PasswordCost: bcrypt.MinCost,
		UnverifiedLifetime: 24 * time.Hour,
	}
}

func newBench(t *testing.T) *bench {
	t.Helper()
	return newInstance(t, dbtest.New(t, "auth"), testConfig())
}

// newInstance starts one more auth on a database.
func newInstance(t *testing.T, db *postgres.DB, cfg Config) *bench {
	t.Helper()
	svc, err := build(t.Context(), cfg, db, fakeMailing{mail: orytest.Get().Mail})
	require.NoError(t, err)
	doc, err := contract.Load("auth")
	require.NoError(t, err)
	srv := httptest.NewServer(contracttest.Responses(t, doc, svc.Handler))

	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	for _, f := range svc.Background {
		running.Go(func() { _ = f(ctx) })
	}
	t.Cleanup(func() {
		srv.Close()
		stop()
		running.Wait()
	})
	client, err := api.NewClientWithResponses(srv.URL)
	require.NoError(t, err)
	return &bench{
		ClientWithResponses: client, url: srv.URL, db: db, mail: orytest.Get().Mail, cfg: cfg,
		kratos: kratos.New(orytest.Get().KratosPublic, orytest.Get().KratosAdmin, http.DefaultClient),
	}
}

// user is somebody with an account and a session.
type user struct {
	id                              uuid.UUID
	username, email, token, session string
}

// someone returns a name that no other test has.
func someone() (username, email string) {
	name := "u" + strings.ReplaceAll(uuid.NewString(), "-", "")[:16]
	return name, name + "@example.org"
}

// signUp asks for an account and returns what to confirm it with.
func (b *bench) signUp(t *testing.T, username, email string) api.Challenge {
	t.Helper()
	resp, err := b.SignUpWithResponse(t.Context(), api.NewAccount{Username: username, Email: email, Name: "Ada Lovelace", Password: goodPassword})
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, resp.StatusCode(), string(resp.Body))
	return *resp.JSON202
}

// verify confirms an address with the code from the mail.
func (b *bench) verify(t *testing.T, c api.Challenge, email string) {
	t.Helper()
	letter := b.mail.Await(t, email, "verification_code_valid", 1)
	resp, err := b.ConfirmVerificationWithResponse(t.Context(), c.ID, api.Code{Code: letter.Data["verification_code"]})
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, resp.StatusCode(), string(resp.Body))
}

func (b *bench) logIn(t *testing.T, identifier, password string) *api.LogInResponse {
	t.Helper()
	resp, err := b.LogInWithResponse(t.Context(), api.Credentials{Identifier: identifier, Password: password})
	require.NoError(t, err)
	return resp
}

// newUser signs up, verifies and logs in.
func (b *bench) newUser(t *testing.T) user {
	t.Helper()
	username, email := someone()
	b.verify(t, b.signUp(t, username, email), email)
	return b.session(t, user{username: username, email: email})
}

func (b *bench) session(t *testing.T, u user) user {
	t.Helper()
	got := b.logIn(t, u.username, goodPassword)
	require.NotNil(t, got.JSON200, string(got.Body))
	u.id, u.token, u.session = got.JSON200.UserID, got.JSON200.SessionToken, got.JSON200.SessionID.String()
	return u
}

// newAdmin is a user whom somebody made an admin beside the API.
func (b *bench) newAdmin(t *testing.T) user {
	t.Helper()
	u := b.newUser(t)
	require.NoError(t, b.kratos.SetRoles(t.Context(), u.id, []string{"patient", "admin"}))
	return b.session(t, u)
}

// forwardAuth asks as Traefik does.
func (b *bench) forwardAuth(t *testing.T, header http.Header) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.url+verifyPath, nil)
	require.NoError(t, err)
	req.Header = header
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp
}

func bearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

// as sends a request the way Traefik does: forward-auth first, then with the identity.
func (b *bench) as(t *testing.T, u user) api.RequestEditorFn {
	t.Helper()
	return func(_ context.Context, r *http.Request) error {
		if resp := b.forwardAuth(t, bearer(u.token)); resp.StatusCode == http.StatusOK {
			r.Header.Set(identity.Header, resp.Header.Get(identity.Header))
		}
		return nil
	}
}

// asService sends a request as another service.
func (b *bench) asService(t *testing.T, scopes ...string) api.RequestEditorFn {
	t.Helper()
	token := machineToken(t, scopes...)
	return func(_ context.Context, r *http.Request) error {
		resp := b.forwardAuth(t, bearer(token))
		require.Equal(t, http.StatusOK, resp.StatusCode)
		r.Header.Set(identity.Header, resp.Header.Get(identity.Header))
		return nil
	}
}

// eventually waits for what a job does.
func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, 20*time.Second, 20*time.Millisecond)
}

// isProblem says that an answer is the problem want.
func isProblem(t *testing.T, want *problem.Problem, body []byte, status int) {
	t.Helper()
	require.Equal(t, want.Status, status, string(body))
	require.Contains(t, string(body), want.Type)
}

// fakeMailing takes the mail that auth itself sends.
type fakeMailing struct {
	mailing.ClientWithResponsesInterface
	mail *orytest.Mail
}

func (f fakeMailing) SendMessageWithResponse(_ context.Context, _ *mailing.SendMessageParams, m mailing.NewMessage, _ ...mailing.RequestEditorFn) (*mailing.SendMessageResponse, error) {
	letter := orytest.Letter{Template: *m.Template, Data: *m.Data}
	if to := m.Recipients[0]; to.UserID != nil {
		letter.To = to.UserID.String()
	} else {
		letter.To = *to.Address
	}
	f.mail.Add(letter)
	return &mailing.SendMessageResponse{HTTPResponse: &http.Response{StatusCode: http.StatusAccepted}}, nil
}
