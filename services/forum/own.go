package forum

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/healthe/healthe/kit/page"
	api "github.com/healthe/healthe/openapi/forum"
	"github.com/healthe/healthe/services/forum/internal/store"
)

// GetOwnAuthor is the one read that makes an author: who asks for their name gets one.
func (s *service) GetOwnAuthor(ctx context.Context, _ api.GetOwnAuthorRequestObject) (api.GetOwnAuthorResponseObject, error) {
	var author store.Author
	err := s.atOnce(ctx, func(_ pgx.Tx, q *store.Queries) error {
		var err error
		author, err = s.author(ctx, q)
		return err
	})
	if err != nil {
		return nil, err
	}
	return api.GetOwnAuthor200JSONResponse{OwnAuthorAnswerJSONResponse: s.ownAuthorToAPI(author)}, nil
}

func (s *service) UpdateOwnAuthor(ctx context.Context, req api.UpdateOwnAuthorRequestObject) (api.UpdateOwnAuthorResponseObject, error) {
	var author store.Author
	err := s.atOnce(ctx, func(_ pgx.Tx, q *store.Queries) error {
		own, err := s.author(ctx, q)
		if err != nil {
			return err
		}
		var sealed []byte
		if req.Body.ReplyMails {
			subject, _ := ctx.Value(subjectKey{}).(string)
			sealed = s.names.Seal(own.ID, subject)
		}
		author, err = q.SetSealedSubject(ctx, store.SetSealedSubjectParams{ID: own.ID, SealedSubject: sealed})
		return err
	})
	if err != nil {
		return nil, err
	}
	return api.UpdateOwnAuthor200JSONResponse{OwnAuthorAnswerJSONResponse: s.ownAuthorToAPI(author)}, nil
}

// nameKey is where a page of a list by name starts.
type nameKey struct {
	Name string
	ID   uuid.UUID
}

func (s *service) ListFollowedCommunities(ctx context.Context, req api.ListFollowedCommunitiesRequestObject) (api.ListFollowedCommunitiesResponseObject, error) {
	after, err := page.Decode[nameKey](req.Params.Cursor)
	if err != nil {
		return nil, err
	}
	limit := page.Limit(req.Params.Limit)
	rows, err := s.store.ListFollowedCommunities(ctx, store.ListFollowedCommunitiesParams{
		AuthorID: caller(ctx), AfterName: after.Name, AfterID: after.ID, MaxRows: limit + 1,
	})
	if err != nil {
		return nil, err
	}
	rows, next := page.Cut(rows, limit, func(c store.Community) nameKey { return nameKey{c.Name, c.ID} })
	return api.ListFollowedCommunities200JSONResponse{
		Body: api.CommunityPage{NextCursor: next, Items: each(rows, func(c store.Community) api.Community {
			return communityToAPI(c, true)
		})},
		Headers: api.ListFollowedCommunities200ResponseHeaders{Link: page.Link(ctx, next)},
	}, nil
}

func (s *service) GetFeed(ctx context.Context, req api.GetFeedRequestObject) (api.GetFeedResponseObject, error) {
	key, err := feedStart(req.Params.Cursor, api.ListPostsParamsSort(orDefault(req.Params.Sort, api.GetFeedParamsSortHot)))
	if err != nil {
		return nil, err
	}
	limit := page.Limit(req.Params.Limit)
	rows, err := s.followed(ctx, key, limit+1)
	if err != nil {
		return nil, err
	}
	rows, next := page.Cut(rows, limit, key.after)
	return api.GetFeed200JSONResponse{
		Body:    api.PostPage{Items: each(rows, rankedToAPI(ctx)), NextCursor: next},
		Headers: api.GetFeed200ResponseHeaders{Link: page.Link(ctx, next)},
	}, nil
}

func (s *service) followed(ctx context.Context, key feedKey, maxRows int32) ([]ranked, error) {
	if key.Sort == api.ListPostsParamsSortNew {
		rows, err := s.store.ListFollowedNewPosts(ctx, store.ListFollowedNewPostsParams{Caller: caller(ctx), BeforeID: key.ID, MaxRows: maxRows})
		return each(rows, func(r store.ListFollowedNewPostsRow) ranked { return ranked{r.PostSummary, r.OwnVote, 0} }), err
	}
	rows, err := s.store.ListFollowedHotPosts(ctx, store.ListFollowedHotPostsParams{
		Caller: caller(ctx), BeforeHot: key.Hot, BeforeID: key.ID, MaxRows: maxRows,
	})
	return each(rows, func(r store.ListFollowedHotPostsRow) ranked { return ranked{r.PostSummary, r.OwnVote, r.Hot} }), err
}

func (s *service) ListOwnPosts(ctx context.Context, req api.ListOwnPostsRequestObject) (api.ListOwnPostsResponseObject, error) {
	before, err := page.Decode[*uuid.UUID](req.Params.Cursor)
	if err != nil {
		return nil, err
	}
	limit := page.Limit(req.Params.Limit)
	rows, err := s.store.ListOwnPosts(ctx, store.ListOwnPostsParams{Caller: caller(ctx), BeforeID: orMax(before), MaxRows: limit + 1})
	if err != nil {
		return nil, err
	}
	rows, next := page.Cut(rows, limit, func(r store.ListOwnPostsRow) uuid.UUID { return r.PostSummary.ID })
	return api.ListOwnPosts200JSONResponse{
		Body: api.PostPage{NextCursor: next, Items: each(rows, func(r store.ListOwnPostsRow) api.PostSummary {
			return summaryToAPI(r.PostSummary, r.OwnVote, true)
		})},
		Headers: api.ListOwnPosts200ResponseHeaders{Link: page.Link(ctx, next)},
	}, nil
}

func (s *service) ownAuthorToAPI(a store.Author) api.OwnAuthorAnswerJSONResponse {
	now := s.now()
	own := api.OwnAuthorAnswerJSONResponse{
		Author: authorToAPI(a), ReplyMails: a.SealedSubject != nil, IsNew: s.rules.isNew(a, now), CreatedAt: utc(a.CreatedAt),
	}
	if checkSuspension(a, now) != nil {
		own.SuspendedUntil = optionally(a.SuspendedUntil, utc)
	}
	return own
}
