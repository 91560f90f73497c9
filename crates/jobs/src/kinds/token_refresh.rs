//! `token.refresh`: new tokens for an account's grant, as its platform gives them.

use std::time::Duration;

use marketing::accounts::{AccountId, ConnectionId, Refreshed};
use providers::platform::Door;
use queue::{Actor, Job, JobContext, Outcome};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::{
    App,
    account::{AccountRef, Reached, actor, settled},
    door::JobDoor,
    error::Error,
    owner_mail::tell_of_end,
};

/// How long before its end an owner hears of a token that is not renewed.
const NOTICE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Gets new tokens. Safe to repeat: one at a time asks for those of a grant, and a second attempt gets newer ones.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenRefresh {
    /// The account; all accounts of its grant get the new tokens.
    account_id: AccountRef,
}

impl Job for TokenRefresh {
    const KIND: &'static str = "token.refresh";
    type App = App;
    type Error = Error;

    /// Does not listen for cancellation: tokens that a platform gives once would be lost.
    async fn run(self, ctx: &JobContext<App>) -> Result<Outcome, Error> {
        let reached = match Reached::of(&ctx.app, &ctx.job, self.account_id).await {
            Ok(reached) => reached,
            Err(error) => return settled(Err(error)),
        };
        let account = &reached.account;
        let door = JobDoor::new(ctx, account.platform, Some(account.id));
        settled(refresh(&ctx.app, account.id, &door).await)
    }
}

async fn refresh(app: &App, account: AccountId, door: &dyn Door) -> Result<Outcome, Error> {
    let actor = actor(TokenRefresh::KIND);
    let renewed = Box::pin(app.accounts.renew(account, door, &actor)).await?;
    let grant = app.accounts.get(account, None).await?;
    let is_renewed = match renewed {
        Some(Refreshed::Anew | Refreshed::Elsewhere) => true,
        Some(Refreshed::Refused) => {
            warn(app, grant.connection, &actor).await?;
            false
        }
        // Nothing that another attempt would change.
        None => false,
    };
    Ok(Outcome::SucceededWith(json!({
        "refreshed": is_renewed,
        "expires_at": grant.token.expires_at,
        "refresh_expires_at": grant.token.refresh_expires_at,
    })))
}

/// Its platform gives no new token for one that still works: the owner has to know before that ends.
async fn warn(app: &App, connection: ConnectionId, actor: &Actor) -> Result<(), Error> {
    let Some(grant) = app.accounts.ending_of(connection).await? else {
        return Ok(());
    };
    let Some(end) = grant.token_end(NOTICE) else {
        return Ok(());
    };
    let day = end.at.format("%Y-%m-%d %H:%M UTC");
    let reason = format!("its token ends on {day}, and the platform gives no new one");
    app.accounts.expiring(grant.seen, &reason, actor).await?;
    tell_of_end(app, &grant, end).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use marketing::{PgPool, accounts::AccountStatus};
    use providers::platform::OpenDoor;
    use queue::{ErrorClass, JobError};

    use super::*;
    use crate::kinds::scene::{Scene, held, mails};

    #[sqlx::test(migrations = "../../migrations")]
    async fn a_grant_gets_new_tokens(db: PgPool) -> anyhow::Result<()> {
        let scene = Scene::new(&db);
        let account = scene.connected().await?;
        let before = scene.seen(account).await?;

        let refreshed = refresh(&scene.app, account, &OpenDoor).await;

        let Ok(Outcome::SucceededWith(result)) = refreshed else {
            panic!("the platform gives new ones: {refreshed:?}");
        };
        assert_eq!(result["refreshed"], true);
        assert!(scene.seen(account).await?.version > before.version);
        Ok(())
    }

    // Fails when a grant that is spent for good is retried instead of held.
    #[sqlx::test(migrations = "../../migrations")]
    async fn a_refusal_for_good_holds_the_jobs_of_the_account(db: PgPool) -> anyhow::Result<()> {
        let scene = Scene::new(&db);
        let account = scene.connected().await?;
        {
            let mut known = scene.platform.known();
            known.refuses_refresh = true;
            known.is_revoked = true;
        }

        let refused = refresh(&scene.app, account, &OpenDoor).await;

        let error = JobError::from(refused.expect_err("the platform refuses"));
        let stands = scene.app.accounts.get(account, None).await?.status;
        assert_eq!(error.class(), ErrorClass::AuthExpired);
        assert_eq!(stands, AccountStatus::NeedsReauth);
        assert_eq!(held(&db).await?, [account.to_string()]);
        Ok(())
    }

    // Fails when an account is held, or its owner not told, where Meta renews no token of who has not used the app for long.
    #[sqlx::test(migrations = "../../migrations")]
    async fn the_owner_is_told_once_of_a_token_that_works_and_is_not_renewed(
        db: PgPool,
    ) -> anyhow::Result<()> {
        let scene = Scene::new(&db);
        let account = scene.connected().await?;
        scene.set_end("expires_at", "3 days").await?;
        scene.platform.known().refuses_refresh = true;

        for _ in 0..2 {
            let refused = refresh(&scene.app, account, &OpenDoor).await;
            let Ok(Outcome::SucceededWith(result)) = refused else {
                panic!("the token still works: {refused:?}");
            };
            assert_eq!(result["refreshed"], false);
        }

        let stands = scene.app.accounts.get(account, None).await?.status;
        assert_eq!(stands, AccountStatus::Expiring);
        assert!(held(&db).await?.is_empty());
        assert_eq!(mails(&db).await?.len(), 1);
        Ok(())
    }
}
