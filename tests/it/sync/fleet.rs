//! A fleet of accounts that is read every hour, within its platforms' budgets, and what that takes.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    str::FromStr,
    time::{Duration, Instant},
};

use anyhow::Context;
use serde_json::Value;
use sqlx::types::chrono::{DateTime, Utc};

use super::scene::{
    Account, PLATFORMS, connect, external_ids, hurry, nothing_failed, serve, trigger,
};
use crate::harness::{Client, NOTHING_BY_ITSELF, Program, World, eventually};

/// How many accounts there are and for how long they are read: as many rounds as fit, one at least. `scripts/sync` has 200 for
/// half an hour, by `MILLPOND_SYNC_ACCOUNTS` and `MILLPOND_SYNC_MINUTES`.
const ACCOUNTS: usize = 20;
const MINUTES: u64 = 0;
/// What is read every hour has to be read by then.
const HOUR: Duration = Duration::from_secs(60 * 60);
/// How often is looked how far it is.
const BEAT: Duration = Duration::from_millis(500);
/// What operators have.
const CONFIG: &str = r#"
[email]
from = "Millpond <jobs@example.com>"

[slo.entities]
kind = "sync.account"
within = "1h"
target = 0.99

[slo.figures]
kind = "sync.insights"
within = "90m"
target = 0.99
"#;
/// The objectives, and the share of the accounts that has to meet them.
const OBJECTIVES: [&str; 2] = ["slo=\"entities\"", "slo=\"figures\""];
const TARGET: f64 = 0.99;
/// The budgets that are built in: calls a second, and whether each account has them or the platform as a whole.
const BUDGETS: [(&str, usize, bool); 5] = [
    ("meta", 10, true),
    ("google_ads", 5, false),
    ("linkedin", 3, false),
    ("tiktok", 8, false),
    ("x", 5, true),
];
/// The time in which calls are counted, and how much of it may be ahead: a process leases calls for a second.
const WINDOW_S: usize = 10;
const AHEAD_S: usize = 1;
const MIB: u64 = 1 << 20;

/// Whose calls are counted together: a platform's, or one of its account's.
type Caller = (String, Option<String>);

struct Fleet {
    program: Program,
    client: Client,
    accounts: Vec<Account>,
    world: World,
}

/// What a platform's server heard of a budget's calls.
struct Heard {
    calls: usize,
    /// Of whoever called most: how often in all, and within one window.
    most: usize,
    busiest: usize,
}

impl Fleet {
    /// Connects so many accounts of each platform. The year before them is another test's: it is taken for asked for.
    async fn begin(of_each: usize) -> anyhow::Result<Self> {
        // Some of them are not active.
        let there_are = (of_each * 5 / 4 + 2).to_string();
        let world = World::of(&["--accounts", &there_are, "--campaigns", "8"]).await?;
        std::fs::write(
            world.folder.join("jobs.toml"),
            [NOTHING_BY_ITSELF, CONFIG].concat(),
        )?;
        let (api, client) = serve(&world, &["--roles", "api"]).await?;
        let mut accounts = Vec::new();
        for platform in PLATFORMS {
            let ids = external_ids(&world, platform, of_each).await?;
            accounts.extend(connect(&world, &client, (platform, &ids)).await?);
        }
        sqlx::query("UPDATE marketing.accounts SET history_asked_at = now()")
            .execute(&mut world.sql().await?)
            .await?;
        drop(api);
        let (program, client) = serve(&world, &[]).await?;
        Ok(Self {
            program,
            client,
            accounts,
            world,
        })
    }

    /// Waits until no job is left that reads accounts; where nobody has an hour, none waits for its minute.
    async fn work_off(&self, is_hurried: bool) -> anyhow::Result<()> {
        let mut db = self.world.sql().await?;
        let mut beat = tokio::time::interval(BEAT);
        let working = async {
            loop {
                beat.tick().await;
                if is_hurried {
                    hurry(&self.client).await?;
                }
                let open = "SELECT count(*) FROM millpond.jobs WHERE queue = 'sync'";
                let open: i64 = sqlx::query_scalar(open).fetch_one(&mut db).await?;
                if open == 0 {
                    return anyhow::Ok(());
                }
            }
        };
        let worked = tokio::time::timeout(HOUR, working).await;
        worked.context("not all accounts are read within the hour")?
    }

