//! The fleet's gauge about figures that wait to be rolled up.

use futures::future::BoxFuture;
use queue::FleetGauges;
use sqlx::PgConnection;

use super::Grain;
use crate::{metrics, store::rollups};

/// How many marks of a grain are looked at: as many tell that something is behind.
const MOST_LOOKED_AT: i64 = 10_000;

/// For how long the figures have waited that wait longest to be rolled up.
#[derive(Debug, Clone, Copy, Default)]
pub struct RollupGauges;

impl FleetGauges for RollupGauges {
    fn names(&self) -> &'static [&'static str] {
        &[metrics::ROLLUP_OLDEST_DUE]
    }

    fn show<'a>(&'a self, conn: &'a mut PgConnection) -> BoxFuture<'a, Result<(), sqlx::Error>> {
        Box::pin(async move {
            for grain in [Grain::Days, Grain::Months, Grain::AccountDays] {
                let waited_s = waited_s(conn, grain).await?;
                metrics::rollup_oldest_due(grain.as_str(), waited_s);
            }
            Ok(())
        })
    }
}

/// In seconds; nothing waits for no time.
async fn waited_s(conn: &mut PgConnection, grain: Grain) -> Result<f64, sqlx::Error> {
    let oldest_s = rollups::oldest_due(conn, grain.as_str(), MOST_LOOKED_AT).await?;
    Ok(oldest_s.unwrap_or_default().max(0.0))
}

#[cfg(test)]
mod tests {
    use sqlx::PgPool;

    use super::*;

    // Fails when figures that wait are not seen, or those of another grain are.
    #[sqlx::test(migrations = "../../migrations")]
    async fn what_waits_longest_is_told_of_its_own_grain(db: PgPool) -> anyhow::Result<()> {
        sqlx::raw_sql(
            "INSERT INTO marketing.rollups_due (grain, account, level, bucket, marked_at)
             SELECT 'day', gen_random_uuid(), 'ad', '2026-11-01', now() - make_interval(hours => n)
               FROM generate_series(1, 5) AS n",
        )
        .execute(&db)
        .await?;
        let mut conn = db.acquire().await?;

        let days_s = waited_s(&mut conn, Grain::Days).await?;
        let months_s = waited_s(&mut conn, Grain::Months).await?;

        assert!((18_000.0..18_060.0).contains(&days_s), "{days_s}");
        assert!(months_s.abs() < f64::EPSILON, "{months_s}");
        Ok(())
    }
}
