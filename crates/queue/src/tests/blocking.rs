//! Handlers that block their threads: what else goes on in the process.

use std::{
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{json, value::to_raw_value};
use sqlx::PgPool;
use tokio::sync::Notify;

use super::fixture::{in_state, until};
use crate::{
    Database, Job, JobContext, JobError, JobId, NewJob, Outcome, Queue, Registry, Source,
    WorkerSettings, Workers, config::Config,
};

/// Blocked longer than a lease lasts; many more blockers than any queue has threads.
const CONFIG: &str = r#"
[lease]
ttl = "2s"
renew_every = "500ms"
[worker]
drain = "1s"
[queues.blocked]
concurrency = 256
[queues.other]
concurrency = 4
[kinds."test.block"]
queue = "blocked"
[kinds."test.quick"]
queue = "other"
[kinds."test.patient"]
queue = "other"
"#;
/// A gate that nobody opens lets everybody through after this time, so that a test fails instead of hanging.
const LONGEST_BLOCK: Duration = Duration::from_secs(25);
/// Longest that a job of another queue may take from its enqueueing to its end. On an idle machine it takes some
/// milliseconds; behind a blocked thread it would take as long as the block.
const IN_TIME: Duration = Duration::from_secs(3);

/// Blocks the thread of whoever comes until it is opened.
struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
    until: Instant,
    blocked: AtomicUsize,
    patience: Notify,
}

impl Gate {
    fn new() -> Self {
        Self {
            is_open: Mutex::new(false),
            opened: Condvar::new(),
            until: Instant::now() + LONGEST_BLOCK,
            blocked: AtomicUsize::new(0),
            patience: Notify::new(),
        }
    }

    fn pass(&self) {
        self.blocked.fetch_add(1, Ordering::SeqCst);
        let is_open = self.is_open.lock().expect("nobody panics with it");
        let left = self.until.saturating_duration_since(Instant::now());
        let passed = self
            .opened
            .wait_timeout_while(is_open, left, |is_open| !*is_open);
        drop(passed.expect("nobody panics with it"));
    }

    fn open(&self) {
        *self.is_open.lock().expect("nobody panics with it") = true;
        self.opened.notify_all();
    }
}

/// Blocks its thread.
#[derive(Debug, Deserialize, JsonSchema)]
struct Block {}

impl Job for Block {
    const KIND: &'static str = "test.block";
    type App = Gate;
    type Error = JobError;

    async fn run(self, ctx: &JobContext<Gate>) -> Result<Outcome, JobError> {
        ctx.app.pass();
        Ok(Outcome::Succeeded)
    }
}

/// Is done at once.
#[derive(Debug, Deserialize, JsonSchema)]
struct Quick {}

impl Job for Quick {
    const KIND: &'static str = "test.quick";
    type App = Gate;
    type Error = JobError;

    async fn run(self, _: &JobContext<Gate>) -> Result<Outcome, JobError> {
        Ok(Outcome::Succeeded)
    }
}

/// Waits, as a well-behaved handler does.
#[derive(Debug, Deserialize, JsonSchema)]
struct Patient {}

impl Job for Patient {
    const KIND: &'static str = "test.patient";
    type App = Gate;
    type Error = JobError;

    async fn run(self, ctx: &JobContext<Gate>) -> Result<Outcome, JobError> {
        ctx.app.patience.notified().await;
        Ok(Outcome::Succeeded)
    }
}

fn registry() -> Registry<Gate> {
    Registry::new()
        .with::<Block>()
        .with::<Quick>()
        .with::<Patient>()
}

async fn start(db: &PgPool, config: &str) -> anyhow::Result<(Queue, Workers, Arc<Gate>)> {
    let config = Config::parse(config, &["test.block", "test.quick", "test.patient"])
        .expect("the test's configuration is right")
        .config;
    let kinds: Vec<_> = registry().kinds().cloned().collect();
    let queue = Queue::new(Database::from_pool(db.clone()), Arc::new(config), kinds)?;
    queue.announce().await?;
    let gate = Arc::new(Gate::new());
    let settings = WorkerSettings {
        queues: Some(vec!["blocked".to_owned(), "other".to_owned()]),
        roles: vec!["worker".to_owned()],
        version: "test".to_owned(),
    };
    let workers = Workers::start(queue.clone(), registry(), Arc::clone(&gate), settings).await?;
    Ok((queue, workers, gate))
}

