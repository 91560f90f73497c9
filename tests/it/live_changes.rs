//! What operators tune takes effect while everything works: within seconds, in every process, without a restart and at no
//! job's cost. And what is wrong changes nothing of it.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::types::chrono::{DateTime, Utc};
use tokio::task::JoinHandle;

use crate::{
    harness::{Client, eventually, eventually_within},
    limits::{
        fleet::Fleet,
        receiver::{Call, first_above, most_at_once},
    },
};

const PROCESSES: usize = 2;
/// Within so many seconds a save takes effect.
const SOON: f64 = 5.0;
/// How long is looked for an effect that comes too late.
const PATIENCE: Duration = Duration::from_secs(15);

/// What operators tune here.
struct Tuned {
    concurrency: usize,
    rate: usize,
    backoff: &'static str,
    cron: &'static str,
}

const BEFORE: Tuned = Tuned {
    concurrency: 2,
    rate: 2,
    backoff: "500ms",
    cron: "0 0 29 2 *",
};
const AFTER: Tuned = Tuned {
    concurrency: 8,
    rate: 40,
    backoff: "1h",
    cron: "* * * * * *",
};
/// Attempts that run at once before anything is changed.
const AT_ONCE: usize = PROCESSES * BEFORE.concurrency;

impl Tuned {
    fn config(&self) -> String {
        let Self {
            concurrency,
            rate,
            backoff,
            cron,
        } = self;
        format!(
            r#"
[queues.default]
concurrency = {concurrency}

[queues.paced]
rate = "{rate}/s"

[queues.failing]

[kinds."test.hook"]
target = "RECEIVER"

[kinds."test.paced"]
queue = "paced"
target = "RECEIVER"

[kinds."test.failing"]
queue = "failing"
target = "RECEIVER"
backoff = {{ strategy = "fixed", base = "{backoff}", jitter = "none" }}

[kinds."test.beat"]
target = "RECEIVER"

[schedules.beat]
kind = "test.beat"
cron = "{cron}"
overlap = "allow"
"#
        )
    }
}

/// Jobs that wait from the begin on for their slots, and for the rate. Each of the first takes so long.
const WAITING: usize = 40;
const PACED: usize = 120;
const TAKES_MS: u64 = 200;
/// Jobs that fail whenever they run.
const FAILING: usize = 4;
/// Between two jobs that come meanwhile: a little more than the slots can take.
const PACE: Duration = Duration::from_millis(45);

fn hook() -> Value {
    json!({"kind": "test.hook", "payload": {"takes_ms": TAKES_MS}})
}

/// A fleet that has more to do than it can, and somebody who goes on enqueueing.
struct Busy {
    fleet: Fleet,
    enough: Arc<AtomicBool>,
    load: JoinHandle<anyhow::Result<BTreeSet<String>>>,
}

impl Busy {
    async fn start() -> anyhow::Result<Self> {
        let mut fleet = Fleet::new(&BEFORE.config()).await?;
        fleet.start(PROCESSES).await?;
        let paced = json!({"kind": "test.paced", "payload": {}});
        fleet
            .enqueue([vec![hook(); WAITING], vec![paced; PACED]].concat())
            .await?;
        let enough = Arc::new(AtomicBool::new(false));
        let load = enqueue_until(fleet.client()?.clone(), Arc::clone(&enough));
        let busy = Self {
            load: tokio::spawn(load),
            enough,
            fleet,
        };
        busy.gets_busy().await?;
        Ok(busy)
    }

    /// Waits until every slot is taken, the rate is used, and jobs fail one after the other.
    async fn gets_busy(&self) -> anyhow::Result<()> {
        let failing = json!({"kind": "test.failing", "payload": {"status": 500}});
        // One after the other, so that one of them fails at any time.
        for _ in 0..FAILING {
            let attempts = self.of_kind("test.failing").len();
            self.fleet.client()?.enqueue(&failing).await?;
            eventually("an attempt fails", || async {
                Ok((self.of_kind("test.failing").len() > attempts).then_some(()))
            })
            .await?;
        }
        eventually("the fleet is busy", || async {
            let is_busy = most_at_once(&self.of_kind("test.hook")) == AT_ONCE
                && self.of_kind("test.paced").len() > 2 * BEFORE.rate
                && self.of_kind("test.failing").len() > 2 * FAILING;
            Ok(is_busy.then_some(()))
        })
        .await
    }

    fn of_kind(&self, kind: &str) -> Vec<Call> {
        let calls = self.fleet.receiver.calls().into_iter();
        calls.filter(|call| call.kind == kind).collect()
    }

