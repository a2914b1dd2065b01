-- +goose Up

-- The application that acted in the name of actor_id.
ALTER TABLE audit_records ADD COLUMN client_id text;

-- +goose Down
ALTER TABLE audit_records DROP COLUMN client_id;
