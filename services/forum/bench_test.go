package forum

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/db/dbtest"
	"github.com/healthe/healthe/kit/contract"
	"github.com/healthe/healthe/kit/identity"
	"github.com/healthe/healthe/kit/server"
	"github.com/healthe/healthe/kittest/contracttest"
	"github.com/healthe/healthe/kittest/identitytest"
	"github.com/healthe/healthe/mail"
	api "github.com/healthe/healthe/openapi/forum"
	"github.com/healthe/healthe/openapi/mailing"
	"github.com/healthe/healthe/services/forum/internal/pseudonym"
	"github.com/healthe/healthe/services/forum/internal/store"
)

var (
	usual       = Rules{NewFor: 72 * time.Hour, FlagsHide: 3, MaxFollows: 100}
	asMember    = []string{"forum:read", "forum:write"}
	asModerator = []string{"forum:read", "forum:write", "forum:moderate"}
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.NewMultiHandler(
		slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}),
		slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}),
	)))
	m.Run()
}

// bench is the service with a database, a clock and a mailing service of its own.
type bench struct {
	*api.ClientWithResponses
	t       testing.TB
	service *service
	issuer  *identitytest.Issuer
	mails   *fakeMailing
	clock   *clock
	url     string
}

// newBench has a clock that stands still at the real time, which is when its rows are created.
func newBench(t testing.TB) *bench {
	t.Helper()
	b := &bench{t: t, issuer: identitytest.New(t), mails: &fakeMailing{mails: map[string]mailing.NewMessage{}}, clock: &clock{at: time.Now().Truncate(time.Microsecond)}}
	names, err := pseudonym.New("a secret of the tests")
	require.NoError(t, err)
	s, err := newService(dbtest.New(t, "forum"), names, mail.New(b.mails), usual, "https://healthe.example")
	require.NoError(t, err)
	s.now = b.clock.now
	b.service = s
	h, err := newHandler(s, contract.Schemes{"healthe": b.issuer.Verifier.Authenticate})
	require.NoError(t, err)
	doc, err := contract.Load("forum")
	require.NoError(t, err)
	srv := httptest.NewServer(contracttest.Responses(t, doc, server.Wrap(h)))
	t.Cleanup(srv.Close)
	b.url = srv.URL
	b.ClientWithResponses, err = api.NewClientWithResponses(srv.URL, api.WithHTTPClient(srv.Client()))
	require.NoError(t, err)
	return b
}

func (b *bench) as(who identity.Identity) api.RequestEditorFn {
	token := b.issuer.Token(b.t, who)
	return func(_ context.Context, r *http.Request) error {
		r.Header.Set(identity.Header, token)
		return nil
	}
}

// by, byDoctor and byModerator sign for half a minute: make one for each request.
func (b *bench) by(who uuid.UUID) api.RequestEditorFn {
	return b.as(identity.Identity{Subject: who.String(), Roles: []string{"patient"}, Scopes: asMember})
}

func (b *bench) byDoctor(who uuid.UUID) api.RequestEditorFn {
	return b.as(identity.Identity{Subject: who.String(), Roles: []string{"patient", "doctor"}, Scopes: asMember})
}

func (b *bench) byModerator(who uuid.UUID) api.RequestEditorFn {
	return b.as(identity.Identity{Subject: who.String(), Roles: []string{"patient", "moderator"}, Scopes: asModerator})
}

// member returns a user whom the forum has known for long; uuid.New() is one who never was there.
func (b *bench) member() uuid.UUID {
	b.t.Helper()
	who := uuid.New()
	author := b.authorOf(who)
	_, err := b.service.store.EnsureAuthor(b.t.Context(), store.EnsureAuthorParams{ID: author, Names: b.service.names.Names(author), Now: b.clock.now()})
	require.NoError(b.t, err)
	_, err = b.service.db.Exec(b.t.Context(), "UPDATE authors SET created_at = created_at - interval '100 days' WHERE id = $1", author)
	require.NoError(b.t, err)
	return who
}

// authorOf is who a user is in the forum.
func (b *bench) authorOf(who uuid.UUID) uuid.UUID { return b.service.names.Author(who.String()) }

// newCommunity has a name that no other has.
func newCommunity() api.NewCommunity {
	return api.NewCommunity{Name: "a-" + strings.ToLower(rand.Text()), Title: "Living with type 1 diabetes", Description: "Everyday questions."}
}

// addCommunity is made, and followed, by someone else.
func (b *bench) addCommunity() api.Community {
	b.t.Helper()
	resp, err := b.CreateCommunityWithResponse(b.t.Context(), nil, newCommunity(), b.by(b.member()))
	require.NoError(b.t, err)
	require.Equal(b.t, http.StatusCreated, resp.StatusCode(), string(resp.Body))
	return *resp.JSON201
}