    /// What the platforms' servers heard since then, by platform.
    async fn heard(&self, since: DateTime<Utc>) -> anyhow::Result<BTreeMap<&'static str, Heard>> {
        let mut calls: BTreeMap<Caller, Vec<i64>> = BTreeMap::new();
        for call in self.world.received("calls").await? {
            let at: DateTime<Utc> = call["at"].as_str().context("a time")?.parse()?;
            if at >= since {
                let caller = self.caller(&call);
                calls.entry(caller).or_default().push(at.timestamp_millis());
            }
        }
        let mut heard = BTreeMap::new();
        for (platform, ..) in BUDGETS {
            let of_platform = calls.iter().filter(|((name, _), _)| name == platform);
            let times: Vec<&Vec<i64>> = of_platform.map(|(_, times)| times).collect();
            let of = Heard {
                calls: times.iter().map(|times| times.len()).sum(),
                most: times.iter().map(|times| times.len()).max().unwrap_or(0),
                busiest: times.iter().map(|times| busiest(times)).max().unwrap_or(0),
            };
            heard.insert(platform, of);
        }
        Ok(heard)
    }

    /// Whose budget a call was for. Few calls name no account where each has a budget: those count together.
    fn caller(&self, call: &Value) -> Caller {
        let text = |name: &str| call[name].as_str().unwrap_or_default().to_owned();
        let (platform, called) = (text("platform"), text("path") + "?" + &text("query"));
        let has_own = BUDGETS
            .iter()
            .any(|(name, _, of_account)| *name == platform && *of_account);
        let mut accounts = self.accounts.iter().filter(|_| has_own);
        let account = accounts
            .find(|it| it.platform == platform && called.contains(&it.external_id))
            .map(|it| it.external_id.clone());
        (platform, account)
    }

    /// The share of the accounts that meets an objective, once it is as large as it has to be.
    async fn good_ratio(&self, objective: &str) -> anyhow::Result<f64> {
        let what = format!("enough accounts are fresh: {objective}");
        eventually(&what, || async {
            let ratio = self
                .client
                .metric("millpond_slo_good_ratio", objective)
                .await?;
            Ok((ratio >= TARGET).then_some(ratio))
        })
        .await
    }
}

/// Most calls within one window.
fn busiest(times: &[i64]) -> usize {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let window_ms = WINDOW_S as i64 * 1_000;
    let within =
        |first: usize| sorted.partition_point(|at| *at < sorted[first] + window_ms) - first;
    (0..sorted.len()).map(within).max().unwrap_or(0)
}

fn setting<T: FromStr>(name: &str, unless_set: T) -> anyhow::Result<T> {
    match std::env::var(name) {
        Ok(text) => text.parse().ok().with_context(|| format!("{name}={text}")),
        Err(_) => Ok(unless_set),
    }
}

fn say(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(io::stdout(), "{text}")?)
}

// Fails when accounts that are read together are called beyond a budget, when one of them is forgotten or fails, when a round takes
// longer than the hour, and when stored figures are not as fresh as they were promised to be.
#[tokio::test]
async fn accounts_are_read_every_hour_within_the_budgets_of_their_platforms() -> anyhow::Result<()>
{
    let count: usize = setting("MILLPOND_SYNC_ACCOUNTS", ACCOUNTS)?;
    let lasts = Duration::from_secs(60 * setting("MILLPOND_SYNC_MINUTES", MINUTES)?);
    let fleet = Box::pin(Fleet::begin(count / PLATFORMS.len())).await?;
    let since: DateTime<Utc> = sqlx::query_scalar("SELECT clock_timestamp()")
        .fetch_one(&mut fleet.world.sql().await?)
        .await?;
    fleet.work_off(true).await?;
    say(&format!(
        "{} accounts, read for the first time",
        fleet.accounts.len()
    ))?;

    let began = Instant::now();
    let mut rounds = 0;
    while rounds == 0 || began.elapsed() < lasts {
        let round = Instant::now();
        trigger(&fleet.client, "sync-incremental").await?;
        fleet.work_off(lasts.is_zero()).await?;
        rounds += 1;
        say(&format!("round {rounds}: {} s", round.elapsed().as_secs()))?;
    }
    let mut fresh = Vec::new();
    for objective in OBJECTIVES {
        fresh.push(fleet.good_ratio(objective).await?);
    }
    let heard = fleet.heard(since).await?;
    let peak = fleet.program.peak_memory().context("it is told")?;

    nothing_failed(&fleet.world).await?;
    say(&format!(
        "freshness: {:.1} % of what accounts hold is younger than 1 h, {:.1} % of their figures than 90 min",
        fresh[0] * 100.0,
        fresh[1] * 100.0
    ))?;
    say(&format!(
        "memory of the one process: {} MiB at most",
        peak / MIB
    ))?;
    for (platform, calls_a_second, _) in BUDGETS {
        let of = &heard[platform];
        let most = calls_a_second * (WINDOW_S + AHEAD_S);
        say(&format!(
            "{platform}: {} calls, {} at most of one budget, {} of {most} within {WINDOW_S} s",
            of.calls, of.most, of.busiest
        ))?;
        assert!(of.calls > 0, "{platform} was not called");
        assert!(of.busiest <= most, "{platform}: {} of {most}", of.busiest);
    }
    Ok(())
}
