//! `webhook.fanout`: hands what happened over to the endpoints that want to hear of it, each message a job of its own, and
//! switches off endpoints to which nothing gets through; their owners are told.

use marketing::outbound::FannedOut;
use queue::{Job, JobContext, Outcome};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{App, endpoint_mail::tell_of_endpoint, error::Error};

/// Most portions of events in one turn: the next one goes on.
const MOST_PORTIONS: usize = 250;

/// Hands events over. Idempotent: an event that was handed over is gone, in the transaction that did it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookFanout {}

impl Job for WebhookFanout {
    const KIND: &'static str = "webhook.fanout";
    type App = App;
    type Error = Error;

    async fn run(self, ctx: &JobContext<App>) -> Result<Outcome, Error> {
        Box::pin(fan_out(&ctx.app, ctx.cancellation())).await
    }
}

async fn fan_out(app: &App, stop: &CancellationToken) -> Result<Outcome, Error> {
    let mut done = FannedOut::default();
    for _ in 0..MOST_PORTIONS {
        if stop.is_cancelled() {
            return Err(Error::Stopped);
        }
        let portion = app.outbound.fan_out().await?;
        done.events += portion.events;
        done.deliveries += portion.deliveries;
        if !portion.is_full {
            break;
        }
    }
    let disabled = app.outbound.disable_failing().await?;
    let told = tell_owners(app, stop).await?;
    Ok(Outcome::SucceededWith(json!({
        "events": done.events,
        "deliveries": done.deliveries,
        "disabled": disabled,
        "told": told,
    })))
}

/// Tells the owners of endpoints that were switched off; tells how many.
async fn tell_owners(app: &App, stop: &CancellationToken) -> Result<usize, Error> {
    let (mut told, mut after) = (0, None);
    loop {
        let endpoints = app.outbound.untold(after).await?;
        let Some(last) = endpoints.last() else {
            return Ok(told);
        };
        after = Some(last.id);
        for endpoint in &endpoints {
            if stop.is_cancelled() {
                return Err(Error::Stopped);
            }
            if tell_of_endpoint(app, endpoint).await? {
                told += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use marketing::{
        PgPool,
        outbound::{EVENTS, NewEndpoint},
    };
    use queue::Actor;

    use super::*;
    use crate::kinds::{scene::mails, testing::app};

    const NOWHERE: &str = "http://127.0.0.1:9";

    async fn endpoint(app: &App, tenant: &str, events: &[&str]) -> anyhow::Result<()> {
        let new = NewEndpoint {
            tenant: Some(tenant.to_owned()),
            url: "https://hooks.example.com/in".to_owned(),
            events: events.iter().map(|event| (*event).to_owned()).collect(),
            owner_email: Some("ada@example.com".to_owned()),
            ..NewEndpoint::default()
        };
        let actor = Actor {
            name: "test".to_owned(),
            tenant: None,
        };
        app.outbound.create(&new, &actor).await?;
        Ok(())
    }

    async fn tell(db: &PgPool, tenant: &str, kind: &str) -> anyhow::Result<()> {
        sqlx::query("INSERT INTO marketing.events (kind, tenant, data) VALUES ($1, $2, '{}')")
            .bind(kind)
            .bind(tenant)
            .execute(db)
            .await?;
        Ok(())
    }

    async fn waiting(db: &PgPool) -> anyhow::Result<Vec<(Option<String>, String)>> {
        let sql = "SELECT j.tenant, d.event
                     FROM millpond.jobs j
                     JOIN marketing.webhook_deliveries d ON d.id::text = j.payload ->> 'delivery_id'
                    WHERE j.kind = 'webhook.deliver' ORDER BY j.tenant, d.event";
        Ok(sqlx::query_as(sql).fetch_all(db).await?)
    }

    async fn fanned(app: &App) -> anyhow::Result<serde_json::Value> {
        match fan_out(app, &CancellationToken::new()).await? {
            Outcome::SucceededWith(result) => Ok(result),
            other => anyhow::bail!("it hands over: {other:?}"),
        }
    }

    // Fails when an endpoint is told of what another tenant's is, of what it did not ask for, or of an event twice.
    #[sqlx::test(migrations = "../../migrations")]
    async fn each_event_goes_to_exactly_the_endpoints_that_want_it(
        db: PgPool,
    ) -> anyhow::Result<()> {
        let app = app(db.clone(), NOWHERE);
        app.queue.announce().await?;
        endpoint(&app, "acme", &["sync.failed"]).await?;
        endpoint(&app, "umbrella", &[]).await?;
        for tenant in ["acme", "umbrella", ""] {
            for kind in EVENTS {
                tell(&db, tenant, kind).await?;
            }
        }

        let first = fanned(&app).await?;
        let second = fanned(&app).await?;

        let (acme, umbrella) = (Some("acme".to_owned()), Some("umbrella".to_owned()));
        let mut wanted = vec![(acme, "sync.failed".to_owned())];
        wanted.extend(EVENTS.map(|event| (umbrella.clone(), event.to_owned())));
        assert_eq!(waiting(&db).await?, wanted);
        assert_eq!(
            (&first["events"], &first["deliveries"]),
            (&json!(27), &json!(10))
        );
        assert_eq!(
            (&second["events"], &second["deliveries"]),
            (&json!(0), &json!(0))
        );
        Ok(())
    }

    // Fails when two that hand over at the same time hand the same event over.
    #[sqlx::test(migrations = "../../migrations")]
    async fn two_that_run_at_once_make_one_message_of_an_event(db: PgPool) -> anyhow::Result<()> {
        let app = app(db.clone(), NOWHERE);
        app.queue.announce().await?;
        endpoint(&app, "acme", &[]).await?;
        for _ in 0..20 {
            tell(&db, "acme", "sync.failed").await?;
        }

        let (one, other) = tokio::join!(app.outbound.fan_out(), app.outbound.fan_out());
        let rest = app.outbound.fan_out().await?;

        let made = one?.deliveries + other?.deliveries + rest.deliveries;
        assert_eq!((made, waiting(&db).await?.len()), (20, 20));
        Ok(())
    }

    // Fails when a dead endpoint is called for ever, or nobody learns that it is not any more.
    #[sqlx::test(migrations = "../../migrations")]
    async fn an_endpoint_that_only_fails_is_switched_off_and_its_owner_is_told_once(
        db: PgPool,
    ) -> anyhow::Result<()> {
        let app = app(db.clone(), NOWHERE);
        app.queue.announce().await?;
        endpoint(&app, "acme", &[]).await?;
        tell(&db, "acme", "sync.failed").await?;
        fanned(&app).await?;
        let failing = fanned(&app).await?;
        sqlx::raw_sql(
            "UPDATE marketing.webhook_endpoints SET failures = 10, failing_since = now() - interval '3 days';
             UPDATE marketing.webhook_deliveries SET began_at = now() - interval '3 days', state = 'failed', ended_at = now();
             UPDATE marketing.webhook_deliveries d SET began_at = e.failing_since FROM marketing.webhook_endpoints e;",
        )
        .execute(&db)
        .await?;

        let given_up = fanned(&app).await?;
        let after = fanned(&app).await?;

        let told = |done: &serde_json::Value| (done["disabled"].clone(), done["told"].clone());
        assert_eq!(told(&failing), (json!(0), json!(0)));
        assert_eq!(told(&given_up), (json!(1), json!(1)));
        assert_eq!(told(&after), (json!(0), json!(0)));
        assert_eq!(mails(&db).await?.len(), 1);
        Ok(())
    }
}
