//! What an account holds beside its campaigns: audiences, which are ad segments there, and the rules by which conversions are
//! counted, which are pixels here. These lists go on by numbers. Lead forms want a scope that LinkedIn refuses to most apps.

use serde_json::Value;

use super::{
    LinkedIn,
    entities::{bare_id, digits, time},
    refused,
    request::Question,
    restli::{Query, encoded, list},
};
use crate::{
    error::Error,
    platform::{
        Caller, Cursor, Entity, EntityQuery, EntityStatus, EntityType, Page, StatusRule, members,
    },
};

/// Most on a page.
const MOST: u32 = 100;

/// How a sort of these is listed.
pub(super) struct Asset {
    endpoint: &'static str,
    /// The finder, whose parameter is called as itself.
    finder: &'static str,
    /// Whether it takes a list of accounts.
    takes_list: bool,
    state: &'static str,
    states: &'static [StatusRule],
}

const SEGMENTS: Asset = Asset {
    endpoint: "GET adSegments",
    finder: "accounts",
    takes_list: true,
    state: "status",
    states: &[
        ("READY", EntityStatus::Active),
        ("BUILDING", EntityStatus::Pending),
        ("ARCHIVED", EntityStatus::Archived),
    ],
};

const CONVERSION_RULES: Asset = Asset {
    endpoint: "GET conversions",
    finder: "account",
    takes_list: false,
    state: "enabled",
    states: &[
        ("enabled: true", EntityStatus::Active),
        ("enabled: false", EntityStatus::Paused),
    ],
};

impl Asset {
    /// `None` for what stands below campaigns, and for what is not listed.
    pub(super) fn of(kind: EntityType) -> Option<&'static Self> {
        match kind {
            EntityType::Audience => Some(&SEGMENTS),
            EntityType::Pixel => Some(&CONVERSION_RULES),
            EntityType::Campaign
            | EntityType::AdSet
            | EntityType::Ad
            | EntityType::Creative
            | EntityType::LeadForm
            | EntityType::Page
            | EntityType::InstagramAccount => None,
        }
    }
}

impl LinkedIn {
    pub(super) async fn list_assets(
        &self,
        caller: Caller<'_>,
        query: &EntityQuery,
        asset: &Asset,
        after: Option<&Cursor>,
    ) -> Result<Page<Entity>, Error> {
        let start: i64 = match after {
            Some(Cursor(start)) => start
                .parse()
                .map_err(|_| refused("the cursor is none of linkedin's"))?,
            None => 0,
        };
        let urn = format!("urn:li:sponsoredAccount:{}", digits(&query.account_id)?);
        let urn = if asset.takes_list {
            list([urn])
        } else {
            encoded(&urn)
        };
        let count = query.page_size.unwrap_or(MOST).clamp(1, MOST);
        let question = Question {
            endpoint: asset.endpoint,
            account: None,
            query: Query::finder(asset.finder)
                .with(asset.finder, &urn)
                .with("start", &start.to_string())
                .with("count", &count.to_string()),
            names_finder: false,
        };
        let read = self
            .ask(caller, &question, |body| {
                Some(page(body, query.kind, asset, start))
            })
            .await?;
        // Nothing is delivered by them: where LinkedIn tells them in another form, they are left out and the rest is read.
        read.ok_or_else(|| refused("the answer is no list of these"))
    }
}

/// A page that begins at this element. `None` where one cannot be read: left out, it would look as if it had vanished.
fn page(mut body: Value, kind: EntityType, asset: &Asset, start: i64) -> Option<Page<Entity>> {
    let Value::Array(elements) = body.get_mut("elements")?.take() else {
        return None;
    };
    let items = elements
        .into_iter()
        .map(|raw| entity(kind, asset, raw))
        .collect::<Option<Vec<_>>>()?;
    let next = start.saturating_add(i64::try_from(items.len()).ok()?);
    let goes_on = !items.is_empty() && (has_link(&body) || is_before_end(&body, next));
    Some(Page {
        items,
        next: goes_on.then(|| Cursor(next.to_string())),
    })
}

fn has_link(body: &Value) -> bool {
    let links = body.pointer("/paging/links").and_then(Value::as_array);
    links.is_some_and(|links| {
        let mut rels = links.iter().map(|link| members::text(link, "rel"));
        rels.any(|rel| rel == Some("next"))
    })
}

/// Where LinkedIn does not know how many there are in all, it says -1.
fn is_before_end(body: &Value, next: i64) -> bool {
    let total = body.pointer("/paging/total").and_then(members::integer);
    total.is_some_and(|total| next < total)
}

fn entity(kind: EntityType, asset: &Asset, raw: Value) -> Option<Entity> {
    let platform_status = members::word(&raw, asset.state);
    let rule = asset
        .states
        .iter()
        .find(|(word, _)| *word == platform_status);
    Some(Entity {
        kind,
        id: bare_id(raw.get("id")?)?,
        parent_id: None,
        campaign_id: None,
        name: members::text(&raw, "name").unwrap_or_default().to_owned(),
        status: rule.map_or(EntityStatus::Unknown, |(_, status)| *status),
        platform_status,
        daily_budget: None,
        lifetime_budget: None,
        created_at: time(
            &raw,
            &[
                "/changeAuditStamps/created/time",
                "/created/time",
                "/created",
            ],
        ),
        updated_at: time(
            &raw,
            &[
                "/changeAuditStamps/lastModified/time",
                "/lastModified/time",
                "/lastModified",
            ],
        ),
        raw,
    })
}
