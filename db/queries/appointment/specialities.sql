-- name: CreateSpeciality :one
INSERT INTO specialities (name, description)
VALUES (@name, @description)
RETURNING *;

-- name: ListSpecialities :many
SELECT * FROM specialities
WHERE (name, id) > (@after_name::text, @after_id::uuid)
ORDER BY name, id
LIMIT @max_rows;

-- name: GetSpeciality :one
SELECT * FROM specialities
WHERE id = @id;

-- name: UpdateSpeciality :one
UPDATE specialities
SET name = @name, description = @description, version = version + 1, updated_at = now()
WHERE id = @id AND (sqlc.narg('if_version')::integer IS NULL OR version = sqlc.narg('if_version'))
RETURNING *;

-- name: DeleteSpeciality :execrows
DELETE FROM specialities
WHERE id = @id AND (sqlc.narg('if_version')::integer IS NULL OR version = sqlc.narg('if_version'));
