package forum

import (
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	api "github.com/healthe/healthe/openapi/forum"
)

// deadlocks is how many Postgres had to break; each is written down at once, as it took a second to find.
const deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"

// atOnce runs f n times side by side.
func atOnce(n int, f func(i int)) {
	var all sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	all.Wait()
}

// TestVotesUnderFire lets 64 people vote, change their minds and take votes back on one thing, and on others in between: the score is
// the sum of the votes that stand.
func TestVotesUnderFire(t *testing.T) { // FOR-5, FOR-7
	t.Parallel()

	const voters, rounds = 64, 12
	cast := func(b *bench, v ballot, who uuid.UUID, value api.VoteValue) bool {
		status, body, _ := 0, []byte(nil), (*api.VoteResult)(nil)
		if value == "" {
			status, body, _ = v.retract(b.by(who))
		} else {
			status, body, _ = v.vote(b.by(who), value)
		}
		if status != http.StatusOK {
			b.t.Errorf("%q answered %d %s", value, status, body)
		}
		return status == http.StatusOK
	}
	for _, name := range []string{"on a post", "on a comment"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			b := newBench(t)
			hot := ballots(t, b)[name]
			var others []ballot
			for range 2 {
				for _, v := range ballots(t, b) {
					others = append(others, v)
				}
			}
			last := make([]api.VoteValue, voters)
			people := make([]uuid.UUID, voters)
			for i := range people {
				people[i] = b.member()
			}
			atOnce(voters, func(i int) {
				for range rounds {
					last[i] = []api.VoteValue{api.VoteValueUp, api.VoteValueDown, ""}[rand.IntN(3)]
					if !cast(b, hot, people[i], last[i]) || !cast(b, others[rand.IntN(len(others))], people[i], last[i]) {
						return
					}
				}
			})
			want := api.VoteResult{OwnVote: api.OwnVoteNone}
			for _, value := range last {
				switch value {
				case api.VoteValueUp:
					want.Up++
				case api.VoteValueDown:
					want.Down++
				}
			}
			want.Score = want.Up - want.Down
			require.Equal(t, want, hot.read(uuid.New()))
			require.Empty(t, b.texts(wrongCounts))
			require.Zero(t, b.count(deadlocks))
		})
	}
}

func TestOneVoterManyTimesAtOnce(t *testing.T) { // FOR-7
	t.Parallel()

	everyBallot(t, func(t *testing.T, b *bench, v ballot) {
		who := uuid.New() // on their first visit, too
		var answers tally
		atOnce(32, func(int) {
			status, _, _ := v.vote(b.by(who), api.VoteValueUp)
			answers.add(status, "")
		})
		require.Equal(t, map[string]int{"200 ": 32}, answers.n)
		require.Equal(t, api.VoteResult{Score: 1, Up: 1, OwnVote: api.OwnVoteUp}, v.read(who))
	})
}

// TestFirstVisitsAtOnce lets people come for the first time with many requests at once, as a page does: all draw the same name.
func TestFirstVisitsAtOnce(t *testing.T) {
	t.Parallel()

	b := newBench(t)
	var answers tally
	for range 200 {
		who := b.by(uuid.New())
		atOnce(8, func(int) { answers.add(codeOf(b.GetOwnAuthorWithResponse(t.Context(), who)), "") })
	}
	require.Equal(t, map[string]int{"200 ": 1600}, answers.n)
	require.Equal(t, 200, b.count("SELECT count(*) FROM authors"))
}

func TestOneNameForMany(t *testing.T) { // FOR-8
	t.Parallel()

	b := newBench(t)
	c := newCommunity()
	people := make([]uuid.UUID, 24)
	for i := range people {
		people[i] = uuid.New()
	}
	var answers tally
	atOnce(len(people), func(i int) {
		resp, err := b.CreateCommunityWithResponse(t.Context(), nil, c, b.by(people[i]))
		if err != nil {
			t.Error(err)
			return
		}
		problemType := ""
		if resp.ApplicationProblemJSON409 != nil {
			problemType = resp.ApplicationProblemJSON409.Type
		}
		answers.add(resp.StatusCode(), problemType)
	})
	require.Equal(t, map[string]int{"201 ": 1, "409 " + errNameTaken.Type: 23}, answers.n)
	require.Equal(t, 1, b.count("SELECT members FROM communities"))
	require.Equal(t, 1, b.count("SELECT count(*) FROM authors"), "who is refused leaves nothing behind")
}

