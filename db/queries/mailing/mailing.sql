-- name: CreateMessage :one
INSERT INTO messages (sender, template, data, subject, body, urgent, expires_at, digest)
VALUES (@sender, sqlc.narg(template), sqlc.narg(data), sqlc.narg(subject), sqlc.narg(body), @urgent, sqlc.narg(expires_at), sqlc.narg(digest))
RETURNING *;

-- name: CreateAttachment :exec
INSERT INTO attachments (message_id, position, name, content_type, content)
VALUES (@message_id, @position, @name, @content_type, @content);

-- name: CreateDelivery :one
INSERT INTO deliveries (message_id, position, user_id, address)
VALUES (@message_id, @position, sqlc.narg(user_id), sqlc.narg(address))
RETURNING *;

-- name: GetMessage :one
SELECT * FROM messages
WHERE id = @id
AND (sender = @sender OR @everyones::boolean);

-- name: ListMessages :many
SELECT * FROM messages
WHERE (sender = @sender OR @everyones::boolean)
AND (sqlc.narg(before)::uuid IS NULL OR id < sqlc.narg(before))
ORDER BY id DESC
LIMIT @page_size;

-- name: ListDeliveries :many
SELECT * FROM deliveries
WHERE message_id = ANY (@message_ids::uuid[])
ORDER BY message_id, position;

-- name: LockDigest :exec
SELECT pg_advisory_xact_lock(hashtextextended(encode(@digest::bytea, 'hex'), 0));

-- name: GetMessageByDigest :one
SELECT * FROM messages
WHERE digest = @digest
AND created_at > @since
ORDER BY created_at DESC
LIMIT 1;

-- name: GetDelivery :one
SELECT sqlc.embed(deliveries), sqlc.embed(messages)
FROM deliveries
JOIN messages ON messages.id = deliveries.message_id
WHERE deliveries.id = @id;

-- name: ListAttachments :many
SELECT * FROM attachments
WHERE message_id = @message_id
ORDER BY position;

-- name: LockAddress :exec
SELECT pg_advisory_xact_lock(hashtextextended(lower(@address), 1));

-- name: CountAttempts :one
-- How many mails were tried at this address since then, and when the first of them was. The delivery
-- that asks does not count itself, so that trying again is not a second mail.
SELECT count(*), coalesce(min(attempted_at), now())::timestamptz AS first_at
FROM deliveries
WHERE lower(address) = lower(@address)
AND attempted_at > @since
AND id <> @id;

-- name: SetDeliveryAttempted :exec
UPDATE deliveries
SET address = @address, attempted_at = @now::timestamptz, tries = tries + 1
WHERE id = @id;

-- name: SetDeliveryEnded :execrows
UPDATE deliveries
SET status = @status, failure = sqlc.narg(failure), ended_at = @now::timestamptz
WHERE id = @id
AND status = 'queued';

-- name: LockMessageOfDelivery :one
SELECT messages.id FROM messages
JOIN deliveries ON deliveries.message_id = messages.id
WHERE deliveries.id = @delivery_id
FOR UPDATE OF messages;

-- name: DeleteContents :exec
-- What a mail says goes with its last delivery.
WITH erased AS (
    UPDATE messages
    SET data = NULL, subject = NULL, body = NULL
    WHERE messages.id = @message_id
    AND NOT EXISTS (SELECT FROM deliveries WHERE deliveries.message_id = @message_id AND deliveries.status = 'queued')
    RETURNING messages.id
)
DELETE FROM attachments
USING erased
WHERE attachments.message_id = erased.id;

-- name: SetLostDeliveriesEnded :execrows
UPDATE deliveries
SET status = 'failed', failure = 'gave_up', ended_at = @now::timestamptz
FROM messages
WHERE messages.id = deliveries.message_id
AND deliveries.status = 'queued'
AND messages.created_at < @before;

-- name: DeleteLostContents :exec
-- As DeleteContents, for messages whose last delivery did not end by itself.
WITH erased AS (
    UPDATE messages
    SET data = NULL, subject = NULL, body = NULL
    WHERE messages.created_at < @before
    AND (messages.data IS NOT NULL OR messages.body IS NOT NULL)
    AND NOT EXISTS (SELECT FROM deliveries WHERE deliveries.message_id = messages.id AND deliveries.status = 'queued')
    RETURNING messages.id
)
DELETE FROM attachments
USING erased
WHERE attachments.message_id = erased.id;

-- name: DeleteAddresses :execrows
UPDATE deliveries
SET address = NULL
WHERE address IS NOT NULL
AND ended_at < @before::timestamptz;

-- name: DeleteDigests :exec
UPDATE messages
SET digest = NULL
WHERE digest IS NOT NULL
AND created_at < @before;

-- name: DeleteMessages :execrows
DELETE FROM messages
WHERE created_at < @before
AND NOT EXISTS (SELECT FROM deliveries WHERE message_id = messages.id AND status = 'queued');
