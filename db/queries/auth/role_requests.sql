-- name: CreateRoleRequest :one
INSERT INTO role_requests (user_id, role, licence_number)
VALUES (@user_id, @role, @licence_number)
RETURNING *;

-- name: GetRoleRequest :one
SELECT *
FROM role_requests
WHERE id = @id;

-- name: LockRoleRequest :one
SELECT *
FROM role_requests
WHERE id = @id
FOR UPDATE;

-- name: ListRoleRequests :many
SELECT *
FROM role_requests
WHERE (sqlc.narg('user_id')::uuid IS NULL OR user_id = sqlc.narg('user_id'))
  AND (sqlc.narg('status')::role_request_status IS NULL OR status = sqlc.narg('status'))
  AND (sqlc.narg('before')::uuid IS NULL OR id < sqlc.narg('before'))
ORDER BY id DESC
LIMIT @row_limit;

-- name: SetRoleRequestStatus :one
UPDATE role_requests
SET status     = @status,
    reason     = @reason,
    decided_by = @decided_by,
    decided_at = now(),
    updated_at = now(),
    version    = version + 1
WHERE id = @id
RETURNING *;

-- name: RevokeRole :execrows
UPDATE role_requests
SET status     = 'revoked',
    decided_by = @decided_by,
    decided_at = now(),
    updated_at = now(),
    version    = version + 1
WHERE user_id = @user_id
  AND role = @role
  AND status = 'approved';

-- CreateRevokedRole is for a role that was granted past the API: nobody gave a licence number.
-- name: CreateRevokedRole :execrows
INSERT INTO role_requests (user_id, role, licence_number, status, decided_by, decided_at)
VALUES (@user_id, @role, '', 'revoked', @decided_by, now());

-- name: ListRoles :many
SELECT role, bool_or(status = 'approved')::boolean AS granted
FROM role_requests
WHERE user_id = @user_id
  AND status IN ('approved', 'revoked')
GROUP BY role
ORDER BY role;

-- name: DeleteRoleRequests :exec
DELETE
FROM role_requests
WHERE user_id = @user_id;
