-- +goose Up
CREATE TYPE operation_state AS ENUM ('pending', 'succeeded', 'failed', 'withdrawn');

-- A write that was taken on while its service was out. What it says (body) and by whose right (proof) is erased as soon as it ends.
CREATE TABLE operations (
    id              uuid            NOT NULL DEFAULT uuidv7(),
    user_id         uuid            NOT NULL,
    client_id       text            NOT NULL DEFAULT '', -- the application that acted for the user, '' if none did
    service         text            NOT NULL,
    operation       text            NOT NULL, -- the operationId of its contract
    method          text            NOT NULL,
    target          text            NOT NULL, -- path and query as they came
    header          jsonb           NOT NULL,
    body            bytea,
    proof           text,                     -- the signed identity that it came with
    idempotency_key text,                     -- NULL once the key may name another request
    request_hash    bytea,                    -- of what the key named, and gone with it
    state           operation_state NOT NULL DEFAULT 'pending',
    status          int,
    location        text,
    problem         jsonb,
    tries           int             NOT NULL DEFAULT 0,
    faults          int             NOT NULL DEFAULT 0, -- tries that the service failed at by a mistake of its own
    due_at          timestamptz     NOT NULL, -- the next try
    created_at      timestamptz     NOT NULL DEFAULT now(),
    updated_at      timestamptz     NOT NULL DEFAULT now(),
    expires_at      timestamptz     NOT NULL,
    ended_at        timestamptz,
    CONSTRAINT operations_pkey PRIMARY KEY (id),
    CONSTRAINT operations_key_check CHECK ((idempotency_key IS NULL) = (request_hash IS NULL)),
    CONSTRAINT operations_ended_check CHECK ((state = 'pending') = (ended_at IS NULL)),
    CONSTRAINT operations_erased_check CHECK ((state = 'pending') = (body IS NOT NULL) AND (state = 'pending') = (proof IS NOT NULL)),
    CONSTRAINT operations_result_check CHECK ((state = 'succeeded') = (status IS NOT NULL) AND (state = 'failed') = (problem IS NOT NULL))
);

CREATE UNIQUE INDEX operations_key ON operations (user_id, client_id, service, operation, idempotency_key);
CREATE INDEX operations_user_idx ON operations (user_id, id);
-- Whose turn it is, and what is overdue.
CREATE INDEX operations_pending_idx ON operations (user_id, service, id) WHERE state = 'pending';
CREATE INDEX operations_due_idx ON operations (due_at) WHERE state = 'pending';
CREATE INDEX operations_ended_idx ON operations (ended_at) WHERE ended_at IS NOT NULL;

-- +goose Down
DROP TABLE operations;
DROP TYPE operation_state;