    /// Ends the load, waits until it is worked off, and tells which of its jobs were accepted.
    async fn work_off(&mut self) -> anyhow::Result<BTreeSet<String>> {
        self.enough.store(true, Ordering::Relaxed);
        let accepted = (&mut self.load).await??;
        let all = i64::try_from(WAITING + accepted.len())?;
        eventually("what was accepted is done", || async {
            let done = "SELECT count(*) FROM millpond.job_history WHERE kind = 'test.hook'";
            Ok((self.fleet.count(done).await? == all).then_some(()))
        })
        .await?;
        Ok(accepted)
    }
}

async fn enqueue_until(
    client: Client,
    enough: Arc<AtomicBool>,
) -> anyhow::Result<BTreeSet<String>> {
    let mut pace = tokio::time::interval(PACE);
    let mut accepted = BTreeSet::new();
    while !enough.load(Ordering::Relaxed) {
        pace.tick().await;
        accepted.insert(client.enqueue(&hook()).await?);
    }
    Ok(accepted)
}

/// When something was saved, by this process's clock and by the database's.
struct Saved {
    here: Instant,
    there: DateTime<Utc>,
}

async fn now(fleet: &Fleet) -> anyhow::Result<Saved> {
    let there = sqlx::query_scalar("SELECT clock_timestamp()")
        .fetch_one(&mut fleet.world.sql().await?)
        .await?;
    Ok(Saved {
        here: Instant::now(),
        there,
    })
}

/// How many seconds after a save each change was seen for the first time; `None`: not yet.
#[derive(Debug, Default, PartialEq)]
struct Effects {
    /// More attempts run at once than did.
    concurrency: Option<f64>,
    /// More attempts are started in a second than were.
    rate: Option<f64>,
    /// A job that failed waits for as long as it does now.
    backoff: Option<f64>,
    /// A tick's job has run.
    schedule: Option<f64>,
}

/// What the database tells of a rate of two a second that is exceeded, and of a wait of an hour.
const IN_THE_DATABASE: &str = "
    SELECT extract(epoch FROM (
               SELECT min(started_at)
                 FROM (SELECT started_at, lag(started_at, 2) OVER (ORDER BY started_at) AS two_before
                         FROM millpond.job_history WHERE queue = 'paced') AS starts
                WHERE started_at - two_before < interval '1 second') - $1::timestamptz)::float8,
           extract(epoch FROM (
               SELECT min(run_at) - interval '1 hour' FROM millpond.jobs
                WHERE queue = 'failing' AND run_at > $1::timestamptz + interval '30 minutes') - $1::timestamptz)::float8";

async fn effects(busy: &Busy, saved: &Saved) -> anyhow::Result<Effects> {
    let (rate, backoff): (Option<f64>, Option<f64>) = sqlx::query_as(IN_THE_DATABASE)
        .bind(saved.there)
        .fetch_one(&mut busy.fleet.world.sql().await?)
        .await?;
    let hooks = busy.of_kind("test.hook");
    let beats = busy.of_kind("test.beat");
    let since = |at: Instant| at.saturating_duration_since(saved.here).as_secs_f64();
    Ok(Effects {
        concurrency: first_above(&hooks, AT_ONCE).map(since),
        rate,
        backoff,
        schedule: beats.first().map(|beat| since(beat.began)),
    })
}

/// Who works, as it would be told of others after a restart: its id, its process, and since when.
async fn workers(client: &Client) -> anyhow::Result<BTreeSet<String>> {
    let workers = client.get("/v1/workers").await?.body;
    let workers = workers["items"].as_array().context("a list")?;
    let identity = |it: &Value| json!([it["id"], it["pid"], it["started_at"]]).to_string();
    Ok(workers.iter().map(identity).collect())
}

