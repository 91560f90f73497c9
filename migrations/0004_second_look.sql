-- Why: what a second look at the engine found. A job takes its unique key back when it waits again, making and dropping
-- days of history never makes settlements queue up, lists and batches have indexes of their own, and `millpond.enqueue`
-- holds the bounds that the HTTP endpoint holds.

-- The unique key that a job was enqueued with. It gives the key up where its rule leaves a state out, or to one behind
-- it; this is what it takes back.
ALTER TABLE millpond.jobs ADD COLUMN unique_wanted text;

-- The key where nobody holds it. Volatile, so that it sees what the statement that calls it has done so far: of two
-- jobs put back together one takes their key. Another transaction may take it at the same moment; then jobs_unique
-- refuses the later one, which tries again.
CREATE FUNCTION millpond.free_unique_key(of_kind text, of_tenant text, wanted text) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF wanted IS NULL THEN
        RETURN NULL;
    END IF;
    PERFORM FROM millpond.jobs j
      WHERE j.kind = of_kind AND COALESCE(j.tenant, '') = COALESCE(of_tenant, '') AND j.unique_key = wanted;
    RETURN CASE WHEN NOT FOUND THEN wanted END;
END
$$;

-- Batches find the jobs of their key here; a job without a key pays nothing.
CREATE INDEX jobs_ready_key ON millpond.jobs (queue, kind, key, priority, run_at, id)
    WHERE state = 'ready' AND key IS NOT NULL;
-- Lists led by tenant or queue. What belongs to no tenant pays nothing for the first two.
CREATE INDEX job_history_tenant ON millpond.job_history (tenant, id) WHERE tenant IS NOT NULL;
CREATE INDEX dead_letters_tenant ON millpond.dead_letters (tenant, id) WHERE tenant IS NOT NULL;
CREATE INDEX dead_letters_queue ON millpond.dead_letters (queue, id);
-- Retention of what would only grow.
CREATE INDEX dead_groups_empty ON millpond.dead_groups (last_seen) WHERE open = 0;
CREATE INDEX replays_finished ON millpond.replays (finished_at) WHERE finished_at IS NOT NULL;

-- Makes the partitions for today and the days ahead and drops the oldest one that ended before `keep_from`; tells how
-- many were dropped, so that the caller asks until none is. A day whose rows went to the default partition already (no
-- leader for a week) keeps them there.
--
-- A new day is made apart and then attached, which locks out neither readers nor settlements. Dropping one locks all
-- of the history for a moment (beside a default partition nothing less will do), so it is the last thing done, one day
-- at a time. Whoever waits for a lock has all others wait behind it: so both wait a tenth of a second and leave it to
-- the next round.
CREATE OR REPLACE FUNCTION millpond.maintain_history(days_ahead integer, keep_from timestamptz) RETURNS integer
LANGUAGE plpgsql SET lock_timeout = '100ms' AS $$
DECLARE
    day     date;
    made    text;
    oldest  text;
