-- name: CreateWaitlistEntry :one
INSERT INTO waitlist_entries (patient_id, doctor_id, speciality_id, appointment_type_id, from_date, to_date)
VALUES (@patient_id, sqlc.narg('doctor_id'), sqlc.narg('speciality_id'), @appointment_type_id, @from_date, @to_date)
RETURNING *;

-- name: GetWaitlistEntry :one
SELECT * FROM waitlist_entries
WHERE id = @id AND patient_id = @patient_id;

-- name: ListWaitlistEntries :many
SELECT * FROM waitlist_entries
WHERE patient_id = @patient_id AND id < @before_id
    AND (sqlc.narg('status')::waitlist_status IS NULL OR status = sqlc.narg('status'))
ORDER BY id DESC
LIMIT @max_rows;

-- name: ListOpenOffers :many
SELECT * FROM waitlist_offers
WHERE entry_id = ANY (@entry_ids::uuid[]) AND status = 'open';

-- name: GetNextInLine :one
-- Who has waited longest for a slot like this, was not offered it before and is free then.
SELECT sqlc.embed(waitlist_entries) FROM waitlist_entries
JOIN appointment_types ON appointment_types.id = appointment_type_id
WHERE waitlist_entries.status = 'waiting'
    AND (doctor_id = @doctor_id::uuid OR speciality_id = @speciality_id::uuid)
    AND patient_id NOT IN (@doctor_id::uuid, @given_up_by::uuid)
    AND @day::date BETWEEN from_date AND to_date
    AND duration_min = @duration_min
    AND NOT EXISTS (
        SELECT FROM waitlist_offers
        WHERE entry_id = waitlist_entries.id AND waitlist_offers.doctor_id = @doctor_id::uuid AND waitlist_offers.starts_at = @starts_at::timestamptz
    )
    AND NOT EXISTS (
        SELECT FROM appointments
        WHERE appointments.patient_id = waitlist_entries.patient_id
            AND appointments.starts_at < @ends_at::timestamptz AND appointments.ends_at > @starts_at::timestamptz
            AND appointments.status IN ('held', 'offered', 'booked', 'completed')
            AND (appointments.status <> 'held' OR appointments.expires_at > @now::timestamptz)
    )
ORDER BY waitlist_entries.created_at, waitlist_entries.id
LIMIT 1;

-- name: LockWaitlistEntry :one
-- With its patient, so that neither the entry nor the patient's calendar changes while it is decided whether to offer.
SELECT waitlist_entries.id FROM waitlist_entries
JOIN patients ON patients.id = patient_id
WHERE waitlist_entries.id = @id
FOR NO KEY UPDATE;

-- name: SetEntryStatus :one
UPDATE waitlist_entries
SET status = @status, version = version + 1, updated_at = now()
WHERE id = @id AND status IN ('waiting', 'offered') AND (sqlc.narg('if_version')::integer IS NULL OR version = sqlc.narg('if_version'))
RETURNING *;

-- name: CreateOffer :one
INSERT INTO waitlist_offers (entry_id, appointment_id, doctor_id, starts_at, ends_at, expires_at)
VALUES (@entry_id, @appointment_id, @doctor_id, @starts_at, @ends_at, @expires_at)
RETURNING *;

-- name: GetOffer :one
SELECT * FROM waitlist_offers
WHERE id = @id;

-- name: GetOpenOffer :one
SELECT sqlc.embed(waitlist_offers) FROM waitlist_offers
JOIN waitlist_entries ON waitlist_entries.id = entry_id
WHERE entry_id = @entry_id AND patient_id = @patient_id AND waitlist_offers.status = 'open';

-- name: SetOfferStatus :execrows
UPDATE waitlist_offers
SET status = @status
WHERE id = @id AND status = 'open';

-- name: EndWaitlistOfDoctor :exec
-- A deleted doctor offers nothing: who waited for them waits no more, and open offers are void.
WITH void AS (
    UPDATE waitlist_offers
    SET status = 'expired'
    WHERE waitlist_offers.doctor_id = @doctor_id AND status = 'open'
    RETURNING entry_id
)
UPDATE waitlist_entries
SET status = CASE WHEN waitlist_entries.doctor_id = @doctor_id THEN 'ended' ELSE 'waiting' END::waitlist_status,
    version = version + 1, updated_at = now()
WHERE status IN ('waiting', 'offered')
    AND (waitlist_entries.doctor_id = @doctor_id OR id IN (SELECT entry_id FROM void));

-- name: EndWaitlistEntries :execrows
UPDATE waitlist_entries
SET status = 'ended', version = version + 1, updated_at = now()
WHERE status = 'waiting' AND to_date < @before::date;
