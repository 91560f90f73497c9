//! Figures of an Instagram business account. Most metrics have only a total of the time that is asked for, so whoever wants
//! days asks for one day at a time; what lies less than 48 hours back may not be known yet.

use chrono::{Days, NaiveDate, NaiveTime};

use super::{Meta, SocialFigures, refused, social::Asked};
use crate::{error::Error, platform::Caller};

/// The metrics that are alive as far as this release knows. `impressions` is dead.
pub const METRICS: [&str; 9] = [
    "reach",
    "views",
    "accounts_engaged",
    "total_interactions",
    "likes",
    "comments",
    "shares",
    "saves",
    "profile_links_taps",
];

/// Those that have a value for each day; `follower_count` only for accounts with 100 followers, and 30 days back.
pub const METRICS_BY_DAY: [&str; 2] = ["reach", "follower_count"];

/// Most days of one question.
pub const LONGEST_DAYS: i64 = 30;

/// What values are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// All days together; every metric has this.
    Total,
    /// Each day by itself; [`METRICS_BY_DAY`] have this.
    EachDay,
}

/// Which figures to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstagramQuery {
    /// Meta's id of the account.
    pub account_id: String,
    /// The metrics, at most 50; [`METRICS`] but for those that were told to be dead.
    pub metrics: Vec<String>,
    /// The first day, of UTC.
    pub from: NaiveDate,
    /// The last day; it is read too. At most [`LONGEST_DAYS`] in all.
    pub to: NaiveDate,
    /// What values are wanted of.
    pub values: Values,
}

impl Meta {
    /// What an account's metrics say, and the metrics that are dead: whoever asks keeps them in mind. A metric without a
    /// value is told by nothing at all.
    ///
    /// # Errors
    /// [`Error::Rejected`] for more days or metrics than there may be; any other variant as Meta answers.
    pub async fn instagram_insights(
        &self,
        caller: Caller<'_>,
        query: &InstagramQuery,
    ) -> Result<SocialFigures, Error> {
        let days = (query.to - query.from).num_days() + 1;
        if !(1..=LONGEST_DAYS).contains(&days) {
            return Err(refused("figures of an account are for 1 to 30 days"));
        }
        let after = query.to.checked_add_days(Days::new(1));
        let after = after.ok_or_else(|| refused("the last day is too far away"))?;
        let midnight = |day: NaiveDate| {
            day.and_time(NaiveTime::MIN)
                .and_utc()
                .timestamp()
                .to_string()
        };
        let metric_type = match query.values {
            Values::Total => "total_value",
            Values::EachDay => "time_series",
        };
        let asked = Asked {
            endpoint: "GET {instagram_account}/insights",
            id: &query.account_id,
            metrics: &query.metrics,
            params: vec![
                ("period", "day".to_owned()),
                ("metric_type", metric_type.to_owned()),
                ("since", midnight(query.from)),
                ("until", midnight(after)),
            ],
            days: (query.from, query.to),
        };
        self.ask_social(caller, &asked).await
    }
}
