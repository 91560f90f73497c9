//! Processes that are killed in the middle of their pages: each sync goes on behind its last page.

use std::collections::BTreeMap;

use anyhow::Context;
use serde_json::json;

use super::{
    scene::{Pace, Plan, Scene, control, nothing_failed},
    truth,
};
use crate::chaos::dice::Dice;

/// How often the process is killed, and the most pages between two of its deaths.
const KILLS: usize = 5;
const MOST_PAGES: usize = 22;
/// Two attempts at a time, and as many deaths as it takes.
const CONFIG: &str = r#"
[queues.sync]
concurrency = 2

[kinds."sync.account"]
max_attempts = 50

[kinds."sync.insights"]
max_attempts = 50
"#;
/// What paths of lists end with.
const LISTS: [&str; 13] = [
    "/insights",
    "/campaigns",
    "/adsets",
    "/ads",
    "/adcreatives",
    "/customaudiences",
    "/adspixels",
    "/adCampaignGroups",
    "/adCampaigns",
    "/creatives",
    "/adSegments",
    "/conversions",
    "/adAnalytics",
];

/// What a sync has counted.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
struct Counted {
    /// What it is of.
    scope: String,
    pages: i64,
    entities: i64,
    rows: i64,
}

/// The syncs that have ended, in the order in which they began.
async fn syncs(scene: &Scene) -> anyhow::Result<Vec<Counted>> {
    let ended = sqlx::query_as(
        "SELECT concat_ws(' ', account_id, mode, level, granularity, first_day, last_day) AS scope, pages, entities, rows
           FROM marketing.bi_syncs WHERE finished_at IS NOT NULL ORDER BY sync_id",
    );
    Ok(ended.fetch_all(&mut scene.world.sql().await?).await?)
}

async fn count(scene: &Scene, sql: &str) -> anyhow::Result<i64> {
    let number = sqlx::query_scalar(sql);
    Ok(number.fetch_one(&mut scene.world.sql().await?).await?)
}

/// How many pages of lists the platforms were asked for more than once.
async fn asked_again(scene: &Scene) -> anyhow::Result<i64> {
    let mut calls: BTreeMap<(String, String), i64> = BTreeMap::new();
    for call in scene.world.received("calls").await? {
        let text = |name: &str| call[name].as_str().unwrap_or_default().to_owned();
        let path = text("path");
        if text("method") == "GET" && LISTS.iter().any(|list| path.ends_with(list)) {
            *calls.entry((path, text("query"))).or_default() += 1;
        }
    }
    Ok(calls.values().map(|count| count - 1).sum())
}

/// Has the same read once more by a process that lives, and tells what that counted.
async fn read_again(scene: &Scene) -> anyhow::Result<Vec<Counted>> {
    let before = syncs(scene).await?.len();
    for account in &scene.accounts {
        let (first, last): (String, String) = sqlx::query_as(
            "SELECT min(date)::text, max(date)::text FROM marketing.insight_days WHERE account = $1",
        )
        .bind(account.id)
        .fetch_one(&mut scene.world.sql().await?)
        .await?;
        let path = format!("/v1/accounts/{}/backfill", account.id);
        let days = json!({"from": first, "to": last});
        let answer = scene.client.post(&path, &days).await?;
        anyhow::ensure!(answer.status.is_success(), "{answer:?}");
    }
    scene.read_entities("full").await?;
    scene.work_off(Pace::Steady).await?;
    Ok(syncs(scene).await?.split_off(before))
}

fn by_scope(mut syncs: Vec<Counted>) -> Vec<Counted> {
    syncs.sort_by(|a, b| a.scope.cmp(&b.scope));
    syncs
}

// Fails when a page and the place of the next one are not stored together, when an attempt begins its sync anew or leaves a
// page out, when it goes on at a place that another one has passed, and when figures that wait are lost or seen.
#[tokio::test]
async fn a_sync_that_was_killed_goes_on_behind_its_last_page() -> anyhow::Result<()> {
    let seed = match std::env::var("MILLPOND_SYNC_SEED") {
        Ok(seed) => seed.parse().context("MILLPOND_SYNC_SEED is no number")?,
        Err(_) => u64::from(std::process::id()),
    };
    let mut dice = Dice::new(seed);
    let plan = Plan {
        platforms: &["meta", "linkedin"],
        campaigns: 24,
        has_history: true,
        config: CONFIG,
    };
    let mut scene = Scene::begin(&plan).await?;
    for platform in plan.platforms {
        let slow = json!({"target": platform, "fault": {"kind": "hang", "wait_ms": 20}});
        control(&scene.world, "faults", &slow).await?;
    }

    let (mut kills, mut pages) = (0, 0);
    while kills < KILLS {
        pages += 1 + i64::try_from(dice.place(MOST_PAGES))?;
        if !scene.work_until(Pace::Steady, Some(pages)).await? {
            break;
        }
        scene.restart().await?;
        kills += 1;
    }
    scene.work_off(Pace::Steady).await?;

    let said = format!("MILLPOND_SYNC_SEED={seed}");
    let lost = "SELECT count(*) FROM millpond.job_history h, jsonb_array_elements(millpond.attempts_of(h)) a
                 WHERE a ->> 'outcome' = 'lost'";
    let lost = count(&scene, lost).await?;
    let again = asked_again(&scene).await?;
    let of_killed = syncs(&scene).await?;
    let waiting = "SELECT (SELECT count(*) FROM marketing.insights_staged) + (SELECT count(*) FROM marketing.report_runs)";
    let waiting = count(&scene, waiting).await?;
    nothing_failed(&scene.world)
        .await
        .with_context(|| said.clone())?;
    for account in &scene.accounts {
        let compared = truth::figures(&scene.world, account).await;
        compared.with_context(|| said.clone())?;
    }
    truth::entities(&scene)
        .await
        .with_context(|| said.clone())?;
    let of_living = read_again(&scene).await?;

    assert!(kills == KILLS && lost > 0, "{said}: {kills} and {lost}");
    assert!(
        again <= lost,
        "{said}: {again} pages were asked for again, and {lost} attempts were lost"
    );
    assert_eq!(waiting, 0, "{said}: what waited is left over");
    assert_eq!(by_scope(of_killed), by_scope(of_living), "{said}");
    Ok(())
}
