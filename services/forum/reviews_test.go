package forum

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	api "github.com/healthe/healthe/openapi/forum"
)

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

	t.Run("show the first hundred of many flags, and how many there are", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		s := subject{bench: b, id: b.addPost(b.member(), b.addCommunity().ID).ID}
		s.mustFlag(uuid.New())
		_, err := b.service.db.Exec(t.Context(), `WITH readers AS (
				INSERT INTO authors (id, name, is_doctor) SELECT gen_random_uuid(), 'Reader ' || n, false FROM generate_series(1, 150) AS n RETURNING id
			), flagged AS (UPDATE reviews SET flags = 151 RETURNING id)
			INSERT INTO flags (review_id, content_id, author_id, reason, note) SELECT flagged.id, $1, readers.id, 'other', 'Look' FROM readers, flagged`, s.id)
		require.NoError(t, err)
		review := b.reviews()[0]
		require.EqualValues(t, 151, review.Flags)
		require.Len(t, review.Reasons, 100)
		require.Len(t, review.Notes, 100)
		require.Equal(t, api.Spam, review.Reasons[0])
	})

	t.Run("are not found where there are none", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		require.Equal(t, http.StatusNotFound, b.decide(uuid.New(), uuid.New(), api.DecisionDecisionKeep).status)
		require.Empty(t, b.reviews())
	})
}
