//! What a report is asked for: pivots, days, and how they are put together.

use chrono::{DateTime, Datelike, Months, NaiveDate, Utc};
use serde_json::{Value, json};

use super::{
    fields::{Fields, REACH},
    pivot::Pivot,
};
use crate::linkedin::{call::Call, error::ApiError, restli::Node};

/// Most pivots of `statistics`.
const MOST_PIVOTS: usize = 3;
/// Longest time that the number of people is told for, in days.
const REACH_DAYS: i64 = 92;
/// How long figures are kept, and how long those of people are, in months.
const MONTHS: u32 = 120;
const MONTHS_OF_MEMBERS: u32 = 24;
/// All parameters.
const PARAMS: [&str; 12] = [
    "q",
    "pivot",
    "pivots",
    "timeGranularity",
    "dateRange",
    "accounts",
    "campaignGroups",
    "campaigns",
    "creatives",
    "fields",
    "start",
    "count",
];

/// What a report is asked for.
pub(super) struct Ask {
    pub(super) pivots: Vec<Pivot>,
    pub(super) granularity: Granularity,
    pub(super) from: NaiveDate,
    /// The last day; it is in it.
    pub(super) to: NaiveDate,
    pub(super) fields: Fields,
}

/// How long a time each row is of. There are no hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Granularity {
    All,
    Daily,
    Monthly,
    Yearly,
}

impl Ask {
    /// # Errors
    /// 400 for what is missing, wrong, or more than can be asked for.
    pub(super) fn read(call: &Call<'_>, now: DateTime<Utc>) -> Result<Self, ApiError> {
        call.allow(&PARAMS)?;
        let pivots = pivots(call)?;
        let granularity = match word(call, "timeGranularity")?.as_str() {
            "ALL" => Granularity::All,
            "DAILY" => Granularity::Daily,
            "MONTHLY" => Granularity::Monthly,
            "YEARLY" => Granularity::Yearly,
            _ => return Err(ApiError::bad_syntax("timeGranularity")),
        };
        let fields = Fields::read(call)?;
        let today = now.date_naive();
        let (from, to) = days(call, today)?;
        if fields.has_reach() && (to - from).num_days() >= REACH_DAYS {
            let description = format!("{REACH} is for at most {REACH_DAYS} days");
            return Err(ApiError::invalid_param("dateRange", &description));
        }
        let is_of_members = pivots.iter().any(|pivot| pivot.is_of_members());
        let months = if is_of_members {
            MONTHS_OF_MEMBERS
        } else {
            MONTHS
        };
        // What is older is not there any more, which is no error.
        let earliest = today.checked_sub_months(Months::new(months));
        Ok(Self {
            pivots,
            granularity,
            from: earliest.map_or(from, |earliest| from.max(earliest)),
            to,
            fields,
        })
    }
}

/// A day as LinkedIn writes it.
pub(super) fn day_json(day: NaiveDate) -> Value {
    json!({ "year": day.year(), "month": day.month(), "day": day.day() })
}

/// One pivot of `q=analytics`, up to three of `q=statistics`.
fn pivots(call: &Call<'_>) -> Result<Vec<Pivot>, ApiError> {
    let bad = |name: &str| ApiError::bad_syntax(name);
    match call.text("q")?.as_deref() {
        Some("analytics") => {
            let name = word(call, "pivot")?;
            Ok(vec![Pivot::named(&name).ok_or_else(|| bad("pivot"))?])
        }
        Some("statistics") => {
            let node = call.node("pivots")?;
            let node = node.ok_or_else(|| ApiError::missing_param("pivots"))?;
            let names = node.texts().ok_or_else(|| bad("pivots"))?;
            if !(1..=MOST_PIVOTS).contains(&names.len()) {
                let description = format!("There can be 1 to {MOST_PIVOTS} pivots");
                return Err(ApiError::invalid_param("pivots", &description));
            }
            let pivots = names.into_iter().map(|name| {
                Pivot::named(name)
                    .filter(|pivot| !pivot.is_of_members())
                    .ok_or_else(|| bad("pivots"))
            });
            pivots.collect()
        }
        Some(_) => Err(ApiError::invalid_param("q", "There is no such finder")),
        None => Err(ApiError::missing_param("q")),
    }
}

/// `(value:WORD)`, or as it was in older versions the word alone.
fn word(call: &Call<'_>, name: &str) -> Result<String, ApiError> {
    let node = call
        .node(name)?
        .ok_or_else(|| ApiError::missing_param(name))?;
    let word = node.member("value").unwrap_or(&node).text();
    word.map(str::to_owned)
        .ok_or_else(|| ApiError::bad_syntax(name))
}

/// The first and the last day; without an end it is today.
fn days(call: &Call<'_>, today: NaiveDate) -> Result<(NaiveDate, NaiveDate), ApiError> {
    let range = call
        .node("dateRange")?
        .ok_or_else(|| ApiError::missing_param("dateRange"))?;
    let bad = || ApiError::bad_syntax("dateRange");
    let from = range.member("start").and_then(day).ok_or_else(bad)?;
    let to = match range.member("end") {
        Some(end) => day(end).ok_or_else(bad)?,
        None => today,
    };
    if from > to {
        let description = "The start of the range is after its end";
        return Err(ApiError::invalid_param("dateRange", description));
    }
    Ok((from, to))
}

/// `(year:2026,month:11,day:1)`.
fn day(node: &Node) -> Option<NaiveDate> {
    let text = |name: &str| node.member(name).and_then(Node::text);
    let year = text("year")?.parse().ok()?;
    let (month, day) = (text("month")?.parse().ok()?, text("day")?.parse().ok()?);
    NaiveDate::from_ymd_opt(year, month, day)
}
