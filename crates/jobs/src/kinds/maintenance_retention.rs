//! `maintenance.retention`: deletes what is too old of what sync stores, and makes partitions for the time ahead. What the
//! engine stores its leader deletes.

use std::time::{Duration, Instant};

use marketing::sync::{Pruned, Retention};
use queue::{Job, JobContext, Outcome};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{App, error::Error};

/// Longest time that a job goes on: what is left then is the next one's.
const LONGEST_TURN: Duration = Duration::from_secs(10 * 60);

/// Deletes what is too old. Idempotent: a second attempt deletes what is left.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MaintenanceRetention {}

impl Job for MaintenanceRetention {
    const KIND: &'static str = "maintenance.retention";
    type App = App;
    type Error = Error;

    async fn run(self, ctx: &JobContext<App>) -> Result<Outcome, Error> {
        Box::pin(clean(&ctx.app, ctx.cancellation())).await
    }
}

async fn clean(app: &App, stop: &CancellationToken) -> Result<Outcome, Error> {
    let began = Instant::now();
    let keep = Retention::default();
    let mut removed = Pruned::default();
    loop {
        if stop.is_cancelled() {
            return Err(Error::Stopped);
        }
        removed = removed.and_then(app.syncs.prune(&keep).await?);
        if removed.is_done || began.elapsed() > LONGEST_TURN {
            break;
        }
    }
    let away = app.accounts.forget_who_stayed_away().await?;
    let mut told = json!(removed);
    told["oauth_states"] = json!(away);
    Ok(Outcome::SucceededWith(told))
}

#[cfg(test)]
mod tests {
    use marketing::PgPool;

    use super::*;
    use crate::kinds::scene::Scene;

    // Fails when what grows is not deleted, or nobody can see what was.
    #[sqlx::test(migrations = "../../migrations")]
    async fn what_is_too_old_goes_and_is_counted(db: PgPool) -> anyhow::Result<()> {
        let scene = Scene::new(&db);
        scene.connected().await?;
        sqlx::raw_sql(
            "INSERT INTO marketing.events (kind, tenant, account, data, occurred_at)
             SELECT 'entity.changed', '', id, '{}', now() - interval '8 days'
               FROM marketing.accounts, generate_series(1, 6000);
             INSERT INTO marketing.oauth_states (id, state_hash, platform, tenant, verifier, actor, expires_at)
             SELECT gen_random_uuid(), decode(to_hex(n), 'hex'), 'meta', '', '', 'test', now() - interval '1 minute'
               FROM generate_series(16, 165) AS n;
             INSERT INTO marketing.oauth_states (id, state_hash, platform, tenant, verifier, actor, expires_at)
             SELECT gen_random_uuid(), '', 'meta', '', '', 'test', now() + interval '5 minutes';",
        )
        .execute(&db)
        .await?;

        let done = clean(&scene.app, &CancellationToken::new()).await;

        let Ok(Outcome::SucceededWith(result)) = done else {
            panic!("it cleans up: {done:?}");
        };
        assert_eq!(
            (
                &result["events"],
                &result["oauth_states"],
                &result["is_done"]
            ),
            (&json!(6_000), &json!(150), &json!(true))
        );
        let left: i64 = sqlx::query_scalar(
            "SELECT (SELECT count(*) FROM marketing.events) + (SELECT count(*) FROM marketing.oauth_states)",
        )
        .fetch_one(&db)
        .await?;
        assert_eq!(left, 1);
        Ok(())
    }

    #[sqlx::test(migrations = "../../migrations")]
    async fn one_that_is_told_to_stop_deletes_nothing_more(db: PgPool) -> anyhow::Result<()> {
        let scene = Scene::new(&db);
        let stop = CancellationToken::new();
        stop.cancel();

        let stopped = clean(&scene.app, &stop).await;

        assert!(matches!(stopped, Err(Error::Stopped)), "{stopped:?}");
        Ok(())
    }
}
