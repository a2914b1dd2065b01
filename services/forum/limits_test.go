package forum

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	api "github.com/healthe/healthe/openapi/forum"
)

// tally counts answers by status and problem.
type tally struct {
	mu sync.Mutex
	n  map[string]int
}

func (t *tally) add(status int, problemType string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n == nil {
		t.n = map[string]int{}
	}
	t.n[fmt.Sprint(status, " ", problemType)]++
}

// post answers how an attempt to post went, and what Retry-After said.
func (b *bench) post(who, community uuid.UUID, key *string) (int, string) {
	b.t.Helper()
	resp, err := b.CreatePostWithResponse(b.t.Context(), community, &api.CreatePostParams{IdempotencyKey: key}, newPost(), b.by(who))
	require.NoError(b.t, err)
	return resp.StatusCode(), resp.HTTPResponse.Header.Get("Retry-After")
}

func (b *bench) wait(d time.Duration) { b.clock.set(b.clock.now().Add(d)) }

func TestAllowances(t *testing.T) {
	t.Parallel()

	t.Run("let a new author post three times, then once in 20 minutes, and say so truly", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		community, who := b.addCommunity().ID, uuid.New()
		for range 3 {
			status, _ := b.post(who, community, nil)
			require.Equal(t, http.StatusCreated, status)
		}
		status, after := b.post(who, community, nil)
		require.Equal(t, http.StatusTooManyRequests, status)
		require.Equal(t, "1200", after)
		b.wait(20*time.Minute - 1500*time.Millisecond)
		status, after = b.post(who, community, nil)
		require.Equal(t, http.StatusTooManyRequests, status)
		require.Equal(t, "2", after, "asking in between costs nothing")
		b.wait(2 * time.Second)
		status, _ = b.post(who, community, nil)
		require.Equal(t, http.StatusCreated, status)
		status, after = b.post(who, community, nil)
		require.Equal(t, http.StatusTooManyRequests, status)
		require.Equal(t, "1200", after, "to the second above")
		b.wait(10 * time.Hour)
		for range 3 {
			status, _ = b.post(who, community, nil)
			require.Equal(t, http.StatusCreated, status)
		}
		status, _ = b.post(who, community, nil)
		require.Equal(t, http.StatusTooManyRequests, status, "no more than three are saved up")
	})

	t.Run("are larger for who has been there for three days", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		community, who := b.addCommunity().ID, uuid.New()
		for range 3 {
			status, _ := b.post(who, community, nil)
			require.Equal(t, http.StatusCreated, status)
		}
		b.wait(72 * time.Hour)
		for range 20 {
			status, _ := b.post(who, community, nil)
			require.Equal(t, http.StatusCreated, status)
		}
		status, after := b.post(who, community, nil)
		require.Equal(t, http.StatusTooManyRequests, status)
		require.Equal(t, "180", after)
	})

	t.Run("let exactly three of twenty through that a new author sends at once", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		community, who := b.addCommunity().ID, uuid.New()
		var answers tally
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				resp, err := b.CreatePostWithResponse(t.Context(), community, nil, newPost(), b.by(who))
				if err != nil {
					t.Error(err)
					return
				}
				answers.add(resp.StatusCode(), "")
			})
		}
		all.Wait()
		require.Equal(t, map[string]int{"201 ": 3, "429 ": 17}, answers.n)
		require.Equal(t, 3, b.count("SELECT count(*) FROM posts"))
		require.Equal(t, 3, b.count("SELECT posts FROM communities"))
	})

	t.Run("do not keep a 429 under an Idempotency-Key", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		community, who := b.addCommunity().ID, uuid.New()
		for range 3 {
			b.post(who, community, nil)
		}
		status, _ := b.post(who, community, new("fourth"))
		require.Equal(t, http.StatusTooManyRequests, status)
		b.wait(20 * time.Minute)
		status, _ = b.post(who, community, new("fourth"))
		require.Equal(t, http.StatusCreated, status)
		status, _ = b.post(who, community, new("fourth"))
		require.Equal(t, http.StatusCreated, status, "the answer once more, which takes no token")
		require.Equal(t, 4, b.count("SELECT count(*) FROM posts"))
	})

	t.Run("are one for each kind, and of each author", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		community, who := b.addCommunity().ID, uuid.New()
		for range 3 {
			b.post(who, community, nil)
		}
		post := b.addPost(uuid.New(), community).ID
		comment := b.addComment(who, post, nil)
		vote, err := b.VotePostWithResponse(t.Context(), post, api.Vote{Value: api.VoteValueUp}, b.by(who))
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, vote.StatusCode(), string(vote.Body))
		flagged, err := b.FlagPostWithResponse(t.Context(), post, nil, api.Flag{Reason: api.Spam}, b.by(who))
		require.NoError(t, err)
		require.Equal(t, http.StatusNoContent, flagged.StatusCode(), string(flagged.Body))
		edited, err := b.UpdateCommentWithResponse(t.Context(), comment.ID, nil, api.CommentText{Body: "Better."}, b.by(who))
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, edited.StatusCode(), string(edited.Body))
		made, err := b.CreateCommunityWithResponse(t.Context(), nil, newCommunity(), b.by(who))
		require.NoError(t, err)
		require.Equal(t, http.StatusCreated, made.StatusCode(), string(made.Body))
		another, err := b.CreateCommunityWithResponse(t.Context(), nil, newCommunity(), b.by(who))
		require.NoError(t, err)
		require.Equal(t, http.StatusTooManyRequests, another.StatusCode())
		require.Equal(t, "86400", another.HTTPResponse.Header.Get("Retry-After"))
	})

	t.Run("are not used up by what is refused", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		community, who := b.addCommunity().ID, uuid.New()
		for i := range 6 {
			var key *string
			if i%2 == 0 {
				key = new(uuid.NewString())
			}
			status, _ := b.post(who, uuid.New(), key)
			require.Equal(t, http.StatusNotFound, status)
		}
		status, _ := b.post(who, community, nil)
		require.Equal(t, http.StatusCreated, status)
	})
}
