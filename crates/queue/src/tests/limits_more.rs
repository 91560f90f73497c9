//! Limits where something else goes on at the same time: jobs that somebody else has locked, kinds that live elsewhere or
//! are known to nobody, limits that change under way, claims that stop in their midst, tenants that ask.

use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use uuid::Uuid;

use super::fixture::{FAST, engine, succeed, together, until, work};
use crate::{
    Explanation, Gate, GateAnswer, NewJob, Queue,
    gates::{self, Ask, Claimed, Sweep},
    store::{
        claim::{self as plain, Claim, ClaimedRow},
        gates::rows::any_of,
        settle::{self, Ended},
    },
};

/// Two attempts with one key never run at once.
const ONE_PER_KEY: &str = "[kinds.\"test.work\"]\nkey = \"name\"\nper_key_concurrency = 1\n";
/// The same of a kind whose jobs run together, and a queue in which it does not live.
const ELSEWHERE: &str = "[kinds.\"test.together\"]\nkey = \"name\"\nper_key_concurrency = 1\n[queues.other]\nconcurrency = 1\n";
const FAIR: &str = "[queues.default]\nfair_by = \"tenant\"\n";

/// An engine whose limits every process knows.
async fn limited(db: &PgPool, config: &str) -> anyhow::Result<Queue> {
    let queue = engine(db, config);
    queue.announce().await?;
    Ok(queue)
}

fn claim_by(kinds: &[String]) -> Claim<'_> {
    Claim {
        queue: "default",
        worker: Uuid::new_v4(),
        ttl_seconds: 60.0,
        kinds,
    }
}

/// Claims one job as a feeder does, and goes on where it was left.
async fn claim_on(conn: &mut PgConnection, sweep: &mut Sweep) -> anyhow::Result<Claimed> {
    let kinds = ["test.work".to_owned(), "test.together".to_owned()];
    let ask = Ask {
        claim: &claim_by(&kinds),
        most: 1,
    };
    Ok(gates::claim(conn, &ask, sweep).await?)
}

/// Claims one by one until a claim says that the next one would give nothing.
async fn claim_all(db: &PgPool) -> anyhow::Result<Vec<ClaimedRow>> {
    let mut conn = db.acquire().await?;
    let mut sweep = Sweep::default();
    let mut rows = Vec::new();
    loop {
        let claimed = claim_on(&mut conn, &mut sweep).await?;
        rows.extend(claimed.rows);
        if !claimed.goes_on {
            return Ok(rows);
        }
    }
}

async fn settle(db: &PgPool, jobs: &[ClaimedRow]) -> anyhow::Result<()> {
    let ended = Ended {
        ids: jobs.iter().map(|job| job.id).collect(),
        tokens: jobs.iter().map(|job| job.token).collect(),
        ..Ended::default()
    };
    settle::delete(db, "default", &ended).await?;
    Ok(())
}

async fn run(db: &PgPool, sql: &str) -> anyhow::Result<()> {
    sqlx::raw_sql(sql).execute(db).await?;
    Ok(())
}

/// How many jobs are like this.
async fn count(db: &PgPool, like: &str) -> anyhow::Result<i64> {
    let sql = format!("SELECT count(*) FROM millpond.jobs WHERE {like}");
    Ok(sqlx::query_scalar(&sql).fetch_one(db).await?)
}

/// The names in the payloads of claimed jobs, in the order in which they were claimed.
fn names(jobs: &[ClaimedRow]) -> Vec<String> {
    let name = |job: &ClaimedRow| {
        let payload: serde_json::Value = serde_json::from_str(&job.payload).unwrap_or_default();
        payload["name"].as_str().unwrap_or_default().to_owned()
    };
    jobs.iter().map(name).collect()
}

fn keyed(name: &str, key: &str) -> NewJob {
    NewJob {
        key: Some(key.to_owned()),
        ..succeed(name)
    }
}

