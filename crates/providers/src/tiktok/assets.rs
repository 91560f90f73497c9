//! What an advertiser holds beside its campaigns: audiences, forms that collect leads, and pixels. Each list wants a right of
//! its own, and what was deleted is in none of them.

use serde_json::{Map, Value, json};

use super::{
    TikTok,
    entities::{page_number, time, total_pages},
    refused,
    request::{Envelope, Question},
};
use crate::{
    error::Error,
    platform::{
        Caller, Cursor, Entity, EntityQuery, EntityStatus, EntityType, Page, StatusRule, members,
    },
};

/// How a sort of these is listed, and by which names its members go.
pub(super) struct Asset {
    endpoint: &'static str,
    /// A parameter without which other things are listed.
    narrowed: Option<(&'static str, &'static str)>,
    most: u32,
    list: &'static str,
    id: &'static str,
    name: &'static str,
    state: &'static str,
    states: &'static [StatusRule],
}

const AUDIENCES: Asset = Asset {
    endpoint: "GET dmp/custom_audience/list/",
    narrowed: None,
    most: 100,
    list: "list",
    id: "audience_id",
    name: "name",
    state: "is_valid",
    states: &[
        ("is_valid: true", EntityStatus::Active),
        ("is_valid: false", EntityStatus::Rejected),
    ],
};

const LEAD_FORMS: Asset = Asset {
    endpoint: "GET page/get/",
    narrowed: Some(("business_type", "LEAD_GEN")),
    most: 100,
    list: "list",
    id: "page_id",
    name: "title",
    state: "status",
    states: &[
        ("PUBLISHED", EntityStatus::Active),
        ("EDITED", EntityStatus::Pending),
    ],
};

const PIXELS: Asset = Asset {
    endpoint: "GET pixel/list/",
    narrowed: None,
    most: 20,
    list: "pixels",
    id: "pixel_id",
    name: "pixel_name",
    state: "activity_status",
    states: &[("ACTIVE", EntityStatus::Active)],
};

impl Asset {
    /// `None` for what stands below campaigns, and for what TikTok has not.
    pub(super) fn of(kind: EntityType) -> Option<&'static Self> {
        match kind {
            EntityType::Audience => Some(&AUDIENCES),
            EntityType::LeadForm => Some(&LEAD_FORMS),
            EntityType::Pixel => Some(&PIXELS),
            EntityType::Campaign
            | EntityType::AdSet
            | EntityType::Ad
            | EntityType::Creative
            | EntityType::Page
            | EntityType::InstagramAccount => None,
        }
    }
}

impl TikTok {
    pub(super) async fn list_assets(
        &self,
        caller: Caller<'_>,
        query: &EntityQuery,
        asset: &Asset,
        after: Option<&Cursor>,
    ) -> Result<Page<Entity>, Error> {
        let page = match after {
            Some(Cursor(page)) => page_number(page)?,
            None => 1,
        };
        let read = self
            .ask(
                caller.door,
                &question(caller, query, asset, page),
                |envelope| Some(entities(envelope, query.kind, asset)),
            )
            .await?;
        // Nothing is delivered by them: where TikTok tells them in another form, they are left out and the rest is read.
        let (items, pages) = read.ok_or_else(|| refused("the answer is no list of these"))?;
        Ok(Page {
            items,
            next: (page < pages).then(|| Cursor(page.saturating_add(1).to_string())),
        })
    }
}

fn question<'a>(caller: Caller<'a>, query: &EntityQuery, asset: &Asset, page: u32) -> Question<'a> {
    let size = query.page_size.unwrap_or(asset.most).clamp(1, asset.most);
    let mut parameters = Map::new();
    parameters.insert("advertiser_id".to_owned(), json!(query.account_id));
    parameters.insert("page".to_owned(), json!(page));
    parameters.insert("page_size".to_owned(), json!(size));
    if let Some((name, value)) = asset.narrowed {
        parameters.insert(name.to_owned(), json!(value));
    }
    Question {
        endpoint: asset.endpoint,
        parameters,
        token: Some(&caller.access.token),
        accepts: &[],
    }
}

/// The things of a page, and how many pages there are. `None` where one cannot be read: left out, it would look as if it had
/// vanished.
fn entities(mut envelope: Envelope, kind: EntityType, asset: &Asset) -> Option<(Vec<Entity>, u32)> {
    let pages = total_pages(&envelope.data)?;
    let list = envelope.data.get_mut(asset.list).map(Value::take);
    let list = match list {
        Some(Value::Array(list)) => list,
        None | Some(Value::Null) if pages == 0 => Vec::new(),
        _ => return None,
    };
    let items = list
        .into_iter()
        .map(|raw| entity(kind, asset, raw))
        .collect::<Option<Vec<_>>>()?;
    Some((items, pages))
}

fn entity(kind: EntityType, asset: &Asset, raw: Value) -> Option<Entity> {
    let platform_status = members::word(&raw, asset.state);
    let rule = asset
        .states
        .iter()
        .find(|(word, _)| *word == platform_status);
    Some(Entity {
        kind,
        id: members::id(raw.get(asset.id)?)?,
        parent_id: None,
        campaign_id: None,
        name: members::text(&raw, asset.name)
            .unwrap_or_default()
            .to_owned(),
        status: rule.map_or(EntityStatus::Unknown, |(_, status)| *status),
        platform_status,
        daily_budget: None,
        lifetime_budget: None,
        created_at: time(members::text(&raw, "create_time")),
        updated_at: time(members::text(&raw, "update_time")),
        raw,
    })
}
