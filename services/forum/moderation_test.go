package forum

import (
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/kit/page"
	api "github.com/healthe/healthe/openapi/forum"
)

func TestHide(t *testing.T) { // FOR-10: the original knew no moderation
	t.Parallel()

	t.Run("leaves it to its author and the moderators, and is recorded once", func(t *testing.T) {
		t.Parallel()

		eachSubject(t, func(t *testing.T, s subject) {
			moderator := uuid.New()
			s.mustFlag(uuid.New())
			for range 2 {
				require.Equal(t, http.StatusNoContent, s.hide(moderator).status)
			}
			s.requireStatus(api.Hidden)
			for name, who := range map[string]api.RequestEditorFn{"author": s.by(s.author), "moderator": s.byModerator(uuid.New())} {
				status, text := s.seen(who)
				require.Equal(t, api.Hidden, status, name)
				require.NotEmpty(t, text, name)
			}
			_, text := s.seen(s.by(uuid.New()))
			require.Empty(t, text)
			require.Equal(t, []string{"hide"}, s.acts())
			require.Empty(t, s.reviews(), "the review of it is over")
			require.Equal(t, 1, s.count("SELECT count(*) FROM reviews WHERE decision = 'hide'"))
			require.Equal(t, 1, s.count("SELECT count(*) FROM moderation_acts WHERE moderator_id = $1 AND reason = 'Advertisement'", s.authorOf(moderator)))
		})
	})

	t.Run("confirms what flags did", func(t *testing.T) {
		t.Parallel()

		eachSubject(t, func(t *testing.T, s subject) {
			for range 3 {
				s.mustFlag(uuid.New())
			}
			for range 2 {
				require.Equal(t, http.StatusNoContent, s.hide(uuid.New()).status)
			}
			s.requireStatus(api.Hidden)
			require.Equal(t, []string{"hide by flags", "hide"}, s.acts())
			require.Empty(t, s.reviews())
		})
	})

	t.Run("is taken back, once", func(t *testing.T) {
		t.Parallel()

		eachSubject(t, func(t *testing.T, s subject) {
			a := s.restore(uuid.New())
			refused(t, errNotHidden, a.status, a.body)
			for range 3 {
				s.mustFlag(uuid.New())
			}
			require.Equal(t, http.StatusNoContent, s.restore(uuid.New()).status)
			a = s.restore(uuid.New())
			refused(t, errNotHidden, a.status, a.body)
			s.requireStatus(api.Published)
			_, text := s.seen(s.by(uuid.New()))
			require.NotEmpty(t, text)
			require.Equal(t, []string{"hide by flags", "restore"}, s.acts())
			require.Empty(t, s.reviews())
		})
	})

	t.Run("cannot undo that its author deleted it", func(t *testing.T) {
		t.Parallel()

		eachSubject(t, func(t *testing.T, s subject) {
			s.mustFlag(uuid.New())
			review := s.reviews()[0].ID
			s.delete()
			for _, a := range []answer{s.hide(uuid.New()), s.restore(uuid.New())} {
				refused(t, errGone, a.status, a.body)
			}
			for _, decision := range []api.DecisionDecision{api.DecisionDecisionHide, api.DecisionDecisionKeep} {
				a := s.decide(review, uuid.New(), decision)
				refused(t, errGone, a.status, a.body)
			}
			if !s.isComment {
				a := s.lockPost(s.id, uuid.New())
				refused(t, errGone, a.status, a.body)
			}
			s.requireCounts()
			require.Empty(t, s.acts())
			require.Empty(t, s.reviews(), "nobody has to look at what is gone")
		})
	})

	t.Run("by many moderators at once, and back, leaves exact counts and one act for each change", func(t *testing.T) {
		t.Parallel()

		eachSubject(t, func(t *testing.T, s subject) {
			var answers tally
			var all sync.WaitGroup
			for i := range 24 {
				all.Go(func() {
					a := s.hide
					if i%2 == 0 {
						a = s.restore
					}
					got := a(uuid.New())
					answers.add(got.status, got.kind())
				})
			}
			all.Wait()
			s.requireCounts()
			acts := s.acts()
			require.Equal(t, 24, answers.n["204 "]+answers.n["409 "+errNotHidden.Type], answers.n)
			for i, act := range acts {
				require.Equal(t, []string{"hide", "restore"}[i%2], act)
			}
			got, _ := s.seen(s.by(s.author))
			require.Equal(t, len(acts)%2 == 1, got == api.Hidden)
		})
	})
}

func (b *bench) lockPost(id, moderator uuid.UUID) answer {
	b.t.Helper()
	r, err := b.LockPostWithResponse(b.t.Context(), id, nil, api.Reason{Reason: "Quarrel"}, b.byModerator(moderator))
	return answerOf(b.t, r.HTTPResponse, r.Body, err)
}

func (b *bench) unlockPost(id, moderator uuid.UUID) answer {
	b.t.Helper()
	r, err := b.UnlockPostWithResponse(b.t.Context(), id, b.byModerator(moderator))
	return answerOf(b.t, r.HTTPResponse, r.Body, err)
}

