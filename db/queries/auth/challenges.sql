-- name: CreateChallenge :one
INSERT INTO challenges (purpose, account, sealed)
VALUES (@purpose, @account, @sealed)
RETURNING *;

-- name: SetChallengeFlow :execrows
UPDATE challenges
SET flow_id = @flow_id
WHERE id = @id
  AND sealed IS NOT NULL;

-- name: SetRecoveriesVoid :exec
UPDATE challenges
SET flow_id = NULL,
    sealed  = NULL
WHERE account = @account
  AND purpose = 'recovery';

-- name: EraseChallenge :exec
UPDATE challenges
SET sealed = NULL
WHERE id = @id;

-- name: GetChallenge :one
SELECT *
FROM challenges
WHERE id = @id;

-- name: DeleteOldChallenges :exec
DELETE
FROM challenges
WHERE created_at < now() - interval '1 day';

-- name: CreateEmailChange :one
INSERT INTO email_changes AS c (user_id, email)
VALUES (@user_id, @email)
ON CONFLICT ON CONSTRAINT email_changes_pkey DO UPDATE
SET id         = uuidv7(),
    email      = excluded.email,
    tries      = 0,
    created_at = now()
RETURNING *;

-- name: TryEmailChange :one
UPDATE email_changes
SET tries = tries + 1
WHERE user_id = @user_id
  AND tries < @max_tries::int
  AND created_at > now() - interval '1 hour'
RETURNING *;

-- name: DeleteEmailChange :exec
DELETE
FROM email_changes
WHERE user_id = @user_id;

-- name: DeleteOldEmailChanges :exec
DELETE
FROM email_changes
WHERE created_at < now() - interval '1 day';

-- name: GetEmailChange :one
SELECT *
FROM email_changes
WHERE user_id = @user_id;
