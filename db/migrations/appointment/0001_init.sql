-- +goose Up

-- Trusted since PostgreSQL 13: the database's owner may create it.
CREATE EXTENSION IF NOT EXISTS btree_gist;

CREATE TYPE gender AS ENUM ('female', 'male', 'other', 'undisclosed');
CREATE TYPE appointment_status AS ENUM ('held', 'offered', 'booked', 'completed', 'no_show', 'cancelled');
CREATE TYPE party AS ENUM ('patient', 'doctor');
CREATE TYPE waitlist_status AS ENUM ('waiting', 'offered', 'accepted', 'withdrawn', 'ended');
CREATE TYPE offer_status AS ENUM ('open', 'accepted', 'declined', 'expired');

CREATE TABLE clinics (
    id         uuid PRIMARY KEY DEFAULT uuidv7(),
    name       text NOT NULL,
    address    text NOT NULL,
    latitude   double precision NOT NULL,
    longitude  double precision NOT NULL,
    time_zone  text NOT NULL,
    phone      text NOT NULL,
    url        text,
    version    integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT clinics_name_key UNIQUE (name, address),
    CONSTRAINT clinics_coordinates_check CHECK (latitude BETWEEN -90 AND 90 AND longitude BETWEEN -180 AND 180),
    -- Fails with 22023 where this server does not know the zone: every slot query would.
    CONSTRAINT clinics_time_zone_check CHECK (timezone(time_zone, timestamp '2000-01-01') IS NOT NULL)
);

