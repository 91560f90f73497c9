//! What statistics are asked for: of which things, over which time and in which steps, in one place,
//! and which groups of metrics.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;

use super::{is_midnight, metrics::Group, placement::Placement};
use crate::{
    world::{
        Account, Hour, Key, Kind, Platform, World, hour_of, hours_of_day, local, parse_day,
        start_of,
    },
    x::{error::XError, params::Params},
};

/// Most things of one query.
const MOST_IDS: usize = 20;
/// What the things are called that have statistics.
const ENTITIES: [(&str, Kind); 6] = [
    ("ACCOUNT", Kind::Account),
    ("FUNDING_INSTRUMENT", Kind::FundingInstrument),
    ("CAMPAIGN", Kind::Campaign),
    ("LINE_ITEM", Kind::AdSet),
    ("PROMOTED_TWEET", Kind::Ad),
    ("MEDIA_CREATIVE", Kind::Creative),
];
/// What figures can be split by, and the names of the two parts.
const SEGMENTATIONS: [(&str, [&str; 2]); 4] = [
    ("AGE", ["AGE_25_TO_34", "AGE_OVER_35"]),
    ("GENDER", ["FEMALE", "MALE"]),
    ("LOCATIONS", ["United States", "Elsewhere"]),
    ("PLATFORMS", ["iOS", "Android"]),
];

/// How figures are asked for, which bounds the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    Now,
    InBackground,
}

/// How long a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Granularity {
    Hour,
    /// A day of the account: 23 to 25 hours.
    Day,
    Total,
}

/// A time, in hours of UTC; the last one is not in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) start: Hour,
    pub(super) end: Hour,
    pub(super) granularity: Granularity,
    /// The account's first day of it, and the day on which it ends.
    pub(super) days: (NaiveDate, NaiveDate),
}

impl Span {
    /// How many steps it has.
    pub(super) fn length(&self) -> usize {
        let steps = match self.granularity {
            Granularity::Hour => self.end - self.start,
            Granularity::Day => (self.days.1 - self.days.0).num_days(),
            Granularity::Total => 1,
        };
        usize::try_from(steps).unwrap_or_default()
    }

    /// The hours that are asked about.
    ///
    /// # Errors
    /// MISSING_PARAMETER and INVALID_PARAMETER.
    pub(super) fn read(
        account: &Account,
        params: &Params,
        granularity: Granularity,
    ) -> Result<Self, XError> {
        let start = whole_hour(account, params, "start_time")?;
        let end = whole_hour(account, params, "end_time")?;
        if end <= start {
            let text = params.required("end_time")?;
            let message = "Expected end_time to be later than start_time";
            return Err(XError::invalid("end_time", text, message));
        }
        let day = |hour| local(account.zone, hour).0;
        Ok(Self {
            start,
            end,
            granularity,
            days: (day(start), day(end)),
        })
    }

    /// # Errors
    /// INVALID_TIME_WINDOW for more than `most` days: of the account where steps are days, else of
    /// 24 hours.
    pub(super) fn check(&self, most: i64, params: &Params) -> Result<(), XError> {
        let is_too_long = match self.granularity {
            Granularity::Day => (self.days.1 - self.days.0).num_days() > most,
            Granularity::Hour | Granularity::Total => self.end - self.start > most * 24,
        };
        if is_too_long {
            let message = format!("The end_time can be a maximum of {most} days after start_time");
            return Err(XError::window(message, params.required("end_time")?));
        }
        Ok(())
    }
}

