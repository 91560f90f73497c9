//! New tokens for a grant: asked for by one at a time, stored before anybody uses them, and only in the place of those
//! that they were got for. The right to ask is a lease in the database: no transaction waits for a platform.

use std::time::{Duration, Instant};

use providers::{
    Error as ProviderError,
    platform::{Door, Grant, Platform, Tokens},
};
use queue::{Actor, Deed, Queue};
use serde_json::json;
use sqlx::Connection as _;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::{
    AccountId, AccountStatus, Accounts, AccountsError, SeenTokens,
    error::too_slow,
    status::follow,
    stored_word,
    token::{HeldGrant, Whose, can_refresh},
    vault::seal_tokens,
};
use crate::store::{
    Session, StoreError,
    accounts::{self, NewStatus},
    connections::{self, RefreshedRow, Refresher},
    within_deadline,
};

/// Longest that a platform may take for new tokens, its quota's wait included: two tries of 30 s where the first one's answer was
/// lost (X), each let out after 10 s. To be cut short in the second one may be to lose them.
const LONGEST_CALL: Duration = Duration::from_secs(90);
/// How long the right to ask lasts: longer than asking and storing.
const LEASE: Duration = Duration::from_secs(180);
/// Longest wait for whoever is asking already, and the time between two looks.
const LONGEST_WAIT: Duration = Duration::from_secs(40);
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Waits before tokens are stored again that the database did not take: nobody could get them a second time.
const STORE_AGAIN: [Duration; 3] = [
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(5),
];
/// What only its owner can put off keeps a grant `expiring` while it is as near as this, whatever tokens it gets.
const OWNERS_NOTICE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
const REFRESHED: &str = "the token was refreshed";
const DEED: &str = "account.refresh";

/// How new tokens came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refreshed {
    /// The platform gave them now.
    Anew,
    /// Somebody else had stored them.
    Elsewhere,
    /// None came: the platform gives no others for these, and does not say that they are spent. Before they end their owner
    /// has to give access anew.
    Refused,
}

/// For whom tokens are refreshed. What nobody asked for is no action to be noted.
#[derive(Clone, Copy)]
struct OnBehalf<'a> {
    actor: &'a Actor,
    is_person: bool,
}

impl Accounts {
    /// Gets new tokens for a grant, as one of all that may want to. Where the platform says that the grant is spent, its
    /// accounts need to be connected again.
    ///
    /// Let it come to its end: tokens that a platform gives once are lost with whoever drops it.
    ///
    /// # Errors
    /// [`AccountsError::RefreshUnderway`] where somebody else takes too long, [`AccountsError::Platform`] with what the
    /// platform says, and as [`Self::token`].
    pub async fn refresh(
        &self,
        seen: SeenTokens,
        door: &dyn Door,
        actor: &Actor,
    ) -> Result<Refreshed, AccountsError> {
        let on_behalf = OnBehalf {
            actor,
            is_person: false,
        };
        self.refresh_for(seen, door, on_behalf).await
    }

    async fn refresh_for(
        &self,
        seen: SeenTokens,
        door: &dyn Door,
        on_behalf: OnBehalf<'_>,
    ) -> Result<Refreshed, AccountsError> {
        let refresher = Refresher {
            connection: seen.connection.0,
            version: seen.version,
            by: Uuid::new_v4(),
        };
        let Some(held) = self.begin(seen, refresher).await? else {
            return Ok(Refreshed::Elsewhere);
        };
        let asked = self
            .ask_and_store(&held, refresher, (door, on_behalf))
            .await;
        let error = match asked {
            Ok(refreshed) => return Ok(refreshed),
            Err(error) => error,
        };
        self.give_back(refresher).await;
        if !is_refusal(&error) {
            return Err(error);
        }
        match self.live_on(seen, door).await {
            Some(true) => {
                tracing::info!(connection.id = %seen.connection, error = %queue::error_chain(&error),
                    "a platform gives no new tokens for some that still work");
                return Ok(Refreshed::Refused);
            }
            Some(false) if error.is_spent_grant() => {
                let actor = on_behalf.actor;
                self.needs_reauth(seen, &error_text(&error), actor).await?;
            }
            Some(false) | None => {}
        }
        Err(error)
    }

