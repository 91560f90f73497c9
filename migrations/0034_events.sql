-- Why: what somebody changed at a platform, and how accounts stand, as events for whoever wants to hear of it. Each is
-- written in the transaction of what it tells, so that none is told of what was undone and none is lost. Whoever delivers
-- them takes rows out; this release has nobody who does, and retention takes them after a week. The release before this
-- one writes none.

CREATE TABLE marketing.events (
    -- Grows with writing and not with committing: whoever takes rows takes what is there, and keeps no place in them.
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- entity.changed or account.status_changed; more come with later releases.
    kind        text NOT NULL,
    -- '' where it belongs to no tenant.
    tenant      text NOT NULL,
    account     uuid NOT NULL,
    -- Of an entity: type, id and changes, each with field, before and after. Of an account: was, became and reason where it
    -- stands differently here, platform_was and platform_became where its platform shows it differently.
    data        jsonb NOT NULL,
    occurred_at timestamptz NOT NULL DEFAULT now()
);
