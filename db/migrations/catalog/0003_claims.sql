-- +goose Up
-- The try that is being made of an operation; due_at is when its lease is over. NULL: nobody is at it.
ALTER TABLE operations ADD COLUMN claim uuid;

-- +goose Down
ALTER TABLE operations DROP COLUMN claim;
