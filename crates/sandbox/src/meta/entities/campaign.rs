//! Campaigns as Graph shows them.

use chrono::TimeDelta;
use serde_json::json;

use super::{Thing, members};
use crate::{
    meta::{Context, words},
    world::Entity,
};

/// For how many days after the world began campaigns were given the objectives' older names.
const OLD_NAMES_DAYS: TimeDelta = TimeDelta::days(120);

/// A campaign with every member that can be asked for; budgets are in minor units, and there are
/// none where its ad sets have them.
pub(super) fn thing(ctx: &Context<'_>, campaign: &Entity) -> Thing {
    let world = &ctx.shared.world;
    let account = world.account_of(campaign.key);
    let is_old = campaign.created_at - account.created_at < OLD_NAMES_DAYS;
    let minor = |micros: Option<i64>| micros.map(|micros| words::minor(micros, account.currency));
    let budget = campaign
        .daily_budget_micros
        .or(campaign.lifetime_budget_micros);
    let left = world.dice(campaign.key, "left").between(0, 100);
    let time = |at| words::time(at, account.zone);
    members(json!({
        "id": campaign.id,
        "account_id": account.id,
        "name": campaign.name,
        "objective": words::objective(campaign.objective, is_old),
        "status": words::status(campaign.status),
        "configured_status": words::status(campaign.status),
        "effective_status": words::effective(campaign.effective),
        "buying_type": "AUCTION",
        "bid_strategy": budget.map(|_| "LOWEST_COST_WITHOUT_CAP"),
        "daily_budget": minor(campaign.daily_budget_micros),
        "lifetime_budget": minor(campaign.lifetime_budget_micros),
        "budget_remaining": minor(budget.map(|micros| micros / 100 * left)),
        "special_ad_categories": [],
        "start_time": time(campaign.starts_at),
        "stop_time": campaign.ends_at.map(time),
        "created_time": time(campaign.created_at),
        "updated_time": time(campaign.updated_at),
    }))
}
