//! The log of calls to platforms.

use providers::platform::CallRecord;

use super::{SyncError, Syncs, storable};
use crate::{
    accounts::AccountId,
    store::{
        Session,
        api_calls::{self, CallRows},
        within_deadline,
    },
};

/// Most calls in one statement.
const BATCH: usize = 5_000;

/// A call, and for which account it was made.
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedCall {
    /// `None`: for no account, but for a grant.
    pub account: Option<AccountId>,
    /// The call.
    pub call: CallRecord,
}

impl Syncs {
    /// Keeps calls that have ended.
    ///
    /// # Errors
    /// When the database did not take part; the calls before those that failed are kept.
    pub async fn record_calls(&self, calls: &[LoggedCall]) -> Result<(), SyncError> {
        let db = self.db();
        for batch in calls.chunks(BATCH) {
            let rows = rows(batch);
            within_deadline(async {
                let mut session = Session::open(&db).await?;
                api_calls::record(session.connection(), &rows).await?;
                session.done();
                Ok(())
            })
            .await?;
        }
        Ok(())
    }
}

fn rows(calls: &[LoggedCall]) -> CallRows {
    let mut rows = CallRows::default();
    for LoggedCall { account, call } in calls {
        let status = call.status.and_then(|status| i16::try_from(status).ok());
        let took_ms = i32::try_from(call.took.as_millis()).unwrap_or(i32::MAX);
        let remaining = call.usage.remaining;
        let resets_in = call.usage.resets_in;
        rows.times.push(call.started_at);
        rows.platforms.push(call.platform.as_str());
        rows.accounts.push(account.map(|account| account.0));
        rows.endpoints.push(call.endpoint);
        rows.statuses.push(status);
        rows.classes.push(call.class);
        rows.took_ms.push(took_ms);
        rows.used_shares.push(call.usage.used_share);
        rows.remaining.push(remaining.map(saturated));
        rows.resets_in_s
            .push(resets_in.map(|wait| saturated(wait.as_secs())));
        rows.request_ids
            .push(call.request_id.as_deref().map(storable::owned));
    }
    rows
}

fn saturated(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
