//! How grants stand, and what follows from it for their accounts and jobs: a spent grant holds the jobs of its accounts,
//! in the transaction that says so.

use chrono::{DateTime, Utc};
use providers::platform::TokenHealth;
use queue::{Actor, NewHold, Queue, Released};
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use super::{AccountStatus, Accounts, AccountsError, SeenTokens};
use crate::store::{
    Session,
    accounts::{self, NewStatus},
    connections, within_deadline,
};

/// Most characters of a reason that are kept.
pub(super) const LONGEST_REASON: usize = 500;
/// Why what was taken for spent is active again.
const WORKS_AFTER_ALL: &str = "the platform says that it is valid";

impl Accounts {
    /// A platform says that these tokens are spent, and nothing can be had for them: the accounts of the grant need to be
    /// connected again, and their jobs wait until they are. `false`: there are other tokens by now, and nothing changes.
    ///
    /// Only for what a platform says of the customer's own grant ([`AccountsError::is_spent_grant`]): where it is our
    /// set-up that it refuses, no account is to blame.
    ///
    /// # Errors
    /// When the database did not take part.
    pub async fn needs_reauth(
        &self,
        seen: SeenTokens,
        reason: &str,
        actor: &Actor,
    ) -> Result<bool, AccountsError> {
        self.stands(seen, AccountStatus::NeedsReauth, reason, actor)
            .await
    }

    /// These tokens end soon, and only their owner can renew them. `false`: there are other tokens by now, or these are spent.
    ///
    /// # Errors
    /// When the database did not take part.
    pub async fn expiring(
        &self,
        seen: SeenTokens,
        reason: &str,
        actor: &Actor,
    ) -> Result<bool, AccountsError> {
        self.stands(seen, AccountStatus::Expiring, reason, actor)
            .await
    }

    /// A platform says that these tokens work, which were taken for spent: the accounts are active again, and their jobs go on.
    /// `false`: they were not taken for spent, something of them has ended, there are other ones by now, or none any more.
    ///
    /// # Errors
    /// When the database did not take part.
    pub async fn works_after_all(
        &self,
        seen: SeenTokens,
        actor: &Actor,
    ) -> Result<bool, AccountsError> {
        self.stands(seen, AccountStatus::Active, WORKS_AFTER_ALL, actor)
            .await
    }

    /// Keeps what a platform says of how long these tokens last.
    ///
    /// # Errors
    /// When the database did not take part.
    pub async fn told_of_health(
        &self,
        seen: SeenTokens,
        health: &TokenHealth,
    ) -> Result<(), AccountsError> {
        let clocks: (Option<DateTime<Utc>>, Option<DateTime<Utc>>) =
            (health.expires_at, health.data_access_expires_at);
        let db = self.db();
        let kept = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let connection = seen.connection.0;
            connections::set_clocks(session.connection(), connection, seen.version, clocks).await?;
            session.done();
            Ok(())
        });
        Ok(kept.await?)
    }

    async fn stands(
        &self,
        seen: SeenTokens,
        status: AccountStatus,
        reason: &str,
        actor: &Actor,
    ) -> Result<bool, AccountsError> {
        let reason: String = reason.chars().take(LONGEST_REASON).collect();
        let connection = seen.connection.0;
        let db = self.db();
        let (is_said, released) = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let mut tx = session.connection().begin().await?;
            let word = status.as_str();
            let is_said = connections::set_status(&mut *tx, connection, seen.version, word).await?;
            let released = if is_said {
                let new = NewStatus {
                    status: word,
                    actor: &actor.name,
                    reason: &reason,
                };
                let changed = accounts::set_status_of_connection(&mut *tx, connection, new).await?;
                match changed.is_empty() {
                    true => Released::default(),
                    false => follow(&mut tx, connection, status, (&reason, actor)).await?,
                }
            } else {
                Released::default()
            };
            tx.commit().await?;
            session.done();
            Ok((is_said, released))
        })
        .await?;
        self.queue().wake(&released);
        if is_said {
            tracing::info!(
                connection.id = %seen.connection,
                connection.status = status.as_str(),
                "a grant stands differently"
            );
        }
        Ok(is_said)
    }
}

/// Holds the jobs of a grant's accounts, or lets them go, as it stands now.
pub(super) async fn follow(
    conn: &mut PgConnection,
    connection: Uuid,
    status: AccountStatus,
    (reason, actor): (&str, &Actor),
) -> Result<Released, sqlx::Error> {
    let ids = accounts::live_of(&mut *conn, connection).await?;
    let names = names(&ids);
    match status {
        AccountStatus::NeedsReauth => {
            let reason = format!("it must be connected again: {reason}");
            let hold = NewHold {
                accounts: &names,
                reason: &reason,
                until: None,
            };
            Queue::hold_accounts_in(conn, &hold, actor).await?;
            Ok(Released::default())
        }
        AccountStatus::Active | AccountStatus::Expiring => {
            Queue::release_accounts_in(conn, &names, actor).await
        }
        AccountStatus::Disconnected => Ok(Released::default()),
    }
}

/// Accounts as the engine knows them, by what payloads say.
pub(super) fn names(accounts: &[Uuid]) -> Vec<String> {
    accounts.iter().map(Uuid::to_string).collect()
}
