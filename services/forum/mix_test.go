package forum

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/google/uuid"
	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/kit/contract"
	"github.com/healthe/healthe/kit/identity"
	api "github.com/healthe/healthe/openapi/forum"
)

// person is someone with an account, who calls as the platform lets people call.
type person struct {
	*api.ClientWithResponses
	identity identity.Identity
	known    map[string]string // what the platform knows of them, and the forum must not keep
}

// town is the persons of one test, and what they did.
type town struct {
	*bench
	router  routers.Router
	persons []*person
	mu      sync.Mutex
	done    map[string]int // operations, and how often each went well
}

func newTown(b *bench) *town {
	b.t.Helper()
	doc, err := contract.Load("forum")
	require.NoError(b.t, err)
	router, err := gorillamux.NewRouter(doc)
	require.NoError(b.t, err)
	return &town{bench: b, router: router, done: map[string]int{}}
}

// add lets a person in, whom the forum has known for long.
func (c *town) add(name string, roles ...string) *person {
	c.t.Helper()
	i := len(c.persons) + 1
	p := &person{identity: identity.Identity{
		Subject: c.member().String(), Roles: roles, Scopes: asModerator, ClientID: uuid.NewString(), SessionID: uuid.NewString(),
	}}
	p.known = map[string]string{
		"subject": p.identity.Subject, "client": p.identity.ClientID, "session": p.identity.SessionID,
		"name": name, "username": fmt.Sprintf("%s.%d", strings.ToLower(strings.ReplaceAll(name, " ", "_")), i),
		"e-mail":  fmt.Sprintf("%s@mail%d.example", strings.ToLower(strings.ReplaceAll(name, " ", "-")), i),
		"address": fmt.Sprintf("203.0.113.%d", 200+i), "IPv6 address": fmt.Sprintf("2001:db8:77:%d::4711", i),
		"cookie": "cookie" + uuid.NewString(), "token": "ory_at_" + uuid.NewString(),
	}
	var err error
	p.ClientWithResponses, err = api.NewClientWithResponses(c.url, api.WithHTTPClient(&http.Client{Transport: disguise{c, p}}))
	require.NoError(c.t, err)
	c.persons = append(c.persons, p)
	return p
}

// disguise sends what a person's requests have when they reach the service, and every POST under a key.
type disguise struct {
	town   *town
	person *person
}

