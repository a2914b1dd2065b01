package healthe

import (
	"context"
	"iter"

	"github.com/google/uuid"

	"github.com/healthe/healthe/openapi/forum"
)

// Comments walks through the tree of comments below a post, depth first and however deep it is, fetching each page when it is
// needed: replies come right after what they answer. Of params, Sort, HTML and Limit count. After an error there is nothing more.
func (c *Client) Comments(ctx context.Context, post uuid.UUID, params forum.ListCommentsParams) iter.Seq2[forum.Comment, error] {
	return func(yield func(forum.Comment, error) bool) {
		c.branch(ctx, post, params, nil, yield)
	}
}

// branch walks through what is below a comment, or a whole tree, and says whether more is wanted.
func (c *Client) branch(ctx context.Context, post uuid.UUID, params forum.ListCommentsParams, from *string, yield func(forum.Comment, error) bool) bool {
	for comment, err := range All(func(cursor *string) ([]forum.Comment, *string, error) {
		if params.Cursor = from; cursor != nil {
			params.Cursor = cursor
		}
		page, err := OK(c.Forum.ListCommentsWithResponse(ctx, post, &params))
		if err != nil {
			return nil, nil, err
		}
		return page.Items, page.NextCursor, nil
	}) {
		if !yield(comment, err) || err != nil {
			return false
		}
		if comment.RepliesCursor != nil && !c.branch(ctx, post, params, comment.RepliesCursor, yield) {
			return false
		}
	}
	return true
}
