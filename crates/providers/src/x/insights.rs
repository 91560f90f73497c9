//! Figures at once: up to a week and 20 entities at a time, each placement in a call of its own. X tells them by entity alone, so
//! it is asked first which had activity, and where.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use chrono::NaiveDate;
use reqwest::Method;

use super::{
    PROVIDER, X,
    figures::{Sums, Unreadable, WAYS},
    refused,
    request::{Question, checked},
    sign::Params,
    time::Span,
    wire::{Active, Stats},
};
use crate::{
    error::{Detail, Error},
    platform::{Caller, Cursor, Granularity, InsightQuery, InsightRow, Insights, Level, Page},
};

/// Longest span of figures: X's 90 days less one, since one may have 25 hours.
pub(super) const LONGEST_WINDOW_DAYS: u32 = 89;

/// The same by segments.
const LONGEST_SEGMENTED_DAYS: i64 = 44;

/// From how many days on figures are made in the background: they are told at once for seven.
pub(super) const REPORT_FROM_DAYS: u32 = 8;

/// Most entities of one call.
const MOST_ENTITIES: usize = 20;

/// Longest name of a metric or segment that is taken from a query.
const LONGEST_NAME: usize = 64;

/// All that go together into one call.
const GROUPS: &str = "ENGAGEMENT,BILLING,VIDEO,WEB_CONVERSION";

/// It needs a call of its own.
const MOBILE_GROUP: &str = "MOBILE_CONVERSION";

/// What the metrics of that group begin with.
const MOBILE: &str = "mobile_conversion_";

/// Where ads are shown; every call is about one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Placement {
    AllOnTwitter,
    Spotlight,
    Trend,
}

impl Placement {
    const ALL: [Self; 3] = [Self::AllOnTwitter, Self::Spotlight, Self::Trend];

    fn as_str(self) -> &'static str {
        match self {
            Self::AllOnTwitter => "ALL_ON_TWITTER",
            Self::Spotlight => "SPOTLIGHT",
            Self::Trend => "TREND",
        }
    }
}

/// Which entities had activity, and where.
pub(super) type Activity = BTreeMap<String, BTreeSet<Placement>>;

/// One call for figures.
pub(super) struct Ask<'a> {
    placement: Placement,
    groups: &'static str,
    ids: Vec<&'a str>,
}

/// Where figures go on: in the part that begins with this day, behind this entity.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    day: NaiveDate,
    after: String,
}

impl X {
    pub(super) async fn figures(
        &self,
        caller: Caller<'_>,
        query: &InsightQuery,
        after: Option<&Cursor>,
    ) -> Result<Insights, Error> {
        check(query)?;
        let is_segmented = !query.breakdowns.is_empty();
        if after.is_none() && (query.in_background || is_segmented) {
            match self.begin(caller, query).await? {
                Some(begun) => return Ok(begun),
                None if is_segmented => {
                    return Err(Error::TooLarge {
                        detail: Detail::new(PROVIDER, "these are too many jobs for x", &[]),
                    });
                }
                // More jobs than may be made: the figures can be had at once as well, if not as fast.
                None => {}
            }
        }
        self.figures_now(caller, query, after)
            .await
            .map(Insights::Rows)
    }

    async fn figures_now(
        &self,
        caller: Caller<'_>,
        query: &InsightQuery,
        after: Option<&Cursor>,
    ) -> Result<Page<InsightRow>, Error> {
        let place = place(query, after)?;
        let part = span(query).part(place.day);
        let activity = self.activity(caller, query, part).await?;
        let behind = (Bound::Excluded(place.after), Bound::Unbounded);
        let mut rest = activity.range::<String, _>(behind);
        let chunk: Vec<_> = rest.by_ref().take(MOST_ENTITIES).collect();
        let is_part_done = rest.next().is_none();

        let mut sums = Sums::new(query, part.steps(query.granularity));
        for ask in asks(query, &chunk) {
            let stats: Stats = self
                .ask(
                    caller,
                    &Question {
                        method: Method::GET,
                        endpoint: "GET stats/accounts/{id}",
                        path: &["stats", "accounts", &query.account_id],
                        params: &params(query, part, &ask),
                    },
                )
                .await?;
            sums.add(stats).map_err(unreadable)?;
        }

        let next = match (is_part_done, chunk.last()) {
            (false, Some((last, _))) => Some(cursor(part.from, last)),
            _ => part
                .to
                .succ_opt()
                .filter(|day| *day <= query.to)
                .map(|day| cursor(day, "")),
        };
        Ok(Page {
            items: sums.rows(),
            next,
        })
    }

    /// What had activity in a span, of the entities that are asked for.
    pub(super) async fn activity(
        &self,
        caller: Caller<'_>,
        query: &InsightQuery,
        span: Span,
    ) -> Result<Activity, Error> {
        if query.level == Level::Account {
            let everywhere = Placement::ALL.into_iter().collect();
            return Ok(Activity::from([(query.account_id.clone(), everywhere)]));
        }
        let (start, end) = span.times();
        let active: Active = self
            .ask(
                caller,
                &Question {
                    method: Method::GET,
                    endpoint: "GET stats/accounts/{id}/active_entities",
                    path: &["stats", "accounts", &query.account_id, "active_entities"],
                    params: &[
                        ("entity", entity_word(query.level).to_owned()),
                        ("start_time", start),
                        ("end_time", end),
                    ],
                },
            )
            .await?;
        let mut activity = Activity::new();
        for entity in active.data {
            let is_asked = query.entities.is_empty() || query.entities.contains(&entity.entity_id);
            if is_asked {
                let told = placements(&entity.placements.unwrap_or_default());
                activity.entry(entity.entity_id).or_default().extend(told);
            }
        }
        Ok(activity)
    }
}