func TestFollowsAtOnce(t *testing.T) {
	t.Parallel()

	b := newBench(t)
	b.service.rules.MaxFollows = 2
	communities := make([]uuid.UUID, 4)
	for i := range communities {
		communities[i] = b.addCommunity().ID
	}
	people := make([]uuid.UUID, 8)
	for i := range people {
		people[i] = b.member()
	}
	var answers tally
	atOnce(48, func(i int) { // six of each person
		who := people[i%len(people)]
		for range 6 {
			community := communities[rand.IntN(len(communities))]
			answers.add(codeOf(b.FollowCommunityWithResponse(t.Context(), community, b.by(who))), "")
			answers.add(codeOf(b.UnfollowCommunityWithResponse(t.Context(), community, b.by(who))), "")
			answers.add(codeOf(b.FollowCommunityWithResponse(t.Context(), community, b.by(who))), "")
		}
	})
	require.Equal(t, 48*6*3, answers.n["204 "]+answers.n["409 "], answers.n)
	require.Empty(t, b.texts(wrongCounts))
	require.Zero(t, b.count("SELECT count(*) FROM (SELECT FROM follows GROUP BY author_id HAVING count(*) > 2) AS too_many"))
	require.Zero(t, b.count(deadlocks))
}

// TestForumUnderFire lets people and moderators do everything to the same few posts at once: nothing is miscounted, nothing fails.
func TestForumUnderFire(t *testing.T) { // FOR-7
	t.Parallel()

	b := newBench(t)
	ctx, author, community := t.Context(), b.member(), b.addCommunity().ID
	posts := make([]uuid.UUID, 4)
	comments := make([]uuid.UUID, 2*len(posts))
	for i := range posts {
		posts[i] = b.addPost(author, community).ID
		for j := range 2 {
			comments[2*i+j] = b.addComment(author, posts[i], nil).ID
		}
	}
	people := []uuid.UUID{author}
	for range 15 {
		people = append(people, b.member())
	}
	deeds := append(b.deeds(community), b.deedsOfModerators()...)
	var answers tally
	atOnce(len(people), func(i int) {
		for range 40 {
			c := rand.IntN(len(comments))
			answers.add(deeds[rand.IntN(len(deeds))](b.by(people[i]), posts[c/2], comments[c]), "")
		}
		if i < len(posts) { // some are deleted while others go on
			answers.add(codeOf(b.DeletePostWithResponse(ctx, posts[i], nil, b.by(author))), "")
			answers.add(codeOf(b.DeleteCommentWithResponse(ctx, comments[i], nil, b.by(author))), "")
		}
	})
	for status := range answers.n {
		require.Contains(t, []string{"200 ", "201 ", "204 ", "403 ", "404 ", "409 ", "429 "}, status)
	}
	require.Empty(t, b.texts(wrongCounts))
	require.Zero(t, b.count(deadlocks))
}

// A deed is done to a post or to a comment on it, and answers with a status.
type deed func(me api.RequestEditorFn, post, comment uuid.UUID) int

