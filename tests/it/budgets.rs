//! Budgets of the whole fleet: three processes, one quota. What counts is what arrives.

use serde_json::{Value, json};

use crate::{harness::eventually, limits::fleet::Fleet};

const PROCESSES: usize = 3;
/// Calls a day, of which a tenth is for urgent jobs alone. It stands for Google's 15,000, which the engine's own tests make.
const DAILY: usize = 150;
const ORDINARY: usize = DAILY - DAILY / 10;
/// Jobs beyond what may be called.
const MORE: usize = 20;

const CONFIG: &str = r#"
[budgets.crm]
daily = 150
per = "provider"

[kinds."test.hook"]
target = "RECEIVER"
budget = "crm"
"#;

fn jobs(count: usize, priority: u8) -> Vec<Value> {
    vec![json!({"kind": "test.hook", "payload": {}, "priority": priority}); count]
}

/// Waits until so many jobs are done.
async fn done(fleet: &Fleet, jobs: usize) -> anyhow::Result<()> {
    let jobs = i64::try_from(jobs)?;
    eventually(&format!("{jobs} jobs are done"), || async {
        let done = fleet.count("SELECT count(*) FROM millpond.job_history");
        Ok((done.await? == jobs).then_some(()))
    })
    .await
}

/// Waits until every job that is left waits behind its budget, and so many are left.
async fn left(fleet: &Fleet, jobs: usize) -> anyhow::Result<()> {
    let jobs = i64::try_from(jobs)?;
    eventually(&format!("{jobs} jobs wait for their budget"), || async {
        let kept =
            "SELECT count(*) FROM millpond.jobs WHERE state = 'ready' AND parked_gate = 'budget'";
        Ok((fleet.count(kept).await? == jobs).then_some(()))
    })
    .await
}

// Fails when each process counts for itself, when a call is made beyond the day's or one of the day's is never made, when
// what is reserved goes to anybody, and when a job pays with an attempt for what it may not call.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_processes_call_as_often_as_a_day_allows_and_the_rest_waits() -> anyhow::Result<()> {
    let mut fleet = Fleet::new(CONFIG).await?;
    fleet.start(PROCESSES).await?;

    fleet.enqueue(jobs(ORDINARY + MORE, 5)).await?;
    done(&fleet, ORDINARY).await?;
    let ordinary = fleet.receiver.begun();
    fleet.enqueue(jobs(DAILY - ORDINARY + MORE, 0)).await?;
    done(&fleet, DAILY).await?;
    // They ask again: there is nothing for them either.
    fleet.enqueue([jobs(1, 0), jobs(1, 5)].concat()).await?;
    left(&fleet, 2 * MORE + 2).await?;

    assert_eq!(ordinary, ORDINARY);
    assert_eq!(fleet.receiver.begun(), DAILY);
    let paid = "SELECT COALESCE(sum(attempts_used), 0)::int8 FROM millpond.jobs";
    assert_eq!(fleet.count(paid).await?, 0);
    let odd = "SELECT count(*) FROM millpond.job_history WHERE attempts_used <> 1";
    assert_eq!(fleet.count(odd).await?, 0);
    let workers = "SELECT count(DISTINCT millpond.attempts_of(h) -> -1 ->> 'worker') FROM millpond.job_history h";
    assert!(fleet.count(workers).await? > 1, "one process did it all");
    let budgets = fleet.client()?.get("/v1/budgets").await?.body;
    let items = budgets["items"].as_array().cloned().unwrap_or_default();
    let crm = items.iter().find(|budget| budget["name"] == "crm");
    assert!(
        crm.is_some_and(|crm| crm["used"] == DAILY && !crm["dry_until"].is_null()),
        "{crm:?}"
    );
    Ok(())
}
