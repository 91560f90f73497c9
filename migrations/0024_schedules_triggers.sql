-- Why: with `overlap = "skip"` a tick is left out while any job of its schedule is still to be done. Those of its ticks
-- stand in schedule_ticks; those that people made beside the ticks stand here, until they are done.
CREATE TABLE millpond.schedule_triggers (
    schedule text NOT NULL,
    job_id   uuid NOT NULL,
    CONSTRAINT schedule_triggers_pkey PRIMARY KEY (schedule, job_id)
);

-- The latest job alone does not tell.
ALTER TABLE millpond.schedules DROP COLUMN last_job_id;
