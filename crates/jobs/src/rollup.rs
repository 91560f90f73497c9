//! What the kinds that roll figures up share: rounds until nothing is due, a bounded time long.

use std::time::{Duration, Instant};

use marketing::rollups::{Grain, Place, RolledUp, Rollups};
use queue::Outcome;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{App, error::Error};

/// Longest time that a job goes on: what is left then is the next one's.
const LONGEST_TURN: Duration = Duration::from_secs(10 * 60);

/// Rolls up what is due. A second attempt goes on with what the first one has left.
pub(crate) async fn roll_up(
    app: &App,
    stop: &CancellationToken,
    grain: Grain,
) -> Result<Outcome, Error> {
    let rollups = Rollups::new(app.queue.clone());
    let began = Instant::now();
    let mut place = Place::default();
    let mut rolled = RolledUp::default();
    while began.elapsed() < LONGEST_TURN {
        if stop.is_cancelled() {
            return Err(Error::Stopped);
        }
        let Some(more) = rollups.roll_up_next(grain, &mut place).await? else {
            break;
        };
        rolled = rolled.and_then(more);
    }
    let mut told = json!(rolled);
    told["left"] = json!(rollups.left(grain).await?);
    Ok(Outcome::SucceededWith(told))
}

#[cfg(test)]
mod tests {
    use marketing::PgPool;

    use super::*;
    use crate::kinds::scene::Scene;

    // Fails when what is due is left, or nobody can see what was done.
    #[sqlx::test(migrations = "../../migrations")]
    async fn what_is_due_is_rolled_up_and_told(db: PgPool) -> anyhow::Result<()> {
        let scene = Scene::new(&db);
        scene.connected().await?;
        sqlx::raw_sql(
            "SELECT marketing.make_insight_months('insights_hourly', '2026-11-01', '2026-11-30');
             INSERT INTO marketing.insights_hourly
                    (account, level, date, hour, entity_id, impressions, clicks, link_clicks, views, likes, comments, shares,
                     spend, conversions, revenue, leads)
             SELECT a.id, 'ad', day::date, 5, '7', 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
               FROM marketing.accounts a, generate_series('2026-11-01'::date, '2026-11-09', '1 day') AS day;
             INSERT INTO marketing.insight_days (account, level, granularity, breakdowns, date, read_at)
             SELECT a.id, 'ad', 'hour', '', day::date, now()
               FROM marketing.accounts a, generate_series('2026-11-01'::date, '2026-11-09', '1 day') AS day",
        )
        .execute(&db)
        .await?;
        let stop = CancellationToken::new();

        let mut results = Vec::new();
        for grain in [Grain::Days, Grain::Months, Grain::AccountDays, Grain::Days] {
            match roll_up(&scene.app, &stop, grain).await {
                Ok(Outcome::SucceededWith(result)) => results.push(result),
                other => panic!("it rolls up: {other:?}"),
            }
        }
        stop.cancel();
        let stopped = roll_up(&scene.app, &stop, Grain::Days).await;

        let done = |buckets: u64, written: u64| json!({"buckets": buckets, "written": written, "removed": 0, "left": 0});
        assert_eq!(results, [done(9, 9), done(1, 1), done(9, 9), done(0, 0)]);
        assert!(matches!(stopped, Err(Error::Stopped)), "{stopped:?}");
        Ok(())
    }
}
