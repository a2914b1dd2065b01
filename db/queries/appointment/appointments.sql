-- name: LockCalendar :one
-- What decides about a slot, read under the locks that make bookings take turns: the doctor's first, then the patient's.
-- Only the locked rows are sure to be current; whether the time is free, the constraints of appointments say.
WITH doctor AS (
    SELECT doctors.id, doctors.name, speciality_id, clinic_id, starting_date FROM doctors
    WHERE doctors.id = @doctor_id AND deleted_at IS NULL
    FOR NO KEY UPDATE
), patient AS (
    SELECT patients.id, patients.name FROM patients
    WHERE patients.id = @patient_id AND EXISTS (SELECT FROM doctor)
    FOR NO KEY UPDATE
)
SELECT doctor.id AS doctor_id, doctor.name AS doctor_name, doctor.speciality_id, doctor.starting_date,
    sqlc.embed(clinics),
    appointment_types.id AS type_id, appointment_types.name AS type_name, appointment_types.duration_min,
    COALESCE(patient.name, '')::text AS patient_name, -- '': no profile
    ARRAY(
        SELECT starts_min FROM working_hours
        WHERE working_hours.doctor_id = doctor.id AND weekday = extract(isodow FROM timezone(clinics.time_zone, @starts_at::timestamptz))
        ORDER BY starts_min
    )::integer[] AS block_starts,
    ARRAY(
        SELECT ends_min FROM working_hours
        WHERE working_hours.doctor_id = doctor.id AND weekday = extract(isodow FROM timezone(clinics.time_zone, @starts_at::timestamptz))
        ORDER BY starts_min
    )::integer[] AS block_ends,
    EXISTS (
        SELECT FROM time_off
        WHERE time_off.doctor_id = doctor.id
            -- Who has an appointment keeps its length, whatever its type lasts today.
            AND time_off.starts_at - COALESCE(sqlc.narg('length_min'), appointment_types.duration_min)::integer * interval '1 minute' < @starts_at::timestamptz
            AND time_off.ends_at > @starts_at::timestamptz
    ) AS is_off
FROM doctor
JOIN clinics ON clinics.id = doctor.clinic_id
JOIN appointment_types ON appointment_types.id = @appointment_type_id
LEFT JOIN patient ON true;

-- name: CreateAppointment :one
-- Makes room first: holds that have expired, and the patient's own, which a new choice gives up. The constraints guard all rows
-- but the overbooked; those are checked here, which is safe under the doctor's lock.
WITH released AS (
    DELETE FROM appointments
    WHERE appointments.status = 'held'
        AND (appointments.patient_id = @patient_id AND @gives_up_hold::boolean
            OR (appointments.doctor_id = @doctor_id OR appointments.patient_id = @patient_id)
                AND appointments.expires_at <= @now::timestamptz AND appointments.starts_at < @ends_at AND appointments.ends_at > @starts_at)
    RETURNING appointments.id
), doctors_own AS (
    SELECT appointments.overbooked FROM appointments
    WHERE appointments.doctor_id = @doctor_id AND appointments.starts_at < @ends_at AND appointments.ends_at > @starts_at
        AND appointments.starts_at > @earliest -- no appointment is longer than what lies between
        AND appointments.status IN ('held', 'offered', 'booked', 'completed')
        AND appointments.id NOT IN (SELECT released.id FROM released)
)
INSERT INTO appointments (doctor_id, patient_id, clinic_id, appointment_type_id, starts_at, ends_at, status, expires_at, override_reason, overbooked)
SELECT @doctor_id, @patient_id, @clinic_id, @appointment_type_id, @starts_at, @ends_at, @status, sqlc.narg('expires_at'), sqlc.narg('override_reason')::text,
    EXISTS (SELECT FROM doctors_own) AND sqlc.narg('override_reason')::text IS NOT NULL
WHERE (SELECT count(*) FROM released) >= 0 -- so that it runs before the insert
    AND (sqlc.narg('override_reason')::text IS NOT NULL OR NOT EXISTS (SELECT FROM doctors_own WHERE doctors_own.overbooked))
RETURNING *;

-- name: MoveAppointment :one
WITH released AS (
    DELETE FROM appointments
    WHERE appointments.status = 'held' AND appointments.expires_at <= @now::timestamptz AND appointments.starts_at < @ends_at AND appointments.ends_at > @starts_at
        AND (appointments.patient_id = @patient_id OR appointments.doctor_id = @doctor_id)
    RETURNING appointments.id
), doctors_own AS (
    SELECT appointments.overbooked FROM appointments
    WHERE appointments.doctor_id = @doctor_id AND appointments.starts_at < @ends_at AND appointments.ends_at > @starts_at
        AND appointments.starts_at > @earliest -- no appointment is longer than what lies between
        AND appointments.status IN ('held', 'offered', 'booked', 'completed')
        AND appointments.id <> @id
        AND appointments.id NOT IN (SELECT released.id FROM released)
)
UPDATE appointments
SET starts_at = @starts_at, ends_at = @ends_at, clinic_id = @clinic_id, override_reason = sqlc.narg('override_reason')::text,
    overbooked = EXISTS (SELECT FROM doctors_own) AND sqlc.narg('override_reason')::text IS NOT NULL,
    sequence = sequence + 1, version = version + 1, updated_at = @now
