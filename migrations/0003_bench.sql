-- Why: `millpond bench` measures what PostgreSQL can do at most on a table of its own, narrow, with one partial index.
-- It is empty except while the benchmark runs.

CREATE TABLE millpond.bench_jobs (
    id          uuid PRIMARY KEY,
    queue       text NOT NULL,
    state       text NOT NULL DEFAULT 'ready',
    priority    smallint NOT NULL DEFAULT 5,
    run_at      timestamptz NOT NULL DEFAULT now(),
    lease_token uuid,
    lease_until timestamptz,
    payload     json NOT NULL
) WITH (fillfactor = 75, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0);

CREATE INDEX bench_jobs_ready ON millpond.bench_jobs (queue, priority, run_at, id) WHERE state = 'ready';
