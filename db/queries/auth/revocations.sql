-- name: AnnounceRevocation :exec
SELECT pg_notify('auth_revoked', @notice::text || ' ' || @who::text);

-- name: ConfirmRevocation :exec
SELECT pg_notify('auth_heard', @notice::text || ' ' || pg_backend_pid());
