//! `email.sync_errors`: owners are told of accounts that could not be read for a day, all of them in one mail.

use chrono::NaiveDate;
use marketing::email::failing_accounts;
use queue::{Job, JobContext, Outcome};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{App, error::Error, owner_mail::tell_of_failing};

/// Tells owners who want to hear of it. Idempotent: an owner is told once a day.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EmailSyncErrors {}

impl Job for EmailSyncErrors {
    const KIND: &'static str = "email.sync_errors";
    type App = App;
    type Error = Error;

    async fn run(self, ctx: &JobContext<App>) -> Result<Outcome, Error> {
        // The day that the job is of, not that of a late attempt: it has the same keys.
        let day = ctx.job.created_at.date_naive();
        let told = Box::pin(tell(&ctx.app, day, ctx.cancellation())).await?;
        Ok(Outcome::SucceededWith(json!({ "told": told })))
    }
}

/// Tells how many owners were told.
async fn tell(app: &App, day: NaiveDate, stop: &CancellationToken) -> Result<u64, Error> {
    let mut told = 0;
    let mut after = None;
    loop {
        let page = failing_accounts(&app.db.pool(), after.as_ref()).await?;
        let Some(last) = page.last() else {
            return Ok(told);
        };
        after = Some(last.owner.clone());
        for failing in &page {
            if stop.is_cancelled() {
                return Err(Error::Stopped);
            }
            told += u64::from(tell_of_failing(app, failing, day).await?);
        }
    }
}

#[cfg(test)]
mod tests {
    use marketing::PgPool;
    use serde_json::Value;

    use super::*;
    use crate::kinds::scene::{Scene, mails};

    /// A sync of the account that ended so long ago.
    async fn ended(db: &PgPool, state: &str, class: Option<&str>, ago: &str) -> anyhow::Result<()> {
        let sql = format!(
            "INSERT INTO marketing.syncs (id, account, mode, job, state, finished_at, error_class, error)
             SELECT ('01920000-0000-7000-8000-' || lpad((SELECT count(*) FROM marketing.syncs)::text, 12, '0'))::uuid,
                    id, 'incremental', gen_random_uuid(), $1, now() - interval '{ago}', $2, $2 FROM marketing.accounts"
        );
        sqlx::query(&sql)
            .bind(state)
            .bind(class)
            .execute(db)
            .await?;
        Ok(())
    }

    async fn told(scene: &Scene) -> anyhow::Result<u64> {
        let day = NaiveDate::from_ymd_opt(2026, 11, 20).expect("a day");
        Ok(tell(&scene.app, day, &CancellationToken::new()).await?)
    }

    // Fails when a failure of an hour mails anybody, or one of a day mails nobody.
    #[sqlx::test(migrations = "../../migrations")]
    async fn an_owner_is_told_of_what_could_not_be_read_for_a_day(
        db: PgPool,
    ) -> anyhow::Result<()> {
        let scene = Scene::new(&db);
        scene.connected().await?;
        ended(&db, "succeeded", None, "30 hours").await?;
        let before = told(&scene).await?;
        ended(&db, "failed", Some("permission"), "1 hour").await?;

        let after = told(&scene).await?;

        assert_eq!((before, after), (0, 1));
        let mails = mails(&db).await?;
        assert_eq!(mails.len(), 1);
        assert_eq!(mails[0]["template"], "sync_failed");
        assert_eq!(mails[0]["topic"], "sync_errors");
        assert_eq!(mails[0]["data"]["accounts"][0]["name"], "Shop");
        Ok(())
    }

    #[sqlx::test(migrations = "../../migrations")]
    async fn what_was_read_within_the_day_is_no_news(db: PgPool) -> anyhow::Result<()> {
        let scene = Scene::new(&db);
        scene.connected().await?;
        ended(&db, "succeeded", None, "3 hours").await?;
        ended(&db, "failed", Some("transient"), "1 hour").await?;

        assert_eq!(told(&scene).await?, 0);
        Ok(())
    }

    // Fails when our own set-up, or what another mail tells of, is told as the account's trouble.
    #[sqlx::test(migrations = "../../migrations")]
    async fn what_is_not_the_accounts_trouble_is_not_told(db: PgPool) -> anyhow::Result<()> {
        let scene = Scene::new(&db);
        scene.connected().await?;
        for class in ["config", "auth_expired"] {
            ended(&db, "failed", Some(class), "1 hour").await?;

            assert_eq!(told(&scene).await?, 0, "{class}");
        }
        Ok(())
    }

    #[sqlx::test(migrations = "../../migrations")]
    async fn an_owner_who_does_not_want_to_hear_of_it_does_not(db: PgPool) -> anyhow::Result<()> {
        let scene = Scene::new(&db);
        scene.connected().await?;
        ended(&db, "failed", Some("transient"), "1 hour").await?;
        sqlx::query("UPDATE marketing.connections SET notifications = '{\"sync_errors\": false}'")
            .execute(&db)
            .await?;

        let count = told(&scene).await?;

        assert_eq!((count, mails(&db).await?), (0, Vec::<Value>::new()));
        Ok(())
    }
}
