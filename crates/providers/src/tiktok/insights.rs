//! Figures by day or hour of the advertiser's clock: what a report is asked for, and what its rows say. Values are text, and
//! `-` says that there is none.

use std::iter;

use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use super::{
    LONGEST_WINDOW_DAYS, PLATFORM, TikTok,
    entities::{list, page_number, total_pages},
    errors, refused,
    request::{Envelope, Question},
};
use crate::{
    error::Error,
    platform::{
        Caller, Cursor, Figures, Granularity, InsightQuery, InsightRow, Level, Page,
        members::{self, NotANumber, count, number},
        wanted::Wanted,
    },
};

const MOST_ON_PAGE: u32 = 1_000;

/// Longest name of a metric or dimension that is taken from a query.
const LONGEST_NAME: usize = 64;

const CONVERSIONS: &str = "conversion";
/// Which metric holds revenue depends on what is optimised for; this is the usual one.
const REVENUE: &str = "total_purchase_value";
const NEEDED: [&str; 3] = ["spend", "impressions", "clicks"];
const OPTIONAL: [&str; 5] = ["video_play_actions", "likes", "comments", "shares", "reach"];

/// The numbers of a row by the names of their metrics.
pub(super) type Numbers<'a> = &'a dyn Fn(&str) -> Result<Option<Decimal>, NotANumber>;

/// Of what a row is.
pub(super) struct Subject {
    pub(super) entity_id: String,
    /// Day and hour, as TikTok writes them.
    pub(super) time: String,
    /// The values of the breakdowns, in the query's order.
    pub(super) groups: Vec<String>,
}

impl TikTok {
    pub(super) async fn figures(
        &self,
        caller: Caller<'_>,
        query: &InsightQuery,
        after: Option<&Cursor>,
    ) -> Result<Page<InsightRow>, Error> {
        check(query)?;
        check_window(query)?;
        let page = match after {
            Some(Cursor(page)) => page_number(page)?,
            None => 1,
        };
        let mut wanted = self.wanted(query);
        let (items, pages) = loop {
            let ended = self.page(caller, query, &wanted.names(), page).await;
            match ended {
                Err(error) if is_of_parameters(&error) && wanted.shrink(error.detail()) => {}
                ended => break ended?,
            }
        };
        self.bury(query, &wanted);
        let next = (page < pages).then(|| Cursor(page.saturating_add(1).to_string()));
        Ok(Page { items, next })
    }

    /// The rows of a page, and how many pages there are.
    async fn page(
        &self,
        caller: Caller<'_>,
        query: &InsightQuery,
        metrics: &[&str],
        page: u32,
    ) -> Result<(Vec<InsightRow>, u32), Error> {
        let size = query.page_size.unwrap_or(MOST_ON_PAGE);
        let mut parameters = parameters(query, metrics);
        parameters.insert("page".to_owned(), json!(page));
        parameters.insert("page_size".to_owned(), json!(size.clamp(1, MOST_ON_PAGE)));
        let question = Question {
            endpoint: "GET report/integrated/get/",
            parameters,
            token: Some(&caller.access.token),
            accepts: &[],
        };
        self.ask(caller.door, &question, |envelope| rows(envelope, query))
            .await
    }

    /// The metrics to ask for. Revenue can be done without unless somebody chose its metric.
    pub(super) fn wanted<'q>(&self, query: &'q InsightQuery) -> Wanted<'q> {
        let conversion = &query.conversion;
        let mut needed: Vec<&'q str> = NEEDED.to_vec();
        needed.push(conversion.conversions.as_deref().unwrap_or(CONVERSIONS));
        needed.extend(conversion.revenue.as_deref());
        let mut optional = Vec::new();
        if conversion.revenue.is_none() {
            optional.push(REVENUE);
        }
        // Reports on who people are know few metrics.
        if query.breakdowns.is_empty() {
            optional.extend(OPTIONAL);
        }
        Wanted::new(&needed, &optional, query.granularity, &self.dead)
    }

    /// Not asked for again: what a call passed without.
    pub(super) fn bury(&self, query: &InsightQuery, wanted: &Wanted<'_>) {
        if query.breakdowns.is_empty() {
            let dropped = wanted.dropped();
            self.dead.bury(PLATFORM, query.granularity, dropped);
        }
    }
}

/// Whether TikTok finds something wrong with what it was asked.
pub(super) fn is_of_parameters(error: &Error) -> bool {
    let code = errors::BAD_PARAMETER.to_string();
    matches!(error, Error::Rejected { detail } if detail.code.as_deref() == Some(code.as_str()))
}

/// What TikTok would refuse, or answer with something else than was asked for.
pub(super) fn check(query: &InsightQuery) -> Result<(), Error> {
    if query.from > query.to {
        return Err(refused("the last day is before the first"));
    }
    if !query.attribution.is_empty() {
        return Err(refused("attribution at tiktok is set with each ad group"));
    }
    let chosen = [&query.conversion.conversions, &query.conversion.revenue];
    let mut names = chosen.into_iter().flatten().chain(&query.breakdowns);
    if !names.all(|name| is_name(name)) {
        return Err(refused(
            "a metric or dimension of tiktok's is letters, digits and _",
        ));
    }
    Ok(())
}

/// Reports at once are of a month at most, or of a day by its hours.
fn check_window(query: &InsightQuery) -> Result<(), Error> {
    let longest = match query.granularity {
        Granularity::Hour => 1,
        Granularity::Day => i64::from(LONGEST_WINDOW_DAYS),
    };
    if (query.to - query.from).num_days() < longest {
        return Ok(());
    }
    Err(refused(
        "figures of tiktok are asked for 30 days at once, by the hour for one",
    ))
}

