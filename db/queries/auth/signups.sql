-- name: CreateSignup :execrows
INSERT INTO signups AS s (username, sealed, challenge_id)
VALUES (@username, @sealed, @challenge_id)
ON CONFLICT ON CONSTRAINT signups_pkey DO UPDATE
SET created_at = now()
WHERE s.challenge_id = excluded.challenge_id;

-- name: ListOldSignups :many
SELECT *
FROM signups
WHERE created_at < now() - make_interval(secs => @age_s::float8)
ORDER BY created_at
LIMIT @row_limit;

-- name: DeleteOldSignup :exec
DELETE
FROM signups
WHERE username = @username
  AND created_at = @created_at;
