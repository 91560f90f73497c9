//! Insights of Pages and of Instagram accounts. One metric that there is not, or not any more,
//! fails the whole call.

mod instagram;
mod page;

use chrono::{DateTime, NaiveDate, Utc};

use super::{call::Call, error::GraphError};
use crate::world::parse_day;

pub(super) use instagram::answer as instagram;
pub(super) use page::answer as page;

/// The first second of the year 2100: nothing is asked for beyond.
const LATEST_S: i64 = 4_102_444_800;
/// Most metrics of one call.
const MOST_METRICS: usize = 50;

/// The metrics that a call asks for, all of them known.
fn metrics(call: &Call, known: &[&'static str]) -> Result<Vec<&'static str>, GraphError> {
    let asked = call.words("metric");
    if asked.is_empty() || asked.len() > MOST_METRICS {
        return Err(GraphError::bad_metric("metric", known));
    }
    asked
        .iter()
        .enumerate()
        .map(|(index, asked)| {
            let found = known.iter().find(|metric| *metric == asked);
            found
                .copied()
                .ok_or_else(|| GraphError::bad_metric(&format!("metric[{index}]"), known))
        })
        .collect()
}

/// A parameter that is a moment: Unix seconds, or a day. `None` when it is missing.
fn moment(call: &Call, name: &str) -> Result<Option<DateTime<Utc>>, GraphError> {
    if !call.has(name) {
        return Ok(None);
    }
    let of_seconds = call
        .number(name)
        .filter(|seconds| (0..LATEST_S).contains(seconds))
        .and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    let of_day = || {
        let day: Option<NaiveDate> = call.text(name).and_then(parse_day);
        Some(day?.and_hms_opt(0, 0, 0)?.and_utc())
    };
    let moment = of_seconds.or_else(of_day);
    let refused = || GraphError::bad_param(name, "must be a valid timestamp");
    moment.ok_or_else(refused).map(Some)
}
