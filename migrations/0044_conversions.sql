-- Why: conversions go to five destinations now, and one of them (Google's Data Manager) only accepts a request at once and
-- says hours later what became of it, by counts and never by event. So an event may be accepted with a request that is still
-- asked for, or wait for another try: alone, where nobody says which event of a request failed. Rows also go in the end. The
-- release before this one keeps working: it writes neither state and takes no notice of rows in them.

ALTER TABLE marketing.conversion_events
    -- Sent in a request of its own.
    ADD COLUMN alone  boolean     NOT NULL DEFAULT false,
    -- How often the destination has put it off.
    ADD COLUMN tries  smallint    NOT NULL DEFAULT 0,
    -- When it may be sent again.
    ADD COLUMN due_at timestamptz,
    DROP CONSTRAINT conversion_events_state,
    ADD CONSTRAINT conversion_events_state
        CHECK (state IN ('sent', 'rejected', 'expired', 'in_doubt', 'accepted', 'waiting')),
    ADD CONSTRAINT conversion_events_due CHECK (state <> 'waiting' OR due_at IS NOT NULL);

-- What is too old goes, oldest first.
CREATE INDEX conversion_events_updated ON marketing.conversion_events (updated_at);
