-- name: CreateClinic :one
INSERT INTO clinics (name, address, latitude, longitude, time_zone, phone, url)
VALUES (@name, @address, @latitude, @longitude, @time_zone, @phone, sqlc.narg('url'))
RETURNING *;

-- name: ListClinics :many
SELECT * FROM clinics
WHERE (name, id) > (@after_name::text, @after_id::uuid)
ORDER BY name, id
LIMIT @max_rows;

-- name: GetClinic :one
SELECT * FROM clinics
WHERE id = @id;

-- name: UpdateClinic :one
UPDATE clinics
SET name = @name, address = @address, latitude = @latitude, longitude = @longitude, time_zone = @time_zone, phone = @phone, url = sqlc.narg('url'), version = version + 1, updated_at = now()
WHERE id = @id AND (sqlc.narg('if_version')::integer IS NULL OR version = sqlc.narg('if_version'))
RETURNING *;

-- name: DeleteClinic :execrows
DELETE FROM clinics
WHERE id = @id AND (sqlc.narg('if_version')::integer IS NULL OR version = sqlc.narg('if_version'));
