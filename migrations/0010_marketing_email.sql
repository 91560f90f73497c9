-- Why: a mail cannot be unsent and most servers know no idempotency key, so each one leaves an intent before it is
-- handed over and a receipt after. What it says and whom it goes to is not stored.

CREATE SCHEMA IF NOT EXISTS marketing;

CREATE TABLE marketing.email_sends (
    -- What makes two sends the same mail: a hash of tenant and business key, or the job's id. The local part of the
    -- Message-ID too.
    identity   text PRIMARY KEY,
    -- The job that tried last.
    job_id     uuid NOT NULL,
    message_id text NOT NULL,
    state      text NOT NULL,
    -- An attempt before the latest may have been delivered.
    in_doubt   boolean NOT NULL DEFAULT false,
    begun_at   timestamptz NOT NULL DEFAULT now(),
    ended_at   timestamptz,
    CONSTRAINT email_sends_state CHECK (state IN ('sending', 'sent', 'failed', 'unknown')),
    CONSTRAINT email_sends_ended CHECK ((state = 'sending') = (ended_at IS NULL))
);
