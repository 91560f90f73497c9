-- Why: a conversion event counts money, so what became of each one is known by its own key and not by its job: one that
-- was sent is not sent again by a replay or a second job. No personal data: neither who the person was nor what was bought.

CREATE SCHEMA IF NOT EXISTS marketing;

CREATE TABLE marketing.conversion_events (
    destination   text NOT NULL,
    dataset_id    text NOT NULL,
    -- Sent with a test code: shown in the destination's test tool and not counted, so never in the way of the real one.
    test          boolean NOT NULL,
    event_name    text NOT NULL,
    event_id      text NOT NULL,
    -- The job that handled it last.
    job_id        uuid NOT NULL,
    state         text NOT NULL,
    -- Since when it may have been delivered; destinations drop repeats only for so long after that.
    first_sent_at timestamptz,
    sent_at       timestamptz,
    -- What the destination answered, or why the event was refused.
    detail        jsonb,
    updated_at    timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT conversion_events_pkey PRIMARY KEY (destination, dataset_id, event_name, event_id, test),
    CONSTRAINT conversion_events_state CHECK (state IN ('sent', 'rejected', 'expired', 'in_doubt')),
    CONSTRAINT conversion_events_sent CHECK ((state = 'sent') = (sent_at IS NOT NULL)),
    CONSTRAINT conversion_events_doubt CHECK (state <> 'in_doubt' OR first_sent_at IS NOT NULL)
);
