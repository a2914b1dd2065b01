package forum

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	api "github.com/healthe/healthe/openapi/forum"
)

// wrongCounts names every counter that does not say what counting says.
const wrongCounts = `
	SELECT 'posts of ' || id FROM communities
	LEFT JOIN (SELECT community_id AS id, count(*) AS n FROM posts WHERE status = 'published' GROUP BY 1) AS real USING (id)
	WHERE posts <> COALESCE(n, 0)
	UNION ALL
	SELECT 'members of ' || id FROM communities
	LEFT JOIN (SELECT community_id AS id, count(*) AS n FROM follows GROUP BY 1) AS real USING (id)
	WHERE members <> COALESCE(n, 0)
	UNION ALL
	SELECT 'comments or place of ' || post_id FROM post_scores
	JOIN posts ON posts.id = post_id
	LEFT JOIN (SELECT post_id, count(*) AS n FROM comments WHERE status = 'published' GROUP BY 1) AS real USING (post_id)
	WHERE comments <> COALESCE(n, 0) OR listed <> (status = 'published') OR post_scores.community_id <> posts.community_id
	UNION ALL
	SELECT 'votes on ' || post_id FROM post_scores
	LEFT JOIN (
		SELECT post_id, count(*) FILTER (WHERE value = 1) AS ups, count(*) FILTER (WHERE value = -1) AS downs, sum(value) AS total
		FROM post_votes GROUP BY 1
	) AS real USING (post_id)
	WHERE (up, down, score) <> (COALESCE(ups, 0), COALESCE(downs, 0), COALESCE(total, 0))
	UNION ALL
	SELECT 'votes on ' || comment_id FROM comment_scores
	LEFT JOIN (
		SELECT comment_id, count(*) FILTER (WHERE value = 1) AS ups, count(*) FILTER (WHERE value = -1) AS downs, sum(value) AS total
		FROM comment_votes GROUP BY 1
	) AS real USING (comment_id)
	WHERE (up, down, score) <> (COALESCE(ups, 0), COALESCE(downs, 0), COALESCE(total, 0))
	UNION ALL
	SELECT 'replies to ' || comment_id FROM comment_scores
	LEFT JOIN (SELECT parent_id AS comment_id, count(*) AS n FROM comments GROUP BY 1) AS real USING (comment_id)
	WHERE replies <> COALESCE(n, 0)
	UNION ALL
	SELECT 'flags of ' || id FROM reviews
	LEFT JOIN (SELECT review_id AS id, count(*) AS n FROM flags GROUP BY 1) AS real USING (id)
	WHERE flags <> COALESCE(n, 0)`

// texts are what a query of one column finds.
func (b *bench) texts(sql string, args ...any) []string {
	b.t.Helper()
	rows, err := b.service.db.Query(b.t.Context(), sql, args...)
	require.NoError(b.t, err)
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(b.t, err)
	return all
}

// codeOf is the status of an answer, 0 if there is none.
func codeOf(resp interface{ StatusCode() int }, err error) int {
	if err != nil {
		return 0
	}
	return resp.StatusCode()
}

// forum is what a run of the property test made so far.
type forum struct {
	*bench
	members     []uuid.UUID
	communities []uuid.UUID
	posts       []uuid.UUID
	comments    []api.Comment
}

func newForum(b *bench) *forum {
	b.t.Helper()
	f := &forum{bench: b, communities: []uuid.UUID{b.addCommunity().ID}}
	for range 4 {
		f.members = append(f.members, b.member())
	}
	return f
}

// TestCountsAreThoseOfCounting does what people and moderators do, in any order: each counter is right after each step.
func TestCountsAreThoseOfCounting(t *testing.T) { // FOR-4, FOR-7, FOR-9
	t.Parallel()

	b := newBench(t)
	rapid.Check(t, func(r *rapid.T) {
		f := newForum(b)
		actions := map[string]func(*rapid.T){"": func(r *rapid.T) {
			if wrong := b.texts(wrongCounts); len(wrong) > 0 {
				r.Fatal(wrong)
			}
		}}
		for name, act := range f.actions() {
			actions[name] = func(r *rapid.T) {
				b.wait(6 * time.Hour) // nobody is too fast
				who := b.by(rapid.SampledFrom(f.members).Draw(r, "who"))
				if got := act(r, who); got == 0 || got >= http.StatusInternalServerError || got == http.StatusTooManyRequests {
					r.Fatalf("%s answered %d", name, got)
				}
			}
		}
		r.Repeat(actions)
	})
}

