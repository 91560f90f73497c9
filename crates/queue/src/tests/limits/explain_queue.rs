//! What is told of a queue whose jobs wait: the gates that keep them, who holds each of these, and until when.

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    ONE_PER_KEY, claim_all, enqueue_all,
    explain::{TOGETHER, answer, idle_worker, of_account},
    keyed, limited, run,
};
use crate::{AdminError, Gate, tests::fixture::succeed};

/// A time as texts have it.
fn shown(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

// Fails when a queue is told of by its first job alone.
#[sqlx::test(migrations = "../../migrations")]
async fn a_queue_says_what_keeps_its_jobs(db: PgPool) -> anyhow::Result<()> {
    let config = format!("{ONE_PER_KEY}[queues.default]\nglobal_concurrency = 2");
    let queue = limited(&db, &config).await?;
    idle_worker(&db).await?;
    let idle = queue.explain_queue("default").await?;
    enqueue_all(&queue, (0..5).map(|n| keyed(&n.to_string(), "k"))).await?;
    claim_all(&db, "default", 10).await?;
    enqueue_all(&queue, [succeed("free")]).await?;

    let busy = queue.explain_queue("default").await?;
    let unknown = queue.explain_queue("nowhere").await;

    assert_eq!((idle.runnable, idle.ahead), (false, 0));
    assert!(idle.gates.iter().all(|gate| !gate.blocking), "{idle:?}");
    assert!(busy.runnable, "{busy:?}");
    assert_eq!(busy.ahead, 5);
    let blocking: Vec<Gate> = busy
        .gates
        .iter()
        .filter(|it| it.blocking)
        .map(|it| it.gate)
        .collect();
    assert_eq!(blocking, [Gate::KeyLimit]);
    let backlog = &answer(&busy, Gate::Backlog).detail;
    assert!(backlog.starts_with("1 job is ready; "), "{backlog}");
    let backlog = &answer(&idle, Gate::Backlog).detail;
    assert!(backlog.starts_with("no job is ready; "), "{backlog}");
    assert!(matches!(unknown, Err(AdminError::NotFound)));
    Ok(())
}

// Fails when it is not told which keys jobs wait for, when more than three are, and when the lease that ends first is not
// the one that counts.
#[sqlx::test(migrations = "../../migrations")]
async fn a_queue_says_who_takes_the_places_of_keys_and_until_when(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = limited(&db, ONE_PER_KEY).await?;
    idle_worker(&db).await?;
    let twice = ["a", "b", "c", "d", "e"].map(|key| [keyed("x", key), keyed("y", key)]);
    enqueue_all(&queue, twice.into_iter().flatten()).await?;
    enqueue_all(&queue, [keyed("z", "a")]).await?;
    claim_all(&db, "default", 20).await?;
    run(
        &db,
        "UPDATE millpond.jobs
            SET worker = (SELECT id FROM millpond.workers),
                lease_until = now() + CASE key WHEN 'b' THEN interval '1 minute' ELSE interval '2 minutes' END
          WHERE state = 'running'",
    )
    .await?;

    let told = queue.explain_queue("default").await?;

    let takers: Vec<(Uuid, DateTime<Utc>)> = sqlx::query_as(
        "SELECT id, lease_until FROM millpond.jobs WHERE state = 'running' ORDER BY key",
    )
    .fetch_all(&db)
    .await?;
    let groups = [("2 jobs", "a"), ("1 job", "b"), ("1 job", "c")];
    let groups = groups
        .iter()
        .zip(&takers)
        .map(|((jobs, key), (id, lease))| {
            let lease = shown(*lease);
            let taker = format!("job {id} runs on a host with a lease until {lease}");
            format!(
                "{jobs} with key {key} of test.work (1 of 1 places of the key are taken; {taker})"
            )
        });
    let groups: Vec<String> = groups.collect();
    let key_limit = answer(&told, Gate::KeyLimit);
    assert_eq!(
        key_limit.detail,
        format!("{}; 2 other jobs were found behind it", groups.join("; "))
    );
    assert!(key_limit.blocking && takers.len() == 5);
    assert_eq!(key_limit.until, Some(takers[1].1));
    Ok(())
}

// Fails when the limits of a kind are told as if there were none while no worker is there.
#[sqlx::test(migrations = "../../migrations")]
async fn a_queue_says_who_holds_its_gates_while_nobody_works(db: PgPool) -> anyhow::Result<()> {
    let queue = limited(&db, ONE_PER_KEY).await?;
    enqueue_all(&queue, ["x", "y"].map(|name| keyed(name, "k"))).await?;
    claim_all(&db, "default", 10).await?;

    let told = queue.explain_queue("default").await?;

    let key_limit = answer(&told, Gate::KeyLimit);
    assert!(key_limit.blocking && key_limit.until.is_some(), "{told:?}");
    assert!(
        key_limit
            .detail
            .starts_with("1 job with key k of test.work (1 of 1 places"),
        "{told:?}"
    );
    Ok(())
}

// Fails when the reason or the end of a budget is left out, when one account's stands for another's, and when the last
// end is told instead of the first.
#[sqlx::test(migrations = "../../migrations")]
async fn a_queue_says_which_budgets_are_dry_why_and_until_when(db: PgPool) -> anyhow::Result<()> {
    let queue = limited(&db, TOGETHER).await?;
    idle_worker(&db).await?;
    run(
        &db,
        "INSERT INTO millpond.budgets (name, account, paused_until, pause_reason)
         VALUES ('meta', 'a', now() + interval '2 hours', 'it asked for a pause'),
                ('meta', 'b', now() + interval '1 hour', 'it refused us')",
    )
    .await?;
    enqueue_all(&queue, ["a", "b", "b"].map(of_account)).await?;
    claim_all(&db, "default", 10).await?;

    let told = queue.explain_queue("default").await?;

    let ends = "SELECT paused_until FROM millpond.budgets ORDER BY account";
    let ends: Vec<DateTime<Utc>> = sqlx::query_scalar(ends).fetch_all(&db).await?;
    let budget = answer(&told, Gate::Budget);
    assert_eq!(
        budget.detail,
        format!(
            "1 job of test.together for account a (the budget meta: it asked for a pause; until {}); \
             2 jobs of test.together for account b (the budget meta: it refused us; until {})",
            shown(ends[0]),
            shown(ends[1])
        )
    );
    assert!(budget.blocking);
    assert_eq!(budget.until, Some(ends[1]));
    Ok(())
}

// Fails when a queue does not tell which accounts its jobs wait for, and when a gate that has opened is told as closed
// for the sake of what was noted.
#[sqlx::test(migrations = "../../migrations")]
async fn a_queue_says_who_holds_accounts_for_as_long_as_somebody_does(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = limited(&db, TOGETHER).await?;
    idle_worker(&db).await?;
    run(
        &db,
        "INSERT INTO millpond.holds (account, reason, by) VALUES ('a', 'its token expired', 'token.check')",
    )
    .await?;
    enqueue_all(&queue, [of_account("a")]).await?;
    claim_all(&db, "default", 10).await?;

    let held = queue.explain_queue("default").await?;
    let since = "DELETE FROM millpond.holds RETURNING since";
    let since: DateTime<Utc> = sqlx::query_scalar(since).fetch_one(&db).await?;
    let free = queue.explain_queue("default").await?;

    let since = shown(since);
    let gate = answer(&held, Gate::AccountHeld);
    assert_eq!(
        gate.detail,
        format!(
            "1 job for account a (token.check holds the account since {since}: its token expired)"
        )
    );
    assert!(gate.blocking && gate.until.is_none() && !held.runnable);
    let gate = answer(&free, Gate::AccountHeld);
    assert_eq!(
        gate.detail,
        "1 job was found behind it; it has opened since"
    );
    assert!(!gate.blocking && free.runnable, "{free:?}");
    Ok(())
}
