//! Figures of a Page, by days that end at midnight in California. They are asked for with the Page's own token, which
//! [`Meta::managed_pages`] tells.

use chrono::{Days, NaiveDate};

use super::{Meta, SocialFigures, refused, social::Asked};
use crate::{error::Error, platform::Caller};

/// The metrics that are alive as far as this release knows. Those of `page_impressions` and `page_fans` are dead.
pub const METRICS: [&str; 8] = [
    "page_media_view",
    "page_total_media_view_unique",
    "page_follows",
    "page_daily_follows_unique",
    "page_daily_unfollows_unique",
    "page_post_engagements",
    "page_views_total",
    "page_video_views",
];

/// Most days of one question.
pub const LONGEST_DAYS: i64 = 89;

/// Which figures to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageQuery {
    /// Meta's id of the Page.
    pub page_id: String,
    /// The metrics, at most 50; [`METRICS`] but for those that were told to be dead.
    pub metrics: Vec<String>,
    /// The first day.
    pub from: NaiveDate,
    /// The last day; it is read too. At most [`LONGEST_DAYS`] in all.
    pub to: NaiveDate,
}

impl Meta {
    /// A value for each metric and day, and the metrics that are dead: whoever asks keeps them in mind. The caller's token is
    /// the Page's.
    ///
    /// # Errors
    /// [`Error::Rejected`] for more days or metrics than there may be; any other variant as Meta answers.
    pub async fn page_insights(
        &self,
        caller: Caller<'_>,
        query: &PageQuery,
    ) -> Result<SocialFigures, Error> {
        let days = (query.to - query.from).num_days() + 1;
        if !(1..=LONGEST_DAYS).contains(&days) {
            return Err(refused("figures of a page are for 1 to 89 days"));
        }
        // A value is dated by the end of its day, which is in the morning after by UTC: the end of the last day lies before
        // the second midnight after it.
        let until = query.to.checked_add_days(Days::new(2));
        let until = until.ok_or_else(|| refused("the last day is too far away"))?;
        let asked = Asked {
            endpoint: "GET {page}/insights",
            id: &query.page_id,
            metrics: &query.metrics,
            params: vec![
                ("period", "day".to_owned()),
                ("since", query.from.to_string()),
                ("until", until.to_string()),
            ],
            days: (query.from, query.to),
        };
        self.ask_social(caller, &asked).await
    }
}
