//! `token.check`: grants that end soon are renewed where their platforms do that, and else their owners are told. Meta is asked
//! about each of its grants, since the right to their data has an end of its own that moves, and since one may have been taken
//! for spent by mistake.

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use marketing::accounts::{
    Account, AccountFilter, AccountId, AccountStatus, AccountsError, EndOf, EndingGrant,
};
use providers::platform::{Door, Platform};
use queue::{Job, JobContext, JobInfo, NewJob, Outcome, PageRequest, Source, error_chain};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{json, value::to_raw_value};
use tokio_util::sync::CancellationToken;

use super::{
    token_refresh::TokenRefresh,
    token_validate::{self, TokenValidate},
};
use crate::{
    App,
    account::{Attempt, actor, settled},
    door::JobDoor,
    error::Error,
    owner_mail::tell_of_end,
};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
/// Accounts that are looked at together.
const PAGE: i64 = 500;
/// What is asked in case something has changed lets everything else go first.
const IN_CASE: i16 = 8;
/// Longest time for asking about grants that were taken for spent.
const LONGEST_SECOND_LOOK: Duration = Duration::from_secs(3 * 60);

/// Looks for grants that end soon. Idempotent: what is being renewed is not renewed a second time, and an owner is told of
/// an end once.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenCheck {
    /// How long ahead it looks: hours or days, such as "36h" and "7d".
    #[serde(default)]
    #[schemars(with = "String", regex(pattern = "^[1-9][0-9]{0,2}[hd]$"))]
    warn_within: Ahead,
}

/// A span of hours or days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct Ahead(Duration);

/// It is no such span.
#[derive(Debug, thiserror::Error)]
#[error("is no span of 1 to 999 hours or days, such as \"7d\"")]
struct NotAhead;

impl Default for Ahead {
    fn default() -> Self {
        Self(7 * DAY)
    }
}

impl TryFrom<String> for Ahead {
    type Error = NotAhead;

    fn try_from(text: String) -> Result<Self, NotAhead> {
        let read = |unit: char, length: Duration| {
            let digits = text.strip_suffix(unit)?;
            let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.len() <= 3;
            let count: u32 = digits.parse().ok()?;
            (is_plain && !digits.starts_with('0')).then(|| length * count)
        };
        let span = read('h', HOUR).or_else(|| read('d', DAY));
        span.map(Self).ok_or(NotAhead)
    }
}

/// What was done.
#[derive(Debug, Default, PartialEq, Eq)]
struct Done {
    /// Grants that are being renewed.
    renewed: usize,
    /// Grants that only their owners can renew.
    expiring: usize,
    /// Owners who were told.
    told: usize,
}

/// Makes doors for the calls of accounts.
type Doors<'a> = &'a (dyn Fn(Platform, AccountId) -> Box<dyn Door> + Send + Sync);

impl Job for TokenCheck {
    const KIND: &'static str = "token.check";
    type App = App;
    type Error = Error;

    async fn run(self, ctx: &JobContext<App>) -> Result<Outcome, Error> {
        settled(Box::pin(look(ctx, self.warn_within.0)).await)
    }
}

async fn look(ctx: &JobContext<App>, within: Duration) -> Result<Outcome, Error> {
    let (app, stop) = (&ctx.app, ctx.cancellation());
    let door = |platform, account| -> Box<dyn Door> {
        Box::new(JobDoor::new(ctx, platform, Some(account)))
    };
    let done = Box::pin(check(app, within, stop)).await?;
    let asked = Box::pin(validate(app, stop)).await?;
    let valid = Box::pin(look_again(app, (&ctx.job, stop), &door)).await?;
    Ok(Outcome::SucceededWith(json!({
        "renewed": done.renewed,
        "expiring": done.expiring,
        "told": done.told,
        "validating": asked,
        "valid_after_all": valid,
    })))
}

async fn check(app: &App, within: Duration, stop: &CancellationToken) -> Result<Done, Error> {
    let mut done = Done::default();
    let mut after = None;
    loop {
        let grants = app.accounts.ending(within, after).await?;
        let Some(last) = grants.last() else {
            return Ok(done);
        };
        after = Some(last.seen.connection);
        let renewed: Vec<&EndingGrant> = grants
            .iter()
            .filter(|grant| grant.is_to_be_renewed(within))
            .collect();
        done.renewed += renewed.len();
        renew(app, &renewed).await?;
        for grant in &grants {
            if stop.is_cancelled() {
                return Err(Error::Stopped);
            }
            warn(app, grant, within, &mut done).await?;
        }
    }
}

/// Each grant has a job of its own: one that cannot be renewed now keeps no other one from it.
async fn renew(app: &App, grants: &[&EndingGrant]) -> Result<(), Error> {
    let jobs = grants.iter().map(|grant| NewJob {
        tenant: grant.tenant.clone(),
        ..for_account(TokenRefresh::KIND, grant.account)
    });
    enqueue(app, jobs.collect()).await
}

