//! Rows of figures, made one by one as they are asked for: a page costs what is on it, wherever it
//! begins.

use chrono::{DateTime, NaiveDate, Utc};

use super::{
    Key, Kind, World,
    calendar::{self, Bucket, Grain},
    figures::Figures,
    traffic::Traffic,
};

/// Which rows.
#[derive(Debug, Clone)]
pub(crate) struct RowQuery {
    /// Of which account.
    pub(crate) account: Key,
    /// Account, campaign, ad set or ad: a row each.
    pub(crate) level: Kind,
    /// What the rows are below, or of; `None` for the whole account.
    pub(crate) only: Option<Vec<Key>>,
    pub(crate) grain: Grain,
    /// The first day, by the account's clock.
    pub(crate) from: NaiveDate,
    /// The last day; it is in it.
    pub(crate) to: NaiveDate,
    /// When they are looked at: later, they may be others.
    pub(crate) seen: DateTime<Utc>,
}

/// Where rows go on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) entity: usize,
    pub(crate) bucket: usize,
}

/// What something did in some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) key: Key,
    pub(crate) bucket: Bucket,
    pub(crate) figures: Figures,
}

/// The rows of a query: by entity in the order of their numbers, then by time. Where nothing
/// happened there is none.
pub(crate) struct Rows<'w> {
    world: &'w World,
    entities: Vec<Key>,
    buckets: Vec<Bucket>,
    seen: DateTime<Utc>,
    position: Position,
    /// The ads of the entity at the position, once they are known.
    ads: Option<Vec<Traffic>>,
}

impl<'w> Rows<'w> {
    pub(super) fn new(world: &'w World, query: &RowQuery, position: Position) -> Self {
        let account = world.account_of(query.account);
        let entities = match &query.only {
            None => world.keys(query.account, query.level),
            Some(roots) => roots
                .iter()
                .flat_map(|root| world.keys(*root, query.level))
                .collect(),
        };
        Self {
            world,
            entities,
            buckets: calendar::buckets(account.zone, query.from, query.to, query.grain),
            seen: query.seen,
            position,
            ads: None,
        }
    }

    /// Where the next row is looked for.
    pub(crate) fn position(&self) -> Position {
        self.position
    }

    /// How many entities and times there could be rows for, at most.
    pub(crate) fn most(&self) -> usize {
        self.entities.len() * self.buckets.len()
    }
}

impl Iterator for Rows<'_> {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        loop {
            let key = *self.entities.get(self.position.entity)?;
            let Some(bucket) = self.buckets.get(self.position.bucket) else {
                self.position = Position {
                    entity: self.position.entity + 1,
                    bucket: 0,
                };
                self.ads = None;
                continue;
            };
            let world = self.world;
            let ads = self.ads.get_or_insert_with(|| world.traffic(key));
            self.position.bucket += 1;
            let mut figures = Figures::default();
            for ad in ads.iter().filter(|ad| ad.spans.touches(&bucket.hours)) {
                figures += ad.figures(&bucket.hours, self.seen);
            }
            if !figures.is_zero() {
                return Some(Row {
                    key,
                    bucket: bucket.clone(),
                    figures,
                });
            }
        }
    }
}
