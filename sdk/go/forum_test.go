package healthe_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/openapi/forum"
	"github.com/healthe/healthe/openapi/problem"
	healthe "github.com/healthe/healthe/sdk/go"
)

var (
	place   = uuid.MustParse("01990c5e-7a10-7cc3-8a51-2f6d3b1f0a01")
	aPost   = map[string]any{"id": "01990c5e-7a10-7cc3-8a51-2f6d3b1f0a02", "community": map[string]any{"id": place, "name": "travel"}, "title": "Travelling", "score": 0}
	newPost = forum.NewPost{Title: "Travelling", Body: new("What do you tell airport security?")}
)

func post(ctx context.Context, c *healthe.Client) (*forum.Post, error) {
	return healthe.Created(c.Forum.CreatePostWithResponse(ctx, place, nil, newPost))
}

// remark is a comment as a server says it, perhaps with a branch that goes on elsewhere.
func remark(text, branch string) map[string]any {
	r := map[string]any{"id": uuid.New(), "body": text}
	if branch != "" {
		r["replies_cursor"] = branch
	}
	return r
}

func remarks(next string, all ...map[string]any) http.HandlerFunc {
	body := map[string]any{"items": all}
	if next != "" {
		body["next_cursor"] = next
	}
	return says(http.StatusOK, body)
}

func TestAPostIsWrittenOnce(t *testing.T) {
	t.Parallel()

	p := newPlatform(t, down, resets, says(http.StatusCreated, aPost))
	made, err := post(t.Context(), p.client(t))
	require.NoError(t, err)
	require.Equal(t, "Travelling", made.Title)
	require.Len(t, p.asked, 3)
	keys := []string{}
	for _, r := range p.asked {
		keys = append(keys, r.Header.Get("Idempotency-Key"))
	}
	require.NotEmpty(t, keys[0])
	require.Len(t, slices.Compact(keys), 1)
}

func TestAVoteIsSentOnce(t *testing.T) {
	t.Parallel()

	p := newPlatform(t, down)
	_, err := healthe.OK(p.client(t).Forum.VotePostWithResponse(t.Context(), place, forum.Vote{Value: forum.VoteValueUp}))
	require.Error(t, err)
	require.Len(t, p.asked, 1, "another vote may have followed")
}

func TestAPostThatSeemsPersonalIsAskedAbout(t *testing.T) {
	t.Parallel()

	question := problem.New(http.StatusConflict, "personal-data", "Personal data", "Is it meant?")
	question.Errors = []problem.Field{{Pointer: "/body", Detail: "A telephone number."}}
	p := newPlatform(t, refuses(question))
	_, err := post(t.Context(), p.client(t))
	require.True(t, healthe.Is(err, "personal-data"))
	require.False(t, healthe.Is(err, "post-locked"))
	require.False(t, healthe.Is(nil, "personal-data"))
	asked, ok := errors.AsType[*problem.Problem](err)
	require.True(t, ok)
	require.Equal(t, "/body", asked.Errors[0].Pointer)
	require.Len(t, p.asked, 1, "a question is an answer")
}

func TestAllFollowsAFeed(t *testing.T) {
	t.Parallel()

	p := newPlatform(t, says(http.StatusOK, map[string]any{"items": []any{aPost}, "next_cursor": "more"}), down, says(http.StatusOK, map[string]any{"items": []any{aPost}}))
	c, titles := p.client(t), []string{}
	for item, err := range healthe.All(func(cursor *string) ([]forum.PostSummary, *string, error) {
		page, err := healthe.OK(c.Forum.GetFeedWithResponse(t.Context(), &forum.GetFeedParams{Cursor: cursor}))
		if err != nil {
			return nil, nil, err
		}
		return page.Items, page.NextCursor, nil
	}) {
		require.NoError(t, err)
		titles = append(titles, item.Title)
	}
	require.Equal(t, []string{"Travelling", "Travelling"}, titles)
	require.Equal(t, "more", p.asked[2].URL.Query().Get("cursor"))
}

func TestCommentsWalkTheWholeTree(t *testing.T) {
	t.Parallel()

	tree := []http.HandlerFunc{
		remarks("page 2", remark("1", ""), remark("1.1", "below 1.1")),
		remarks("branch 2", remark("1.1.1", "below 1.1.1")),
		remarks("", remark("1.1.1.1", "")),
		remarks("", remark("1.1.2", "")),
		remarks("", remark("2", "")),
	}
	walk := func(p *platform, limit int) (texts []string, last error) {
		sort := forum.ListCommentsParamsSortNew
		for c, err := range p.client(t).Comments(t.Context(), place, forum.ListCommentsParams{Sort: &sort}) {
			if last = err; err == nil {
				texts = append(texts, c.Body)
			}
			if len(texts) == limit {
				break
			}
		}
		return texts, last
	}

	p := newPlatform(t, tree...)
	texts, err := walk(p, 10)
	require.NoError(t, err)
	require.Equal(t, []string{"1", "1.1", "1.1.1", "1.1.1.1", "1.1.2", "2"}, texts)
	cursors := []string{}
	for _, r := range p.asked {
		cursors = append(cursors, r.URL.Query().Get("cursor"))
		require.Equal(t, "new", r.URL.Query().Get("sort"))
	}
	require.Equal(t, []string{"", "below 1.1", "below 1.1.1", "branch 2", "page 2"}, cursors)

	p = newPlatform(t, tree...)
	texts, err = walk(p, 3)
	require.NoError(t, err)
	require.Equal(t, []string{"1", "1.1", "1.1.1"}, texts)
	require.Len(t, p.asked, 2, "nothing is fetched before it is needed")

	p = newPlatform(t, tree[0], refuses(problem.NotFound("Post")))
	texts, err = walk(p, 10)
	require.ErrorIs(t, err, healthe.NotFound)
	require.Equal(t, []string{"1", "1.1"}, texts, "after an error there is nothing more")
}