/// Has Meta asked about each of its grants that is in use; tells how many. The right to their data ends 90 days after their
/// person used the app last, and whoever does not ask does not learn of that. Not without the app's id and secret, which Meta
/// asks for.
async fn validate(app: &App, stop: &CancellationToken) -> Result<usize, Error> {
    if !app.meta.tells_of_tokens() {
        return Ok(0);
    }
    let mut asked = BTreeSet::new();
    let mut cursor = None;
    let filter = AccountFilter {
        platform: Some(Platform::Meta),
        ..AccountFilter::default()
    };
    loop {
        if stop.is_cancelled() {
            return Err(Error::Stopped);
        }
        let page = PageRequest::new(Some(PAGE), cursor).map_err(AccountsError::from)?;
        let listed = app.accounts.list(&filter, &page).await?;
        let accounts = listed.items.iter().filter(|account| is_in_use(account));
        let one_each = accounts.filter(|account| asked.insert(account.connection));
        let jobs = one_each.map(|account| NewJob {
            tenant: account.tenant.clone(),
            priority: Some(IN_CASE),
            ..for_account(TokenValidate::KIND, account.id)
        });
        let jobs: Vec<NewJob> = jobs.collect();
        enqueue(app, jobs).await?;
        cursor = listed.next;
        if cursor.is_none() {
            return Ok(asked.len());
        }
    }
}

/// Asks Meta about its grants that were taken for spent: it may have said so by mistake. At once, since jobs of their accounts
/// wait; one that cannot be asked about keeps no other one from it. Tells how many work after all.
async fn look_again(
    app: &App,
    (job, stop): (&JobInfo, &CancellationToken),
    doors: Doors<'_>,
) -> Result<usize, Error> {
    let client = app.accounts.platforms().of(Platform::Meta).cloned();
    let Some(client) = client.filter(|_| app.meta.tells_of_tokens()) else {
        return Ok(0);
    };
    let filter = AccountFilter {
        platform: Some(Platform::Meta),
        status: Some(AccountStatus::NeedsReauth),
        ..AccountFilter::default()
    };
    let (began, mut asked, mut valid) = (Instant::now(), BTreeSet::new(), 0);
    let mut cursor = None;
    loop {
        let page = PageRequest::new(Some(PAGE), cursor).map_err(AccountsError::from)?;
        let listed = app.accounts.list(&filter, &page).await?;
        for account in &listed.items {
            if !asked.insert(account.connection) {
                continue;
            }
            if stop.is_cancelled() {
                return Err(Error::Stopped);
            }
            if began.elapsed() > LONGEST_SECOND_LOOK {
                return Ok(valid);
            }
            let door = doors(account.platform, account.id);
            let attempt = Attempt {
                app,
                job,
                account,
                client: &*client,
                door: &*door,
                stop,
                progress: &|_| {},
            };
            valid += usize::from(is_valid(&attempt).await?);
        }
        cursor = listed.next;
        if cursor.is_none() {
            return Ok(valid);
        }
    }
}

/// Whether a grant that was taken for spent is in use again, now that its platform was asked.
async fn is_valid(attempt: &Attempt<'_>) -> Result<bool, Error> {
    let Attempt { app, account, .. } = *attempt;
    if let Err(error) = Box::pin(token_validate::validate(attempt)).await {
        tracing::warn!(connection.id = %account.connection, error = %error_chain(&error),
            "a grant that was taken for spent could not be asked about; it is asked about again tomorrow");
    }
    Ok(is_in_use(&app.accounts.get(account.id, None).await?))
}

fn is_in_use(account: &Account) -> bool {
    match account.status {
        AccountStatus::Active | AccountStatus::Expiring => true,
        AccountStatus::NeedsReauth | AccountStatus::Disconnected => false,
    }
}

fn for_account(kind: &str, account: AccountId) -> NewJob {
    let payload = json!({ "account_id": account });
    let payload = to_raw_value(&payload).expect("a JSON value is written as JSON");
    NewJob::new(kind, payload, Source::Handler)
}

async fn enqueue(app: &App, jobs: Vec<NewJob>) -> Result<(), Error> {
    if jobs.is_empty() {
        return Ok(());
    }
    let jobs = jobs.into_iter().map(|job| (job, None));
    for enqueued in app.queue.enqueue_batch(jobs.collect(), false).await? {
        enqueued?;
    }
    Ok(())
}

/// Marks a grant that only its owner can renew, and tells the owner. What has ended already is the business of
/// `token.expire`.
async fn warn(
    app: &App,
    grant: &EndingGrant,
    within: Duration,
    done: &mut Done,
) -> Result<(), Error> {
    let Some(end) = grant.owners_end(within).filter(|_| grant.over().is_none()) else {
        return Ok(());
    };
    done.expiring += 1;
    if grant.status != AccountStatus::Expiring {
        let what = match end.of {
            EndOf::Token => "its token",
            EndOf::DataAccess => "the right to its data",
        };
        let reason = format!("{what} ends on {}", end.at.format("%Y-%m-%d %H:%M UTC"));
        let actor = actor(TokenCheck::KIND);
        app.accounts.expiring(grant.seen, &reason, &actor).await?;
    }
    if tell_of_end(app, grant, end).await? {
        done.told += 1;
    }
    Ok(())
}
