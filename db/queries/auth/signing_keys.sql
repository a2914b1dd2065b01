-- name: ListSigningKeys :many
SELECT *
FROM signing_keys
ORDER BY generation;

-- name: CreateSigningKey :execrows
INSERT INTO signing_keys (generation, public_key, sealed_key, signs_from)
VALUES (@generation, @public_key, @sealed_key, @signs_from)
ON CONFLICT ON CONSTRAINT signing_keys_generation_key DO NOTHING;

-- name: DeleteSigningKeys :exec
DELETE
FROM signing_keys
WHERE generation < @below;
