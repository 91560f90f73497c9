//! A question for figures, read and checked: of what, when, in what steps, and which figures.

use chrono::NaiveDate;

use super::{actions::Window, breakdown::Breakdown, period, row};
use crate::{
    meta::{Context, call::Call, entities::Filter, error::GraphError, fields::Fields, paging},
    world::{Grain, Key, Kind, Position, RowQuery, day_of},
};

/// What is told where nobody says what.
const USUAL: [&str; 4] = ["account_id", "impressions", "spend", "date_start"];

/// A question for figures.
pub(super) struct Query {
    pub(super) account: Key,
    pub(super) level: Kind,
    /// A row each, in the order of their numbers.
    entities: Vec<Key>,
    ranges: Vec<period::Range>,
    grain: Grain,
    pub(super) breakdown: Breakdown,
    pub(super) windows: Vec<Window>,
    pub(super) fields: Fields,
}

/// Where the next row is looked for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    pub(super) range: usize,
    pub(super) position: Position,
}

impl Place {
    /// The beginning of the next range.
    pub(super) fn next_range(self) -> Self {
        Self {
            range: self.range + 1,
            position: Position::default(),
        }
    }
}

impl Query {
    /// Reads a call for figures of a thing.
    ///
    /// # Errors
    /// [`GraphError`] for the first thing that cannot be asked.
    pub(super) fn of(call: &Call, ctx: &Context<'_>, of: Key) -> Result<Self, GraphError> {
        let level = level(call, of)?;
        let fields = Fields::of(call, &USUAL)?;
        if let Some(unknown) = fields.names().find(|name| !row::is_known(name)) {
            let what = format!("has {unknown}, which is not valid for fields param");
            return Err(GraphError::bad_param("fields", &what));
        }
        let breakdown = Breakdown::of(call)?;
        let account = ctx.shared.world.account_of(of);
        let ranges = period::ranges(call, day_of(account.zone, ctx.now))?;
        let grain = match (breakdown, period::grain(call)?) {
            (Breakdown::Hour, Grain::Day) => Grain::Hour,
            (Breakdown::Hour, _) if ranges.iter().all(|(from, to)| from == to) => Grain::Hour,
            (Breakdown::Hour, _) => {
                let what = "must be 1 for the hours of more than one day";
                return Err(GraphError::bad_param("time_increment", what));
            }
            (Breakdown::Nothing | Breakdown::Publisher, grain) => grain,
        };
        Ok(Self {
            account: account.key,
            level,
            entities: entities(call, ctx, of, level)?,
            ranges,
            grain,
            breakdown,
            windows: Window::of(call)?,
            fields,
        })
    }

    /// The rows of one range; `None` when there is no such range.
    pub(super) fn rows(&self, ctx: &Context<'_>, range: usize) -> Option<RowQuery> {
        let (from, to) = *self.ranges.get(range)?;
        Some(RowQuery {
            account: self.account,
            level: self.level,
            only: Some(self.entities.clone()),
            grain: self.grain,
            from,
            to,
            seen: ctx.now,
        })
    }

    /// How many rows there are at most.
    pub(super) fn most_rows(&self, ctx: &Context<'_>) -> usize {
        let ranges = (0..self.ranges.len()).filter_map(|range| self.rows(ctx, range));
        let world = &ctx.shared.world;
        ranges
            .map(|query| world.rows(&query, Position::default()).most())
            .sum()
    }

    /// The first and the last day.
    pub(super) fn days(&self) -> (NaiveDate, NaiveDate) {
        let first = self.ranges.iter().map(|(from, _)| *from).min();
        let last = self.ranges.iter().map(|(_, to)| *to).max();
        (first.unwrap_or_default(), last.unwrap_or_default())
    }

    /// What a cursor says of a place: by the number of its entity, which stays the same when others
    /// vanish.
    pub(super) fn name(&self, place: Place) -> String {
        let entity = self.entities.get(place.position.entity);
        let n = entity.map_or(u32::MAX, |key| key.n);
        format!("{}.{n}.{}", place.range, place.position.bucket)
    }

    /// The place that a cursor says; the beginning without one.
    ///
    /// # Errors
    /// [`GraphError`] for a cursor of another list.
    pub(super) fn place(&self, name: Option<&str>) -> Result<Place, GraphError> {
        let Some(name) = name else {
            return Ok(Place::default());
        };
        let parts: Option<Vec<u32>> = name.split('.').map(|part| part.parse().ok()).collect();
        let Some([range, n, bucket]) = parts.as_deref() else {
            return Err(paging::bad_cursor());
        };
        let entity = self.entities.partition_point(|key| key.n < *n);
        let is_same = self.entities.get(entity).is_some_and(|key| key.n == *n);
        Ok(Place {
            range: *range as usize,
            position: Position {
                entity,
                bucket: if is_same { *bucket as usize } else { 0 },
            },
        })
    }
}

fn level(call: &Call, of: Key) -> Result<Kind, GraphError> {
    let level = match call.text("level") {
        None => of.kind,
        Some("account") => Kind::Account,
        Some("campaign") => Kind::Campaign,
        Some("adset") => Kind::AdSet,
        Some("ad") => Kind::Ad,
        Some(_) => {
            let what = "must be one of the following values: ad, adset, campaign, account";
            return Err(GraphError::bad_param("level", what));
        }
    };
    if level < of.kind {
        return Err(GraphError::wrong_level());
    }
    Ok(level)
}

/// What there can be rows of: everything but what is archived or deleted, unless it is asked for.
/// An account's own row has all of it.
fn entities(call: &Call, ctx: &Context<'_>, of: Key, level: Kind) -> Result<Vec<Key>, GraphError> {
    let filter = Filter::of(call, level)?;
    if level == Kind::Account {
        return Ok(vec![of.its_account()]);
    }
    let world = &ctx.shared.world;
    let entities = world.list(of, level);
    let taken = entities.filter(|entity| filter.takes(world, entity));
    Ok(taken.map(|entity| entity.key).collect())
}