func (d disguise) RoundTrip(r *http.Request) (*http.Response, error) {
	known := d.person.known
	r = r.Clone(r.Context())
	r.Header.Set(identity.Header, d.town.issuer.Token(d.town.t, d.person.identity))
	r.Header.Set("Authorization", "Bearer "+known["token"])
	r.Header.Set("Cookie", "ory_kratos_session="+known["cookie"])
	r.Header.Set("X-Forwarded-For", known["address"]+", "+known["IPv6 address"])
	r.Header.Set("X-Real-Ip", known["address"])
	r.Header.Set("From", known["e-mail"])
	if r.Method == http.MethodPost {
		r.Header.Set("Idempotency-Key", cmp.Or(r.Header.Get("Idempotency-Key"), uuid.NewString()))
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil || resp.StatusCode >= http.StatusBadRequest {
		return resp, err
	}
	route, _, err := d.town.router.FindRoute(r)
	if err != nil {
		return nil, err
	}
	d.town.mu.Lock()
	defer d.town.mu.Unlock()
	d.town.done[route.Operation.OperationID]++
	return resp, nil
}

// status is what all answers of the generated client have.
type status interface{ StatusCode() int }

// well wants that a request went well.
func (c *town) well(answer status, err error) {
	c.t.Helper()
	require.NoError(c.t, err)
	require.Less(c.t, answer.StatusCode(), http.StatusBadRequest, "%T", answer)
}

// badly wants that a request was refused.
func (c *town) badly(answer status, err error) {
	c.t.Helper()
	require.NoError(c.t, err)
	require.GreaterOrEqual(c.t, answer.StatusCode(), http.StatusBadRequest, "%T", answer)
	require.Less(c.t, answer.StatusCode(), http.StatusInternalServerError, "%T", answer)
}

// mix is a day in the forum: people use every operation, make mistakes, answer one who wants mail, flag and moderate.
func (c *town) mix() {
	c.t.Helper()
	ada, ben, cleo := c.add("Ada Lindqvist", "patient"), c.add("Ben Okonkwo", "patient", "doctor"), c.add("Cleo Marchetti", "patient")
	dora, mod := c.add("Dora Yilmaz", "patient"), c.add("Emil Sørensen", "patient", "moderator")
	community := c.meet(ada, ben)
	posts := c.write(community, ada, ben, cleo)
	c.stumble(posts, ada, ben)
	c.read(community, posts[0], ada)
	c.quarrel(posts, ada, []*person{ben, cleo, dora}, mod)
	c.leave(community, posts, ada, ben, mod)
}

func (c *town) meet(ada, ben *person) uuid.UUID {
	c.t.Helper()
	ctx := c.t.Context()
	c.well(ada.GetOwnAuthorWithResponse(ctx))
	c.well(ada.UpdateOwnAuthorWithResponse(ctx, api.Settings{ReplyMails: true}))
	c.well(ben.UpdateOwnAuthorWithResponse(ctx, api.Settings{ReplyMails: true}))
	c.well(ben.UpdateOwnAuthorWithResponse(ctx, api.Settings{ReplyMails: false}))
	made, err := ada.CreateCommunityWithResponse(ctx, nil, newCommunity())
	c.well(made, err)
	id := made.JSON201.ID
	c.well(ada.UpdateCommunityWithResponse(ctx, id, nil, api.CommunityText{Title: "Type 1 diabetes", Description: "What helps."}))
	c.well(ben.FollowCommunityWithResponse(ctx, id))
	c.well(ben.UnfollowCommunityWithResponse(ctx, id))
	c.well(ben.FollowCommunityWithResponse(ctx, id))
	return id
}

// write lets ada post, and the others answer: of three mails one is sent, one cannot be, and one waits.
func (c *town) write(community uuid.UUID, ada, ben, cleo *person) []uuid.UUID {
	c.t.Helper()
	ctx := c.t.Context()
	var posts []uuid.UUID
	for range 4 {
		made, err := ada.CreatePostWithResponse(ctx, community, nil, newPost())
		c.well(made, err)
		posts = append(posts, made.JSON201.ID)
	}
	c.well(ada.UpdatePostWithResponse(ctx, posts[0], nil, api.PostText{Title: "Travelling with a pump", Body: new("Solved, see below.")}))
	reply, err := ben.CreateCommentWithResponse(ctx, posts[0], nil, api.NewComment{Body: "I show the card of my clinic."})
	c.well(reply, err)
	c.runJobs(river.EventKindJobCompleted)
	require.Equal(c.t, ada.identity.Subject, c.mails.sent()[0].Recipients[0].UserID.String())

	c.mails.down = true
	c.well(ben.CreateCommentWithResponse(ctx, posts[1], nil, api.NewComment{Body: "The same here."}))
	c.runJobs(river.EventKindJobFailed)
	c.well(cleo.CreateCommentWithResponse(ctx, posts[2], nil, api.NewComment{Body: "Thank you!"}))

	below := &reply.JSON201.ID
	c.well(ada.CreateCommentWithResponse(ctx, posts[0], nil, api.NewComment{Body: "Thanks", ParentID: below}))
	c.well(ben.UpdateCommentWithResponse(ctx, *below, nil, api.CommentText{Body: "I show a card."}))
	c.well(ada.VoteCommentWithResponse(ctx, *below, api.Vote{Value: api.VoteValueUp}))
	c.well(cleo.VoteCommentWithResponse(ctx, *below, api.Vote{Value: api.VoteValueDown}))
	c.well(cleo.RetractCommentVoteWithResponse(ctx, *below))
	c.well(ben.VotePostWithResponse(ctx, posts[0], api.Vote{Value: api.VoteValueUp}))
	c.well(cleo.VotePostWithResponse(ctx, posts[0], api.Vote{Value: api.VoteValueUp}))
	c.well(cleo.RetractPostVoteWithResponse(ctx, posts[0]))
	return posts
}

// stumble lets people make mistakes, some of them with what should not be public.
func (c *town) stumble(posts []uuid.UUID, ada, ben *person) {
	c.t.Helper()
	ctx := c.t.Context()
	private := "Write to me: " + ada.known["e-mail"] + ", yours " + ada.known["name"]
	again := &api.CreateCommentParams{IdempotencyKey: new(uuid.NewString())}
	for range 2 { // asked about, and the answer is kept under the key
		c.badly(ada.CreateCommentWithResponse(ctx, posts[0], again, api.NewComment{Body: private}))
	}
	c.badly(ada.CreateCommentWithResponse(ctx, posts[0], again, api.NewComment{Body: "Another body"}))
	c.badly(ada.UpdatePostWithResponse(ctx, posts[0], nil, api.PostText{Title: ada.known["e-mail"], Body: &private}))
	c.badly(ada.CreateCommunityWithResponse(ctx, nil, api.NewCommunity{Name: ada.known["e-mail"], Title: private, Description: private}))
	c.badly(ada.SearchForumWithResponse(ctx, &api.SearchForumParams{Query: private, Cursor: new(ada.known["e-mail"])}))
	c.badly(ada.CreateCommentWithBodyWithResponse(ctx, posts[0], nil, "application/json", strings.NewReader(`{"subject": "`+ada.identity.Subject+`"`)))
	c.badly(ada.CreateCommentWithBodyWithResponse(ctx, posts[0], nil, "application/json", strings.NewReader(`{"`+ada.known["e-mail"]+`": "`+private+`"}`)))
	c.badly(ben.GetPostWithResponse(ctx, uuid.MustParse(ada.identity.Subject), nil))
	c.badly(ben.SuspendAuthorWithResponse(ctx, uuid.MustParse(ada.identity.Subject), api.Suspension{Until: c.clock.now().Add(time.Hour), Reason: "Nobody"}))
	c.badly(ada.FlagPostWithResponse(ctx, posts[0], nil, api.Flag{Reason: api.Spam, Note: &private}))
	c.badly(ben.DeletePostWithResponse(ctx, posts[0], nil))
}

func (c *town) read(community, post uuid.UUID, ada *person) {
	c.t.Helper()
	ctx := c.t.Context()
	c.well(ada.ListCommunitiesWithResponse(ctx, nil))
	c.well(ada.GetCommunityWithResponse(ctx, community))
	c.well(ada.ListFollowedCommunitiesWithResponse(ctx, nil))
	c.well(ada.ListPostsWithResponse(ctx, community, nil))
	c.well(ada.GetFeedWithResponse(ctx, nil))
	c.well(ada.ListOwnPostsWithResponse(ctx, nil))
	c.well(ada.ListOwnCommentsWithResponse(ctx, nil))
	c.well(ada.GetPostWithResponse(ctx, post, nil))
	c.well(ada.SearchForumWithResponse(ctx, &api.SearchForumParams{Query: "pump"}))
	comments, err := ada.ListCommentsWithResponse(ctx, post, nil)
	c.well(comments, err)
	c.well(ada.GetCommentWithResponse(ctx, comments.JSON200.Items[0].ID, nil))
}

// quarrel lets readers flag what ada wrote, and a moderator judge it and her.
func (c *town) quarrel(posts []uuid.UUID, ada *person, readers []*person, mod *person) {
	c.t.Helper()
	ctx := c.t.Context()
	reason := api.Reason{Reason: "Advertisement"}
	for _, reader := range readers {
		c.well(reader.FlagPostWithResponse(ctx, posts[0], nil, api.Flag{Reason: api.Spam, Note: new("Everywhere")}))
	}
	reviews, err := mod.ListReviewsWithResponse(ctx, nil)
	c.well(reviews, err)
	c.well(mod.DecideReviewWithResponse(ctx, reviews.JSON200.Items[0].ID, nil, api.Decision{Decision: api.DecisionDecisionKeep, Reason: "Is fine"}))
	c.well(mod.HidePostWithResponse(ctx, posts[1], nil, reason))
	c.well(mod.RestorePostWithResponse(ctx, posts[1]))
	c.well(mod.LockPostWithResponse(ctx, posts[1], nil, reason))
	c.well(mod.UnlockPostWithResponse(ctx, posts[1]))
	comment, err := ada.CreateCommentWithResponse(ctx, posts[1], nil, api.NewComment{Body: "Why?"})
	c.well(comment, err)
	c.well(readers[0].FlagCommentWithResponse(ctx, comment.JSON201.ID, nil, api.Flag{Reason: api.Other}))
	c.well(mod.HideCommentWithResponse(ctx, comment.JSON201.ID, nil, reason))
	c.well(mod.RestoreCommentWithResponse(ctx, comment.JSON201.ID))
	author := c.service.names.Author(ada.identity.Subject)
	c.well(mod.SuspendAuthorWithResponse(ctx, author, api.Suspension{Until: c.clock.now().Add(time.Hour), Reason: "Again and again"}))
	c.badly(ada.CreateCommentWithResponse(ctx, posts[1], nil, api.NewComment{Body: "Why me?"}))
	c.well(mod.ReleaseAuthorWithResponse(ctx, author))
	c.well(mod.ListModerationActsWithResponse(ctx, nil))
}

func (c *town) leave(community uuid.UUID, posts []uuid.UUID, ada, ben, mod *person) {
	c.t.Helper()
	ctx := c.t.Context()
	comment, err := ben.CreateCommentWithResponse(ctx, posts[3], nil, api.NewComment{Body: "Goodbye"})
	c.well(comment, err)
	c.well(ben.DeleteCommentWithResponse(ctx, comment.JSON201.ID, nil))
	c.well(ada.DeletePostWithResponse(ctx, posts[3], nil))
	c.badly(mod.RestorePostWithResponse(ctx, posts[3]))
	c.badly(ada.DeleteCommunityWithResponse(ctx, community, nil))
	made, err := ben.CreateCommunityWithResponse(ctx, nil, newCommunity())
	c.well(made, err)
	c.well(ben.DeleteCommunityWithResponse(ctx, made.JSON201.ID, nil))
}

// runJobs lets River itself work until something became of a job.
func (c *town) runJobs(want river.EventKind) {
	c.t.Helper()
	client := c.service.jobs
	events, cancel := client.Subscribe(want)
	defer cancel()
	require.NoError(c.t, client.Start(c.t.Context()))
	select {
	case <-events:
	case <-time.After(20 * time.Second):
		c.t.Error("no job came to an end")
	}
	require.NoError(c.t, client.Stop(c.t.Context()))
}
