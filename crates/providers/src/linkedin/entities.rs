//! Ad accounts and what they hold. LinkedIn's campaign groups, campaigns and creatives are campaigns, ad sets and ads here.
//! It cannot be asked for what changed: everything is listed, each with when it was last changed.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde_json::Value;

use super::{
    LinkedIn,
    assets::Asset,
    refused,
    request::Question,
    restli::{Query, bare, encoded, list},
};
use crate::{
    error::Error,
    platform::{
        AdAccount, Caller, Cursor, Entity, EntityQuery, EntityStatus, EntityType, Page, StatusRule,
        members,
    },
};

/// What can be listed, parents first.
pub(super) const TYPES: [EntityType; 5] = [
    EntityType::Campaign,
    EntityType::AdSet,
    EntityType::Ad,
    EntityType::Audience,
    EntityType::Pixel,
];

/// By which day LinkedIn counts, wherever an account is.
const TIME_ZONE: &str = "UTC";

const MOST_ACCOUNTS: u32 = 100;

const ACCOUNT_STATUSES: &str = "(status:(values:List(ACTIVE,CANCELED,DRAFT)))";
const CAMPAIGN_STATUSES: &str = "(status:(values:List(ACTIVE,PAUSED,ARCHIVED,COMPLETED,CANCELED,\
                                 DRAFT,PENDING_DELETION,REMOVED)))";

const STATUSES: [StatusRule; 9] = [
    ("ACTIVE", EntityStatus::Active),
    ("PAUSED", EntityStatus::Paused),
    ("DRAFT", EntityStatus::Pending),
    ("COMPLETED", EntityStatus::Ended),
    ("CANCELED", EntityStatus::Ended),
    ("ARCHIVED", EntityStatus::Archived),
    ("PENDING_DELETION", EntityStatus::Deleted),
    ("REMOVED", EntityStatus::Deleted),
    ("DELETED", EntityStatus::Deleted),
];

/// How a sort of things is listed.
struct Listing {
    endpoint: &'static str,
    finder: &'static str,
    search: Option<&'static str>,
    names_finder: bool,
    most: u32,
}

impl LinkedIn {
    pub(super) async fn list_accounts(
        &self,
        caller: Caller<'_>,
        after: Option<&Cursor>,
    ) -> Result<Page<AdAccount>, Error> {
        let query = Query::finder("search").with("search", ACCOUNT_STATUSES);
        let question = Question {
            endpoint: "GET adAccounts",
            account: None,
            query: paged(query, MOST_ACCOUNTS, after),
            names_finder: false,
        };
        self.ask(caller, &question, |body| page(body, account))
            .await
    }

    pub(super) async fn one_account(
        &self,
        caller: Caller<'_>,
        account_id: &str,
    ) -> Result<AdAccount, Error> {
        let question = Question {
            endpoint: "GET adAccounts/{id}",
            account: Some(digits(account_id)?),
            query: Query::default(),
            names_finder: false,
        };
        self.ask(caller, &question, account).await
    }

    pub(super) async fn list_entities(
        &self,
        caller: Caller<'_>,
        query: &EntityQuery,
        after: Option<&Cursor>,
    ) -> Result<Page<Entity>, Error> {
        let kind = query.kind;
        if let Some(asset) = Asset::of(kind) {
            return self.list_assets(caller, query, asset, after).await;
        }
        let Some(listing) = listing(kind) else {
            return Err(refused(&format!("linkedin lists nothing as {kind}")));
        };
        let finder = Query::finder(listing.finder);
        let finder = match listing.search {
            Some(search) => finder.with("search", search),
            None => finder,
        };
        let size = query.page_size.unwrap_or(listing.most);
        let question = Question {
            endpoint: listing.endpoint,
            account: Some(digits(&query.account_id)?),
            query: paged(finder, size.clamp(1, listing.most), after),
            names_finder: listing.names_finder,
        };
        self.ask(caller, &question, |body| {
            page(body, |raw| entity(kind, raw))
        })
        .await
    }

    /// What campaign groups, campaigns or creatives are now, by their ids.
    pub(super) async fn list_present(
        &self,
        caller: Caller<'_>,
        query: &EntityQuery,
        ids: &[String],
    ) -> Result<Vec<Entity>, Error> {
        let kind = query.kind;
        let Some(listing) = listing(kind) else {
            return Ok(Vec::new());
        };
        let urns = |sort: &str| list(ids.iter().map(|id| format!("urn:li:{sort}:{id}")));
        let (name, value) = match kind {
            EntityType::Ad => ("creatives", urns("sponsoredCreative")),
            EntityType::AdSet => ("search", by_id(&urns("sponsoredCampaign"))),
            _ => ("search", by_id(&urns("sponsoredCampaignGroup"))),
        };
        let finder = Query::finder(listing.finder).with(name, &value);
        let question = Question {
            endpoint: listing.endpoint,
            account: Some(digits(&query.account_id)?),
            query: paged(finder, listing.most, None),
            names_finder: listing.names_finder,
        };
        let found: Page<Entity> = self
            .ask(caller, &question, |body| {
                page(body, |raw| entity(kind, raw))
            })
            .await?;
        Ok(found.items)
    }
}