async fn enqueue_all(queue: &Queue, jobs: impl IntoIterator<Item = NewJob>) -> anyhow::Result<()> {
    for job in jobs {
        queue.enqueue(job, None).await?;
    }
    Ok(())
}

/// Somebody whose transaction has this job locked, such as one that enqueues behind it.
async fn lock(db: &PgPool, name: &str) -> anyhow::Result<Transaction<'static, Postgres>> {
    let mut somebody = db.begin().await?;
    sqlx::query("SELECT FROM millpond.jobs WHERE payload ->> 'name' = $1 FOR UPDATE")
        .bind(name)
        .execute(&mut *somebody)
        .await?;
    Ok(somebody)
}

// Fails when a claim that keeps limits takes the first jobs or none.
#[sqlx::test(migrations = "../../migrations")]
async fn a_job_that_somebody_has_locked_holds_up_no_other_of_a_limited_queue(
    db: PgPool,
) -> anyhow::Result<()> {
    for limit in ["global_concurrency = 1", "fair_by = \"tenant\""] {
        let queue = limited(&db, &format!("[queues.default]\n{limit}")).await?;
        let urgent = NewJob {
            priority: Some(0),
            ..succeed("locked")
        };
        enqueue_all(&queue, [urgent, succeed("free")]).await?;
        let somebody = lock(&db, "locked").await?;

        let claimed = claim_all(&db).await?;

        somebody.rollback().await?;
        assert_eq!(names(&claimed), ["free"], "{limit}");
        run(&db, "DELETE FROM millpond.jobs").await?;
    }
    Ok(())
}

// Fails when of the jobs that a gate kept no more are looked at than may start.
#[sqlx::test(migrations = "../../migrations")]
async fn a_job_that_somebody_has_locked_holds_up_no_other_of_its_key(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = limited(&db, ONE_PER_KEY).await?;
    enqueue_all(&queue, ["runs", "locked", "next"].map(|it| keyed(it, "k"))).await?;
    let running = claim_all(&db).await?;
    settle(&db, &running).await?;
    let somebody = lock(&db, "locked").await?;

    let claimed = claim_all(&db).await?;

    somebody.rollback().await?;
    assert_eq!(
        (names(&running), count(&db, "true").await?),
        (vec!["runs".to_owned()], 2)
    );
    assert_eq!(names(&claimed), ["next"]);
    Ok(())
}

// Fails when a claim that could note nothing says that the next one would give more: a feeder then asks without a rest.
#[sqlx::test(migrations = "../../migrations")]
async fn a_kept_job_that_somebody_has_locked_is_looked_at_again_after_a_moment(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = limited(&db, ONE_PER_KEY).await?;
    enqueue_all(&queue, ["runs", "locked"].map(|it| keyed(it, "k"))).await?;
    let mut conn = db.acquire().await?;
    let mut sweep = Sweep::default();
    claim_on(&mut conn, &mut sweep).await?;
    let somebody = lock(&db, "locked").await?;

    let crowded = claim_on(&mut conn, &mut sweep).await?;
    somebody.rollback().await?;
    let quiet = claim_on(&mut conn, &mut sweep).await?;

    assert!(!crowded.goes_on && crowded.wait.is_some(), "{crowded:?}");
    assert!(quiet.goes_on, "{quiet:?}");
    assert_eq!(count(&db, "parked_gate = 'key_limit'").await?, 1);
    Ok(())
}

// Fails when a claim looks at the first lines whoever can run their jobs: one that none can run is first for ever.
#[sqlx::test(migrations = "../../migrations")]
async fn a_tenant_whose_jobs_nobody_can_run_holds_up_no_other(db: PgPool) -> anyhow::Result<()> {
    let queue = limited(&db, FAIR).await?;
    run(
        &db,
        "INSERT INTO millpond.jobs (id, queue, kind, state, priority, run_at, payload, tenant, fair)
         SELECT millpond.new_job_id(), 'default', 'test.unknown', 'ready', 5, now(), '{}', t, t
           FROM unnest(ARRAY['a', 'z']) AS t, generate_series(1, 3)",
    )
    .await?;
    let known = NewJob {
        tenant: Some("b".to_owned()),
        ..succeed("b")
    };
    enqueue_all(&queue, [known]).await?;

    let claimed = claim_all(&db).await?;

    assert_eq!(names(&claimed), ["b"]);
    Ok(())
}