// Fails when a feeder has the slots of its start, when the fleet goes by a rate that was announced at the start, when a
// verdict goes by the policy of the start, when the leader sleeps over a schedule that has changed, and when a change costs
// a process, a worker, a job or an attempt.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_tuned_under_load_takes_effect_within_seconds_and_costs_nothing()
-> anyhow::Result<()> {
    let mut busy = Busy::start().await?;
    let client = busy.fleet.client()?.clone();
    let before = workers(&client).await?;
    let early = effects(&busy, &now(&busy.fleet).await?).await?;

    let saved = now(&busy.fleet).await?;
    busy.fleet.save(&AFTER.config())?;
    let effects = eventually_within(PATIENCE, "each change has its effect", || async {
        let seen = effects(&busy, &saved).await?;
        let all = [seen.concurrency, seen.rate, seen.backoff, seen.schedule];
        Ok(all.iter().all(Option::is_some).then_some(all))
    })
    .await?;
    let accepted = busy.work_off().await?;
    eventually("the rate's jobs are done", || async {
        let done = "SELECT count(*) FROM millpond.job_history WHERE kind = 'test.paced'";
        Ok((busy.fleet.count(done).await? == i64::try_from(PACED)?).then_some(()))
    })
    .await?;

    assert_eq!(early, Effects::default());
    let is_soon = |seconds: &Option<f64>| seconds.is_some_and(|it| (0.0..SOON).contains(&it));
    assert!(effects.iter().all(is_soon), "seconds: {effects:?}");
    assert_eq!(workers(&client).await?, before);
    assert_eq!(before.len(), PROCESSES);
    let hooks = busy.of_kind("test.hook");
    let called: BTreeSet<String> = hooks.iter().map(|call| call.job.clone()).collect();
    assert!(called.is_superset(&accepted));
    assert_eq!(
        (hooks.len(), called.len()),
        (WAITING + accepted.len(), hooks.len())
    );
    assert!(most_at_once(&hooks) <= PROCESSES * AFTER.concurrency);
    let odd = "SELECT count(*) FROM millpond.job_history h
                WHERE state <> 'succeeded' OR jsonb_array_length(millpond.attempts_of(h)) <> 1";
    assert_eq!(busy.fleet.count(odd).await?, 0);
    let failing = "SELECT count(*) FROM millpond.jobs WHERE queue = 'failing'";
    assert_eq!(busy.fleet.count(failing).await?, i64::try_from(FAILING)?);
    Ok(())
}

/// All that the database knows of the configuration in force.
const IN_FORCE: &str = "
    SELECT jsonb_build_array(
        (SELECT jsonb_agg(jsonb_build_array(name, global_concurrency, rate_count, rate_per_seconds, fair_by) ORDER BY name)
           FROM millpond.queues),
        (SELECT jsonb_agg(jsonb_build_array(kind, queue, priority, max_attempts, per_key_concurrency, budget) ORDER BY kind)
           FROM millpond.kinds_seen),
        (SELECT jsonb_agg(jsonb_build_array(revision, author) ORDER BY revision) FROM millpond.config_revisions))";

async fn in_force(busy: &Busy) -> anyhow::Result<Vec<Value>> {
    let known = sqlx::query_scalar(IN_FORCE)
        .fetch_one(&mut busy.fleet.world.sql().await?)
        .await?;
    let mut all = vec![known];
    for client in busy.fleet.clients() {
        let mut shown = client.get("/v1/config").await?.body;
        all.extend(["effective", "revision"].map(|name| shown[name].take()));
    }
    Ok(all)
}

/// Waits until every process says of the file that it is wrong, and that it is so in another way than before.
async fn rejected_anew(busy: &Busy, before: &Value) -> anyhow::Result<Value> {
    let mut told = Value::Null;
    for client in busy.fleet.clients() {
        told = eventually("the file is rejected", || async {
            let shown = client.get("/v1/config").await?.body;
            let problems = shown["rejected"]["problems"].clone();
            Ok((problems.is_array() && problems != *before).then_some(problems))
        })
        .await?;
    }
    Ok(told)
}

// Fails when what is right in a file takes effect though something is wrong in it, when half a file does, and when
// garbage ends or slows down what works.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_that_is_saved_under_load_changes_nothing() -> anyhow::Result<()> {
    let mut busy = Busy::start().await?;
    let client = busy.fleet.client()?.clone();
    let saved = now(&busy.fleet).await?;
    let before = (workers(&client).await?, in_force(&busy).await?);
    let right = AFTER.config();
    let cut = right.find("* * *").context("the schedule")?;
    let garbage = [
        format!("{right}\n[queues.sync]\nconcurency = 3\n"),
        right.replace("queue = \"paced\"", "queue = \"paecd\""),
        right[..cut].to_owned(),
    ];

    let mut told = Value::Null;
    for text in &garbage {
        busy.fleet.save(text)?;
        told = rejected_anew(&busy, &told).await?;
    }
    let after = (workers(&client).await?, in_force(&busy).await?);
    let effects = effects(&busy, &saved).await?;
    let ready = client.send(client.bare(Method::GET, "/readyz")).await?;
    let rejected = "outcome=\"rejected\"";
    let counted = client
        .metric("millpond_config_reloads_total", rejected)
        .await?;
    busy.fleet.save(&BEFORE.config())?;
    eventually("nothing is rejected", || async {
        let shown = client.get("/v1/config").await?.body;
        Ok(shown["rejected"].is_null().then_some(()))
    })
    .await?;
    let accepted = busy.work_off().await?;

    assert_eq!(after, before);
    assert_eq!(effects, Effects::default());
    assert_eq!((ready.status.as_u16(), counted), (200, 3.0));
    assert!(ready.body["detail"].is_string(), "{ready:?}");
    assert!(!accepted.is_empty());
    assert_eq!(most_at_once(&busy.of_kind("test.hook")), AT_ONCE);
    assert_eq!(in_force(&busy).await?, before.1);
    Ok(())
}
