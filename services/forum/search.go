package forum

import (
	"context"
	"math"
	"strings"

	"github.com/google/uuid"

	"github.com/healthe/healthe/kit/page"
	api "github.com/healthe/healthe/openapi/forum"
	"github.com/healthe/healthe/services/forum/internal/store"
)

// What the database puts around each word that matched; see db/queries/forum/search.sql.
const (
	startMark = "\ue000"
	stopMark  = "\ue001"
)

// rankKey is where a page of matches starts.
type rankKey struct {
	Rank float32
	ID   uuid.UUID
}

func (s *service) SearchForum(ctx context.Context, req api.SearchForumRequestObject) (api.SearchForumResponseObject, error) {
	before, err := page.Decode[rankKey](req.Params.Cursor)
	if err != nil {
		return nil, err
	}
	if req.Params.Cursor == nil {
		before = rankKey{float32(math.Inf(1)), uuid.Max}
	}
	limit, kind := page.Limit(req.Params.Limit), orDefault(req.Params.Kind, "")
	rows, err := s.store.SearchForum(ctx, store.SearchForumParams{
		Query: req.Params.Query, CommunityID: req.Params.CommunityID,
		InPosts: kind != api.SearchForumParamsKindComment, InComments: kind != api.SearchForumParamsKindPost,
		BeforeRank: before.Rank, BeforeID: before.ID, MaxRows: limit + 1,
	})
	if err != nil {
		return nil, err
	}
	rows, next := page.Cut(rows, limit, func(r store.SearchForumRow) rankKey { return rankKey{r.Rank, r.ID} })
	return api.SearchForum200JSONResponse{
		Body:    api.MatchPage{Items: each(rows, matchToAPI), NextCursor: next},
		Headers: api.SearchForum200ResponseHeaders{Link: page.Link(ctx, next)},
	}, nil
}

func matchToAPI(r store.SearchForumRow) api.Match {
	kind := api.MatchKindPost
	if r.CommentID != nil {
		kind = api.MatchKindComment
	}
	return api.Match{
		Kind: kind, PostID: r.PostID, CommentID: r.CommentID, Community: api.Reference{ID: r.CommunityID, Name: r.CommunityName},
		Author: api.Author{ID: r.AuthorID, Name: r.AuthorName, IsDoctor: r.IsDoctor}, Title: r.Title, Snippet: snippet(r.Headline), CreatedAt: utc(r.CreatedAt),
	}
}

// snippet takes a headline apart where it is marked. A mark that lacks its partner marks nothing.
func snippet(headline string) []api.SnippetPart {
	parts := []api.SnippetPart{}
	add := func(text string, highlighted bool) {
		if text != "" {
			parts = append(parts, api.SnippetPart{Text: text, Highlighted: highlighted})
		}
	}
	for {
		before, rest, _ := strings.Cut(headline, startMark)
		add(strings.ReplaceAll(before, stopMark, ""), false)
		word, after, marked := strings.Cut(rest, stopMark)
		add(strings.ReplaceAll(word, startMark, ""), marked)
		if headline = after; headline == "" {
			return parts
		}
	}
}
