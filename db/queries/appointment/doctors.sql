-- name: CreateDoctor :one
-- A deleted profile comes back to life: the identifier is the user's.
INSERT INTO doctors (id, name, speciality_id, clinic_id, biography, phone, starting_date)
VALUES (@id, @name, @speciality_id, @clinic_id, @biography, @phone, @starting_date)
ON CONFLICT (id) DO UPDATE
SET name = EXCLUDED.name, speciality_id = EXCLUDED.speciality_id, clinic_id = EXCLUDED.clinic_id, biography = EXCLUDED.biography,
    phone = EXCLUDED.phone, starting_date = EXCLUDED.starting_date, version = doctors.version + 1, updated_at = now(), deleted_at = NULL
WHERE doctors.deleted_at IS NOT NULL
RETURNING id;

-- name: GetDoctor :one
SELECT sqlc.embed(doctors), sqlc.embed(clinics), specialities.name AS speciality_name
FROM doctors
JOIN clinics ON clinics.id = doctors.clinic_id
JOIN specialities ON specialities.id = doctors.speciality_id
WHERE doctors.id = @id AND deleted_at IS NULL;

-- name: ListDoctors :many
SELECT sqlc.embed(doctors), sqlc.embed(clinics), specialities.name AS speciality_name
FROM doctors
JOIN clinics ON clinics.id = doctors.clinic_id
JOIN specialities ON specialities.id = doctors.speciality_id
WHERE deleted_at IS NULL
    AND (sqlc.narg('name')::text IS NULL OR strpos(lower(doctors.name), lower(sqlc.narg('name'))) > 0)
    AND (sqlc.narg('speciality_id')::uuid IS NULL OR speciality_id = sqlc.narg('speciality_id'))
    AND (sqlc.narg('clinic_id')::uuid IS NULL OR clinic_id = sqlc.narg('clinic_id'))
    AND (lower(doctors.name), doctors.id) > (lower(@after_name::text), @after_id::uuid)
ORDER BY lower(doctors.name), doctors.id
LIMIT @max_rows;

-- name: ListDoctorsByDistance :many
WITH near AS (
    SELECT clinics.id, distance_m(latitude, longitude, @latitude, @longitude) AS distance
    FROM clinics
)
SELECT sqlc.embed(doctors), sqlc.embed(clinics), specialities.name AS speciality_name, near.distance
FROM doctors
JOIN clinics ON clinics.id = doctors.clinic_id
JOIN near ON near.id = doctors.clinic_id
JOIN specialities ON specialities.id = doctors.speciality_id
WHERE deleted_at IS NULL
    AND (sqlc.narg('name')::text IS NULL OR strpos(lower(doctors.name), lower(sqlc.narg('name'))) > 0)
    AND (sqlc.narg('speciality_id')::uuid IS NULL OR speciality_id = sqlc.narg('speciality_id'))
    AND (sqlc.narg('clinic_id')::uuid IS NULL OR clinic_id = sqlc.narg('clinic_id'))
    AND (sqlc.narg('radius')::integer IS NULL OR near.distance <= sqlc.narg('radius'))
    AND (near.distance, doctors.id) > (@after_distance::integer, @after_id::uuid)
ORDER BY near.distance, doctors.id
LIMIT @max_rows;

-- name: UpdateDoctor :one
UPDATE doctors
SET name = @name, speciality_id = @speciality_id, clinic_id = @clinic_id, biography = @biography, phone = @phone,
    starting_date = @starting_date, version = version + 1, updated_at = now()
WHERE id = @id AND deleted_at IS NULL AND (sqlc.narg('if_version')::integer IS NULL OR version = sqlc.narg('if_version'))
RETURNING id;

-- name: DeleteDoctor :execrows
UPDATE doctors
SET deleted_at = now(), biography = '', phone = '', version = version + 1, hours_version = hours_version + 1, updated_at = now()
WHERE id = @id AND deleted_at IS NULL AND (sqlc.narg('if_version')::integer IS NULL OR version = sqlc.narg('if_version'));

-- name: LockDoctor :one
-- Every change to a doctor's calendar takes its turn by this lock; patients are locked after doctors.
SELECT id, deleted_at FROM doctors
WHERE id = @id
FOR NO KEY UPDATE;

-- name: SetHoursVersion :one
UPDATE doctors
SET hours_version = hours_version + 1
WHERE id = @id AND deleted_at IS NULL AND (sqlc.narg('if_version')::integer IS NULL OR hours_version = sqlc.narg('if_version'))
RETURNING hours_version;

-- name: DeleteWorkingHours :exec
DELETE FROM working_hours
WHERE doctor_id = @doctor_id;

-- name: CreateWorkingHours :exec
INSERT INTO working_hours (doctor_id, weekday, starts_min, ends_min)
SELECT @doctor_id, unnest(@weekdays::smallint[]), unnest(@starts_min::integer[]), unnest(@ends_min::integer[]);

-- name: ListWorkingHours :many
SELECT * FROM working_hours
WHERE doctor_id = @doctor_id
ORDER BY weekday, starts_min;

-- name: CreateTimeOff :one
INSERT INTO time_off (doctor_id, starts_at, ends_at, reason)
VALUES (@doctor_id, @starts_at, @ends_at, @reason)
RETURNING *;

-- name: ListTimeOff :many
SELECT * FROM time_off
WHERE doctor_id = @doctor_id AND (ends_at, id) > (@after_end, @after_id::uuid)
ORDER BY ends_at, id
LIMIT @max_rows;

-- name: DeleteTimeOff :execrows
DELETE FROM time_off
WHERE id = @id AND doctor_id = @doctor_id;

-- name: DeleteAllTimeOff :exec
DELETE FROM time_off
WHERE doctor_id = @doctor_id;
