-- The newest matches are ranked, 1,000 posts and 1,000 comments at most, so that a word that everyone uses costs no more than another.
-- A headline marks what matched by two characters that no text holds.
-- name: SearchForum :many
WITH query AS (
    SELECT websearch_to_tsquery('english', @query) AS terms
), matches AS (
    (
        SELECT posts.id AS post_id, NULL::uuid AS comment_id, posts.id, ts_rank_cd(posts.search, query.terms) AS rank
        FROM query
        JOIN posts ON posts.search @@ query.terms
        WHERE posts.status = 'published' AND @in_posts::boolean
            AND (sqlc.narg('community_id')::uuid IS NULL OR posts.community_id = sqlc.narg('community_id'))
        ORDER BY posts.id DESC
        LIMIT 1000
    )
    UNION ALL
    (
        SELECT comments.post_id, comments.id, comments.id, ts_rank_cd(comments.search, query.terms)
        FROM query
        JOIN comments ON comments.search @@ query.terms
        WHERE comments.status = 'published' AND @in_comments::boolean
            AND (sqlc.narg('community_id')::uuid IS NULL OR comments.community_id = sqlc.narg('community_id'))
        ORDER BY comments.id DESC
        LIMIT 1000
    )
), ranked AS (
    SELECT matches.* FROM matches
    JOIN posts ON posts.id = matches.post_id
    WHERE posts.status = 'published' AND (matches.rank, matches.id) < (@before_rank::real, @before_id::uuid)
    ORDER BY matches.rank DESC, matches.id DESC
    LIMIT @max_rows
)
SELECT ranked.post_id::uuid AS post_id, ranked.comment_id, ranked.id::uuid AS id, ranked.rank::real AS rank, posts.title, posts.community_id,
    communities.name AS community_name, authors.id AS author_id, authors.name AS author_name, authors.is_doctor,
    COALESCE(comments.created_at, posts.created_at) AS created_at,
    ts_headline('english', left(COALESCE(comments.body, posts.body), 20000), query.terms,
        'StartSel=' || U&'\E000' || ', StopSel=' || U&'\E001' || ', MaxFragments=2, MaxWords=30, MinWords=10')::text AS headline
FROM ranked
CROSS JOIN query
JOIN posts ON posts.id = ranked.post_id
JOIN communities ON communities.id = posts.community_id
LEFT JOIN comments ON comments.id = ranked.comment_id
JOIN authors ON authors.id = COALESCE(comments.author_id, posts.author_id)
ORDER BY ranked.rank DESC, ranked.id DESC;
