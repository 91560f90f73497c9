-- Why: what sync stores of accounts: what they hold, their figures, and how each sync went. Figures of a stretch of days
-- are replaced as a whole, since platforms leave out what has become zero. `account` is the id of marketing.accounts;
-- tables with many rows do not check that. Names and ids compare by their bytes, so that everybody sorts them alike.

-- A row a sync. A sync that is not finished is gone on with from its cursor, by one attempt at a time.
CREATE TABLE marketing.syncs (
    id            uuid PRIMARY KEY,
    account       uuid NOT NULL,
    -- Of what the account holds; NULL where it is of figures.
    mode          text,
    -- Of figures.
    level         text,
    granularity   text,
    first_day     date,
    last_day      date,
    -- In the platform's words, in their order, joined by commas.
    breakdowns    text NOT NULL DEFAULT '',
    -- The job that went on with it last.
    job           uuid NOT NULL,
    -- Grows with every attempt; whoever stores a page names the one he began with.
    run           integer NOT NULL DEFAULT 1,
    state         text NOT NULL DEFAULT 'running',
    -- Where it goes on; what it means is known to the job.
    cursor        jsonb,
    -- Attempts that failed there in passing: where each of many does, the place is at fault and is given up.
    setbacks      integer NOT NULL DEFAULT 0,
    counts        jsonb NOT NULL DEFAULT '{}',
    started_at    timestamptz NOT NULL DEFAULT now(),
    progressed_at timestamptz NOT NULL DEFAULT now(),
    finished_at   timestamptz,
    error_class   text,
    error         text,
    CONSTRAINT syncs_account FOREIGN KEY (account) REFERENCES marketing.accounts (id),
    CONSTRAINT syncs_mode CHECK (mode IN ('full', 'incremental')),
    CONSTRAINT syncs_level CHECK (level IN ('account', 'campaign', 'ad_set', 'ad')),
    CONSTRAINT syncs_granularity CHECK (granularity IN ('hour', 'day')),
    CONSTRAINT syncs_what CHECK (num_nonnulls(level, granularity, first_day, last_day)
                                 = CASE WHEN mode IS NULL THEN 4 ELSE 0 END),
    CONSTRAINT syncs_days CHECK (first_day <= last_day),
    CONSTRAINT syncs_state CHECK (state IN ('running', 'succeeded', 'partial', 'failed')),
    CONSTRAINT syncs_finished CHECK ((state = 'running') = (finished_at IS NULL)),
    CONSTRAINT syncs_error CHECK ((error_class IS NULL) = (error IS NULL))
);
CREATE UNIQUE INDEX syncs_running ON marketing.syncs
    (account, COALESCE(mode, ''), COALESCE(level, ''), COALESCE(granularity, ''),
     COALESCE(first_day, '-infinity'::date), COALESCE(last_day, '-infinity'::date), breakdowns)
    WHERE state = 'running';
CREATE INDEX syncs_of_account ON marketing.syncs (account, id);
-- The last that read all an account holds, behind however many others.
CREATE INDEX syncs_of_entities ON marketing.syncs (account, id) WHERE mode IS NOT NULL AND state = 'succeeded';
-- The same of those that read as much as they might.
CREATE INDEX syncs_in_parts ON marketing.syncs (account, id) WHERE mode IS NOT NULL AND state = 'partial';
CREATE INDEX syncs_but_for_rights ON marketing.syncs (account, id)
    WHERE mode IS NOT NULL AND state = 'partial' AND error_class = 'permission';
CREATE INDEX syncs_by_end ON marketing.syncs (finished_at) WHERE finished_at IS NOT NULL;

