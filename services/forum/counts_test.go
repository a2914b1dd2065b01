package forum

import (
	"maps"
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
		all := f.writing()
		maps.Copy(all, f.clicking())
		maps.Copy(all, f.moderating())
		for name, act := range all {
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

// An action answers with the status of what it did: many are refused, as they should be.
type action func(r *rapid.T, who api.RequestEditorFn) int

func (f *forum) community(r *rapid.T) uuid.UUID {
	return rapid.SampledFrom(f.communities).Draw(r, "community")
}
func (f *forum) post(r *rapid.T) uuid.UUID { return drawn(r, "post", f.posts, uuid.New()) }
func (f *forum) comment(r *rapid.T) api.Comment {
	return drawn(r, "comment", f.comments, api.Comment{ID: uuid.New()})
}

func drawnVote(r *rapid.T) api.Vote {
	return api.Vote{Value: rapid.SampledFrom([]api.VoteValue{api.VoteValueUp, api.VoteValueDown}).Draw(r, "vote")}
}

// drawn is one of all, or absent while there is none.
func drawn[T any](r *rapid.T, what string, all []T, absent T) T {
	if len(all) == 0 {
		return absent
	}
	return all[rapid.IntRange(0, len(all)-1).Draw(r, what)]
}

func (f *forum) say(post uuid.UUID, parent *uuid.UUID, who api.RequestEditorFn) int {
	resp, err := f.CreateCommentWithResponse(f.t.Context(), post, nil, api.NewComment{Body: "Yes.", ParentID: parent}, who)
	if err == nil && resp.JSON201 != nil {
		f.comments = append(f.comments, *resp.JSON201)
	}
	return codeOf(resp, err)
}

// writing is what people add and delete.
func (f *forum) writing() map[string]action {
	ctx := f.t.Context()
	return map[string]action{
		"post": func(r *rapid.T, who api.RequestEditorFn) int {
			resp, err := f.CreatePostWithResponse(ctx, f.community(r), nil, newPost(), who)
			if err == nil && resp.JSON201 != nil {
				f.posts = append(f.posts, resp.JSON201.ID)
			}
			return codeOf(resp, err)
		},
		"comment": func(r *rapid.T, who api.RequestEditorFn) int { return f.say(f.post(r), nil, who) },
		"reply": func(r *rapid.T, who api.RequestEditorFn) int {
			to := f.comment(r)
			return f.say(to.PostID, &to.ID, who)
		},
		"create a community": func(_ *rapid.T, who api.RequestEditorFn) int {
			resp, err := f.CreateCommunityWithResponse(ctx, nil, newCommunity(), who)
			if err == nil && resp.JSON201 != nil {
				f.communities = append(f.communities, resp.JSON201.ID)
			}
			return codeOf(resp, err)
		},
		"delete a post": func(r *rapid.T, who api.RequestEditorFn) int {
			return codeOf(f.DeletePostWithResponse(ctx, f.post(r), nil, who))
		},
		"delete a comment": func(r *rapid.T, who api.RequestEditorFn) int {
			return codeOf(f.DeleteCommentWithResponse(ctx, f.comment(r).ID, nil, who))
		},
	}
}

// clicking is what people do with what they read.
func (f *forum) clicking() map[string]action {
	ctx := f.t.Context()
	return map[string]action{
		"follow": func(r *rapid.T, who api.RequestEditorFn) int {
			return codeOf(f.FollowCommunityWithResponse(ctx, f.community(r), who))
		},
		"unfollow": func(r *rapid.T, who api.RequestEditorFn) int {
			return codeOf(f.UnfollowCommunityWithResponse(ctx, f.community(r), who))
		},
		"vote on a post": func(r *rapid.T, who api.RequestEditorFn) int {
			return codeOf(f.VotePostWithResponse(ctx, f.post(r), drawnVote(r), who))
		},
		"vote on a comment": func(r *rapid.T, who api.RequestEditorFn) int {
			return codeOf(f.VoteCommentWithResponse(ctx, f.comment(r).ID, drawnVote(r), who))
		},
		"retract a vote on a post": func(r *rapid.T, who api.RequestEditorFn) int {
			return codeOf(f.RetractPostVoteWithResponse(ctx, f.post(r), who))
		},
		"retract a vote on a comment": func(r *rapid.T, who api.RequestEditorFn) int {
			return codeOf(f.RetractCommentVoteWithResponse(ctx, f.comment(r).ID, who))
		},
		"flag a post": func(r *rapid.T, who api.RequestEditorFn) int {
			return codeOf(f.FlagPostWithResponse(ctx, f.post(r), nil, api.Flag{Reason: api.Spam}, who))
		},
		"flag a comment": func(r *rapid.T, who api.RequestEditorFn) int {
			return codeOf(f.FlagCommentWithResponse(ctx, f.comment(r).ID, nil, api.Flag{Reason: api.Spam}, who))
		},
	}
}

// moderating is what moderators do, whoever else was drawn.
func (f *forum) moderating() map[string]action {
	ctx, reason, moderator := f.t.Context(), api.Reason{Reason: "Quarrel"}, f.byModerator(uuid.New())
	return map[string]action{
		"delete a community": func(r *rapid.T, _ api.RequestEditorFn) int {
			return codeOf(f.DeleteCommunityWithResponse(ctx, f.community(r), nil, moderator))
		},
		"hide a post": func(r *rapid.T, _ api.RequestEditorFn) int {
			return codeOf(f.HidePostWithResponse(ctx, f.post(r), nil, reason, moderator))
		},
		"restore a post": func(r *rapid.T, _ api.RequestEditorFn) int {
			return codeOf(f.RestorePostWithResponse(ctx, f.post(r), moderator))
		},
		"hide a comment": func(r *rapid.T, _ api.RequestEditorFn) int {
			return codeOf(f.HideCommentWithResponse(ctx, f.comment(r).ID, nil, reason, moderator))
		},
		"restore a comment": func(r *rapid.T, _ api.RequestEditorFn) int {
			return codeOf(f.RestoreCommentWithResponse(ctx, f.comment(r).ID, moderator))
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

func TestCountsStartAtNothing(t *testing.T) {
	t.Parallel()

	b := newBench(t)
	require.Empty(t, b.texts(wrongCounts))
	_, err := b.service.db.Exec(t.Context(), "UPDATE communities SET members = 7 WHERE id = $1", b.addCommunity().ID)
	require.NoError(t, err)
	require.Len(t, b.texts(wrongCounts), 1, "the check itself notices")
}
