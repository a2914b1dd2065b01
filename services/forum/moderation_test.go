package forum

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

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

func TestReviews(t *testing.T) {
	t.Parallel()

	t.Run("are listed from the first flagged on, page by page", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		community := b.addCommunity().ID
		var flagged []uuid.UUID
		for range 5 {
			post := b.addPost(b.member(), community).ID
			subject{bench: b, id: post}.mustFlag(uuid.New())
			flagged = append(flagged, post)
		}
		subject{bench: b, id: flagged[0]}.mustFlag(uuid.New()) // keeps its place
		var listed []uuid.UUID
		var cursor *string
		for pages := 0; pages == 0 || cursor != nil; pages++ {
			resp, err := b.ListReviewsWithResponse(t.Context(), &api.ListReviewsParams{Limit: new(2), Cursor: cursor}, b.byModerator(uuid.New()))
			require.NoError(t, err)
			for _, r := range resp.JSON200.Items {
				listed = append(listed, r.PostID)
			}
			cursor = resp.JSON200.NextCursor
			require.Equal(t, cursor != nil, strings.Contains(resp.HTTPResponse.Header.Get("Link"), `rel="next"`))
		}
		require.Equal(t, flagged, listed)
	})

	t.Run("end with what was decided", func(t *testing.T) {
		t.Parallel()

		for decision, want := range map[api.DecisionDecision]api.ContentStatus{api.DecisionDecisionKeep: api.Published, api.DecisionDecisionHide: api.Hidden} {
			for _, flags := range []int{1, 3} { // as it is, and hidden already
				t.Run(fmt.Sprint(decision, " after ", flags, " flags"), func(t *testing.T) {
					t.Parallel()

					eachSubject(t, func(t *testing.T, s subject) {
						for range flags {
							s.mustFlag(uuid.New())
						}
						review := s.reviews()[0].ID
						require.Equal(t, http.StatusNoContent, s.decide(review, uuid.New(), decision).status)
						s.requireStatus(want)
						acts := s.acts()
						require.Equal(t, string(decision), acts[len(acts)-1])
						require.Len(t, acts, (flags+1)/2)
						require.Empty(t, s.reviews())
						a := s.decide(review, uuid.New(), api.DecisionDecisionKeep)
						refused(t, errReviewDecided, a.status, a.body)
					})
				})
			}
		}
	})

	t.Run("are decided by one of two moderators at once", func(t *testing.T) {
		t.Parallel()

		eachSubject(t, func(t *testing.T, s subject) {
			s.mustFlag(uuid.New())
			review := s.reviews()[0].ID
			var answers tally
			var all sync.WaitGroup
			for _, decision := range []api.DecisionDecision{api.DecisionDecisionKeep, api.DecisionDecisionHide} {
				all.Go(func() {
					a := s.decide(review, uuid.New(), decision)
					answers.add(a.status, a.kind())
				})
			}
			all.Wait()
			require.Equal(t, map[string]int{"204 ": 1, "409 " + errReviewDecided.Type: 1}, answers.n)
			acts := s.acts()
			require.Len(t, acts, 1)
			s.requireStatus(map[string]api.ContentStatus{"keep": api.Published, "hide": api.Hidden}[acts[0]])
		})
	})

	t.Run("are not found where there are none", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		require.Equal(t, http.StatusNotFound, b.decide(uuid.New(), uuid.New(), api.DecisionDecisionKeep).status)
		require.Empty(t, b.reviews())
	})
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

func (b *bench) suspend(author, moderator uuid.UUID, until time.Time) answer {
	b.t.Helper()
	r, err := b.SuspendAuthorWithResponse(b.t.Context(), author, api.Suspension{Until: until, Reason: "Advertisement again and again"}, b.byModerator(moderator))
	return answerOf(b.t, r.HTTPResponse, r.Body, err)
}

func (b *bench) release(author, moderator uuid.UUID) answer {
	b.t.Helper()
	r, err := b.ReleaseAuthorWithResponse(b.t.Context(), author, b.byModerator(moderator))
	return answerOf(b.t, r.HTTPResponse, r.Body, err)
}

