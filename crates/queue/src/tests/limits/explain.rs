//! What is told of a job that is not running: each gate once, with who holds it and until when.

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use super::{ONE_PER_KEY, claim_all, enqueue_all, keyed, limited, of_tenant, run};
use crate::{
    AdminError, Explanation, Gate, GateAnswer, JobId, NewJob, Queue, Start,
    tests::fixture::{actor, job, succeed},
};

pub(super) const TOGETHER: &str =
    "[kinds.\"test.together\"]\naccount = \"name\"\nbudget = \"meta\"\n";

/// A live worker of the queue `default`.
async fn worker(db: &PgPool, slots: i64, kinds: &[&str]) -> anyhow::Result<()> {
    let kinds: Vec<String> = kinds.iter().map(|kind| (*kind).to_owned()).collect();
    sqlx::query(
        "INSERT INTO millpond.workers (id, host, pid, version, roles, kinds, slots)
         VALUES (gen_random_uuid(), 'a host', 1, 'test', '{worker}', $1, jsonb_build_object('default', $2::int8))",
    )
    .bind(kinds)
    .bind(slots)
    .execute(db)
    .await?;
    Ok(())
}

pub(super) async fn idle_worker(db: &PgPool) -> anyhow::Result<()> {
    worker(db, 10, &["test.work", "test.together"]).await
}

async fn explained(queue: &Queue, job: NewJob) -> anyhow::Result<Explanation> {
    let id = queue.enqueue(job, None).await?.id;
    Ok(queue.explain_job(id, None).await?)
}

/// What is told of a gate.
pub(super) fn answer(told: &Explanation, gate: Gate) -> &GateAnswer {
    let mut gates = told.gates.iter();
    let answer = gates.find(|answer| answer.gate == gate);
    answer.expect("every gate is told")
}

