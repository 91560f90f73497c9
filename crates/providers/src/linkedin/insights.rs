//! Figures by days of UTC. Without naming them LinkedIn gives two metrics and no error, so all are named, in as many calls as
//! it takes; a result is never paged, and one that is full may be cut.

use std::{collections::BTreeMap, iter};

use chrono::{NaiveDate, Utc};
use serde_json::{Map, Value};

use super::{
    LONGEST_WINDOW_DAYS, LinkedIn, PLATFORM, PROVIDER,
    entities::digits,
    refused,
    request::Question,
    restli::{Query, bare, date_range, list},
};
use crate::{
    error::{Detail, Error},
    platform::{
        Caller, Figures, Granularity, InsightQuery, InsightRow, Level,
        members::{self, NotANumber, count, number},
        wanted::{DeadMetrics, Wanted},
    },
};

/// Most elements of a result. One with as many is taken for cut.
const MOST_ELEMENTS: usize = 15_000;

/// Most metrics of one call: LinkedIn takes 20 fields, and two of them say of what and of when the others are.
const METRICS_PER_CALL: usize = 18;

/// Most things that figures can be grouped by in one call.
const MOST_PIVOTS: usize = 3;

/// Longest name of a metric or pivot that is taken from a query.
const LONGEST_NAME: usize = 64;

/// Pivots by who the people are. They stand alone, and their figures are approximate.
const PEOPLE: &str = "MEMBER_";

const CONVERSIONS: &str = "externalWebsiteConversions";
const LEADS: &str = "oneClickLeads";
const REVENUE: &str = "conversionValueInLocalCurrency";
const REACH: &str = "approximateMemberReach";
const NEEDED: [&str; 5] = [
    "impressions",
    "clicks",
    "landingPageClicks",
    "costInLocalCurrency",
    LEADS,
];
const OPTIONAL: [&str; 5] = ["videoViews", "likes", "comments", "shares", REACH];

/// Of what a figure is: what its pivots say, and the day.
type Key = (Vec<String>, NaiveDate);

/// Everything that is told of a key.
pub(super) type Rows = BTreeMap<Key, Map<String, Value>>;

/// A query in LinkedIn's words.
struct Plan {
    /// All but the fields.
    query: Query,
    /// What all rows are of; `None`: the first of their pivots says it.
    of: Option<String>,
}

impl LinkedIn {
    pub(super) async fn figures(
        &self,
        caller: Caller<'_>,
        query: &InsightQuery,
    ) -> Result<Vec<InsightRow>, Error> {
        let plan = plan(query)?;
        let mut wanted = wanted(query, &self.memory.dead);
        let rows = loop {
            let ended = self.rows(caller, &plan.query, &wanted.names()).await;
            match ended {
                Err(error) if is_of_parameters(&error) && wanted.shrink(error.detail()) => {}
                ended => break ended?,
            }
        };
        if query.breakdowns.is_empty() {
            let dropped = wanted.dropped();
            self.memory.dead.bury(PLATFORM, query.granularity, dropped);
        }

        rows.into_iter()
            .map(|(key, metrics)| row(query, plan.of.as_deref(), key, &metrics))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(unreadable)
    }

    /// The metrics of all rows, asked for in portions and put together.
    pub(super) async fn rows(
        &self,
        caller: Caller<'_>,
        query: &Query,
        metrics: &[&str],
    ) -> Result<Rows, Error> {
        let mut all = Rows::new();
        for portion in metrics.chunks(METRICS_PER_CALL) {
            let fields = format!("dateRange,pivotValues,{}", portion.join(","));
            let question = Question {
                endpoint: "GET adAnalytics",
                account: None,
                query: query.clone().with("fields", &fields),
                names_finder: false,
            };
            // Rows without activity do not come, and each portion has other rows without.
            for (key, told) in self.portion(caller, &question).await? {
                all.entry(key).or_default().extend(told);
            }
        }
        Ok(all)
    }

