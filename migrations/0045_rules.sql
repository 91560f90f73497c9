-- Why: what Millpond changes of campaigns, with what was before; rules that recommend or make such changes; and alerts on
-- figures. What a rule or an alert watches and by which thresholds stands in `rule`, whose members are known to the program;
-- columns are what statements go by.

-- A row a change that a job was asked for. One attempt at a time is at a change, and one change at a time is made of an
-- entity: whoever is at it names the token he began with.
CREATE TABLE marketing.campaign_changes (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- The job, or the one that it replays, and the place in its payload.
    job         uuid NOT NULL,
    place       integer NOT NULL,
    account     uuid NOT NULL,
    kind        text COLLATE "C" NOT NULL,
    entity_id   text COLLATE "C" NOT NULL,
    field       text NOT NULL,
    -- As the entity was stored when the change was begun first.
    before      text,
    after       text NOT NULL,
    state       text NOT NULL,
    reason      text,
    -- The rule that asked for it.
    strategy    uuid,
    run         uuid NOT NULL,
    -- From then on an attempt that tells nothing is taken for dead.
    run_until   timestamptz NOT NULL,
    error_class text,
    error       text,
    begun_at    timestamptz NOT NULL DEFAULT now(),
    ended_at    timestamptz,
    CONSTRAINT campaign_changes_place UNIQUE (job, place),
    CONSTRAINT campaign_changes_kind CHECK (kind IN ('campaign', 'ad_set', 'ad')),
    CONSTRAINT campaign_changes_field CHECK (field IN ('status', 'daily_budget', 'lifetime_budget')),
    -- sending: an attempt is at it; waiting: it failed in passing; done; unchanged: it was so; refused: by us or the platform,
    -- for good; unknown: whoever was at it is gone, and another change was made instead.
    CONSTRAINT campaign_changes_state CHECK (state IN ('sending', 'waiting', 'done', 'unchanged', 'refused', 'unknown')),
    CONSTRAINT campaign_changes_ended CHECK ((state IN ('sending', 'waiting')) = (ended_at IS NULL))
);
CREATE UNIQUE INDEX campaign_changes_sending ON marketing.campaign_changes (account, kind, entity_id) WHERE state = 'sending';
CREATE INDEX campaign_changes_of_account ON marketing.campaign_changes (account, id);
CREATE INDEX campaign_changes_of_strategy ON marketing.campaign_changes (strategy, id) WHERE strategy IS NOT NULL;

CREATE TABLE marketing.strategies (
    id           uuid PRIMARY KEY,
    -- '' where it belongs to no tenant.
    tenant       text NOT NULL,
    name         text NOT NULL,
    status       text NOT NULL DEFAULT 'active',
    mode         text NOT NULL,
    rule         jsonb NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    evaluated_at timestamptz,
    CONSTRAINT strategies_name UNIQUE (tenant, name),
    CONSTRAINT strategies_status CHECK (status IN ('active', 'paused', 'completed')),
    CONSTRAINT strategies_mode CHECK (mode IN ('recommend', 'act'))
);
CREATE INDEX strategies_due ON marketing.strategies (evaluated_at NULLS FIRST, id) WHERE status = 'active';