BEGIN
    FOR day IN SELECT generate_series((now() AT TIME ZONE 'UTC')::date,
                                      (now() AT TIME ZONE 'UTC')::date + days_ahead, '1 day')::date LOOP
        made := 'job_history_' || to_char(day, 'YYYYMMDD');
        CONTINUE WHEN to_regclass('millpond.' || made) IS NOT NULL;
        BEGIN
            EXECUTE format('CREATE TABLE millpond.%I (LIKE millpond.job_history INCLUDING ALL)', made);
            EXECUTE format(
                'ALTER TABLE millpond.job_history ATTACH PARTITION millpond.%I FOR VALUES FROM (%L) TO (%L)',
                made, day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC');
        EXCEPTION
            WHEN check_violation THEN
                RAISE WARNING 'job_history_default holds rows of %, so that day gets no partition', day;
            WHEN lock_not_available THEN
                RAISE WARNING 'the history is in use, so % gets its partition in the next round', day;
        END;
    END LOOP;

    SELECT c.relname INTO oldest
      FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
     WHERE i.inhparent = 'millpond.job_history'::regclass AND c.relname ~ '_[0-9]{8}$'
       AND (to_date(right(c.relname, 8), 'YYYYMMDD') + 1)::timestamp AT TIME ZONE 'UTC' <= keep_from
     ORDER BY c.relname LIMIT 1;
    IF oldest IS NULL THEN
        RETURN 0;
    END IF;
    BEGIN
        EXECUTE format('DROP TABLE millpond.%I', oldest);
    EXCEPTION WHEN lock_not_available THEN
        RAISE WARNING 'the history is in use, so % is dropped in the next round', oldest;
        RETURN 0;
    END;
    RETURN 1;
END
$$;

-- A field of a payload as a key takes it; NULL where it is missing, null, or no single value.
CREATE FUNCTION millpond.field_text(payload jsonb, path text[]) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN jsonb_typeof(payload #> path) IN ('string', 'number', 'boolean') THEN payload #>> path END
$$;

-- Whether a text can be stored as a name: so many characters, none of them a control character.
CREATE FUNCTION millpond.is_name(name text, longest integer) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT length(name) BETWEEN 1 AND longest AND name !~ '[\u0001-\u001f\u007f-\u009f]'
$$;

-- As before, with the bounds of the HTTP endpoint, loops that end, and what a replaced job starts anew.
CREATE OR REPLACE FUNCTION millpond.enqueue(
    kind            text,
    payload         jsonb,
    queue           text DEFAULT NULL,
    priority        integer DEFAULT NULL,
    run_at          timestamptz DEFAULT NULL,
    delay           interval DEFAULT NULL,
    max_attempts    integer DEFAULT NULL,
    unique_key      text DEFAULT NULL,
    on_conflict     text DEFAULT NULL,
    tenant          text DEFAULT NULL,
    key             text DEFAULT NULL,
    tags            jsonb DEFAULT NULL,
    idempotency_key text DEFAULT NULL
) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = millpond, pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    known       millpond.kinds_seen;
    -- Who asks, for the idempotency key: the database's role and the tenant.
    client      text := 'sql:' || session_user || ':' || COALESCE(tenant, '');
    asked       bytea;
    earlier     millpond.idempotency_keys;
    job_id      uuid := millpond.new_job_id();
    due         timestamptz := GREATEST(COALESCE(run_at, now() + delay, now()), now());
    begins      text;
    held        smallint;
    clash       text;
    existing    record;
    result      text := 'created';
    is_done     boolean := false;
BEGIN
    SELECT * INTO known FROM millpond.kinds_seen k WHERE k.kind = enqueue.kind;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'unknown kind "%"', kind USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Kinds become known when a process that registers them starts; see SELECT kind FROM millpond.kinds_seen.';
    END IF;
    IF payload IS NULL THEN
        RAISE EXCEPTION 'the payload is null' USING ERRCODE = 'null_value_not_allowed', HINT = 'Pass ''{}'' for an empty payload.';
    END IF;
    queue := COALESCE(queue, known.queue);
    IF NOT EXISTS (SELECT FROM millpond.queues q WHERE q.name = queue) THEN
        RAISE EXCEPTION 'unknown queue "%"', queue USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Queues are those of jobs.toml; see SELECT name FROM millpond.queues.';
    END IF;
    IF run_at IS NOT NULL AND delay IS NOT NULL THEN
        RAISE EXCEPTION 'give run_at or delay, not both' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF due > now() + interval '10 years' THEN
        RAISE EXCEPTION 'the job would be due in more than ten years' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF priority NOT BETWEEN 0 AND 9 THEN
        RAISE EXCEPTION 'priority must be 0 (first) to 9, not %', priority USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF max_attempts NOT BETWEEN 1 AND 100 THEN
        RAISE EXCEPTION 'max_attempts must be 1 to 100, not %', max_attempts USING ERRCODE = 'invalid_parameter_value';
    END IF;
    key := COALESCE(key, millpond.field_text(payload, known.key_path));
    IF NOT (millpond.is_name(unique_key, 255) IS NOT FALSE AND millpond.is_name(idempotency_key, 255) IS NOT FALSE
            AND millpond.is_name(tenant, 255) IS NOT FALSE AND millpond.is_name(key, 255) IS NOT FALSE) THEN
        RAISE EXCEPTION 'unique_key, idempotency_key, tenant and key have 1 to 255 characters, none of them a control character'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- Not one condition: of two, either may be tried first.
    IF jsonb_typeof(tags) <> 'object' THEN
        RAISE EXCEPTION 'tags must be an object of texts' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF EXISTS (SELECT FROM jsonb_each(tags) t WHERE jsonb_typeof(t.value) <> 'string') THEN
        RAISE EXCEPTION 'tags must be an object of texts' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF (SELECT count(*) FROM jsonb_object_keys(tags)) > 20 THEN
        RAISE EXCEPTION 'there may be at most 20 tags' USING ERRCODE = 'program_limit_exceeded';
    END IF;
    IF EXISTS (SELECT FROM jsonb_each_text(tags) t
                WHERE NOT millpond.is_name(t.key, 60) OR NOT (t.value = '' OR millpond.is_name(t.value, 255))) THEN
        RAISE EXCEPTION 'names of tags have 1 to 60 characters, values at most 255, none of them a control character'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    tags := NULLIF(tags, '{}');
    IF octet_length(payload::text) > 1048576 THEN
        RAISE EXCEPTION 'the payload has % bytes, more than 1 MiB', octet_length(payload::text)
            USING ERRCODE = 'program_limit_exceeded';
    END IF;
    IF jsonb_path_exists(payload, 'strict $.**{32 to last}') THEN
        RAISE EXCEPTION 'the payload is nested more than 32 deep' USING ERRCODE = 'program_limit_exceeded';
    END IF;
    -- A payload that has so many members has twice as many bytes: most need not be counted.
    IF octet_length(payload::text) > 20000 THEN
        IF (SELECT count(*) FROM jsonb_path_query(payload, 'strict $.**{1 to last}')) > 10000 THEN
            RAISE EXCEPTION 'the payload has more than 10,000 members' USING ERRCODE = 'program_limit_exceeded';
        END IF;
    END IF;
    IF on_conflict IS NOT NULL AND on_conflict NOT IN ('keep', 'replace', 'reject', 'one_behind') THEN
        RAISE EXCEPTION 'on_conflict must be keep, replace, reject or one_behind, not "%"', on_conflict
            USING ERRCODE = 'invalid_parameter_value';
    END IF;

    held := 15;
    IF unique_key IS NULL AND known.unique_rule IS NOT NULL THEN
        SELECT string_agg(p.path ->> 0, ', ') INTO clash
          FROM jsonb_array_elements(known.unique_rule -> 'paths') AS p (path)
         WHERE jsonb_typeof(payload #> ARRAY(SELECT jsonb_array_elements_text(p.path))) IN ('object', 'array');
        IF clash IS NOT NULL THEN
            RAISE EXCEPTION 'the kind''s unique rule needs single values, and there is none at: %', clash
                USING ERRCODE = 'invalid_parameter_value';
        END IF;
        unique_key := millpond.unique_key_of(payload, known.unique_rule);
        held := (known.unique_rule ->> 'states')::smallint;
        on_conflict := COALESCE(on_conflict, known.unique_rule ->> 'on_conflict');
    END IF;
    on_conflict := COALESCE(on_conflict, 'keep');
    begins := CASE WHEN due <= now() THEN 'ready' ELSE 'scheduled' END;

    IF idempotency_key IS NOT NULL THEN
        asked := sha256(convert_to(concat_ws(chr(31), kind, payload, queue, priority, run_at, delay, max_attempts,
                                             unique_key, on_conflict, tenant, key, tags), 'UTF8'));
        -- Again where the earlier one was taken away (pruned, or freed by a refusal) between the two statements.
        FOR tries IN 1..10 LOOP
            INSERT INTO millpond.idempotency_keys AS k
                   (client, key, fingerprint, job_id, outcome, queue, state, run_at, expires_at)
            VALUES (client, idempotency_key, asked, job_id, result, queue, begins, due, now() + interval '24 hours')
            ON CONFLICT ON CONSTRAINT idempotency_keys_pkey DO UPDATE
               SET fingerprint = excluded.fingerprint, job_id = excluded.job_id, outcome = excluded.outcome,
                   queue = excluded.queue, state = excluded.state, run_at = excluded.run_at, expires_at = excluded.expires_at
             WHERE k.expires_at <= now();
            is_done := FOUND;
            EXIT WHEN is_done;
            SELECT * INTO earlier FROM millpond.idempotency_keys k WHERE k.client = client AND k.key = idempotency_key;
            CONTINUE WHEN NOT FOUND;
            IF earlier.fingerprint <> asked THEN
                RAISE EXCEPTION 'the idempotency key "%" was used for another request', idempotency_key
                    USING ERRCODE = 'unique_violation';
            END IF;
            RETURN earlier.job_id;
        END LOOP;
        IF NOT is_done THEN
            RAISE EXCEPTION 'the idempotency key "%" changes hands too fast', idempotency_key
                USING ERRCODE = 'serialization_failure', HINT = 'Try the transaction again.';
        END IF;
    END IF;

    is_done := false;
    FOR tries IN 1..10 LOOP
        INSERT INTO millpond.jobs AS j
               (id, queue, kind, state, priority, run_at, max_attempts, tenant, key, unique_key, unique_states,
                unique_wanted, payload, tags)
        VALUES (job_id, queue, kind, begins, COALESCE(priority, known.priority), due, max_attempts, tenant, key,
                unique_key, CASE WHEN unique_key IS NOT NULL THEN held END, unique_key, payload::text::json, tags)
        ON CONFLICT DO NOTHING; -- jobs_unique: its columns cannot be named here, variables have their names
        is_done := FOUND;
        EXIT WHEN is_done;

        SELECT j.id, j.state INTO existing FROM millpond.jobs j
         WHERE j.kind = enqueue.kind AND COALESCE(j.tenant, '') = COALESCE(enqueue.tenant, '')
           AND j.unique_key = enqueue.unique_key
           FOR UPDATE;
        CONTINUE WHEN NOT FOUND;
        IF on_conflict = 'reject' THEN
            RAISE EXCEPTION 'job % holds the unique key "%"', existing.id, unique_key USING ERRCODE = 'unique_violation';
        END IF;
        IF on_conflict = 'one_behind' AND existing.state = 'running' THEN
            UPDATE millpond.jobs j SET unique_key = NULL WHERE j.id = existing.id;
            CONTINUE;
        END IF;
        IF on_conflict = 'replace' AND existing.state <> 'running' THEN
            UPDATE millpond.jobs j
               SET payload = enqueue.payload::text::json, queue = enqueue.queue,
                   priority = COALESCE(enqueue.priority, known.priority), run_at = due,
                   state = begins, max_attempts = enqueue.max_attempts, key = enqueue.key, tags = enqueue.tags,
                   attempts_used = 0, progress = NULL, unique_states = held
             WHERE j.id = existing.id;
            result := 'replaced';
        ELSE
            result := 'deduplicated';
        END IF;
        job_id := existing.id;
        is_done := true;
        EXIT;
    END LOOP;
    IF NOT is_done THEN
        RAISE EXCEPTION 'the unique key "%" changes hands too fast', unique_key
            USING ERRCODE = 'serialization_failure', HINT = 'Try the transaction again.';
    END IF;

    IF idempotency_key IS NOT NULL AND result <> 'created' THEN
        UPDATE millpond.idempotency_keys k SET job_id = job_id, outcome = result
         WHERE k.client = client AND k.key = idempotency_key;
    END IF;
    RETURN job_id;
END
$$;
