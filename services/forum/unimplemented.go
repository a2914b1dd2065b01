package forum

import (
	"context"
	"errors"

	api "github.com/healthe/healthe/openapi/forum"
)

// unimplemented goes away.
type unimplemented struct{}

var errNotYet = errors.New("not yet")

func (unimplemented) DeleteComment(context.Context, api.DeleteCommentRequestObject) (api.DeleteCommentResponseObject, error) {
	return nil, errNotYet
}

func (unimplemented) GetComment(context.Context, api.GetCommentRequestObject) (api.GetCommentResponseObject, error) {
	return nil, errNotYet
}

func (unimplemented) UpdateComment(context.Context, api.UpdateCommentRequestObject) (api.UpdateCommentResponseObject, error) {
	return nil, errNotYet
}

func (unimplemented) RetractCommentVote(context.Context, api.RetractCommentVoteRequestObject) (api.RetractCommentVoteResponseObject, error) {
	return nil, errNotYet
}

func (unimplemented) VoteComment(context.Context, api.VoteCommentRequestObject) (api.VoteCommentResponseObject, error) {
	return nil, errNotYet
}

func (unimplemented) ListCommunities(context.Context, api.ListCommunitiesRequestObject) (api.ListCommunitiesResponseObject, error) {
	return nil, errNotYet
}

func (unimplemented) CreateCommunity(context.Context, api.CreateCommunityRequestObject) (api.CreateCommunityResponseObject, error) {
	return nil, errNotYet
}

func (unimplemented) DeleteCommunity(context.Context, api.DeleteCommunityRequestObject) (api.DeleteCommunityResponseObject, error) {
	return nil, errNotYet
}

func (unimplemented) GetCommunity(context.Context, api.GetCommunityRequestObject) (api.GetCommunityResponseObject, error) {
	return nil, errNotYet
}

func (unimplemented) UpdateCommunity(context.Context, api.UpdateCommunityRequestObject) (api.UpdateCommunityResponseObject, error) {
	return nil, errNotYet
}

func (unimplemented) UnfollowCommunity(context.Context, api.UnfollowCommunityRequestObject) (api.UnfollowCommunityResponseObject, error) {
	return nil, errNotYet
}

func (unimplemented) FollowCommunity(context.Context, api.FollowCommunityRequestObject) (api.FollowCommunityResponseObject, error) {
	return nil, errNotYet
}

func (unimplemented) ListPosts(context.Context, api.ListPostsRequestObject) (api.ListPostsResponseObject, error) {
	return nil, errNotYet
}

func (unimplemented) CreatePost(context.Context, api.CreatePostRequestObject) (api.CreatePostResponseObject, error) {
	return nil, errNotYet
}

func (unimplemented) GetOwnAuthor(context.Context, api.GetOwnAuthorRequestObject) (api.GetOwnAuthorResponseObject, error) {
	return nil, errNotYet
}

func (unimplemented) UpdateOwnAuthor(context.Context, api.UpdateOwnAuthorRequestObject) (api.UpdateOwnAuthorResponseObject, error) {
	return nil, errNotYet
}

func (unimplemented) ListOwnComments(context.Context, api.ListOwnCommentsRequestObject) (api.ListOwnCommentsResponseObject, error) {
	return nil, errNotYet
}

func (unimplemented) ListFollowedCommunities(context.Context, api.ListFollowedCommunitiesRequestObject) (api.ListFollowedCommunitiesResponseObject, error) {
	return nil, errNotYet
}

func (unimplemented) GetFeed(context.Context, api.GetFeedRequestObject) (api.GetFeedResponseObject, error) {
	return nil, errNotYet
}

func (unimplemented) ListOwnPosts(context.Context, api.ListOwnPostsRequestObject) (api.ListOwnPostsResponseObject, error) {
	return nil, errNotYet
}

func (unimplemented) DeletePost(context.Context, api.DeletePostRequestObject) (api.DeletePostResponseObject, error) {
	return nil, errNotYet
}

func (unimplemented) GetPost(context.Context, api.GetPostRequestObject) (api.GetPostResponseObject, error) {
	return nil, errNotYet
}

func (unimplemented) UpdatePost(context.Context, api.UpdatePostRequestObject) (api.UpdatePostResponseObject, error) {
	return nil, errNotYet
}

func (unimplemented) ListComments(context.Context, api.ListCommentsRequestObject) (api.ListCommentsResponseObject, error) {
	return nil, errNotYet
}

func (unimplemented) CreateComment(context.Context, api.CreateCommentRequestObject) (api.CreateCommentResponseObject, error) {
	return nil, errNotYet
}

func (unimplemented) RetractPostVote(context.Context, api.RetractPostVoteRequestObject) (api.RetractPostVoteResponseObject, error) {
	return nil, errNotYet
}

func (unimplemented) VotePost(context.Context, api.VotePostRequestObject) (api.VotePostResponseObject, error) {
	return nil, errNotYet
}

func (unimplemented) SearchForum(context.Context, api.SearchForumRequestObject) (api.SearchForumResponseObject, error) {
	return nil, errNotYet
}
