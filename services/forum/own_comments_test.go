package forum

import (
	"net/http"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	api "github.com/healthe/healthe/openapi/forum"
)

func TestListOwnComments(t *testing.T) {
	t.Parallel()

	s := newThread(t)
	want := []uuid.UUID{s.comment.ID}
	for range 4 {
		want = append([]uuid.UUID{s.addComment(s.commenter, s.post.ID, nil).ID}, want...)
		s.addComment(s.author, s.post.ID, nil)
	}
	s.hideComment()
	s.hidePost(s.post.ID)
	var got []api.Comment
	p := api.ListOwnCommentsParams{Limit: new(2)}
	for {
		resp, err := s.ListOwnCommentsWithResponse(t.Context(), &p, s.by(s.commenter))
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, resp.StatusCode(), string(resp.Body))
		got = append(got, resp.JSON200.Items...)
		if p.Cursor = resp.JSON200.NextCursor; p.Cursor == nil {
			break
		}
	}
	require.Equal(t, want, idsOf(got))
	last := got[len(got)-1]
	require.Equal(t, api.Hidden, last.Status)
	require.Equal(t, s.comment.Body, last.Body)
	require.True(t, last.Own)

	require.Equal(t, http.StatusNoContent, s.delete(s.commenter, nil).StatusCode())
	resp, err := s.ListOwnCommentsWithResponse(t.Context(), nil, s.by(s.commenter))
	require.NoError(t, err)
	require.Equal(t, want[:4], idsOf(resp.JSON200.Items), "what is deleted is nobody's")
	bad, err := s.ListOwnCommentsWithResponse(t.Context(), &api.ListOwnCommentsParams{Cursor: new("!")}, s.by(s.commenter))
	require.NoError(t, err)
	require.Equal(t, http.StatusBadRequest, bad.StatusCode())
}