/// The calls for some entities.
pub(super) fn asks<'a>(
    query: &InsightQuery,
    chunk: &[(&'a String, &'a BTreeSet<Placement>)],
) -> Vec<Ask<'a>> {
    let chosen = [&query.conversion.conversions, &query.conversion.revenue];
    let mut chosen = chosen.into_iter().flatten();
    let groups: &[&'static str] = if chosen.any(|name| name.starts_with(MOBILE)) {
        &[GROUPS, MOBILE_GROUP]
    } else {
        &[GROUPS]
    };

    let mut asks = Vec::new();
    for placement in Placement::ALL {
        let shown = chunk.iter().filter(|(_, told)| told.contains(&placement));
        let ids: Vec<&'a str> = shown.map(|(id, _)| id.as_str()).collect();
        if ids.is_empty() {
            continue;
        }
        asks.extend(groups.iter().map(|&groups| Ask {
            placement,
            groups,
            ids: ids.clone(),
        }));
    }
    asks
}

/// The entities of a span, in portions of as many as one call may name.
pub(super) fn chunks(activity: &Activity) -> Vec<Vec<(&String, &BTreeSet<Placement>)>> {
    let entities: Vec<_> = activity.iter().collect();
    entities.chunks(MOST_ENTITIES).map(<[_]>::to_vec).collect()
}

/// The parameters of a call for figures.
pub(super) fn params(query: &InsightQuery, span: Span, ask: &Ask<'_>) -> Params {
    let granularity = match query.granularity {
        Granularity::Hour => "HOUR",
        Granularity::Day => "DAY",
    };
    let (start, end) = span.times();
    let mut params = vec![
        ("entity", entity_word(query.level).to_owned()),
        ("entity_ids", ask.ids.join(",")),
        ("start_time", start),
        ("end_time", end),
        ("granularity", granularity.to_owned()),
        ("placement", ask.placement.as_str().to_owned()),
        ("metric_groups", ask.groups.to_owned()),
    ];
    if let Some(segment) = query.breakdowns.first() {
        params.push(("segmentation_type", segment.clone()));
    }
    params
}

/// The days that a query is about.
pub(super) fn span(query: &InsightQuery) -> Span {
    Span {
        from: query.from,
        to: query.to,
        zone: query.time_zone,
    }
}

pub(super) fn unreadable(_: Unreadable) -> Error {
    Error::Unavailable {
        detail: Detail::new(PROVIDER, "a series of figures cannot be read", &[]),
        maybe_received: true,
        source: None,
    }
}

/// What X would refuse, or answer with something else than was asked for.
pub(super) fn check(query: &InsightQuery) -> Result<(), Error> {
    checked(&query.account_id)?;
    for id in &query.entities {
        checked(id)?;
    }
    let chosen = [&query.conversion.conversions, &query.conversion.revenue];
    let mut names = chosen.into_iter().flatten().chain(&query.breakdowns);
    if !names.all(|name| is_name(name)) {
        return Err(refused("a metric or segment of x is letters, digits and _"));
    }
    if !query
        .attribution
        .iter()
        .all(|it| WAYS.contains(&it.as_str()))
    {
        return Err(refused("x attributes by post_view and post_engagement"));
    }
    if query.breakdowns.len() > 1 {
        return Err(refused("x tells figures by one segment at a time"));
    }
    let days = span(query).length_days();
    if days < 1 {
        return Err(refused("the first day is behind the last one"));
    }
    let most = if query.breakdowns.is_empty() {
        i64::from(LONGEST_WINDOW_DAYS)
    } else {
        LONGEST_SEGMENTED_DAYS
    };
    if days > most {
        return Err(Error::TooLarge {
            detail: Detail::new(PROVIDER, "these are more days than x tells at once", &[]),
        });
    }
    Ok(())
}

fn is_name(name: &str) -> bool {
    (1..=LONGEST_NAME).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn entity_word(level: Level) -> &'static str {
    match level {
        Level::Account => "ACCOUNT",
        Level::Campaign => "CAMPAIGN",
        Level::AdSet => "LINE_ITEM",
        Level::Ad => "PROMOTED_TWEET",
    }
}

/// The placements that X names; all of them where it names none that is known.
fn placements(told: &[String]) -> Vec<Placement> {
    let known = Placement::ALL
        .into_iter()
        .filter(|placement| told.iter().any(|it| it == placement.as_str()));
    let known: Vec<Placement> = known.collect();
    if known.is_empty() {
        Placement::ALL.to_vec()
    } else {
        known
    }
}

fn place(query: &InsightQuery, after: Option<&Cursor>) -> Result<Place, Error> {
    let Some(Cursor(text)) = after else {
        return Ok(Place {
            day: query.from,
            after: String::new(),
        });
    };
    let of_another = || refused("the cursor is of another query");
    let (day, after) = text.split_once('/').ok_or_else(of_another)?;
    let day: NaiveDate = day.parse().map_err(|_| of_another())?;
    if day < query.from || day > query.to {
        return Err(of_another());
    }
    Ok(Place {
        day,
        after: after.to_owned(),
    })
}

fn cursor(day: NaiveDate, after: &str) -> Cursor {
    Cursor(format!("{day}/{after}"))
}
