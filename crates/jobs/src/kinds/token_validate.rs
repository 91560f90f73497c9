//! `token.validate`: asks a platform whether an account's grant works, and until when.

use marketing::accounts::{Account, AccountsError};
use providers::{
    Detail, Error as ProviderError,
    platform::{Access, Grant, Platform, TokenHealth},
};
use queue::{Job, JobContext, Outcome};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    App,
    account::{AccountRef, Attempt, Reached, actor, settled},
    door::JobDoor,
    error::Error,
};

/// Asks how a grant stands. Idempotent: a second attempt stores the same answer again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenValidate {
    /// The account whose grant it is.
    account_id: AccountRef,
}

impl Job for TokenValidate {
    const KIND: &'static str = "token.validate";
    type App = App;
    type Error = Error;

    async fn run(self, ctx: &JobContext<App>) -> Result<Outcome, Error> {
        let reached = match Reached::of(&ctx.app, &ctx.job, self.account_id).await {
            Ok(reached) => reached,
            Err(error) => return settled(Err(error)),
        };
        let door = JobDoor::new(ctx, reached.account.platform, Some(reached.account.id));
        let attempt = Attempt {
            app: &ctx.app,
            job: &ctx.job,
            account: &reached.account,
            client: &*reached.client,
            door: &door,
            stop: ctx.cancellation(),
            progress: &|told| ctx.progress(told),
        };
        settled(Box::pin(validate(&attempt)).await)
    }
}

/// Asks, and keeps what is said: a grant that was taken for spent and works is active again.
pub(super) async fn validate(attempt: &Attempt<'_>) -> Result<Outcome, Error> {
    let Attempt {
        app,
        account,
        client,
        door,
        ..
    } = *attempt;
    let held = Box::pin(app.accounts.token(account.id, door)).await?;
    let health = client.check(door, &grant(&held.access)).await?;
    if health.is_valid {
        let health = completed(health, account);
        app.accounts.told_of_health(held.seen, &health).await?;
        let actor = actor(TokenValidate::KIND);
        app.accounts.works_after_all(held.seen, &actor).await?;
        return Ok(Outcome::SucceededWith(told(&health)));
    }
    // Before anybody says that the grant is spent, other tokens are looked for, and with them it is asked once more.
    let ask = |access: Access| async move {
        let health = client.check(door, &grant(&access)).await?;
        if health.is_valid {
            return Ok(health);
        }
        Err(ProviderError::AuthExpired {
            detail: Detail {
                provider: account.platform.as_str(),
                message: health
                    .reason
                    .unwrap_or_else(|| "the grant does not work".to_owned()),
                ..Detail::default()
            },
        })
    };
    match Box::pin(app.accounts.with_fresh_token(account.id, door, ask)).await {
        Ok(health) => Ok(Outcome::SucceededWith(told(&health))),
        // That it does not work is what was asked for; its owner is told, and its jobs wait.
        Err(AccountsError::Platform(said @ ProviderError::AuthExpired { .. })) => {
            let reason = &said.detail().message;
            Ok(Outcome::SucceededWith(
                json!({ "valid": false, "reason": reason }),
            ))
        }
        Err(error) => Err(error.into()),
    }
}

/// What is asked about: whether the access token works, not whether others can be had.
fn grant(access: &Access) -> Grant {
    Grant {
        access_token: access.token.clone(),
        token_secret: access.token_secret.clone(),
        refresh_token: None,
    }
}

/// The answer with what was known before: only Meta tells both clocks whenever it is asked.
fn completed(health: TokenHealth, account: &Account) -> TokenHealth {
    if account.platform == Platform::Meta {
        return health;
    }
    let known = account.token;
    TokenHealth {
        expires_at: health.expires_at.or(known.expires_at),
        data_access_expires_at: health
            .data_access_expires_at
            .or(known.data_access_expires_at),
        ..health
    }
}

fn told(health: &TokenHealth) -> Value {
    json!({
        "valid": true,
        "expires_at": health.expires_at,
        "data_access_expires_at": health.data_access_expires_at,
        "scopes": health.scopes,
    })
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use marketing::{PgPool, accounts::AccountStatus};

    use super::*;
    use crate::kinds::scene::Scene;

    fn time(text: &str) -> Option<DateTime<Utc>> {
        Some(text.parse().expect("a time"))
    }

    async fn validated(scene: &Scene) -> anyhow::Result<Value> {
        let reached = scene.reached().await?;
        let Outcome::SucceededWith(result) = validate(&scene.attempt(&reached)).await? else {
            anyhow::bail!("it has a result");
        };
        Ok(result)
    }

    #[sqlx::test(migrations = "../../migrations")]
    async fn both_clocks_are_kept(db: PgPool) -> anyhow::Result<()> {
        let scene = Scene::new(&db);
        let account = scene.connected().await?;
        let (expires_at, data_access_expires_at) =
            (time("2027-01-01T00:00:00Z"), time("2026-12-01T00:00:00Z"));
        scene.platform.known().clocks = (expires_at, data_access_expires_at);

        let result = validated(&scene).await?;

        let clocks = scene.app.accounts.get(account, None).await?.token;
        assert_eq!(result["valid"], true);
        assert_eq!(clocks.expires_at, expires_at);
        assert_eq!(clocks.data_access_expires_at, data_access_expires_at);
        Ok(())
    }

    #[sqlx::test(migrations = "../../migrations")]
    async fn an_end_that_a_platform_does_not_tell_is_not_forgotten(
        db: PgPool,
    ) -> anyhow::Result<()> {
        let scene = Scene::of_google(&db);
        let account = scene.connected().await?;
        scene.set_end("expires_at", "30 minutes").await?;

        validated(&scene).await?;

        let clocks = scene.app.accounts.get(account, None).await?.token;
        assert!(clocks.expires_at.is_some());
        Ok(())
    }

    #[sqlx::test(migrations = "../../migrations")]
    async fn a_grant_that_does_not_work_is_told_and_waits_for_its_owner(
        db: PgPool,
    ) -> anyhow::Result<()> {
        let scene = Scene::new(&db);
        let account = scene.connected().await?;
        {
            let mut known = scene.platform.known();
            known.is_revoked = true;
            known.refuses_refresh = true;
        }

        let result = validated(&scene).await?;

        let stands = scene.app.accounts.get(account, None).await?.status;
        assert_eq!(result["valid"], false);
        assert_eq!(stands, AccountStatus::NeedsReauth);
        Ok(())
    }
}
