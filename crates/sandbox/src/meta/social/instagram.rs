//! `/{instagram account}/insights`: totals of a time, or one value a day for the metrics that have
//! that. The last two days are not known yet.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;
use serde_json::{Value, json};

use super::{metrics, moment};
use crate::{
    meta::{
        Context, access,
        call::Call,
        error::GraphError,
        usage::{Case, Meter},
    },
    world::{Key, day_of, hours_of_day, start_of},
};

/// Every metric that there is; `impressions` is gone.
const KNOWN: [&str; 11] = [
    "reach",
    "views",
    "accounts_engaged",
    "total_interactions",
    "likes",
    "comments",
    "shares",
    "saves",
    "replies",
    "profile_links_taps",
    "follower_count",
];
/// Those that have a value for each day.
const BY_DAY: [&str; 2] = ["reach", "follower_count"];
/// Most time of one call.
const MOST_TIME: TimeDelta = TimeDelta::days(30);
/// The time of a call that names none.
const USUAL_TIME: TimeDelta = TimeDelta::days(1);
/// How long it takes until a day's figures are known.
const LAG: TimeDelta = TimeDelta::hours(48);

/// `GET /{instagram account}/insights`.
///
/// # Errors
/// [`GraphError`] for a metric, a period or a time that there is not, and for whoever may not see
/// it.
pub(in crate::meta) fn answer(
    call: &Call,
    ctx: &Context<'_>,
    account: Key,
    meter: &mut Meter,
) -> Result<Value, GraphError> {
    let caller = access::check(call, ctx)?;
    caller.require(&["instagram_manage_insights"], ctx.now)?;
    meter.count(ctx, account, Case::Instagram)?;
    let metrics = metrics(call, &KNOWN)?;
    if call.text("period") != Some("day") {
        return Err(GraphError::bad_param("period", "must be day"));
    }
    let by_day = match call.text("metric_type") {
        Some("total_value") => false,
        Some("time_series") | None => true,
        Some(_) => {
            let what = "must be one of the following values: time_series, total_value";
            return Err(GraphError::bad_param("metric_type", what));
        }
    };
    if by_day && metrics.iter().any(|metric| !BY_DAY.contains(metric)) {
        let what = "must be total_value for these metrics";
        return Err(GraphError::bad_param("metric_type", what));
    }
    let until = moment(call, "until")?.unwrap_or(ctx.now);
    let since = moment(call, "since")?.unwrap_or(until - USUAL_TIME);
    if until - since > MOST_TIME || until < since {
        let what = "cannot be more than 30 days (2592000 s) after since";
        return Err(GraphError::bad_param("until", what));
    }
    let days = days(since, until, ctx.now - LAG);
    let id = ctx.shared.world.id(account);
    let of = |metric: &str, day| ctx.shared.world.social(account, metric, day);
    let shown: Vec<_> = metrics
        .iter()
        .filter(|_| !days.is_empty())
        .map(|metric| {
            let mut shown = json!({
                "name": metric,
                "period": "day",
                "title": metric,
                "description": format!("What {metric} was."),
                "id": format!("{id}/insights/{metric}/day"),
            });
            if by_day {
                let values = days.iter().map(|(day, end)| {
                    let end = end.format("%Y-%m-%dT%H:%M:%S+0000").to_string();
                    json!({ "value": of(metric, *day), "end_time": end })
                });
                shown["values"] = values.collect();
            } else {
                let total: i64 = days.iter().map(|(day, _)| of(metric, *day)).sum();
                shown["total_value"] = json!({ "value": total });
            }
            shown
        })
        .collect();
    Ok(json!({ "data": shown }))
}

/// The days of UTC that begin within a time and whose figures are known, each with its end.
fn days(
    since: DateTime<Utc>,
    until: DateTime<Utc>,
    known_to: DateTime<Utc>,
) -> Vec<(NaiveDate, DateTime<Utc>)> {
    day_of(Tz::UTC, since)
        .iter_days()
        .map(|day| (day, hours_of_day(Tz::UTC, day)))
        .map(|(day, hours)| (day, start_of(hours.start), start_of(hours.end)))
        .take_while(|(_, begin, end)| *begin < until && *end <= known_to)
        .filter(|(_, begin, _)| *begin >= since)
        .map(|(day, _, end)| (day, end))
        .collect()
}
