//! Accounts whose jobs wait until somebody lets them go. The engine knows an account by its name alone; whoever knows
//! what it is holds and releases it, in one transaction with what that follows from.

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::PgConnection;

use super::{
    Actor, AdminError, audit,
    queues::{LONGEST_REASON, check_reason, check_until},
};
use crate::{
    Queue,
    db::within,
    metrics,
    store::{self, holds},
};

/// Accounts to be held.
#[derive(Debug, Clone, Copy)]
pub struct NewHold<'a> {
    /// As payloads name them.
    pub accounts: &'a [String],
    /// Why; shown to whoever asks why a job does not run.
    pub reason: &'a str,
    /// When they are let go by themselves; `None`: when somebody does it.
    pub until: Option<DateTime<Utc>>,
}

/// Accounts that are let go.
#[derive(Debug, Default)]
#[must_use = "what waited for them is woken by Queue::wake, after the commit"]
pub struct Released {
    queues: Vec<String>,
    accounts: Vec<String>,
}

impl Released {
    /// Those of them that were held.
    #[must_use]
    pub fn accounts(&self) -> &[String] {
        &self.accounts
    }
}

impl Queue {
    /// Holds an account: what runs goes on, and its jobs wait, ready, until it is let go. One that is held already is held
    /// anew.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] for an end in the past or a reason that cannot be kept.
    pub async fn hold_account(
        &self,
        account: &str,
        reason: &str,
        until: Option<DateTime<Utc>>,
        actor: &Actor,
    ) -> Result<(), AdminError> {
        check_until(until)?;
        check_reason(Some(reason))?;
        let accounts = [account.to_owned()];
        let hold = NewHold {
            accounts: &accounts,
            reason,
            until,
        };
        let mut session = self.shared.db.request().await?;
        let held = within(async {
            let mut tx = sqlx::Connection::begin(session.conn()).await?;
            Self::hold_accounts_in(&mut tx, &hold, actor).await?;
            tx.commit().await
        })
        .await;
        session.end(held)?;
        metrics::admin_action("account.hold");
        Ok(())
    }

    /// Lets an account go: its jobs go on. `false`: it was not held.
    ///
    /// # Errors
    /// When the database did not take part.
    pub async fn release_account(&self, account: &str, actor: &Actor) -> Result<bool, AdminError> {
        let accounts = [account.to_owned()];
        let mut session = self.shared.db.request().await?;
        let released = within(async {
            let mut tx = sqlx::Connection::begin(session.conn()).await?;
            let released = Self::release_accounts_in(&mut tx, &accounts, actor).await?;
            tx.commit().await?;
            Ok(released)
        })
        .await;
        let released = session.end(released)?;
        if released.accounts.is_empty() {
            return Ok(false);
        }
        metrics::admin_action("account.release");
        self.wake(&released);
        Ok(true)
    }

    /// Holds accounts in a transaction of the caller's.
    ///
    /// # Errors
    /// When the database did not take part: the transaction is over.
    pub async fn hold_accounts_in(
        conn: &mut PgConnection,
        hold: &NewHold<'_>,
        actor: &Actor,
    ) -> Result<(), sqlx::Error> {
        if hold.accounts.is_empty() {
            return Ok(());
        }
        let reason = storable(hold.reason);
        holds::hold(&mut *conn, hold.accounts, &reason, hold.until, &actor.name).await?;
        let mut row = audit(actor, "account.hold", single(hold.accounts));
        row.reason = Some(reason.as_str());
        row.count = count(hold.accounts);
        row.detail = json!({"until": hold.until});
        store::audit::note(conn, &row).await
    }

    /// Lets accounts go in a transaction of the caller's, who hands the answer to [`Self::wake`] after the commit. Nothing
    /// is noted where none of them was held.
    ///
    /// # Errors
    /// When the database did not take part: the transaction is over.
    pub async fn release_accounts_in(
        conn: &mut PgConnection,
        accounts: &[String],
        actor: &Actor,
    ) -> Result<Released, sqlx::Error> {
        if accounts.is_empty() {
            return Ok(Released::default());
        }
        let released = holds::release(&mut *conn, accounts).await?;
        if released.is_empty() {
            return Ok(Released::default());
        }
        let queues = holds::queues_behind(&mut *conn, &released).await?;
        let mut row = audit(actor, "account.release", single(&released));
        row.count = count(&released);
        store::audit::note(conn, &row).await?;
        Ok(Released {
            queues,
            accounts: released,
        })
    }

    /// Wakes whoever works on the queues in which jobs waited for these accounts.
    pub fn wake(&self, released: &Released) {
        for queue in &released.queues {
            self.shared.bell.ring(queue);
        }
    }

    /// Cancels the jobs of accounts that wait, also for their time or behind a gate; what runs goes on. Tells how many. It
    /// does so in portions: one that failed leaves the rest, and can be repeated.
    ///
    /// # Errors
    /// When the database did not take part.
    pub async fn cancel_waiting_of(
        &self,
        accounts: &[String],
        reason: &str,
        actor: &Actor,
    ) -> Result<u64, AdminError> {
        let reason = storable(reason);
        let wiped = self.shared.config().encrypted_kinds();
        let mut total = 0;
        loop {
            let mut session = self.shared.db.request().await?;
            let done = within(async {
                let mut tx = sqlx::Connection::begin(session.conn()).await?;
                let waiting = holds::waiting_jobs(&mut *tx, accounts).await?;
                let cancelled = holds::cancel(&mut *tx, &waiting, &wiped).await?;
                if cancelled > 0 {
                    let mut row = audit(actor, "account.cancel_jobs", single(accounts));
                    row.reason = Some(reason.as_str());
                    row.count = i64::try_from(cancelled).unwrap_or(i64::MAX);
                    store::audit::note(&mut *tx, &row).await?;
                }
                tx.commit().await?;
                Ok(cancelled)
            })
            .await;
            let cancelled = session.end(done)?;
            // Jobs that somebody else has in hand just now are left to him.
            if cancelled == 0 {
                return Ok(total);
            }
            metrics::admin_action("account.cancel_jobs");
            total += cancelled;
        }
    }
}

/// The account, where it is only one.
fn single(accounts: &[String]) -> Option<&str> {
    match accounts {
        [account] => Some(account),
        _ => None,
    }
}

fn count(accounts: &[String]) -> i64 {
    i64::try_from(accounts.len()).unwrap_or(i64::MAX)
}

/// A reason as it can be kept.
fn storable(reason: &str) -> String {
    let kept = reason.chars().filter(|c| *c != '\0');
    kept.take(LONGEST_REASON).collect()
}