-- What accounts hold, as their platforms show it. Nothing is deleted here: what a full pass does not bring has vanished.
CREATE TABLE marketing.entities (
    account         uuid NOT NULL,
    kind            text COLLATE "C" NOT NULL,
    -- The platform's.
    id              text COLLATE "C" NOT NULL,
    -- What it belongs to, and the campaign that it belongs to in the end.
    parent          text COLLATE "C",
    campaign        text COLLATE "C",
    name            text NOT NULL,
    -- One vocabulary for all platforms; what has vanished is 'deleted'.
    status          text NOT NULL,
    -- What the platform calls it.
    platform_status text NOT NULL,
    -- In major units of the account's currency.
    daily_budget    numeric,
    lifetime_budget numeric,
    -- At the platform.
    created_at      timestamptz,
    updated_at      timestamptz,
    -- By us.
    first_seen      timestamptz NOT NULL DEFAULT now(),
    last_seen       timestamptz NOT NULL DEFAULT now(),
    vanished_at     timestamptz,
    raw             jsonb NOT NULL,
    CONSTRAINT entities_pkey PRIMARY KEY (account, kind, id),
    CONSTRAINT entities_kind CHECK (kind IN ('campaign', 'ad_set', 'ad', 'creative', 'audience', 'lead_form', 'pixel', 'page',
                                             'instagram_account')),
    CONSTRAINT entities_status CHECK (status IN ('active', 'paused', 'pending', 'rejected', 'ended', 'archived', 'deleted',
                                                 'unknown'))
) WITH (fillfactor = 85);
CREATE INDEX entities_of_parent ON marketing.entities (parent, account, kind, id) WHERE parent IS NOT NULL;
CREATE INDEX entities_of_kind ON marketing.entities (kind, account, id);

-- What somebody changed at the platform, as sync found it. The first sight of an entity is no change.
CREATE TABLE marketing.entity_changes (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account   uuid NOT NULL,
    kind      text NOT NULL,
    entity_id text NOT NULL,
    field     text NOT NULL,
    before    text,
    after     text,
    seen_at   timestamptz NOT NULL DEFAULT now(),
    sync      uuid NOT NULL,
    CONSTRAINT entity_changes_field CHECK (field IN ('name', 'status', 'parent', 'campaign', 'daily_budget', 'lifetime_budget',
                                                     'vanished')),
    CONSTRAINT entity_changes_differ CHECK (before IS DISTINCT FROM after)
);
CREATE INDEX entity_changes_of_account ON marketing.entity_changes (account, id);

-- Figures of days and hours by the account's clock. Only what may be added up, and `reach`, which may not.
CREATE TABLE marketing.insights_daily (
    account     uuid NOT NULL,
    level       text COLLATE "C" NOT NULL,
    date        date NOT NULL,
    entity_id   text COLLATE "C" NOT NULL,
    -- Which part of the entity's figures it is, 'key=value&…'; '': all of them.
    breakdown   text COLLATE "C" NOT NULL DEFAULT '',
    -- By what they were broken down, as in marketing.syncs.
    breakdowns  text COLLATE "C" NOT NULL DEFAULT '',
    impressions bigint NOT NULL,
    clicks      bigint NOT NULL,
    link_clicks bigint NOT NULL,
    views       bigint NOT NULL,
    likes       bigint NOT NULL,
    comments    bigint NOT NULL,
    shares      bigint NOT NULL,
    spend       numeric NOT NULL,
    conversions numeric NOT NULL,
    revenue     numeric NOT NULL,
    leads       numeric NOT NULL,
    reach       bigint,
    -- Of spend and revenue; NULL where the platform does not say it.
    currency    text,
    -- Whether the platform told the row or it was added up from hours.
    origin      text NOT NULL DEFAULT 'platform',
    -- When these values were stored; reading the same again does not change it.
    synced_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT insights_daily_pkey PRIMARY KEY (account, level, date, entity_id, breakdown),
    CONSTRAINT insights_daily_level CHECK (level IN ('account', 'campaign', 'ad_set', 'ad')),
    CONSTRAINT insights_daily_origin CHECK (origin IN ('platform', 'hours'))
) PARTITION BY RANGE (date);

CREATE TABLE marketing.insights_hourly (
    account     uuid NOT NULL,
    level       text COLLATE "C" NOT NULL,
    date        date NOT NULL,
    hour        smallint NOT NULL,
    entity_id   text COLLATE "C" NOT NULL,
    breakdown   text COLLATE "C" NOT NULL DEFAULT '',
    breakdowns  text COLLATE "C" NOT NULL DEFAULT '',
    impressions bigint NOT NULL,
    clicks      bigint NOT NULL,
    link_clicks bigint NOT NULL,
    views       bigint NOT NULL,
    likes       bigint NOT NULL,
    comments    bigint NOT NULL,
    shares      bigint NOT NULL,
    spend       numeric NOT NULL,
    conversions numeric NOT NULL,
    revenue     numeric NOT NULL,
    leads       numeric NOT NULL,
    reach       bigint,
    currency    text,
    origin      text NOT NULL DEFAULT 'platform',
    synced_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT insights_hourly_pkey PRIMARY KEY (account, level, date, hour, entity_id, breakdown),
    CONSTRAINT insights_hourly_level CHECK (level IN ('account', 'campaign', 'ad_set', 'ad')),
    CONSTRAINT insights_hourly_hour CHECK (hour BETWEEN 0 AND 23),
    CONSTRAINT insights_hourly_origin CHECK (origin = 'platform')
) PARTITION BY RANGE (date);

