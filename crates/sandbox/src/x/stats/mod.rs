//! Statistics: what had activity, figures at once, and figures in the background. They are arrays
//! over steps of time that name no dates.

mod active;
mod job;
mod metrics;
mod placement;
mod query;
mod scene;

use serde_json::{Value, json};

use super::{access, ads::Ask, error::XError, quota::Family};
use crate::world::{Account, Hour, hours_of_day, local};
use metrics::Portion;
use query::{Reach, StatsQuery};
use scene::Scene;

pub(super) use active::answer as active;
pub(super) use job::{begin as begin_job, file, list as jobs};
pub(super) use placement::placement_of;

/// `GET stats/accounts/{id}`.
///
/// # Errors
/// ACCOUNT_NOT_FOUND, TOO_MANY_REQUESTS, and those of [`StatsQuery::read`].
pub(super) fn now(ask: &mut Ask<'_>, id: &str) -> Result<Value, XError> {
    let account = access::account(ask.ctx, &ask.caller, id)?;
    ask.meter
        .count(ask.ctx, Family::Stats, &ask.caller, Some(&account))?;
    let world = &ask.ctx.shared.world;
    let query = StatsQuery::read(world, &account, &ask.params, Reach::Now)?;
    let scene = Scene {
        world,
        account: &account,
        span: query.span,
        seen: ask.ctx.now,
    };
    let echo = ask.params.echo(Some(&account.id));
    Ok(told(&scene, &query, echo))
}

/// The answer to a query.
fn told(scene: &Scene<'_>, query: &StatsQuery, echo: Value) -> Value {
    let data: Vec<_> = query
        .things
        .iter()
        .map(|(id, thing)| {
            let steps = scene.steps(*thing, query.placement);
            let segments: Vec<_> = match query.segments {
                None => vec![(Value::Null, Portion::Whole)],
                Some(names) => names
                    .iter()
                    .zip([(1, Portion::First), (2, Portion::Rest)])
                    .map(|(name, (number, portion))| (segment(name, number), portion))
                    .collect(),
            };
            let id_data: Vec<_> = segments
                .into_iter()
                .map(|(segment, portion)| {
                    let metrics = metrics::told(&query.groups, &steps, portion);
                    json!({ "segment": segment, "metrics": metrics })
                })
                .collect();
            json!({ "id": id, "id_data": id_data })
        })
        .collect();
    json!({
        "data_type": "stats",
        "time_series_length": scene.span.length(),
        "request": { "params": echo },
        "data": data,
    })
}

fn segment(name: &str, number: u32) -> Value {
    json!({ "segment_name": name, "segment_value": number.to_string() })
}

/// Whether a day of the account begins with that hour.
fn is_midnight(account: &Account, hour: Hour) -> bool {
    let (day, _) = local(account.zone, hour);
    hours_of_day(account.zone, day).start == hour
}
