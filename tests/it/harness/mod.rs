//! What the whole-program tests share: a world of their own (database, sandbox, configuration), processes that end with
//! the test, an HTTP client with a key, waiting for conditions.

mod client;
mod program;
pub(crate) mod world;

use std::{future::Future, time::Duration};

pub(crate) use client::Client;
pub(crate) use program::{Program, millpond};
pub(crate) use world::World;

/// Configuration of a world in which nothing is asked of accounts but what a test asks for: an hour that strikes meanwhile
/// would take the answers that were meant for the test.
pub(crate) const NOTHING_BY_ITSELF: &str = r#"
[schedules.sync-incremental]
cron = "0 0 29 2 *"

[schedules.sync-full]
cron = "0 0 29 2 *"

[schedules.token-check]
cron = "0 0 29 2 *"

[schedules.token-expire]
cron = "0 0 29 2 *"

[schedules.strategy-evaluate]
cron = "0 0 29 2 *"

[schedules.alert-evaluate]
cron = "0 0 29 2 *"

[schedules.email-digest]
cron = "0 0 29 2 *"

[schedules.email-sync-errors]
cron = "0 0 29 2 *"

[schedules.webhook-catch-up]
cron = "0 0 29 2 *"

[schedules.webhook-fanout]
cron = "0 0 29 2 *"

[schedules.aggregate-cross-platform]
cron = "0 0 29 2 *"

[schedules.aggregate-daily]
cron = "0 0 29 2 *"

[schedules.aggregate-monthly]
cron = "0 0 29 2 *"

[schedules.maintenance-cache]
cron = "0 0 29 2 *"

[schedules.maintenance-limits]
cron = "0 0 29 2 *"

[schedules.maintenance-retention]
cron = "0 0 29 2 *"
"#;
/// Longest that a test waits for a condition.
const DEADLINE: Duration = Duration::from_secs(60);

/// Waits until the condition gives something.
pub(crate) async fn eventually<T, F: Future<Output = anyhow::Result<Option<T>>>>(
    what: &str,
    condition: impl Fn() -> F,
) -> anyhow::Result<T> {
    eventually_within(DEADLINE, what, condition).await
}

/// The same for much work, which takes a busy machine longer.
pub(crate) async fn eventually_within<T, F: Future<Output = anyhow::Result<Option<T>>>>(
    deadline: Duration,
    what: &str,
    condition: impl Fn() -> F,
) -> anyhow::Result<T> {
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    let waiting = async {
        loop {
            tick.tick().await;
            if let Some(found) = condition().await? {
                return anyhow::Ok(found);
            }
        }
    };
    tokio::time::timeout(deadline, waiting)
        .await
        .map_err(|_| anyhow::anyhow!("in vain: {what}"))?
}
