-- name: CreateAppointmentType :one
INSERT INTO appointment_types (name, duration_min)
VALUES (@name, @duration_min)
RETURNING *;

-- name: ListAppointmentTypes :many
SELECT * FROM appointment_types
WHERE (name, id) > (@after_name::text, @after_id::uuid)
ORDER BY name, id
LIMIT @max_rows;

-- name: GetAppointmentType :one
SELECT * FROM appointment_types
WHERE id = @id;

-- name: UpdateAppointmentType :one
UPDATE appointment_types
SET name = @name, duration_min = @duration_min, version = version + 1, updated_at = now()
WHERE id = @id AND (sqlc.narg('if_version')::integer IS NULL OR version = sqlc.narg('if_version'))
RETURNING *;

-- name: DeleteAppointmentType :execrows
DELETE FROM appointment_types
WHERE id = @id AND (sqlc.narg('if_version')::integer IS NULL OR version = sqlc.narg('if_version'));
