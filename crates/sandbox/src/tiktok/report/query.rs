//! What a report is asked for: of which things, by which times, and which metrics.

use chrono::{DateTime, NaiveDate, Utc};

use super::{
    audience::{Group, MOST_GROUPS},
    filter::{self, Only},
    metric::Metric,
};
use crate::{
    tiktok::{error::TikTokError, params::Params},
    world::{Account, Grain, Kind, Position, RowQuery, Rows, World, day_of, parse_day},
};

/// Each level, the things that it is of, and the dimension that names them.
const LEVELS: [(&str, Kind, &str); 4] = [
    ("AUCTION_ADVERTISER", Kind::Account, "advertiser_id"),
    ("AUCTION_CAMPAIGN", Kind::Campaign, "campaign_id"),
    ("AUCTION_ADGROUP", Kind::AdSet, "adgroup_id"),
    ("AUCTION_AD", Kind::Ad, "ad_id"),
];
/// What is told where nobody says what.
const USUAL: [&str; 2] = ["spend", "impressions"];

/// A dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dimension {
    /// Of the thing that a row is of.
    Id(&'static str),
    Day,
    Hour,
    /// Of the people.
    Group(Group),
}

/// What sort of report it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Basic,
    /// On who people are.
    Audience,
}

impl Dimension {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Id(name) => name,
            Self::Day => "stat_time_day",
            Self::Hour => "stat_time_hour",
            Self::Group(group) => group.as_str(),
        }
    }

    fn find(name: &str, sort: Sort) -> Option<Self> {
        let ids = LEVELS.map(|(_, _, id)| Self::Id(id));
        let others = match sort {
            Sort::Basic => vec![Self::Day, Self::Hour],
            // By the hour nobody is told apart.
            Sort::Audience => {
                let groups = Group::ALL.map(Self::Group);
                groups.into_iter().chain([Self::Day]).collect()
            }
        };
        ids.into_iter()
            .chain(others)
            .find(|dimension| dimension.as_str() == name)
    }
}

impl Sort {
    /// # Errors
    /// 40002 for any other one.
    fn read(params: &Params) -> Result<Self, TikTokError> {
        match params.required("report_type")? {
            "BASIC" => Ok(Self::Basic),
            "AUDIENCE" => Ok(Self::Audience),
            other => Err(TikTokError::parameter(format!(
                "report_type: {other} is not supported. Must be BASIC or AUDIENCE."
            ))),
        }
    }
}

/// What a report is asked for.
pub(super) struct ReportQuery {
    pub(super) level: Kind,
    /// In the order in which they were named.
    pub(super) dimensions: Vec<Dimension>,
    /// By what people are told apart.
    pub(super) groups: Vec<Group>,
    pub(super) metrics: Vec<Metric>,
    grain: Grain,
    /// The first day and the last; `None` for everything there ever was.
    days: Option<(NaiveDate, NaiveDate)>,
    only: Only,
}

impl ReportQuery {
    /// # Errors
    /// 40002 for whatever cannot be asked: one metric that there is not fails all of it.
    pub(super) fn read(params: &Params) -> Result<Self, TikTokError> {
        let sort = Sort::read(params)?;
        let service = params.text("service_type")?.unwrap_or("AUCTION");
        check_word(service, "service_type", "AUCTION")?;
        let named = params.required("data_level")?;
        let found = LEVELS.into_iter().find(|(name, ..)| *name == named);
        let (_, level, id) = found.ok_or_else(|| {
            TikTokError::parameter(format!("data_level: {named} is not a valid choice."))
        })?;
        let dimensions = dimensions(params, id, sort)?;
        let groups = dimensions.iter().filter_map(|dimension| match dimension {
            Dimension::Group(group) => Some(*group),
            Dimension::Id(_) | Dimension::Day | Dimension::Hour => None,
        });
        let grain = if dimensions.contains(&Dimension::Hour) {
            Grain::Hour
        } else if dimensions.contains(&Dimension::Day) {
            Grain::Day
        } else {
            Grain::Whole
        };
        Ok(Self {
            level,
            groups: groups.collect(),
            dimensions,
            metrics: metrics(params, level, sort)?,
            grain,
            days: days(params, grain)?,
            only: filter::read(params, level)?,
        })
    }

