//! The ad accounts that a token reaches: those that it reaches directly, and those below its managers. Figures are told of
//! accounts alone, never of managers.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    GoogleAds, PROVIDER,
    query::{Gaql, digits, quoted},
    request::Ask,
};
use crate::{
    error::{Detail, Error},
    platform::{Access, AdAccount, Caller, Cursor, EntityStatus, Page, StatusRule, members},
};

/// Accounts that are looked below for one page.
const ROOTS_PER_PAGE: usize = 20;

/// Most pages below one manager, of 10,000 accounts each.
const MOST_PAGES: usize = 10;

const BELOW: [&str; 8] = [
    "customer_client.id",
    "customer_client.descriptive_name",
    "customer_client.level",
    "customer_client.manager",
    "customer_client.currency_code",
    "customer_client.time_zone",
    "customer_client.status",
    "customer_client.test_account",
];

const ITSELF: [&str; 7] = [
    "customer.id",
    "customer.descriptive_name",
    "customer.manager",
    "customer.currency_code",
    "customer.time_zone",
    "customer.status",
    "customer.test_account",
];

const STATUSES: [StatusRule; 4] = [
    ("ENABLED", EntityStatus::Active),
    ("SUSPENDED", EntityStatus::Rejected),
    ("CANCELED", EntityStatus::Ended),
    ("CLOSED", EntityStatus::Deleted),
];

impl GoogleAds {
    /// A page holds what lies below some of the accounts that the token reaches directly; the cursor is the last of them.
    pub(super) async fn list_accounts(
        &self,
        caller: Caller<'_>,
        after: Option<&Cursor>,
    ) -> Result<Page<AdAccount>, Error> {
        let direct: BTreeSet<String> = self.accessible(caller).await?.into_iter().collect();
        let mut roots = direct
            .iter()
            .filter(|root| after.is_none_or(|done| done.0 < **root));
        let looked_below: Vec<&String> = roots.by_ref().take(ROOTS_PER_PAGE).collect();
        let is_last = roots.next().is_none();

        let mut items = Vec::new();
        for &root in &looked_below {
            match self.below(caller, root).await {
                Ok(found) => items.extend(
                    found
                        .into_iter()
                        // What is reached directly needs no manager.
                        .filter(|account| account.id == *root || !direct.contains(&account.id)),
                ),
                // Closed, or never set up to the end: no reason to find none of the others.
                Err(Error::Permission { detail }) => {
                    tracing::warn!(provider.name = PROVIDER, customer.id = %root, reason = %detail,
                        "an account of a grant cannot be read");
                }
                Err(error) => return Err(error),
            }
        }
        let last = looked_below.last().filter(|_| !is_last);
        Ok(Page {
            items,
            next: last.map(|root| Cursor((*root).clone())),
        })
    }

    pub(super) async fn one_account(
        &self,
        caller: Caller<'_>,
        account_id: &str,
    ) -> Result<AdAccount, Error> {
        let id = digits(account_id)?;
        let query = Gaql::of("customer", &ITSELF).text("LIMIT 1");
        let ask = Ask {
            customer: &id,
            query: &query,
        };
        let found = self.search(caller, &ask, None).await?;
        let manager = match &caller.access.manager {
            Some(manager) => Some(digits(manager)?),
            None => None,
        };
        let mut rows = found.results.into_iter();
        rows.next()
            .and_then(|row| account(row, "customer", manager))
            .filter(|account| account.id == id)
            .ok_or_else(|| Error::Unavailable {
                detail: Detail::new(PROVIDER, "the answer does not hold the account", &[]),
                maybe_received: true,
                source: None,
            })
    }

    /// The ad accounts at and below an account, whatever the depth.
    async fn below(&self, caller: Caller<'_>, root: &str) -> Result<Vec<AdAccount>, Error> {
        let enabled = format!("customer_client.status = {}", quoted("ENABLED"));
        let query = Gaql::of("customer_client", &BELOW).only(enabled).text("");
        let ask = Ask {
            customer: root,
            query: &query,
        };
        // Which account is asked says through whom it is reached; another one's manager would be a wrong one here.
        let access = Access {
            manager: None,
            ..caller.access.clone()
        };
        let caller = Caller {
            access: &access,
            ..caller
        };

        let mut accounts = Vec::new();
        let mut token = String::new();
        for _ in 0..MOST_PAGES {
            let after = (!token.is_empty()).then_some(token.as_str());
            let found = self.search(caller, &ask, after).await?;
            let rows = found.results.into_iter();
            accounts.extend(rows.filter_map(|row| below_account(row, root)));
            token = found.next_page_token;
            if token.is_empty() {
                return Ok(accounts);
            }
        }
        Err(Error::TooLarge {
            detail: Detail::new(PROVIDER, "a manager has too many accounts to list", &[]),
        })
    }
}

/// An ad account below a root; `None` for a manager.
fn below_account(row: Value, root: &str) -> Option<AdAccount> {
    let client = row.get("customerClient")?;
    if client.get("manager").and_then(Value::as_bool) == Some(true) {
        return None;
    }
    let is_root = client.get("id").and_then(members::id).as_deref() == Some(root);
    let manager = (!is_root).then(|| root.to_owned());
    account(row, "customerClient", manager)
}

fn account(mut row: Value, member: &str, manager: Option<String>) -> Option<AdAccount> {
    let raw = row.get_mut(member)?.take();
    let text = |name| members::text(&raw, name).map(str::to_owned);
    let platform_status = text("status").unwrap_or_default();
    let rule = STATUSES.iter().find(|(word, _)| *word == platform_status);
    Some(AdAccount {
        id: raw.get("id").and_then(members::id)?,
        name: text("descriptiveName").unwrap_or_default(),
        status: rule.map_or(EntityStatus::Unknown, |(_, status)| *status),
        platform_status,
        currency: text("currencyCode"),
        time_zone: text("timeZone"),
        manager,
        raw,
    })
}
