//! Ad accounts and what they hold: campaigns, line items, promoted posts, creatives, audiences and web event tags, deleted ones
//! too, each by pages of up to 1,000.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use rust_decimal::Decimal;
use serde_json::Value;

use super::{
    PROVIDER, X, refused,
    request::{Question, checked},
    sign::Params,
    wire::{Listed, One},
};
use crate::{
    error::{Detail, Error},
    platform::{
        AdAccount, Caller, Cursor, Entity, EntityQuery, EntityStatus, EntityType, Page, StatusRule,
        members,
    },
};

/// What can be listed, parents first.
pub(super) const TYPES: [EntityType; 6] = [
    EntityType::Campaign,
    EntityType::AdSet,
    EntityType::Ad,
    EntityType::Creative,
    EntityType::Audience,
    EntityType::Pixel,
];

/// Most entities on a page.
const LARGEST_PAGE: u32 = 1_000;

/// How much earlier than asked for changes are looked for: clocks differ, and X may be late to show one.
const OVERLAP: TimeDelta = TimeDelta::minutes(10);

const STATUSES: [StatusRule; 19] = [
    ("ACTIVE", EntityStatus::Active),
    ("RUNNING", EntityStatus::Active),
    ("SERVING", EntityStatus::Active),
    ("ACCEPTED", EntityStatus::Active),
    ("PAUSED", EntityStatus::Paused),
    ("CAMPAIGN_PAUSED", EntityStatus::Paused),
    ("DRAFT", EntityStatus::Pending),
    ("PENDING", EntityStatus::Pending),
    ("UNDER_REVIEW", EntityStatus::Pending),
    ("SCHEDULED", EntityStatus::Pending),
    ("UNVERIFIED", EntityStatus::Pending),
    ("REJECTED", EntityStatus::Rejected),
    ("SUSPENDED", EntityStatus::Rejected),
    ("EXPIRED", EntityStatus::Ended),
    ("EXHAUSTED", EntityStatus::Ended),
    ("COMPLETED", EntityStatus::Ended),
    ("ENDED", EntityStatus::Ended),
    ("CANCELLED", EntityStatus::Ended),
    ("INACTIVE", EntityStatus::Ended),
];

/// A list of an account's.
struct Listing {
    endpoint: &'static str,
    /// The last part of its path.
    path: &'static str,
    /// Which member names what it belongs to.
    parent: Option<&'static str>,
}

fn listing(kind: EntityType) -> Result<Listing, Error> {
    let (endpoint, path, parent) = match kind {
        EntityType::Campaign => ("GET accounts/{id}/campaigns", "campaigns", None),
        EntityType::AdSet => (
            "GET accounts/{id}/line_items",
            "line_items",
            Some("campaign_id"),
        ),
        EntityType::Ad => (
            "GET accounts/{id}/promoted_tweets",
            "promoted_tweets",
            Some("line_item_id"),
        ),
        EntityType::Creative => (
            "GET accounts/{id}/media_creatives",
            "media_creatives",
            Some("line_item_id"),
        ),
        EntityType::Audience => (
            "GET accounts/{id}/custom_audiences",
            "custom_audiences",
            None,
        ),
        EntityType::Pixel => ("GET accounts/{id}/web_event_tags", "web_event_tags", None),
        EntityType::LeadForm | EntityType::Page | EntityType::InstagramAccount => {
            return Err(refused("x does not list this sort"));
        }
    };
    Ok(Listing {
        endpoint,
        path,
        parent,
    })
}

/// Whether a sort can be listed from what changed last.
pub(super) fn lists_changes(of: EntityType) -> bool {
    matches!(
        of,
        EntityType::Campaign | EntityType::AdSet | EntityType::Ad | EntityType::Creative
    )
}

impl X {
    pub(super) async fn list_accounts(
        &self,
        caller: Caller<'_>,
        after: Option<&Cursor>,
    ) -> Result<Page<AdAccount>, Error> {
        self.some_accounts(caller, LARGEST_PAGE, after).await
    }

    pub(super) async fn some_accounts(
        &self,
        caller: Caller<'_>,
        count: u32,
        after: Option<&Cursor>,
    ) -> Result<Page<AdAccount>, Error> {
        let question = Question {
            method: Method::GET,
            endpoint: "GET accounts",
            path: &["accounts"],
            params: &page_params(count, after),
        };
        let listed: Listed = self.ask(caller, &question).await?;
        let accounts = listed.data.into_iter().filter_map(account);
        Ok(Page {
            items: accounts.collect(),
            next: cursor(listed.next_cursor),
        })
    }