/// What statistics are asked for.
pub(super) struct StatsQuery {
    /// The things, with their ids.
    pub(super) things: Vec<(String, Key)>,
    pub(super) span: Span,
    pub(super) placement: Placement,
    pub(super) groups: Vec<Group>,
    /// The names of the parts, where figures are split.
    pub(super) segments: Option<[&'static str; 2]>,
}

impl StatsQuery {
    /// # Errors
    /// MISSING_PARAMETER, INVALID_PARAMETER, INVALID_TIME_WINDOW, and NOT_FOUND for things that the
    /// account does not hold.
    pub(super) fn read(
        world: &World,
        account: &Account,
        params: &Params,
        reach: Reach,
    ) -> Result<Self, XError> {
        let kind = entity(params)?;
        let granularity = granularity(params)?;
        let span = Span::read(account, params, granularity)?;
        check_midnights(account, params, &span)?;
        let segments = segments(params, reach)?;
        let most_days = match (reach, segments) {
            (Reach::Now, _) => 7,
            (Reach::InBackground, None) => 90,
            (Reach::InBackground, Some(_)) => 45,
        };
        span.check(most_days, params)?;
        Ok(Self {
            things: things(world, account, params, kind)?,
            span,
            placement: placement(params)?,
            groups: Group::read(params)?,
            segments,
        })
    }
}

/// The sort of things that is asked about.
///
/// # Errors
/// MISSING_PARAMETER, INVALID_PARAMETER.
pub(super) fn entity(params: &Params) -> Result<Kind, XError> {
    let name = params.required("entity")?;
    let found = ENTITIES.iter().find(|(known, _)| *known == name);
    found
        .map(|(_, kind)| *kind)
        .ok_or_else(|| XError::invalid("entity", name, format!("{name} is no entity")))
}

fn things(
    world: &World,
    account: &Account,
    params: &Params,
    kind: Kind,
) -> Result<Vec<(String, Key)>, XError> {
    params.required("entity_ids")?;
    let ids = params.ids("entity_ids", MOST_IDS)?.unwrap_or_default();
    ids.into_iter()
        .map(|id| {
            world
                .find(Platform::X, id)
                .filter(|key| key.kind == kind && key.its_account() == account.key)
                .map(|key| (id.to_owned(), key))
                .ok_or_else(|| XError::not_found("entity_ids", id))
        })
        .collect()
}

fn granularity(params: &Params) -> Result<Granularity, XError> {
    match params.required("granularity")? {
        "HOUR" => Ok(Granularity::Hour),
        "DAY" => Ok(Granularity::Day),
        "TOTAL" => Ok(Granularity::Total),
        other => Err(XError::invalid(
            "granularity",
            other,
            "Expected HOUR, DAY or TOTAL",
        )),
    }
}

/// One place: several have to be asked for one by one.
fn placement(params: &Params) -> Result<Placement, XError> {
    let name = params.required("placement")?;
    Placement::find(name).ok_or_else(|| {
        let message = "Expected exactly one of ALL_ON_TWITTER, SPOTLIGHT and TREND";
        XError::invalid("placement", name, message)
    })
}

fn segments(params: &Params, reach: Reach) -> Result<Option<[&'static str; 2]>, XError> {
    let Some(name) = params.get("segmentation_type") else {
        return Ok(None);
    };
    let found = SEGMENTATIONS.iter().find(|(known, _)| *known == name);
    match found {
        Some((_, names)) if reach == Reach::InBackground => Ok(Some(*names)),
        _ => Err(XError::invalid(
            "segmentation_type",
            name,
            "The segmentation is not supported by this endpoint",
        )),
    }
}

/// Days begin and end at midnights of the account, not of UTC.
fn check_midnights(account: &Account, params: &Params, span: &Span) -> Result<(), XError> {
    if span.granularity != Granularity::Day {
        return Ok(());
    }
    for (name, hour) in [("start_time", span.start), ("end_time", span.end)] {
        if !is_midnight(account, hour) {
            let message = format!(
                "Expected {name} to be midnight in the account's timezone ({}) for granularity DAY",
                account.zone.name(),
            );
            return Err(XError::invalid(name, params.required(name)?, message));
        }
    }
    Ok(())
}

fn whole_hour(account: &Account, params: &Params, name: &'static str) -> Result<Hour, XError> {
    let text = params.required(name)?;
    let at = time(text, account.zone).ok_or_else(|| {
        let message = "Expected time in the format 2026-11-01T00:00:00Z";
        XError::invalid(name, text, message)
    })?;
    if at.timestamp().rem_euclid(3_600) != 0 {
        let message = "Expected time in whole hours";
        return Err(XError::invalid(name, text, message));
    }
    Ok(hour_of(at))
}

/// A time in UTC or with an offset. A date is its midnight by the account's clock: X's own SDK knows
/// no other way to ask for days.
fn time(text: &str, zone: Tz) -> Option<DateTime<Utc>> {
    let with_offset = DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%z"));
    let at = match with_offset {
        Ok(at) => at.to_utc(),
        Err(_) => start_of(hours_of_day(zone, parse_day(text)?).start),
    };
    // Of this century: the world is no older, and nobody can count farther.
    let century = TimeDelta::days(36_500);
    let begin = DateTime::from_timestamp(946_684_800, 0)?;
    (begin..begin + century).contains(&at).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_of_utc_or_say_how_far_from_it_they_are() {
        let same = [
            "2026-11-01T07:00:00Z",
            "2026-11-01T00:00:00-07:00",
            "2026-11-01T00:00:00-0700",
        ];

        let times = same.map(|text| time(text, Tz::UTC));

        assert!(times[0].is_some());
        assert!(times.iter().all(|at| *at == times[0]));
        for wrong in ["", "today", "2026-11-01 07:00", "1726-11-01", "9999-01-01"] {
            assert_eq!(time(wrong, Tz::UTC), None, "{wrong}");
        }
    }

    #[test]
    fn a_date_is_its_midnight_by_the_accounts_clock() {
        let midnight = time("2026-10-31T13:00:00Z", Tz::UTC);

        let of_the_account = time("2026-11-01", Tz::Australia__Sydney);

        assert!(midnight.is_some());
        assert_eq!(of_the_account, midnight);
    }
}
