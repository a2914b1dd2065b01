-- What every service's database has, before its own migrations.

-- +goose Up
-- +goose StatementBegin
-- RFC 9562 version 7: 48 bits of milliseconds, 12 bits of their fraction (its method 3), then randomness. What one
-- transaction writes line by line thus keeps its order. PostgreSQL 18 has the like built in.
CREATE FUNCTION uuidv7() RETURNS uuid
LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
    SELECT encode(
        substring(int8send(clock.us / 1000) FROM 3)
        || int2send((x'7000'::integer + clock.us % 1000 * 4096 / 1000)::smallint)
        || substring(uuid_send(gen_random_uuid()) FROM 9),
        'hex')::uuid
    FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS us) AS clock
$$;
-- +goose StatementEnd

CREATE TABLE idempotency_keys (
    caller       text NOT NULL,
    operation    text NOT NULL,
    key          text NOT NULL,
    request_hash bytea NOT NULL,
    status       int NOT NULL,
    header       jsonb NOT NULL,
    body         bytea NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (caller, operation, key)
);
CREATE INDEX idempotency_keys_created_at_idx ON idempotency_keys (created_at);

-- +goose Down
DROP TABLE idempotency_keys;
DROP FUNCTION uuidv7();