WHERE appointments.id = @id
    AND (SELECT count(*) FROM released) >= 0
    AND (sqlc.narg('override_reason')::text IS NOT NULL OR NOT EXISTS (SELECT FROM doctors_own WHERE doctors_own.overbooked))
RETURNING *;

-- name: SetAppointmentBooked :one
UPDATE appointments
SET status = 'booked', expires_at = NULL, version = version + 1, updated_at = @now::timestamptz
WHERE id = @id AND patient_id = @patient_id AND status IN ('held', 'offered') AND expires_at > @now::timestamptz
RETURNING *;

-- name: SetAppointmentCancelled :one
UPDATE appointments
SET status = 'cancelled', cancelled_by = @cancelled_by, cancellation_reason = sqlc.narg('reason'),
    sequence = sequence + 1, version = version + 1, updated_at = @now
WHERE id = @id AND status = 'booked' -- a patient who deletes the profile cancels without the doctor's lock
RETURNING *;

-- name: SetAppointmentStatus :one
UPDATE appointments
SET status = @status, version = version + 1, updated_at = @now
WHERE id = @id AND status = 'booked'
RETURNING *;

-- name: CancelComing :many
-- All that is still to come of a doctor or of a patient, whose profile goes.
UPDATE appointments
SET status = 'cancelled', cancelled_by = @cancelled_by, sequence = sequence + 1, version = version + 1, updated_at = @now
WHERE (doctor_id = sqlc.narg('doctor_id') OR patient_id = sqlc.narg('patient_id')) AND status = 'booked' AND starts_at > @now
RETURNING *;

-- name: GetAppointment :one
SELECT * FROM appointment_details
WHERE id = @id;

-- name: ListComingAppointments :many
SELECT * FROM appointment_details
WHERE patient_id = @patient_id AND ends_at > @now
    AND status IN ('booked', 'completed', 'no_show', 'cancelled')
    AND (sqlc.narg('status')::appointment_status IS NULL OR status = sqlc.narg('status'))
    AND (sqlc.narg('doctor_id')::uuid IS NULL OR doctor_id = sqlc.narg('doctor_id'))
    AND (starts_at, id) > (@after_start::timestamptz, @after_id::uuid)
ORDER BY starts_at, id
LIMIT @max_rows;

-- name: ListPastAppointments :many
SELECT * FROM appointment_details
WHERE patient_id = @patient_id AND ends_at <= @now
    AND status IN ('booked', 'completed', 'no_show', 'cancelled')
    AND (sqlc.narg('status')::appointment_status IS NULL OR status = sqlc.narg('status'))
    AND (sqlc.narg('doctor_id')::uuid IS NULL OR doctor_id = sqlc.narg('doctor_id'))
    AND (starts_at, id) < (@before_start::timestamptz, @before_id::uuid)
ORDER BY starts_at DESC, id DESC
LIMIT @max_rows;

-- name: ListSchedule :many
SELECT * FROM appointment_details
WHERE doctor_id = @doctor_id AND ends_at > @ends_after
    AND (sqlc.narg('starts_before')::timestamptz IS NULL OR starts_at < sqlc.narg('starts_before'))
    AND status IN ('booked', 'completed', 'no_show', 'cancelled')
    AND (sqlc.narg('status')::appointment_status IS NULL OR status = sqlc.narg('status'))
    AND (sqlc.narg('patient_id')::uuid IS NULL OR patient_id = sqlc.narg('patient_id'))
    AND (starts_at, id) > (@after_start::timestamptz, @after_id::uuid)
ORDER BY starts_at, id
LIMIT @max_rows;

-- name: ListCalendar :many
SELECT * FROM appointment_details
WHERE (patient_id = @user_id OR doctor_id = @user_id) AND ends_at > @ends_after
    AND status IN ('booked', 'completed', 'no_show')
ORDER BY starts_at, id
LIMIT @max_rows;

-- name: GetHold :one
SELECT * FROM appointments
WHERE id = @id AND patient_id = @patient_id AND status = 'held' AND expires_at > @now;

-- name: DeleteHold :execrows
DELETE FROM appointments
WHERE id = @id AND patient_id = @patient_id AND status = 'held' AND expires_at > @now;

-- name: DeleteExpiredHolds :execrows
DELETE FROM appointments
WHERE status = 'held' AND expires_at <= @now;

-- name: DeleteUnbooked :many
-- Holds and offers of a doctor or of a patient, whose profile goes.
DELETE FROM appointments
WHERE (doctor_id = sqlc.narg('doctor_id') OR patient_id = sqlc.narg('patient_id')) AND status IN ('held', 'offered')
RETURNING *;

-- name: DeleteOffered :one
DELETE FROM appointments
WHERE id = @id AND status = 'offered'
RETURNING *;

-- name: SetCalendarFeed :one
INSERT INTO calendar_feeds (user_id, token_hash)
VALUES (@user_id, @token_hash)
ON CONFLICT (user_id) DO UPDATE
SET token_hash = EXCLUDED.token_hash, created_at = now()
RETURNING *;

-- name: GetCalendarFeed :one
SELECT * FROM calendar_feeds
WHERE user_id = @user_id;

-- name: GetCalendarFeedByToken :one
SELECT * FROM calendar_feeds
WHERE token_hash = @token_hash;

-- name: DeleteCalendarFeed :execrows
DELETE FROM calendar_feeds
WHERE user_id = @user_id;
