//! Audiences, pixels and lead forms as Graph shows them.

use serde_json::json;

use super::{Thing, members};
use crate::{
    meta::{Context, words},
    world::Entity,
};

/// A custom audience with every member that can be asked for; its times are Unix seconds, unlike
/// all others.
pub(super) fn audience(ctx: &Context<'_>, audience: &Entity) -> Thing {
    let world = &ctx.shared.world;
    let dice = world.dice(audience.key, "audience");
    let count = dice.between(1_000, 900_000);
    members(json!({
        "id": audience.id,
        "account_id": world.account_of(audience.key).id,
        "name": audience.name,
        "subtype": dice.of(1).pick(&["CUSTOM", "LOOKALIKE", "WEBSITE"]),
        "description": "",
        "approximate_count_lower_bound": count,
        "approximate_count_upper_bound": count + count / 5,
        "delivery_status": { "code": 200, "description": "This audience is ready for use." },
        "operation_status": { "code": 200, "description": "Normal" },
        "time_created": audience.created_at.timestamp(),
        "time_updated": audience.updated_at.timestamp(),
    }))
}

/// A pixel with every member that can be asked for.
pub(super) fn pixel(ctx: &Context<'_>, pixel: &Entity) -> Thing {
    let account = ctx.shared.world.account_of(pixel.key);
    members(json!({
        "id": pixel.id,
        "name": pixel.name,
        "is_unavailable": false,
        "creation_time": words::time(pixel.created_at, account.zone),
        "last_fired_time": words::time(ctx.now, account.zone),
    }))
}

/// A lead form with every member that can be asked for.
pub(super) fn lead_form(ctx: &Context<'_>, form: &Entity) -> Thing {
    let world = &ctx.shared.world;
    let account = world.account_of(form.key);
    members(json!({
        "id": form.id,
        "name": form.name,
        "status": words::status(form.status),
        "locale": "en_US",
        "leads_count": world.dice(form.key, "leads").between(0, 400),
        "page_id": form.key.parent().map(|page| world.id(page)),
        "created_time": words::time(form.created_at, account.zone),
    }))
}
