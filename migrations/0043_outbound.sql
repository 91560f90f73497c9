-- Why: customers are told of what happens, at endpoints of their own. What is to be told lies in marketing.events; whoever takes
-- an event out makes a delivery of it for each endpoint that wants it, with its job, in one transaction. The release before this
-- one delivers nothing and reads none of these tables.

-- Of a job that died no account is known.
ALTER TABLE marketing.events ALTER COLUMN account DROP NOT NULL;

-- What others are told of a sync that has ended.
CREATE FUNCTION marketing.sync_as_told(s marketing.syncs) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT jsonb_strip_nulls(jsonb_build_object(
        'sync_id', s.id, 'state', s.state, 'mode', s.mode, 'level', s.level, 'granularity', s.granularity,
        'first_day', s.first_day, 'last_day', s.last_day, 'counts', s.counts, 'started_at', s.started_at,
        'finished_at', s.finished_at, 'error_class', s.error_class, 'error', s.error))
$$;

CREATE TABLE marketing.webhook_endpoints (
    id              uuid PRIMARY KEY,
    -- '' where it belongs to no tenant; it is told of what belongs to its own alone.
    tenant          text NOT NULL,
    url             text NOT NULL,
    description     text NOT NULL DEFAULT '',
    -- The sorts of events that it wants; empty: all.
    events          text[] NOT NULL DEFAULT '{}',
    -- Who is told when it is switched off.
    owner_email     text,
    status          text NOT NULL DEFAULT 'enabled',
    disabled_at     timestamptz,
    -- By whom: somebody's request, or because it only failed, or said itself that it is gone.
    disabled_by     text,
    disabled_reason text,
    -- The owner was told of it.
    told_at         timestamptz,
    -- Failures in a row, and since when there is nothing else.
    failures        integer NOT NULL DEFAULT 0,
    failing_since   timestamptz,
    -- It asked for a pause: nobody calls it before.
    paused_until    timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT webhook_endpoints_status CHECK (status IN ('enabled', 'disabled')),
    CONSTRAINT webhook_endpoints_disabled CHECK (CASE status WHEN 'disabled'
        THEN num_nulls(disabled_at, disabled_by, disabled_reason) = 0 ELSE num_nonnulls(disabled_at, disabled_by, disabled_reason) = 0 END),
    CONSTRAINT webhook_endpoints_disabled_by CHECK (disabled_by IN ('request', 'failures', 'gone'))
);
CREATE INDEX webhook_endpoints_tenant ON marketing.webhook_endpoints (tenant, id);
CREATE INDEX webhook_endpoints_failing ON marketing.webhook_endpoints (id) WHERE status = 'enabled' AND failing_since IS NOT NULL;
CREATE INDEX webhook_endpoints_untold ON marketing.webhook_endpoints (id)
    WHERE status = 'disabled' AND disabled_by <> 'request' AND told_at IS NULL;

-- What an endpoint's messages are signed with: all that have not ended, the newest first.
CREATE TABLE marketing.webhook_secrets (
    -- Grows with time.
    id         uuid PRIMARY KEY,
    endpoint   uuid NOT NULL,
    -- Sealed for marketing.webhook_secrets:id:secret.
    secret     bytea NOT NULL,
    -- NULL: it is the newest.
    expires_at timestamptz,
    CONSTRAINT webhook_secrets_endpoint FOREIGN KEY (endpoint) REFERENCES marketing.webhook_endpoints (id) ON DELETE CASCADE
);
CREATE INDEX webhook_secrets_of_endpoint ON marketing.webhook_secrets (endpoint, id);
CREATE INDEX webhook_secrets_expiry ON marketing.webhook_secrets (expires_at) WHERE expires_at IS NOT NULL;

