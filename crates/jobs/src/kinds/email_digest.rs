//! `email.digest`: owners who want it are sent the figures of the last week, from Monday to Sunday.

use marketing::email::{digest_owners, last_week_of};
use queue::{Job, JobContext, Outcome};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{App, error::Error, owner_mail::send_digest};

/// Sends digests. Idempotent: an owner is sent a week once.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EmailDigest {}

/// What was done.
#[derive(Debug, Default, PartialEq, Eq)]
struct Done {
    /// Digests that are on their way.
    sent: u64,
    /// Owners whose accounts had no figures.
    without_figures: u64,
}

impl Job for EmailDigest {
    const KIND: &'static str = "email.digest";
    type App = App;
    type Error = Error;

    async fn run(self, ctx: &JobContext<App>) -> Result<Outcome, Error> {
        let done = Box::pin(send(&ctx.app, ctx.cancellation())).await?;
        Ok(Outcome::SucceededWith(json!({
            "sent": done.sent,
            "without_figures": done.without_figures,
        })))
    }
}

async fn send(app: &App, stop: &CancellationToken) -> Result<Done, Error> {
    let mut done = Done::default();
    let mut after = None;
    loop {
        let page = digest_owners(&app.db.pool(), after.as_ref()).await?;
        let Some(last) = page.last() else {
            return Ok(done);
        };
        after = Some(last.clone());
        for owner in &page {
            if stop.is_cancelled() {
                return Err(Error::Stopped);
            }
            match last_week_of(&app.db.pool(), owner).await? {
                Some(week) => done.sent += u64::from(send_digest(app, owner, &week).await?),
                None => done.without_figures += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use marketing::PgPool;

    use super::*;
    use crate::kinds::scene::{Scene, mails};

    /// Figures of the account for each day of the last two weeks but the first. Conversions are shares, as Google tells them.
    async fn with_figures(db: &PgPool) -> anyhow::Result<()> {
        sqlx::raw_sql(
            "SELECT marketing.make_insight_months('insights_daily', (now() - interval '31 days')::date,
                                                  (now() + interval '2 days')::date);
             INSERT INTO marketing.insights_daily
                    (account, level, date, entity_id, impressions, clicks, link_clicks, views, likes, comments, shares,
                     spend, conversions, revenue, leads, currency)
             SELECT a.id, 'account', day::date, a.external_id, 100, 10, 0, 0, 0, 0, 0, 12.34, 0.3333333333333333, 0, 0, 'EUR'
               FROM marketing.accounts a,
                    generate_series(date_trunc('week', now() AT TIME ZONE 'UTC') - interval '13 days',
                                    date_trunc('week', now() AT TIME ZONE 'UTC') + interval '1 day', '1 day') AS day",
        )
        .execute(db)
        .await?;
        Ok(())
    }

    async fn sent(scene: &Scene) -> anyhow::Result<Done> {
        Ok(send(&scene.app, &CancellationToken::new()).await?)
    }

    // Fails when days of this week are in the last one, an amount is off by a cent, or a share of a conversion has more digits
    // than mails take.
    #[sqlx::test(migrations = "../../migrations")]
    async fn an_owner_is_sent_the_last_week_beside_the_one_before(
        db: PgPool,
    ) -> anyhow::Result<()> {
        let scene = Scene::new(&db);
        scene.connected().await?;
        with_figures(&db).await?;

        let done = sent(&scene).await?;

        assert_eq!(
            done,
            Done {
                sent: 1,
                without_figures: 0
            }
        );
        let mails = mails(&db).await?;
        let total = &mails[0]["data"]["totals"][0];
        assert_eq!(mails[0]["template"], "digest");
        assert_eq!(total["spend"], "86.38");
        assert_eq!(total["spend_before"], "74.04");
        assert_eq!(total["clicks"], 70);
        assert_eq!(total["conversions"], "2.3333333333333331");
        assert_eq!(total["days"].as_array().map(Vec::len), Some(7));
        assert_eq!(mails[0]["data"]["accounts"][0]["name"], "Shop");
        Ok(())
    }

    // Fails when an owner who is written in two ways is two, of whose mails the second one counts as sent.
    #[sqlx::test(migrations = "../../migrations")]
    async fn an_owner_who_is_written_in_two_ways_is_one(db: PgPool) -> anyhow::Result<()> {
        let scene = Scene::new(&db);
        scene.connected().await?;
        sqlx::raw_sql(
            "INSERT INTO marketing.connections (id, platform, tenant, owner_email, access_token)
             SELECT '01920000-0000-7000-8000-0000000000aa', platform, tenant, upper(owner_email), '' FROM marketing.connections;
             INSERT INTO marketing.accounts (id, connection, platform, tenant, external_id, kind, name)
             SELECT id, id, platform, tenant, '202', 'ad_account', 'Other' FROM marketing.connections
              WHERE id = '01920000-0000-7000-8000-0000000000aa'",
        )
        .execute(&db)
        .await?;
        with_figures(&db).await?;

        let done = sent(&scene).await?;

        assert_eq!(done.sent, 1);
        let mails = mails(&db).await?;
        assert_eq!(mails[0]["data"]["totals"][0]["spend"], "172.76");
        assert_eq!(
            mails[0]["data"]["accounts"].as_array().map(Vec::len),
            Some(2)
        );
        Ok(())
    }

    #[sqlx::test(migrations = "../../migrations")]
    async fn a_week_without_figures_is_not_mailed(db: PgPool) -> anyhow::Result<()> {
        let scene = Scene::new(&db);
        scene.connected().await?;

        let done = sent(&scene).await?;

        assert_eq!((done.sent, done.without_figures), (0, 1));
        assert!(mails(&db).await?.is_empty());
        Ok(())
    }

    #[sqlx::test(migrations = "../../migrations")]
    async fn an_owner_who_wants_no_digest_gets_none(db: PgPool) -> anyhow::Result<()> {
        let scene = Scene::new(&db);
        scene.connected().await?;
        with_figures(&db).await?;
        sqlx::query("UPDATE marketing.connections SET notifications = '{\"digest\": false}'")
            .execute(&db)
            .await?;

        assert_eq!(sent(&scene).await?, Done::default());
        Ok(())
    }
}