-- Which days' figures were read whole, and when: a day without a row of figures had none. Freshness is told from this.
CREATE TABLE marketing.insight_days (
    account     uuid NOT NULL,
    level       text COLLATE "C" NOT NULL,
    granularity text COLLATE "C" NOT NULL,
    breakdowns  text COLLATE "C" NOT NULL,
    date        date NOT NULL,
    -- When the platform was asked for the first of what was read.
    read_at     timestamptz NOT NULL,
    -- Its hours were deleted, since the day's own figures are there.
    pruned      boolean NOT NULL DEFAULT false,
    CONSTRAINT insight_days_pkey PRIMARY KEY (account, level, granularity, breakdowns, date)
) WITH (fillfactor = 85);
CREATE INDEX insight_days_of_hours ON marketing.insight_days (date) WHERE granularity = 'hour' AND NOT pruned;

-- Pages of figures that wait for the rest of their days. It is logged: what a cursor says is there must survive a crash.
CREATE TABLE marketing.insights_staged (
    sync        uuid NOT NULL,
    date        date NOT NULL,
    -- -1 for figures of a day.
    hour        smallint NOT NULL,
    entity_id   text COLLATE "C" NOT NULL,
    breakdown   text COLLATE "C" NOT NULL,
    impressions bigint NOT NULL,
    clicks      bigint NOT NULL,
    link_clicks bigint NOT NULL,
    views       bigint NOT NULL,
    likes       bigint NOT NULL,
    comments    bigint NOT NULL,
    shares      bigint NOT NULL,
    spend       numeric NOT NULL,
    conversions numeric NOT NULL,
    revenue     numeric NOT NULL,
    leads       numeric NOT NULL,
    reach       bigint,
    currency    text,
    staged_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT insights_staged_pkey PRIMARY KEY (sync, date, hour, entity_id, breakdown)
);

-- Figures of pages and of Instagram accounts. Hardly any may be added up, and each is of exactly its days.
CREATE TABLE marketing.social_insights (
    account   uuid NOT NULL,
    -- The platform's id of the page or account.
    entity_id text COLLATE "C" NOT NULL,
    metric    text COLLATE "C" NOT NULL,
    -- Of what part it is; '': of all.
    part      text COLLATE "C" NOT NULL,
    first_day date NOT NULL,
    last_day  date NOT NULL,
    value     numeric NOT NULL,
    synced_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT social_insights_pkey PRIMARY KEY (account, entity_id, metric, part, first_day, last_day),
    CONSTRAINT social_insights_days CHECK (first_day <= last_day)
);

-- Reports that platforms make in the background, kept before anybody asks how far they are: a second one costs quota.
CREATE TABLE marketing.report_runs (
    sync                uuid NOT NULL,
    first_day           date NOT NULL,
    last_day            date NOT NULL,
    platform            text NOT NULL,
    -- The platform's ids of the account and of the report.
    external_account_id text NOT NULL,
    report_id           text NOT NULL,
    started_at          timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT report_runs_pkey PRIMARY KEY (sync, first_day, last_day),
    CONSTRAINT report_runs_sync FOREIGN KEY (sync) REFERENCES marketing.syncs (id) ON DELETE CASCADE
);

-- Calls to platforms: neither bodies nor tokens nor addresses with parameters.
CREATE TABLE marketing.api_calls (
    at          timestamptz NOT NULL,
    platform    text NOT NULL,
    -- NULL where it was for no account: a grant's.
    account     uuid,
    endpoint    text NOT NULL,
    -- NULL: no answer came.
    status      smallint,
    -- The class of the failure; NULL: it succeeded.
    class       text,
    took_ms     integer NOT NULL,
    -- What the platform said of its quotas: 0 to 1 and beyond, calls, time.
    used_share  double precision,
    remaining   bigint,
    resets_in_s bigint,
    request_id  text
) PARTITION BY RANGE (at);
CREATE INDEX api_calls_of_account ON marketing.api_calls (account, at);
CREATE TABLE marketing.api_calls_default PARTITION OF marketing.api_calls DEFAULT;

