-- name: CreatePatient :one
INSERT INTO patients (id, name, phone, birth_date, gender, insurance_provider, insurance_number)
VALUES (@id, @name, @phone, @birth_date, @gender, sqlc.narg('insurance_provider'), sqlc.narg('insurance_number'))
RETURNING *;

-- name: GetPatient :one
SELECT * FROM patients
WHERE id = @id;

-- name: GetPatientOfDoctor :one
SELECT * FROM patients
WHERE patients.id = @id
    AND EXISTS (
        SELECT FROM appointments
        WHERE patient_id = @id AND doctor_id = @doctor_id AND status IN ('booked', 'completed', 'no_show')
    );

-- name: UpdatePatient :one
UPDATE patients
SET name = @name, phone = @phone, birth_date = @birth_date, gender = @gender,
    insurance_provider = sqlc.narg('insurance_provider'), insurance_number = sqlc.narg('insurance_number'),
    version = version + 1, updated_at = now()
WHERE id = @id AND (sqlc.narg('if_version')::integer IS NULL OR version = sqlc.narg('if_version'))
RETURNING *;

-- name: DeletePatient :execrows
DELETE FROM patients
WHERE id = @id AND (sqlc.narg('if_version')::integer IS NULL OR version = sqlc.narg('if_version'));

-- name: CreateAuditRecords :exec
INSERT INTO audit_records (patient_id, actor_id, client_id, action, appointment_id)
SELECT unnest(@patient_ids::uuid[]), @actor_id, sqlc.narg('client_id'), @action, unnest(@appointment_ids::uuid[]);

-- name: CreateAuditRecord :exec
INSERT INTO audit_records (patient_id, actor_id, client_id, action)
VALUES (@patient_id, @actor_id, sqlc.narg('client_id'), @action);

-- name: ListAuditRecords :many
SELECT sqlc.embed(audit_records), COALESCE(doctors.name, '') AS actor_name
FROM audit_records
LEFT JOIN doctors ON doctors.id = audit_records.actor_id
WHERE patient_id = @patient_id AND audit_records.id < @before_id
ORDER BY audit_records.id DESC
LIMIT @max_rows;
