-- Each feed walks an index of post_scores from where the page before ended, and looks up what it shows of those few posts alone.

-- name: ListNewPosts :many
WITH ranked AS MATERIALIZED (
    SELECT post_id FROM post_scores
    WHERE post_scores.community_id = @community_id AND listed AND post_scores.post_id < @before_id
    ORDER BY post_id DESC
    LIMIT @max_rows
)
SELECT sqlc.embed(post_summaries), COALESCE(post_votes.value, 0)::smallint AS own_vote
FROM ranked
JOIN post_summaries ON post_summaries.id = ranked.post_id
LEFT JOIN post_votes ON post_votes.post_id = ranked.post_id AND post_votes.author_id = @caller
ORDER BY ranked.post_id DESC;

-- name: ListHotPosts :many
WITH ranked AS MATERIALIZED (
    SELECT post_id, hot FROM post_scores
    WHERE post_scores.community_id = @community_id AND listed AND (post_scores.hot, post_scores.post_id) < (@before_hot::float8, @before_id::uuid)
    ORDER BY hot DESC, post_id DESC
    LIMIT @max_rows
)
SELECT sqlc.embed(post_summaries), COALESCE(post_votes.value, 0)::smallint AS own_vote, ranked.hot
FROM ranked
JOIN post_summaries ON post_summaries.id = ranked.post_id
LEFT JOIN post_votes ON post_votes.post_id = ranked.post_id AND post_votes.author_id = @caller
ORDER BY ranked.hot DESC, ranked.post_id DESC;

-- name: ListTopPosts :many
WITH ranked AS MATERIALIZED (
    SELECT post_id, score FROM post_scores
    WHERE post_scores.community_id = @community_id AND listed AND (post_scores.score, post_scores.post_id) < (@before_score::integer, @before_id::uuid)
    ORDER BY score DESC, post_id DESC
    LIMIT @max_rows
)
SELECT sqlc.embed(post_summaries), COALESCE(post_votes.value, 0)::smallint AS own_vote, ranked.score
FROM ranked
JOIN post_summaries ON post_summaries.id = ranked.post_id
LEFT JOIN post_votes ON post_votes.post_id = ranked.post_id AND post_votes.author_id = @caller
ORDER BY ranked.score DESC, ranked.post_id DESC;

-- ListTopPostsSince merges the best of each day, of 32 at most: only within the first day does it meet posts that are too old.
-- name: ListTopPostsSince :many
WITH ranked AS MATERIALIZED (
    SELECT best.post_id, best.score
    FROM (SELECT day::date FROM generate_series(@first_day::date, @last_day::date, interval '1 day') AS series(day) LIMIT 32) AS days
    CROSS JOIN LATERAL (
        SELECT post_id, score FROM post_scores
        WHERE post_scores.community_id = @community_id AND listed AND post_scores.day = days.day
            AND post_scores.created_at >= @since::timestamptz AND (post_scores.score, post_scores.post_id) < (@before_score::integer, @before_id::uuid)
        ORDER BY score DESC, post_id DESC
        LIMIT @max_rows
    ) AS best
    ORDER BY best.score DESC, best.post_id DESC
    LIMIT @max_rows
)
SELECT sqlc.embed(post_summaries), COALESCE(post_votes.value, 0)::smallint AS own_vote, ranked.score
FROM ranked
JOIN post_summaries ON post_summaries.id = ranked.post_id
LEFT JOIN post_votes ON post_votes.post_id = ranked.post_id AND post_votes.author_id = @caller
ORDER BY ranked.score DESC, ranked.post_id DESC;

-- name: ListFollowedNewPosts :many
WITH ranked AS MATERIALIZED (
    SELECT newest.post_id
    FROM follows
    CROSS JOIN LATERAL (
        SELECT post_id FROM post_scores
        WHERE post_scores.community_id = follows.community_id AND listed AND post_scores.post_id < @before_id
        ORDER BY post_id DESC
        LIMIT @max_rows
    ) AS newest
    WHERE follows.author_id = @caller
    ORDER BY newest.post_id DESC
    LIMIT @max_rows
)
SELECT sqlc.embed(post_summaries), COALESCE(post_votes.value, 0)::smallint AS own_vote
FROM ranked
JOIN post_summaries ON post_summaries.id = ranked.post_id
LEFT JOIN post_votes ON post_votes.post_id = ranked.post_id AND post_votes.author_id = @caller
ORDER BY ranked.post_id DESC;

-- name: ListFollowedHotPosts :many
WITH ranked AS MATERIALIZED (
    SELECT hottest.post_id, hottest.hot
    FROM follows
    CROSS JOIN LATERAL (
        SELECT post_id, hot FROM post_scores
        WHERE post_scores.community_id = follows.community_id AND listed AND (post_scores.hot, post_scores.post_id) < (@before_hot::float8, @before_id::uuid)
        ORDER BY hot DESC, post_id DESC
        LIMIT @max_rows
    ) AS hottest
    WHERE follows.author_id = @caller
    ORDER BY hottest.hot DESC, hottest.post_id DESC
    LIMIT @max_rows
)
SELECT sqlc.embed(post_summaries), COALESCE(post_votes.value, 0)::smallint AS own_vote, ranked.hot
FROM ranked
JOIN post_summaries ON post_summaries.id = ranked.post_id
LEFT JOIN post_votes ON post_votes.post_id = ranked.post_id AND post_votes.author_id = @caller
ORDER BY ranked.hot DESC, ranked.post_id DESC;

-- name: ListOwnPosts :many
WITH own AS MATERIALIZED (
    SELECT id FROM posts
    WHERE posts.author_id = @caller AND posts.id < @before_id
    ORDER BY id DESC
    LIMIT @max_rows
)
SELECT sqlc.embed(post_summaries), COALESCE(post_votes.value, 0)::smallint AS own_vote
FROM own
JOIN post_summaries ON post_summaries.id = own.id
LEFT JOIN post_votes ON post_votes.post_id = own.id AND post_votes.author_id = @caller
ORDER BY own.id DESC;
