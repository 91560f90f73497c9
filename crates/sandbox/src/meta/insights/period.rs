//! Which days are asked for, and in what steps: by range, by several ranges, or by name.

use chrono::{Datelike, Days, Months, NaiveDate};
use serde_json::Value;

use crate::{
    meta::{call::Call, error::GraphError},
    world::{Grain, parse_day},
};

/// Days that figures are kept for: 37 months.
const KEPT: Months = Months::new(37);
/// Most ranges of one question.
const MOST_RANGES: usize = 50;

/// The days of a range, both included.
pub(super) type Range = (NaiveDate, NaiveDate);

/// The ranges that are asked for; `today` is the account's.
///
/// # Errors
/// [`GraphError`] for what is no range, and for one that begins before figures are kept.
pub(super) fn ranges(call: &Call, today: NaiveDate) -> Result<Vec<Range>, GraphError> {
    let ranges = if call.has("time_ranges") {
        let Some(Value::Array(ranges)) = call.structure("time_ranges") else {
            return Err(GraphError::bad_param("time_ranges", "must be an array."));
        };
        let ranges = ranges.iter().take(MOST_RANGES).map(range);
        ranges.collect::<Result<Vec<_>, _>>()?
    } else if call.has("time_range") {
        vec![range(&call.structure("time_range").unwrap_or_default())?]
    } else {
        vec![preset(
            call.text("date_preset").unwrap_or("last_30d"),
            today,
        )?]
    };
    let oldest = today.checked_sub_months(KEPT).unwrap_or(today);
    if ranges.iter().any(|(from, _)| *from < oldest) {
        return Err(GraphError::bad_param(
            "time_range",
            "The start date of the time range cannot be beyond 37 months from the current date",
        ));
    }
    Ok(ranges)
}

/// The steps that a range is cut into.
///
/// # Errors
/// [`GraphError`] for steps that there are not.
pub(super) fn grain(call: &Call) -> Result<Grain, GraphError> {
    match (call.text("time_increment"), call.number("time_increment")) {
        (Some("all_days"), _) => Ok(Grain::Whole),
        (Some("monthly"), _) => Ok(Grain::Month),
        (_, Some(1)) => Ok(Grain::Day),
        (_, Some(days @ 2..=90)) => Ok(Grain::Days(u32::try_from(days).unwrap_or(90))),
        (None, None) if !call.has("time_increment") => Ok(Grain::Whole),
        _ => Err(GraphError::bad_param(
            "time_increment",
            "must be 1 to 90, monthly or all_days",
        )),
    }
}

fn range(value: &Value) -> Result<Range, GraphError> {
    let day = |name| {
        let text = value.get(name).and_then(Value::as_str);
        text.and_then(parse_day)
    };
    match (day("since"), day("until")) {
        (Some(since), Some(until)) if since <= until => Ok((since, until)),
        _ => Err(GraphError::bad_param(
            "time_range",
            "must have a since and an until as YYYY-MM-DD, in this order",
        )),
    }
}

/// `last_Nd` ends yesterday.
fn preset(name: &str, today: NaiveDate) -> Result<Range, GraphError> {
    let back = |days| today.checked_sub_days(Days::new(days)).unwrap_or(today);
    let yesterday = back(1);
    let month = |day: NaiveDate| day.with_day(1).unwrap_or(day);
    let quarter = |day: NaiveDate| day.with_month0(day.month0() / 3 * 3).unwrap_or(day);
    let last_month_ends = month(today).pred_opt().unwrap_or(today);
    let maximum = today.checked_sub_months(KEPT).unwrap_or(today);
    Ok(match name {
        "today" => (today, today),
        "yesterday" => (yesterday, yesterday),
        "last_3d" => (back(3), yesterday),
        "last_7d" => (back(7), yesterday),
        "last_14d" => (back(14), yesterday),
        "last_28d" => (back(28), yesterday),
        "last_30d" => (back(30), yesterday),
        "last_90d" => (back(90), yesterday),
        "this_month" => (month(today), today),
        "last_month" => (month(last_month_ends), last_month_ends),
        "this_quarter" => (quarter(month(today)), today),
        "maximum" => (maximum, today),
        _ => {
            return Err(GraphError::bad_param(
                "date_preset",
                "must be one of the known date presets",
            ));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        parse_day(text).expect("a day")
    }

    #[test]
    fn presets_are_ranges_of_whole_days_and_the_last_ones_end_yesterday() {
        let today = day("2026-11-20");
        let cases = [
            ("today", "2026-11-20", "2026-11-20"),
            ("last_7d", "2026-11-13", "2026-11-19"),
            ("last_month", "2026-10-01", "2026-10-31"),
            ("this_quarter", "2026-10-01", "2026-11-20"),
            ("maximum", "2023-10-20", "2026-11-20"),
        ];

        for (name, from, to) in cases {
            let range = preset(name, today).expect("a preset");

            assert_eq!(range, (day(from), day(to)), "{name}");
        }
        assert!(preset("last_5d", today).is_err());
    }
}
