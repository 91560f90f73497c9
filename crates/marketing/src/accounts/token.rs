//! The token that an account is called with: fresh where it can be, and looked for anew before anybody says that a grant
//! is spent.

use std::{future::Future, time::Duration};

use providers::{
    Error as ProviderError,
    platform::{Access, Door, Grant, Platform},
};
use queue::Actor;

use super::{
    AccountId, AccountStatus, Accounts, AccountsError, ConnectionId, Refreshed, stored_word,
};
use crate::store::{
    Session,
    connections::{self, HeldRow, SealedTokens},
    within_deadline,
};

/// A token that ends this soon is refreshed before it is used.
const SOON: Duration = Duration::from_secs(120);

/// The tokens of a grant as somebody saw them: what he says of them holds for these alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeenTokens {
    /// The grant.
    pub connection: ConnectionId,
    /// Grows with every change of its tokens.
    pub version: i64,
}

/// What an account is called with. No `Debug`: it holds secrets.
pub struct HeldToken {
    /// Of which platform.
    pub platform: Platform,
    /// What calls are made with.
    pub access: Access,
    /// Which tokens these are.
    pub seen: SeenTokens,
}

/// A grant with its tokens, sealed.
pub(super) struct HeldGrant {
    pub(super) platform: Platform,
    pub(super) status: AccountStatus,
    pub(super) manager: Option<String>,
    pub(super) seen: SeenTokens,
    pub(super) ends_soon: bool,
    pub(super) tokens: SealedTokens,
}

impl HeldGrant {
    pub(super) fn of(row: HeldRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            platform: stored_word(&row.platform)?,
            status: stored_word(&row.status)?,
            manager: row.manager.clone(),
            seen: SeenTokens {
                connection: ConnectionId(row.id),
                version: row.token_version,
            },
            ends_soon: row.ends_soon,
            tokens: row.tokens(),
        })
    }
}

/// By what a grant is found.
#[derive(Debug, Clone, Copy)]
pub(super) enum Whose {
    Account(AccountId),
    Grant(ConnectionId),
}

impl Accounts {
    /// What an account is called with now; refreshed first where it ends within two minutes and can be.
    ///
    /// # Errors
    /// [`AccountsError::NotFound`], [`AccountsError::Disconnected`], [`AccountsError::Sealed`] and
    /// [`AccountsError::NoKeys`] for our own set-up, and what refreshing it may end in.
    pub async fn token(
        &self,
        account: AccountId,
        door: &dyn Door,
    ) -> Result<HeldToken, AccountsError> {
        self.token_of(Whose::Account(account), door).await
    }

    /// Makes a call with an account's token. Where the platform says that the token is spent, others are looked for: those
    /// that somebody else has stored meanwhile, else new ones; with them the call is made once more. Where there are none,
    /// the account needs to be connected again, and its jobs wait.
    ///
    /// # Errors
    /// [`AccountsError::Platform`] with what the call ended in, and as [`Self::token`].
    pub async fn with_fresh_token<T, C, F>(
        &self,
        account: AccountId,
        door: &dyn Door,
        call: C,
    ) -> Result<T, AccountsError>
    where
        C: Fn(Access) -> F,
        F: Future<Output = Result<T, ProviderError>>,
    {
        self.with_token_of(Whose::Account(account), door, call)
            .await
    }

    /// The same for what belongs to a grant and to none of its accounts.
    ///
    /// # Errors
    /// As [`Self::with_fresh_token`].
    pub async fn with_fresh_token_of<T, C, F>(
        &self,
        connection: ConnectionId,
        door: &dyn Door,
        call: C,
    ) -> Result<T, AccountsError>
    where
        C: Fn(Access) -> F,
        F: Future<Output = Result<T, ProviderError>>,
    {
        self.with_token_of(Whose::Grant(connection), door, call)
            .await
    }

