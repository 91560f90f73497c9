//! What X tells of the things of an account. Money is in micros of the account's currency, also
//! where that has no cents.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{funding_instrument, is_deleted};
use crate::{
    world::{Account, Effective, Entity, Key, Kind, MICROS, Objective, Status, World},
    x::stats::placement_of,
};

/// A thing of an account's.
pub(super) fn of(world: &World, account: &Account, entity: &Entity) -> Value {
    match entity.key.kind {
        Kind::FundingInstrument => funding(account, entity),
        Kind::Campaign => campaign(world, account, entity),
        Kind::AdSet => line_item(world, account, entity),
        Kind::Ad => promoted_tweet(world, entity),
        Kind::Creative => media_creative(world, entity),
        Kind::Audience => audience(world, entity),
        _ => web_event_tag(entity),
    }
}

/// A time as X writes it.
pub(in crate::x) fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn funding(account: &Account, entity: &Entity) -> Value {
    let limit = 100_000 * MICROS;
    json!({
        "id": entity.id,
        "description": entity.name,
        "type": "CREDIT_CARD",
        "currency": account.currency.code(),
        "credit_limit_local_micro": limit,
        "credit_remaining_local_micro": limit / 2,
        "funded_amount_local_micro": null,
        "entity_status": "ACTIVE",
        "able_to_fund": true,
        "reasons_not_able_to_fund": [],
        "start_time": time(entity.starts_at),
        "end_time": entity.ends_at.map(time),
        "created_at": time(entity.created_at),
        "updated_at": time(entity.updated_at),
        "deleted": is_deleted(entity),
    })
}

fn campaign(world: &World, account: &Account, entity: &Entity) -> Value {
    let has_budget =
        entity.daily_budget_micros.is_some() || entity.lifetime_budget_micros.is_some();
    json!({
        "id": entity.id,
        "name": entity.name,
        "entity_status": set_to(entity),
        "effective_status": effective(entity),
        "servable": entity.effective == Effective::Active,
        "reasons_not_servable": reasons(entity),
        "daily_budget_amount_local_micro": entity.daily_budget_micros,
        "total_budget_amount_local_micro": entity.lifetime_budget_micros,
        "currency": account.currency.code(),
        "funding_instrument_id": world.id(funding_instrument(entity.key)),
        "budget_optimization": if has_budget { "CAMPAIGN" } else { "LINE_ITEM" },
        "standard_delivery": true,
        "frequency_cap": null,
        "created_at": time(entity.created_at),
        "updated_at": time(entity.updated_at),
        "deleted": is_deleted(entity),
    })
}

fn line_item(world: &World, account: &Account, entity: &Entity) -> Value {
    let campaign = entity.key.parent().and_then(|key| world.entity(key));
    let ends_at = campaign.and_then(|campaign| campaign.ends_at);
    json!({
        "id": entity.id,
        "campaign_id": parent_id(world, entity.key),
        "name": entity.name,
        "entity_status": set_to(entity),
        "effective_status": effective(entity),
        "servable": entity.effective == Effective::Active,
        "reasons_not_servable": reasons(entity),
        "objective": objective(entity.objective),
        "product_type": "PROMOTED_TWEETS",
        "placements": [placement_of(entity.key).as_str()],
        "bid_strategy": "AUTO",
        "bid_amount_local_micro": null,
        "daily_budget_amount_local_micro": entity.daily_budget_micros,
        "total_budget_amount_local_micro": entity.lifetime_budget_micros,
        "currency": account.currency.code(),
        "start_time": time(entity.starts_at),
        "end_time": ends_at.map(time),
        "created_at": time(entity.created_at),
        "updated_at": time(entity.updated_at),
        "deleted": is_deleted(entity),
    })
}