CREATE TABLE specialities (
    id          uuid PRIMARY KEY DEFAULT uuidv7(),
    name        text NOT NULL,
    description text NOT NULL,
    version     integer NOT NULL DEFAULT 1,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX specialities_name_key ON specialities (lower(name));

CREATE TABLE appointment_types (
    id           uuid PRIMARY KEY DEFAULT uuidv7(),
    name         text NOT NULL,
    duration_min integer NOT NULL,
    version      integer NOT NULL DEFAULT 1,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT appointment_types_duration_check CHECK (duration_min BETWEEN 5 AND 480)
);
CREATE UNIQUE INDEX appointment_types_name_key ON appointment_types (lower(name));

-- A patient and a doctor are the user that signs in: id is the identity's subject.
CREATE TABLE patients (
    id                 uuid PRIMARY KEY,
    name               text NOT NULL,
    phone              text NOT NULL,
    birth_date         date NOT NULL,
    gender             gender NOT NULL,
    insurance_provider text,
    insurance_number   text,
    version            integer NOT NULL DEFAULT 1,
    created_at         timestamptz NOT NULL DEFAULT now(),
    updated_at         timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT patients_insurance_check CHECK ((insurance_provider IS NULL) = (insurance_number IS NULL))
);

-- A deleted profile stays for the history of the doctor's patients; deleted_at hides it.
CREATE TABLE doctors (
    id            uuid PRIMARY KEY,
    name          text NOT NULL,
    speciality_id uuid NOT NULL CONSTRAINT doctors_speciality_fkey REFERENCES specialities,
    clinic_id     uuid NOT NULL CONSTRAINT doctors_clinic_fkey REFERENCES clinics,
    biography     text NOT NULL,
    phone         text NOT NULL,
    starting_date date NOT NULL,
    version       integer NOT NULL DEFAULT 1,
    hours_version integer NOT NULL DEFAULT 1,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now(),
    deleted_at    timestamptz
);
CREATE INDEX doctors_speciality_idx ON doctors (speciality_id) WHERE deleted_at IS NULL;
CREATE INDEX doctors_clinic_idx ON doctors (clinic_id);
CREATE INDEX doctors_name_idx ON doctors (lower(name), id) WHERE deleted_at IS NULL;

-- Blocks of work in minutes after midnight on the clinic's clock; a break is the gap between two.
CREATE TABLE working_hours (
    doctor_id  uuid NOT NULL CONSTRAINT working_hours_doctor_fkey REFERENCES doctors,
    weekday    smallint NOT NULL, -- ISO: Monday is 1
    starts_min integer NOT NULL,
    ends_min   integer NOT NULL,
    PRIMARY KEY (doctor_id, weekday, starts_min),
    CONSTRAINT working_hours_weekday_check CHECK (weekday BETWEEN 1 AND 7),
    CONSTRAINT working_hours_time_check CHECK (0 <= starts_min AND starts_min < ends_min AND ends_min <= 1440),
    CONSTRAINT working_hours_excl EXCLUDE USING gist
        (doctor_id WITH =, weekday WITH =, int4range(starts_min, ends_min) WITH &&)
);

CREATE TABLE time_off (
    id         uuid PRIMARY KEY DEFAULT uuidv7(),
    doctor_id  uuid NOT NULL CONSTRAINT time_off_doctor_fkey REFERENCES doctors,
    starts_at  timestamptz NOT NULL,
    ends_at    timestamptz NOT NULL,
    reason     text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT time_off_time_check CHECK (starts_at < ends_at)
);
CREATE INDEX time_off_doctor_idx ON time_off (doctor_id, ends_at);

-- Holds and waitlist offers are appointments that are not booked yet, so that one pair of
-- constraints decides who has a slot. patient_id has no reference: the history outlives the profile.
CREATE TABLE appointments (
    id                  uuid PRIMARY KEY DEFAULT uuidv7(),
    doctor_id           uuid NOT NULL CONSTRAINT appointments_doctor_fkey REFERENCES doctors,
    patient_id          uuid NOT NULL,
    clinic_id           uuid NOT NULL CONSTRAINT appointments_clinic_fkey REFERENCES clinics,
    appointment_type_id uuid NOT NULL CONSTRAINT appointments_type_fkey REFERENCES appointment_types,
    starts_at           timestamptz NOT NULL,
    ends_at             timestamptz NOT NULL,
    status              appointment_status NOT NULL,
    expires_at          timestamptz,
    overbooked          boolean NOT NULL DEFAULT false,
    override_reason     text,
    cancelled_by        party,
    cancellation_reason text,
    sequence            integer NOT NULL DEFAULT 0, -- of the iCalendar event
    version             integer NOT NULL DEFAULT 1,
    created_at          timestamptz NOT NULL DEFAULT now(),
    updated_at          timestamptz NOT NULL DEFAULT now(),
    -- The free slot query looks back no further than the longest appointment.
    CONSTRAINT appointments_time_check CHECK (starts_at < ends_at AND ends_at - starts_at <= interval '8 hours'),
    CONSTRAINT appointments_self_check CHECK (doctor_id <> patient_id),
    CONSTRAINT appointments_expiry_check CHECK ((status IN ('held', 'offered')) = (expires_at IS NOT NULL)),
    CONSTRAINT appointments_doctor_excl EXCLUDE USING gist
        (doctor_id WITH =, tstzrange(starts_at, ends_at) WITH &&)
        WHERE (status IN ('held', 'offered', 'booked', 'completed') AND NOT overbooked),
    CONSTRAINT appointments_patient_excl EXCLUDE USING gist
        (patient_id WITH =, tstzrange(starts_at, ends_at) WITH &&)
        WHERE (status IN ('held', 'offered', 'booked', 'completed'))
);
CREATE INDEX appointments_doctor_idx ON appointments (doctor_id, starts_at, id) INCLUDE (ends_at, status, expires_at);
CREATE INDEX appointments_patient_idx ON appointments (patient_id, starts_at, id);
CREATE INDEX appointments_clinic_idx ON appointments (clinic_id);
CREATE INDEX appointments_type_idx ON appointments (appointment_type_id);
CREATE INDEX appointments_expires_idx ON appointments (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE waitlist_entries (
    id                  uuid PRIMARY KEY DEFAULT uuidv7(),
    patient_id          uuid NOT NULL CONSTRAINT waitlist_entries_patient_fkey REFERENCES patients ON DELETE CASCADE,
    doctor_id           uuid CONSTRAINT waitlist_entries_doctor_fkey REFERENCES doctors,
    speciality_id       uuid CONSTRAINT waitlist_entries_speciality_fkey REFERENCES specialities,
    appointment_type_id uuid NOT NULL CONSTRAINT waitlist_entries_type_fkey REFERENCES appointment_types,
    from_date           date NOT NULL,
    to_date             date NOT NULL,
    status              waitlist_status NOT NULL DEFAULT 'waiting',
    version             integer NOT NULL DEFAULT 1,
    created_at          timestamptz NOT NULL DEFAULT now(),
    updated_at          timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT waitlist_entries_target_check CHECK (num_nonnulls(doctor_id, speciality_id) = 1),
    CONSTRAINT waitlist_entries_date_check CHECK (from_date <= to_date)
);
CREATE UNIQUE INDEX waitlist_entries_open_key
    ON waitlist_entries (patient_id, COALESCE(doctor_id, speciality_id), appointment_type_id)
    WHERE status IN ('waiting', 'offered');
CREATE INDEX waitlist_entries_doctor_idx ON waitlist_entries (doctor_id, id) WHERE status = 'waiting';
CREATE INDEX waitlist_entries_speciality_idx ON waitlist_entries (speciality_id, id) WHERE status = 'waiting';

-- A slot is offered to an entry at most once; appointment_id is the appointment that holds it.
CREATE TABLE waitlist_offers (
    id             uuid PRIMARY KEY DEFAULT uuidv7(),
    entry_id       uuid NOT NULL CONSTRAINT waitlist_offers_entry_fkey REFERENCES waitlist_entries ON DELETE CASCADE,
    appointment_id uuid NOT NULL,
    doctor_id      uuid NOT NULL CONSTRAINT waitlist_offers_doctor_fkey REFERENCES doctors,
    starts_at      timestamptz NOT NULL,
    ends_at        timestamptz NOT NULL,
    status         offer_status NOT NULL DEFAULT 'open',
    expires_at     timestamptz NOT NULL,
    CONSTRAINT waitlist_offers_slot_key UNIQUE (entry_id, doctor_id, starts_at)
);
CREATE UNIQUE INDEX waitlist_offers_open_key ON waitlist_offers (entry_id) WHERE status = 'open';

CREATE TABLE calendar_feeds (
    user_id    uuid PRIMARY KEY,
    token_hash bytea NOT NULL CONSTRAINT calendar_feeds_token_key UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Great-circle distance in whole metres on a sphere of the Earth's mean radius (haversine).
-- +goose StatementBegin
CREATE FUNCTION distance_m(latitude1 double precision, longitude1 double precision, latitude2 double precision, longitude2 double precision)
RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (2 * 6371008.8 * asin(sqrt(LEAST(1,
        sind((latitude2 - latitude1) / 2) ^ 2
        + cosd(latitude1) * cosd(latitude2) * sind((longitude2 - longitude1) / 2) ^ 2))))::integer
$$;
-- +goose StatementEnd

-- Who else saw or changed a patient's data. No reference: the record outlives the profile.
CREATE TABLE audit_records (
    id             uuid PRIMARY KEY DEFAULT uuidv7(),
    patient_id     uuid NOT NULL,
    actor_id       uuid NOT NULL,
    action         text NOT NULL,
    appointment_id uuid,
    created_at     timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX audit_records_patient_idx ON audit_records (patient_id, id);

-- An appointment with the names that whoever may see it wants to read.
CREATE VIEW appointment_details AS
SELECT appointments.*,
    doctors.name AS doctor_name,
    COALESCE(patients.name, '') AS patient_name, -- '' once the profile is deleted
    appointment_types.name AS type_name,
    clinics.name AS clinic_name, clinics.address, clinics.phone, clinics.time_zone
FROM appointments
JOIN doctors ON doctors.id = appointments.doctor_id
JOIN appointment_types ON appointment_types.id = appointments.appointment_type_id
JOIN clinics ON clinics.id = appointments.clinic_id
LEFT JOIN patients ON patients.id = appointments.patient_id;

-- +goose Down
DROP VIEW appointment_details;
DROP FUNCTION distance_m;
DROP TABLE audit_records, calendar_feeds, waitlist_offers, waitlist_entries, appointments, time_off,
    working_hours, doctors, patients, appointment_types, specialities, clinics;
DROP TYPE offer_status, waitlist_status, party, appointment_status, gender;
