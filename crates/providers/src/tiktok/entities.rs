//! Advertisers and what they hold. TikTok cannot be asked for what changed, and hides what was deleted unless all is asked
//! for; its automated campaigns (Smart+) stand in lists of their own, which not every app may read.

use chrono::{DateTime, NaiveDateTime, Utc};
use chrono_tz::Tz;
use serde_json::{Map, Value, json};

use super::{
    PROVIDER, TikTok,
    assets::Asset,
    refused,
    request::{Envelope, Question},
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
    EntityType::Audience,
    EntityType::LeadForm,
    EntityType::Pixel,
];

/// Most advertisers of one question.
const MOST_ADVERTISERS: usize = 100;

const MOST_ON_PAGE: u32 = 1_000;
/// The lists of Smart+ have shorter pages.
const MOST_OF_SMART_PLUS: u32 = 100;

/// What stands before the page's number while Smart+ is listed.
const SMART_PLUS: &str = "smart_plus:";

const ADVERTISER_FIELDS: [&str; 8] = [
    "advertiser_id",
    "name",
    "status",
    "currency",
    "timezone",
    "display_timezone",
    "balance",
    "country",
];

const ADVERTISER_STATUSES: [StatusRule; 12] = [
    ("STATUS_ENABLE", EntityStatus::Active),
    ("STATUS_DISABLE", EntityStatus::Rejected),
    ("STATUS_LIMIT", EntityStatus::Rejected),
    ("STATUS_CONFIRM_FAIL", EntityStatus::Rejected),
    ("STATUS_CONFIRM_FAIL_END", EntityStatus::Rejected),
    ("STATUS_CONFIRM_MODIFY_FAIL", EntityStatus::Rejected),
    ("STATUS_PENDING_CONFIRM", EntityStatus::Pending),
    ("STATUS_PENDING_CONFIRM_MODIFY", EntityStatus::Pending),
    ("STATUS_PENDING_VERIFIED", EntityStatus::Pending),
    ("STATUS_CONTRACT_PENDING", EntityStatus::Pending),
    ("STATUS_WAIT_FOR_BPM_AUDIT", EntityStatus::Pending),
    ("STATUS_SELF_SERVICE_UNAUDITED", EntityStatus::Pending),
];

/// How a state ends says what it is: `ADGROUP_STATUS_CAMPAIGN_DISABLE`, `AD_STATUS_AUDIT_DENY`.
const STATUS_ENDINGS: [StatusRule; 12] = [
    ("DELIVERY_OK", EntityStatus::Active),
    ("ENABLE", EntityStatus::Active),
    ("DISABLE", EntityStatus::Paused),
    ("DELETE", EntityStatus::Deleted),
    ("AUDIT", EntityStatus::Pending),
    ("NOT_START", EntityStatus::Pending),
    ("CREATE", EntityStatus::Pending),
    ("PENDING", EntityStatus::Pending),
    ("DENY", EntityStatus::Rejected),
    ("PUNISH", EntityStatus::Rejected),
    ("EXCEED", EntityStatus::Ended),
    ("DONE", EntityStatus::Ended),
];

/// How a sort of things is listed, and by which names its members go.
struct Listing {
    endpoint: &'static str,
    smart_plus: &'static str,
    /// With what the state begins that stands for all states.
    prefix: &'static str,
    /// By which names the id goes: in the ordinary list, and in that of Smart+.
    ids: [&'static str; 2],
    name: &'static str,
    parent: Option<&'static str>,
}

/// Where in the two lists of a sort a page is.
#[derive(Clone, Copy)]
struct Place {
    of_smart_plus: bool,
    page: u32,
}

impl TikTok {
    pub(super) async fn list_accounts(
        &self,
        caller: Caller<'_>,
        after: Option<&Cursor>,
    ) -> Result<Page<AdAccount>, Error> {
        let mut ids = self.advertisers(caller.door, &caller.access.token).await?;
        // In an order of ours, since there is none of TikTok's: the list may have changed since the page before.
        ids.sort_unstable();
        ids.dedup();
        if let Some(Cursor(last)) = after {
            ids.retain(|id| id > last);
        }
        let is_last = ids.len() <= MOST_ADVERTISERS;
        ids.truncate(MOST_ADVERTISERS);
        let next = match ids.last() {
            Some(last) if !is_last => Some(Cursor(last.clone())),
            _ => None,
        };
        let items = if ids.is_empty() {
            Vec::new()
        } else {
            self.advertiser_info(caller, &ids).await?
        };
        Ok(Page { items, next })
    }

