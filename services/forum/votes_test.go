package forum

import (
	"net/http"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	api "github.com/healthe/healthe/openapi/forum"
	"github.com/healthe/healthe/openapi/problem"
)

func (b *bench) vote(who, post uuid.UUID, value api.VoteValue) api.VoteResult {
	b.t.Helper()
	resp, err := b.VotePostWithResponse(b.t.Context(), post, api.Vote{Value: value}, b.by(who))
	require.NoError(b.t, err)
	require.Equal(b.t, http.StatusOK, resp.StatusCode(), string(resp.Body))
	return *resp.JSON200
}

// ballot is how one votes on either a post or a comment.
type ballot struct {
	vote    func(who api.RequestEditorFn, value api.VoteValue) (int, []byte, *api.VoteResult)
	retract func(who api.RequestEditorFn) (int, []byte, *api.VoteResult)
	read    func(who uuid.UUID) api.VoteResult
	path    string
	post    uuid.UUID
	author  uuid.UUID
}

func ballots(t *testing.T, b *bench) map[string]ballot {
	author := b.member()
	post := b.addPost(author, b.addCommunity().ID)
	comment := b.addComment(author, post.ID, nil)
	return map[string]ballot{
		"on a post": {
			vote: func(who api.RequestEditorFn, value api.VoteValue) (int, []byte, *api.VoteResult) {
				resp, err := b.VotePostWithResponse(t.Context(), post.ID, api.Vote{Value: value}, who)
				require.NoError(t, err)
				return resp.StatusCode(), resp.Body, resp.JSON200
			},
			retract: func(who api.RequestEditorFn) (int, []byte, *api.VoteResult) {
				resp, err := b.RetractPostVoteWithResponse(t.Context(), post.ID, who)
				require.NoError(t, err)
				return resp.StatusCode(), resp.Body, resp.JSON200
			},
			read: func(who uuid.UUID) api.VoteResult {
				p := b.readPost(who, post.ID)
				return api.VoteResult{Score: p.Score, Up: p.Up, Down: p.Down, OwnVote: p.OwnVote}
			},
			path: "/forum/v1/posts/" + post.ID.String() + "/vote", post: post.ID, author: author,
		},
		"on a comment": {
			vote: func(who api.RequestEditorFn, value api.VoteValue) (int, []byte, *api.VoteResult) {
				resp, err := b.VoteCommentWithResponse(t.Context(), comment.ID, api.Vote{Value: value}, who)
				require.NoError(t, err)
				return resp.StatusCode(), resp.Body, resp.JSON200
			},
			retract: func(who api.RequestEditorFn) (int, []byte, *api.VoteResult) {
				resp, err := b.RetractCommentVoteWithResponse(t.Context(), comment.ID, who)
				require.NoError(t, err)
				return resp.StatusCode(), resp.Body, resp.JSON200
			},
			read: func(who uuid.UUID) api.VoteResult {
				resp, err := b.GetCommentWithResponse(t.Context(), comment.ID, nil, b.by(who))
				require.NoError(t, err)
				return api.VoteResult{Score: resp.JSON200.Score, Up: resp.JSON200.Up, Down: resp.JSON200.Down, OwnVote: resp.JSON200.OwnVote}
			},
			path: "/forum/v1/comments/" + comment.ID.String() + "/vote", post: post.ID, author: author,
		},
	}
}

// everyBallot runs f for both, each on a bench of its own.
func everyBallot(t *testing.T, f func(t *testing.T, b *bench, v ballot)) {
	t.Helper()
	for _, name := range []string{"on a post", "on a comment"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			b := newBench(t)
			f(t, b, ballots(t, b)[name])
		})
	}
}

