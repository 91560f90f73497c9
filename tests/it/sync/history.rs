//! The first year of an account: it can be watched, and it lets all others go first.

use anyhow::Context;
use serde_json::{Value, json};

use super::scene::{Account, Pace, Plan, Scene, control};
use crate::harness::eventually;

/// Most jobs of a year of 56 that may be done while five are that are wanted now: those that were begun already.
const MOST_BETWEEN: i64 = 6;
/// One attempt at a time in the whole fleet.
const CONFIG: &str = r#"
[queues.sync]
concurrency = 1
"#;

/// The jobs of an account's back-fill in this state.
async fn back_fill(scene: &Scene, account: &Account, state: &str) -> anyhow::Result<Vec<Value>> {
    let path = format!(
        "/v1/jobs?tag.backfill={}&state={state}&limit=500",
        account.id
    );
    let jobs = scene.client.get(&path).await?.body;
    Ok(jobs["items"].as_array().context("a list")?.clone())
}

/// How many jobs of an account's back-fill are not done.
async fn left(scene: &Scene, account: &Account) -> anyhow::Result<i64> {
    let left = "SELECT count(*) FROM millpond.jobs WHERE tags ->> 'backfill' = $1";
    let left = sqlx::query_scalar(left).bind(account.id.to_string());
    Ok(left.fetch_one(&mut scene.world.sql().await?).await?)
}

/// Asks for what schedules ask for every hour, and gives the ids of the jobs.
async fn ask_for_an_hour(scene: &Scene, account: &Account) -> anyhow::Result<Vec<String>> {
    let today: String = sqlx::query_scalar("SELECT (now() AT TIME ZONE 'UTC')::date::text")
        .fetch_one(&mut scene.world.sql().await?)
        .await?;
    let mut jobs = vec![json!({
        "kind": "sync.account", "payload": {"account_id": account.id, "mode": "incremental"},
    })];
    for level in ["account", "campaign", "ad_set", "ad"] {
        let payload = json!({
            "account_id": account.id, "level": level, "granularity": "hour", "from": today, "to": today,
        });
        jobs.push(json!({"kind": "sync.insights", "payload": payload}));
    }
    let mut ids = Vec::new();
    for job in &jobs {
        ids.push(scene.client.enqueue(job).await?);
    }
    Ok(ids)
}

// Fails when a back-fill has the priority of what is wanted every hour, or is one job that keeps its slot to the end, and when
// nobody can see how far it is.
#[tokio::test]
async fn a_first_year_shows_how_far_it_is_and_keeps_no_hourly_sync_waiting() -> anyhow::Result<()> {
    let plan = Plan {
        platforms: &["google_ads"],
        campaigns: 12,
        has_history: true,
        config: CONFIG,
    };
    let mut scene = Scene::begin(&plan).await?;
    let other = scene.accounts[0].clone();
    scene.work_off(Pace::Steady).await?;
    // Each call of the one whose year begins takes its time.
    let slow = json!({"target": "meta", "fault": {"kind": "hang", "wait_ms": 100}});
    control(&scene.world, "faults", &slow).await?;
    scene.connect("meta").await?;
    let new = scene.accounts[1].clone();

    let shown = eventually("the year shows how far it is", || async {
        for done in back_fill(&scene, &new, "succeeded").await? {
            let id = done["id"].as_str().context("an id")?;
            let job = scene.client.get(&format!("/v1/jobs/{id}")).await?.body;
            // Today, which is read by the hour, may have begun a moment ago.
            if job["payload"]["granularity"] == "day" {
                let syncs = format!("/v1/accounts/{}/syncs?limit=500", new.id);
                let syncs = scene.client.get(&syncs).await?.body;
                return Ok(Some((job, syncs)));
            }
        }
        Ok(None)
    })
    .await?;
    let before = left(&scene, &new).await?;
    for id in ask_for_an_hour(&scene, &other).await? {
        scene.client.in_state(&id, "succeeded").await?;
    }
    let after = left(&scene, &new).await?;
    let waiting = back_fill(&scene, &new, "ready").await?;

    let (job, syncs) = shown;
    assert_eq!(job["progress"]["to"], job["payload"]["to"], "{job}");
    assert!(job["progress"]["rows"].as_i64() > Some(0), "{job}");
    assert_eq!(job["result"]["rows"], job["progress"]["rows"], "{job}");
    let logged = syncs["items"].as_array().context("a log")?;
    let of_job = logged.iter().find(|sync| sync["job_id"] == job["id"]);
    let of_job = of_job.context("its sync")?;
    assert_eq!(
        of_job["counts"]["rows"], job["progress"]["rows"],
        "{of_job}"
    );
    assert!(
        before - after <= MOST_BETWEEN && !waiting.is_empty(),
        "{before} jobs were left, and {after} are"
    );
    for job in &waiting {
        assert_eq!(job["priority"], 8, "{job}");
    }
    Ok(())
}