/// The one gate that keeps a job.
fn kept_by(explanation: &Explanation) -> &GateAnswer {
    let blocking: Vec<&GateAnswer> = explanation
        .gates
        .iter()
        .filter(|gate| gate.blocking)
        .collect();
    assert_eq!(blocking.len(), 1, "{explanation:?}");
    assert!(!explanation.runnable, "{explanation:?}");
    blocking[0]
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_job_that_nothing_keeps_should_start_now(db: PgPool) -> anyhow::Result<()> {
    let queue = limited(&db, "").await?;
    idle_worker(&db).await?;

    let told = explained(&queue, succeed("x")).await?;

    let gates: Vec<Gate> = told.gates.iter().map(|gate| gate.gate).collect();
    assert_eq!(gates, Gate::ALL);
    assert!(told.runnable && told.expected_start.is_some());
    assert_eq!((told.state.as_str(), told.ahead), ("ready", 0));
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_paused_queue_says_who_paused_it_and_until_when(db: PgPool) -> anyhow::Result<()> {
    let queue = limited(&db, "").await?;
    idle_worker(&db).await?;
    let until = Utc::now() + chrono::TimeDelta::hours(1);
    queue
        .pause_queue("default", Some("the server moves"), Some(until), &actor())
        .await?;

    let told = explained(&queue, succeed("x")).await?;

    let gate = kept_by(&told);
    assert_eq!(gate.gate, Gate::QueuePaused);
    assert_eq!(gate.detail, "test paused the queue: the server moves");
    let close = |at: DateTime<Utc>| (at - until).num_milliseconds().abs() < 1;
    assert!(gate.until.is_some_and(close) && told.expected_start.is_some_and(close));
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_job_whose_time_has_not_come_says_when_it_will(db: PgPool) -> anyhow::Result<()> {
    let queue = limited(&db, "").await?;
    idle_worker(&db).await?;
    let later = NewJob {
        start: Start::After(std::time::Duration::from_secs(3_600)),
        ..succeed("x")
    };

    let told = explained(&queue, later).await?;

    let gate = kept_by(&told);
    assert_eq!(
        (gate.gate, told.state.as_str()),
        (Gate::NotDue, "scheduled")
    );
    assert_eq!(told.expected_start, gate.until);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_full_queue_says_how_many_run(db: PgPool) -> anyhow::Result<()> {
    let queue = limited(&db, "[queues.default]\nglobal_concurrency = 1").await?;
    idle_worker(&db).await?;
    queue.enqueue(succeed("runs"), None).await?;
    claim_all(&db, "default", 10).await?;

    let told = explained(&queue, succeed("x")).await?;

    let gate = kept_by(&told);
    assert_eq!(gate.gate, Gate::QueueFull);
    assert_eq!(gate.detail, "1 of 1 attempts run in the fleet");
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_rate_that_is_used_up_says_when_there_is_room_again(db: PgPool) -> anyhow::Result<()> {
    let queue = limited(&db, "[queues.default]\nrate = \"1/h\"").await?;
    idle_worker(&db).await?;
    queue.enqueue(succeed("runs"), None).await?;
    claim_all(&db, "default", 10).await?;

    let told = explained(&queue, succeed("x")).await?;

    let gate = kept_by(&told);
    assert_eq!(gate.gate, Gate::QueueRate);
    assert!(gate.until.is_some() && told.expected_start == gate.until);
    Ok(())
}

// Fails when the lease is not told by which a place is taken.
#[sqlx::test(migrations = "../../migrations")]
async fn a_key_without_a_free_place_says_which_job_takes_it_and_until_when(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = limited(&db, ONE_PER_KEY).await?;
    idle_worker(&db).await?;
    let runs = queue.enqueue(keyed("runs", "k"), None).await?.id;
    claim_all(&db, "default", 10).await?;

    let told = explained(&queue, keyed("x", "k")).await?;

    let gate = kept_by(&told);
    assert_eq!(gate.gate, Gate::KeyLimit);
    assert!(
        gate.detail
            .starts_with("1 of 1 places of the key are taken")
    );
    let lease = "SELECT lease_until FROM millpond.jobs WHERE state = 'running'";
    let lease: DateTime<Utc> = sqlx::query_scalar(lease).fetch_one(&db).await?;
    let shown = lease.format("%Y-%m-%dT%H:%M:%SZ");
    let taker = format!("; job {runs} runs on an unknown worker with a lease until {shown}");
    assert!(gate.detail.ends_with(&taker), "{}", gate.detail);
    // The attempt may end before, or renew its lease.
    assert_eq!((gate.until, told.expected_start), (Some(lease), None));
    Ok(())
}

/// A job that draws on the budget `meta` for an account.
pub(super) fn of_account(account: &str) -> NewJob {
    NewJob {
        kind: "test.together".into(),
        ..job(&json!({"name": account}))
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_dry_budget_says_what_the_provider_said_and_until_when(db: PgPool) -> anyhow::Result<()> {
    let queue = limited(&db, TOGETHER).await?;
    idle_worker(&db).await?;
    run(
        &db,
        "INSERT INTO millpond.budgets (name, account, paused_until, pause_reason)
         VALUES ('meta', '', now() + interval '1 hour', 'it asked for a pause')",
    )
    .await?;

    let told = explained(&queue, of_account("a")).await?;

    let gate = kept_by(&told);
    assert_eq!(gate.gate, Gate::Budget);
    assert_eq!(gate.detail, "the budget meta: it asked for a pause");
    assert!(gate.until.is_some() && told.expected_start == gate.until);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_held_account_says_who_holds_it_and_why(db: PgPool) -> anyhow::Result<()> {
    let queue = limited(&db, TOGETHER).await?;
    idle_worker(&db).await?;
    run(
        &db,
        "INSERT INTO millpond.holds (account, reason, by) VALUES ('a', 'its token expired', 'token.check')",
    )
    .await?;

    let told = explained(&queue, of_account("a")).await?;

    let gate = kept_by(&told);
    assert_eq!((gate.gate, told.expected_start), (Gate::AccountHeld, None));
    assert!(
        gate.detail
            .starts_with("token.check holds the account since ")
    );
    assert!(gate.detail.ends_with(": its token expired"));
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_job_that_nobody_can_run_says_so(db: PgPool) -> anyhow::Result<()> {
    let queue = limited(&db, "").await?;
    let nobody = explained(&queue, succeed("x")).await?;
    worker(&db, 10, &["test.together"]).await?;
    let nobody_knows = explained(&queue, succeed("y")).await?;

    for (told, detail) in [
        (nobody, "no live worker works on the queue"),
        (
            nobody_knows,
            "no live worker of the queue has registered test.work",
        ),
    ] {
        let gate = kept_by(&told);
        assert_eq!((gate.gate, gate.detail.as_str()), (Gate::NoWorker, detail));
    }
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_job_behind_others_says_how_many_go_first(db: PgPool) -> anyhow::Result<()> {
    let queue = limited(&db, "").await?;
    worker(&db, 2, &["test.work"]).await?;
    run(
        &db,
        "INSERT INTO millpond.job_history (id, queue, kind, state, priority, run_at, created_at, started_at, finished_at, attempts_used, payload)
         VALUES (gen_random_uuid(), 'default', 'test.work', 'succeeded', 5, now(), now(), now() - interval '10 seconds', now(), 1, '{}')",
    )
    .await?;
    enqueue_all(&queue, (0..4).map(|n| succeed(&n.to_string()))).await?;

    let told = explained(&queue, succeed("x")).await?;

    let gate = kept_by(&told);
    assert_eq!((gate.gate, told.ahead), (Gate::Backlog, 4));
    assert_eq!(gate.detail, "4 jobs may go first; 0 of 2 slots are in use");
    // Two turns of ten seconds go first.
    let wait = told.expected_start.expect("such jobs have run before") - Utc::now();
    assert!((18..=20).contains(&wait.num_seconds()), "{wait}");
    Ok(())
}

// Fails when a tenant learns from an explanation how much others have to do.
#[sqlx::test(migrations = "../../migrations")]
async fn a_tenant_is_told_of_its_own_jobs_alone(db: PgPool) -> anyhow::Result<()> {
    let queue = limited(&db, ONE_PER_KEY).await?;
    worker(&db, 1, &["test.work"]).await?;
    let others = queue.enqueue(
        NewJob {
            key: Some("k".to_owned()),
            ..of_tenant("a", "b")
        },
        None,
    );
    let others = others.await?.id;
    claim_all(&db, "default", 10).await?;
    enqueue_all(&queue, (0..7).map(|n| of_tenant(&n.to_string(), "b"))).await?;
    let own = NewJob {
        key: Some("k".to_owned()),
        ..of_tenant("mine", "a")
    };
    let own = queue.enqueue(own, None).await?.id;

    let told = queue.explain_job(own, Some("a")).await?;
    let foreign = queue.explain_job(others, Some("a")).await;

    let shown = serde_json::to_string(&told)?;
    assert!(!shown.contains(&others.to_string()), "{shown}");
    let key_limit = answer(&told, Gate::KeyLimit);
    assert!(key_limit.blocking && key_limit.until.is_none(), "{shown}");
    assert_eq!((told.ahead, told.expected_start), (0, None));
    assert!(matches!(foreign, Err(AdminError::NotFound)), "{foreign:?}");
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_job_that_does_not_wait_has_no_gates(db: PgPool) -> anyhow::Result<()> {
    let queue = limited(&db, "").await?;
    let runs = queue.enqueue(succeed("x"), None).await?.id;
    claim_all(&db, "default", 1).await?;
    let gone = queue.enqueue(succeed("y"), None).await?.id;
    queue.cancel(gone, &actor()).await?;

    let running = queue.explain_job(runs, None).await?;
    let cancelled = queue.explain_job(gone, None).await?;
    let unknown = queue.explain_job(JobId(Uuid::new_v4()), None).await;

    assert_eq!(
        (running.state.as_str(), cancelled.state.as_str()),
        ("running", "cancelled")
    );
    assert!(running.gates.is_empty() && cancelled.gates.is_empty());
    assert!(matches!(unknown, Err(AdminError::NotFound)));
    Ok(())
}
