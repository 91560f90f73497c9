//! `/{page}/insights`, with the page's own token. Days are those of California, and a value is
//! dated by the end of its day.

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
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

/// Every metric that there is; those of `page_impressions` and `page_fans` are gone for good.
const KNOWN: [&str; 9] = [
    "page_media_view",
    "page_total_media_view_unique",
    "page_follows",
    "page_daily_follows_unique",
    "page_daily_unfollows_unique",
    "page_post_engagements",
    "page_views_total",
    "page_video_views",
    BY_TYPE,
];
/// The metric whose values are counts by type.
const BY_TYPE: &str = "page_actions_post_reactions_total";
/// Days end at midnight there.
const ZONE: Tz = Tz::America__Los_Angeles;
/// Most time of one call.
const MOST_TIME: TimeDelta = TimeDelta::days(90);
/// The time of a call that names none.
const USUAL_TIME: TimeDelta = TimeDelta::days(2);

/// `GET /{page}/insights`.
///
/// # Errors
/// [`GraphError`] without the page's token, and for a metric, a period or a time that there is not.
pub(in crate::meta) fn answer(
    call: &Call,
    ctx: &Context<'_>,
    page: Key,
    meter: &mut Meter,
) -> Result<Value, GraphError> {
    let caller = access::check(call, ctx)?;
    caller.require_page(page, ctx.now)?;
    meter.count(ctx, page, Case::Pages)?;
    let metrics = metrics(call, &KNOWN)?;
    let (period, days) = match call.text("period").unwrap_or("day") {
        "day" => ("day", 1),
        "week" => ("week", 7),
        "days_28" => ("days_28", 28),
        _ => {
            let what = "must be one of the following values: day, week, days_28";
            return Err(GraphError::bad_param("period", what));
        }
    };
    let until = moment(call, "until")?.unwrap_or(ctx.now);
    let since = moment(call, "since")?.unwrap_or(until - USUAL_TIME);
    if until - since > MOST_TIME || until < since {
        let what = "cannot be more than 90 days (7776000 s) after since";
        return Err(GraphError::bad_param("until", what));
    }
    let ends = ended_days(since, until.min(ctx.now));
    let id = ctx.shared.world.id(page);
    let shown: Vec<_> = metrics
        .iter()
        .filter(|_| !ends.is_empty())
        .map(|metric| {
            let values: Vec<_> = ends
                .iter()
                .map(|(day, end)| {
                    let value = value(ctx, page, metric, (*day, days));
                    json!({ "value": value, "end_time": time(*end) })
                })
                .collect();
            json!({
                "name": metric,
                "period": period,
                "values": values,
                "title": format!("{period} {metric}"),
                "description": format!("What {metric} was."),
                "id": format!("{id}/insights/{metric}/{period}"),
            })
        })
        .collect();
    Ok(json!({ "data": shown, "paging": paging(call, since, until) }))
}

/// The days that end within a time, each with its end.
fn ended_days(since: DateTime<Utc>, until: DateTime<Utc>) -> Vec<(NaiveDate, DateTime<Utc>)> {
    day_of(ZONE, since)
        .iter_days()
        .map(|day| (day, start_of(hours_of_day(ZONE, day).end)))
        .take_while(|(_, end)| *end <= until)
        .filter(|(_, end)| *end > since)
        .collect()
}

/// The sum of so many days up to a day.
fn value(ctx: &Context<'_>, page: Key, metric: &str, (last, days): (NaiveDate, u64)) -> Value {
    let of = |name: &str| -> i64 {
        let counted = (0..days).filter_map(|back| last.checked_sub_days(Days::new(back)));
        counted
            .map(|day| ctx.shared.world.social(page, name, day))
            .sum()
    };
    if metric == BY_TYPE {
        json!({ "like": of("reaction like"), "love": of("reaction love") })
    } else {
        json!(of(metric))
    }
}

/// The pages before and after, which there always are: they go on into the future without an end.
fn paging(call: &Call, since: DateTime<Utc>, until: DateTime<Utc>) -> Value {
    let span = until - since;
    let address = |since: DateTime<Utc>| {
        let until = since + span;
        let (since, until) = (since.timestamp().to_string(), until.timestamp().to_string());
        call.address_with(&[("since", &since), ("until", &until)])
    };
    json!({ "previous": address(since - span), "next": address(until) })
}

fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%S+0000").to_string()
}
