//! What an account holds: lists by cursor, sorted where that is asked for, and single things.

mod edit;
mod filter;
mod paging;
mod shape;

use serde_json::{Value, json};

use super::{
    access,
    ads::Ask,
    cursor::{Cursor, Rank},
    error::XError,
    quota::Family,
};
use crate::world::{Effective, Entity, Key, Kind, Platform};
use filter::Filter;

pub(super) use edit::edit;
pub(super) use paging::Paging;
pub(super) use shape::time;

/// A list of an account's.
struct Resource {
    /// As the path names it.
    name: &'static str,
    /// What one of its things is called.
    thing: &'static str,
    kind: Kind,
    /// What it can be narrowed by.
    filters: &'static [(&'static str, Kind)],
}

static RESOURCES: [Resource; 7] = [
    Resource {
        name: "funding_instruments",
        thing: "funding_instrument_id",
        kind: Kind::FundingInstrument,
        filters: &[("funding_instrument_ids", Kind::FundingInstrument)],
    },
    Resource {
        name: "campaigns",
        thing: "campaign_id",
        kind: Kind::Campaign,
        filters: &[
            ("funding_instrument_ids", Kind::FundingInstrument),
            ("campaign_ids", Kind::Campaign),
        ],
    },
    Resource {
        name: "line_items",
        thing: "line_item_id",
        kind: Kind::AdSet,
        filters: &[
            ("funding_instrument_ids", Kind::FundingInstrument),
            ("campaign_ids", Kind::Campaign),
            ("line_item_ids", Kind::AdSet),
        ],
    },
    Resource {
        name: "promoted_tweets",
        thing: "promoted_tweet_id",
        kind: Kind::Ad,
        filters: &[
            ("campaign_ids", Kind::Campaign),
            ("line_item_ids", Kind::AdSet),
            ("promoted_tweet_ids", Kind::Ad),
        ],
    },
    Resource {
        name: "media_creatives",
        thing: "media_creative_id",
        kind: Kind::Creative,
        filters: &[
            ("campaign_ids", Kind::Campaign),
            ("line_item_ids", Kind::AdSet),
            ("media_creative_ids", Kind::Creative),
        ],
    },
    Resource {
        name: "custom_audiences",
        thing: "custom_audience_id",
        kind: Kind::Audience,
        filters: &[("custom_audience_ids", Kind::Audience)],
    },
    Resource {
        name: "web_event_tags",
        thing: "web_event_tag_id",
        kind: Kind::Pixel,
        filters: &[("web_event_tag_ids", Kind::Pixel)],
    },
];

impl Resource {
    fn find(name: &str) -> Result<&'static Self, XError> {
        let found = RESOURCES.iter().find(|resource| resource.name == name);
        found.ok_or_else(XError::no_route)
    }
}

/// `GET accounts/{id}/{list}`.
///
/// # Errors
/// ACCOUNT_NOT_FOUND, INVALID_PARAMETER, TOO_MANY_REQUESTS.
pub(super) fn list(ask: &mut Ask<'_>, account: &str, list: &str) -> Result<Value, XError> {
    let resource = Resource::find(list)?;
    let account = access::account(ask.ctx, &ask.caller, account)?;
    let family = match ask.params.get("with_total_count") {
        Some("true") => Family::TotalCount,
        _ => Family::Core,
    };
    ask.meter
        .count(ask.ctx, family, &ask.caller, Some(&account))?;
    let Ask { ctx, params, .. } = &*ask;
    let list = format!("{}/{}", account.id, resource.name);
    let paging = Paging::read(ctx, params, &list)?;
    let filter = Filter::read(params, resource.filters)?;
    let world = &ctx.shared.world;
    let mut keys = world.keys(account.key, resource.kind);
    keys.retain(|key| filter.admits(world, *key));
    let found = keys.into_iter().filter_map(|key| world.entity(key));
    let (things, total) = paged(found, &paging);
    let next = things.next.map(|rank| {
        let cursor = Cursor::new(&list, params, rank, ctx.now);
        cursor.text()
    });
    let data: Vec<_> = things
        .page
        .iter()
        .map(|entity| shape::of(world, &account, entity))
        .collect();
    let echo = params.echo(Some(&account.id));
    Ok(envelope(echo, data, (next, total)))
}

/// `GET accounts/{id}/{list}/{thing}`, the deleted ones only `with_deleted`.
///
/// # Errors
/// ACCOUNT_NOT_FOUND, NOT_FOUND, TOO_MANY_REQUESTS.
pub(super) fn one(
    ask: &mut Ask<'_>,
    account: &str,
    list: &str,
    thing: &str,
) -> Result<Value, XError> {
    let resource = Resource::find(list)?;
    let account = access::account(ask.ctx, &ask.caller, account)?;
    ask.meter
        .count(ask.ctx, Family::Core, &ask.caller, Some(&account))?;
    let with_deleted = ask.params.flag("with_deleted")?;
    let world = &ask.ctx.shared.world;
    let entity = world
        .find(Platform::X, thing)
        .filter(|key| key.kind == resource.kind && key.its_account() == account.key)
        .and_then(|key| world.entity(key))
        .filter(|entity| with_deleted || !is_deleted(entity))
        .ok_or_else(|| XError::not_found(resource.thing, thing))?;
    Ok(json!({
        "request": { "params": ask.params.echo(Some(&account.id)) },
        "data": shape::of(world, &account, &entity),
    }))
}

/// A list as it is told. How many there are is not told unless it was asked for: X's own SDK takes
/// whatever stands there for a number.
pub(super) fn envelope(
    echo: Value,
    data: Vec<Value>,
    (next_cursor, total_count): (Option<String>, Option<usize>),
) -> Value {
    let mut told = json!({
        "request": { "params": echo },
        "next_cursor": next_cursor,
        "data": data,
    });
    if let Some(total_count) = total_count {
        told["total_count"] = json!(total_count);
    }
    told
}

/// A page, and where the next one begins.
struct Things {
    page: Vec<Entity>,
    next: Option<Rank>,
}

/// The page that is asked for, and how many things there are where that is asked for as well.
fn paged(found: impl Iterator<Item = Entity>, paging: &Paging) -> (Things, Option<usize>) {
    let shown = found.filter(|entity| paging.with_deleted || !is_deleted(entity));
    let mut shown: Vec<_> = shown
        .map(|entity| (paging.order.rank(&entity), entity))
        .collect();
    let total = shown.len();
    paging.order.sort(&mut shown);
    if let Some(after) = paging.after {
        shown.retain(|(rank, _)| paging.order.is_behind(*rank, after));
    }
    let has_more = shown.len() > paging.count;
    shown.truncate(paging.count);
    let next = shown.last().filter(|_| has_more).map(|(rank, _)| *rank);
    let page = shown.into_iter().map(|(_, entity)| entity).collect();
    let things = Things { page, next };
    (things, paging.with_total_count.then_some(total))
}

fn is_deleted(entity: &Entity) -> bool {
    entity.effective == Effective::Deleted
}

/// The one that pays for everything in an account.
fn funding_instrument(key: Key) -> Key {
    key.sibling(Kind::FundingInstrument, 0)
}