-- Answers that may be used again. Losing them in a crash costs a call.
CREATE UNLOGGED TABLE marketing.cache (
    account    uuid NOT NULL,
    key        text COLLATE "C" NOT NULL,
    value      jsonb NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT cache_pkey PRIMARY KEY (account, key)
);
CREATE INDEX cache_by_end ON marketing.cache (expires_at);

-- Accounts that somebody is looking at: they are synced more often until then. A watch keeps its id while it is asked for again,
-- and its end changes it: the job of a watch that has ended is never taken for that of the next one.
CREATE TABLE marketing.watches (
    account uuid PRIMARY KEY,
    until   timestamptz NOT NULL,
    id      uuid NOT NULL DEFAULT gen_random_uuid(),
    CONSTRAINT watches_account FOREIGN KEY (account) REFERENCES marketing.accounts (id)
);

-- Makes the partitions of these months, of insights_daily or insights_hourly. A back-fill asks for its own; those of now
-- and of the months ahead are made beforehand. A new month is made apart and then attached, which locks out neither
-- readers nor writers. There is no default partition: rows in it would keep their month from being made.
CREATE FUNCTION marketing.make_insight_months(parent text, first_day date, last_day date) RETURNS void
LANGUAGE plpgsql SET lock_timeout = '5s' AS $$
DECLARE
    month date;
    made  text;
BEGIN
    FOR month IN SELECT generate_series(date_trunc('month', first_day::timestamp), last_day::timestamp, '1 month')::date LOOP
        made := parent || '_' || to_char(month, 'YYYYMM');
        CONTINUE WHEN to_regclass('marketing.' || made) IS NOT NULL;
        BEGIN
            EXECUTE format('CREATE TABLE marketing.%I (LIKE marketing.%I INCLUDING ALL)', made, parent);
            EXECUTE format('ALTER TABLE marketing.%I ATTACH PARTITION marketing.%I FOR VALUES FROM (%L) TO (%L)',
                           parent, made, month, (month + interval '1 month')::date);
        EXCEPTION WHEN duplicate_table OR unique_violation THEN
            NULL; -- somebody else has made it at the same time
        END;
    END LOOP;
END
$$;

-- Drops the oldest month of hours that ended before this day and has no row left; tells how many, so that the caller asks
-- until none is. Whoever waits for a lock has all others wait behind it: so it waits a tenth of a second and leaves the
-- month to the next round.
CREATE FUNCTION marketing.drop_empty_hours(keep_from date) RETURNS integer
LANGUAGE plpgsql SET lock_timeout = '100ms' AS $$
DECLARE
    old      text;
    is_empty boolean;
BEGIN
    FOR old IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
         WHERE i.inhparent = 'marketing.insights_hourly'::regclass AND c.relname ~ '_[0-9]{6}$'
           AND to_date(right(c.relname, 6), 'YYYYMM') + interval '1 month' <= keep_from
         ORDER BY c.relname
    LOOP
        EXECUTE format('SELECT NOT EXISTS (SELECT FROM marketing.%I)', old) INTO is_empty;
        CONTINUE WHEN NOT is_empty;
        BEGIN
            -- Nobody writes to it from here on, so that it is still empty when it goes.
            EXECUTE format('LOCK TABLE marketing.insights_hourly, marketing.%I IN ACCESS EXCLUSIVE MODE', old);
            EXECUTE format('SELECT NOT EXISTS (SELECT FROM marketing.%I)', old) INTO is_empty;
            CONTINUE WHEN NOT is_empty;
            EXECUTE format('DROP TABLE marketing.%I', old);
            RETURN 1;
        EXCEPTION WHEN lock_not_available THEN
            RAISE WARNING 'the figures are in use, so % is dropped in the next round', old;
        END;
    END LOOP;
    RETURN 0;
END
$$;

