-- Why: upstream apps enqueue inside their own transaction. The function checks what the HTTP endpoint checks, except
-- the payload's schema (a payload that does not fit is a dead letter of class `invalid`), and rings no bell: a NOTIFY
-- in the caller's transaction would make commits queue up, and workers look every two seconds anyway.

-- A UUID of version 7, so that ids made here grow with time like those made by the processes.
CREATE FUNCTION millpond.new_job_id() RETURNS uuid
LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
    SELECT encode(
        set_bit(set_bit(
            overlay(uuid_send(gen_random_uuid())
                    PLACING substring(int8send(floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)
                    FROM 1 FOR 6),
            52, 1), 53, 1),
        'hex')::uuid
$$;

-- The unique key of a payload under a kind's rule; the processes build the same text.
CREATE FUNCTION millpond.unique_key_of(payload jsonb, rule jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT 'fields:' || encode(sha256(convert_to(string_agg(
               COALESCE(payload #>> ARRAY(SELECT jsonb_array_elements_text(path)), ''), chr(31) ORDER BY place), 'UTF8')), 'hex')
      FROM jsonb_array_elements(rule -> 'paths') WITH ORDINALITY AS p (path, place)
$$;

CREATE FUNCTION millpond.enqueue(
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
    IF length(unique_key) NOT BETWEEN 1 AND 255 OR length(idempotency_key) NOT BETWEEN 1 AND 255
       OR length(tenant) NOT BETWEEN 1 AND 255 OR length(key) NOT BETWEEN 1 AND 255 THEN
        RAISE EXCEPTION 'unique_key, idempotency_key, tenant and key have 1 to 255 characters'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF tags IS NOT NULL AND (jsonb_typeof(tags) <> 'object'
       OR EXISTS (SELECT FROM jsonb_each(tags) t WHERE jsonb_typeof(t.value) <> 'string')) THEN
        RAISE EXCEPTION 'tags must be an object of texts' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF octet_length(payload::text) > 1048576 THEN
        RAISE EXCEPTION 'the payload has % bytes, more than 1 MiB', octet_length(payload::text)
            USING ERRCODE = 'program_limit_exceeded';
    END IF;
    IF jsonb_path_exists(payload, 'strict $.**{32 to last}') THEN
        RAISE EXCEPTION 'the payload is nested more than 32 deep' USING ERRCODE = 'program_limit_exceeded';
    END IF;
    IF on_conflict IS NOT NULL AND on_conflict NOT IN ('keep', 'replace', 'reject', 'one_behind') THEN
        RAISE EXCEPTION 'on_conflict must be keep, replace, reject or one_behind, not "%"', on_conflict
            USING ERRCODE = 'invalid_parameter_value';
    END IF;

    key := COALESCE(key, payload #>> known.key_path);
    held := 15;
    IF unique_key IS NULL AND known.unique_rule IS NOT NULL THEN
        unique_key := millpond.unique_key_of(payload, known.unique_rule);
        held := (known.unique_rule ->> 'states')::smallint;
        on_conflict := COALESCE(on_conflict, known.unique_rule ->> 'on_conflict');
    END IF;
    on_conflict := COALESCE(on_conflict, 'keep');
    begins := CASE WHEN due <= now() THEN 'ready' ELSE 'scheduled' END;

    IF idempotency_key IS NOT NULL THEN
        asked := sha256(convert_to(concat_ws(chr(31), kind, payload, queue, priority, run_at, delay, max_attempts,
                                             unique_key, on_conflict, tenant, key, tags), 'UTF8'));
        INSERT INTO millpond.idempotency_keys AS k
               (client, key, fingerprint, job_id, outcome, queue, state, run_at, expires_at)
        VALUES (client, idempotency_key, asked, job_id, result, queue, begins, due, now() + interval '24 hours')
        ON CONFLICT ON CONSTRAINT idempotency_keys_pkey DO UPDATE
           SET fingerprint = excluded.fingerprint, job_id = excluded.job_id, outcome = excluded.outcome,
               queue = excluded.queue, state = excluded.state, run_at = excluded.run_at, expires_at = excluded.expires_at
         WHERE k.expires_at <= now();
        IF NOT FOUND THEN
            SELECT * INTO earlier FROM millpond.idempotency_keys k WHERE k.client = client AND k.key = idempotency_key;
            IF earlier.fingerprint <> asked THEN
                RAISE EXCEPTION 'the idempotency key "%" was used for another request', idempotency_key
                    USING ERRCODE = 'unique_violation';
            END IF;
            RETURN earlier.job_id;
        END IF;
    END IF;

    LOOP
        INSERT INTO millpond.jobs AS j
               (id, queue, kind, state, priority, run_at, max_attempts, tenant, key, unique_key, unique_states, payload, tags)
        VALUES (job_id, queue, kind, begins, COALESCE(priority, known.priority), due, max_attempts, tenant, key,
                unique_key, CASE WHEN unique_key IS NOT NULL THEN held END, payload::text::json, tags)
        ON CONFLICT DO NOTHING; -- jobs_unique: its columns cannot be named here, variables have their names
        EXIT WHEN FOUND;

        SELECT j.id, j.state INTO existing FROM millpond.jobs j
         WHERE j.kind = enqueue.kind AND COALESCE(j.tenant, '') = COALESCE(enqueue.tenant, '')
           AND j.unique_key = enqueue.unique_key
           FOR UPDATE;
        CONTINUE WHEN NOT FOUND;
        IF on_conflict = 'reject' THEN
            RAISE EXCEPTION 'job % holds the unique key "%"', existing.id, unique_key USING ERRCODE = 'unique_violation';
        END IF;
        IF on_conflict = 'one_behind' AND existing.state = 'running' THEN
            UPDATE millpond.jobs j SET unique_key = NULL, unique_states = NULL WHERE j.id = existing.id;
            CONTINUE;
        END IF;
        IF on_conflict = 'replace' AND existing.state <> 'running' THEN
            UPDATE millpond.jobs j
               SET payload = enqueue.payload::text::json, queue = enqueue.queue,
                   priority = COALESCE(enqueue.priority, known.priority), run_at = due,
                   state = begins, max_attempts = enqueue.max_attempts, key = enqueue.key, tags = enqueue.tags
             WHERE j.id = existing.id;
            result := 'replaced';
        ELSE
            result := 'deduplicated';
        END IF;
        job_id := existing.id;
        EXIT;
    END LOOP;

    IF idempotency_key IS NOT NULL AND result <> 'created' THEN
        UPDATE millpond.idempotency_keys k SET job_id = job_id, outcome = result
         WHERE k.client = client AND k.key = idempotency_key;
    END IF;
    RETURN job_id;
END
$$;

COMMENT ON FUNCTION millpond.enqueue IS
    'Stores a job in the caller''s transaction and returns its id. Grant USAGE on schema millpond and EXECUTE on this function to the app''s role.';
