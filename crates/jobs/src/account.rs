//! The account that a job works for: how payloads name it, what its calls need, and how an attempt ends that cannot be made
//! now or is not wanted any more.

use std::{borrow::Cow, sync::Arc, time::Duration};

use marketing::{
    accounts::{Account, AccountId, AccountStatus, AccountsError},
    sync::{SyncCounts, SyncError},
};
use providers::{
    Error as ProviderError,
    platform::{AdPlatform, Door},
};
use queue::{Actor, JobInfo, Outcome};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{App, error::Error};

/// An id as it is written everywhere: holds go by this very text of an account's, and unique keys by that of others.
pub(crate) const PATTERN: &str = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$";
/// The wait of calls that are to be made in a moment.
const A_MOMENT: Duration = Duration::from_secs(5);
/// How long a job leaves its sync to the other one that goes on with it.
const TO_THE_OTHER: Duration = Duration::from_secs(60);

/// An account as payloads name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct AccountRef(pub(crate) AccountId);

/// It is no id of an account.
#[derive(Debug, thiserror::Error)]
#[error("is no id of an account")]
pub(crate) struct NotAnAccount;

impl TryFrom<String> for AccountRef {
    type Error = NotAnAccount;

    fn try_from(text: String) -> Result<Self, NotAnAccount> {
        match text.parse::<AccountId>() {
            // Written in another way, it would be another account to holds and budgets.
            Ok(id) if id.to_string() == text => Ok(Self(id)),
            Ok(_) | Err(_) => Err(NotAnAccount),
        }
    }
}

impl JsonSchema for AccountRef {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "AccountRef".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": PATTERN })
    }
}

/// An account, and who speaks with its platform.
pub(crate) struct Reached {
    pub(crate) account: Account,
    pub(crate) client: Arc<dyn AdPlatform>,
}

impl Reached {
    /// The account of a job, which must belong to the job's tenant where it has one.
    pub(crate) async fn of(app: &App, job: &JobInfo, account: AccountRef) -> Result<Self, Error> {
        let account = app.accounts.get(account.0, job.tenant.as_deref()).await?;
        if account.status == AccountStatus::Disconnected {
            return Err(AccountsError::Disconnected.into());
        }
        let client = app.accounts.platforms().of(account.platform).cloned();
        let client = client.ok_or(AccountsError::NoPlatform(account.platform))?;
        Ok(Self { account, client })
    }
}

/// An attempt that reads from a platform.
pub(crate) struct Attempt<'a> {
    pub(crate) app: &'a App,
    pub(crate) job: &'a JobInfo,
    pub(crate) account: &'a Account,
    pub(crate) client: &'a dyn AdPlatform,
    pub(crate) door: &'a dyn Door,
    /// Cancelled when the attempt is to end. It is looked at between two calls: to drop a call may be to lose tokens that a
    /// platform gives once.
    pub(crate) stop: &'a CancellationToken,
    /// Hears how far it is.
    pub(crate) progress: &'a (dyn Fn(Value) + Send + Sync),
}

impl Attempt<'_> {
    /// What the job's sync has counted, where an attempt before this one has read everything and died before it was settled.
    pub(crate) async fn done_before(&self) -> Result<Option<SyncCounts>, Error> {
        if self.job.attempt == 1 {
            return Ok(None);
        }
        Ok(self.app.syncs.done_by(self.account.id, self.job.id).await?)
    }

    /// Ends an attempt that was told to stop.
    pub(crate) fn go_on(&self) -> Result<(), Error> {
        if self.stop.is_cancelled() {
            return Err(Error::Stopped);
        }
        Ok(())
    }
}

/// How an attempt ended: one whose calls are not let out now comes again, as does one whose sync another job goes on with, and
/// what was disconnected wants no work.
pub(crate) fn settled(ended: Result<Outcome, Error>) -> Result<Outcome, Error> {
    match ended {
        Err(Error::Provider(ProviderError::Postponed { wait, .. })) => {
            Ok(Outcome::Snoozed(wait.unwrap_or(A_MOMENT)))
        }
        // The other one may end with nothing: then this one finds where it stood.
        Err(Error::Sync(SyncError::Superseded)) => Ok(Outcome::Snoozed(TO_THE_OTHER)),
        Err(Error::Accounts(error)) if matches!(*error, AccountsError::Disconnected) => {
            Ok(Outcome::Cancelled("the account is disconnected".to_owned()))
        }
        ended => ended,
    }
}

/// A kind of job as who acts.
pub(crate) fn actor(kind: &str) -> Actor {
    Actor {
        name: format!("a job of kind {kind}"),
        tenant: None,
    }
}

#[cfg(test)]
mod tests {
    use providers::Detail;
    use serde_json::json;

    use super::*;
    use crate::kinds::testing::schema_accepts;

    const ID: &str = "01920000-0000-7000-8000-00000000abcd";

    #[test]
    fn an_account_is_named_in_one_way_alone() {
        let decoded = |text: &str| serde_json::from_value::<AccountRef>(json!(text));

        assert!(decoded(ID).is_ok() && schema_accepts::<AccountRef>(&json!(ID)));
        for other in [
            ID.to_uppercase(),
            ID.replace('-', ""),
            format!("{{{ID}}}"),
            format!("urn:uuid:{ID}"),
            "acc_1".to_owned(),
            String::new(),
        ] {
            assert!(decoded(&other).is_err(), "{other}");
            assert!(!schema_accepts::<AccountRef>(&json!(other)), "{other}");
        }
    }

    #[test]
    fn a_call_that_is_not_let_out_puts_the_job_off_at_no_cost() {
        let wait = Duration::from_secs(40);
        let postponed = |wait| {
            Err(Error::Provider(ProviderError::Postponed {
                wait,
                detail: Detail::default(),
            }))
        };

        let named = settled(postponed(Some(wait)));
        let unnamed = settled(postponed(None));

        assert!(matches!(named, Ok(Outcome::Snoozed(told)) if told == wait));
        assert!(matches!(unnamed, Ok(Outcome::Snoozed(told)) if told == A_MOMENT));
    }

    // Fails when two jobs that read the same take it from one another until their attempts are used up.
    #[test]
    fn a_job_whose_sync_another_one_goes_on_with_comes_again_at_no_cost() {
        let ended = settled(Err(SyncError::Superseded.into()));

        assert!(
            matches!(ended, Ok(Outcome::Snoozed(told)) if told == TO_THE_OTHER),
            "{ended:?}"
        );
    }

    #[test]
    fn work_for_what_was_disconnected_is_not_wanted() {
        let ended = settled(Err(AccountsError::Disconnected.into()));

        assert!(matches!(ended, Ok(Outcome::Cancelled(_))), "{ended:?}");
    }
}