// Fails when the mates of a job come without a look at their limits where the job's kind does not live.
#[sqlx::test(migrations = "../../migrations")]
async fn a_limit_per_key_holds_for_a_batch_in_whatever_queue_it_is(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = limited(&db, &format!("{FAST}{ELSEWHERE}")).await?;
    // More than a claim looks at: those behind are noted by none.
    let strays = (0..55).map(|n| NewJob {
        queue: Some("other".to_owned()),
        ..together(&n.to_string(), "k")
    });
    enqueue_all(&queue, strays).await?;

    let (workers, app) = work(&queue).await?;
    until("all have run", || async {
        Ok(count(&db, "true").await? == 0)
    })
    .await?;

    let batches = app
        .batches
        .lock()
        .expect("no test panics while it holds this")
        .clone();
    assert_eq!(batches, [1; 55]);
    workers.drain().await;
    Ok(())
}

// Fails when a process that does not know of a limit yet can fill a batch past it.
#[sqlx::test(migrations = "../../migrations")]
async fn a_limited_queue_gives_no_mates_to_whoever_does_not_keep_its_limits(
    db: PgPool,
) -> anyhow::Result<()> {
    let kinds = ["test.work".to_owned()];
    let queue = limited(&db, "[queues.default]\nglobal_concurrency = 1").await?;
    enqueue_all(&queue, [keyed("a", "k"), succeed("b")]).await?;
    let mut given = Vec::new();
    for config in ["[queues.default]\nglobal_concurrency = 1", ""] {
        limited(&db, config).await?;
        for key in [Some("k"), None] {
            let claim = claim_by(&kinds);
            let mates = plain::mates(&db, &claim, "test.work", key, 10).await?;
            given.push(mates.len());
        }
    }

    assert_eq!(given, [0, 0, 1, 1]);
    Ok(())
}

// Fails when jobs of a kind with limits are looked for only where a queue gives nothing else.
#[sqlx::test(migrations = "../../migrations")]
async fn a_job_whose_kind_has_limits_has_its_turn_in_a_busy_queue_without_any(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = limited(&db, &format!("{FAST}{ELSEWHERE}")).await?;
    run(
        &db,
        "INSERT INTO millpond.jobs (id, queue, kind, state, priority, run_at, payload)
         SELECT millpond.new_job_id(), 'other', 'test.work', 'ready', 5, now() - interval '1 hour',
                '{\"do\": \"succeed\", \"name\": \"x\"}'
           FROM generate_series(1, 50000)",
    )
    .await?;
    let stray = NewJob {
        queue: Some("other".to_owned()),
        priority: Some(0),
        ..together("stray", "k")
    };
    enqueue_all(&queue, [stray]).await?;

    let (workers, _) = work(&queue).await?;
    until("the stray has run", || async {
        Ok(count(&db, "kind = 'test.together'").await? == 0)
    })
    .await?;

    assert!(count(&db, "queue = 'other'").await? > 0);
    workers.drain().await;
    Ok(())
}

// Fails when all that a paused queue holds is read at every call for work, to learn whether a kind with limits is there.
#[sqlx::test(migrations = "../../migrations")]
async fn nothing_is_looked_for_in_a_paused_queue(db: PgPool) -> anyhow::Result<()> {
    let queue = limited(&db, "").await?;
    enqueue_all(&queue, [succeed("x")]).await?;
    let kinds = ["test.work".to_owned()];
    let pause =
        "UPDATE millpond.queues SET paused_at = now(), paused_by = 'test' WHERE name = 'default'";

    let open = any_of(&db, "default", &kinds).await?;
    run(&db, pause).await?;
    let paused = any_of(&db, "default", &kinds).await?;

    assert_eq!((open, paused), (true, false));
    Ok(())
}

