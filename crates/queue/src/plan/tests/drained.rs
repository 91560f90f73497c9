//! The drain times of a plan against how long it then takes.

use std::{
    future::pending,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{json, value::to_raw_value};
use sqlx::PgPool;

use super::fleet::Fleet;
use crate::{
    Job, JobContext, JobError, NewJob, Outcome, Registry, Source, WorkerSettings, Workers,
    plan::{Drain, Outlook, QueuePlan},
    tests::fixture::until,
};

/// How long an attempt of [`Timed`] runs.
const RUN: Duration = Duration::from_millis(100);

/// Takes its time.
#[derive(Debug, Deserialize, JsonSchema)]
struct Timed {}

impl Job for Timed {
    const KIND: &'static str = "test.timed";
    type App = ();
    type Error = JobError;

    async fn run(self, _ctx: &JobContext<()>) -> Result<Outcome, JobError> {
        let is_over = tokio::time::timeout(RUN, pending::<()>()).await.is_err();
        assert!(is_over, "nothing else ends it");
        Ok(Outcome::Succeeded)
    }
}

/// What is known of a fleet with one process of two slots, whose attempts ran for a tenth of a second.
const ONE_PROCESS: &str = r#"
INSERT INTO millpond.workers (id, host, pid, version, roles, kinds, slots)
VALUES (gen_random_uuid(), 'loom', 1, 'test', '{worker}', '{test.timed}', '{"default": 2}');
INSERT INTO millpond.job_history
       (id, queue, kind, state, priority, run_at, created_at, started_at, finished_at, attempts_used, payload)
SELECT millpond.new_job_id(), 'default', 'test.timed', 'succeeded', 5, now(), now() - interval '2 hours',
       now() - interval '100 milliseconds', now(), 1, '{}'
  FROM generate_series(1, 50);
"#;

fn with_slots(slots: u32, more: &str) -> String {
    format!("[queues.default]\nconcurrency = {slots}\n{more}\n")
}

fn timed(key: Option<&str>) -> anyhow::Result<NewJob> {
    let payload = to_raw_value(&json!({}))?;
    Ok(NewJob {
        key: key.map(str::to_owned),
        ..NewJob::new("test.timed", payload, Source::Http)
    })
}

fn alike(jobs: usize) -> anyhow::Result<Vec<NewJob>> {
    (0..jobs).map(|_| timed(None)).collect()
}

/// Plans a change for a queue of two slots, makes it, and has a process work. The jobs are done after about as many
/// seconds as the plan says, which are so many.
async fn drain_as_told(
    db: &PgPool,
    text: &str,
    jobs: Vec<NewJob>,
    expected: f64,
) -> anyhow::Result<QueuePlan> {
    let registry = Registry::new().with::<Timed>();
    let fleet = Fleet::new(db, &registry, &with_slots(2, "")).await?;
    fleet.run(ONE_PROCESS).await?;
    let jobs = jobs.into_iter().map(|job| (job, None)).collect();
    for enqueued in fleet.queue.enqueue_batch(jobs, true).await? {
        enqueued?;
    }

    let plan = fleet.plan(text).await?;
    fleet.apply(text).await?;
    fleet.queue.announce().await?;
    fleet.run("DELETE FROM millpond.workers").await?;
    let settings = WorkerSettings {
        queues: None,
        roles: vec!["worker".to_owned()],
        version: "test".to_owned(),
    };
    let began = Instant::now();
    let workers = Workers::start(fleet.queue.clone(), registry, Arc::new(()), settings).await?;
    until("the queue is empty", || async {
        Ok(fleet.count("SELECT count(*) FROM millpond.jobs").await? == 0)
    })
    .await?;
    let took = began.elapsed().as_secs_f64();
    workers.drain().await;

    assert!(plan.harms.is_empty(), "{:?}", plan.harms);
    let mut queues = plan.queues.into_iter();
    let told = queues.find(|queue| queue.queue == "default");
    let told = told.context("the queue is told")?;
    let after = after(&told)?;
    let seconds = after.drain_seconds.context("it drains")?;
    assert_eq!(after.drain, Drain::Drains);
    assert!((seconds - expected).abs() < 0.001, "{seconds}");
    assert!(
        (0.7..=4.0).contains(&(took / seconds)),
        "{took} s, and not {seconds} s"
    );
    fleet.follower.stop().await;
    Ok(told)
}

fn after(told: &QueuePlan) -> anyhow::Result<&Outlook> {
    told.after.as_ref().context("the queue stays")
}

// Fails when the drain time is reckoned from other slots, other run times or another backlog.
#[sqlx::test(migrations = "../../migrations")]
async fn a_backlog_drains_in_about_the_time_of_the_plan(db: PgPool) -> anyhow::Result<()> {
    let told = drain_as_told(&db, &with_slots(8, ""), alike(200)?, 2.5).await?;

    let before = told.before.as_ref().context("the queue was there")?;
    assert_eq!((told.ready, told.held), (200, 0));
    assert_eq!((before.slots, after(&told)?.slots), (2, 8));
    assert_eq!(
        (before.drain, before.drain_seconds),
        (Drain::Drains, Some(10.0))
    );
    Ok(())
}

// Fails when the slots of the processes count, and the fleet's limit does not.
#[sqlx::test(migrations = "../../migrations")]
async fn a_limit_of_the_fleet_slows_a_backlog_down_as_told(db: PgPool) -> anyhow::Result<()> {
    let text = with_slots(8, "global_concurrency = 4");

    let told = drain_as_told(&db, &text, alike(80)?, 2.0).await?;

    assert_eq!(after(&told)?.slots, 4);
    Ok(())
}

// Twenty start at once, and ten of seventy are left when the fourth second begins.
#[sqlx::test(migrations = "../../migrations")]
async fn a_rate_slows_a_backlog_down_as_told(db: PgPool) -> anyhow::Result<()> {
    let text = with_slots(8, "rate = \"20/s\"");

    drain_as_told(&db, &text, alike(70)?, 3.125).await?;

    Ok(())
}

// Fails when a rate by the hour is spread over the hour: it would be eight minutes.
#[sqlx::test(migrations = "../../migrations")]
async fn a_backlog_that_fits_into_a_long_rate_is_done_at_once_as_told(
    db: PgPool,
) -> anyhow::Result<()> {
    let text = with_slots(8, "rate = \"1000/h\"");

    drain_as_told(&db, &text, alike(160)?, 2.0).await?;

    Ok(())
}

// Fails when slots alone are reckoned with: by those it would be three quarters of a second.
#[sqlx::test(migrations = "../../migrations")]
async fn jobs_of_one_key_take_as_long_as_told(db: PgPool) -> anyhow::Result<()> {
    let one_per_key = "[kinds.\"test.timed\"]\nkey = \"name\"\nper_key_concurrency = 1";
    let text = with_slots(8, one_per_key);
    let names: Vec<String> = (0..35).map(|n| format!("key {n}")).collect();
    let keys = names.iter().map(|name| Some(name.as_str()));
    let keys = keys.chain((0..25).map(|_| Some("busy")));
    let jobs: anyhow::Result<Vec<NewJob>> = keys.map(timed).collect();

    drain_as_told(&db, &text, jobs?, 2.5).await?;

    Ok(())
}
