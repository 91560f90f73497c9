//! `[schedules.NAME]`: jobs that are enqueued by the clock.

use std::{str::FromStr, time::Duration};

use chrono_tz::{TZ_VARIANTS, Tz};
use serde_json::{Map, Value, json};
use toml::{Spanned, de::DeValue};

use super::{
    cron,
    names::Names,
    problem::Refusal,
    section::Section,
    shape::{Place, Shape, Text, choice, named, payload, time},
    suggest::closest,
    timetable::BuiltIn,
};

const HOUR: Duration = Duration::from_secs(3_600);

const MISFIRES: &[(&str, Misfire)] = &[
    ("skip", Misfire::Skip),
    ("run_once", Misfire::RunOnce),
    ("run_all", Misfire::RunAll),
];
const OVERLAPS: &[(&str, Overlap)] = &[("allow", Overlap::Allow), ("skip", Overlap::Skip)];

/// A cron entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// The kind of its jobs.
    pub kind: String,
    /// Five fields as in crontab(5), or six with seconds first.
    pub cron: String,
    /// The zone whose clock it goes by.
    pub timezone: Tz,
    /// The payload of its jobs, an object.
    pub payload: Value,
    /// What becomes of ticks that nobody was there for.
    pub misfire: Misfire,
    /// What becomes of a tick while a job of the schedule is not done.
    pub overlap: Overlap,
    /// The longest random delay of a tick, up to an hour.
    pub jitter: Duration,
    /// What `cron` means: it ticks whenever one of these does.
    pub(crate) lines: Vec<::cron::Schedule>,
}

/// What becomes of ticks that nobody was there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misfire {
    /// They are left out.
    Skip,
    /// One job stands for all of them.
    RunOnce,
    /// Each gets its job.
    RunAll,
}

/// What becomes of a tick while a job of the schedule is not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlap {
    /// It gets its job all the same.
    Allow,
    /// It is left out.
    Skip,
}

impl Schedule {
    /// `None` when a key is missing or wrong, which is then reported. What the section of a built-in schedule leaves out
    /// stays as it is built in.
    pub(super) fn read(name: &str, section: &mut Section<'_>, names: &Names<'_>) -> Option<Self> {
        let built_in = BuiltIn::of(name);
        let kind = section.key("kind", "The kind of its jobs.");
        let kind = match built_in {
            Some(built_in) => Some(kind.or(named("kind", &names.kinds), built_in.kind.to_owned())),
            None => kind.required(named("kind", &names.kinds)),
        };
        let cron = section.key(
            "cron",
            "When: five fields as in crontab(5), or six with seconds first.",
        );
        let expression = Text {
            expected: "a cron expression such as \"0 9 * * *\"",
            check: check_cron,
        };
        let cron = match built_in {
            Some(built_in) => Some(cron.or(expression, built_in.cron.to_owned())),
            None => cron.required(expression),
        };
        let timezone = section
            .key(
                "timezone",
                "The zone whose clock it goes by, such as \"Europe/Berlin\".",
            )
            .or(Zone, Tz::UTC);
        let payload = section
            .key("payload", "The payload of its jobs.")
            .or(payload(), built_in.map_or_else(empty, BuiltIn::payload));
        let misfire = section
            .key(
                "misfire",
                "What becomes of ticks that nobody was there for.",
            )
            .or(choice(MISFIRES), Misfire::RunOnce);
        let overlap = section
            .key(
                "overlap",
                "What becomes of a tick while a job of the schedule is not done.",
            )
            .or(choice(OVERLAPS), Overlap::Skip);
        let jitter = section
            .key("jitter", "The longest random delay of a tick, 0s to 1h.")
            .or(time(Duration::ZERO..=HOUR), Duration::ZERO);

        let (kind, cron) = (kind?, cron?);
        if section.is_given() && !names.acts_on(&kind) {
            section.warn_of_no_effect();
        }
        Some(Self {
            lines: cron::parse(&cron).ok()?,
            kind,
            cron,
            timezone,
            payload,
            misfire,
            overlap,
            jitter,
        })
    }
}

fn empty() -> Value {
    Value::Object(Map::new())
}

fn check_cron(text: &str) -> Result<(), Refusal> {
    match cron::parse(text) {
        Ok(_) => Ok(()),
        Err(error) => {
            let suggestion = error.suggestion();
            Err(Refusal::new(error).suggesting(suggestion))
        }
    }
}

/// A zone of the IANA database.
struct Zone;

impl Shape for Zone {
    type Value = Tz;

    fn read(&self, found: &Spanned<DeValue<'_>>, place: &mut Place<'_>) -> Option<Tz> {
        let DeValue::String(name) = found.get_ref() else {
            return place.expected("a time zone such as \"Europe/Berlin\"", found);
        };
        match Tz::from_str(name) {
            Ok(zone) => Some(zone),
            Err(_) => {
                let refusal = Refusal::new(format!("unknown time zone {name:?}"));
                place.refuse(found.span(), refusal.suggesting(nearest_zone(name)))
            }
        }
    }

    fn show(&self, value: &Tz) -> Value {
        Value::from(value.name())
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "examples": ["UTC", "Europe/Berlin", "America/New_York"] })
    }
}

/// A zone is often named by its city alone.
fn nearest_zone(name: &str) -> Option<String> {
    let zones = || TZ_VARIANTS.iter().map(|zone| zone.name());
    let city = name.replace(' ', "_");
    let is_in_city = |zone: &&str| {
        let last = zone.rsplit('/').next().unwrap_or_default();
        last.eq_ignore_ascii_case(&city)
    };
    match zones().find(is_in_city) {
        Some(zone) => Some(zone.to_owned()),
        None => closest(name, zones()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_found_by_its_city_and_through_a_typing_error() {
        let suggestions =
            ["berlin", "New York", "Europe/Berln", "nowhere at all"].map(nearest_zone);

        assert_eq!(
            suggestions.map(Option::unwrap_or_default),
            ["Europe/Berlin", "America/New_York", "Europe/Berlin", ""]
        );
    }
}