// actions answer with the status of what they did: many are refused, as they should be.
func (f *forum) actions() map[string]func(*rapid.T, api.RequestEditorFn) int {
	ctx, reason := f.t.Context(), api.Reason{Reason: "Quarrel"}
	moderator := f.byModerator(uuid.New())
	community := func(r *rapid.T) uuid.UUID { return rapid.SampledFrom(f.communities).Draw(r, "community") }
	post := func(r *rapid.T) uuid.UUID { return drawn(r, "post", f.posts, uuid.New()) }
	comment := func(r *rapid.T) api.Comment { return drawn(r, "comment", f.comments, api.Comment{ID: uuid.New()}) }
	vote := func(r *rapid.T) api.Vote {
		return api.Vote{Value: rapid.SampledFrom([]api.VoteValue{api.VoteValueUp, api.VoteValueDown}).Draw(r, "vote")}
	}
	say := func(post uuid.UUID, parent *uuid.UUID, who api.RequestEditorFn) int {
		resp, err := f.CreateCommentWithResponse(ctx, post, nil, api.NewComment{Body: "Yes.", ParentID: parent}, who)
		if err == nil && resp.JSON201 != nil {
			f.comments = append(f.comments, *resp.JSON201)
		}
		return codeOf(resp, err)
	}
	return map[string]func(*rapid.T, api.RequestEditorFn) int{
		"post": func(r *rapid.T, who api.RequestEditorFn) int {
			resp, err := f.CreatePostWithResponse(ctx, community(r), nil, newPost(), who)
			if err == nil && resp.JSON201 != nil {
				f.posts = append(f.posts, resp.JSON201.ID)
			}
			return codeOf(resp, err)
		},
		"comment": func(r *rapid.T, who api.RequestEditorFn) int { return say(post(r), nil, who) },
		"reply": func(r *rapid.T, who api.RequestEditorFn) int {
			to := comment(r)
			return say(to.PostID, &to.ID, who)
		},
		"create a community": func(_ *rapid.T, who api.RequestEditorFn) int {
			resp, err := f.CreateCommunityWithResponse(ctx, nil, newCommunity(), who)
			if err == nil && resp.JSON201 != nil {
				f.communities = append(f.communities, resp.JSON201.ID)
			}
			return codeOf(resp, err)
		},
		"delete a community": func(r *rapid.T, _ api.RequestEditorFn) int {
			return codeOf(f.DeleteCommunityWithResponse(ctx, community(r), nil, moderator))
		},
		"follow": func(r *rapid.T, who api.RequestEditorFn) int {
			return codeOf(f.FollowCommunityWithResponse(ctx, community(r), who))
		},
		"unfollow": func(r *rapid.T, who api.RequestEditorFn) int {
			return codeOf(f.UnfollowCommunityWithResponse(ctx, community(r), who))
		},
		"vote on a post": func(r *rapid.T, who api.RequestEditorFn) int {
			return codeOf(f.VotePostWithResponse(ctx, post(r), vote(r), who))
		},
		"vote on a comment": func(r *rapid.T, who api.RequestEditorFn) int {
			return codeOf(f.VoteCommentWithResponse(ctx, comment(r).ID, vote(r), who))
		},
		"retract a vote on a post": func(r *rapid.T, who api.RequestEditorFn) int {
			return codeOf(f.RetractPostVoteWithResponse(ctx, post(r), who))
		},
		"retract a vote on a comment": func(r *rapid.T, who api.RequestEditorFn) int {
			return codeOf(f.RetractCommentVoteWithResponse(ctx, comment(r).ID, who))
		},
		"delete a post": func(r *rapid.T, who api.RequestEditorFn) int {
			return codeOf(f.DeletePostWithResponse(ctx, post(r), nil, who))
		},
		"delete a comment": func(r *rapid.T, who api.RequestEditorFn) int {
			return codeOf(f.DeleteCommentWithResponse(ctx, comment(r).ID, nil, who))
		},
		"flag a post": func(r *rapid.T, who api.RequestEditorFn) int {
			return codeOf(f.FlagPostWithResponse(ctx, post(r), nil, api.Flag{Reason: api.Spam}, who))
		},
		"flag a comment": func(r *rapid.T, who api.RequestEditorFn) int {
			return codeOf(f.FlagCommentWithResponse(ctx, comment(r).ID, nil, api.Flag{Reason: api.Spam}, who))
		},
		"hide a post": func(r *rapid.T, _ api.RequestEditorFn) int {
			return codeOf(f.HidePostWithResponse(ctx, post(r), nil, reason, moderator))
		},
		"restore a post": func(r *rapid.T, _ api.RequestEditorFn) int {
			return codeOf(f.RestorePostWithResponse(ctx, post(r), moderator))
		},
		"hide a comment": func(r *rapid.T, _ api.RequestEditorFn) int {
			return codeOf(f.HideCommentWithResponse(ctx, comment(r).ID, nil, reason, moderator))
		},
		"restore a comment": func(r *rapid.T, _ api.RequestEditorFn) int {
			return codeOf(f.RestoreCommentWithResponse(ctx, comment(r).ID, moderator))
		},
		"decide a review": func(r *rapid.T, _ api.RequestEditorFn) int {
			resp, err := f.ListReviewsWithResponse(ctx, nil, moderator)
			if err != nil || resp.JSON200 == nil || len(resp.JSON200.Items) == 0 {
				return codeOf(resp, err)
			}
			decided := rapid.SampledFrom([]api.DecisionDecision{api.DecisionDecisionKeep, api.DecisionDecisionHide}).Draw(r, "decision")
			return codeOf(f.DecideReviewWithResponse(ctx, resp.JSON200.Items[0].ID, nil, api.Decision{Decision: decided, Reason: "Quarrel"}, moderator))
		},
	}
}

// drawn is one of all, or absent while there is none.
func drawn[T any](r *rapid.T, what string, all []T, absent T) T {
	if len(all) == 0 {
		return absent
	}
	return all[rapid.IntRange(0, len(all)-1).Draw(r, what)]
}

func TestCountsStartAtNothing(t *testing.T) {
	t.Parallel()

	b := newBench(t)
	require.Empty(t, b.texts(wrongCounts))
	_, err := b.service.db.Exec(t.Context(), "UPDATE communities SET members = 7 WHERE id = $1", b.addCommunity().ID)
	require.NoError(t, err)
	require.Len(t, b.texts(wrongCounts), 1, "the check itself notices")
}
