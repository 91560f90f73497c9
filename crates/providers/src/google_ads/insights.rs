//! Figures by days and hours of the account's clock, all of a time in one stream, or by pages where that is too much. Google
//! leaves out rows without activity, and of the others members that are zero.

use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde_json::Value;

use super::{
    GoogleAds, PROVIDER,
    query::{Gaql, digits, quoted, segment},
    refused,
    request::Ask,
    wire::{Metrics, Row},
};
use crate::{
    error::{Detail, Error},
    platform::{
        Caller, Cursor, Figures, Granularity, InsightQuery, InsightRow, Level, Page,
        members::{self, NotANumber, count, number},
    },
};

/// Entities that one query may name.
const MOST_ENTITIES: usize = 1_000;

/// The segment that cannot stand beside what came before a click: joined to rows of cost it would count that several times.
const CONVERSION_ACTION: &str = "conversion_action";

/// A resource that has figures.
struct Subject {
    resource: &'static str,
    id_field: &'static str,
    id: fn(&Row) -> &Value,
}

const ACCOUNT: Subject = Subject {
    resource: "customer",
    id_field: "customer.id",
    id: |row| &row.customer.id,
};

const CAMPAIGN: Subject = Subject {
    resource: "campaign",
    id_field: "campaign.id",
    id: |row| &row.campaign.id,
};

const AD_GROUP: Subject = Subject {
    resource: "ad_group",
    id_field: "ad_group.id",
    id: |row| &row.ad_group.id,
};

const AD: Subject = Subject {
    resource: "ad_group_ad",
    id_field: "ad_group_ad.ad.id",
    id: |row| &row.ad_group_ad.ad.id,
};

/// In Performance Max they stand in the place of ads.
const ASSET_GROUP: Subject = Subject {
    resource: "asset_group",
    id_field: "asset_group.id",
    id: |row| &row.asset_group.id,
};

/// A metric that can be chosen: its field, and where it stands in a row.
type Metric = (&'static str, fn(&Metrics) -> &Value);

const CONVERSIONS: Metric = ("metrics.conversions", |of| &of.conversions);
const ALL_CONVERSIONS: Metric = ("metrics.all_conversions", |of| &of.all_conversions);
const REVENUE: Metric = ("metrics.conversions_value", |of| &of.conversions_value);
const ALL_REVENUE: Metric = ("metrics.all_conversions_value", |of| {
    &of.all_conversions_value
});

/// Which of Google's figures are conversions and revenue.
#[derive(Clone, Copy)]
struct Choice {
    conversions: Metric,
    revenue: Metric,
}

impl GoogleAds {
    pub(super) async fn figures(
        &self,
        caller: Caller<'_>,
        query: &InsightQuery,
        after: Option<&Cursor>,
    ) -> Result<Page<InsightRow>, Error> {
        let customer = digits(&query.account_id)?;
        let subjects = subjects(query.level);
        let (place, token) = place(subjects, after)?;
        let (subject, choice) = (subjects[place], choice(query)?);
        let text = question(query, subject, choice)?;
        let ask = Ask {
            customer: &customer,
            query: &text,
        };
        let by_pages = query.page_size.is_some();
        let (rows, token) = self.rows(caller, &ask, (by_pages, token)).await?;
        let items = rows
            .iter()
            .map(|row| insight(query, subject, choice, row))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(unreadable)?;
        let next = if token.is_empty() {
            let next = subjects.get(place + 1);
            next.map(|next| next.resource.to_owned())
        } else {
            Some(format!("{}:{token}", subject.resource))
        };
        Ok(Page {
            items,
            next: next.map(Cursor),
        })
    }

    /// The rows of a query, and the token of those that follow. All at once, unless a single day has proved too long for that:
    /// then by pages, whose size is Google's.
    async fn rows(
        &self,
        caller: Caller<'_>,
        ask: &Ask<'_>,
        (by_pages, token): (bool, Option<&str>),
    ) -> Result<(Vec<Row>, String), Error> {
        if !by_pages {
            return Ok((self.stream(caller, ask).await?, String::new()));
        }
        let found = self.search_on(caller, ask, token).await?;
        let rows = found.results.into_iter();
        let rows = rows.map(serde_json::from_value::<Row>);
        let rows = rows.collect::<Result<Vec<_>, _>>();
        let rows = rows.map_err(|_| unreadable())?;
        Ok((rows, found.next_page_token))
    }
}

/// Which of the subjects is asked about, and from which token on.
fn place<'a>(
    subjects: &[&Subject],
    after: Option<&'a Cursor>,
) -> Result<(usize, Option<&'a str>), Error> {
    let Some(Cursor(text)) = after else {
        return Ok((0, None));
    };
    let (resource, token) = match text.split_once(':') {
        Some((resource, token)) => (resource, Some(token)),
        None => (text.as_str(), None),
    };
    let place = subjects.iter().position(|it| it.resource == resource);
    let place = place.ok_or_else(|| refused("the cursor is of another query"))?;
    Ok((place, token))
}