    async fn portion(&self, caller: Caller<'_>, question: &Question<'_>) -> Result<Rows, Error> {
        let key = question.query.as_str();
        match self.ask(caller, question, elements).await {
            Ok(rows) if rows.len() >= MOST_ELEMENTS => Err(Error::TooLarge {
                detail: Detail::new(PROVIDER, "the result is as long as results can be", &[]),
            }),
            Ok(rows) => {
                self.memory.unready.take(key, Utc::now());
                Ok(rows)
            }
            Err(error) if error.detail().status == Some(504) => {
                let again = |times: Option<u32>| times.map_or(1, |times| times.saturating_add(1));
                let times = self.memory.unready.update(key, Utc::now(), again);
                Err(if times > 1 { too_large(error) } else { error })
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether LinkedIn finds something wrong with what it was asked.
fn is_of_parameters(error: &Error) -> bool {
    matches!(error, Error::Rejected { detail } if detail.status == Some(400))
}

/// Once it is LinkedIn's own matter that it did not get ready in time, twice it is the question's.
fn too_large(error: Error) -> Error {
    Error::TooLarge {
        detail: error.detail().clone(),
    }
}

fn plan(query: &InsightQuery) -> Result<Plan, Error> {
    check(query)?;
    let account = digits(&query.account_id)?;
    let level = pivot(query.level);
    let (finder, of) = match query.breakdowns.as_slice() {
        [] => (
            Query::finder("analytics").with("pivot", &value(level)),
            None,
        ),
        [people] if people.starts_with(PEOPLE) => (
            Query::finder("analytics").with("pivot", &value(people)),
            whose(query),
        ),
        breakdowns => {
            let pivots = iter::once(level).chain(breakdowns.iter().map(String::as_str));
            (
                Query::finder("statistics").with("pivots", &list(pivots)),
                None,
            )
        }
    };
    let finder = finder
        .with("timeGranularity", &value("DAILY"))
        .with("dateRange", &date_range(query.from, query.to))
        .with(
            "accounts",
            &list([format!("urn:li:sponsoredAccount:{account}")]),
        );
    let finder = match facet(query.level) {
        Some((facet, urn)) if !query.entities.is_empty() => {
            let urns = query.entities.iter().map(|id| format!("urn:li:{urn}:{id}"));
            finder.with(facet, &list(urns))
        }
        _ => finder,
    };
    Ok(Plan { query: finder, of })
}

/// What LinkedIn would refuse, or answer with something else than was asked for.
fn check(query: &InsightQuery) -> Result<(), Error> {
    let days = (query.to - query.from).num_days() + 1;
    if query.granularity == Granularity::Hour {
        return Err(refused("linkedin tells no figures by the hour"));
    }
    if !(1..=i64::from(LONGEST_WINDOW_DAYS)).contains(&days) {
        return Err(refused(
            "figures of linkedin are asked for 1 to 92 days at once",
        ));
    }
    if !query.attribution.is_empty() {
        return Err(refused(
            "attribution at linkedin is set with each conversion",
        ));
    }
    for id in &query.entities {
        digits(id)?;
    }
    let chosen = [&query.conversion.conversions, &query.conversion.revenue];
    let mut names = chosen.into_iter().flatten().chain(&query.breakdowns);
    if !names.all(|name| is_name(name)) {
        return Err(refused(
            "a metric or pivot of linkedin's is letters, digits and _",
        ));
    }
    let breakdowns = &query.breakdowns;
    let is_of_people = breakdowns.iter().any(|pivot| pivot.starts_with(PEOPLE));
    if is_of_people && (breakdowns.len() > 1 || whose(query).is_none()) {
        return Err(refused(
            "linkedin tells who people are for the whole account or one entity, and by one pivot alone",
        ));
    }
    if breakdowns.len() >= MOST_PIVOTS {
        return Err(refused("linkedin groups by two breakdowns at most"));
    }
    Ok(())
}

fn is_name(name: &str) -> bool {
    (1..=LONGEST_NAME).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The one thing that all of a query's figures are of, where it is one.
fn whose(query: &InsightQuery) -> Option<String> {
    match (query.level, query.entities.as_slice()) {
        (Level::Account, _) => Some(query.account_id.clone()),
        (_, [one]) => Some(one.clone()),
        _ => None,
    }
}

fn value(word: &str) -> String {
    format!("(value:{word})")
}

fn pivot(level: Level) -> &'static str {
    match level {
        Level::Account => "ACCOUNT",
        Level::Campaign => "CAMPAIGN_GROUP",
        Level::AdSet => "CAMPAIGN",
        Level::Ad => "CREATIVE",
    }
}

/// The parameter that names entities of a level, and the sort of their URNs.
fn facet(level: Level) -> Option<(&'static str, &'static str)> {
    match level {
        Level::Account => None,
        Level::Campaign => Some(("campaignGroups", "sponsoredCampaignGroup")),
        Level::AdSet => Some(("campaigns", "sponsoredCampaign")),
        Level::Ad => Some(("creatives", "sponsoredCreative")),
    }
}

fn wanted<'q>(query: &'q InsightQuery, dead: &DeadMetrics) -> Wanted<'q> {
    let mut needed: Vec<&'q str> = NEEDED.to_vec();
    let conversion = &query.conversion;
    needed.push(conversion.conversions.as_deref().unwrap_or(CONVERSIONS));
    needed.push(conversion.revenue.as_deref().unwrap_or(REVENUE));
    // Most of the others are not told by breakdowns.
    let optional: &[&'static str] = if query.breakdowns.is_empty() {
        &OPTIONAL
    } else {
        &[]
    };
    Wanted::new(&needed, optional, query.granularity, dead)
}

/// The elements of an answer by what they are of.
fn elements(mut body: Value) -> Option<Rows> {
    let Value::Array(elements) = body.get_mut("elements")?.take() else {
        return None;
    };
    elements
        .into_iter()
        .map(|element| {
            let Value::Object(element) = element else {
                return None;
            };
            let pivots = element.get("pivotValues")?.as_array()?;
            let pivots = pivots.iter().map(members::id).collect::<Option<Vec<_>>>()?;
            let day = day(element.get("dateRange")?.get("start")?)?;
            Some(((pivots, day), element))
        })
        .collect()
}

fn day(date: &Value) -> Option<NaiveDate> {
    let part = |name: &str| date.get(name).and_then(members::integer);
    NaiveDate::from_ymd_opt(
        part("year")?.try_into().ok()?,
        part("month")?.try_into().ok()?,
        part("day")?.try_into().ok()?,
    )
}

fn row(
    query: &InsightQuery,
    of: Option<&str>,
    (pivots, date): Key,
    metrics: &Map<String, Value>,
) -> Option<InsightRow> {
    let (entity_id, groups) = match of {
        Some(of) => (of.to_owned(), pivots.as_slice()),
        None => {
            let (first, rest) = pivots.split_first()?;
            (bare(first).to_owned(), rest)
        }
    };
    if groups.len() != query.breakdowns.len() {
        return None;
    }
    let breakdown: Vec<String> = query
        .breakdowns
        .iter()
        .zip(groups)
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    Some(InsightRow {
        entity_id,
        date,
        hour: None,
        breakdown: breakdown.join("&"),
        currency: None,
        figures: additive(query, metrics).ok()?,
        reach: reach(metrics).ok()?,
    })
}

fn additive(query: &InsightQuery, metrics: &Map<String, Value>) -> Result<Figures, NotANumber> {
    let decimal = |name: &str| number(metrics.get(name)).map(Option::unwrap_or_default);
    let whole = |name: &str| number(metrics.get(name)).map(count);

    let leads = decimal(LEADS)?;
    let conversions = match &query.conversion.conversions {
        Some(chosen) => decimal(chosen)?,
        // A form that was sent is what a campaign for leads converts to.
        None => decimal(CONVERSIONS)?.saturating_add(leads),
    };
    let revenue = query.conversion.revenue.as_deref().unwrap_or(REVENUE);
    Ok(Figures {
        impressions: whole("impressions")?,
        clicks: whole("clicks")?,
        link_clicks: whole("landingPageClicks")?,
        views: whole("videoViews")?,
        likes: whole("likes")?,
        comments: whole("comments")?,
        shares: whole("shares")?,
        spend: decimal("costInLocalCurrency")?,
        conversions,
        revenue: decimal(revenue)?,
        leads,
    })
}

fn reach(metrics: &Map<String, Value>) -> Result<Option<i64>, NotANumber> {
    let reach = number(metrics.get(REACH))?;
    Ok(reach.map(|people| count(Some(people))))
}

fn unreadable() -> Error {
    Error::Unavailable {
        detail: Detail::new(PROVIDER, "a row of figures cannot be read", &[]),
        maybe_received: true,
        source: None,
    }
}