-- As millpond.maintain_history, for the log of calls.
CREATE FUNCTION marketing.maintain_api_calls(days_ahead integer, keep_from timestamptz) RETURNS integer
LANGUAGE plpgsql SET lock_timeout = '100ms' AS $$
DECLARE
    day    date;
    made   text;
    oldest text;
BEGIN
    FOR day IN SELECT generate_series((now() AT TIME ZONE 'UTC')::date,
                                      (now() AT TIME ZONE 'UTC')::date + days_ahead, '1 day')::date LOOP
        made := 'api_calls_' || to_char(day, 'YYYYMMDD');
        CONTINUE WHEN to_regclass('marketing.' || made) IS NOT NULL;
        BEGIN
            EXECUTE format('CREATE TABLE marketing.%I (LIKE marketing.api_calls INCLUDING ALL)', made);
            EXECUTE format('ALTER TABLE marketing.api_calls ATTACH PARTITION marketing.%I FOR VALUES FROM (%L) TO (%L)',
                           made, day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC');
        EXCEPTION
            WHEN check_violation THEN
                RAISE WARNING 'api_calls_default holds rows of %, so that day gets no partition', day;
            WHEN lock_not_available THEN
                RAISE WARNING 'the log of calls is in use, so % gets its partition in the next round', day;
            WHEN duplicate_table OR unique_violation THEN
                NULL; -- somebody else has made it at the same time
        END;
    END LOOP;

    SELECT c.relname INTO oldest
      FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
     WHERE i.inhparent = 'marketing.api_calls'::regclass AND c.relname ~ '_[0-9]{8}$'
       AND (to_date(right(c.relname, 8), 'YYYYMMDD') + 1)::timestamp AT TIME ZONE 'UTC' <= keep_from
     ORDER BY c.relname LIMIT 1;
    IF oldest IS NULL THEN
        RETURN 0;
    END IF;
    BEGIN
        EXECUTE format('DROP TABLE marketing.%I', oldest);
    EXCEPTION WHEN lock_not_available THEN
        RAISE WARNING 'the log of calls is in use, so % is dropped in the next round', oldest;
        RETURN 0;
    END;
    RETURN 1;
END
$$;

SELECT marketing.make_insight_months('insights_daily', now()::date, (now() + interval '2 months')::date);
SELECT marketing.make_insight_months('insights_hourly', now()::date, (now() + interval '2 months')::date);
SELECT marketing.maintain_api_calls(7, '-infinity');

-- Views for tools that read figures with SQL. Their columns stay: new ones are added at the end.

CREATE VIEW marketing.bi_accounts AS
SELECT a.id AS account_id, NULLIF(a.tenant, '') AS tenant, a.platform, a.external_id, a.kind, a.name, a.currency,
       COALESCE(a.time_zone, 'UTC') AS time_zone, a.status, a.platform_status, a.sync_enabled, a.discovered_at, a.vanished_at
  FROM marketing.accounts a;
COMMENT ON VIEW marketing.bi_accounts IS
    'Connected accounts, a row each. status is ours: active, expiring, needs_reauth, disconnected.';
COMMENT ON COLUMN marketing.bi_accounts.external_id IS 'The platform''s id, without prefixes.';
COMMENT ON COLUMN marketing.bi_accounts.time_zone IS 'By this clock are the days and hours of its figures.';
COMMENT ON COLUMN marketing.bi_accounts.vanished_at IS 'Since when the grant does not reach it any more.';

CREATE VIEW marketing.bi_entities AS
SELECT e.account AS account_id, NULLIF(a.tenant, '') AS tenant, a.platform, a.name AS account_name, e.kind AS entity_type,
       e.id AS entity_id, e.parent AS parent_id, e.campaign AS campaign_id, e.name, e.status, e.platform_status,
       e.daily_budget, e.lifetime_budget, a.currency, e.created_at, e.updated_at, e.first_seen, e.last_seen, e.vanished_at
  FROM marketing.entities e
  JOIN marketing.accounts a ON a.id = e.account;
COMMENT ON VIEW marketing.bi_entities IS
    'What accounts hold: campaigns, ad sets, ads and the rest, a row each, also what has vanished.';
COMMENT ON COLUMN marketing.bi_entities.entity_id IS 'The platform''s id; unique by account_id and entity_type.';
COMMENT ON COLUMN marketing.bi_entities.status IS
    'One vocabulary for all platforms: active, paused, pending, rejected, ended, archived, deleted, unknown.';
COMMENT ON COLUMN marketing.bi_entities.daily_budget IS 'In major units of currency.';
COMMENT ON COLUMN marketing.bi_entities.lifetime_budget IS 'In major units of currency.';
COMMENT ON COLUMN marketing.bi_entities.created_at IS 'At the platform.';
COMMENT ON COLUMN marketing.bi_entities.vanished_at IS 'Since when a full sync does not find it any more.';

CREATE VIEW marketing.bi_insights_daily AS
SELECT i.date, NULLIF(a.tenant, '') AS tenant, a.platform, i.account AS account_id, a.name AS account_name, i.level,
       i.entity_id, CASE i.level WHEN 'account' THEN a.name ELSE e.name END AS entity_name,
       CASE i.level WHEN 'campaign' THEN i.entity_id ELSE e.campaign END AS campaign_id,
       i.impressions, i.clicks, i.link_clicks, i.views, i.likes, i.comments, i.shares, i.spend, i.conversions, i.revenue,
       i.leads, i.reach, i.currency, i.origin, i.synced_at
  FROM marketing.insights_daily i
  JOIN marketing.accounts a ON a.id = i.account
  LEFT JOIN marketing.entities e ON e.account = i.account AND e.kind = i.level AND e.id = i.entity_id
 WHERE i.breakdowns = '';
COMMENT ON VIEW marketing.bi_insights_daily IS
    'Figures of days by the account''s clock. Each level tells the whole: choose one with level = ''campaign'', or '
    'everything counts several times. A day without figures has no row.';
COMMENT ON COLUMN marketing.bi_insights_daily.level IS 'account, campaign, ad_set or ad.';
COMMENT ON COLUMN marketing.bi_insights_daily.spend IS 'In major units of currency; never add up different currencies.';
COMMENT ON COLUMN marketing.bi_insights_daily.revenue IS 'In major units of currency.';
COMMENT ON COLUMN marketing.bi_insights_daily.conversions IS 'May be fractional.';
COMMENT ON COLUMN marketing.bi_insights_daily.reach IS 'People reached on exactly this day: never to be added up.';
COMMENT ON COLUMN marketing.bi_insights_daily.origin IS 'platform: as the platform tells it; hours: added up from hours.';
COMMENT ON COLUMN marketing.bi_insights_daily.synced_at IS 'When these values were stored; platforms restate past days.';

CREATE VIEW marketing.bi_insights_hourly AS
SELECT i.date, i.hour, NULLIF(a.tenant, '') AS tenant, a.platform, i.account AS account_id, a.name AS account_name, i.level,
       i.entity_id, CASE i.level WHEN 'account' THEN a.name ELSE e.name END AS entity_name,
       CASE i.level WHEN 'campaign' THEN i.entity_id ELSE e.campaign END AS campaign_id,
       i.impressions, i.clicks, i.link_clicks, i.views, i.likes, i.comments, i.shares, i.spend, i.conversions, i.revenue,
       i.leads, i.reach, i.currency, i.synced_at
  FROM marketing.insights_hourly i
  JOIN marketing.accounts a ON a.id = i.account
  LEFT JOIN marketing.entities e ON e.account = i.account AND e.kind = i.level AND e.id = i.entity_id
 WHERE i.breakdowns = '';
COMMENT ON VIEW marketing.bi_insights_hourly IS
    'As bi_insights_daily, by the hour, for about the last week. Hours lack late conversions: where the day is there, it is truer.';
COMMENT ON COLUMN marketing.bi_insights_hourly.hour IS
    'By the account''s clock, 0 to 23; the hour that autumn repeats is one row.';
COMMENT ON COLUMN marketing.bi_insights_hourly.reach IS 'People reached in exactly this hour: never to be added up.';

CREATE VIEW marketing.bi_syncs AS
SELECT s.id AS sync_id, s.account AS account_id, NULLIF(a.tenant, '') AS tenant, a.platform, a.name AS account_name,
       CASE WHEN s.mode IS NULL THEN 'insights' ELSE 'entities' END AS sync_of, s.mode, s.level, s.granularity, s.first_day,
       s.last_day, s.state, s.job AS job_id, s.run AS attempts, COALESCE((s.counts ->> 'pages')::bigint, 0) AS pages,
       COALESCE((s.counts ->> 'entities')::bigint, 0) AS entities, COALESCE((s.counts ->> 'created')::bigint, 0) AS created,
       COALESCE((s.counts ->> 'changed')::bigint, 0) AS changed, COALESCE((s.counts ->> 'vanished')::bigint, 0) AS vanished,
       COALESCE((s.counts ->> 'rows')::bigint, 0) AS rows, COALESCE((s.counts ->> 'removed')::bigint, 0) AS removed,
       s.started_at, s.progressed_at, s.finished_at, s.error_class, s.error
  FROM marketing.syncs s
  JOIN marketing.accounts a ON a.id = s.account;
COMMENT ON VIEW marketing.bi_syncs IS 'The log of syncs, a row each, for 90 days.';
COMMENT ON COLUMN marketing.bi_syncs.state IS 'running, succeeded, partial (something could not be read) or failed.';
COMMENT ON COLUMN marketing.bi_syncs.attempts IS 'How many attempts it took so far; each goes on where the last page ended.';
COMMENT ON COLUMN marketing.bi_syncs.removed IS 'Stored figures that the platform did not tell again.';

CREATE VIEW marketing.bi_freshness AS
SELECT a.id AS account_id, NULLIF(a.tenant, '') AS tenant, a.platform, a.external_id, a.name AS account_name,
       a.sync_enabled AND a.vanished_at IS NULL AND a.status IN ('active', 'expiring') AS is_synced, a.discovered_at,
       e.as_of AS entities_as_of, f.as_of AS figures_as_of,
       LEAST(COALESCE(e.as_of, a.discovered_at), COALESCE(f.as_of, a.discovered_at)) AS as_of
  FROM marketing.accounts a
  LEFT JOIN LATERAL ( -- many a grant lacks a right for good: what it may read is no older for that
        SELECT max(s.started_at) AS as_of
          FROM ((SELECT w.started_at FROM marketing.syncs w
                  WHERE w.account = a.id AND w.mode IS NOT NULL AND w.state = 'succeeded' ORDER BY w.id DESC LIMIT 1)
                UNION ALL
                (SELECT p.started_at FROM marketing.syncs p
                  WHERE p.account = a.id AND p.mode IS NOT NULL AND p.state = 'partial' AND p.error_class = 'permission'
                  ORDER BY p.id DESC LIMIT 1)) s) e ON true
  LEFT JOIN LATERAL ( -- not CROSS: who does not ask for it does not pay for it
        SELECT CASE WHEN count(*) = 4 THEN min(l.as_of) END AS as_of
          FROM (SELECT max(LEAST(d.read_at, (d.date + 1)::timestamp AT TIME ZONE 'UTC' + interval '12 hours')) AS as_of
                  FROM (VALUES ('account'), ('campaign'), ('ad_set'), ('ad')) AS level (word)
                 CROSS JOIN (VALUES ('hour'), ('day')) AS granularity (word)
                 CROSS JOIN LATERAL (SELECT n.date, n.read_at
                                       FROM marketing.insight_days n
                                      WHERE n.account = a.id AND n.level = level.word AND n.granularity = granularity.word
                                        AND n.breakdowns = '' AND n.date <= (now() AT TIME ZONE 'UTC')::date + 1
                                      ORDER BY n.date DESC LIMIT 3) d
                 GROUP BY level.word) l) f ON true
 WHERE a.kind = 'ad_account';
COMMENT ON VIEW marketing.bi_freshness IS
    'Ad accounts with the time that what is stored of them is as of, a row each. Objectives for freshness count those with '
    'is_synced alone; the ones most behind come first with ORDER BY as_of.';
COMMENT ON COLUMN marketing.bi_freshness.is_synced IS
    'Switched on for sync, and there is a grant that works and reaches it.';
COMMENT ON COLUMN marketing.bi_freshness.entities_as_of IS
    'When the newest sync of what it holds began that read everything, but for what its grant has no right to; NULL: there '
    'was none within 90 days.';
COMMENT ON COLUMN marketing.bi_freshness.figures_as_of IS
    'When its newest figures were read, of the level for which that is longest ago; figures of past days are no newer than '
    'the end of their day, wherever on earth. NULL: some level was never read.';
COMMENT ON COLUMN marketing.bi_freshness.as_of IS
    'The older of both; what was never read counts from discovered_at.';
