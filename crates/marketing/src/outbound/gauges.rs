//! The fleet's gauge about customers' endpoints.

use std::collections::HashMap;

use futures::future::BoxFuture;
use queue::FleetGauges;
use sqlx::PgConnection;

use crate::{metrics, store::outbound_endpoints};

/// Every way in which an endpoint stands.
const STATUSES: [&str; 4] = ["enabled", "failing", "disabled", "given_up"];

/// How many endpoints stand how.
#[derive(Debug, Clone, Copy, Default)]
pub struct EndpointGauges;

impl FleetGauges for EndpointGauges {
    fn names(&self) -> &'static [&'static str] {
        &[metrics::WEBHOOK_ENDPOINTS]
    }

    fn show<'a>(&'a self, conn: &'a mut PgConnection) -> BoxFuture<'a, Result<(), sqlx::Error>> {
        Box::pin(async move {
            let counted = standing(conn).await?;
            for status in STATUSES {
                let count = counted.get(status).copied().unwrap_or(0);
                metrics::webhook_endpoints(status, count);
            }
            Ok(())
        })
    }
}

/// How many endpoints stand how; what none does is left out.
async fn standing(conn: &mut PgConnection) -> Result<HashMap<String, i64>, sqlx::Error> {
    let counted = outbound_endpoints::counts(conn).await?.into_iter();
    Ok(counted.map(|row| (row.status, row.count)).collect())
}

#[cfg(test)]
mod tests {
    use sqlx::PgPool;

    use super::*;

    // Fails when one that its customer switched off looks like one that we gave up, or one that fails like one that works.
    #[sqlx::test(migrations = "../../migrations")]
    async fn endpoints_are_told_apart_by_why_they_hear_nothing(db: PgPool) -> anyhow::Result<()> {
        sqlx::raw_sql(
            "INSERT INTO marketing.webhook_endpoints (id, tenant, url, failing_since)
             SELECT gen_random_uuid(), 'acme', 'https://hooks.example.com', since
               FROM unnest(ARRAY[NULL, NULL, now()]::timestamptz[]) AS since;
             INSERT INTO marketing.webhook_endpoints (id, tenant, url, status, disabled_at, disabled_by, disabled_reason)
             SELECT gen_random_uuid(), 'acme', 'https://hooks.example.com', 'disabled', now(), who, 'x'
               FROM unnest(ARRAY['request', 'failures', 'gone']) AS who;",
        )
        .execute(&db)
        .await?;
        let mut conn = db.acquire().await?;

        let standing = standing(&mut conn).await?;

        let counts = STATUSES.map(|status| standing.get(status).copied().unwrap_or(0));
        assert_eq!(counts, [2, 1, 1, 2]);
        Ok(())
    }
}
