-- Why: nearly every job succeeds at its first attempt, and a document that says so was a quarter of what its history
-- wrote and took as long to build as all else. A finished job's last attempt stands in the row's own columns now, and
-- `attempts` holds those before it: NULL where there are none.
--
-- The release before this one works beside this one. It writes rows as before, with every attempt in `attempts`. Of rows
-- as they are now it shows each attempt but the last, and in lists the failure of the attempt before that. Nothing is
-- decided by what it misses: it looks for an attempt only where it may have stored it itself.

ALTER TABLE millpond.job_history
    -- The number of the last attempt; NULL where that stands in `attempts`, because it has an error to tell or the row
    -- is from before.
    ADD COLUMN attempt integer,
    -- Who made it; NULL where `attempt` is.
    ADD COLUMN worker uuid;

-- All attempts of a finished job, the oldest first, as `jobs` and `dead_letters` hold theirs. The planner puts it in the
-- place of the call, so that it reads only the columns that it names.
CREATE FUNCTION millpond.attempts_of(job millpond.job_history) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN job.attempt IS NULL THEN job.attempts
                ELSE COALESCE(job.attempts, '[]') || jsonb_build_object(
                    'number', job.attempt, 'started_at', job.started_at, 'finished_at', job.finished_at,
                    'outcome', job.state, 'error_class', NULL, 'error', NULL, 'worker', job.worker) END
$$;
