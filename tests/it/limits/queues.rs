//! What a queue may run at a time and start in a span of time, whoever claims and whoever dies.

use serde_json::{Value, json};

use super::{
    fleet::Fleet,
    receiver::{Call, most_at_once},
};
use crate::{chaos::dice::Dice, harness::eventually};

const PROCESSES: usize = 3;

fn jobs(kind: &str, count: usize, takes_ms: u64) -> Vec<Value> {
    vec![json!({"kind": kind, "payload": {"takes_ms": takes_ms}}); count]
}

/// Fewer than the slots of all processes, and so many that each has some.
const PLACES: usize = 11;
const FEW_PLACES: &str = r#"
[queues.default]
concurrency = 5
global_concurrency = 11

[kinds."test.hook"]
target = "RECEIVER"
timeout = "10s"
"#;
const KILLS: usize = 3;
/// Jobs that come before each kill and after the last one; each takes so long.
const WAVE: usize = 44;
const TAKES_MS: u64 = 250;

// Fails when the limit is one of each process, when a claim counts what runs before it has its turn, and when a dead
// process takes its places along for good.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_fleet_never_runs_more_of_a_queue_than_it_may_whoever_dies() -> anyhow::Result<()> {
    let seed = u64::from(std::process::id());
    let mut dice = Dice::new(seed);
    let mut fleet = Fleet::new(FEW_PLACES).await?;
    fleet.start(PROCESSES).await?;

    fleet.enqueue(jobs("test.hook", WAVE, TAKES_MS)).await?;
    eventually("every place is taken", || async {
        Ok((fleet.receiver.under_way() == PLACES).then_some(()))
    })
    .await?;
    for _ in 0..KILLS {
        let begun = fleet.receiver.begun() + dice.place(WAVE / 2);
        fleet.enqueue(jobs("test.hook", WAVE, TAKES_MS)).await?;
        eventually("the fleet is in the middle of its work", || async {
            let receiver = &fleet.receiver;
            Ok((receiver.begun() >= begun && receiver.under_way() > 0).then_some(()))
        })
        .await?;
        fleet.kill_one(&mut dice).await?;
    }
    fleet.enqueue(jobs("test.hook", WAVE, TAKES_MS)).await?;
    let succeeded = fleet.all_succeed().await?;

    assert_eq!(most_at_once(&fleet.receiver.calls()), PLACES, "seed {seed}");
    assert_eq!(succeeded, i64::try_from((KILLS + 2) * WAVE)?);
    assert!(fleet.lost().await? > 0, "seed {seed}: nobody was hit");
    Ok(())
}

const A_SECOND: usize = 15;
const A_MINUTE: usize = 30;
const RATES: &str = r#"
[queues.quick]
concurrency = 5
rate = "15/s"

[queues.slow]
rate = "30/m"

[kinds."test.quick"]
queue = "quick"
target = "RECEIVER"

[kinds."test.slow"]
queue = "slow"
target = "RECEIVER"
"#;
/// Five seconds' worth of the one rate, and two minutes' of the other.
const QUICK: usize = 5 * A_SECOND;
const SLOW: usize = 2 * A_MINUTE;

fn of_kind<'c>(calls: &'c [Call], kind: &str) -> Vec<&'c Call> {
    calls.iter().filter(|call| call.kind == kind).collect()
}

/// How the attempts of a queue were started, by the database's clock.
#[derive(Debug, sqlx::FromRow)]
struct Starts {
    /// The most within any second, each of them taken for the second's begin.
    most: i64,
    workers: i64,
}

async fn quick_starts(fleet: &Fleet) -> anyhow::Result<Starts> {
    let starts = sqlx::query_as(
        "SELECT max(within) AS most, count(DISTINCT worker) AS workers
           FROM (SELECT h.started_at, millpond.attempts_of(h) -> 0 ->> 'worker' AS worker,
                        count(*) OVER (ORDER BY h.started_at
                                       RANGE BETWEEN CURRENT ROW AND interval '999999 microseconds' FOLLOWING) AS within
                   FROM millpond.job_history h WHERE h.queue = 'quick') AS starts",
    );
    Ok(starts.fetch_one(&mut fleet.world.sql().await?).await?)
}

// Fails when each process has the rate for itself, and when starts are counted before a claim has its turn or for a shorter
// time than the span.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_fleet_starts_no_more_in_any_span_than_the_rate_of_the_queue_says() -> anyhow::Result<()>
{
    let mut fleet = Fleet::new(RATES).await?;
    fleet.start(PROCESSES).await?;

    fleet
        .enqueue([jobs("test.quick", QUICK, 100), jobs("test.slow", SLOW, 0)].concat())
        .await?;
    eventually("what the rates allow by now is done", || async {
        let done = "SELECT count(*) FROM millpond.job_history";
        Ok((fleet.count(done).await? == i64::try_from(QUICK + A_MINUTE)?).then_some(()))
    })
    .await?;

    let starts = quick_starts(&fleet).await?;
    assert!(starts.most <= i64::try_from(A_SECOND)?, "{starts:?}");
    assert!(starts.workers > 1, "one process did it all: {starts:?}");
    let calls = fleet.receiver.calls();
    assert_eq!(of_kind(&calls, "test.slow").len(), A_MINUTE);
    let waiting = "SELECT id::text FROM millpond.jobs WHERE queue = 'slow' LIMIT 1";
    let waiting: String = sqlx::query_scalar(waiting)
        .fetch_one(&mut fleet.world.sql().await?)
        .await?;
    let path = format!("/v1/jobs/{waiting}/explain");
    let told = fleet.client()?.get(&path).await?.body;
    let is_kept = |gate: &Value| gate["gate"] == "queue_rate" && gate["blocking"] == true;
    let gates = told["gates"].as_array().cloned().unwrap_or_default();
    assert!(gates.iter().any(is_kept), "{told}");
    Ok(())
}
