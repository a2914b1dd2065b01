package seed

import (
	"bytes"
	"context"
	"fmt"
	"hash/fnv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/db/dbtest"
)

func few() Options {
	o := Size(300)
	o.Until = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	return o
}

func TestRun(t *testing.T) {
	t.Parallel()
	url := dbtest.URL(t, "forum").Reveal()
	var said bytes.Buffer
	o := few()
	o.Progress = &Progress{W: &said}
	require.NoError(t, Run(t.Context(), url, o))
	conn, err := connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	count := func(sql string) (n int) {
		t.Helper()
		require.NoError(t, conn.QueryRow(t.Context(), sql).Scan(&n))
		return n
	}

	require.Contains(t, said.String(), "every count is right")
	require.Equal(t, 300, count("SELECT count(*) FROM posts"))
	require.Equal(t, 1500, count("SELECT count(*) FROM comments"))
	require.Equal(t, 3000, count("SELECT (SELECT count(*) FROM post_votes) + (SELECT count(*) FROM comment_votes)"))
	require.Zero(t, count("SELECT count(*) FROM (SELECT created_at, lag(created_at) OVER (ORDER BY id) AS before FROM comments) AS c WHERE created_at < before"), "identifiers are in order of time")
	require.Zero(t, count("SELECT count(*) FROM post_votes JOIN posts ON id = post_id WHERE post_votes.author_id = posts.author_id"))

	require.ErrorIs(t, Run(t.Context(), url, few()), ErrNotEmpty)
	require.Equal(t, 300, count("SELECT count(*) FROM posts"))

	more := few()
	more.Add = true
	require.NoError(t, Run(t.Context(), url, more))
	require.Equal(t, 600, count("SELECT count(*) FROM posts"))
}

// TestRunInterrupted: what has been taken away is there again.
func TestRunInterrupted(t *testing.T) {
	t.Parallel()
	url := dbtest.URL(t, "forum").Reveal()
	conn, err := connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	schema := func() (n int) {
		t.Helper()
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT (SELECT count(*) FROM pg_constraint) + (SELECT count(*) FROM pg_index) + (SELECT count(*) FROM posts)").Scan(&n))
		return n
	}
	before := schema()

	ctx, stop := context.WithCancel(t.Context())
	o := few()
	o.Progress = &Progress{W: writer(func(line []byte) {
		if bytes.Contains(line, []byte("comments_pkey")) {
			stop()
		}
	})}
	require.ErrorIs(t, Run(ctx, url, o), context.Canceled)
	require.Equal(t, before, schema())
}

type writer func([]byte)

func (w writer) Write(b []byte) (int, error) {
	w(b)
	return len(b), nil
}

func TestTheSameOptionsMakeTheSameData(t *testing.T) {
	t.Parallel()
	sum := func(o Options) uint64 {
		h := fnv.New64()
		for _, table := range newPlan(o, stock{authors: map[string]bool{}, communities: map[string]bool{}}).tables() {
			for row := table.next(); row != nil; row = table.next() {
				fmt.Fprintln(h, row...)
			}
		}
		return h.Sum64()
	}
	other := few()
	other.Seed = 2
	require.Equal(t, sum(few()), sum(few()))
	require.NotEqual(t, sum(few()), sum(other))
}

func TestCheck(t *testing.T) {
	t.Parallel()
	url := dbtest.URL(t, "forum").Reveal()
	require.NoError(t, Run(t.Context(), url, few()))
	conn, err := connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })

	for of, sql := range map[string]string{
		"posts and members of communities": "UPDATE communities SET members = members + 1 WHERE id = (SELECT max(id::text)::uuid FROM communities)",
		"votes and comments of posts":      "UPDATE post_scores SET comments = comments + 1 WHERE post_id = (SELECT max(id::text)::uuid FROM posts)",
		"what is listed":                   "UPDATE post_scores SET listed = NOT listed WHERE post_id = (SELECT max(id::text)::uuid FROM posts)",
		"votes of comments":                "DELETE FROM comment_votes WHERE comment_id = (SELECT max(comment_id::text)::uuid FROM comment_votes)",
		"replies of comments":              "UPDATE comment_scores SET replies = replies + 1 WHERE comment_id = (SELECT max(id::text)::uuid FROM comments)",
		"the tree of comments":             "UPDATE comments SET depth = depth + 1 WHERE id = (SELECT max(id::text)::uuid FROM comments WHERE depth > 0)",
	} {
		tx, err := conn.Begin(t.Context())
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), sql)
		require.NoError(t, err)
		require.ErrorContains(t, Check(t.Context(), tx), of)
		require.NoError(t, tx.Rollback(t.Context()))
	}
}