func newPost() api.NewPost {
	return api.NewPost{Title: "Travelling with a pump", Body: new("What do you tell **airport security**?")}
}

func (b *bench) addPost(author, community uuid.UUID) api.Post {
	b.t.Helper()
	resp, err := b.CreatePostWithResponse(b.t.Context(), community, nil, newPost(), b.by(author))
	require.NoError(b.t, err)
	require.Equal(b.t, http.StatusCreated, resp.StatusCode(), string(resp.Body))
	return *resp.JSON201
}

// addComment answers the post where parent is nil.
func (b *bench) addComment(author, post uuid.UUID, parent *uuid.UUID) api.Comment {
	b.t.Helper()
	comment := api.NewComment{Body: "I show the card of my clinic.", ParentID: parent}
	resp, err := b.CreateCommentWithResponse(b.t.Context(), post, nil, comment, b.by(author))
	require.NoError(b.t, err)
	require.Equal(b.t, http.StatusCreated, resp.StatusCode(), string(resp.Body))
	return *resp.JSON201
}

func (b *bench) hidePost(post uuid.UUID) {
	b.t.Helper()
	resp, err := b.HidePostWithResponse(b.t.Context(), post, nil, api.Reason{Reason: "Advertisement"}, b.byModerator(uuid.New()))
	require.NoError(b.t, err)
	require.Equal(b.t, http.StatusNoContent, resp.StatusCode(), string(resp.Body))
}

func (b *bench) count(sql string, args ...any) int {
	b.t.Helper()
	var n int
	require.NoError(b.t, b.service.db.QueryRow(b.t.Context(), sql, args...).Scan(&n))
	return n
}

// work does every job that is due, in the order in which they were made, until none is.
func (b *bench) work() {
	b.t.Helper()
	for {
		var args []byte
		row := b.service.db.QueryRow(b.t.Context(), `DELETE FROM river_job WHERE id = (
			SELECT id FROM river_job WHERE state = 'available' AND kind = 'notice' ORDER BY id LIMIT 1) RETURNING args`)
		if row.Scan(&args) != nil {
			break
		}
		job := &river.Job[noticeJob]{JobRow: &rivertype.JobRow{}}
		require.NoError(b.t, json.Unmarshal(args, &job.Args))
		require.NoError(b.t, (&notifier{service: b.service, post: mail.New(b.mails)}).Work(b.t.Context(), job))
	}
	require.Zero(b.t, b.count("SELECT count(*) FROM river_job"), "nobody does these")
}

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
}

// fakeMailing takes each key once, as mailing does.
type fakeMailing struct {
	mailing.ClientWithResponsesInterface
	mu    sync.Mutex
	keys  []string
	mails map[string]mailing.NewMessage
	down  bool
}

func (f *fakeMailing) SendMessageWithResponse(_ context.Context, p *mailing.SendMessageParams, m mailing.NewMessage, _ ...mailing.RequestEditorFn) (*mailing.SendMessageResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return &mailing.SendMessageResponse{HTTPResponse: &http.Response{StatusCode: http.StatusServiceUnavailable}}, nil
	}
	if _, ok := f.mails[*p.IdempotencyKey]; !ok {
		f.keys = append(f.keys, *p.IdempotencyKey)
		f.mails[*p.IdempotencyKey] = m
	}
	return &mailing.SendMessageResponse{HTTPResponse: &http.Response{StatusCode: http.StatusAccepted}}, nil
}

// sent returns all mails, in order.
func (f *fakeMailing) sent() []mailing.NewMessage {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make([]mailing.NewMessage, len(f.keys))
	for i, k := range f.keys {
		all[i] = f.mails[k]
	}
	return all
}

// problemOf is what a refusal says.
func problemOf(t testing.TB, body []byte) (p struct {
	Type   string
	Status int
	Errors []struct{ Pointer, Detail string }
},
) {
	t.Helper()
	require.NoError(t, json.Unmarshal(body, &p), string(body))
	return p
}

// refused checks that an answer is the problem want.
func refused(t testing.TB, want error, status int, body []byte) {
	t.Helper()
	p := problemOf(t, body)
	require.Equal(t, fmt.Sprint(typeOf(want), " ", statusOf(want)), fmt.Sprint(p.Type, " ", status), string(body))
}

// pointersOf are the parts of a request that a refusal names.
func pointersOf(t testing.TB, body []byte) []string {
	t.Helper()
	var all []string
	for _, e := range problemOf(t, body).Errors {
		all = append(all, e.Pointer)
	}
	return all
}

func jsonOf(t testing.TB, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return text
}