-- An event for an endpoint. One of an endpoint that was deleted stays until retention takes it.
CREATE TABLE marketing.webhook_deliveries (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    -- Their order, in which they are listed.
    seq        bigint GENERATED ALWAYS AS IDENTITY,
    endpoint   uuid NOT NULL,
    tenant     text NOT NULL,
    -- NULL: a test, of no event.
    event_id   bigint,
    event      text NOT NULL,
    -- The very bytes that are sent and signed, on every attempt.
    body       text NOT NULL,
    state      text NOT NULL DEFAULT 'pending',
    -- How often it was tried, and since when: anew where it is sent again.
    attempts   integer NOT NULL DEFAULT 0,
    began_at   timestamptz,
    -- The newest 20 attempts, each with number, at, status, duration_ms and excerpt.
    log        jsonb NOT NULL DEFAULT '[]',
    created_at timestamptz NOT NULL DEFAULT now(),
    ended_at   timestamptz,
    -- missed: the endpoint was switched off.
    CONSTRAINT webhook_deliveries_state CHECK (state IN ('pending', 'succeeded', 'failed', 'missed')),
    CONSTRAINT webhook_deliveries_ended CHECK ((state = 'pending') = (ended_at IS NULL))
);
CREATE UNIQUE INDEX webhook_deliveries_event ON marketing.webhook_deliveries (endpoint, event_id);
CREATE INDEX webhook_deliveries_of_endpoint ON marketing.webhook_deliveries (endpoint, seq);
CREATE INDEX webhook_deliveries_failed ON marketing.webhook_deliveries (endpoint, began_at) WHERE state = 'failed';
CREATE INDEX webhook_deliveries_age ON marketing.webhook_deliveries (created_at);

-- The engine knows nothing of endpoints, and its dead letters come from several statements: what follows from them here follows
-- in their transaction, once for all jobs that died together. Where no endpoint of the tenant wants to hear of dead jobs, nothing
-- is written. A delivery that died is no event: who cannot be told would be told of that.
CREATE FUNCTION marketing.jobs_died() RETURNS trigger
LANGUAGE plpgsql SET search_path = marketing, pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO marketing.events (kind, tenant, data)
    SELECT 'job.dead', COALESCE(d.tenant, ''),
           jsonb_build_object('job_id', d.id, 'kind', d.kind, 'queue', d.queue, 'error_class', d.error_class,
                              'error', left(d.error, 500), 'attempts', d.attempts_used, 'replay_of', d.replay_of)
      FROM died d
     WHERE d.kind NOT IN ('webhook.deliver', 'webhook.fanout')
       AND EXISTS (SELECT FROM marketing.webhook_endpoints e
                    WHERE e.tenant = COALESCE(d.tenant, '') AND (e.events = '{}' OR 'job.dead' = ANY (e.events)))
     ORDER BY d.id;

    -- A sync whose job died stays open, for the next job to go on with: here and nowhere else it is known that this one will not.
    -- What a payload says may be anything where people enqueue it, so it is looked at as text: PostgreSQL refuses to take one
    -- apart that has the character U+0000 anywhere, and the job could never be buried.
    INSERT INTO marketing.events (kind, tenant, account, data)
    SELECT 'sync.failed', a.tenant, a.id,
           marketing.sync_as_told(s) || jsonb_build_object('state', 'failed', 'error_class', gone.error_class,
                                                           'error', left(gone.error, 500))
      FROM (SELECT d.id, d.error_class, d.error,
                   substring(d.payload::text FROM '"account_id"\s*:\s*"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"')::uuid AS account
              FROM died d WHERE d.kind IN ('sync.account', 'sync.insights')) AS gone
      JOIN marketing.syncs s ON s.account = gone.account AND s.state = 'running' AND s.job = gone.id
      JOIN marketing.accounts a ON a.id = s.account
     ORDER BY s.id;

    UPDATE marketing.webhook_deliveries w
       SET state = 'failed', ended_at = now()
      FROM (SELECT substring(d.payload::text FROM '"delivery_id"\s*:\s*"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"')::uuid AS delivery,
                   COALESCE(d.tenant, '') AS tenant
              FROM died d WHERE d.kind = 'webhook.deliver') AS gone
     WHERE w.id = gone.delivery AND w.tenant = gone.tenant AND w.state = 'pending';
    RETURN NULL;
END
$$;

CREATE TRIGGER jobs_died AFTER INSERT ON millpond.dead_letters
    REFERENCING NEW TABLE AS died FOR EACH STATEMENT EXECUTE FUNCTION marketing.jobs_died();