    /// The rows of an advertiser, as they are seen at a moment.
    pub(super) fn rows<'w>(
        &self,
        world: &'w World,
        account: &Account,
        seen: DateTime<Utc>,
    ) -> Rows<'w> {
        let (from, to) = self.days.unwrap_or_else(|| {
            let first = day_of(account.zone, account.created_at);
            (first, day_of(account.zone, seen))
        });
        let query = RowQuery {
            account: account.key,
            level: self.level,
            only: self.only.keys(world, account.key, self.level),
            grain: self.grain,
            from,
            to,
            seen,
        };
        world.rows(&query, Position::default())
    }
}

fn check_word(text: &str, name: &str, only: &str) -> Result<(), TikTokError> {
    if text == only {
        return Ok(());
    }
    Err(TikTokError::parameter(format!(
        "{name}: {text} is not supported. Must be {only}."
    )))
}

/// The dimensions: one that names things, that of the level, at most one of time, and those of people
/// where they are told apart.
fn dimensions(params: &Params, id: &str, sort: Sort) -> Result<Vec<Dimension>, TikTokError> {
    let names = params.words("dimensions")?;
    let names = names.ok_or_else(|| TikTokError::missing("dimensions"))?;
    let dimensions = names
        .iter()
        .map(|name| {
            Dimension::find(name, sort).ok_or_else(|| {
                TikTokError::parameter(format!("dimensions: {name} is not a valid dimension."))
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let is_id = |dimension: &&Dimension| matches!(dimension, Dimension::Id(_));
    let ids: Vec<_> = dimensions.iter().filter(is_id).collect();
    if ids.len() != 1 || ids.iter().any(|dimension| dimension.as_str() != id) {
        return Err(TikTokError::parameter(format!(
            "dimensions: Exactly one ID dimension is required, and it must be {id} at this \
             data_level."
        )));
    }
    let is_group = |dimension: &&Dimension| matches!(dimension, Dimension::Group(_));
    let groups: Vec<_> = dimensions.iter().filter(is_group).collect();
    if dimensions.len() - groups.len() > 2 {
        return Err(TikTokError::parameter(
            "dimensions: At most one time dimension is allowed.",
        ));
    }
    let is_twice = groups.len() == 2 && groups[0] == groups[1];
    if is_twice || groups.len() > MOST_GROUPS || (sort == Sort::Audience && groups.is_empty()) {
        return Err(TikTokError::parameter(
            "dimensions: One or two different audience dimensions are required.",
        ));
    }
    Ok(dimensions)
}

fn metrics(params: &Params, level: Kind, sort: Sort) -> Result<Vec<Metric>, TikTokError> {
    let usual = || USUAL.map(str::to_owned).to_vec();
    let names = params.words("metrics")?.unwrap_or_else(usual);
    names
        .iter()
        .map(|name| {
            let found = Metric::find(name, level);
            let is_told = |metric: &Metric| sort == Sort::Basic || metric.is_of_people();
            found.filter(is_told).ok_or_else(|| {
                TikTokError::parameter(format!("metrics: Invalid metric fields: ['{name}']."))
            })
        })
        .collect()
}

/// The days that are asked for, both of them included, by the advertiser's clock.
fn days(params: &Params, grain: Grain) -> Result<Option<(NaiveDate, NaiveDate)>, TikTokError> {
    if params.flag("query_lifetime") {
        if grain != Grain::Whole {
            return Err(TikTokError::parameter(
                "query_lifetime: No time dimension is allowed with it.",
            ));
        }
        return Ok(None);
    }
    let day = |name: &str| {
        parse_day(params.required(name)?)
            .ok_or_else(|| TikTokError::parameter(format!("{name}: Not a valid date.")))
    };
    let (from, to) = (day("start_date")?, day("end_date")?);
    if to < from {
        return Err(TikTokError::parameter(
            "end_date: Must not be earlier than start_date.",
        ));
    }
    let most = match grain {
        Grain::Hour => 1,
        Grain::Day => 30,
        Grain::Days(_) | Grain::Month | Grain::Whole => 365,
    };
    if (to - from).num_days() >= most {
        return Err(TikTokError::parameter(format!(
            "The date range cannot exceed {most} day(s) with these dimensions."
        )));
    }
    Ok(Some((from, to)))
}