    pub(super) async fn with_token_of<T, C, F>(
        &self,
        whose: Whose,
        door: &dyn Door,
        call: C,
    ) -> Result<T, AccountsError>
    where
        C: Fn(Access) -> F,
        F: Future<Output = Result<T, ProviderError>>,
    {
        let first = self.token_of(whose, door).await?;
        let spent = match call(first.access.clone()).await {
            Err(spent @ ProviderError::AuthExpired { .. }) => spent,
            ended => return Ok(ended?),
        };
        let Some(second) = self.other_than(first.seen, whose, door).await? else {
            self.spent(first.seen, &spent).await?;
            return Err(spent.into());
        };
        match call(second.access).await {
            Err(spent @ ProviderError::AuthExpired { .. }) => {
                self.spent(second.seen, &spent).await?;
                Err(spent.into())
            }
            ended => Ok(ended?),
        }
    }

    async fn token_of(&self, whose: Whose, door: &dyn Door) -> Result<HeldToken, AccountsError> {
        let held = self.grant(whose).await?;
        let grant = self.opened(&held)?;
        if held.ends_soon && can_refresh(held.platform, &grant) {
            self.refresh(held.seen, door, &by_use()).await?;
            return self.present(whose).await;
        }
        Ok(held_token(held, grant))
    }

    /// Other tokens than these; `None` where there are none to be had.
    async fn other_than(
        &self,
        spent: SeenTokens,
        whose: Whose,
        door: &dyn Door,
    ) -> Result<Option<HeldToken>, AccountsError> {
        let held = self.grant(whose).await?;
        let grant = self.opened(&held)?;
        if held.seen != spent {
            return Ok(Some(held_token(held, grant)));
        }
        if !can_refresh(held.platform, &grant) {
            return Ok(None);
        }
        match self.refresh(held.seen, door, &by_use()).await {
            Ok(Refreshed::Anew | Refreshed::Elsewhere) => self.present(whose).await.map(Some),
            // The platform says both, that they work and that they do not: its word on the call itself counts.
            Ok(Refreshed::Refused) => Ok(None),
            // Whoever tried has said so already.
            Err(error) if error.is_spent_grant() => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn spent(&self, seen: SeenTokens, said: &ProviderError) -> Result<(), AccountsError> {
        // Where there are other tokens by now nothing is said: whoever comes next uses those.
        self.needs_reauth(seen, &said.to_string(), &by_use())
            .await?;
        Ok(())
    }

    async fn present(&self, whose: Whose) -> Result<HeldToken, AccountsError> {
        let held = self.grant(whose).await?;
        let grant = self.opened(&held)?;
        Ok(held_token(held, grant))
    }

    /// The tokens of a grant, opened.
    pub(super) fn opened(&self, held: &HeldGrant) -> Result<Grant, AccountsError> {
        if held.status == AccountStatus::Disconnected {
            return Err(AccountsError::Disconnected);
        }
        self.vault()
            .open_tokens(held.seen.connection.0, &held.tokens)
    }

    pub(super) async fn grant(&self, whose: Whose) -> Result<HeldGrant, AccountsError> {
        let soon = SOON.as_secs_f64();
        let db = self.db();
        let held = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let conn = session.connection();
            let row = match whose {
                Whose::Account(account) => connections::held_for(conn, account.0, soon).await?,
                Whose::Grant(connection) => connections::held(conn, connection.0, soon).await?,
            };
            session.done();
            row.map(HeldGrant::of).transpose()
        })
        .await?;
        held.ok_or(AccountsError::NotFound)
    }
}

/// Whether a platform may give new tokens for a grant. Meta gives them for the access token itself.
pub(super) fn can_refresh(platform: Platform, grant: &Grant) -> bool {
    platform == Platform::Meta || grant.refresh_token.is_some()
}

fn held_token(held: HeldGrant, grant: Grant) -> HeldToken {
    HeldToken {
        platform: held.platform,
        access: Access {
            token: grant.access_token,
            token_secret: grant.token_secret,
            manager: held.manager,
        },
        seen: held.seen,
    }
}

/// Who acts where nobody does: a token was needed.
fn by_use() -> Actor {
    Actor {
        name: "millpond, using the token".to_owned(),
        tenant: None,
    }
}
