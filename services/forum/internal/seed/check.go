package seed

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// counters are the queries that count again what the service keeps count of; each answers how many counts are wrong.
var counters = []struct{ of, sql string }{
	{"posts and members of communities", `
		SELECT count(*) FROM communities
		LEFT JOIN (SELECT community_id, count(*) AS n FROM posts WHERE status = 'published' GROUP BY 1) AS p ON p.community_id = communities.id
		LEFT JOIN (SELECT community_id, count(*) AS n FROM follows GROUP BY 1) AS f ON f.community_id = communities.id
		WHERE (posts, members) IS DISTINCT FROM (COALESCE(p.n, 0), COALESCE(f.n, 0))`},
	{"votes and comments of posts", `
		SELECT count(*) FROM post_scores
		FULL JOIN (SELECT post_id, count(*) FILTER (WHERE value = 1) AS up, count(*) FILTER (WHERE value = -1) AS down FROM post_votes GROUP BY 1) AS v USING (post_id)
		LEFT JOIN (SELECT post_id, count(*) AS n FROM comments WHERE status = 'published' GROUP BY 1) AS c USING (post_id)
		WHERE (post_scores.up, post_scores.down, post_scores.comments) IS DISTINCT FROM (COALESCE(v.up, 0), COALESCE(v.down, 0), COALESCE(c.n, 0))`},
	{"what is listed", `
		SELECT count(*) FROM posts
		FULL JOIN post_scores ON post_id = id
		WHERE (post_scores.listed, post_scores.community_id, post_scores.created_at) IS DISTINCT FROM (posts.status = 'published', posts.community_id, posts.created_at)`},
	{"votes of comments", `
		SELECT count(*) FROM comment_scores
		FULL JOIN (SELECT comment_id, count(*) FILTER (WHERE value = 1) AS up, count(*) FILTER (WHERE value = -1) AS down FROM comment_votes GROUP BY 1) AS v USING (comment_id)
		WHERE (comment_scores.up, comment_scores.down) IS DISTINCT FROM (COALESCE(v.up, 0), COALESCE(v.down, 0))`},
	{"replies of comments", `
		SELECT count(*) FROM comment_scores
		LEFT JOIN (SELECT parent_id, count(*) AS n FROM comments WHERE parent_id IS NOT NULL GROUP BY 1) AS r ON r.parent_id = comment_id
		WHERE replies <> COALESCE(r.n, 0)`},
	{"the tree of comments", `
		SELECT count(*) FROM comments
		FULL JOIN comment_scores ON comment_id = comments.id
		LEFT JOIN comments AS parents ON parents.id = comments.parent_id
		WHERE comment_scores.branch_id IS DISTINCT FROM COALESCE(comments.parent_id, comments.post_id)
			OR comments.depth IS DISTINCT FROM COALESCE(parents.depth + 1, 0) OR parents.post_id <> comments.post_id OR parents.id > comments.id`},
}

// Check counts everything again and says which of the service's counts are wrong.
func Check(ctx context.Context, conn interface {
	QueryRow(context.Context, string, ...any) pgx.Row
},
) error {
	var all error
	for _, c := range counters {
		var wrong int
		if err := conn.QueryRow(ctx, c.sql).Scan(&wrong); err != nil {
			return err
		}
		if wrong > 0 {
			all = errors.Join(all, fmt.Errorf("%s: %d are wrong", c.of, wrong))
		}
	}
	return all
}