// Fails when attempts that were started before their kind had a limit take no place.
#[sqlx::test(migrations = "../../migrations")]
async fn what_runs_when_a_limit_per_key_comes_counts(db: PgPool) -> anyhow::Result<()> {
    let before = limited(&db, "").await?;
    enqueue_all(&before, ["runs", "waits"].map(|it| keyed(it, "k"))).await?;
    let kinds = ["test.work".to_owned()];
    let running = plain::next(&db, &claim_by(&kinds), 1).await?;

    limited(&db, ONE_PER_KEY).await?;
    let too_early = claim_all(&db).await?;
    settle(&db, &running).await?;
    let in_time = claim_all(&db).await?;

    assert_eq!((running.len(), too_early.len()), (1, 0));
    assert_eq!(names(&in_time), ["waits"]);
    Ok(())
}

// Fails when starts count on from the end of a part of the span that holds no more: a part of a day is a quarter of an hour.
#[sqlx::test(migrations = "../../migrations")]
async fn another_rate_holds_for_what_was_started_under_a_slower_one(
    db: PgPool,
) -> anyhow::Result<()> {
    let slow = limited(&db, "[queues.default]\nrate = \"5/d\"").await?;
    enqueue_all(&slow, (0..10).map(|n| succeed(&n.to_string()))).await?;
    let first = claim_all(&db).await?;
    let none = claim_all(&db).await?;

    limited(&db, "[queues.default]\nrate = \"5/s\"").await?;

    assert_eq!((first.len(), none.len()), (5, 0));
    until("the second is over", || async {
        claim_all(&db).await?;
        Ok(count(&db, "state = 'running'").await? == 10)
    })
    .await
}

// Fails when a claim relies on what its session is set to: behind a pooler in transaction mode that is nothing, and a
// process that stops in the midst of a claim would hold up its queue for as long as it is stopped.
#[sqlx::test(migrations = "../../migrations")]
async fn a_claim_under_limits_is_ended_where_its_process_stops(db: PgPool) -> anyhow::Result<()> {
    let queue = limited(&db, "[queues.default]\nglobal_concurrency = 5").await?;
    enqueue_all(&queue, ["a", "b"].map(|it| keyed(it, "k"))).await?;
    run(
        &db,
        "CREATE TABLE public.seen (idle text, lock text);
         CREATE FUNCTION public.see() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             INSERT INTO public.seen
             VALUES (current_setting('idle_in_transaction_session_timeout'), current_setting('lock_timeout'));
             RETURN NEW;
         END $$;
         CREATE TRIGGER see BEFORE UPDATE ON millpond.jobs FOR EACH ROW EXECUTE FUNCTION public.see()",
    )
    .await?;
    let kinds = ["test.work".to_owned()];
    let ask = Ask {
        claim: &claim_by(&kinds),
        most: 1,
    };
    let mut conn = db.acquire().await?;

    claim_on(&mut conn, &mut Sweep::default()).await?;
    let mates = gates::mates(&mut conn, &ask, ("test.work", "k")).await?;

    let seen: Vec<(String, String)> = sqlx::query_as("SELECT idle, lock FROM public.seen")
        .fetch_all(&db)
        .await?;
    let afterwards: String = sqlx::query_scalar("SELECT current_setting('lock_timeout')")
        .fetch_one(&mut *conn)
        .await?;
    let two_seconds = || ("2s".to_owned(), "2s".to_owned());
    assert_eq!(mates.len(), 1);
    assert_eq!(seen, [two_seconds(), two_seconds()]);
    assert_ne!(afterwards, "2s");
    Ok(())
}

fn answer(told: &Explanation, gate: Gate) -> &GateAnswer {
    let mut gates = told.gates.iter();
    gates
        .find(|answer| answer.gate == gate)
        .expect("every gate is told")
}