func TestSuspension(t *testing.T) {
	t.Parallel()

	t.Run("lets an author read and not write, until it is over", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		who := b.member()
		community := b.addCommunity().ID
		own, other := b.addPost(who, community).ID, b.addPost(b.member(), community).ID
		comment := b.addComment(who, other, nil).ID
		until := b.clock.now().Add(24 * time.Hour)
		require.Equal(t, http.StatusNoContent, b.suspend(b.authorOf(who), uuid.New(), until).status)

		for name, a := range b.attempts(who, community, own, other, comment) {
			require.Equal(t, http.StatusForbidden, a.status, name)
			require.Equal(t, errSuspended.Type, a.kind(), name)
		}
		read, err := b.GetPostWithResponse(t.Context(), other, nil, b.by(who))
		require.NoError(t, err)
		require.NotNil(t, read.JSON200)
		me, err := b.GetOwnAuthorWithResponse(t.Context(), b.by(who))
		require.NoError(t, err)
		require.WithinDuration(t, until, *me.JSON200.SuspendedUntil, time.Millisecond)
		require.Equal(t, 4, b.count("SELECT count(*) FROM posts")+b.count("SELECT count(*) FROM comments")+b.count("SELECT count(*) FROM communities"))

		b.clock.set(until)
		for name, a := range b.attempts(who, community, own, other, comment) {
			require.Less(t, a.status, http.StatusBadRequest, name+string(a.body))
		}
	})

	t.Run("is taken back by another moderator", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		who := b.member()
		community, author := b.addCommunity().ID, b.authorOf(who)
		a := b.release(author, uuid.New())
		refused(t, errNotSuspended, a.status, a.body)
		until := b.clock.now().Add(time.Hour)
		for range 2 { // the same again changes nothing
			require.Equal(t, http.StatusNoContent, b.suspend(author, uuid.New(), until).status)
		}
		require.Equal(t, http.StatusNoContent, b.suspend(author, uuid.New(), until.Add(time.Hour)).status)
		a = b.release(author, who)
		refused(t, errOwnSuspension, a.status, a.body)
		require.Equal(t, http.StatusNoContent, b.release(author, uuid.New()).status)
		b.addPost(who, community)
		require.Equal(t, http.StatusNoContent, b.suspend(author, uuid.New(), until).status)
		b.clock.set(until)
		a = b.release(author, uuid.New())
		refused(t, errNotSuspended, a.status, a.body)

		var actions []string
		for _, act := range b.moderationActs(nil) {
			require.Equal(t, author, *act.AuthorID)
			actions = append(actions, string(act.Action))
		}
		require.Equal(t, []string{"suspend", "release", "suspend", "suspend"}, actions)
	})

	t.Run("ends within a year, and is of someone else who is there", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		moderator, now := b.member(), b.clock.now()
		author := b.authorOf(b.member())
		for _, until := range []time.Time{now.Add(-time.Hour), now, now.AddDate(1, 0, 0).Add(time.Second)} {
			a := b.suspend(author, moderator, until)
			require.Equal(t, http.StatusBadRequest, a.status)
			require.Equal(t, []string{"/until"}, pointersOf(t, a.body))
		}
		a := b.suspend(b.authorOf(moderator), moderator, now.Add(time.Hour))
		refused(t, errOwnSuspension, a.status, a.body)
		require.Equal(t, http.StatusNotFound, b.suspend(uuid.New(), moderator, now.Add(time.Hour)).status)
		require.Equal(t, http.StatusNotFound, b.release(uuid.New(), moderator).status)
		require.Empty(t, b.moderationActs(nil))
		require.Equal(t, http.StatusNoContent, b.suspend(author, moderator, now.AddDate(1, 0, 0)).status)
	})

	t.Run("of two moderators by each other at once is done twice", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		pair := []uuid.UUID{b.member(), b.member()}
		until := b.clock.now().Add(time.Hour)
		var answers tally
		var all sync.WaitGroup
		for round := range 10 {
			for i := range pair {
				all.Go(func() {
					a := b.suspend(b.authorOf(pair[i]), pair[1-i], until.Add(time.Duration(round)*time.Minute))
					answers.add(a.status, a.kind())
				})
			}
		}
		all.Wait()
		require.Equal(t, map[string]int{"204 ": 20}, answers.n)
		require.Len(t, b.moderationActs(nil), 20)
	})
}

// attempts tries to write all that an author can write.
func (b *bench) attempts(who, community, own, other, comment uuid.UUID) map[string]answer {
	b.t.Helper()
	ctx, t, all := b.t.Context(), b.t, map[string]answer{}
	made, err := b.CreateCommunityWithResponse(ctx, nil, newCommunity(), b.by(who))
	all["community"] = answerOf(t, made.HTTPResponse, made.Body, err)
	post, err := b.CreatePostWithResponse(ctx, community, nil, newPost(), b.by(who))
	all["post"] = answerOf(t, post.HTTPResponse, post.Body, err)
	edit, err := b.UpdatePostWithResponse(ctx, own, nil, api.PostText{Title: "Travelling", Body: new("Solved.")}, b.by(who))
	all["edit of a post"] = answerOf(t, edit.HTTPResponse, edit.Body, err)
	reply, err := b.CreateCommentWithResponse(ctx, other, nil, api.NewComment{Body: "So do I."}, b.by(who))
	all["comment"] = answerOf(t, reply.HTTPResponse, reply.Body, err)
	change, err := b.UpdateCommentWithResponse(ctx, comment, nil, api.CommentText{Body: "Not any more."}, b.by(who))
	all["edit of a comment"] = answerOf(t, change.HTTPResponse, change.Body, err)
	vote, err := b.VotePostWithResponse(ctx, other, api.Vote{Value: api.VoteValueUp}, b.by(who))
	all["vote"] = answerOf(t, vote.HTTPResponse, vote.Body, err)
	voteComment, err := b.VoteCommentWithResponse(ctx, comment, api.Vote{Value: api.VoteValueUp}, b.by(who))
	all["vote on a comment"] = answerOf(t, voteComment.HTTPResponse, voteComment.Body, err)
	flag, err := b.FlagPostWithResponse(ctx, other, nil, api.Flag{Reason: api.Spam}, b.by(who))
	all["flag"] = answerOf(t, flag.HTTPResponse, flag.Body, err)
	return all
}