-- What rules found: a row a finding, with the reasons as they were then.
CREATE TABLE marketing.recommendations (
    id          uuid PRIMARY KEY,
    strategy    uuid NOT NULL,
    tenant      text NOT NULL,
    account     uuid NOT NULL,
    kind        text COLLATE "C" NOT NULL,
    entity_id   text COLLATE "C" NOT NULL,
    entity_name text NOT NULL,
    action      text NOT NULL,
    -- Of what is changed: a state or a budget a day.
    before      text,
    after       text,
    reasons     jsonb NOT NULL,
    state       text NOT NULL,
    -- Changes that one job makes: known before the job is, so that it is made once.
    batch       uuid,
    job         uuid,
    found_at    timestamptz NOT NULL DEFAULT now(),
    decided_at  timestamptz,
    decided_by  text,
    CONSTRAINT recommendations_strategy FOREIGN KEY (strategy) REFERENCES marketing.strategies (id) ON DELETE CASCADE,
    CONSTRAINT recommendations_kind CHECK (kind IN ('campaign', 'ad_set', 'ad')),
    CONSTRAINT recommendations_action CHECK (action IN ('pause', 'raise_budget', 'notify')),
    -- open: somebody may decide; acting: its job is to be made; acted: it is; the rest ends it.
    CONSTRAINT recommendations_state CHECK (state IN ('open', 'acting', 'acted', 'notified', 'dismissed', 'expired')),
    CONSTRAINT recommendations_batch CHECK (state NOT IN ('acting', 'acted') OR batch IS NOT NULL),
    CONSTRAINT recommendations_job CHECK ((state = 'acted') = (job IS NOT NULL))
);
CREATE UNIQUE INDEX recommendations_open ON marketing.recommendations (strategy, account, kind, entity_id)
    WHERE state IN ('open', 'acting');
CREATE INDEX recommendations_of_strategy ON marketing.recommendations (strategy, id);
CREATE INDEX recommendations_of_entity ON marketing.recommendations (strategy, account, kind, entity_id);
CREATE INDEX recommendations_of_tenant ON marketing.recommendations (tenant, id);
-- Few of those that are kept are open, and these are what people look at.
CREATE INDEX recommendations_of_tenant_by_state ON marketing.recommendations (tenant, state, id);
CREATE INDEX recommendations_by_state ON marketing.recommendations (state, id);
CREATE INDEX recommendations_by_time ON marketing.recommendations (found_at);

CREATE TABLE marketing.alerts (
    id           uuid PRIMARY KEY,
    tenant       text NOT NULL,
    name         text NOT NULL,
    status       text NOT NULL DEFAULT 'active',
    rule         jsonb NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    evaluated_at timestamptz,
    CONSTRAINT alerts_name UNIQUE (tenant, name),
    CONSTRAINT alerts_status CHECK (status IN ('active', 'paused'))
);
CREATE INDEX alerts_due ON marketing.alerts (evaluated_at NULLS FIRST, id) WHERE status = 'active';

-- Where an alert stands, for each entity that it fired for: a row only while it is raised or a mail is due.
CREATE TABLE marketing.alert_states (
    alert     uuid NOT NULL,
    account   uuid NOT NULL,
    entity_id text COLLATE "C" NOT NULL,
    -- The row of alert_history that raised it.
    firing    uuid NOT NULL,
    since     timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT alert_states_pkey PRIMARY KEY (alert, account, entity_id),
    CONSTRAINT alert_states_alert FOREIGN KEY (alert) REFERENCES marketing.alerts (id) ON DELETE CASCADE
);

CREATE TABLE marketing.alert_history (
    id          uuid PRIMARY KEY,
    alert       uuid NOT NULL,
    tenant      text NOT NULL,
    account     uuid NOT NULL,
    level       text NOT NULL,
    entity_id   text COLLATE "C" NOT NULL,
    entity_name text NOT NULL,
    became      text NOT NULL,
    metric      text NOT NULL,
    value       numeric NOT NULL,
    -- What it is compared with: the threshold, and for changes what was before.
    threshold   numeric NOT NULL,
    baseline    numeric,
    at          timestamptz NOT NULL DEFAULT now(),
    -- Mails: due while quiet hours last, or until they are on their way; none for what nobody is told of.
    mail        text NOT NULL,
    CONSTRAINT alert_history_alert FOREIGN KEY (alert) REFERENCES marketing.alerts (id) ON DELETE CASCADE,
    CONSTRAINT alert_history_became CHECK (became IN ('fired', 'cleared')),
    CONSTRAINT alert_history_mail CHECK (mail IN ('none', 'due', 'sent', 'dropped'))
);
CREATE INDEX alert_history_of_alert ON marketing.alert_history (alert, id);
CREATE INDEX alert_history_due ON marketing.alert_history (alert) WHERE mail = 'due';
CREATE INDEX alert_history_by_time ON marketing.alert_history (at);
