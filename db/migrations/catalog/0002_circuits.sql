-- +goose Up
-- What each running instance sees, written over once a second. After a crash of Postgres it is empty, and full again a second later.
CREATE UNLOGGED TABLE circuit_reports (
    instance    text        NOT NULL,
    report      jsonb       NOT NULL,
    reported_at timestamptz NOT NULL DEFAULT now(), -- on Postgres' clock, which all instances share
    CONSTRAINT circuit_reports_pkey PRIMARY KEY (instance)
) WITH (fillfactor = 50); -- so that a new version of a row finds room beside the old one

CREATE TYPE forced_state AS ENUM ('open', 'closed');

-- Who forced which circuit and why. Lines are added, and once marked as released; none is changed otherwise, none goes away.
CREATE TABLE circuit_overrides (
    id          uuid         NOT NULL DEFAULT uuidv7(),
    service     text         NOT NULL,
    state       forced_state NOT NULL,
    reason      text         NOT NULL,
    forced_by   uuid         NOT NULL,
    forced_at   timestamptz  NOT NULL DEFAULT now(),
    released_by uuid,
    released_at timestamptz,
    CONSTRAINT circuit_overrides_pkey PRIMARY KEY (id),
    CONSTRAINT circuit_overrides_released_check CHECK ((released_by IS NULL) = (released_at IS NULL))
);

CREATE UNIQUE INDEX circuit_overrides_in_force_key ON circuit_overrides (service) WHERE released_at IS NULL;

-- +goose StatementBegin
CREATE FUNCTION circuit_overrides_keep() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.released_at IS NULL AND NEW.released_at IS NOT NULL
        AND (NEW.id, NEW.service, NEW.state, NEW.reason, NEW.forced_by, NEW.forced_at) = (OLD.id, OLD.service, OLD.state, OLD.reason, OLD.forced_by, OLD.forced_at) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'circuit_overrides is a record of what was done: lines are released once and stay';
END
$$;
-- +goose StatementEnd

CREATE TRIGGER circuit_overrides_keep BEFORE UPDATE OR DELETE ON circuit_overrides FOR EACH ROW EXECUTE FUNCTION circuit_overrides_keep();

-- +goose Down
DROP TABLE circuit_overrides, circuit_reports;
DROP FUNCTION circuit_overrides_keep;
DROP TYPE forced_state;
