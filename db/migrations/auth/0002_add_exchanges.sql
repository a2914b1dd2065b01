-- +goose Up
CREATE TYPE exchange_outcome AS ENUM ('granted', 'forged', 'too_old', 'inactive', 'consent_withdrawn');

-- Which service asked to act for whom, and why. Rows are only ever added.
CREATE TABLE identity_exchanges (
    id           uuid             NOT NULL DEFAULT uuidv7(),
    actor        text             NOT NULL, -- the service's OAuth2 client
    user_id      uuid,                      -- not known of a forged identity
    client_id    text,                      -- the application that acted for the user
    operation_id uuid             NOT NULL, -- the catalog's
    operation    text             NOT NULL,
    scopes       text[]           NOT NULL,
    outcome      exchange_outcome NOT NULL,
    created_at   timestamptz      NOT NULL DEFAULT now(),
    CONSTRAINT identity_exchanges_pkey PRIMARY KEY (id),
    CONSTRAINT identity_exchanges_user_check CHECK ((user_id IS NULL) = (outcome = 'forged'))
);

CREATE INDEX identity_exchanges_user_idx ON identity_exchanges (user_id, id);
CREATE INDEX identity_exchanges_operation_idx ON identity_exchanges (operation_id, id);

-- +goose StatementBegin
CREATE FUNCTION refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER identity_exchanges_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON identity_exchanges
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- +goose Down
DROP TABLE identity_exchanges;
DROP FUNCTION refuse_change;
DROP TYPE exchange_outcome;
