-- Why: the engine's own tables. Hot rows stay few and cheap: `jobs` holds only what is still to be done, what has
-- ended moves to `job_history` or `dead_letters` in the statement that settles it.

CREATE SCHEMA millpond;

-- What a process must know of a queue that no configuration file says: whether somebody paused it.
CREATE TABLE millpond.queues (
    name          text PRIMARY KEY,
    paused_at     timestamptz,
    paused_by     text,
    paused_reason text,
    paused_until  timestamptz,
    CONSTRAINT queues_paused_by_someone CHECK ((paused_at IS NULL) = (paused_by IS NULL))
);

-- What `millpond.enqueue` needs to know of a kind; written by every process at its start.
CREATE TABLE millpond.kinds_seen (
    kind         text PRIMARY KEY,
    queue        text NOT NULL,
    priority     smallint NOT NULL,
    max_attempts integer NOT NULL,
    -- Where the payload holds the key that groups jobs.
    key_path     text[],
    -- {"paths": [["account_id"], …], "states": bits, "on_conflict": "keep"}
    unique_rule  jsonb,
    seen_at      timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE millpond.jobs (
    id            uuid PRIMARY KEY,
    queue         text NOT NULL,
    kind          text NOT NULL,
    state         text NOT NULL,
    priority      smallint NOT NULL,
    -- When the job is due; for a ready job the time it has waited since.
    run_at        timestamptz NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    -- Executions so far: the number of the latest attempt.
    attempt       integer NOT NULL DEFAULT 0,
    -- Executions that count against max_attempts.
    attempts_used integer NOT NULL DEFAULT 0,
    -- NULL: the kind's, as it stands when an attempt ends.
    max_attempts  integer,
    lease_token   uuid,
    lease_until   timestamptz,
    worker        uuid,
    started_at    timestamptz,
    cancel_requested_at timestamptz,
    tenant        text,
    key           text,
    unique_key    text,
    -- The states in which the job holds unique_key, as bits: scheduled 1, ready 2, running 4, retrying 8.
    unique_states smallint,
    -- json, not jsonb: handlers get numbers and member order as they were sent, and nothing is parsed on the way.
    payload       json NOT NULL,
    tags          jsonb,
    attempts      jsonb,
    progress      jsonb,
    traceparent   text,
    replay_of     uuid,
    CONSTRAINT jobs_state CHECK (state IN ('scheduled', 'ready', 'running', 'retrying')),
    CONSTRAINT jobs_priority CHECK (priority BETWEEN 0 AND 9),
    CONSTRAINT jobs_attempts CHECK (attempts_used >= 0 AND attempts_used <= attempt),
    CONSTRAINT jobs_lease CHECK (
        (state = 'running') = (lease_token IS NOT NULL)
        AND (lease_token IS NULL) = (lease_until IS NULL)
        AND (lease_token IS NULL) = (worker IS NULL)),
    CONSTRAINT jobs_unique_states CHECK ((unique_key IS NULL) OR (unique_states IS NOT NULL))
) WITH (
    fillfactor = 75,
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_insert_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.05,
    autovacuum_vacuum_cost_delay = 0
);

-- Claims walk this one, in their order, and take what they claim out of it.
CREATE INDEX jobs_ready ON millpond.jobs (queue, priority, run_at, id) WHERE state = 'ready';
-- Promotion walks this one: an empty or future-heavy queue costs nothing to poll.
CREATE INDEX jobs_deferred ON millpond.jobs (queue, run_at) WHERE state IN ('scheduled', 'retrying');
-- Rescue and gauges walk this one; the expiry is not in it, so that renewals stay cheap.
CREATE INDEX jobs_running ON millpond.jobs (queue, id) WHERE state = 'running';
CREATE UNIQUE INDEX jobs_unique ON millpond.jobs (kind, COALESCE(tenant, ''), unique_key) WHERE unique_key IS NOT NULL;

CREATE TABLE millpond.job_history (
    id            uuid NOT NULL,
    queue         text NOT NULL,
    kind          text NOT NULL,
    state         text NOT NULL,
    priority      smallint NOT NULL,
    run_at        timestamptz NOT NULL,
    created_at    timestamptz NOT NULL,
    started_at    timestamptz,
    finished_at   timestamptz NOT NULL DEFAULT now(),
    attempts_used integer NOT NULL,
    max_attempts  integer,
    tenant        text,
    key           text,
    payload       json NOT NULL,
    tags          jsonb,
    attempts      jsonb,
    progress      jsonb,
    result        jsonb,
    replay_of     uuid,
    CONSTRAINT job_history_state CHECK (state IN ('succeeded', 'cancelled'))
) PARTITION BY RANGE (finished_at);

CREATE INDEX job_history_id ON millpond.job_history (id);
CREATE INDEX job_history_kind ON millpond.job_history (kind, id);
-- Catches what ends on a day that has no partition, so that settling never fails for the lack of one.
CREATE TABLE millpond.job_history_default PARTITION OF millpond.job_history DEFAULT;

CREATE TABLE millpond.dead_letters (
    id             uuid PRIMARY KEY,
    queue          text NOT NULL,
    kind           text NOT NULL,
    priority       smallint NOT NULL,
    run_at         timestamptz NOT NULL,
    created_at     timestamptz NOT NULL,
    started_at     timestamptz,
    died_at        timestamptz NOT NULL DEFAULT now(),
    attempts_used  integer NOT NULL,
    max_attempts   integer,
    tenant         text,
    key            text,
    payload        json NOT NULL,
    tags           jsonb,
    attempts       jsonb,
    progress       jsonb,
    error_class    text NOT NULL,
    error          text NOT NULL,
    fingerprint    text NOT NULL,
    replay_of      uuid,
    resolution     text,
    resolved_at    timestamptz,
    resolved_by    text,
    resolve_reason text,
    replayed_as    uuid,
    CONSTRAINT dead_letters_resolution CHECK (resolution IN ('replayed', 'discarded')),
    CONSTRAINT dead_letters_resolved CHECK ((resolution IS NULL) = (resolved_at IS NULL))
);

CREATE INDEX dead_letters_open ON millpond.dead_letters (id) WHERE resolution IS NULL;
CREATE INDEX dead_letters_open_group ON millpond.dead_letters (fingerprint, id) WHERE resolution IS NULL;
CREATE INDEX dead_letters_open_kind ON millpond.dead_letters (kind, id) WHERE resolution IS NULL;
CREATE INDEX dead_letters_open_queue ON millpond.dead_letters (queue, died_at) WHERE resolution IS NULL;
CREATE INDEX dead_letters_died ON millpond.dead_letters (died_at);

-- Counts are kept, not counted: a list of groups must not read a million dead letters.
CREATE TABLE millpond.dead_groups (
    fingerprint  text NOT NULL,
    queue        text NOT NULL,
    -- '' where the jobs belong to no tenant.
    tenant       text NOT NULL,
    kind         text NOT NULL,
    error_class  text NOT NULL,
    sample_error text NOT NULL,
    open         bigint NOT NULL,
    first_seen   timestamptz NOT NULL DEFAULT now(),
    last_seen    timestamptz NOT NULL DEFAULT now(),
    state        text NOT NULL DEFAULT 'open',
    note         text,
    CONSTRAINT dead_groups_pkey PRIMARY KEY (fingerprint, queue, tenant),
    CONSTRAINT dead_groups_state CHECK (state IN ('open', 'acknowledged', 'resolved'))
);

CREATE TABLE millpond.replays (
    id          uuid PRIMARY KEY,
    status      text NOT NULL DEFAULT 'running',
    created_at  timestamptz NOT NULL DEFAULT now(),
    created_by  text NOT NULL,
    tenant      text,
    reason      text,
    -- A JSON merge patch for each payload.
    patch       jsonb,
    total       bigint NOT NULL DEFAULT 0,
    enqueued    bigint NOT NULL DEFAULT 0,
    skipped     bigint NOT NULL DEFAULT 0,
    finished_at timestamptz,
    CONSTRAINT replays_status CHECK (status IN ('running', 'canary', 'paused', 'done', 'aborted', 'stopped_by_failures'))
);
CREATE INDEX replays_running ON millpond.replays (id) WHERE status = 'running';

CREATE TABLE millpond.replay_items (
    replay_id   uuid NOT NULL REFERENCES millpond.replays (id) ON DELETE CASCADE,
    dead_letter uuid NOT NULL,
    job_id      uuid,
    -- Why nothing was enqueued for it.
    skipped     text,
    CONSTRAINT replay_items_pkey PRIMARY KEY (replay_id, dead_letter),
    CONSTRAINT replay_items_one_end CHECK (job_id IS NULL OR skipped IS NULL)
);
CREATE INDEX replay_items_pending ON millpond.replay_items (replay_id, dead_letter)
    WHERE job_id IS NULL AND skipped IS NULL;

CREATE TABLE millpond.idempotency_keys (
    -- Whose key it is: those of different API clients never meet.
    client      text NOT NULL,
    key         text NOT NULL,
    fingerprint bytea NOT NULL,
    job_id      uuid NOT NULL,
    outcome     text NOT NULL,
    queue       text NOT NULL,
    state       text NOT NULL,
    run_at      timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,
    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (client, key)
);
CREATE INDEX idempotency_keys_expiry ON millpond.idempotency_keys (expires_at);

CREATE TABLE millpond.workers (
    id         uuid PRIMARY KEY,
    host       text NOT NULL,
    pid        integer NOT NULL,
    version    text NOT NULL,
    roles      text[] NOT NULL,
    kinds      text[] NOT NULL,
    -- {"queue": slots}
    slots      jsonb NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    seen_at    timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE millpond.leaders (
    name       text PRIMARY KEY,
    holder     uuid NOT NULL,
    -- Grows with every change of holder and stands in the leader's statements.
    term       bigint NOT NULL,
    expires_at timestamptz NOT NULL
);

-- What the leader counted last; answers for queues too deep to count on request.
CREATE TABLE millpond.queue_stats (
    queue        text NOT NULL,
    state        text NOT NULL,
    jobs         bigint NOT NULL,
    collected_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT queue_stats_pkey PRIMARY KEY (queue, state)
);

CREATE TABLE millpond.job_logs (
    job_id  uuid NOT NULL,
    attempt integer NOT NULL,
    line    integer NOT NULL,
    at      timestamptz NOT NULL,
    level   text NOT NULL,
    message text NOT NULL,
    CONSTRAINT job_logs_pkey PRIMARY KEY (job_id, attempt, line),
    CONSTRAINT job_logs_level CHECK (level IN ('info', 'warn'))
);
CREATE INDEX job_logs_at ON millpond.job_logs USING brin (at);

CREATE TABLE millpond.api_keys (
    id           uuid PRIMARY KEY,
    name         text NOT NULL,
    -- The first characters of the secret, to recognise it by; the secret itself is kept nowhere.
    prefix       text NOT NULL,
    secret_hash  bytea NOT NULL,
    scopes       text[] NOT NULL,
    tenant       text,
    created_at   timestamptz NOT NULL DEFAULT now(),
    created_by   text NOT NULL,
    expires_at   timestamptz,
    revoked_at   timestamptz,
    last_used_at timestamptz,
    CONSTRAINT api_keys_secret_hash UNIQUE (secret_hash)
);

CREATE TABLE millpond.audit (
    id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at     timestamptz NOT NULL DEFAULT now(),
    actor  text NOT NULL,
    tenant text,
    action text NOT NULL,
    target text,
    reason text,
    count  bigint NOT NULL,
    detail jsonb NOT NULL DEFAULT '{}'
);

-- Makes the partitions for today and the days ahead and drops those that ended before `keep_from`. A day whose rows
-- went to the default partition already (no leader for a week) keeps them there.
CREATE FUNCTION millpond.maintain_history(days_ahead integer, keep_from timestamptz) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    day       date;
    partition record;
    dropped   integer := 0;
BEGIN
    FOR day IN SELECT generate_series((now() AT TIME ZONE 'UTC')::date,
                                      (now() AT TIME ZONE 'UTC')::date + days_ahead, '1 day')::date LOOP
        CONTINUE WHEN to_regclass('millpond.job_history_' || to_char(day, 'YYYYMMDD')) IS NOT NULL;
        BEGIN
            EXECUTE format(
                'CREATE TABLE millpond.%I PARTITION OF millpond.job_history FOR VALUES FROM (%L) TO (%L)',
                'job_history_' || to_char(day, 'YYYYMMDD'),
                day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC');
        EXCEPTION WHEN check_violation THEN
            RAISE WARNING 'job_history_default holds rows of %, so that day gets no partition', day;
        END;
    END LOOP;
    FOR partition IN
        SELECT c.relname AS name, to_date(right(c.relname, 8), 'YYYYMMDD') AS day
          FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
         WHERE i.inhparent = 'millpond.job_history'::regclass AND c.relname ~ '_[0-9]{8}$'
    LOOP
        IF (partition.day + 1)::timestamp AT TIME ZONE 'UTC' <= keep_from THEN
            EXECUTE format('DROP TABLE millpond.%I', partition.name);
            dropped := dropped + 1;
        END IF;
    END LOOP;
    RETURN dropped;
END
$$;

SELECT millpond.maintain_history(7, '-infinity');