/// It has no name.
fn promoted_tweet(world: &World, entity: &Entity) -> Value {
    let tweet = world.dice(entity.key, "tweet").between(0, 1 << 50);
    json!({
        "id": entity.id,
        "line_item_id": parent_id(world, entity.key),
        "tweet_id": (1_700_000_000_000_000_000 + tweet).to_string(),
        "entity_status": set_to(entity),
        "approval_status": approval(entity),
        "created_at": time(entity.created_at),
        "updated_at": time(entity.updated_at),
        "deleted": is_deleted(entity),
    })
}

fn media_creative(world: &World, entity: &Entity) -> Value {
    let line_item = entity.key.parent().and_then(Key::parent);
    let serving = match entity.effective {
        Effective::Active => "SERVING",
        _ => "STOPPED",
    };
    json!({
        "id": entity.id,
        "line_item_id": line_item.map(|key| world.id(key)),
        "account_media_id": format!("m{}", entity.id),
        "landing_url": format!("https://shop.example/{}", entity.id),
        "entity_status": set_to(entity),
        "approval_status": approval(entity),
        "serving_status": serving,
        "created_at": time(entity.created_at),
        "updated_at": time(entity.updated_at),
        "deleted": is_deleted(entity),
    })
}

fn audience(world: &World, entity: &Entity) -> Value {
    json!({
        "id": entity.id,
        "name": entity.name,
        "audience_type": "CRM",
        "audience_size": world.dice(entity.key, "size").between(1_000, 500_000),
        "targetable": true,
        "reasons_not_targetable": [],
        "created_at": time(entity.created_at),
        "updated_at": time(entity.updated_at),
        "deleted": is_deleted(entity),
    })
}

fn web_event_tag(entity: &Entity) -> Value {
    json!({
        "id": entity.id,
        "name": entity.name,
        "type": "PURCHASE",
        "status": "TRACKING",
        "click_window": 30,
        "view_through_window": 1,
        "last_tracked_at": null,
        "deleted": is_deleted(entity),
    })
}

fn parent_id(world: &World, key: Key) -> Option<String> {
    key.parent().map(|parent| world.id(parent))
}

fn set_to(entity: &Entity) -> &'static str {
    match entity.status {
        Status::Active | Status::Disapproved | Status::InReview | Status::WithIssues => "ACTIVE",
        Status::Paused | Status::Archived | Status::Deleted => "PAUSED",
    }
}

fn effective(entity: &Entity) -> &'static str {
    match entity.effective {
        Effective::Active => "RUNNING",
        Effective::Paused
        | Effective::CampaignPaused
        | Effective::AdSetPaused
        | Effective::Archived
        | Effective::Deleted => "PAUSED",
        Effective::Disapproved => "REJECTED",
        Effective::InReview => "UNDER_REVIEW",
        Effective::WithIssues => "EXHAUSTED",
        Effective::Ended => "EXPIRED",
    }
}

fn reasons(entity: &Entity) -> &'static [&'static str] {
    match entity.effective {
        Effective::Active => &[],
        Effective::Deleted => &["DELETED"],
        Effective::WithIssues => &["BUDGET_EXHAUSTED"],
        Effective::Ended => &["EXPIRED"],
        Effective::Disapproved | Effective::InReview => &["NOT_APPROVED"],
        Effective::Paused
        | Effective::CampaignPaused
        | Effective::AdSetPaused
        | Effective::Archived => &["PAUSED_BY_ADVERTISER"],
    }
}

fn approval(entity: &Entity) -> &'static str {
    match entity.status {
        Status::Disapproved => "REJECTED",
        Status::InReview => "PENDING",
        Status::Active
        | Status::Paused
        | Status::Archived
        | Status::Deleted
        | Status::WithIssues => "ACCEPTED",
    }
}

fn objective(objective: Objective) -> &'static str {
    match objective {
        Objective::Awareness => "REACH",
        Objective::Traffic => "WEBSITE_CLICKS",
        Objective::Engagement => "ENGAGEMENTS",
        Objective::Leads => "LEAD_GENERATION",
        Objective::Sales => "WEBSITE_CONVERSIONS",
    }
}
