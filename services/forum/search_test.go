package forum

import (
	"math"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/kit/page"
	api "github.com/healthe/healthe/openapi/forum"
)

func (b *bench) search(p api.SearchForumParams) []api.Match {
	b.t.Helper()
	resp, err := b.SearchForumWithResponse(b.t.Context(), &p, b.by(uuid.New()))
	require.NoError(b.t, err)
	require.Equal(b.t, http.StatusOK, resp.StatusCode(), string(resp.Body))
	return resp.JSON200.Items
}

// found are the titles of the posts that match, and the texts of the comments.
func (b *bench) found(query string) []string {
	b.t.Helper()
	all := []string{}
	for _, m := range b.search(api.SearchForumParams{Query: query}) {
		if m.Kind == api.MatchKindPost {
			all = append(all, m.Title)
			continue
		}
		all = append(all, textOf(m.Snippet))
	}
	return all
}

func textOf(snippet []api.SnippetPart) string {
	var b strings.Builder
	for _, part := range snippet {
		b.WriteString(part.Text)
	}
	return b.String()
}

func highlights(snippet []api.SnippetPart) []string {
	all := []string{}
	for _, part := range snippet {
		if part.Highlighted {
			all = append(all, part.Text)
		}
	}
	return all
}

func (b *bench) say(author, community uuid.UUID, title, body string) api.Post {
	b.t.Helper()
	resp, err := b.CreatePostWithResponse(b.t.Context(), community, nil, api.NewPost{Title: title, Body: &body}, b.by(author))
	require.NoError(b.t, err)
	require.Equal(b.t, http.StatusCreated, resp.StatusCode(), string(resp.Body))
	return *resp.JSON201
}

func (b *bench) reply(author, post uuid.UUID, body string) api.Comment {
	b.t.Helper()
	resp, err := b.CreateCommentWithResponse(b.t.Context(), post, nil, api.NewComment{Body: body}, b.by(author))
	require.NoError(b.t, err)
	require.Equal(b.t, http.StatusCreated, resp.StatusCode(), string(resp.Body))
	return *resp.JSON201
}