    pub(super) async fn one_account(
        &self,
        caller: Caller<'_>,
        account_id: &str,
    ) -> Result<AdAccount, Error> {
        let found = self
            .advertiser_info(caller, &[account_id.to_owned()])
            .await?;
        let account = found.into_iter().find(|account| account.id == account_id);
        account.ok_or_else(|| Error::Permission {
            detail: Detail::new(PROVIDER, "the token does not reach this advertiser", &[]),
        })
    }

    async fn advertiser_info(
        &self,
        caller: Caller<'_>,
        ids: &[String],
    ) -> Result<Vec<AdAccount>, Error> {
        let mut parameters = Map::new();
        parameters.insert("advertiser_ids".to_owned(), json!(ids));
        parameters.insert("fields".to_owned(), json!(ADVERTISER_FIELDS));
        let question = Question {
            endpoint: "GET advertiser/info/",
            parameters,
            token: Some(&caller.access.token),
            accepts: &[],
        };
        self.ask(caller.door, &question, |envelope| {
            list(envelope.data)?.into_iter().map(account).collect()
        })
        .await
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
            return Err(refused(&format!("tiktok lists nothing as {kind}")));
        };
        let place = place(after)?;
        let question = question(caller, query, &listing, place);
        let (items, pages) = self
            .ask(caller.door, &question, |envelope| {
                entities(envelope, kind, &listing)
            })
            .await?;
        Ok(Page {
            items,
            next: next(place, pages),
        })
    }

    /// What campaigns, ad groups or ads of the ordinary lists are now, by their ids.
    pub(super) async fn list_present(
        &self,
        caller: Caller<'_>,
        query: &EntityQuery,
        ids: &[String],
    ) -> Result<Vec<Entity>, Error> {
        let kind = query.kind;
        let by = match kind {
            EntityType::Campaign => "campaign_ids",
            EntityType::AdSet => "adgroup_ids",
            EntityType::Ad => "ad_ids",
            _ => return Ok(Vec::new()),
        };
        let Some(listing) = listing(kind) else {
            return Ok(Vec::new());
        };
        let mut question = question(caller, query, &listing, place(None)?);
        let all = format!("{}_STATUS_ALL", listing.prefix);
        let filtering = json!({ "secondary_status": all, by: ids });
        question
            .parameters
            .insert("filtering".to_owned(), filtering);
        let (found, _) = self
            .ask(caller.door, &question, |envelope| {
                entities(envelope, kind, &listing)
            })
            .await?;
        Ok(found)
    }
}

/// Not every app may read the lists that begin here, and they come and go.
pub(super) fn is_first_of_smart_plus(at: &Cursor) -> bool {
    at.0.strip_prefix(SMART_PLUS) == Some("1")
}

fn listing(kind: EntityType) -> Option<Listing> {
    Some(match kind {
        EntityType::Campaign => Listing {
            endpoint: "GET campaign/get/",
            smart_plus: "GET smart_plus/campaign/get/",
            prefix: "CAMPAIGN",
            ids: ["campaign_id"; 2],
            name: "campaign_name",
            parent: None,
        },
        EntityType::AdSet => Listing {
            endpoint: "GET adgroup/get/",
            smart_plus: "GET smart_plus/adgroup/get/",
            prefix: "ADGROUP",
            ids: ["adgroup_id"; 2],
            name: "adgroup_name",
            parent: Some("campaign_id"),
        },
        EntityType::Ad => Listing {
            endpoint: "GET ad/get/",
            smart_plus: "GET smart_plus/ad/get/",
            prefix: "AD",
            ids: ["ad_id", "smart_plus_ad_id"],
            name: "ad_name",
            parent: Some("adgroup_id"),
        },
        EntityType::Creative
        | EntityType::Audience
        | EntityType::LeadForm
        | EntityType::Pixel
        | EntityType::Page
        | EntityType::InstagramAccount => return None,
    })
}

fn question<'a>(
    caller: Caller<'a>,
    query: &EntityQuery,
    listing: &Listing,
    place: Place,
) -> Question<'a> {
    let (endpoint, most) = if place.of_smart_plus {
        (listing.smart_plus, MOST_OF_SMART_PLUS)
    } else {
        (listing.endpoint, MOST_ON_PAGE)
    };
    let size = query.page_size.unwrap_or(most).clamp(1, most);
    let all = format!("{}_STATUS_ALL", listing.prefix);
    let mut parameters = Map::new();
    parameters.insert("advertiser_id".to_owned(), json!(query.account_id));
    parameters.insert("page".to_owned(), json!(place.page));
    parameters.insert("page_size".to_owned(), json!(size));
    parameters.insert("filtering".to_owned(), json!({ "secondary_status": all }));
    Question {
        endpoint,
        parameters,
        token: Some(&caller.access.token),
        accepts: &[],
    }
}

