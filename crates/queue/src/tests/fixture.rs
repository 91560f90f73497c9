//! What the engine's tests share: a kind that does as its payload says, an engine on a database of the test's own, and
//! waiting for conditions.

use std::{
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json, value::to_raw_value};
use sqlx::{PgPool, Postgres, Transaction};
use tokio::sync::Notify;

use crate::{
    Actor, BatchJob, Database, ErrorClass, Job, JobContext, JobDetail, JobError, JobId, JobState,
    LateCheck, NewJob, OnConflict, Outcome, PayloadProblem, Queue, Registry, Source, Start, Unique,
    WorkerSettings, Workers, config::Config,
};

/// Longest that a test waits for a condition.
const DEADLINE: Duration = Duration::from_secs(20);

/// Short leases and backoffs, so that tests need no patience.
pub(crate) const FAST: &str = r#"
[lease]
ttl = "2s"
renew_every = "500ms"
[worker]
drain = "1s"
[defaults]
max_attempts = 3
backoff = { strategy = "fixed", base = "1s", jitter = "none" }
"#;

/// What handlers of a test have in common.
#[derive(Debug, Default)]
pub(crate) struct App {
    pub(crate) seen: Mutex<Vec<String>>,
    pub(crate) batches: Mutex<Vec<usize>>,
    pub(crate) release: Notify,
}

impl App {
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen
            .lock()
            .expect("no test panics while it holds this")
            .clone()
    }
}

/// Does as it is told.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case", tag = "do")]
pub(crate) enum Work {
    Succeed { name: String },
    Fail { class: String },
    Panic,
    Hang,
    WaitForRelease,
    Snooze,
    EnqueueTwo,
    EnqueueAndFail,
    EnqueueUniqueTwice,
    HonourCancellation,
}

impl Job for Work {
    const KIND: &'static str = "test.work";
    type App = App;
    type Error = JobError;

    async fn run(self, ctx: &JobContext<App>) -> Result<Outcome, JobError> {
        ctx.app
            .seen
            .lock()
            .expect("no test panics while it holds this")
            .push(match &self {
                Self::Succeed { name } => name.clone(),
                other => format!("{other:?}"),
            });
        let follow_up = || succeed("follow-up");
        match self {
            Self::Succeed { name } => Ok(Outcome::SucceededWith(json!({"name": name}))),
            Self::Fail { class } => {
                let class: ErrorClass = class
                    .parse()
                    .map_err(|e| JobError::new(ErrorClass::Internal, e))?;
                Err(JobError::from_text(class, "told to fail")
                    .retry_after(Some(Duration::from_secs(1))))
            }
            Self::Panic => panic!("told to panic"),
            Self::Hang => std::future::pending().await,
            Self::WaitForRelease => {
                ctx.progress(json!({"waiting": true}));
                ctx.app.release.notified().await;
                Ok(Outcome::Succeeded)
            }
            Self::Snooze => Ok(Outcome::Snoozed(Duration::from_secs(3_600))),
            Self::EnqueueTwo => {
                ctx.enqueue(follow_up()).expect("two are allowed");
                ctx.enqueue(follow_up()).expect("two are allowed");
                Ok(Outcome::Succeeded)
            }
            Self::EnqueueAndFail => {
                ctx.enqueue(follow_up()).expect("one is allowed");
                Err(JobError::from_text(ErrorClass::Invalid, "told to fail"))
            }
            Self::EnqueueUniqueTwice => {
                ctx.enqueue(unique_tomorrow()).expect("two are allowed");
                ctx.enqueue(unique_tomorrow()).expect("two are allowed");
                Ok(Outcome::Succeeded)
            }
            Self::HonourCancellation => {
                ctx.cancellation().cancelled().await;
                Ok(Outcome::Cancelled("stopped by itself".to_owned()))
            }
        }
    }
}

/// Runs together with others of its key; those that are named "bad" fail, one named "poison" spoils the call for all,
/// and one named "hang" keeps it from ending.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Together {
    name: String,
}

fn late(payload: &Value, _now: DateTime<Utc>) -> Vec<PayloadProblem> {
    if payload["name"] != "late" {
        return Vec::new();
    }
    vec![PayloadProblem {
        pointer: "/name".to_owned(),
        message: "has come too late".to_owned(),
    }]
}

impl BatchJob for Together {
    const KIND: &'static str = "test.together";
    const MOST: usize = 100;
    const LONGEST_WAIT: Duration = Duration::from_millis(50);
    const LATE: Option<LateCheck> = Some(late);
    type App = App;
    type Error = JobError;

