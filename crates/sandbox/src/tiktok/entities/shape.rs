//! What TikTok tells of campaigns, ad groups and ads. Budgets are numbers in major units, times are
//! UTC without saying so.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{Family, family_of, status};
use crate::world::{Account, Entity, Key, Kind, MICROS, Objective, World};

/// A thing of an advertiser's.
pub(super) fn of(world: &World, account: &Account, entity: &Entity) -> Value {
    match entity.key.kind {
        Kind::Campaign => campaign(account, entity),
        Kind::AdSet => ad_group(world, account, entity),
        _ => ad(world, account, entity),
    }
}

fn campaign(account: &Account, entity: &Entity) -> Value {
    let (budget, budget_mode) = budget(entity);
    json!({
        "advertiser_id": account.id,
        "campaign_id": entity.id,
        "campaign_name": entity.name,
        "campaign_type": "REGULAR_CAMPAIGN",
        "objective_type": objective(entity.objective),
        "budget": budget,
        "budget_mode": budget_mode,
        "budget_optimize_on": budget > 0.0,
        "is_smart_performance_campaign": family_of(entity.key) == Family::SmartPlus,
        "operation_status": status::operation(entity),
        "secondary_status": status::secondary(entity),
        "create_time": time(entity.created_at),
        "modify_time": time(entity.updated_at),
    })
}

fn ad_group(world: &World, account: &Account, entity: &Entity) -> Value {
    let (budget, budget_mode) = budget(entity);
    let campaign = parent(world, entity.key);
    let ends_at = campaign.as_ref().and_then(|campaign| campaign.ends_at);
    let schedule = match ends_at {
        Some(_) => "SCHEDULE_START_END",
        None => "SCHEDULE_FROM_NOW",
    };
    json!({
        "advertiser_id": account.id,
        "campaign_id": id(campaign.as_ref()),
        "campaign_name": name(campaign.as_ref()),
        "adgroup_id": entity.id,
        "adgroup_name": entity.name,
        "budget": budget,
        "budget_mode": budget_mode,
        "schedule_type": schedule,
        "schedule_start_time": time(entity.starts_at),
        "schedule_end_time": ends_at.map(time),
        "optimization_goal": goal(entity.objective),
        "billing_event": "CPC",
        "placement_type": "PLACEMENT_TYPE_AUTOMATIC",
        "operation_status": status::operation(entity),
        "secondary_status": status::secondary(entity),
        "create_time": time(entity.created_at),
        "modify_time": time(entity.updated_at),
    })
}

fn ad(world: &World, account: &Account, entity: &Entity) -> Value {
    let ad_group = parent(world, entity.key);
    let campaign = ad_group.as_ref().and_then(|group| parent(world, group.key));
    json!({
        "advertiser_id": account.id,
        "campaign_id": id(campaign.as_ref()),
        "campaign_name": name(campaign.as_ref()),
        "adgroup_id": id(ad_group.as_ref()),
        "adgroup_name": name(ad_group.as_ref()),
        "ad_id": entity.id,
        "ad_name": entity.name,
        "ad_text": format!("{}: now", entity.name),
        "ad_format": "SINGLE_VIDEO",
        "call_to_action": "LEARN_MORE",
        "landing_page_url": format!("https://shop.example/{}", entity.id),
        "operation_status": status::operation(entity),
        "secondary_status": status::secondary(entity),
        "create_time": time(entity.created_at),
        "modify_time": time(entity.updated_at),
    })
}

fn parent(world: &World, key: Key) -> Option<Entity> {
    world.entity(key.parent()?)
}

fn id(entity: Option<&Entity>) -> &str {
    entity.map_or("", |entity| entity.id.as_str())
}

fn name(entity: Option<&Entity>) -> &str {
    entity.map_or("", |entity| entity.name.as_str())
}

fn budget(entity: &Entity) -> (f64, &'static str) {
    let major = |micros: i64| micros as f64 / MICROS as f64;
    match (entity.daily_budget_micros, entity.lifetime_budget_micros) {
        (Some(micros), _) => (major(micros), "BUDGET_MODE_DAY"),
        (None, Some(micros)) => (major(micros), "BUDGET_MODE_TOTAL"),
        (None, None) => (0.0, "BUDGET_MODE_INFINITE"),
    }
}

/// The metric `objective_type` says the same.
pub(in crate::tiktok) fn objective(objective: Objective) -> &'static str {
    match objective {
        Objective::Awareness => "REACH",
        Objective::Traffic => "TRAFFIC",
        Objective::Engagement => "ENGAGEMENT",
        Objective::Leads => "LEAD_GENERATION",
        Objective::Sales => "WEB_CONVERSIONS",
    }
}

fn goal(objective: Objective) -> &'static str {
    match objective {
        Objective::Awareness => "REACH",
        Objective::Traffic => "CLICK",
        Objective::Engagement => "ENGAGED_VIEW",
        Objective::Leads => "LEAD_GENERATION",
        Objective::Sales => "CONVERT",
    }
}

/// UTC, without saying so.
pub(in crate::tiktok) fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S").to_string()
}
