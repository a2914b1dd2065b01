package forum

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/db/dbtest"
	"github.com/healthe/healthe/services/forum/internal/seed"
	"github.com/healthe/healthe/services/forum/internal/store"
)

const (
	queryRuns  = 11
	queryRows  = 21     // a page, and one that says whether there is another
	queryDepth = 20_000 // a thousand pages
	queryPosts = 100_000
)

// BenchmarkFeedQuery takes the time that Postgres itself needs for a page, the first one and one a thousand pages down (or the last,
// where there are fewer). FORUM_POSTS says how many posts there are; FORUM_DATABASE_URL measures a database that has been seeded.
func BenchmarkFeedQuery(b *testing.B) {
	posts := queryPosts
	if n, err := strconv.Atoi(os.Getenv("FORUM_POSTS")); err == nil {
		posts = n
	}
	c := newCorpus(b, os.Getenv("FORUM_DATABASE_URL"), posts)
	for _, f := range c.feeds(b, queryDepth) {
		b.Run(f.name, func(b *testing.B) {
			first, deep := c.median(b, f.first), c.median(b, f.deep)
			b.ReportMetric(first, "ms")
			b.ReportMetric(deep, "ms-deep")
			b.ReportMetric(0, "ns/op")
			fmt.Printf("%-40s over %d posts: %6.2f ms of Postgres time on the first page, %6.2f ms far down, at most %.0f\n", f.name, c.posts, first, deep, f.most)
		})
	}
}

func (c *corpus) median(b *testing.B, page reading) float64 {
	b.Helper()
	var all []float64
	for range queryRuns {
		all = append(all, c.explain(b, true, page).Time)
	}
	slices.Sort(all)
	return all[queryRuns/2]
}

// corpus is a forum with made-up data, and who and what is largest in it.
type corpus struct {
	conn         *pgx.Conn
	posts        int
	caller       uuid.UUID // follows a hundred communities
	writer       uuid.UUID // wrote most posts, and most comments
	community    uuid.UUID // has most posts
	small        uuid.UUID // has fewest
	post, branch uuid.UUID // has most comments of those with 300 levels; the comment 200 levels down
	since        time.Time // the end of the data
}

// newCorpus seeds a fresh database unless it is given one. There are five comments and ten votes to a post.
func newCorpus(t testing.TB, url string, posts int) *corpus {
	t.Helper()
	ctx := t.Context()
	if url == "" {
		url = dbtest.URL(t, "forum").Reveal()
		began := time.Now()
		require.NoError(t, seed.Run(ctx, url, seed.Size(posts)))
		t.Logf("seeding %d posts took %s", posts, time.Since(began).Round(time.Second/10))
	}
	c := &corpus{}
	var err error
	c.conn, err = pgx.Connect(ctx, url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.conn.Close(context.WithoutCancel(ctx)) })
	for sql, into := range map[string]any{
		"SET jit = off":                     nil, // as the service does
		"SELECT count(*) FROM posts":        &c.posts,
		"SELECT max(created_at) FROM posts": &c.since,
		"SELECT author_id FROM follows GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1":                        &c.caller,
		"SELECT author_id FROM posts WHERE author_id IS NOT NULL GROUP BY 1 ORDER BY count(*) DESC LIMIT 1": &c.writer,
		"SELECT id FROM communities ORDER BY posts DESC LIMIT 1":                                            &c.community,
		"SELECT id FROM communities ORDER BY posts LIMIT 1":                                                 &c.small,
		"SELECT post_id FROM comments WHERE depth > 250 LIMIT 1":                                            &c.post,
		"SELECT id FROM comments WHERE depth = 200 LIMIT 1":                                                 &c.branch,
	} {
		if into == nil {
			_, err = c.conn.Exec(ctx, sql)
		} else {
			err = c.conn.QueryRow(ctx, sql).Scan(into)
		}
		require.NoError(t, err, sql)
	}
	return c
}

// reading asks for one page.
type reading func(context.Context, *store.Queries) error

