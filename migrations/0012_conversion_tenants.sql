-- Why: an event's key named no tenant, so that a tenant could learn from "already sent" what another one had sent to the
-- same data set, and an id used by both was sent once. Rows from before belong to no tenant. The release before this one
-- keeps working: it writes such rows, under a constraint of the same name. The index is built under a lock, which the
-- few rows of a ledger this young allow.

ALTER TABLE marketing.conversion_events
    -- '' where the event belongs to no tenant.
    ADD COLUMN tenant text NOT NULL DEFAULT '',
    DROP CONSTRAINT conversion_events_pkey,
    ADD CONSTRAINT conversion_events_pkey PRIMARY KEY (tenant, destination, dataset_id, event_name, event_id, test);