async fn enqueue(queue: &Queue, kind: &str) -> anyhow::Result<JobId> {
    let payload = to_raw_value(&json!({}))?;
    let job = NewJob::new(kind, payload, Source::Http);
    Ok(queue.enqueue(job, None).await?.id)
}

/// Jobs that run with their first lease, renewed until now, for longer than it would have lasted by itself.
async fn renewed(db: &PgPool, kind: &str) -> anyhow::Result<i64> {
    let renewed = sqlx::query_scalar(
        "SELECT count(*) FROM millpond.jobs WHERE kind = $1 AND state = 'running' AND attempt = 1
            AND lease_until > now() AND now() > started_at + interval '4 seconds'",
    );
    Ok(renewed.bind(kind).fetch_one(db).await?)
}

// Fails when handlers run on the runtime of the engine, or on one that all queues share; when leases are renewed there;
// when a connection that another queue takes from the pool belongs to the blocked threads.
#[sqlx::test(migrations = "../../migrations")]
async fn blocked_threads_delay_no_other_queue_no_renewal_and_no_health_check(
    db: PgPool,
) -> anyhow::Result<()> {
    let (queue, workers, gate) = start(&db, CONFIG).await?;
    let patient = enqueue(&queue, "test.patient").await?;
    let mut blockers = Vec::new();
    for _ in 0..200 {
        blockers.push(enqueue(&queue, "test.block").await?);
    }
    in_state(&queue, patient, "running").await?;
    until(
        "threads are blocked and the other blockers wait for one",
        || async {
            let running: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM millpond.jobs WHERE kind = 'test.block' AND state = 'running'",
        )
        .fetch_one(&db)
        .await?;
            Ok(running == 200 && gate.blocked.load(Ordering::SeqCst) > 0)
        },
    )
    .await?;

    let mut slowest = Duration::ZERO;
    until("the leases of all have been renewed", || async {
        Ok(renewed(&db, "test.block").await? == 200 && renewed(&db, "test.patient").await? == 1)
    })
    .await?;
    for _ in 0..20 {
        let began = Instant::now();
        let quick = enqueue(&queue, "test.quick").await?;
        in_state(&queue, quick, "succeeded").await?;
        assert!(queue.health().await.is_ok());
        slowest = slowest.max(began.elapsed());
    }
    gate.open();
    gate.patience.notify_one();

    assert!(slowest < IN_TIME, "{slowest:?}");
    blockers.push(patient);
    for id in blockers {
        let done = in_state(&queue, id, "succeeded").await?;
        assert_eq!(done.attempts.len(), 1, "no lease was lost");
    }
    workers.drain().await;
    Ok(())
}

// Fails when time-outs are watched on the threads that handlers block, when a call that did not end gives its slot back,
// and when a drain waits for a blocked thread.
#[sqlx::test(migrations = "../../migrations")]
async fn a_handler_that_blocks_beyond_its_time_is_told_and_keeps_its_slot(
    db: PgPool,
) -> anyhow::Result<()> {
    let config = CONFIG.replace(
        "concurrency = 256",
        "concurrency = 1\nmax_attempts = 1\ntimeout = \"1s\"",
    );
    let (queue, workers, gate) = start(&db, &config).await?;
    let blocks = enqueue(&queue, "test.block").await?;
    let dead = in_state(&queue, blocks, "dead").await?;
    let waits = enqueue(&queue, "test.block").await?;
    let quick = enqueue(&queue, "test.quick").await?;
    in_state(&queue, quick, "succeeded").await?;

    let began = Instant::now();
    workers.drain().await;
    let took = began.elapsed();
    gate.open();

    assert_eq!(dead.summary.error_class.as_deref(), Some("timeout"));
    let waits = queue.job(waits, None).await?;
    assert_eq!(
        (waits.summary.state.as_str(), waits.attempts.len()),
        ("ready", 0)
    );
    assert_eq!(gate.blocked.load(Ordering::SeqCst), 1);
    assert!(took < LONGEST_BLOCK / 2, "{took:?}");
    Ok(())
}