// feed is a query with two of its pages.
type feed struct {
	name        string
	first, deep reading
	most        float64 // milliseconds
	blocks      int     // that are read, those that are read again too
}

const (
	feedTime, searchTime     = 5, 100
	feedBlocks, searchBlocks = 1000, 20_000
)

// place is where a page begins.
type place struct {
	id    uuid.UUID
	hot   float64
	score int32
	rank  float32
}

var top = place{id: uuid.Max, hot: 1e9, score: 1 << 30, rank: 1e9}

// feeds are all the queries that read a page out of many.
func (c *corpus) feeds(t testing.TB, depth int) []feed {
	t.Helper()
	at := func(where, order string, args ...any) (p place) {
		t.Helper()
		from := fmt.Sprintf("FROM post_scores WHERE listed AND %s", where)
		require.NoError(t, c.conn.QueryRow(t.Context(), fmt.Sprintf("SELECT post_id, hot, score %s ORDER BY %s OFFSET GREATEST(0, LEAST(%d, (SELECT count(*) - %d %s))) LIMIT 1",
			from, order, depth, queryRows, from), args...).Scan(&p.id, &p.hot, &p.score), where)
		return p
	}
	var all []feed
	add := func(name string, deep place, page func(place) reading) {
		all = append(all, feed{name, page(top), page(deep), feedTime, feedBlocks})
	}
	const in, followed, byTop = "community_id = $1", "community_id IN (SELECT community_id FROM follows WHERE author_id = $1)", "score DESC, post_id DESC"
	add("new", at(in, "post_id DESC", c.community), c.newPosts)
	add("hot", at(in, "hot DESC, post_id DESC", c.community), c.hotPosts)
	add("top of all time", at(in, byTop, c.community), c.topPosts)
	for _, days := range []int{1, 7, 30} {
		since := c.since.AddDate(0, 0, -days)
		add(fmt.Sprintf("top of %d days", days), at(in+" AND created_at >= $2", byTop, c.community, since), c.topPostsSince(since))
	}
	add("followed, new", at(followed, "post_id DESC", c.caller), c.followedNew)
	add("followed, hot", at(followed, "hot DESC, post_id DESC", c.caller), c.followedHot)
	return append(append(append(all, c.own(t, depth)...), c.trees(t)...), c.searches(t)...)
}

func (c *corpus) newPosts(p place) reading {
	return func(ctx context.Context, q *store.Queries) error {
		_, err := q.ListNewPosts(ctx, store.ListNewPostsParams{Caller: c.caller, CommunityID: c.community, BeforeID: p.id, MaxRows: queryRows})
		return err
	}
}

func (c *corpus) hotPosts(p place) reading {
	return func(ctx context.Context, q *store.Queries) error {
		_, err := q.ListHotPosts(ctx, store.ListHotPostsParams{Caller: c.caller, CommunityID: c.community, BeforeHot: p.hot, BeforeID: p.id, MaxRows: queryRows})
		return err
	}
}

func (c *corpus) topPosts(p place) reading {
	return func(ctx context.Context, q *store.Queries) error {
		_, err := q.ListTopPosts(ctx, store.ListTopPostsParams{Caller: c.caller, CommunityID: c.community, BeforeScore: p.score, BeforeID: p.id, MaxRows: queryRows})
		return err
	}
}

func (c *corpus) topPostsSince(since time.Time) func(place) reading {
	return func(p place) reading {
		return func(ctx context.Context, q *store.Queries) error {
			_, err := q.ListTopPostsSince(ctx, store.ListTopPostsSinceParams{
				Caller: c.caller, CommunityID: c.community, BeforeScore: p.score, BeforeID: p.id, MaxRows: queryRows,
				Since: since, FirstDay: pgtype.Date{Time: since, Valid: true}, LastDay: pgtype.Date{Time: c.since, Valid: true},
			})
			return err
		}
	}
}