func TestLockPost(t *testing.T) {
	t.Parallel()

	b := newBench(t)
	author := b.member()
	post := b.addPost(author, b.addCommunity().ID).ID
	a := b.unlockPost(post, uuid.New())
	refused(t, errNotLocked, a.status, a.body)
	for range 2 {
		require.Equal(t, http.StatusNoContent, b.lockPost(post, uuid.New()).status)
	}
	comment, err := b.CreateCommentWithResponse(t.Context(), post, nil, api.NewComment{Body: "Still"}, b.by(b.member()))
	require.NoError(t, err)
	refused(t, errLocked, comment.StatusCode(), comment.Body)
	edit, err := b.UpdatePostWithResponse(t.Context(), post, nil, api.PostText{Title: "Something else", Body: new("Still")}, b.by(author))
	require.NoError(t, err)
	refused(t, errLocked, edit.StatusCode(), edit.Body)
	read, err := b.GetPostWithResponse(t.Context(), post, nil, b.by(uuid.New()))
	require.NoError(t, err)
	require.True(t, read.JSON200.Locked)
	require.Equal(t, http.StatusNoContent, b.unlockPost(post, uuid.New()).status)
	b.addComment(b.member(), post, nil)
	require.Equal(t, 2, b.count("SELECT count(*) FROM moderation_acts WHERE post_id = $1", post))
	for _, a := range []answer{b.lockPost(uuid.New(), uuid.New()), b.unlockPost(uuid.New(), uuid.New())} {
		require.Equal(t, http.StatusNotFound, a.status)
	}
}

func TestModerationActs(t *testing.T) {
	t.Parallel()

	t.Run("are listed from the latest on, page by page, with who did it and why", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		community, moderator := b.addCommunity().ID, uuid.New()
		posts := []uuid.UUID{b.addPost(b.member(), community).ID, b.addPost(b.member(), community).ID}
		for _, post := range posts {
			require.Equal(t, http.StatusNoContent, b.lockPost(post, moderator).status)
			require.Equal(t, http.StatusNoContent, b.unlockPost(post, moderator).status)
			b.hidePost(post)
		}
		comment := b.addComment(b.member(), b.addPost(b.member(), community).ID, nil).ID
		for range 3 {
			subject{bench: b, id: comment, isComment: true}.mustFlag(uuid.New())
		}

		acts := b.moderationActs(nil)
		require.Len(t, acts, 7)
		require.True(t, slices.IsSortedFunc(acts, func(a, b api.ModerationAct) int { return b.CreatedAt.Compare(a.CreatedAt) }))
		require.Nil(t, acts[0].Moderator, "flags did it")
		require.Equal(t, comment, *acts[0].CommentID)
		require.Equal(t, reasonFlagged, acts[0].Reason)
		first := acts[6]
		require.Equal(t, api.ModerationActActionLock, first.Action)
		require.Equal(t, posts[0], *first.PostID)
		require.Equal(t, "Quarrel", first.Reason)
		own, err := b.GetOwnAuthorWithResponse(t.Context(), b.byModerator(moderator))
		require.NoError(t, err)
		require.Equal(t, own.JSON200.Author.Name, *first.Moderator)

		of := b.moderationActs(&posts[1])
		require.Equal(t, acts[1:4], of)
		require.Empty(t, b.moderationActs(new(uuid.New())))
	})

	t.Run("stay, whoever asks the database", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		b.hidePost(b.addPost(b.member(), b.addCommunity().ID).ID)
		for _, sql := range []string{"UPDATE moderation_acts SET reason = ''", "DELETE FROM moderation_acts", "TRUNCATE moderation_acts"} {
			_, err := b.service.db.Exec(t.Context(), sql)
			require.ErrorContains(t, err, "only added to")
		}
	})

	t.Run("refuse a cursor that no page gave", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		for _, cursor := range []string{"x", *page.Encode("7"), *page.Encode(7)} {
			acts, err := b.ListModerationActsWithResponse(t.Context(), &api.ListModerationActsParams{Cursor: &cursor}, b.byModerator(uuid.New()))
			require.NoError(t, err)
			require.Equal(t, []string{"/query/cursor"}, pointersOf(t, acts.Body))
			reviews, err := b.ListReviewsWithResponse(t.Context(), &api.ListReviewsParams{Cursor: &cursor}, b.byModerator(uuid.New()))
			require.NoError(t, err)
			require.Equal(t, []string{"/query/cursor"}, pointersOf(t, reviews.Body))
		}
	})
}

// moderationActs reads all pages, about one post if there is one.
func (b *bench) moderationActs(post *uuid.UUID) []api.ModerationAct {
	b.t.Helper()
	var all []api.ModerationAct
	var cursor *string
	for pages := 0; pages == 0 || cursor != nil; pages++ {
		resp, err := b.ListModerationActsWithResponse(b.t.Context(), &api.ListModerationActsParams{PostID: post, Limit: new(2), Cursor: cursor}, b.byModerator(uuid.New()))
		require.NoError(b.t, err)
		require.NotNil(b.t, resp.JSON200, string(resp.Body))
		require.LessOrEqual(b.t, len(resp.JSON200.Items), 2)
		all = append(all, resp.JSON200.Items...)
		cursor = resp.JSON200.NextCursor
	}
	return all
}