fn by_id(urns: &str) -> String {
    format!("(id:(values:{urns}))")
}

fn listing(kind: EntityType) -> Option<Listing> {
    Some(match kind {
        EntityType::Campaign => Listing {
            endpoint: "GET adAccounts/{id}/adCampaignGroups",
            finder: "search",
            search: None,
            names_finder: false,
            most: 500,
        },
        EntityType::AdSet => Listing {
            endpoint: "GET adAccounts/{id}/adCampaigns",
            finder: "search",
            search: Some(CAMPAIGN_STATUSES),
            names_finder: false,
            most: 500,
        },
        EntityType::Ad => Listing {
            endpoint: "GET adAccounts/{id}/creatives",
            finder: "criteria",
            search: None,
            names_finder: true,
            most: 100,
        },
        EntityType::Creative
        | EntityType::Audience
        | EntityType::LeadForm
        | EntityType::Pixel
        | EntityType::Page
        | EntityType::InstagramAccount => return None,
    })
}

fn paged(query: Query, size: u32, after: Option<&Cursor>) -> Query {
    let query = query.with("pageSize", &size.to_string());
    match after {
        Some(Cursor(token)) => query.with("pageToken", &encoded(token)),
        None => query,
    }
}

/// An id that may become part of a path or of a URN.
pub(super) fn digits(id: &str) -> Result<&str, Error> {
    if !id.is_empty() && id.len() <= 20 && id.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(id);
    }
    Err(refused("an id of linkedin's is a number"))
}

/// A page whose elements can all be read: one that was left out would look as if it had vanished.
fn page<T>(mut body: Value, read: impl Fn(Value) -> Option<T>) -> Option<Page<T>> {
    let Value::Array(elements) = body.get_mut("elements")?.take() else {
        return None;
    };
    let items = elements.into_iter().map(read).collect::<Option<Vec<T>>>()?;
    let next = body
        .get("metadata")
        .and_then(|metadata| members::text(metadata, "nextPageToken"))
        .map(|token| Cursor(token.to_owned()));
    Some(Page { items, next })
}

fn account(raw: Value) -> Option<AdAccount> {
    let platform_status = members::text(&raw, "status").unwrap_or_default();
    Some(AdAccount {
        id: bare_id(raw.get("id")?)?,
        name: members::text(&raw, "name").unwrap_or_default().to_owned(),
        status: status(platform_status),
        platform_status: platform_status.to_owned(),
        currency: members::text(&raw, "currency").map(str::to_owned),
        time_zone: Some(TIME_ZONE.to_owned()),
        manager: None,
        raw,
    })
}

fn entity(kind: EntityType, raw: Value) -> Option<Entity> {
    let parent = match kind {
        EntityType::AdSet => "campaignGroup",
        EntityType::Ad => "campaign",
        _ => "",
    };
    let parent_id = raw.get(parent).and_then(bare_id);
    let campaign_id = parent_id.clone().filter(|_| kind == EntityType::AdSet);
    let platform_status = members::text(&raw, "status")
        .or_else(|| members::text(&raw, "intendedStatus"))
        .unwrap_or_default();
    Some(Entity {
        kind,
        id: bare_id(raw.get("id")?)?,
        parent_id,
        campaign_id,
        name: members::text(&raw, "name").unwrap_or_default().to_owned(),
        status: status(platform_status),
        platform_status: platform_status.to_owned(),
        daily_budget: amount(&raw, "/dailyBudget/amount"),
        lifetime_budget: amount(&raw, "/totalBudget/amount"),
        created_at: time(&raw, &["/changeAuditStamps/created/time", "/createdAt"]),
        updated_at: time(
            &raw,
            &["/changeAuditStamps/lastModified/time", "/lastModifiedAt"],
        ),
        raw,
    })
}

/// A number in one place is a URN in another.
pub(super) fn bare_id(value: &Value) -> Option<String> {
    members::id(value).map(|id| bare(&id).to_owned())
}

fn status(word: &str) -> EntityStatus {
    STATUSES
        .into_iter()
        .find(|(other, _)| *other == word)
        .map_or(EntityStatus::Unknown, |(_, status)| status)
}

fn amount(raw: &Value, pointer: &str) -> Option<Decimal> {
    members::number(raw.pointer(pointer)).ok().flatten()
}

/// Milliseconds since 1970, in the first of these places that has some.
pub(super) fn time(raw: &Value, pointers: &[&str]) -> Option<DateTime<Utc>> {
    let millis = pointers
        .iter()
        .find_map(|pointer| raw.pointer(pointer))
        .and_then(members::integer)?;
    DateTime::from_timestamp_millis(millis)
}