/// A live worker of the queue `default`.
async fn idle_worker(db: &PgPool) -> anyhow::Result<()> {
    run(
        db,
        "INSERT INTO millpond.workers (id, host, pid, version, roles, kinds, slots)
         VALUES (gen_random_uuid(), 'a host', 1, 'test', '{worker}', '{test.work,test.together}', '{\"default\": 10}')",
    )
    .await
}

// Fails when the limits of a kind are told as if there were none while no worker is there.
#[sqlx::test(migrations = "../../migrations")]
async fn limits_are_told_while_nobody_works(db: PgPool) -> anyhow::Result<()> {
    let queue = limited(&db, ONE_PER_KEY).await?;
    enqueue_all(&queue, [keyed("runs", "k")]).await?;
    claim_all(&db).await?;
    let id = queue.enqueue(keyed("waits", "k"), None).await?.id;

    let told = queue.explain_job(id, None).await?;

    let key_limit = answer(&told, Gate::KeyLimit);
    assert!(key_limit.blocking, "{told:?}");
    assert!(key_limit.detail.starts_with("1 of 1 places"), "{told:?}");
    assert!(answer(&told, Gate::NoWorker).blocking && !told.runnable);
    Ok(())
}

// Fails when a tenant learns how many attempts of others run, or how many calls they made.
#[sqlx::test(migrations = "../../migrations")]
async fn a_tenant_is_told_no_numbers_that_others_have_a_part_in(db: PgPool) -> anyhow::Result<()> {
    let config = format!(
        "{ONE_PER_KEY}budget = \"meta\"\n[queues.default]\nglobal_concurrency = 7\nrate = \"90/h\"\n"
    );
    let queue = limited(&db, &config).await?;
    idle_worker(&db).await?;
    enqueue_all(&queue, ["x", "y"].map(|key| keyed(key, key))).await?;
    claim_all(&db).await?;
    run(
        &db,
        "INSERT INTO millpond.budgets (name, account, dry_until, dry_detail, dry_for_urgent, dry_under)
         VALUES ('meta', '', now() + interval '1 hour', '9 of 10 calls a day are used', true, 'x')",
    )
    .await?;
    let own = NewJob {
        tenant: Some("a".to_owned()),
        ..keyed("own", "x")
    };
    let id = queue.enqueue(own, None).await?.id;

    let told = queue.explain_job(id, Some("a")).await?;

    let has_number = |gate: &&GateAnswer| gate.detail.chars().any(|c| c.is_ascii_digit());
    let of_workers = |gate: &&GateAnswer| gate.gate != Gate::NoWorker;
    let numbers: Vec<&GateAnswer> = told
        .gates
        .iter()
        .filter(of_workers)
        .filter(has_number)
        .collect();
    assert!(numbers.is_empty(), "{numbers:?}");
    assert!(answer(&told, Gate::KeyLimit).blocking && answer(&told, Gate::Budget).blocking);
    Ok(())
}

// Fails when the end of one of several reasons is told, whichever that is.
#[sqlx::test(migrations = "../../migrations")]
async fn a_budget_that_is_dry_for_two_reasons_tells_the_one_that_lasts(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = limited(&db, "[kinds.\"test.work\"]\nbudget = \"meta\"").await?;
    idle_worker(&db).await?;
    for (short, long) in [("paused", "dry"), ("dry", "paused")] {
        run(
            &db,
            &format!(
                "DELETE FROM millpond.budgets;
                 INSERT INTO millpond.budgets (name, account, paused_until, pause_reason, dry_until, dry_detail, dry_for_urgent,
                                               dry_under)
                 VALUES ('meta', '', now(), 'paused', now(), 'dry', true, 'x');
                 UPDATE millpond.budgets
                    SET {short}_until = now() + interval '1 hour', {long}_until = now() + interval '2 hours'"
            ),
        )
        .await?;
        let id = queue.enqueue(succeed("x"), None).await?.id;

        let told = queue.explain_job(id, None).await?;

        let budget = answer(&told, Gate::Budget);
        assert_eq!(budget.detail, format!("the budget meta: {long}"));
    }
    Ok(())
}
