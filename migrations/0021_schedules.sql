-- Why: each tick of a schedule becomes at most one job of the whole fleet. A tick and its job are one transaction, which
-- begins where the last one ended (`evaluated_until`), so that no hand-over between processes loses or doubles a tick.

CREATE TABLE millpond.schedules (
    name            text PRIMARY KEY,
    -- Up to this moment every tick is decided. It also moves on while nothing ticks, so that a schedule whose times are
    -- changed begins with the change.
    evaluated_until timestamptz NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    -- When the configuration in force had it no more; what is known of it stays for a while.
    removed_at      timestamptz,
    paused_at       timestamptz,
    paused_by       text,
    pause_reason    text,
    -- Whoever resumes it ends the pause here: ticks of the pause that nobody has decided yet are left out all the same.
    paused_until    timestamptz,
    last_tick       timestamptz,
    last_outcome    text,
    -- The job of the latest tick that has one; its tick may be an earlier one than last_tick.
    last_job_id     uuid,
    -- When the latest job of a tick succeeded.
    last_success_at timestamptz,
    CONSTRAINT schedules_paused_by_someone CHECK ((paused_at IS NULL) = (paused_by IS NULL)),
    CONSTRAINT schedules_last_tick CHECK ((last_tick IS NULL) = (last_outcome IS NULL))
) WITH (fillfactor = 50);

CREATE TABLE millpond.schedule_ticks (
    schedule   text NOT NULL,
    tick       timestamptz NOT NULL,
    outcome    text NOT NULL,
    job_id     uuid,
    -- Why there is no job.
    detail     text,
    decided_at timestamptz NOT NULL DEFAULT now(),
    -- What became of its job, once that is known; `gone` where nothing of it is left.
    ended      text,
    CONSTRAINT schedule_ticks_pkey PRIMARY KEY (schedule, tick),
    CONSTRAINT schedule_ticks_outcome CHECK (outcome IN ('enqueued', 'deduplicated', 'coalesced', 'skipped_overlap',
                                                         'skipped_misfire', 'skipped_paused', 'refused')),
    CONSTRAINT schedule_ticks_has_job CHECK ((job_id IS NOT NULL) = (outcome IN ('enqueued', 'deduplicated'))),
    CONSTRAINT schedule_ticks_ended CHECK (ended IN ('succeeded', 'cancelled', 'dead', 'gone')),
    CONSTRAINT schedule_ticks_job_ended CHECK (ended IS NULL OR job_id IS NOT NULL)
);

-- No job is made for two ticks.
CREATE UNIQUE INDEX schedule_ticks_job ON millpond.schedule_ticks (job_id) WHERE outcome = 'enqueued';
-- The leader asks here what became of jobs.
CREATE INDEX schedule_ticks_open ON millpond.schedule_ticks (schedule, tick) WHERE job_id IS NOT NULL AND ended IS NULL;
