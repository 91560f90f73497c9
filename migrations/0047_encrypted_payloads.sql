-- Why: payloads of kinds with `encrypt = true` lie encrypted. A sealed payload is a document of its own, `{"$sealed": "…"}`
-- with an envelope for its job in base64, in the column where all payloads lie: it goes with its job wherever that goes, and
-- jobs of other kinds pay nothing. Once its job has succeeded, was cancelled or is replayed, `{"$sealed": null}` stands in
-- its place.
--
-- The release before this one works beside this one as long as no kind is encrypted: it takes a sealed payload for one that
-- does not fit its kind. Nothing is encrypted by a migration.

ALTER TABLE millpond.kinds_seen
    -- Whether payloads lie encrypted; written by every process that registers the kind.
    ADD COLUMN encrypt boolean NOT NULL DEFAULT false;

-- The keys that payloads were sealed under, so that one that is still needed is not taken out unnoticed: a process that may
-- seal notes its newest key when it starts, and whoever seals everything anew takes out those that nothing lies under.
CREATE TABLE millpond.payload_keys (
    key_id     text PRIMARY KEY,
    first_used timestamptz NOT NULL DEFAULT now()
);

-- As before, but for kinds whose payloads are encrypted.
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
    account     text;
    turns_by    text;
    turn        text;
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
    -- The keys are the processes' alone, and what is stored here in the clear stays in backups and in the write-ahead log.
    IF known.encrypt THEN
        RAISE EXCEPTION 'payloads of the kind "%" are encrypted, which this function cannot do', kind
            USING ERRCODE = 'feature_not_supported', HINT = 'Enqueue it over HTTP, with an idempotency key that your transaction has stored.';
    END IF;
    IF payload IS NULL THEN
        RAISE EXCEPTION 'the payload is null' USING ERRCODE = 'null_value_not_allowed', HINT = 'Pass ''{}'' for an empty payload.';
    END IF;
    queue := COALESCE(queue, known.queue);
    SELECT q.fair_by INTO turns_by FROM millpond.queues q WHERE q.name = queue;
    IF NOT FOUND THEN
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
    -- What cannot be an account's name is none: nothing is refused for the sake of a field that a kind need not have.
    account := millpond.field_text(payload, known.account_path);
    IF NOT millpond.is_name(account, 255) THEN
        account := NULL;
    END IF;
    turn := CASE WHEN turns_by = 'tenant' THEN COALESCE(tenant, '') END;
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
                unique_wanted, payload, tags, account, fair)
        VALUES (job_id, queue, kind, begins, COALESCE(priority, known.priority), due, max_attempts, tenant, key,
                unique_key, CASE WHEN unique_key IS NOT NULL THEN held END, unique_key, payload::text::json, tags,
                account, turn)
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
                   attempts_used = 0, progress = NULL, unique_states = held,
                   account = account, fair = turn, parked_gate = NULL, parked_for = NULL
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