func TestVoting(t *testing.T) {
	t.Parallel()

	t.Run("counts one vote a person, as they cast it last", func(t *testing.T) { // FOR-5, FOR-10
		t.Parallel()

		everyBallot(t, func(t *testing.T, b *bench, v ballot) {
			who, other := b.member(), b.member()
			_, _, _ = v.vote(b.by(other), api.VoteValueUp)
			for _, step := range []struct {
				value api.VoteValue
				want  api.VoteResult
			}{
				{api.VoteValueUp, api.VoteResult{Score: 2, Up: 2, OwnVote: api.OwnVoteUp}},
				{api.VoteValueUp, api.VoteResult{Score: 2, Up: 2, OwnVote: api.OwnVoteUp}},
				{api.VoteValueDown, api.VoteResult{Score: 0, Up: 1, Down: 1, OwnVote: api.OwnVoteDown}},
				{api.VoteValueDown, api.VoteResult{Score: 0, Up: 1, Down: 1, OwnVote: api.OwnVoteDown}},
				{"", api.VoteResult{Score: 1, Up: 1, OwnVote: api.OwnVoteNone}},
				{"", api.VoteResult{Score: 1, Up: 1, OwnVote: api.OwnVoteNone}},
				{api.VoteValueDown, api.VoteResult{Score: 0, Up: 1, Down: 1, OwnVote: api.OwnVoteDown}},
				{api.VoteValueUp, api.VoteResult{Score: 2, Up: 2, OwnVote: api.OwnVoteUp}},
			} {
				status, body, got := v.retract(b.by(uuid.New())) // who has no vote takes nothing
				require.Equal(t, http.StatusOK, status, string(body))
				require.Equal(t, api.OwnVoteNone, got.OwnVote)
				if step.value == "" {
					status, body, got = v.retract(b.by(who))
				} else {
					status, body, got = v.vote(b.by(who), step.value)
				}
				require.Equal(t, http.StatusOK, status, string(body))
				require.Equal(t, step.want, *got)
				require.Equal(t, step.want, v.read(who))
			}
			require.Equal(t, 2, b.count("SELECT (SELECT count(*) FROM post_votes) + (SELECT count(*) FROM comment_votes)"), "one row a person")
		})
	})

	t.Run("wants up or down", func(t *testing.T) { // FOR-6
		t.Parallel()

		everyBallot(t, func(t *testing.T, b *bench, v ballot) {
			for _, body := range []string{`{}`, `{"value": null}`, `{"value": ""}`, `{"value": "none"}`, `{"value": 1}`, `{"voteType": "up"}`} {
				status, got := b.raw(t, http.MethodPut, v.path, body, asMember...)
				require.Equal(t, http.StatusBadRequest, status, string(got))
			}
			status, body, got := v.vote(b.by(uuid.New()), api.VoteValueUp)
			require.Equal(t, http.StatusOK, status, string(body))
			require.Equal(t, api.VoteResult{Score: 1, Up: 1, OwnVote: api.OwnVoteUp}, *got)
		})
	})

	t.Run("knows nothing of what is hidden", func(t *testing.T) {
		t.Parallel()

		everyBallot(t, func(t *testing.T, b *bench, v ballot) {
			who := b.member()
			_, _, _ = v.vote(b.by(who), api.VoteValueUp)
			b.hidePost(v.post)
			status, body, _ := v.vote(b.by(who), api.VoteValueDown)
			refused(t, problem.NotFound("It"), status, body)
			status, body, _ = v.retract(b.by(who))
			refused(t, problem.NotFound("It"), status, body)
			require.EqualValues(t, 1, v.read(v.author).Score)
		})
	})

	t.Run("is over for what was deleted, and can still be taken back", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		v := ballots(t, b)["on a post"]
		who := b.member()
		_, _, _ = v.vote(b.by(who), api.VoteValueUp)
		b.deletePost(v.author, v.post)
		status, body, _ := v.vote(b.by(who), api.VoteValueDown)
		refused(t, errGone, status, body)
		status, body, got := v.retract(b.by(who))
		require.Equal(t, http.StatusOK, status, string(body))
		require.Equal(t, api.VoteResult{OwnVote: api.OwnVoteNone}, *got)
	})

	t.Run("is over for a hidden or deleted comment", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		who := b.member()
		post := b.addPost(who, b.addCommunity().ID)
		hidden, deleted := b.addComment(who, post.ID, nil), b.addComment(who, post.ID, nil)
		hiding, err := b.HideCommentWithResponse(t.Context(), hidden.ID, nil, api.Reason{Reason: "Advertisement"}, b.byModerator(uuid.New()))
		require.NoError(t, err)
		require.Equal(t, http.StatusNoContent, hiding.StatusCode(), string(hiding.Body))
		deletion, err := b.DeleteCommentWithResponse(t.Context(), deleted.ID, nil, b.by(who))
		require.NoError(t, err)
		require.Equal(t, http.StatusNoContent, deletion.StatusCode(), string(deletion.Body))
		for _, id := range []uuid.UUID{hidden.ID, deleted.ID} {
			resp, err := b.VoteCommentWithResponse(t.Context(), id, api.Vote{Value: api.VoteValueUp}, b.by(uuid.New()))
			require.NoError(t, err)
			refused(t, errGone, resp.StatusCode(), resp.Body)
		}
	})
}
