-- +goose Up
CREATE TYPE professional_role AS ENUM ('doctor', 'pharmacist', 'moderator');

CREATE TYPE role_request_status AS ENUM ('open', 'approved', 'refused', 'revoked');

-- Who asked for which role and what became of it. The roles a user has are the approved ones; Kratos' metadata_public
-- follows them.
CREATE TABLE role_requests (
    id             uuid                NOT NULL DEFAULT uuidv7(),
    user_id        uuid                NOT NULL,
    role           professional_role   NOT NULL,
    licence_number text                NOT NULL,
    status         role_request_status NOT NULL DEFAULT 'open',
    reason         text,
    decided_by     uuid,
    decided_at     timestamptz,
    version        int                 NOT NULL DEFAULT 1,
    created_at     timestamptz         NOT NULL DEFAULT now(),
    updated_at     timestamptz         NOT NULL DEFAULT now(),
    CONSTRAINT role_requests_pkey PRIMARY KEY (id),
    CONSTRAINT role_requests_decided_check CHECK ((status = 'open') = (decided_at IS NULL))
);

-- One request is open for a role, and none while the user has it.
CREATE UNIQUE INDEX role_requests_current_key ON role_requests (user_id, role) WHERE status IN ('open', 'approved');
CREATE INDEX role_requests_user_idx ON role_requests (user_id, id);
CREATE INDEX role_requests_open_idx ON role_requests (id) WHERE status = 'open';

-- The keys that identities are signed with. Instances that make the next one at once meet in the unique generation.
CREATE TABLE signing_keys (
    id          uuid        NOT NULL DEFAULT uuidv7(),
    generation  int         NOT NULL,
    public_key  bytea       NOT NULL,
    sealed_key  bytea       NOT NULL, -- AES-256-GCM under KEY_ENCRYPTION_SECRET
    signs_from  timestamptz NOT NULL, -- published from the start, used from here until the next one is
    created_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT signing_keys_pkey PRIMARY KEY (id),
    CONSTRAINT signing_keys_generation_key UNIQUE (generation),
    CONSTRAINT signing_keys_public_key_check CHECK (length(public_key) = 32)
);

-- Tries within a window, by a keyed hash of what is counted: an account, an address of the network.
CREATE TABLE attempts (
    key       bytea       NOT NULL,
    tries     int         NOT NULL,
    resets_at timestamptz NOT NULL,
    CONSTRAINT attempts_pkey PRIMARY KEY (key)
);

CREATE INDEX attempts_resets_idx ON attempts (resets_at);

CREATE TYPE challenge_purpose AS ENUM ('signup', 'verification', 'recovery');

-- A code that was asked for. The request is answered before anything depends on whether the account exists; a job
-- then takes up what was asked, and Kratos makes, mails and checks the code in one of its flows.
CREATE TABLE challenges (
    id         uuid              NOT NULL DEFAULT uuidv7(),
    purpose    challenge_purpose NOT NULL,
    account    bytea             NOT NULL, -- a keyed hash of the address, whether an account has it or not
    sealed     bytea,            -- what was asked, AES-256-GCM under KEY_ENCRYPTION_SECRET; erased when the job is done
    flow_id    uuid,
    created_at timestamptz       NOT NULL DEFAULT now(),
    CONSTRAINT challenges_pkey PRIMARY KEY (id)
);

CREATE INDEX challenges_account_idx ON challenges (account);

-- The usernames that were asked for lately, whether an account came of it or not. Nobody else gets one until the account
-- that it may have become is verified or deleted.
CREATE TABLE signups (
    username     bytea       NOT NULL, -- a keyed hash
    sealed       bytea       NOT NULL, -- the username, AES-256-GCM under KEY_ENCRYPTION_SECRET
    challenge_id uuid        NOT NULL, -- is in the account, too, if one was made
    created_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT signups_pkey PRIMARY KEY (username)
);

CREATE INDEX signups_created_idx ON signups (created_at);

-- An address that a user wants and has not confirmed yet. The code is derived from the id, not kept.
CREATE TABLE email_changes (
    user_id    uuid        NOT NULL,
    id         uuid        NOT NULL DEFAULT uuidv7(),
    email      text        NOT NULL,
    tries      int         NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT email_changes_pkey PRIMARY KEY (user_id)
);

-- +goose Down
DROP TABLE email_changes, signups, challenges, attempts, signing_keys, role_requests;
DROP TYPE challenge_purpose, role_request_status, professional_role;
