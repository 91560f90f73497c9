//! What the tests here share: figures that are asked for by hand, rounds of the roll-ups, and numbers as answers tell them.

use std::{collections::BTreeSet, str::FromStr, time::Duration};

use anyhow::Context;
use serde_json::{Value, json};
use sqlx::types::{Decimal, chrono::NaiveDate};

use crate::{
    harness::{Client, World},
    sync::scene::{Account, Scene, trigger},
};

/// Each with what it leaves nothing due of, in the order in which they build on one another.
const ROLL_UPS: [(&str, &str); 3] = [
    ("aggregate-daily", "day"),
    ("aggregate-monthly", "month"),
    ("aggregate-cross-platform", "account_day"),
];
/// A job goes on for ten minutes at most: so many of them have to do.
const MOST_ROUNDS: usize = 12;
const LONGEST_ROUND: Duration = Duration::from_secs(15 * 60);
const BEAT: Duration = Duration::from_millis(50);
/// The one platform that tells no hours.
pub(super) const WITHOUT_HOURS: &str = "linkedin";

/// Days in a row, both ends among them.
pub(super) type Stretch = (NaiveDate, NaiveDate);

/// What a platform is asked for.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) level: &'a str,
    pub(super) granularity: &'a str,
    pub(super) days: Stretch,
}

/// Has figures of an account read, as soon as there is a worker.
pub(super) async fn ask(scene: &Scene, account: &Account, asked: Asked<'_>) -> anyhow::Result<()> {
    let payload = json!({
        "account_id": account.id, "level": asked.level, "granularity": asked.granularity,
        "from": asked.days.0.to_string(), "to": asked.days.1.to_string(),
    });
    let job = json!({"kind": "sync.insights", "payload": payload});
    scene.client.enqueue(&job).await?;
    Ok(())
}

/// Has all that is due rolled up.
pub(super) async fn roll_up(world: &World, client: &Client) -> anyhow::Result<()> {
    for (schedule, grain) in ROLL_UPS {
        let mut round = 0;
        while left(world, grain).await? > 0 {
            anyhow::ensure!(round < MOST_ROUNDS, "{schedule} leaves something for ever");
            round += 1;
            trigger(client, schedule).await?;
            let worked = tokio::time::timeout(LONGEST_ROUND, worked_off(world)).await;
            worked.with_context(|| format!("{schedule} does not end"))??;
        }
    }
    Ok(())
}

async fn left(world: &World, grain: &str) -> anyhow::Result<i64> {
    let left = "SELECT count(*) FROM marketing.rollups_due WHERE grain = $1";
    let left = sqlx::query_scalar(left).bind(grain);
    Ok(left.fetch_one(&mut world.sql().await?).await?)
}

async fn worked_off(world: &World) -> anyhow::Result<()> {
    let mut db = world.sql().await?;
    let mut beat = tokio::time::interval(BEAT);
    loop {
        beat.tick().await;
        let open = "SELECT count(*) FROM millpond.jobs WHERE kind LIKE 'aggregate.%'";
        let open: i64 = sqlx::query_scalar(open).fetch_one(&mut db).await?;
        if open == 0 {
            return Ok(());
        }
    }
}

/// What is asked for by this path, which has an answer.
pub(super) async fn told(client: &Client, query: &str) -> anyhow::Result<Value> {
    let answer = client.get(&format!("/v1/metrics?{query}")).await?;
    anyhow::ensure!(answer.status.is_success(), "{query}: {answer:?}");
    Ok(answer.body)
}

/// The items of a report.
pub(super) fn items(report: &Value) -> anyhow::Result<&Vec<Value>> {
    report["items"].as_array().context("items")
}

/// A number, digit by digit.
pub(super) fn decimal(value: &Value) -> anyhow::Result<Decimal> {
    let number = value.as_number().with_context(|| format!("{value}"))?;
    Ok(Decimal::from_str(&number.to_string())?)
}

/// An amount, which is told as text.
pub(super) fn money(value: &Value) -> anyhow::Result<Decimal> {
    let text = value.as_str().with_context(|| format!("{value}"))?;
    Ok(Decimal::from_str(text)?)
}

/// The names of what one item has and another one lacks, or has otherwise.
pub(super) fn different(one: &Value, other: &Value) -> BTreeSet<String> {
    let members = |value: &Value| value.as_object().cloned().unwrap_or_default();
    let (one, other) = (members(one), members(other));
    let names = one.keys().chain(other.keys());
    let names = names.filter(|name| one.get(*name) != other.get(*name));
    names.cloned().collect()
}

/// What the environment says, or else this.
pub(super) fn setting<T: FromStr>(name: &str, unless_set: T) -> anyhow::Result<T> {
    match std::env::var(name) {
        Ok(text) => text.parse().ok().with_context(|| format!("{name}={text}")),
        Err(_) => Ok(unless_set),
    }
}