func TestSearchForum(t *testing.T) { // FOR-9
	t.Parallel()

	t.Run("finds words as people mean them, the best match first", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		who, community := b.member(), b.addCommunity().ID
		post := b.say(who, community, "Travelling with pumps", "What do you tell airport security?")
		b.say(who, community, "Holidays", "My pump travels with me. It is a small thing, and nobody at the airport has ever asked what it is for.")
		b.say(who, community, "Bread", "How many units for a slice?")
		b.reply(who, post.ID, "I carried the pump in my hand.")

		require.Equal(t, []string{"Travelling with pumps", "Holidays"}, b.found("travel pump"), "a title counts for more, and forms of a word are one")
		require.ElementsMatch(t, []string{"Travelling with pumps", "Holidays", "I carried the pump in my hand"}, b.found("PUMPS"))
		require.Equal(t, []string{"Holidays"}, b.found("pump airport -security -carry"))
		require.Equal(t, []string{"Holidays"}, b.found(`"small thing"`))
		require.Empty(t, b.found(`"thing small"`))
		require.ElementsMatch(t, []string{"Bread", "I carried the pump in my hand"}, b.found("bread or carry"))
		require.Empty(t, b.found("unicorn"))
		require.Empty(t, b.found("the of"), "words that say nothing find nothing")
		for _, odd := range []string{"'; DROP TABLE posts; --", "& | ! ( ) :* <->", `""`, "--", `\\`, "🙂🙂", "%_", "C" + community.String(), strings.Repeat("x", 200)} {
			require.Empty(t, b.found(odd), odd)
		}
	})

	t.Run("says where it is, whose it is, and what matched", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		who, community := b.member(), b.addCommunity()
		post := b.say(who, community.ID, "Travelling", "What do you tell **airport** security <b>there</b>?")
		comment := b.reply(who, post.ID, "I show the card of my clinic.")
		require.Equal(t, []api.Match{{
			Kind: api.MatchKindComment, PostID: post.ID, CommentID: &comment.ID, Community: api.Reference{ID: community.ID, Name: community.Name}, Author: *comment.Author,
			Title: "Travelling", CreatedAt: comment.CreatedAt,
			Snippet: []api.SnippetPart{{Text: "I show the "}, {Text: "card", Highlighted: true}, {Text: " of my "}, {Text: "clinic", Highlighted: true}},
		}}, b.search(api.SearchForumParams{Query: "clinics card"}))
		got := b.search(api.SearchForumParams{Query: "airports"})
		require.Len(t, got, 1)
		require.Nil(t, got[0].CommentID)
		require.Equal(t, []string{"airport"}, highlights(got[0].Snippet))
		require.Empty(t, highlights(b.search(api.SearchForumParams{Query: "travelling"})[0].Snippet), "it was the title")
	})

	t.Run("finds posts or comments, and in one community", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		who := b.member()
		one, other := b.addCommunity().ID, b.addCommunity().ID
		here, there := b.say(who, one, "Here", "A pump."), b.say(who, other, "There", "A pump.")
		b.reply(who, here.ID, "That pump here.")
		b.reply(who, there.ID, "That pump there.")
		require.Len(t, b.search(api.SearchForumParams{Query: "pump"}), 4)
		for _, m := range b.search(api.SearchForumParams{Query: "pump", CommunityID: &one}) {
			require.Equal(t, one, m.Community.ID)
			require.Equal(t, here.ID, m.PostID)
		}
		require.Len(t, b.search(api.SearchForumParams{Query: "pump", CommunityID: &one}), 2)
		require.Empty(t, b.search(api.SearchForumParams{Query: "pump", CommunityID: new(uuid.New())}))
		for kind, want := range map[api.SearchForumParamsKind]api.MatchKind{api.SearchForumParamsKindPost: api.MatchKindPost, api.SearchForumParamsKindComment: api.MatchKindComment} {
			got := b.search(api.SearchForumParams{Query: "pump", Kind: &kind})
			require.Len(t, got, 2)
			require.Equal(t, want, got[0].Kind)
			require.Equal(t, want, got[1].Kind)
		}
	})

	t.Run("never finds what was deleted or hidden", func(t *testing.T) {
		t.Parallel()

		s := newThread(t)
		post := s.say(s.author, s.post.Community.ID, "Unicorns", "They are rare.")
		comment := s.reply(s.commenter, post.ID, "No unicorn was ever seen.")
		require.Len(t, s.found("unicorn"), 2)
		_, err := s.UpdateCommentWithResponse(t.Context(), comment.ID, nil, api.CommentText{Body: "No griffin was ever seen"}, s.by(s.commenter))
		require.NoError(t, err)
		require.Equal(t, []string{"Unicorns"}, s.found("unicorn"), "nor what was said before")
		require.Equal(t, []string{"No griffin was ever seen"}, s.found("griffin"))

		hidden, err := s.HideCommentWithResponse(t.Context(), comment.ID, nil, api.Reason{Reason: "Advertisement"}, s.byModerator(uuid.New()))
		require.NoError(t, err)
		require.Equal(t, http.StatusNoContent, hidden.StatusCode())
		require.Empty(t, s.found("griffin"))
		shown, err := s.RestoreCommentWithResponse(t.Context(), comment.ID, s.byModerator(uuid.New()))
		require.NoError(t, err)
		require.Equal(t, http.StatusNoContent, shown.StatusCode())
		require.Len(t, s.found("griffin"), 1)

		s.hidePost(post.ID)
		require.Empty(t, s.found("unicorn"))
		require.Empty(t, s.found("griffin"), "what is below it is hidden with it")
		_, err = s.RestorePostWithResponse(t.Context(), post.ID, s.byModerator(uuid.New()))
		require.NoError(t, err)
		require.Len(t, s.found("unicorn or griffin"), 2)
		gone, err := s.DeletePostWithResponse(t.Context(), post.ID, nil, s.by(s.author))
		require.NoError(t, err)
		require.Equal(t, http.StatusNoContent, gone.StatusCode())
		require.Empty(t, s.found("unicorn or griffin"))

		require.Len(t, s.found("clinic"), 1)
		require.Equal(t, http.StatusNoContent, s.delete(s.commenter, nil).StatusCode())
		require.Empty(t, s.found("clinic"))
	})

	t.Run("lets no text forge what matched", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		who, community := b.member(), b.addCommunity().ID
		b.say(who, community, "Marks \ue000forged\ue001", "\ue001Buy \ue000this\ue001 pump, \ue000\ue000<b>now</b>\ue001 \ue001 & the \ue000rest")
		for _, query := range []string{"pump", "\ue000pump\ue001"} {
			got := b.search(api.SearchForumParams{Query: query})
			require.Len(t, got, 1)
			require.Equal(t, []string{"pump"}, highlights(got[0].Snippet))
			require.NotContains(t, textOf(got[0].Snippet), startMark)
			require.NotContains(t, textOf(got[0].Snippet), stopMark)
		}
	})

	t.Run("turns pages", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		who, community := b.member(), b.addCommunity().ID
		post := b.say(who, community, "Pumps", "Pump.")
		for i := range 12 {
			b.reply(who, post.ID, "A pump"+strings.Repeat(", a pump", i%3)+".")
		}
		all := b.search(api.SearchForumParams{Query: "pump", Limit: new(100)})
		require.Len(t, all, 13)
		for _, limit := range []int{1, 5, 13} {
			var got []api.Match
			p := api.SearchForumParams{Query: "pump", Limit: &limit}
			for {
				resp, err := b.SearchForumWithResponse(t.Context(), &p, b.by(who))
				require.NoError(t, err)
				require.Equal(t, http.StatusOK, resp.StatusCode(), string(resp.Body))
				got = append(got, resp.JSON200.Items...)
				if p.Cursor = resp.JSON200.NextCursor; p.Cursor == nil {
					break
				}
			}
			require.Equal(t, all, got)
		}
		for name, cursor := range map[string]*string{"garbage": new("!"), "too big": page.Encode(map[string]any{"Rank": math.MaxFloat64})} {
			resp, err := b.SearchForumWithResponse(t.Context(), &api.SearchForumParams{Query: "pump", Cursor: cursor}, b.by(who))
			require.NoError(t, err)
			require.Equal(t, http.StatusBadRequest, resp.StatusCode(), name)
		}
	})
}

func TestSnippet(t *testing.T) {
	t.Parallel()

	for headline, want := range map[string][]api.SnippetPart{
		"":                           {},
		"a":                          {{Text: "a"}},
		"\ue000a\ue001":              {{Text: "a", Highlighted: true}},
		"a \ue000b\ue001 c":          {{Text: "a "}, {Text: "b", Highlighted: true}, {Text: " c"}},
		"\ue000a\ue001\ue000b\ue001": {{Text: "a", Highlighted: true}, {Text: "b", Highlighted: true}},
		"a \ue000b":                  {{Text: "a "}, {Text: "b"}},
		"a\ue001 b":                  {{Text: "a b"}},
		"\ue000\ue001":               {},
	} {
		require.Equal(t, want, snippet(headline), headline)
	}
}

func FuzzSnippet(f *testing.F) {
	f.Add("a \ue000b\ue001 c")
	f.Add("\ue001\ue000\ue000a")
	f.Fuzz(func(t *testing.T, headline string) {
		parts := snippet(headline)
		require.Equal(t, strings.NewReplacer(startMark, "", stopMark, "").Replace(headline), textOf(parts))
		for _, part := range parts {
			require.NotEmpty(t, part.Text)
		}
	})
}
