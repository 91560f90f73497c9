//! Ads and their creatives as Graph shows them.

use serde_json::{Value, json};

use super::{Thing, members};
use crate::{
    meta::{Context, words},
    world::{Entity, Kind},
};

/// An ad with every member that can be asked for.
pub(super) fn thing(ctx: &Context<'_>, ad: &Entity) -> Thing {
    let world = &ctx.shared.world;
    let account = world.account_of(ad.key);
    let creative = world.entity(ad.key.sibling(Kind::Creative, ad.key.n));
    let time = |at| words::time(at, account.zone);
    members(json!({
        "id": ad.id,
        "account_id": account.id,
        "adset_id": ad.key.parent().map(|ad_set| world.id(ad_set)),
        "campaign_id": ad.key.campaign().map(|campaign| world.id(campaign)),
        "name": ad.name,
        "status": words::status(ad.status),
        "configured_status": words::status(ad.status),
        "effective_status": words::effective(ad.effective),
        "creative": creative.map(|creative| Value::Object(self::creative(ctx, &creative))),
        "created_time": time(ad.created_at),
        "updated_time": time(ad.updated_at),
    }))
}

/// What an ad shows, with every member that can be asked for.
pub(super) fn creative(ctx: &Context<'_>, creative: &Entity) -> Thing {
    let account = ctx.shared.world.account_of(creative.key);
    members(json!({
        "id": creative.id,
        "account_id": account.id,
        "name": creative.name,
        "title": format!("{} title", creative.name),
        "body": format!("What {} says.", creative.name),
        "status": words::status(creative.status),
        "object_type": "SHARE",
        "thumbnail_url": format!("https://cdn.example.com/thumbnails/{}.jpg", creative.id),
    }))
}
