//! `maintenance.cache`: deletes kept answers of platforms that are not good any more.

use queue::{Job, JobContext, Outcome};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::{App, error::Error};

/// Deletes what is not good any more. Idempotent: a second attempt deletes what is left.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MaintenanceCache {}

impl Job for MaintenanceCache {
    const KIND: &'static str = "maintenance.cache";
    type App = App;
    type Error = Error;

    async fn run(self, ctx: &JobContext<App>) -> Result<Outcome, Error> {
        clean(&ctx.app).await
    }
}

async fn clean(app: &App) -> Result<Outcome, Error> {
    let answers = app.syncs.prune_cache().await?;
    Ok(Outcome::SucceededWith(json!({ "answers": answers })))
}

#[cfg(test)]
mod tests {
    use marketing::PgPool;

    use super::*;
    use crate::kinds::scene::Scene;

    #[sqlx::test(migrations = "../../migrations")]
    async fn answers_that_are_not_good_any_more_go_and_are_counted(
        db: PgPool,
    ) -> anyhow::Result<()> {
        let scene = Scene::new(&db);
        sqlx::query(
            "INSERT INTO marketing.cache (account, key, value, expires_at)
             SELECT gen_random_uuid(), 'accounts:x', '1', now() + make_interval(mins => left_min)
               FROM unnest(ARRAY[-1, -2, 5]) AS left_min",
        )
        .execute(&db)
        .await?;

        let done = clean(&scene.app).await;

        let Ok(Outcome::SucceededWith(result)) = done else {
            panic!("it cleans up: {done:?}");
        };
        assert_eq!(result, json!({ "answers": 2 }));
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM marketing.cache")
            .fetch_one(&db)
            .await?;
        assert_eq!(left, 1);
        Ok(())
    }
}
