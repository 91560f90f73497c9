//! `active_entities`: what had any activity in a time, from which hour to which, and where.

use std::{
    collections::{BTreeMap, BTreeSet},
    iter,
};

use serde_json::{Value, json};

use super::{
    placement::{Placement, placement_of},
    query::{self, Granularity, Span},
    scene::Scene,
};
use crate::{
    world::{Grain, Key, Kind, start_of},
    x::{access, ads::Ask, entities::time, error::XError, quota::Family},
};

/// Longest time, in days.
const MOST_DAYS: i64 = 90;

/// What is known of a thing's activity.
struct Activity {
    first: i64,
    last: i64,
    placements: BTreeSet<Placement>,
}

/// `GET stats/accounts/{id}/active_entities`.
///
/// # Errors
/// ACCOUNT_NOT_FOUND, MISSING_PARAMETER, INVALID_PARAMETER, INVALID_TIME_WINDOW,
/// TOO_MANY_REQUESTS.
pub(in crate::x) fn answer(ask: &mut Ask<'_>, id: &str) -> Result<Value, XError> {
    let account = access::account(ask.ctx, &ask.caller, id)?;
    ask.meter
        .count(ask.ctx, Family::Stats, &ask.caller, Some(&account))?;
    let kind = query::entity(&ask.params)?;
    if kind == Kind::Account {
        return Err(XError::invalid(
            "entity",
            "ACCOUNT",
            "ACCOUNT is not supported by this endpoint",
        ));
    }
    let span = Span::read(&account, &ask.params, Granularity::Hour)?;
    span.check(MOST_DAYS, &ask.params)?;
    let world = &ask.ctx.shared.world;
    let scene = Scene {
        world,
        account: &account,
        span,
        seen: ask.ctx.now,
    };
    let data: Vec<_> = activities(&scene, kind)
        .into_iter()
        .map(|(key, activity)| {
            let places = activity.placements.into_iter().map(Placement::as_str);
            json!({
                "entity_id": world.id(key),
                "activity_start_time": time(start_of(activity.first)),
                "activity_end_time": time(start_of(activity.last + 1)),
                "placements": places.collect::<Vec<_>>(),
            })
        })
        .collect();
    Ok(json!({
        "request": { "params": ask.params.echo(Some(&account.id)) },
        "data": data,
    }))
}

fn activities(scene: &Scene<'_>, kind: Kind) -> BTreeMap<Key, Activity> {
    let level = match kind {
        Kind::Ad | Kind::Creative => Kind::Ad,
        _ => Kind::AdSet,
    };
    let mut activities: BTreeMap<Key, Activity> = BTreeMap::new();
    for row in scene.rows(level, None, Grain::Hour) {
        let Some(key) = counted_for(row.key, kind) else {
            continue;
        };
        for (hour, figures) in scene.hours(&row) {
            if figures.is_zero() {
                continue;
            }
            let activity = activities.entry(key).or_insert_with(|| Activity {
                first: hour,
                last: hour,
                placements: BTreeSet::new(),
            });
            activity.first = activity.first.min(hour);
            activity.last = activity.last.max(hour);
            activity.placements.insert(placement_of(row.key));
        }
    }
    activities
}

/// The thing of a sort that a line item's, or a promoted tweet's, figures count for.
fn counted_for(key: Key, kind: Kind) -> Option<Key> {
    match kind {
        Kind::Creative => Some(key.sibling(Kind::Creative, key.n)),
        Kind::FundingInstrument => Some(key.sibling(kind, 0)),
        _ => iter::successors(Some(key), |key| key.parent()).find(|key| key.kind == kind),
    }
}
