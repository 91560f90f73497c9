//! `token.expire`: grants that have ended and that nobody but their owners can renew hold the jobs of their accounts, and
//! owners are told of grants that are spent, however that was found out.

use std::time::Duration;

use marketing::accounts::{EndOf, EndingGrant};
use queue::{Job, JobContext, Outcome};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{
    App,
    account::{actor, settled},
    error::Error,
    owner_mail::tell_of_spent,
};

/// Looks for grants that have ended. Idempotent: what is said of a grant is said again, and an owner is told once.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenExpire {}

/// What was done.
#[derive(Debug, Default, PartialEq, Eq)]
struct Done {
    /// Grants that were found to have ended.
    ended: usize,
    /// Owners who were told.
    told: usize,
}

impl Job for TokenExpire {
    const KIND: &'static str = "token.expire";
    type App = App;
    type Error = Error;

    async fn run(self, ctx: &JobContext<App>) -> Result<Outcome, Error> {
        let expired = Box::pin(expire(&ctx.app, ctx.cancellation())).await;
        settled(
            expired.map(|done| {
                Outcome::SucceededWith(json!({ "ended": done.ended, "told": done.told }))
            }),
        )
    }
}

async fn expire(app: &App, stop: &CancellationToken) -> Result<Done, Error> {
    let mut done = Done::default();
    let mut after = None;
    loop {
        let grants = app.accounts.ending(Duration::ZERO, after).await?;
        let Some(last) = grants.last() else { break };
        after = Some(last.seen.connection);
        for grant in &grants {
            if stop.is_cancelled() {
                return Err(Error::Stopped);
            }
            if end(app, grant).await? {
                done.ended += 1;
            }
        }
    }
    let mut after = None;
    loop {
        let grants = app.accounts.spent_and_untold(after).await?;
        let Some(last) = grants.last() else {
            return Ok(done);
        };
        after = Some(last.connection);
        for grant in &grants {
            if stop.is_cancelled() {
                return Err(Error::Stopped);
            }
            if tell_of_spent(app, grant).await? {
                done.told += 1;
            }
        }
    }
}

/// Has a grant's accounts wait for their owner, where it has ended for good.
async fn end(app: &App, grant: &EndingGrant) -> Result<bool, Error> {
    let Some(end) = grant.over() else {
        return Ok(false);
    };
    let what = match end.of {
        EndOf::Token => "its token",
        EndOf::DataAccess => "the right to its data",
    };
    let reason = format!("{what} ended on {}", end.at.format("%Y-%m-%d %H:%M UTC"));
    let actor = actor(TokenExpire::KIND);
    let said = app
        .accounts
        .needs_reauth(grant.seen, &reason, &actor)
        .await?;
    Ok(said)
}

#[cfg(test)]
mod tests {
    use marketing::{PgPool, accounts::AccountStatus};

    use super::*;
    use crate::kinds::scene::{Scene, held, mails};

    async fn expired(scene: &Scene) -> anyhow::Result<Done> {
        Ok(expire(&scene.app, &CancellationToken::new()).await?)
    }

    // Fails when what has ended goes on burning attempts, or its owner is told every hour.
    #[sqlx::test(migrations = "../../migrations")]
    async fn what_has_ended_is_held_and_its_owner_is_told_once(db: PgPool) -> anyhow::Result<()> {
        let scene = Scene::new(&db);
        let account = scene.connected().await?;
        scene.set_end("expires_at", "-1 hour").await?;

        let first = expired(&scene).await?;
        let second = expired(&scene).await?;

        let stands = scene.app.accounts.get(account, None).await?.status;
        assert_eq!(first, Done { ended: 1, told: 1 });
        assert_eq!(second, Done::default());
        assert_eq!(stands, AccountStatus::NeedsReauth);
        assert_eq!(held(&db).await?, [account.to_string()]);
        assert_eq!(mails(&db).await?.len(), 1);
        Ok(())
    }

    // Fails when a token that can still be renewed costs its owner a visit.
    #[sqlx::test(migrations = "../../migrations")]
    async fn an_hourly_token_that_can_be_renewed_is_left_alone(db: PgPool) -> anyhow::Result<()> {
        let scene = Scene::of_google(&db);
        scene.connected().await?;
        scene.set_end("expires_at", "-1 hour").await?;

        let done = expired(&scene).await?;

        assert_eq!(done, Done::default());
        assert!(held(&db).await?.is_empty());
        Ok(())
    }

    // Fails when only those owners are told whose tokens end by the clock, and not those whose platform took them away.
    #[sqlx::test(migrations = "../../migrations")]
    async fn the_owner_of_a_revoked_grant_is_told_too(db: PgPool) -> anyhow::Result<()> {
        let scene = Scene::new(&db);
        let account = scene.connected().await?;
        let seen = scene.seen(account).await?;
        let actor = actor("test");
        scene
            .app
            .accounts
            .needs_reauth(seen, "access was revoked", &actor)
            .await?;

        let done = expired(&scene).await?;

        assert_eq!(done, Done { ended: 0, told: 1 });
        Ok(())
    }
}