func (b *bench) deeds(community uuid.UUID) []deed {
	ctx := b.t.Context()
	return []deed{
		func(me api.RequestEditorFn, post, _ uuid.UUID) int {
			return codeOf(b.VotePostWithResponse(ctx, post, api.Vote{Value: api.VoteValueUp}, me))
		},
		func(me api.RequestEditorFn, post, _ uuid.UUID) int {
			return codeOf(b.RetractPostVoteWithResponse(ctx, post, me))
		},
		func(me api.RequestEditorFn, _, comment uuid.UUID) int {
			return codeOf(b.VoteCommentWithResponse(ctx, comment, api.Vote{Value: api.VoteValueDown}, me))
		},
		func(me api.RequestEditorFn, post, comment uuid.UUID) int {
			return codeOf(b.CreateCommentWithResponse(ctx, post, nil, api.NewComment{Body: "Yes.", ParentID: &comment}, me))
		},
		func(me api.RequestEditorFn, post, _ uuid.UUID) int {
			return codeOf(b.CreateCommentWithResponse(ctx, post, nil, api.NewComment{Body: "Yes."}, me))
		},
		func(me api.RequestEditorFn, _, _ uuid.UUID) int {
			return codeOf(b.CreatePostWithResponse(ctx, community, nil, newPost(), me))
		},
		func(me api.RequestEditorFn, post, _ uuid.UUID) int { // mostly not theirs
			return codeOf(b.UpdatePostWithResponse(ctx, post, nil, api.PostText{Title: "Again", Body: new("Again")}, me))
		},
		func(me api.RequestEditorFn, post, _ uuid.UUID) int {
			return codeOf(b.FlagPostWithResponse(ctx, post, nil, api.Flag{Reason: api.Spam}, me))
		},
		func(me api.RequestEditorFn, _, comment uuid.UUID) int {
			return codeOf(b.FlagCommentWithResponse(ctx, comment, nil, api.Flag{Reason: api.Spam}, me))
		},
		func(me api.RequestEditorFn, _, _ uuid.UUID) int {
			return codeOf(b.FollowCommunityWithResponse(ctx, community, me))
		},
		func(me api.RequestEditorFn, _, _ uuid.UUID) int {
			return codeOf(b.UnfollowCommunityWithResponse(ctx, community, me))
		},
	}
}

func (b *bench) deedsOfModerators() []deed {
	ctx, reason, moderator := b.t.Context(), api.Reason{Reason: "Quarrel"}, uuid.New()
	return []deed{
		func(_ api.RequestEditorFn, post, _ uuid.UUID) int {
			return codeOf(b.HidePostWithResponse(ctx, post, nil, reason, b.byModerator(moderator)))
		},
		func(_ api.RequestEditorFn, post, _ uuid.UUID) int {
			return codeOf(b.RestorePostWithResponse(ctx, post, b.byModerator(moderator)))
		},
		func(_ api.RequestEditorFn, _, comment uuid.UUID) int {
			return codeOf(b.HideCommentWithResponse(ctx, comment, nil, reason, b.byModerator(moderator)))
		},
		func(_ api.RequestEditorFn, _, comment uuid.UUID) int {
			return codeOf(b.RestoreCommentWithResponse(ctx, comment, b.byModerator(moderator)))
		},
	}
}

func TestDeletingACommunityWhileOthersPost(t *testing.T) {
	t.Parallel()

	b := newBench(t)
	for range 5 {
		community := b.addCommunity().ID
		people := make([]uuid.UUID, 6)
		for i := range people {
			people[i] = b.member()
		}
		var answers tally
		atOnce(len(people), func(i int) {
			if i == 0 {
				answers.add(codeOf(b.DeleteCommunityWithResponse(t.Context(), community, nil, b.byModerator(people[i]))), "of deletion")
				return
			}
			answers.add(codeOf(b.CreatePostWithResponse(t.Context(), community, nil, newPost(), b.by(people[i]))), "")
			answers.add(codeOf(b.FollowCommunityWithResponse(t.Context(), community, b.by(people[i]))), "")
		})
		gone := answers.n["204 of deletion"] == 1
		require.Equal(t, 1, answers.n["204 of deletion"]+answers.n["409 of deletion"], answers.n)
		require.Equal(t, gone, b.count("SELECT count(*) FROM communities WHERE id = $1", community) == 0)
		require.Equal(t, gone, answers.n["201 "] == 0, answers.n)
		require.Equal(t, 10, answers.n["201 "]+answers.n["204 "]+answers.n["404 "], answers.n)
		require.Empty(t, b.texts(wrongCounts))
	}
}
