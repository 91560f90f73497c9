//! Ad sets as Graph shows them.

use serde_json::{Value, json};

use super::{Thing, members};
use crate::{
    meta::{Context, words},
    world::{Entity, Key, Kind, Objective},
};

/// An ad set with every member that can be asked for; budgets and bids are in minor units, and
/// there is no budget where its campaign has one.
pub(super) fn thing(ctx: &Context<'_>, ad_set: &Entity) -> Thing {
    let world = &ctx.shared.world;
    let account = world.account_of(ad_set.key);
    let minor = |micros: Option<i64>| micros.map(|micros| words::minor(micros, account.currency));
    let budget = ad_set.daily_budget_micros.or(ad_set.lifetime_budget_micros);
    let has_bid = world.dice(ad_set.key, "has bid").below(4) == 0;
    let bid = world.dice(ad_set.key, "bid").between(50, 900);
    let time = |at| words::time(at, account.zone);
    members(json!({
        "id": ad_set.id,
        "account_id": account.id,
        "campaign_id": ad_set.key.campaign().map(|campaign| world.id(campaign)),
        "name": ad_set.name,
        "status": words::status(ad_set.status),
        "configured_status": words::status(ad_set.status),
        "effective_status": words::effective(ad_set.effective),
        "daily_budget": minor(ad_set.daily_budget_micros),
        "lifetime_budget": minor(ad_set.lifetime_budget_micros),
        "budget_remaining": minor(budget.map(|micros| micros / 2)),
        "bid_amount": has_bid.then_some(bid),
        "billing_event": "IMPRESSIONS",
        "optimization_goal": goal(ad_set.objective),
        "targeting": targeting(ctx, ad_set.key),
        "promoted_object": {
            "pixel_id": world.id(ad_set.key.sibling(Kind::Pixel, 0)),
            "custom_event_type": "PURCHASE",
        },
        "attribution_spec": [
            { "event_type": "CLICK_THROUGH", "window_days": 7 },
            { "event_type": "VIEW_THROUGH", "window_days": 1 },
        ],
        "start_time": time(ad_set.starts_at),
        "end_time": ad_set.ends_at.map(time),
        "created_time": time(ad_set.created_at),
        "updated_time": time(ad_set.updated_at),
    }))
}

fn goal(objective: Objective) -> &'static str {
    match objective {
        Objective::Awareness => "REACH",
        Objective::Traffic => "LINK_CLICKS",
        Objective::Engagement => "POST_ENGAGEMENT",
        Objective::Leads => "LEAD_GENERATION",
        Objective::Sales => "OFFSITE_CONVERSIONS",
    }
}

fn targeting(ctx: &Context<'_>, ad_set: Key) -> Value {
    let dice = ctx.shared.world.dice(ad_set, "targeting");
    let youngest = dice.of(1).between(18, 40);
    json!({
        "age_min": youngest,
        "age_max": youngest + dice.of(2).between(5, 25),
        "geo_locations": { "countries": [dice.of(3).pick(&["US", "DE", "GB", "JP", "AU", "BR"])] },
        "publisher_platforms": ["facebook", "instagram"],
    })
}
