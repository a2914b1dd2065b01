-- name: PutCircuitReport :exec
INSERT INTO circuit_reports (instance, report)
VALUES (@instance, @report)
ON CONFLICT (instance) DO UPDATE
SET report = EXCLUDED.report, reported_at = now();

-- name: ListCircuitReports :many
-- Instances that were silent for longer have stopped, or are cut off.
SELECT * FROM circuit_reports
WHERE reported_at > now() - interval '5 seconds'
ORDER BY instance;

-- name: DeleteCircuitReport :exec
DELETE FROM circuit_reports
WHERE instance = @instance;

-- name: DeleteSilentCircuitReports :exec
DELETE FROM circuit_reports
WHERE instance IN (
    SELECT silent.instance FROM circuit_reports AS silent
    WHERE silent.reported_at <= now() - interval '5 seconds'
    FOR UPDATE SKIP LOCKED
);

-- name: LockCircuitOverrides :exec
-- Who forces or releases takes turns; who reads does not wait.
LOCK TABLE circuit_overrides IN SHARE ROW EXCLUSIVE MODE;

-- name: CreateCircuitOverride :one
INSERT INTO circuit_overrides (service, state, reason, forced_by)
VALUES (@service, @state, @reason, @forced_by)
RETURNING *;

-- name: ReleaseCircuitOverride :execrows
UPDATE circuit_overrides
SET released_by = @released_by::uuid, released_at = now()
WHERE service = @service AND released_at IS NULL;

-- name: GetCircuitOverride :one
-- The one in force.
SELECT * FROM circuit_overrides
WHERE service = @service AND released_at IS NULL;

-- name: ListCircuitOverridesInForce :many
SELECT * FROM circuit_overrides
WHERE released_at IS NULL
ORDER BY service;

-- name: ListCircuitOverrides :many
SELECT * FROM circuit_overrides
WHERE sqlc.narg('before')::uuid IS NULL OR id < sqlc.narg('before')
ORDER BY id DESC
LIMIT @row_limit;