fn place(after: Option<&Cursor>) -> Result<Place, Error> {
    let Some(Cursor(cursor)) = after else {
        return Ok(Place {
            of_smart_plus: false,
            page: 1,
        });
    };
    let (of_smart_plus, page) = match cursor.strip_prefix(SMART_PLUS) {
        Some(page) => (true, page),
        None => (false, cursor.as_str()),
    };
    let page = page_number(page)?;
    Ok(Place {
        of_smart_plus,
        page,
    })
}

pub(super) fn page_number(text: &str) -> Result<u32, Error> {
    text.parse()
        .map_err(|_| refused("the cursor is none of tiktok's"))
}

/// After the last page of the ordinary list comes the first of Smart+.
fn next(place: Place, pages: u32) -> Option<Cursor> {
    let Place {
        of_smart_plus,
        page,
    } = place;
    match (page < pages, of_smart_plus) {
        (true, false) => Some(Cursor(page.saturating_add(1).to_string())),
        (true, true) => Some(Cursor(format!("{SMART_PLUS}{}", page.saturating_add(1)))),
        (false, false) => Some(Cursor(format!("{SMART_PLUS}1"))),
        (false, true) => None,
    }
}

/// The elements of a list. One that cannot be read fails them all: left out, it would look as if it had vanished.
pub(super) fn list(mut data: Value) -> Option<Vec<Value>> {
    match data.get_mut("list")?.take() {
        Value::Array(elements) => Some(elements),
        _ => None,
    }
}

/// How many pages there are; none where the list is empty.
pub(super) fn total_pages(data: &Value) -> Option<u32> {
    let pages = data.get("page_info")?.get("total_page")?;
    members::integer(pages)?.try_into().ok()
}

fn entities(envelope: Envelope, kind: EntityType, listing: &Listing) -> Option<(Vec<Entity>, u32)> {
    let pages = total_pages(&envelope.data)?;
    let items = list(envelope.data)?
        .into_iter()
        .map(|raw| entity(kind, listing, raw))
        .collect::<Option<Vec<_>>>()?;
    Some((items, pages))
}

fn entity(kind: EntityType, listing: &Listing, raw: Value) -> Option<Entity> {
    let id = |name: &str| raw.get(name).and_then(members::id);
    let platform_status = members::text(&raw, "secondary_status")
        .or_else(|| members::text(&raw, "operation_status"))
        .unwrap_or_default();
    let budget = members::number(raw.get("budget")).ok().flatten();
    let mode = members::text(&raw, "budget_mode").unwrap_or_default();
    let is_daily = matches!(mode, "BUDGET_MODE_DAY" | "BUDGET_MODE_DYNAMIC_DAILY_BUDGET");
    Some(Entity {
        kind,
        id: listing.ids.into_iter().find_map(id)?,
        parent_id: listing.parent.and_then(id),
        campaign_id: listing.parent.and_then(|_| id("campaign_id")),
        name: members::text(&raw, listing.name)
            .unwrap_or_default()
            .to_owned(),
        status: status(platform_status),
        platform_status: platform_status.to_owned(),
        daily_budget: budget.filter(|_| is_daily),
        lifetime_budget: budget.filter(|_| mode == "BUDGET_MODE_TOTAL"),
        created_at: time(members::text(&raw, "create_time")),
        updated_at: time(members::text(&raw, "modify_time")),
        raw,
    })
}

fn status(word: &str) -> EntityStatus {
    STATUS_ENDINGS
        .into_iter()
        .find(|(ending, _)| word.ends_with(*ending))
        .map_or(EntityStatus::Unknown, |(_, status)| status)
}

/// `2026-11-02 10:11:12`, in UTC.
pub(super) fn time(text: Option<&str>) -> Option<DateTime<Utc>> {
    let time = NaiveDateTime::parse_from_str(text?, "%Y-%m-%d %H:%M:%S").ok()?;
    Some(time.and_utc())
}

fn account(raw: Value) -> Option<AdAccount> {
    let platform_status = members::text(&raw, "status").unwrap_or_default();
    let status = ADVERTISER_STATUSES
        .into_iter()
        .find(|(word, _)| *word == platform_status)
        .map_or(EntityStatus::Unknown, |(_, status)| status);
    Some(AdAccount {
        id: members::id(raw.get("advertiser_id")?)?,
        name: members::text(&raw, "name").unwrap_or_default().to_owned(),
        status,
        platform_status: platform_status.to_owned(),
        currency: members::text(&raw, "currency").map(str::to_owned),
        time_zone: time_zone(&raw),
        manager: None,
        raw,
    })
}

/// The zone by its name; the other member may be an offset.
fn time_zone(raw: &Value) -> Option<String> {
    ["display_timezone", "timezone"]
        .into_iter()
        .filter_map(|name| members::text(raw, name))
        .find(|zone| zone.parse::<Tz>().is_ok())
        .map(str::to_owned)
}
