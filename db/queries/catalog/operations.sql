-- name: LockUser :exec
-- Until the transaction ends, nobody else adds to what a user has pending, or takes the next in line.
SELECT pg_advisory_xact_lock(hashtextextended(@user_id::text, 0));

-- name: ReleaseKey :exec
-- Keys are remembered for 24 hours.
UPDATE operations
SET idempotency_key = NULL, request_hash = NULL
WHERE user_id = @user_id AND client_id = @client_id AND service = @service AND operation = @operation AND idempotency_key = @idempotency_key::text
    AND state <> 'pending' AND created_at <= now() - interval '24 hours';

-- name: ReleaseKeys :exec
-- A hash of what a patient wrote says what it was to whoever can guess it.
UPDATE operations
SET idempotency_key = NULL, request_hash = NULL
WHERE state <> 'pending' AND idempotency_key IS NOT NULL AND created_at <= now() - interval '24 hours';

-- name: GetOperationByKey :one
SELECT * FROM operations
WHERE user_id = @user_id AND client_id = @client_id AND service = @service AND operation = @operation AND idempotency_key = @idempotency_key::text;

-- name: CreateOperation :one
-- Nothing if the user has too many pending.
INSERT INTO operations (
    user_id, client_id, service, operation, method, target, header, body, proof, idempotency_key, request_hash, due_at, created_at, updated_at, expires_at
)
SELECT @user_id, @client_id, @service, @operation, @method, @target, @header, @body::bytea, @proof::text, @idempotency_key::text, @request_hash,
    @now::timestamptz, @now::timestamptz, @now::timestamptz, @expires_at
WHERE (SELECT count(*) FROM operations WHERE user_id = @user_id AND state = 'pending') < @max_pending::int
RETURNING *;

-- name: HasPending :one
SELECT EXISTS (SELECT FROM operations WHERE user_id = @user_id AND service = @service AND state = 'pending');

-- name: CountPending :one
SELECT count(*), COALESCE(extract(epoch FROM now() - min(created_at)), 0)::bigint AS oldest_s
FROM operations
WHERE state = 'pending';

-- name: ClaimOperation :one
-- The operation if it is its turn and nobody else is at it. Whose lease is over, SetOverdueDue finds.
UPDATE operations
SET claim = @claim::uuid, due_at = @until
WHERE operations.id = @id AND operations.state = 'pending' AND operations.claim IS NULL AND operations.due_at <= @now
    AND NOT EXISTS (
        SELECT FROM operations AS earlier
        WHERE earlier.user_id = operations.user_id AND earlier.service = operations.service AND earlier.state = 'pending' AND earlier.id < operations.id
    )
RETURNING *;

-- name: SetOperationDue :one
-- Nothing if somebody else took over.
UPDATE operations
SET claim = NULL, due_at = @due_at, tries = tries + @tried::int, faults = faults + @faulted::int, updated_at = @now
WHERE id = @id AND claim = @claim
RETURNING id;

-- name: EndOperation :one
-- Nothing if somebody else took over.
UPDATE operations
SET state = @state, status = sqlc.narg('status'), location = sqlc.narg('location'), problem = sqlc.narg('problem'), tries = tries + @tried::int,
    claim = NULL, body = NULL, proof = NULL, updated_at = @now, ended_at = @now::timestamptz
WHERE id = @id AND claim IS NOT DISTINCT FROM sqlc.narg('claim')
RETURNING *;

-- name: SetNextDue :many
-- Whose turn it is after one has ended, unless somebody is at it already.
UPDATE operations
SET due_at = @now
WHERE operations.claim IS NULL AND operations.id = (
    SELECT next.id FROM operations AS next
    WHERE next.user_id = @user_id AND next.service = @service AND next.state = 'pending'
    ORDER BY next.id
    LIMIT 1
    FOR UPDATE SKIP LOCKED
)
RETURNING operations.id;

-- name: SetOverdueDue :many
-- Those whose try or whose lease is overdue: a process ended in the middle.
UPDATE operations
SET claim = NULL, due_at = @now
WHERE operations.id IN (
    SELECT overdue.id FROM operations AS overdue
    WHERE overdue.state = 'pending' AND overdue.due_at < @before
        AND NOT EXISTS (
            SELECT FROM operations AS earlier
            WHERE earlier.user_id = overdue.user_id AND earlier.service = overdue.service AND earlier.state = 'pending' AND earlier.id < overdue.id
        )
    ORDER BY overdue.due_at
    LIMIT @max_rows
    FOR UPDATE SKIP LOCKED
)
RETURNING operations.id;

-- name: GetOperation :one
SELECT * FROM operations
WHERE id = @id AND user_id = @user_id AND (@client_id::text = '' OR client_id = @client_id);

-- name: ListOperations :many
SELECT * FROM operations
WHERE user_id = @user_id AND (@client_id::text = '' OR client_id = @client_id) AND id < @before_id
    AND (sqlc.narg('state')::operation_state IS NULL OR state = sqlc.narg('state'))
ORDER BY id DESC
LIMIT @max_rows;

-- name: LockOwnOperation :one
SELECT * FROM operations
WHERE id = @id AND user_id = @user_id AND (@client_id::text = '' OR client_id = @client_id)
FOR UPDATE;

-- name: DeleteOldOperations :exec
DELETE FROM operations
WHERE ended_at < @before::timestamptz;
