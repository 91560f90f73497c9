//! A year of five platforms, and what becomes of days that the platforms restate.

use anyhow::Context;
use reqwest::StatusCode;
use serde_json::json;

use super::{
    scene::{
        Account, PLATFORMS, Pace, Plan, Scene, begin_quarter, nothing_failed, set_clock, trigger,
    },
    truth::{self, Figures, LEVELS},
};

/// A year without today, which goes on, and the days before it that are asked for by hand.
const DAYS: i64 = 365 + 14;
const TWO_DAYS_S: i64 = 2 * 24 * 60 * 60;

/// Has the days before the year read: of the one half of the accounts by HTTP, of the other by the command.
async fn back_fill(scene: &Scene) -> anyhow::Result<()> {
    // The last of them may be a day of the year as well, wherever on earth an account is.
    let days = "SELECT (today - 380)::text, (today - 365)::text FROM (SELECT (now() AT TIME ZONE 'UTC')::date) AS t (today)";
    let (first, last): (String, String) = sqlx::query_as(days)
        .fetch_one(&mut scene.world.sql().await?)
        .await?;
    for (place, account) in scene.accounts.iter().enumerate() {
        if place % 2 == 0 {
            let path = format!("/v1/accounts/{}/backfill", account.id);
            let days = json!({"from": first, "to": last});
            let answer = scene.client.post(&path, &days).await?;
            anyhow::ensure!(answer.status == StatusCode::ACCEPTED, "{answer:?}");
        } else {
            let id = account.id.to_string();
            let arguments = ["accounts", "backfill", &id, "--from", &first, "--to", &last];
            scene.world.command(&arguments)?;
        }
    }
    Ok(())
}

/// Reads what schedules read again every day and every hour, within a quarter of the sandbox's hour, and compares all.
async fn read_again(scene: &Scene) -> anyhow::Result<Vec<(Account, Figures)>> {
    begin_quarter(&scene.world).await?;
    trigger(&scene.client, "sync-full").await?;
    trigger(&scene.client, "sync-incremental").await?;
    scene.work_off(Pace::Steady).await?;
    nothing_failed(&scene.world).await?;
    let mut compared = Vec::new();
    for account in &scene.accounts {
        let figures = truth::figures(&scene.world, account).await?;
        compared.push((account.clone(), figures));
    }
    Ok(compared)
}

// Fails when a page of anything is left out or counts twice, when money is rounded, when a day is read by another clock than
// the account's, when restated days are added to what is stored or keep rows that are not told any more, and when less is read
// again than its platform restates.
#[tokio::test]
async fn a_year_is_stored_as_the_sandbox_exports_it_and_so_are_days_that_were_restated()
-> anyhow::Result<()> {
    let plan = Plan {
        platforms: &PLATFORMS,
        campaigns: 8,
        has_history: true,
        config: "",
    };
    let scene = Scene::begin(&plan).await?;

    back_fill(&scene).await?;
    scene.work_off(Pace::Hasty).await?;
    let first = read_again(&scene).await?;
    let held = truth::entities(&scene).await?;
    set_clock(&scene.world, &json!({"advance_s": TWO_DAYS_S})).await?;
    let second = read_again(&scene).await?;

    assert!(held > 100, "{held}");
    for ((account, before), (_, after)) in first.iter().zip(&second) {
        let platform = account.platform;
        for level in LEVELS {
            let days = before.days.get(level).context("days were read")?;
            assert!(*days >= DAYS, "{platform} {level}: {days}");
            // LinkedIn tells no hours.
            let hours = before.days_by_hour.get(level);
            assert_eq!(
                hours.is_some(),
                platform != "linkedin",
                "{platform} {level}"
            );
        }
        assert!(before.rows > 4 * 300, "{platform}: {before:?}");
        assert!(
            before.sum.spend > 0 && before.sum.conversions > 0,
            "{platform}: {before:?}"
        );
        assert_ne!(after.sum, before.sum, "{platform}: nothing was restated");
    }
    Ok(())
}
