//! The rows of a report: the world's, added up to what the pivots tell apart.

use std::collections::BTreeMap;

use chrono::{Datelike, NaiveDate};

use super::{
    MOST_ELEMENTS,
    ask::{Ask, Granularity},
    facets::{Facets, ancestor},
    members,
    pivot::{MemberTrait, Pivot, depth},
};
use crate::{
    linkedin::{Context, error::ApiError, urn},
    world::{
        Account, Currency, Figures, Grain, Key, Kind, MOST_DAYS, Position, Row, RowQuery, World,
    },
};

/// Most times of things that one report may be about.
const MOST_TIMES: usize = 5_000_000;

/// A row of a report.
pub(super) struct Element {
    /// What it is of, in the order of the pivots.
    pub(super) values: Vec<String>,
    /// The first and the last day.
    pub(super) days: (NaiveDate, NaiveDate),
    pub(super) figures: Figures,
    pub(super) currency: Currency,
}

/// What is told apart: a thing, or nothing but its account, and the first and the last day.
type Cell = (Key, NaiveDate, NaiveDate);

/// # Errors
/// 400 when there are too many.
pub(super) fn all(ctx: &Context<'_>, ask: &Ask, facets: &Facets) -> Result<Vec<Element>, ApiError> {
    let world = &ctx.shared.world;
    let mut elements = Vec::new();
    for account in facets.accounts() {
        let account = world.account_of(account);
        for ((thing, from, to), figures) in added_up(ctx, ask, facets, &account)? {
            for (values, figures) in told_apart(world, ask, thing, figures) {
                elements.push(Element {
                    values,
                    days: (from, to),
                    figures,
                    currency: account.currency,
                });
            }
            if elements.len() > MOST_ELEMENTS {
                return Err(ApiError::too_many_rows(MOST_ELEMENTS));
            }
        }
    }
    Ok(elements)
}

/// The figures of each thing and time.
fn added_up(
    ctx: &Context<'_>,
    ask: &Ask,
    facets: &Facets,
    account: &Account,
) -> Result<BTreeMap<Cell, Figures>, ApiError> {
    let level = level(ask);
    let query = query(ctx, ask, facets, (account, level))?;
    let rows = ctx.shared.world.rows(&query, Position::default());
    if rows.most() > MOST_TIMES {
        return Err(ApiError::too_many_rows(MOST_ELEMENTS));
    }
    let mut sums: BTreeMap<Cell, Figures> = BTreeMap::new();
    for row in rows {
        let thing = ancestor(row.key, level).unwrap_or(account.key);
        let (from, to) = days(ask, &row);
        *sums.entry((thing, from, to)).or_default() += row.figures;
        if sums.len() > MOST_ELEMENTS {
            return Err(ApiError::too_many_rows(MOST_ELEMENTS));
        }
    }
    Ok(sums)
}

fn query(
    ctx: &Context<'_>,
    ask: &Ask,
    facets: &Facets,
    (account, level): (&Account, Kind),
) -> Result<RowQuery, ApiError> {
    let is_of_members = ask.pivots.iter().any(|pivot| pivot.is_of_members());
    let seen = if is_of_members {
        ctx.now - members::DELAY
    } else {
        ctx.now
    };
    let from = ask.from.max(account.created_at.date_naive());
    let to = ask.to.min(ctx.now.date_naive());
    let most_days = i64::try_from(MOST_DAYS).unwrap_or(i64::MAX);
    if (to - from).num_days() >= most_days {
        return Err(ApiError::too_many_rows(MOST_ELEMENTS));
    }
    // What is above the things that the report is about is the sum of these alone.
    let deeper = if depth(level) > depth(facets.kind) {
        level
    } else {
        facets.kind
    };
    Ok(RowQuery {
        account: account.key,
        level: deeper,
        only: Some(facets.of(account.key)),
        grain: match ask.granularity {
            Granularity::All => Grain::Whole,
            Granularity::Daily => Grain::Day,
            Granularity::Monthly | Granularity::Yearly => Grain::Month,
        },
        from,
        to,
        seen,
    })
}

/// The deepest of the pivots that are of things; accounts without any.
fn level(ask: &Ask) -> Kind {
    let kinds = ask.pivots.iter().filter_map(|pivot| match pivot {
        Pivot::Things(kind) => Some(*kind),
        Pivot::Conversion | Pivot::Members(_) => None,
    });
    kinds
        .max_by_key(|kind| depth(*kind))
        .unwrap_or(Kind::Account)
}

/// The first and the last day of the time that a row belongs to.
fn days(ask: &Ask, row: &Row) -> (NaiveDate, NaiveDate) {
    match ask.granularity {
        Granularity::All => (ask.from, ask.to),
        Granularity::Daily | Granularity::Monthly => (row.bucket.from, row.bucket.to),
        Granularity::Yearly => {
            let year = row.bucket.from.year();
            let first = NaiveDate::from_ymd_opt(year, 1, 1).unwrap_or(ask.from);
            let last = NaiveDate::from_ymd_opt(year, 12, 31).unwrap_or(ask.to);
            (first.max(ask.from), last.min(ask.to))
        }
    }
}

/// The rows that a thing's figures are told in: one, or one for each group of people.
fn told_apart(
    world: &World,
    ask: &Ask,
    thing: Key,
    figures: Figures,
) -> Vec<(Vec<String>, Figures)> {
    let by_members = ask.pivots.iter().find_map(|pivot| match pivot {
        Pivot::Members(by) => Some(*by),
        Pivot::Things(_) | Pivot::Conversion => None,
    });
    if let Some(by) = by_members {
        return of_members(by, &figures);
    }
    let figures = if ask.pivots.contains(&Pivot::Conversion) {
        Figures {
            conversion_millis: figures.conversion_millis,
            view_conversion_millis: figures.view_conversion_millis,
            lead_millis: figures.lead_millis,
            revenue_micros: figures.revenue_micros,
            ..Figures::default()
        }
    } else {
        figures
    };
    if figures.is_zero() {
        return Vec::new();
    }
    let values = ask.pivots.iter().filter_map(|pivot| match pivot {
        Pivot::Things(kind) => Some(urn::of(world, ancestor(thing, *kind)?)),
        Pivot::Conversion => Some(urn::of(world, thing.sibling(Kind::Pixel, 0))),
        Pivot::Members(_) => None,
    });
    vec![(values.collect(), figures)]
}

fn of_members(by: MemberTrait, figures: &Figures) -> Vec<(Vec<String>, Figures)> {
    let groups = members::groups(by).iter();
    groups
        .map(|(group, percent)| {
            let share = members::share(figures, *percent);
            (vec![(*group).to_owned()], share)
        })
        .filter(|(_, share)| share.impressions > 0)
        .collect()
}