    /// One account, with the currency of what pays for it: X does not say an account's.
    pub(super) async fn one_account(
        &self,
        caller: Caller<'_>,
        account_id: &str,
    ) -> Result<AdAccount, Error> {
        let question = Question {
            method: Method::GET,
            endpoint: "GET accounts/{id}",
            path: &["accounts", checked(account_id)?],
            params: &[],
        };
        let one: One = self.ask(caller, &question).await?;
        let account = account(one.data).ok_or_else(|| Error::Unavailable {
            detail: Detail::new(PROVIDER, "the answer does not hold the account", &[]),
            maybe_received: true,
            source: None,
        })?;
        let currency = match self.currency(caller, account_id).await {
            // Whoever may see an account need not see who pays.
            Err(Error::Permission { .. }) => None,
            asked => asked?,
        };
        Ok(AdAccount {
            currency,
            ..account
        })
    }

    async fn currency(
        &self,
        caller: Caller<'_>,
        account_id: &str,
    ) -> Result<Option<String>, Error> {
        let question = Question {
            method: Method::GET,
            endpoint: "GET accounts/{id}/funding_instruments",
            path: &["accounts", account_id, "funding_instruments"],
            params: &[
                ("count", "1".to_owned()),
                ("with_deleted", "true".to_owned()),
            ],
        };
        let listed: Listed = self.ask(caller, &question).await?;
        let first = listed.data.first();
        let currency = first.and_then(|it| members::text(it, "currency"));
        Ok(currency.map(str::to_uppercase))
    }

    pub(super) async fn list_entities(
        &self,
        caller: Caller<'_>,
        query: &EntityQuery,
        after: Option<&Cursor>,
    ) -> Result<Page<Entity>, Error> {
        let since = query
            .changed_since
            .filter(|_| lists_changes(query.kind))
            .map(|since| since - OVERLAP);
        let count = query.page_size.unwrap_or(LARGEST_PAGE);
        let mut params = page_params(count.clamp(1, LARGEST_PAGE), after);
        if since.is_some() {
            params.push(("sort_by", "updated_at-desc".to_owned()));
        }
        let mut page = self.page_of(caller, query, params).await?;

        let is_old = |entity: &Entity| entity.updated_at < since && entity.updated_at.is_some();
        if page.items.iter().any(is_old) {
            page.items.retain(|entity| !is_old(entity));
            page.next = None;
        }
        Ok(page)
    }

    /// What campaigns or line items are now, by their ids; nothing else can be changed.
    pub(super) async fn list_present(
        &self,
        caller: Caller<'_>,
        query: &EntityQuery,
        ids: &[String],
    ) -> Result<Vec<Entity>, Error> {
        let by = match query.kind {
            EntityType::Campaign => "campaign_ids",
            EntityType::AdSet => "line_item_ids",
            _ => return Ok(Vec::new()),
        };
        let ids: Vec<&str> = ids.iter().filter_map(|id| checked(id).ok()).collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut params = page_params(LARGEST_PAGE, None);
        params.push((by, ids.join(",")));
        let page = self.page_of(caller, query, params).await?;
        Ok(page.items)
    }

    /// Things of one sort, the deleted ones among them.
    async fn page_of(
        &self,
        caller: Caller<'_>,
        query: &EntityQuery,
        mut params: Params,
    ) -> Result<Page<Entity>, Error> {
        let listing = listing(query.kind)?;
        params.push(("with_deleted", "true".to_owned()));
        let question = Question {
            method: Method::GET,
            endpoint: listing.endpoint,
            path: &["accounts", checked(&query.account_id)?, listing.path],
            params: &params,
        };
        let listed: Listed = self.ask(caller, &question).await?;
        let read = listed.data.into_iter();
        let read = read.filter_map(|raw| entity(query.kind, &listing, raw));
        Ok(Page {
            items: read.collect(),
            next: cursor(listed.next_cursor),
        })
    }
}

fn page_params(count: u32, after: Option<&Cursor>) -> Params {
    let mut params = vec![("count", count.to_string())];
    if let Some(Cursor(cursor)) = after {
        params.push(("cursor", cursor.clone()));
    }
    params
}

fn cursor(next: Option<String>) -> Option<Cursor> {
    next.filter(|next| !next.is_empty()).map(Cursor)
}

fn account(raw: Value) -> Option<AdAccount> {
    let text = |name| members::text(&raw, name).map(str::to_owned);
    let (status, platform_status) = status(&raw);
    Some(AdAccount {
        id: text("id")?,
        name: text("name").unwrap_or_default(),
        status,
        platform_status,
        currency: None,
        time_zone: text("timezone"),
        manager: None,
        raw,
    })
}

