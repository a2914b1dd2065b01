-- +goose Up
CREATE TYPE delivery_status AS ENUM ('queued', 'sent', 'failed');

CREATE TYPE delivery_failure AS ENUM ('unknown_recipient', 'unverified_recipient', 'refused', 'expired', 'gave_up');

-- A mail as it was accepted. What it says (data, subject, body, attachments) is erased with the last delivery.
CREATE TABLE messages (
    id         uuid        NOT NULL DEFAULT uuidv7(),
    sender     text        NOT NULL, -- client or user that asked for it, 'kratos' for the courier
    template   text,
    data       jsonb,
    subject    text,
    body       text,
    urgent     boolean     NOT NULL DEFAULT false, -- a code that someone waits for
    expires_at timestamptz,                        -- not worth sending afterwards
    digest     bytea,                              -- recognises what the courier hands over again
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT messages_pkey PRIMARY KEY (id),
    CONSTRAINT messages_template_data_check CHECK (template IS NOT NULL OR data IS NULL)
);

CREATE INDEX messages_sender_idx ON messages (sender, id);
CREATE INDEX messages_digest_idx ON messages (digest, created_at) WHERE digest IS NOT NULL;

CREATE TABLE attachments (
    message_id   uuid  NOT NULL,
    position     int   NOT NULL,
    name         text  NOT NULL,
    content_type text  NOT NULL,
    content      bytea NOT NULL,
    CONSTRAINT attachments_pkey PRIMARY KEY (message_id, position),
    CONSTRAINT attachments_message_fkey FOREIGN KEY (message_id) REFERENCES messages (id) ON DELETE CASCADE
);

-- The mail to one recipient. The address is erased some days after the end.
CREATE TABLE deliveries (
    id           uuid            NOT NULL DEFAULT uuidv7(),
    message_id   uuid            NOT NULL,
    position     int             NOT NULL,
    user_id      uuid,
    address      text,
    status       delivery_status NOT NULL DEFAULT 'queued',
    tries        int             NOT NULL DEFAULT 0,
    attempted_at timestamptz,
    ended_at     timestamptz, -- when it was sent, or given up
    failure      delivery_failure,
    CONSTRAINT deliveries_pkey PRIMARY KEY (id),
    CONSTRAINT deliveries_message_key UNIQUE (message_id, position),
    CONSTRAINT deliveries_message_fkey FOREIGN KEY (message_id) REFERENCES messages (id) ON DELETE CASCADE,
    CONSTRAINT deliveries_ended_check CHECK ((status = 'queued') = (ended_at IS NULL)),
    CONSTRAINT deliveries_failure_check CHECK ((status = 'failed') = (failure IS NOT NULL))
);

-- How many mails an address got within the hour is asked before each.
CREATE INDEX deliveries_address_idx ON deliveries (lower(address), attempted_at) WHERE address IS NOT NULL;
CREATE INDEX deliveries_ended_idx ON deliveries (ended_at) WHERE address IS NOT NULL;

-- +goose Down
DROP TABLE deliveries, attachments, messages;
DROP TYPE delivery_failure, delivery_status;