    async fn run(batch: Vec<(Self, JobContext<App>)>) -> Vec<Result<Outcome, JobError>> {
        if let Some((_, ctx)) = batch.first() {
            ctx.app
                .batches
                .lock()
                .expect("no test panics while it holds this")
                .push(batch.len());
        }
        let has = |name: &str| batch.iter().any(|(job, _)| job.name == name);
        assert!(!has("poison"), "told to panic");
        if has("hang") {
            std::future::pending::<()>().await;
        }
        batch
            .into_iter()
            .map(|(job, _)| match job.name.as_str() {
                "bad" => Err(JobError::from_text(ErrorClass::Invalid, "bad")),
                _ => Ok(Outcome::Succeeded),
            })
            .collect()
    }
}

pub(crate) fn registry() -> Registry<App> {
    Registry::new().with::<Work>().with_batch::<Together>()
}

pub(crate) fn engine(pool: &PgPool, config: &str) -> Queue {
    let registry = registry();
    let kinds: Vec<_> = registry.kinds().cloned().collect();
    let names: Vec<&str> = kinds.iter().map(|kind| &*kind.name).collect();
    let config = Config::parse(config, &names)
        .expect("the test's configuration is right")
        .config;
    Queue::new(Database::from_pool(pool.clone()), Arc::new(config), kinds)
        .expect("schemas of tests compile")
}

pub(crate) async fn work(queue: &Queue) -> anyhow::Result<(Workers, Arc<App>)> {
    queue.announce().await?;
    let app = Arc::new(App::default());
    let settings = WorkerSettings {
        queues: None,
        roles: vec!["worker".to_owned()],
        version: "test".to_owned(),
    };
    let workers = Workers::start(queue.clone(), registry(), Arc::clone(&app), settings).await?;
    Ok((workers, app))
}

pub(crate) fn job(payload: &Value) -> NewJob {
    NewJob::new(
        "test.work",
        to_raw_value(payload).expect("a value is JSON"),
        Source::Http,
    )
}

pub(crate) fn succeed(name: &str) -> NewJob {
    job(&json!({"do": "succeed", "name": name}))
}

/// A job that refuses to be there twice, and that no test waits for.
fn unique_tomorrow() -> NewJob {
    let unique = Unique {
        key: "one".to_owned(),
        states: vec![
            JobState::Scheduled,
            JobState::Ready,
            JobState::Running,
            JobState::Retrying,
        ],
        on_conflict: OnConflict::Reject,
    };
    NewJob {
        start: Start::After(Duration::from_secs(86_400)),
        unique: Some(unique),
        ..succeed("tomorrow")
    }
}

pub(crate) fn together(name: &str, key: &str) -> NewJob {
    let payload = to_raw_value(&json!({"name": name})).expect("a value is JSON");
    let mut job = NewJob::new("test.together", payload, Source::Http);
    job.key = Some(key.to_owned());
    job
}

pub(crate) fn actor() -> Actor {
    Actor {
        name: "test".to_owned(),
        tenant: None,
    }
}

/// How many sessions of the test's database wait for another one.
pub(crate) async fn waiting_for_locks(db: &PgPool) -> anyhow::Result<i64> {
    let waiting = "SELECT count(*) FROM pg_stat_activity
                    WHERE datname = current_database() AND wait_event_type = 'Lock'";
    Ok(sqlx::query_scalar(waiting).fetch_one(db).await?)
}

/// While this stands, whoever changes a job that is in this state stops with its row locked and its change not made.
pub(crate) async fn barrier(
    db: &PgPool,
    state: &str,
) -> anyhow::Result<Transaction<'static, Postgres>> {
    let sql = format!(
        "CREATE FUNCTION public.barrier() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             PERFORM pg_advisory_xact_lock(1);
             RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
         END $$;
         CREATE TRIGGER barrier BEFORE UPDATE OR DELETE ON millpond.jobs
             FOR EACH ROW WHEN (OLD.state = '{state}') EXECUTE FUNCTION public.barrier();"
    );
    sqlx::raw_sql(&sql).execute(db).await?;
    let mut barrier = db.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock(1)")
        .execute(&mut *barrier)
        .await?;
    Ok(barrier)
}

/// Waits until the condition holds.
pub(crate) async fn until<F: Future<Output = anyhow::Result<bool>>>(
    what: &str,
    condition: impl Fn() -> F,
) -> anyhow::Result<()> {
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    let waiting = async {
        while !condition().await? {
            tick.tick().await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(DEADLINE, waiting)
        .await
        .map_err(|_| anyhow::anyhow!("in vain: {what}"))?
}

pub(crate) async fn in_state(queue: &Queue, id: JobId, state: &str) -> anyhow::Result<JobDetail> {
    until(state, || async {
        Ok(queue.job(id, None).await?.summary.state == state)
    })
    .await?;
    Ok(queue.job(id, None).await?)
}