/// `None` for what has no id: it is nothing that could be stored.
fn entity(kind: EntityType, listing: &Listing, raw: Value) -> Option<Entity> {
    let text = |name| members::text(&raw, name).map(str::to_owned);
    let time = |name| -> Option<DateTime<Utc>> { members::text(&raw, name)?.parse().ok() };
    let id = text("id")?;
    let (status, platform_status) = status(&raw);
    Some(Entity {
        kind,
        id,
        parent_id: listing.parent.and_then(text),
        campaign_id: text("campaign_id"),
        name: text("name").unwrap_or_default(),
        status,
        platform_status,
        daily_budget: micros(raw.get("daily_budget_amount_local_micro")),
        lifetime_budget: micros(raw.get("total_budget_amount_local_micro")),
        created_at: time("created_at"),
        updated_at: time("updated_at"),
        raw,
    })
}

/// The state, and the word that decided it. What was approved is not more than it was set to, and what was not approved is
/// not active.
fn status(raw: &Value) -> (EntityStatus, String) {
    if raw.get("deleted").and_then(Value::as_bool) == Some(true) {
        return (EntityStatus::Deleted, "DELETED".to_owned());
    }
    let word = |name| members::text(raw, name);
    let set_to = word("entity_status").or_else(|| word("status"));
    let approval = word("approval_status");
    let effective = word("effective_status")
        .filter(|word| known(word).is_some() || set_to.is_none_or(is_active));

    let decides = match (effective.or(set_to), approval) {
        (Some(word), Some(approval)) if is_active(word) && !is_active(approval) => approval,
        (Some(word), _) => word,
        (None, approval) => approval.unwrap_or_default(),
    };
    let status = known(decides).unwrap_or(EntityStatus::Unknown);
    (status, decides.to_owned())
}

fn known(word: &str) -> Option<EntityStatus> {
    let rule = STATUSES.iter().find(|(known, _)| *known == word);
    rule.map(|(_, status)| *status)
}

fn is_active(word: &str) -> bool {
    known(word) == Some(EntityStatus::Active)
}

/// An amount in major units: these are millionths of every currency, of those without cents as well.
fn micros(value: Option<&Value>) -> Option<Decimal> {
    let micros = value.and_then(members::integer)?;
    Some(Decimal::new(micros, 6).normalize())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_state_has_its_word() {
        use EntityStatus::{Active, Deleted, Ended, Paused, Pending, Rejected, Unknown};
        let cases = [
            (
                json!({"entity_status": "ACTIVE", "effective_status": "RUNNING"}),
                (Active, "RUNNING"),
            ),
            (
                json!({"entity_status": "ACTIVE", "effective_status": "EXPIRED"}),
                (Ended, "EXPIRED"),
            ),
            (
                json!({"entity_status": "PAUSED", "effective_status": "SOMETHING_NEW"}),
                (Paused, "PAUSED"),
            ),
            (
                json!({"entity_status": "ACTIVE", "effective_status": "SOMETHING_NEW"}),
                (Unknown, "SOMETHING_NEW"),
            ),
            (
                json!({"entity_status": "ACTIVE", "approval_status": "REJECTED"}),
                (Rejected, "REJECTED"),
            ),
            (
                json!({"entity_status": "PAUSED", "approval_status": "REJECTED"}),
                (Paused, "PAUSED"),
            ),
            (
                json!({"entity_status": "ACTIVE", "approval_status": "ACCEPTED"}),
                (Active, "ACTIVE"),
            ),
            (json!({"entity_status": "DRAFT"}), (Pending, "DRAFT")),
            (json!({"approval_status": "ACCEPTED"}), (Active, "ACCEPTED")),
            (
                json!({"entity_status": "ACTIVE", "deleted": true}),
                (Deleted, "DELETED"),
            ),
            (json!({}), (Unknown, "")),
        ];

        for (raw, (expected, word)) in cases {
            assert_eq!(status(&raw), (expected, word.to_owned()), "{raw}");
        }
    }

    #[test]
    fn amounts_are_millionths_in_every_currency() {
        assert_eq!(micros(Some(&json!(50_000_000))), Some(Decimal::from(50)));
        assert_eq!(
            micros(Some(&json!("1234567"))),
            Some(Decimal::new(1_234_567, 6))
        );
        assert_eq!(micros(Some(&Value::Null)), None);
        assert_eq!(micros(None), None);
    }
}