fn subjects(level: Level) -> &'static [&'static Subject] {
    match level {
        Level::Account => &[&ACCOUNT],
        Level::Campaign => &[&CAMPAIGN],
        Level::AdSet => &[&AD_GROUP],
        Level::Ad => &[&AD, &ASSET_GROUP],
    }
}

fn choice(query: &InsightQuery) -> Result<Choice, Error> {
    let wanted = &query.conversion;
    let conversions = match wanted.conversions.as_deref() {
        None | Some("conversions") => CONVERSIONS,
        Some("all_conversions") => ALL_CONVERSIONS,
        Some(_) => {
            return Err(refused(
                "google ads counts conversions as conversions or all_conversions",
            ));
        }
    };
    let revenue = match wanted.revenue.as_deref() {
        None | Some("conversions_value") => REVENUE,
        Some("all_conversions_value") => ALL_REVENUE,
        Some(_) => {
            return Err(refused(
                "google ads counts revenue as conversions_value or all_conversions_value",
            ));
        }
    };
    Ok(Choice {
        conversions,
        revenue,
    })
}

fn question(query: &InsightQuery, subject: &Subject, choice: Choice) -> Result<String, Error> {
    if query.from > query.to {
        return Err(refused("the first day is behind the last one"));
    }
    if !query.attribution.is_empty() {
        return Err(refused(
            "attribution at google ads is set with each conversion action",
        ));
    }
    if query.entities.len() > MOST_ENTITIES {
        return Err(refused("figures are asked for 1,000 entities at most"));
    }

    let mut gaql = Gaql::of(subject.resource, &[subject.id_field, "segments.date"]);
    if query.granularity == Granularity::Hour {
        gaql = gaql.and("segments.hour".to_owned());
    }
    for breakdown in &query.breakdowns {
        gaql = gaql.and(segment(breakdown)?);
    }
    if !query.breakdowns.iter().any(|it| it == CONVERSION_ACTION) {
        for metric in ["impressions", "clicks", "cost_micros"] {
            gaql = gaql.and(format!("metrics.{metric}"));
        }
    }
    gaql = gaql
        .and(choice.conversions.0.to_owned())
        .and(choice.revenue.0.to_owned())
        .only(format!(
            "segments.date BETWEEN {} AND {}",
            quoted(&query.from.to_string()),
            quoted(&query.to.to_string())
        ));
    if query.level != Level::Account && !query.entities.is_empty() {
        let ids = query.entities.iter().map(|id| digits(id));
        gaql = gaql.only_ids(subject.id_field, &ids.collect::<Result<Vec<_>, _>>()?);
    }
    Ok(gaql.text(""))
}

/// `None` for a row that cannot be read.
fn insight(
    query: &InsightQuery,
    subject: &Subject,
    choice: Choice,
    row: &Row,
) -> Option<InsightRow> {
    let date = row.segments.get("date")?.as_str()?;
    let hour = match query.granularity {
        Granularity::Day => None,
        // Midnight is left out as whatever is zero.
        Granularity::Hour => {
            let hour = row.segments.get("hour").map_or(Some(0), members::integer)?;
            Some(u8::try_from(hour).ok().filter(|hour| *hour < 24)?)
        }
    };
    let breakdown = query.breakdowns.iter().map(|name| {
        let value = row.segments.get(&camel_case(name));
        let value = value.and_then(members::id).unwrap_or_default();
        format!("{name}={value}")
    });
    Some(InsightRow {
        entity_id: members::id((subject.id)(row))?,
        date: date.parse::<NaiveDate>().ok()?,
        hour,
        breakdown: breakdown.collect::<Vec<_>>().join("&"),
        currency: None,
        figures: additive(&row.metrics, choice).ok()?,
        reach: None,
    })
}

fn additive(metrics: &Metrics, choice: Choice) -> Result<Figures, NotANumber> {
    let decimal = |value: &Value| number(Some(value)).map(Option::unwrap_or_default);
    let micros = decimal(&metrics.cost_micros)?;
    Ok(Figures {
        impressions: count(number(Some(&metrics.impressions))?),
        clicks: count(number(Some(&metrics.clicks))?),
        spend: (micros * Decimal::new(1, 6)).normalize(),
        conversions: decimal((choice.conversions.1)(metrics))?,
        revenue: decimal((choice.revenue.1)(metrics))?,
        ..Figures::default()
    })
}

/// `ad_network_type` as it stands in answers: `adNetworkType`.
fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let mut text = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut chars = word.chars();
        text.extend(chars.next().map(|first| first.to_ascii_uppercase()));
        text.push_str(chars.as_str());
    }
    text
}

fn unreadable() -> Error {
    Error::Unavailable {
        detail: Detail::new(PROVIDER, "a row of figures cannot be read", &[]),
        maybe_received: true,
        source: None,
    }
}