func (c *corpus) followedNew(p place) reading {
	return func(ctx context.Context, q *store.Queries) error {
		_, err := q.ListFollowedNewPosts(ctx, store.ListFollowedNewPostsParams{Caller: c.caller, BeforeID: p.id, MaxRows: queryRows})
		return err
	}
}

func (c *corpus) followedHot(p place) reading {
	return func(ctx context.Context, q *store.Queries) error {
		_, err := q.ListFollowedHotPosts(ctx, store.ListFollowedHotPostsParams{Caller: c.caller, BeforeHot: p.hot, BeforeID: p.id, MaxRows: queryRows})
		return err
	}
}

func (c *corpus) own(t testing.TB, depth int) []feed {
	t.Helper()
	last := func(table string) (id uuid.UUID) {
		t.Helper()
		from := fmt.Sprintf("FROM %s WHERE author_id = $1", table)
		require.NoError(t, c.conn.QueryRow(t.Context(), fmt.Sprintf("SELECT id %s ORDER BY id DESC OFFSET GREATEST(0, LEAST(%d, (SELECT count(*) - %d %s))) LIMIT 1",
			from, depth, queryRows, from), c.writer).Scan(&id))
		return id
	}
	posts := func(before uuid.UUID) reading {
		return func(ctx context.Context, q *store.Queries) error {
			_, err := q.ListOwnPosts(ctx, store.ListOwnPostsParams{Caller: c.writer, BeforeID: before, MaxRows: queryRows})
			return err
		}
	}
	comments := func(before uuid.UUID) reading {
		return func(ctx context.Context, q *store.Queries) error {
			_, err := q.ListOwnComments(ctx, store.ListOwnCommentsParams{Caller: c.writer, BeforeID: before, MaxRows: queryRows})
			return err
		}
	}
	return []feed{
		{"own posts", posts(uuid.Max), posts(last("posts")), feedTime, feedBlocks},
		{"own comments", comments(uuid.Max), comments(last("comments")), feedTime, feedBlocks},
	}
}

// trees reads below a post with a thousand comments: its first page and its last, and far down in a branch of 300 levels.
func (c *corpus) trees(t testing.TB) []feed {
	t.Helper()
	const levels, almostAll = 4, 950
	best := func(branch uuid.UUID, after *uuid.UUID, rows, deepest int32) store.ListBestCommentsParams {
		return store.ListBestCommentsParams{Caller: c.caller, BranchID: branch, AfterID: after, MaxLevel: deepest, MaxRows: rows}
	}
	q := store.New(c.conn)
	walk, err := q.ListBestComments(t.Context(), best(c.post, nil, almostAll, 1000))
	require.NoError(t, err)
	pageBest := func(branch uuid.UUID, after *uuid.UUID) reading {
		return func(ctx context.Context, q *store.Queries) error {
			_, err := q.ListBestComments(ctx, best(branch, after, queryRows, levels))
			return err
		}
	}
	pageNew := func(branch uuid.UUID, after *uuid.UUID) reading {
		return func(ctx context.Context, q *store.Queries) error {
			_, err := q.ListNewComments(ctx, store.ListNewCommentsParams(best(branch, after, queryRows, levels)))
			return err
		}
	}
	after := walk[len(walk)-1].CommentDetail.ID
	for i := len(walk) - 1; walk[i].Level > levels; i-- { // a cursor is a comment that a page has shown
		after = walk[i-1].CommentDetail.ID
	}
	return []feed{
		{"comments, best", pageBest(c.post, nil), pageBest(c.post, &after), feedTime, feedBlocks},
		{"comments, new", pageNew(c.post, nil), pageNew(c.post, &after), feedTime, feedBlocks},
		{"comments below a branch, best", pageBest(c.post, nil), pageBest(c.branch, nil), feedTime, feedBlocks},
		{"comments below a branch, new", pageNew(c.post, nil), pageNew(c.branch, nil), feedTime, feedBlocks},
	}
}

