//! Accounts as people read them.

use chrono::{DateTime, Utc};
use marketing::accounts::{Account, ListedAccount, StatusChange};
use serde::Serialize;

use crate::output::{
    Details, Table,
    words::{age, age_or_dash, or_dash},
};

/// An account with what became of it.
#[derive(Serialize)]
pub(super) struct Shown {
    #[serde(flatten)]
    pub(super) account: Account,
    pub(super) history: Vec<StatusChange>,
}

/// Shown where there is none.
const NONE: &str =
    "no accounts: `millpond accounts connect PLATFORM` connects what a grant reaches";

pub(super) fn table(accounts: &[Account]) -> Table<8> {
    let now = Utc::now();
    let head = [
        "id",
        "platform",
        "account",
        "name",
        "tenant",
        "status",
        "sync",
        "token ends",
    ];
    let mut table = Table::new(head, NONE);
    for account in accounts {
        table.row(cells(account, now));
    }
    table
}

/// The same with the age of what is stored of them.
pub(super) fn listed(accounts: &[ListedAccount]) -> Table<9> {
    let now = Utc::now();
    let head = [
        "id",
        "platform",
        "account",
        "name",
        "tenant",
        "status",
        "sync",
        "token ends",
        "as of",
    ];
    let mut table = Table::new(head, NONE);
    for listed in accounts {
        let [id, platform, external, name, tenant, status, sync, ends] =
            cells(&listed.account, now);
        let as_of = age_or_dash(listed.as_of.map(|as_of| as_of.all), now);
        table.row([
            id, platform, external, name, tenant, status, sync, ends, as_of,
        ]);
    }
    table
}

fn cells(account: &Account, now: DateTime<Utc>) -> [String; 8] {
    let status = match account.vanished_at {
        Some(_) => format!("{}, vanished", account.status),
        None => account.status.to_string(),
    };
    [
        account.id.to_string(),
        account.platform.to_string(),
        account.external_id.clone(),
        account.name.clone(),
        or_dash(account.tenant.as_deref()),
        status,
        on_or_off(account.sync_enabled).to_owned(),
        age_or_dash(account.token.expires_at, now),
    ]
}

pub(super) fn shown(shown: &Shown) -> String {
    let now = Utc::now();
    let Shown { account, history } = shown;
    let mut details = Details::default();
    details.add("id", account.id);
    details.add("platform", account.platform);
    details.add("account", &account.external_id);
    details.add("kind", account.kind);
    details.add("name", &account.name);
    details.add("status", account.status);
    details.add_some("tenant", account.tenant.as_deref());
    details.add_some("currency", account.currency.as_deref());
    details.add_some("time zone", account.time_zone.as_deref());
    details.add_some("manager", account.manager.as_deref());
    details.add_some("at the platform", account.platform_status.as_deref());
    details.add("sync", on_or_off(account.sync_enabled));
    details.add_some("owner", account.owner_email.as_deref());
    details.add("grant", account.connection);
    details.add("token ends", end_of(account.token.expires_at));
    details.add("token got", age(account.token.refreshed_at, now));
    let data_access = account.token.data_access_expires_at;
    details.add_some("data access ends", data_access.map(|end| age(end, now)));
    details.add("found", age(account.discovered_at, now));
    details.add("vanished", age_or_dash(account.vanished_at, now));
    let mut text = details.to_string();
    for change in history {
        let was = change.was.map_or("new", |status| status.as_str());
        text.push_str(&format!(
            "  {}  {was} -> {}, by {}: {}\n",
            change.at.format("%Y-%m-%dT%H:%M:%SZ"),
            change.became,
            crate::output::one_line(&change.actor, 60),
            crate::output::one_line(&change.reason, 200),
        ));
    }
    text
}

/// When something ends, in words.
pub(super) fn end_of(at: Option<DateTime<Utc>>) -> String {
    at.map_or_else(
        || "at no time that the platform names".to_owned(),
        |end| age(end, Utc::now()),
    )
}

fn on_or_off(is_enabled: bool) -> &'static str {
    if is_enabled { "on" } else { "off" }
}