    /// Whether tokens work for which the platform gives no others; `None`: it does not tell that now. Meta gives new tokens
    /// for the token itself, and not to whoever has not used the app for long. Elsewhere it is what new ones are got with
    /// that was refused, and nothing can be had for that any more.
    async fn live_on(&self, seen: SeenTokens, door: &dyn Door) -> Option<bool> {
        let held = self.grant(Whose::Grant(seen.connection)).await.ok()?;
        if held.platform != Platform::Meta {
            return Some(false);
        }
        let grant = self.opened(&held).ok()?;
        let client = self.client(held.platform).ok()?;
        let asked = timeout(LONGEST_CALL, client.check(door, &grant)).await;
        let health = asked.ok()?.ok()?;
        Some(health.is_valid)
    }

    /// Gets new tokens for an account because somebody asks for it.
    ///
    /// # Errors
    /// As [`Self::refresh`]; [`AccountsError::NotFound`] also for another tenant's account.
    pub async fn refresh_now(
        &self,
        account: AccountId,
        actor: &Actor,
    ) -> Result<Refreshed, AccountsError> {
        self.get(account, actor.tenant.as_deref()).await?;
        let held = self.grant(Whose::Account(account)).await?;
        if !can_refresh(held.platform, &self.opened(&held)?) {
            return Ok(Refreshed::Refused);
        }
        let on_behalf = OnBehalf {
            actor,
            is_person: true,
        };
        self.refresh_for(held.seen, self.door(), on_behalf).await
    }

    /// Waits for the right to ask, and gives the tokens that it is for; `None` where there are other ones by now.
    async fn begin(
        &self,
        seen: SeenTokens,
        refresher: Refresher,
    ) -> Result<Option<HeldGrant>, AccountsError> {
        let began = Instant::now();
        loop {
            if let Some(held) = self.try_to_begin(refresher).await? {
                return Ok(Some(held));
            }
            let now = self.grant(Whose::Grant(seen.connection)).await?;
            if now.status == AccountStatus::Disconnected {
                return Err(AccountsError::Disconnected);
            }
            if now.seen != seen {
                return Ok(None);
            }
            if began.elapsed() > LONGEST_WAIT {
                return Err(AccountsError::RefreshUnderway);
            }
            // A little more at random: those who wait do not look all at once.
            sleep(LOOK_EVERY.mul_f64(1.0 + rand::random::<f64>() / 4.0)).await;
        }
    }

    async fn try_to_begin(&self, refresher: Refresher) -> Result<Option<HeldGrant>, StoreError> {
        let db = self.db();
        within_deadline(async {
            let mut session = Session::open(&db).await?;
            let begun =
                connections::begin_refresh(session.connection(), refresher, LEASE.as_secs_f64())
                    .await?;
            session.done();
            begun.map(HeldGrant::of).transpose()
        })
        .await
    }

    /// The lease ends by itself where it cannot be given back.
    async fn give_back(&self, refresher: Refresher) {
        let db = self.db();
        let given_back = within_deadline(async {
            let mut session = Session::open(&db).await?;
            connections::end_refresh(session.connection(), refresher).await?;
            session.done();
            Ok(())
        });
        if let Err(error) = given_back.await {
            tracing::warn!(connection.id = %refresher.connection, error = %queue::error_chain(&error),
                "the right to refresh a token was not given back; it ends by itself");
        }
    }