fn is_name(name: &str) -> bool {
    (1..=LONGEST_NAME).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// What a report is asked for, at once or in the background.
pub(super) fn parameters(query: &InsightQuery, metrics: &[&str]) -> Map<String, Value> {
    let dimensions: Vec<&str> = [id_dimension(query.level), time_dimension(query.granularity)]
        .into_iter()
        .chain(query.breakdowns.iter().map(String::as_str))
        .collect();
    let kind = if query.breakdowns.is_empty() {
        "BASIC"
    } else {
        "AUDIENCE"
    };
    let mut parameters = Map::new();
    let mut set = |name: &str, value: Value| parameters.insert(name.to_owned(), value);
    set("advertiser_id", json!(query.account_id));
    set("report_type", json!(kind));
    set("service_type", json!("AUCTION"));
    set("data_level", json!(data_level(query.level)));
    set("dimensions", json!(dimensions));
    set("metrics", json!(metrics));
    set("start_date", json!(query.from.to_string()));
    set("end_date", json!(query.to.to_string()));
    let filters = filters(query);
    if !filters.is_empty() {
        set("filtering", Value::Array(filters));
    }
    parameters
}

fn data_level(level: Level) -> &'static str {
    match level {
        Level::Account => "AUCTION_ADVERTISER",
        Level::Campaign => "AUCTION_CAMPAIGN",
        Level::AdSet => "AUCTION_ADGROUP",
        Level::Ad => "AUCTION_AD",
    }
}

pub(super) fn id_dimension(level: Level) -> &'static str {
    match level {
        Level::Account => "advertiser_id",
        Level::Campaign => "campaign_id",
        Level::AdSet => "adgroup_id",
        Level::Ad => "ad_id",
    }
}

pub(super) fn time_dimension(granularity: Granularity) -> &'static str {
    match granularity {
        Granularity::Hour => "stat_time_hour",
        Granularity::Day => "stat_time_day",
    }
}

/// Reports at once leave out what was deleted unless told otherwise; those in the background take no such filter.
fn filters(query: &InsightQuery) -> Vec<Value> {
    let (status, ids) = match query.level {
        Level::Account => return Vec::new(),
        Level::Campaign => ("campaign_status", "campaign_ids"),
        Level::AdSet => ("adgroup_status", "adgroup_ids"),
        Level::Ad => ("ad_status", "ad_ids"),
    };
    let all = (!query.in_background).then(|| filter(status, &json!(["STATUS_ALL"])));
    let only = (!query.entities.is_empty()).then(|| filter(ids, &json!(query.entities)));
    all.into_iter().chain(only).collect()
}

fn filter(field: &str, values: &Value) -> Value {
    json!({"field_name": field, "filter_type": "IN", "filter_value": values.to_string()})
}

fn rows(envelope: Envelope, query: &InsightQuery) -> Option<(Vec<InsightRow>, u32)> {
    let pages = total_pages(&envelope.data)?;
    let rows = list(envelope.data)?
        .iter()
        .map(|element| {
            let dimensions = element.get("dimensions")?;
            let metrics = element.get("metrics")?;
            let dimension = |name: &str| dimensions.get(name).and_then(members::id);
            let subject = Subject {
                entity_id: dimension(id_dimension(query.level))?,
                time: dimension(time_dimension(query.granularity))?,
                groups: query
                    .breakdowns
                    .iter()
                    .map(|name| dimension(name))
                    .collect::<Option<_>>()?,
            };
            row(query, subject, &|name: &str| number(metrics.get(name)))
        })
        .collect::<Option<Vec<_>>>()?;
    Some((rows, pages))
}

/// A row; `None` where it cannot be read.
pub(super) fn row(
    query: &InsightQuery,
    subject: Subject,
    numbers: Numbers<'_>,
) -> Option<InsightRow> {
    let date = NaiveDate::parse_from_str(subject.time.get(..10)?, "%Y-%m-%d").ok()?;
    let hour = match query.granularity {
        Granularity::Day => None,
        Granularity::Hour => Some(hour(&subject.time)?),
    };
    let breakdown: Vec<String> = iter::zip(&query.breakdowns, &subject.groups)
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    Some(InsightRow {
        entity_id: subject.entity_id,
        date,
        hour,
        breakdown: breakdown.join("&"),
        currency: None,
        figures: additive(query, numbers).ok()?,
        reach: numbers("reach").ok()?.map(|people| count(Some(people))),
    })
}

/// The hour of `2026-11-01 13:00:00`.
fn hour(time: &str) -> Option<u8> {
    let hour = time.get(11..13)?.parse().ok()?;
    (hour < 24).then_some(hour)
}

fn additive(query: &InsightQuery, numbers: Numbers<'_>) -> Result<Figures, NotANumber> {
    let decimal = |name: &str| numbers(name).map(Option::unwrap_or_default);
    let whole = |name: &str| numbers(name).map(count);

    let conversion = &query.conversion;
    let conversions = conversion.conversions.as_deref().unwrap_or(CONVERSIONS);
    let revenue = conversion.revenue.as_deref().unwrap_or(REVENUE);
    Ok(Figures {
        impressions: whole("impressions")?,
        clicks: whole("clicks")?,
        views: whole("video_play_actions")?,
        likes: whole("likes")?,
        comments: whole("comments")?,
        shares: whole("shares")?,
        spend: decimal("spend")?,
        conversions: decimal(conversions)?,
        revenue: decimal(revenue)?,
        // What TikTok does not tell apart.
        link_clicks: 0,
        leads: Decimal::ZERO,
    })
}
