//! Jobs of kinds that are known to nobody, or whose limits are kept in another queue than the one they wait in.

use sqlx::PgPool;

use super::{claim_all, claim_by, count, enqueue_all, keyed, limited, names, of_tenant, run};
use crate::{
    NewJob,
    store::{claim as plain, gates::rows::any_of},
    tests::fixture::{FAST, succeed, together, until, work},
};

const FAIR: &str = "[queues.default]\nfair_by = \"tenant\"\n";
/// Two attempts with one key of a kind whose jobs run together never run at once; and a queue in which it does not live.
const ELSEWHERE: &str = "[kinds.\"test.together\"]\nkey = \"name\"\nper_key_concurrency = 1\n[queues.other]\nconcurrency = 1\n";

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
    let known = of_tenant("b", "b");
    enqueue_all(&queue, [known]).await?;

    let claimed = claim_all(&db, "default", 1).await?;

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
            let claim = claim_by("default", &kinds);
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