func (c *corpus) searches(t testing.TB) []feed {
	t.Helper()
	var all []feed
	for _, s := range []struct {
		name, words string
		in          *uuid.UUID
	}{
		{"search, a word of every eighth text", seed.CommonWord, nil},
		{"search, a rare word", seed.RareWord, nil},
		{"search, a word that nobody wrote", "xylograph", nil},
		{"search, texts without a word", "-" + seed.CommonWord, nil},
		{"search, a phrase", `"` + seed.CommonWord + ` doctor"`, nil},
		{"search, a common word in a large community", seed.CommonWord, &c.community},
		{"search, a common word in a small community", seed.CommonWord, &c.small},
		{"search, a rare word in a large community", seed.RareWord, &c.community},
	} {
		params := func(p place, rows int32) store.SearchForumParams {
			return store.SearchForumParams{Query: s.words, InPosts: true, InComments: true, CommunityID: s.in, BeforeRank: p.rank, BeforeID: p.id, MaxRows: rows}
		}
		last := top
		found, err := store.New(c.conn).SearchForum(t.Context(), params(top, 200))
		require.NoError(t, err)
		if len(found) > 0 {
			last.rank, last.id = found[len(found)-1].Rank, found[len(found)-1].ID
		}
		page := func(p place) reading {
			return func(ctx context.Context, q *store.Queries) error {
				_, err := q.SearchForum(ctx, params(p, queryRows))
				return err
			}
		}
		all = append(all, feed{s.name, page(top), page(last), searchTime, searchBlocks})
	}
	return all
}

// step is a step of a plan as Postgres explains it.
type step struct {
	Type      string  `json:"Node Type"`
	Relation  string  `json:"Relation Name"`
	Rows      float64 `json:"Actual Rows"` // a loop
	Filtered  float64 `json:"Rows Removed by Filter"`
	Rechecked float64 `json:"Rows Removed by Index Recheck"`
	Loops     float64 `json:"Actual Loops"`
	Hit       int     `json:"Shared Hit Blocks"`
	Read      int     `json:"Shared Read Blocks"`
	Steps     []step  `json:"Plans"`
}

type explained struct {
	Plan step
	Time float64 `json:"Execution Time"` // milliseconds
}

// explain runs a page as the service does: prepared, with a plan for any parameters (generic), or one for these alone, as Postgres
// makes for the first few times. Each row of each step is not timed, which would double what is measured.
func (c *corpus) explain(t testing.TB, generic bool, page reading) explained {
	t.Helper()
	var r recorder
	require.ErrorIs(t, page(t.Context(), store.New(&r)), errRecorded)
	mode, places := "force_custom_plan", []string{}
	if generic {
		mode = "force_generic_plan"
	}
	for i := range r.args {
		places = append(places, fmt.Sprintf("$%d", i+1))
	}
	var text []byte
	for _, sql := range []string{"SET plan_cache_mode = " + mode, "PREPARE page AS " + r.sql} {
		_, err := c.conn.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
		require.NoError(t, err)
	}
	args := append([]any{pgx.QueryExecModeSimpleProtocol}, r.args...)
	require.NoError(t, c.conn.QueryRow(t.Context(), "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) EXECUTE page ("+strings.Join(places, ", ")+")", args...).Scan(&text))
	_, err := c.conn.Exec(t.Context(), "DEALLOCATE page")
	require.NoError(t, err)
	var plans []explained
	require.NoError(t, json.Unmarshal(text, &plans))
	return plans[0]
}

// recorder is asked instead of a database.
type recorder struct {
	sql  string
	args []any
}

var errRecorded = errors.New("recorded")

func (r *recorder) Query(_ context.Context, sql string, args ...any) (pgx.Rows, error) {
	r.sql, r.args = sql, args
	return nil, errRecorded
}

func (r *recorder) Exec(context.Context, string, ...any) (pgconn.CommandTag, error) {
	panic("a page is a query")
}

func (r *recorder) QueryRow(context.Context, string, ...any) pgx.Row {
	panic("a page has many rows")
}