    async fn ask_and_store(
        &self,
        held: &HeldGrant,
        refresher: Refresher,
        (door, on_behalf): (&dyn Door, OnBehalf<'_>),
    ) -> Result<Refreshed, AccountsError> {
        let grant = self.opened(held)?;
        let client = self.client(held.platform)?;
        let asked = timeout(LONGEST_CALL, client.refresh(door, &grant)).await;
        let tokens = asked.unwrap_or_else(|_| Err(too_slow(held.platform, "new token")))?;
        let row = self.row(refresher, tokens)?;
        let is_stored = self.store_for_sure(refresher, &row, on_behalf).await?;
        if !is_stored {
            return Ok(Refreshed::Elsewhere);
        }
        if on_behalf.is_person {
            Queue::count_deed(DEED);
        }
        Ok(Refreshed::Anew)
    }

    fn row(&self, refresher: Refresher, tokens: Tokens) -> Result<RefreshedRow, AccountsError> {
        let grant = Grant {
            access_token: tokens.access_token,
            token_secret: tokens.token_secret,
            refresh_token: tokens.refresh_token,
        };
        Ok(RefreshedRow {
            tokens: seal_tokens(self.vault().cipher()?, refresher.connection, &grant),
            expires_at: tokens.expires_at,
            refresh_expires_at: tokens.refresh_expires_at,
            scopes: tokens.scopes,
        })
    }

    async fn store_for_sure(
        &self,
        refresher: Refresher,
        row: &RefreshedRow,
        on_behalf: OnBehalf<'_>,
    ) -> Result<bool, StoreError> {
        for wait in STORE_AGAIN {
            match self.store_refreshed(refresher, row, on_behalf).await {
                Ok(is_stored) => return Ok(is_stored),
                Err(error) => {
                    tracing::warn!(connection.id = %refresher.connection, error = %queue::error_chain(&error),
                        "new tokens could not be stored; trying again");
                }
            }
            sleep(wait).await;
        }
        // Stored by a try whose answer was lost, it looks as if others had stored theirs: the tokens there are good.
        self.store_refreshed(refresher, row, on_behalf).await
    }

    async fn store_refreshed(
        &self,
        refresher: Refresher,
        row: &RefreshedRow,
        on_behalf: OnBehalf<'_>,
    ) -> Result<bool, StoreError> {
        let target = refresher.connection.to_string();
        let OnBehalf { actor, is_person } = on_behalf;
        let db = self.db();
        let released = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let mut tx = session.connection().begin().await?;
            let notice_s = OWNERS_NOTICE.as_secs_f64();
            let stored = connections::store_refreshed(&mut *tx, refresher, row, notice_s).await?;
            let Some(status) = stored else {
                tx.rollback().await?;
                session.done();
                return Ok(None);
            };
            let status: AccountStatus = stored_word(&status)?;
            let new = NewStatus {
                status: status.as_str(),
                actor: &actor.name,
                reason: REFRESHED,
            };
            accounts::set_status_of_connection(&mut *tx, refresher.connection, new).await?;
            let because = (REFRESHED, actor);
            let released = follow(&mut tx, refresher.connection, status, because).await?;
            if is_person {
                let deed = Deed {
                    action: DEED,
                    target: Some(&target),
                    reason: None,
                    count: 1,
                    detail: json!({"expires_at": row.expires_at}),
                };
                Queue::note_in(&mut tx, deed, actor).await?;
            }
            tx.commit().await?;
            session.done();
            Ok(Some(released))
        })
        .await?;
        let Some(released) = released else {
            return Ok(false);
        };
        self.queue().wake(&released);
        Ok(true)
    }
}

/// Whether a platform says that there are no new tokens, and not that there are none now.
fn is_refusal(error: &AccountsError) -> bool {
    matches!(
        error,
        AccountsError::Platform(
            ProviderError::AuthExpired { .. }
                | ProviderError::Permission { .. }
                | ProviderError::Rejected { .. }
        )
    )
}

fn error_text(error: &AccountsError) -> String {
    match error {
        AccountsError::Platform(said) => said.to_string(),
        other => other.to_string(),
    }
}
