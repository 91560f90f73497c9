-- Why: the configuration of the fleet. A file that changed, or a text that somebody put in force, is a revision, and the
-- newest one holds everywhere; overrides lay single values over it for a time.

-- One row: how often revisions or overrides have changed. Processes ask for this number and read the rest when it is
-- another one; whoever changes something locks it first, so that two who save at once come one after the other.
CREATE TABLE millpond.config_state (
    id     smallint PRIMARY KEY,
    change bigint NOT NULL,
    CONSTRAINT config_state_one_row CHECK (id = 1)
);
INSERT INTO millpond.config_state (id, change) VALUES (1, 0);

CREATE TABLE millpond.config_revisions (
    revision     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- SHA-256 of the text.
    content_hash bytea NOT NULL,
    text         text NOT NULL,
    source       text NOT NULL,
    author       text NOT NULL,
    reason       text,
    -- The keys that the revision before gives other values.
    changed      text[] NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT config_revisions_source CHECK (source IN ('file', 'cli', 'api'))
);
CREATE INDEX config_revisions_content ON millpond.config_revisions (content_hash, revision);

CREATE TABLE millpond.config_overrides (
    -- As TOML writes it: queues.sync.concurrency.
    key        text PRIMARY KEY,
    value      jsonb NOT NULL,
    author     text NOT NULL,
    reason     text,
    created_at timestamptz NOT NULL DEFAULT now(),
    until      timestamptz NOT NULL
);

-- The revision that a process goes by; NULL: its own file, or a release that knows of no revisions.
ALTER TABLE millpond.workers ADD COLUMN config_revision bigint;
