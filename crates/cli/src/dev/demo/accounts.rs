//! The accounts of `millpond dev --demo`: one on each platform that is stood in for, connected the way of every account. What
//! follows is nothing of the demo's: jobs read what an account holds and its last year, and schedules its changes by the hour.

use anyhow::Context as _;
use chrono::Utc;
use marketing::{
    accounts::{
        Account, AccountKind, Accounts, NewGrant, NotificationChange, orders::insights_sync,
    },
    sync::InsightScope,
};
use providers::platform::Level;
use queue::{Actor, NewJob, Queue, Source};

use crate::stand_ins::StandIn;

/// Whose the accounts are, and who is told of what concerns them.
const TENANT: &str = "acme";
const OWNER: &str = "ada@example.com";
/// Who gives the grants: always the same person, so that a later run renews them and makes no second ones.
const SUBJECT: &str = "millpond-dev";

/// Connects them, or connects them again: stand-ins forget with each run which tokens they gave. Where one cannot be
/// connected the demo goes on without it.
pub(in super::super) async fn connect(
    accounts: &Accounts,
    queue: &Queue,
    platforms: &[&StandIn],
) -> Vec<Account> {
    let mut connected = Vec::new();
    for stand_in in platforms {
        match connect_to(stand_in, accounts, &super::actor()).await {
            Ok(found) => connected.extend(found),
            Err(error) => tracing::warn!(
                provider.name = stand_in.platform.as_str(),
                "the demo goes on without an account there: {error:#}"
            ),
        }
    }
    if let Err(error) = begin_to_read(accounts, queue, &connected).await {
        tracing::warn!("figures of the last hours are read when schedules ask for them: {error:#}");
    }
    connected
}

async fn connect_to(
    stand_in: &StandIn,
    accounts: &Accounts,
    actor: &Actor,
) -> anyhow::Result<Vec<Account>> {
    let new = NewGrant {
        platform: stand_in.platform,
        tenant: Some(TENANT.to_owned()),
        grant: stand_in.grant(),
        subject: Some(SUBJECT.to_owned()),
        scopes: Vec::new(),
        manager: None,
        owner_email: Some(OWNER.to_owned()),
        notifications: NotificationChange::default(),
        expires_at: None,
        refresh_expires_at: None,
        external_ids: Vec::new(),
    };
    let mut found = Box::pin(accounts.connect(new, actor)).await?.accounts;
    found.retain(|account| account.kind == AccountKind::AdAccount);
    Ok(found)
}

/// Has figures of the last hours read at once. Schedules have them read too, but not before the next hour begins.
async fn begin_to_read(
    accounts: &Accounts,
    queue: &Queue,
    connected: &[Account],
) -> anyhow::Result<()> {
    let jobs = connected
        .iter()
        .flat_map(|account| last_hours(accounts, account));
    let jobs = jobs.map(|job| (job, None)).collect();
    for answer in queue.enqueue_batch(jobs, false).await? {
        answer.context("a job is refused")?;
    }
    Ok(())
}

fn last_hours(accounts: &Accounts, account: &Account) -> Vec<NewJob> {
    let Some(client) = accounts.platforms().of(account.platform) else {
        return Vec::new();
    };
    let today = account.day_of(Utc::now());
    let jobs = Level::ALL.map(|level| {
        let scope = InsightScope {
            level,
            granularity: client.finest(),
            from: today.pred_opt().unwrap_or(today),
            to: today,
            breakdowns: Vec::new(),
        };
        insights_sync(account, &scope, Source::Cli)
    });
    jobs.into()
}
