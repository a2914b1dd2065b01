package forum

import (
	"context"

	"github.com/google/uuid"

	"github.com/healthe/healthe/kit/page"
	api "github.com/healthe/healthe/openapi/forum"
	"github.com/healthe/healthe/openapi/problem"
	"github.com/healthe/healthe/services/forum/internal/store"
)

var errReviewDecided = problem.Conflict("review-decided", "The review is over.")

func (s *service) ListReviews(ctx context.Context, req api.ListReviewsRequestObject) (api.ListReviewsResponseObject, error) {
	after, err := page.Decode[uuid.UUID](req.Params.Cursor)
	if err != nil {
		return nil, err
	}
	limit := page.Limit(req.Params.Limit)
	rows, err := s.store.ListReviews(ctx, store.ListReviewsParams{AfterID: after, MaxRows: limit + 1})
	if err != nil {
		return nil, err
	}
	rows, next := page.Cut(rows, limit, func(r store.ListReviewsRow) uuid.UUID { return r.Review.ID })
	return api.ListReviews200JSONResponse{
		Body:    api.ReviewPage{Items: each(rows, reviewToAPI), NextCursor: next},
		Headers: api.ListReviews200ResponseHeaders{Link: page.Link(ctx, next)},
	}, nil
}

func (s *service) DecideReview(ctx context.Context, req api.DecideReviewRequestObject) (api.DecideReviewResponseObject, error) {
	review, err := s.store.GetReview(ctx, req.ReviewID)
	if err != nil {
		return nil, found(err, "Review")
	}
	hold := s.post
	id := review.PostID
	if review.CommentID != nil {
		hold, id = s.comment, review.CommentID
	}
	if err := s.moderate(ctx, hold(*id), req.Body.Reason, decision(review.ID, req.Body.Decision)); err != nil {
		return nil, err
	}
	return api.DecideReview204Response{}, nil
}

// decision ends a review, once, and makes its subject what was decided.
func decision(review uuid.UUID, decided api.DecisionDecision) judgement {
	return func(ctx context.Context, q *store.Queries, c content) (store.ModerationAction, error) {
		ended, err := q.SetReviewDecision(ctx, store.SetReviewDecisionParams{ID: review, Decision: new(store.ReviewDecision(decided))})
		if err != nil {
			return "", err
		}
		if ended == 0 {
			return "", errReviewDecided
		}
		action, status := store.ModerationActionKeep, store.ContentStatusPublished
		if decided == api.DecisionDecisionHide {
			action, status = store.ModerationActionHide, store.ContentStatusHidden
		}
		if c.status == status {
			return action, nil
		}
		return action, c.setStatus(status)
	}
}

func reviewToAPI(r store.ListReviewsRow) api.Review {
	v := r.Review
	return api.Review{
		ID: v.ID, PostID: r.InPostID, CommentID: v.CommentID, Title: r.Title, Excerpt: r.Excerpt, Status: api.ContentStatus(r.Status),
		Author: pseudonymToAPI(r.AuthorID, r.AuthorName, r.IsDoctor), Flags: v.Flags, Notes: r.Notes, CreatedAt: utc(v.CreatedAt),
		Reasons: each(r.Reasons, func(reason string) api.FlagReason { return api.FlagReason(reason) }),
	}
}
