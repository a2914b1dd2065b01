-- The newest matches are ranked, 1,000 posts and 1,000 comments at most, so that a word that everyone uses costs no more than another:
-- the weeks are looked through from the last on, until there are enough.
-- A headline marks what matched by two characters that mean nothing, and are taken out of the text: nobody forges a mark.
-- It cuts no short words off at its ends: "no" is one.
-- name: SearchForum :many
WITH query AS (
    SELECT terms, CASE WHEN community.id IS NULL THEN terms ELSE terms && ('C' || community.id)::tsquery END AS wanted
    FROM websearch_to_tsquery('english', @query) AS terms
    CROSS JOIN (SELECT sqlc.narg('community_id')::uuid AS id) AS community
    WHERE numnode(terms) > 0
), matches AS (
    (
        SELECT newest.id AS post_id, NULL::uuid AS comment_id, newest.id, ts_rank_cd(newest.search, query.terms) AS rank
        FROM query
        CROSS JOIN generate_series((SELECT week(created_at) FROM posts ORDER BY id DESC LIMIT 1), (SELECT week(created_at) FROM posts ORDER BY id LIMIT 1), -1) AS weeks(week)
        CROSS JOIN LATERAL (
            SELECT posts.id, posts.search FROM posts
            WHERE posts.status = 'published' AND posts.search @@ ('W' || weeks.week)::tsquery AND posts.search @@ query.wanted
            ORDER BY posts.id DESC
            LIMIT 1000
        ) AS newest
        WHERE @in_posts::boolean
        LIMIT 1000
    )
    UNION ALL
    (
        SELECT newest.post_id, newest.id, newest.id, ts_rank_cd(newest.search, query.terms)
        FROM query
        CROSS JOIN generate_series((SELECT week(created_at) FROM comments ORDER BY id DESC LIMIT 1), (SELECT week(created_at) FROM comments ORDER BY id LIMIT 1), -1) AS weeks(week)
        CROSS JOIN LATERAL (
            SELECT comments.post_id, comments.id, comments.search FROM comments
            WHERE comments.status = 'published' AND comments.search @@ ('W' || weeks.week)::tsquery AND comments.search @@ query.wanted
            ORDER BY comments.id DESC
            LIMIT 1000
        ) AS newest
        WHERE @in_comments::boolean
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
    ts_headline('english', translate(left(COALESCE(comments.body, posts.body), 20000), U&'\E000\E001', ''), query.terms,
        'StartSel=' || U&'\E000' || ', StopSel=' || U&'\E001' || ', MaxFragments=2, MaxWords=30, MinWords=10, ShortWord=0')::text AS headline
FROM ranked
CROSS JOIN query
JOIN posts ON posts.id = ranked.post_id
JOIN communities ON communities.id = posts.community_id
LEFT JOIN comments ON comments.id = ranked.comment_id
JOIN authors ON authors.id = COALESCE(comments.author_id, posts.author_id)
ORDER BY ranked.rank DESC, ranked.id DESC;
