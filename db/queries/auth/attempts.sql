-- name: CountAttempt :one
INSERT INTO attempts AS a (key, tries, resets_at)
VALUES (@key, 1, now() + make_interval(secs => @window_s::float8))
ON CONFLICT ON CONSTRAINT attempts_pkey DO UPDATE
SET tries     = CASE WHEN a.resets_at <= now() THEN 1 ELSE a.tries + 1 END,
    resets_at = CASE WHEN a.resets_at <= now() THEN excluded.resets_at ELSE a.resets_at END
RETURNING tries, (extract(EPOCH FROM resets_at - now()))::float8 AS seconds_left;

-- name: ReturnAttempt :exec
UPDATE attempts
SET tries = greatest(tries - 1, 0)
WHERE key = @key;

-- name: DeleteAttempts :exec
DELETE
FROM attempts
WHERE key = @key;

-- name: DeleteOldAttempts :exec
DELETE
FROM attempts
WHERE resets_at < now();
