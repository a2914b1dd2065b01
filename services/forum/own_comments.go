package forum

import (
	"context"

	"github.com/google/uuid"

	"github.com/healthe/healthe/kit/page"
	api "github.com/healthe/healthe/openapi/forum"
	"github.com/healthe/healthe/services/forum/internal/store"
)

// ListOwnComments shows those below hidden posts too: to delete them, their author must find them.
func (s *service) ListOwnComments(ctx context.Context, req api.ListOwnCommentsRequestObject) (api.ListOwnCommentsResponseObject, error) {
	before, err := page.Decode[*uuid.UUID](req.Params.Cursor)
	if err != nil {
		return nil, err
	}
	limit := page.Limit(req.Params.Limit)
	rows, err := s.store.ListOwnComments(ctx, store.ListOwnCommentsParams{Caller: caller(ctx), BeforeID: orMax(before), MaxRows: limit + 1})
	if err != nil {
		return nil, err
	}
	rows, next := page.Cut(rows, limit, func(r store.ListOwnCommentsRow) uuid.UUID { return r.CommentDetail.ID })
	return api.ListOwnComments200JSONResponse{
		Body: api.CommentPage{NextCursor: next, Items: each(rows, func(r store.ListOwnCommentsRow) api.Comment {
			return commentToAPI(ctx, r.CommentDetail, r.OwnVote)
		})},
		Headers: api.ListOwnComments200ResponseHeaders{Link: page.Link(ctx, next)},
	}, nil
}
