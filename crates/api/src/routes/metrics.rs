//! What accounts have achieved: figures, added up, as JSON and as CSV.

use std::str::FromStr;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Datelike, NaiveDate, TimeDelta};
use marketing::{
    accounts::AccountId,
    performance::{
        Answer, Grain, GroupBy, LONGEST_HOURS, LONGEST_PERIOD, NormalForm, Performance, Period,
        Question, Range,
    },
    platform::{Level, Platform},
};
use tokio::task::spawn_blocking;

use crate::{
    answers::{MetricsReport, metrics_csv},
    auth::{Caller, Scope},
    error::ApiError,
    openapi::Operations,
    problem::FieldProblem,
    query::QueryString,
    state::ApiState,
};

/// What is told where nobody says which days.
const USUAL: Range = Range::LastDays(30);
const CSV: &str = "text/csv";
const JSON: &str = "application/json";
const DAY_OR_TIME: Unlike =
    Unlike("a day such as 2026-01-31, or a time such as 2026-01-31T00:00:00Z");

pub(super) fn operations(operations: Operations) -> Operations {
    operations
        .tag("metrics")
        .key(Scope::Read, __path_read_metrics, read_metrics)
}

/// There is no such word.
#[derive(Debug, thiserror::Error)]
#[error("must be {0}")]
struct Unlike(&'static str);

/// The first day; a time stands for the day that it names.
struct FirstDay(NaiveDate);

impl FromStr for FirstDay {
    type Err = Unlike;

    fn from_str(text: &str) -> Result<Self, Unlike> {
        day(text, TimeDelta::zero()).map(Self)
    }
}

/// The last day. A time is where the period ends: midnight stands for the day before.
struct LastDay(NaiveDate);

impl FromStr for LastDay {
    type Err = Unlike;

    fn from_str(text: &str) -> Result<Self, Unlike> {
        day(text, TimeDelta::nanoseconds(1)).map(Self)
    }
}

/// A day, or that of so long before a time. Figures are of days by many clocks, so that a time's is the one that is written.
fn day(text: &str, before: TimeDelta) -> Result<NaiveDate, Unlike> {
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
    let day = day.or_else(|| {
        let time = DateTime::parse_from_rfc3339(text).ok()?.naive_local();
        Some(time.checked_sub_signed(before)?.date())
    });
    // PostgreSQL's calendar begins later than chrono's.
    day.filter(|day| (0..=9_999).contains(&day.year()))
        .ok_or(DAY_OR_TIME)
}

struct OfLevel(Level);

impl FromStr for OfLevel {
    type Err = Unlike;

    fn from_str(text: &str) -> Result<Self, Unlike> {
        let mut levels = Level::ALL.into_iter();
        let found = levels.find(|level| level.as_str() == text);
        found
            .map(Self)
            .ok_or(Unlike("account, campaign, ad_set or ad"))
    }
}

/// By what figures are told apart, and the level that this asks for.
#[derive(Default)]
struct Groups {
    by: GroupBy,
    level: Option<Level>,
}

impl FromStr for Groups {
    type Err = Unlike;

    fn from_str(text: &str) -> Result<Self, Unlike> {
        let mut groups = Self::default();
        for word in text.split(',') {
            match word.trim() {
                "tenant" => groups.by.tenant = true,
                "platform" => groups.by.platform = true,
                "account" => groups.by.account = true,
                "entity" => groups.by.entity = true,
                word => {
                    let OfLevel(level) = word.parse::<OfLevel>().map_err(|_| {
                        Unlike("some of tenant, platform, account, entity, or campaign, ad_set or ad, with commas between")
                    })?;
                    if groups.level.is_some_and(|other| other != level) {
                        return Err(Unlike("of one of campaign, ad_set and ad"));
                    }
                    groups.by.entity = true;
                    groups.level = Some(level);
                }
            }
        }
        Ok(groups)
    }
}

/// With what figures are compared.
struct PreviousPeriod;

impl FromStr for PreviousPeriod {
    type Err = Unlike;

    fn from_str(text: &str) -> Result<Self, Unlike> {
        match text {
            "previous_period" => Ok(Self),
            _ => Err(Unlike("previous_period")),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Csv,
}

impl FromStr for Format {
    type Err = Unlike;

    fn from_str(text: &str) -> Result<Self, Unlike> {
        match text {
            "json" => Ok(Self::Json),
            "csv" => Ok(Self::Csv),
            _ => Err(Unlike("json or csv")),
        }
    }
}

/// What a query asks for, before anybody knows which day is today.
struct Asked {
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
    range: Option<Range>,
    tenant: Option<String>,
    platform: Option<Platform>,
    account: Option<AccountId>,
    level: Option<Level>,
    grain: Grain,
    groups: Groups,
    is_compared: bool,
    format: Option<Format>,
}

impl Asked {
    fn read(mut query: QueryString, caller: &Caller) -> Result<Self, ApiError> {
        let asked = Self {
            from: query.word::<FirstDay>("from").map(|day| day.0),
            to: query.word::<LastDay>("to").map(|day| day.0),
            range: query.word("range"),
            tenant: caller.tenant_for(query.text("tenant"))?,
            platform: query.word::<Platform>("platform"),
            account: query.word("account"),
            level: query.word::<OfLevel>("level").map(|of| of.0),
            grain: query.word("granularity").unwrap_or(Grain::Day),
            groups: query.word("group_by").unwrap_or_default(),
            is_compared: query.word::<PreviousPeriod>("compare").is_some(),
            format: query.word("format"),
        };
        query.finish()?;
        Ok(asked)
    }

    fn period(&self, today: NaiveDate) -> Result<Period, ApiError> {
        let period = match (self.range, self.from, self.to) {
            (Some(_), Some(_), _) | (Some(_), _, Some(_)) => {
                return Err(wrong(
                    "range",
                    "stands for from and to: give one or the others",
                ));
            }
            (None, None, Some(_)) => return Err(wrong("from", "is required where there is a to")),
            (None, Some(from), to) => Some(Period {
                from,
                to: to.unwrap_or(today),
            }),
            (range, None, None) => range.unwrap_or(USUAL).period(today),
        };
        let Some(period) = period.filter(|period| period.from <= period.to) else {
            return Err(match self.to {
                Some(_) => wrong(
                    "to",
                    "must not be before from; a time ends the days before it",
                ),
                None => wrong(
                    "from",
                    format!("must not be after to, which is {today} unless said"),
                ),
            });
        };
        let longest = match self.grain {
            Grain::Hour => LONGEST_HOURS,
            Grain::Day | Grain::Week | Grain::Month | Grain::Total => LONGEST_PERIOD,
        };
        if period.days() > longest {
            let message = format!("makes more than {longest} days, the most of this granularity");
            return Err(wrong("from", message));
        }
        Ok(period)
    }

    fn level(&self) -> Result<Level, ApiError> {
        match (self.level, self.groups.level) {
            (Some(level), Some(group)) if level != group => Err(wrong(
                "group_by",
                format!("does not fit level={}", level.as_str()),
            )),
            (level, group) => Ok(level.or(group).unwrap_or(Level::Account)),
        }
    }
}

fn wrong(parameter: &str, message: impl Into<String>) -> ApiError {
    ApiError::MalformedRequest {
        detail: "the query has wrong parameters".to_owned(),
        errors: vec![FieldProblem::new(format!("?{parameter}"), message)],
    }
}

/// Adds figures up, in one form for all platforms.
///
/// Days, weeks, months and hours are those of each account's own clock. Money is decimal text. Every ratio comes from sums,
/// and is null where its divisor is zero; people who were reached are never added up. At most 10,000 items: who wants more
/// asks for fewer days or coarser ones.
#[utoipa::path(
    get,
    path = "/v1/metrics",
    params(
        ("from" = Option<String>, Query, description = "The first day, such as `2026-10-01`; a time stands for the day that is written in it"),
        ("to" = Option<String>, Query, description = "The last day, which is told too; a time is where it ends: `2026-11-01T00:00:00Z` is the end of `2026-10-31`; today unless said"),
        ("range" = Option<String>, Query, description = "Instead of both: `today`, `yesterday`, `last_7d` (any number of days that are over), `this_month`, `last_month`, `this_year`, `last_year`; `last_30d` unless said. Today is by the clock of the account that is asked for, else by UTC"),
        ("level" = Option<String>, Query, description = "Figures of what are added up: `account`, `campaign`, `ad_set` or `ad`; each level tells the whole"),
        ("platform" = Option<String>, Query, description = "Only `meta`, `google_ads`, `linkedin`, `tiktok` or `x`"),
        ("account" = Option<Uuid>, Query, description = "Only this account's"),
        ("tenant" = Option<String>, Query, description = "Only this tenant's"),
        ("granularity" = Option<String>, Query, description = "`hour` (of about the last week), `day`, `week`, `month` or `total`; `day` unless said"),
        ("group_by" = Option<String>, Query, description = "Some of `tenant`, `platform`, `account`, `entity`, with commas between; `campaign`, `ad_set` and `ad` stand for `entity` at that level"),
        ("compare" = Option<String>, Query, description = "`previous_period`: with as many days before, or as many months where they are whole months; as `json` alone"),
        ("format" = Option<String>, Query, description = "`json` or `csv`; also asked for by `Accept: text/csv`"),
    ),
    responses((status = 200, description = "The figures", content(
        (MetricsReport = "application/json"),
        (String = "text/csv"),
    ))),
)]
async fn read_metrics(
    State(state): State<ApiState>,
    caller: Caller,
    headers: HeaderMap,
    query: QueryString,
) -> Result<Response, ApiError> {
    let asked = Asked::read(query, &caller)?;
    let format = asked.format.unwrap_or_else(|| wanted(&headers));
    if format == Format::Csv && asked.is_compared {
        return Err(wrong("compare", "is told as json alone"));
    }
    let performance = Performance::new(state.queue().clone());
    let today = performance
        .today(asked.account, asked.tenant.as_deref())
        .await?;
    let question = Question {
        period: asked.period(today)?,
        level: asked.level()?,
        grain: asked.grain,
        by: asked.groups.by,
        tenant: asked.tenant.clone(),
        platform: asked.platform,
        account: asked.account,
    };
    let form = performance.normal_form().await?;
    let answer = Box::pin(performance.answer(&question)).await?;
    let before = if asked.is_compared {
        Box::pin(performance.before(&question, &answer)).await?
    } else {
        None
    };
    // Thousands of items take so long to write that others would wait for it.
    let written = spawn_blocking(move || match format {
        Format::Csv => as_csv(&form, &answer),
        Format::Json => Json(MetricsReport::new(&form, &question, answer, before)).into_response(),
    });
    Ok(written.await?)
}

/// What the headers ask for: what they name first.
fn wanted(headers: &HeaderMap) -> Format {
    let accepted = headers.get(header::ACCEPT).and_then(|it| it.to_str().ok());
    let kinds = accepted.unwrap_or_default().split(',');
    let mut kinds = kinds.filter_map(|kind| kind.split(';').next().map(str::trim));
    if kinds.find(|kind| [CSV, JSON].contains(kind)) == Some(CSV) {
        Format::Csv
    } else {
        Format::Json
    }
}

fn as_csv(form: &NormalForm, answer: &Answer) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"metrics.csv\"",
        ),
    ];
    (headers, metrics_csv(form, &answer.items)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_words_with_commas_between() {
        let groups: Groups = "platform, campaign".parse().expect("groups");

        assert!(groups.by.platform && groups.by.entity && !groups.by.account);
        assert_eq!(groups.level, Some(Level::Campaign));
        for wrong in ["", "campaign,ad", "plattform", "platform,"] {
            assert!(wrong.parse::<Groups>().is_err(), "{wrong}");
        }
    }

    // Fails when a week between two midnights has eight days, or a time is taken to another clock's day.
    #[test]
    fn a_time_stands_for_its_day_and_ends_the_days_before_it() {
        let first = |text: &str| text.parse().ok().map(|FirstDay(day)| day.to_string());
        let last = |text: &str| text.parse().ok().map(|LastDay(day)| day.to_string());

        for (text, began, ended) in [
            ("2026-11-08", "2026-11-08", "2026-11-08"),
            ("2026-11-08T00:00:00Z", "2026-11-08", "2026-11-07"),
            ("2026-11-08T00:00:00.000Z", "2026-11-08", "2026-11-07"),
            ("2026-11-08T00:00:00-05:00", "2026-11-08", "2026-11-07"),
            ("2026-11-08T00:00:01+09:00", "2026-11-08", "2026-11-08"),
            ("2026-11-08T23:59:59.999Z", "2026-11-08", "2026-11-08"),
        ] {
            assert_eq!(first(text).as_deref(), Some(began), "{text}");
            assert_eq!(last(text).as_deref(), Some(ended), "{text}");
        }
        for text in ["2026-11-08T00:00:00", "-5000-01-01", "+12026-01-01", ""] {
            assert_eq!((first(text), last(text)), (None, None), "{text}");
        }
    }

    #[test]
    fn the_header_asks_for_csv_by_its_name() {
        let accept = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, text.parse().expect("a header"));
            wanted(&headers)
        };

        assert!(accept("text/csv") == Format::Csv);
        assert!(accept("text/html, text/csv;q=0.9") == Format::Csv);
        assert!(accept("application/json, text/csv;q=0.5") == Format::Json);
        assert!(accept("*/*") == Format::Json);
        assert!(wanted(&HeaderMap::new()) == Format::Json);
    }
}
