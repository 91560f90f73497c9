//! `maintenance.limits`: takes away what limits have left behind, of calls and starts that count no more.

use std::time::{Duration, Instant};

use marketing::accounts::AccountsError;
use queue::{Job, JobContext, LimitsPruned, Outcome, Queue};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{App, error::Error};

/// Longest time that a job goes on: what is left then is the next one's.
const LONGEST_TURN: Duration = Duration::from_secs(10 * 60);

/// Takes away what limits have left behind. Idempotent: a second attempt takes away what is left.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MaintenanceLimits {}

impl Job for MaintenanceLimits {
    const KIND: &'static str = "maintenance.limits";
    type App = App;
    type Error = Error;

    async fn run(self, ctx: &JobContext<App>) -> Result<Outcome, Error> {
        clean(&ctx.app.queue, ctx.cancellation()).await
    }
}

async fn clean(queue: &Queue, stop: &CancellationToken) -> Result<Outcome, Error> {
    let began = Instant::now();
    let mut removed = LimitsPruned::default();
    while !removed.is_done && began.elapsed() < LONGEST_TURN {
        if stop.is_cancelled() {
            return Err(Error::Stopped);
        }
        let round = queue.prune_limits().await;
        removed = removed.and_then(round.map_err(AccountsError::Engine)?);
    }
    Ok(Outcome::SucceededWith(json!(removed)))
}

#[cfg(test)]
mod tests {
    use marketing::PgPool;

    use super::*;
    use crate::kinds::scene::Scene;

    // Fails when what limits leave behind stays, when something goes that still counts, or nobody can see what went.
    #[sqlx::test(migrations = "../../migrations")]
    async fn what_counts_no_more_goes_and_is_counted(db: PgPool) -> anyhow::Result<()> {
        let scene = Scene::new(&db);
        sqlx::raw_sql(
            "INSERT INTO millpond.budget_usage (name, account, slot, used)
             SELECT 'meta', n::text, now() - make_interval(hours => n), 1 FROM unnest(ARRAY[1, 50, 60]) AS n;
             INSERT INTO millpond.budget_holders (name, account, holder, places, expires_at)
             SELECT 'meta', '', gen_random_uuid(), 1, now() - make_interval(hours => n) FROM unnest(ARRAY[0, 30]) AS n;
             INSERT INTO millpond.holds (account, reason, by, until)
             SELECT n::text, 'x', 'test', now() + make_interval(mins => n) FROM unnest(ARRAY[-1, 5]) AS n;
             INSERT INTO millpond.queues (name, rate_times, rate_starts)
             VALUES ('old', ARRAY[now() - interval '2 days'], ARRAY[3]), ('young', ARRAY[now()], ARRAY[3]);",
        )
        .execute(&db)
        .await?;

        let done = clean(&scene.app.queue, &CancellationToken::new()).await;

        let Ok(Outcome::SucceededWith(result)) = done else {
            panic!("it cleans up: {done:?}");
        };
        assert_eq!(
            result,
            json!({"usage": 2, "holders": 1, "budgets": 0, "pauses": 0, "holds": 1, "windows": 1, "is_done": true})
        );
        let left: i64 = sqlx::query_scalar(
            "SELECT (SELECT count(*) FROM millpond.budget_usage) + (SELECT count(*) FROM millpond.budget_holders)
                    + (SELECT count(*) FROM millpond.holds) + (SELECT count(*) FROM millpond.queues WHERE rate_times <> '{}')",
        )
        .fetch_one(&db)
        .await?;
        assert_eq!(left, 4);
        Ok(())
    }

    #[sqlx::test(migrations = "../../migrations")]
    async fn one_that_is_told_to_stop_takes_nothing_more_away(db: PgPool) -> anyhow::Result<()> {
        let scene = Scene::new(&db);
        let stop = CancellationToken::new();
        stop.cancel();

        let stopped = clean(&scene.app.queue, &stop).await;

        assert!(matches!(stopped, Err(Error::Stopped)), "{stopped:?}");
        Ok(())
    }
}
