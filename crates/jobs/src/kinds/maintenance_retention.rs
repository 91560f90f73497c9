//! `maintenance.retention`: deletes what is too old of what sync stores, and makes partitions for the time ahead. What the
//! engine stores its leader deletes.

use std::time::{Duration, Instant};

use marketing::{
    campaigns::Campaigns,
    inbound::{PrunedInbound, RetainedInbound},
    rules::Rules,
    sync::{Pruned, Retention},
};
use queue::{Job, JobContext, Outcome};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{App, error::Error};

/// Longest time that a job goes on: what is left then is the next one's.
const LONGEST_TURN: Duration = Duration::from_secs(10 * 60);
/// For how long it can be seen, and sent again, what customers were told.
const KEPT_DELIVERIES: Duration = Duration::from_secs(30 * 24 * 60 * 60);

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
    told["inbound"] = json!(clean_inbound(app, began, stop).await?);
    told["conversion_events"] = json!(marketing::conversions::prune(&app.db.pool()).await?);
    told["webhooks"] = clean_webhooks(app, began, stop).await?;
    let told_long_ago = clean_told(app, began, stop).await?;
    told["receipts_of_mails"] = json!(told_long_ago.receipts_of_mails);
    told["recommendations"] = json!(told_long_ago.recommendations);
    told["alert_entries"] = json!(told_long_ago.alert_entries);
    told["campaign_changes"] = json!(told_long_ago.campaign_changes);
    Ok(Outcome::SucceededWith(told))
}

/// What was told or done so long ago that nobody asks for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct ToldLongAgo {
    receipts_of_mails: u64,
    recommendations: u64,
    alert_entries: u64,
    campaign_changes: u64,
}

impl ToldLongAgo {
    fn and_then(self, next: Self) -> Self {
        Self {
            receipts_of_mails: self.receipts_of_mails + next.receipts_of_mails,
            recommendations: self.recommendations + next.recommendations,
            alert_entries: self.alert_entries + next.alert_entries,
            campaign_changes: self.campaign_changes + next.campaign_changes,
        }
    }
}

async fn clean_told(
    app: &App,
    began: Instant,
    stop: &CancellationToken,
) -> Result<ToldLongAgo, Error> {
    let rules = Rules::new(app.queue.clone());
    let campaigns = Campaigns::new(app.queue.clone());
    let mut removed = ToldLongAgo::default();
    loop {
        if stop.is_cancelled() {
            return Err(Error::Stopped);
        }
        let (recommendations, alert_entries) = rules.prune().await?;
        let round = ToldLongAgo {
            receipts_of_mails: marketing::email::forget_old_sends(&app.db.pool()).await?,
            recommendations,
            alert_entries,
            campaign_changes: campaigns.prune().await?,
        };
        removed = removed.and_then(round);
        if round == ToldLongAgo::default() || began.elapsed() > LONGEST_TURN {
            return Ok(removed);
        }
    }
}

/// What customers were told, and secrets that have ended.
async fn clean_webhooks(
    app: &App,
    began: Instant,
    stop: &CancellationToken,
) -> Result<Value, Error> {
    let (mut deliveries, mut secrets) = (0, 0);
    loop {
        if stop.is_cancelled() {
            return Err(Error::Stopped);
        }
        let round = app.outbound.prune(KEPT_DELIVERIES).await?;
        deliveries += round.0;
        secrets += round.1;
        if round == (0, 0) || began.elapsed() > LONGEST_TURN {
            break;
        }
    }
    Ok(json!({ "deliveries": deliveries, "secrets": secrets }))
}

/// What platforms told of their own accord, and what was made of it.
async fn clean_inbound(
    app: &App,
    began: Instant,
    stop: &CancellationToken,
) -> Result<PrunedInbound, Error> {
    let inbound = app.accounts.inbound();
    let mut removed = PrunedInbound::default();
    loop {
        if stop.is_cancelled() {
            return Err(Error::Stopped);
        }
        let round = inbound.prune(&RetainedInbound::default()).await?;
        removed = removed.and_then(round);
        if round.is_done() || began.elapsed() > LONGEST_TURN {
            break;
        }
    }
    Ok(removed)
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

    // Fails when more mails are sent, or more is changed, in an hour than is forgotten in one.
    #[sqlx::test(migrations = "../../migrations")]
    async fn what_was_told_long_ago_goes_however_much_it_is(db: PgPool) -> anyhow::Result<()> {
        let scene = Scene::new(&db);
        sqlx::raw_sql(
            "INSERT INTO marketing.email_sends (identity, job_id, message_id, state, begun_at, ended_at)
             SELECT n::text, gen_random_uuid(), '<x@y>', 'sent', now() - interval '401 days', now()
               FROM generate_series(1, 10001) AS n;
             INSERT INTO marketing.campaign_changes
                    (job, place, account, kind, entity_id, field, after, state, run, run_until, begun_at, ended_at)
             SELECT gen_random_uuid(), 0, gen_random_uuid(), 'campaign', '1', 'status', 'paused', 'done',
                    gen_random_uuid(), now(), now() - interval '401 days', now()
               FROM generate_series(1, 5001);",
        )
        .execute(&db)
        .await?;

        let done = clean(&scene.app, &CancellationToken::new()).await;

        let Ok(Outcome::SucceededWith(result)) = done else {
            panic!("it cleans up: {done:?}");
        };
        assert_eq!(
            (&result["receipts_of_mails"], &result["campaign_changes"]),
            (&json!(10_001), &json!(5_001))
        );
        for counted in [
            "inbound",
            "conversion_events",
            "webhooks",
            "recommendations",
            "alert_entries",
        ] {
            assert!(!result[counted].is_null(), "{counted}: {result}");
        }
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
