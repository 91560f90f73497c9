//! The rows of a plan, one by one, from any of them on.

use std::{cmp::Ordering, ops::Range, rc::Rc, vec};

use chrono::{DateTime, Utc};

use super::{
    changes,
    customer::Customer,
    error::AdsError,
    fields::Field,
    plan::{Plan, Span},
    resource::Resource,
    scene::{Channel, Client, Lineage, Scene},
};
use crate::world::{
    Figures, Grain, Hour, Key, Kind, Position, RowQuery, Rows, World, hours_of_day,
};

/// Most times of things that one query may be about: more is a range too wide.
const MOST_TIMES: usize = 2_000_000;
/// Most rows that are sorted.
const MOST_SORTED: usize = 200_000;

/// Rows that are made as they are asked for.
pub(super) struct Walk<'w> {
    world: &'w World,
    plan: &'w Plan,
    customer: Rc<Customer>,
    source: Source<'w>,
    /// The last thing and what it stands below: it mostly has more than one row.
    last: Option<(Key, Rc<Lineage>)>,
}

enum Source<'w> {
    /// A row for each time in which something happened.
    Times(Rows<'w>),
    /// A row for each thing, with the figures of one span of hours.
    Things {
        keys: Vec<Key>,
        at: usize,
        hours: Option<Range<Hour>>,
        seen: DateTime<Utc>,
    },
    /// Rows that have been made already.
    Made {
        scenes: vec::IntoIter<Scene>,
        at: usize,
    },
}

impl<'w> Walk<'w> {
    /// # Errors
    /// DATE_RANGE_TOO_WIDE when there is more than can be gone through.
    pub(super) fn new(
        world: &'w World,
        plan: &'w Plan,
        customer: Customer,
        position: Position,
        seen: DateTime<Utc>,
    ) -> Result<Self, AdsError> {
        let customer = Rc::new(customer);
        let walk = |source| Self {
            world,
            plan,
            customer: Rc::clone(&customer),
            source,
            last: None,
        };
        if plan.order.is_empty() {
            return Ok(walk(Source::of(world, plan, &customer, position, seen)?));
        }
        let unsorted = walk(Source::of(
            world,
            plan,
            &customer,
            Position::default(),
            seen,
        )?);
        let mut scenes: Vec<_> = unsorted.take(MOST_SORTED + 1).collect();
        if scenes.len() > MOST_SORTED {
            return Err(too_wide());
        }
        sort(&mut scenes, &plan.order);
        scenes.drain(..position.entity.min(scenes.len()));
        Ok(walk(Source::Made {
            scenes: scenes.into_iter(),
            at: position.entity,
        }))
    }

    /// Where the next row is looked for.
    pub(super) fn position(&self) -> Position {
        match &self.source {
            Source::Times(rows) => rows.position(),
            Source::Things { at, .. } | Source::Made { at, .. } => Position {
                entity: *at,
                bucket: 0,
            },
        }
    }

    /// The next row before conditions on figures.
    fn step(&mut self) -> Option<Scene> {
        match &mut self.source {
            Source::Made { scenes, at } => {
                *at += 1;
                scenes.next()
            }
            Source::Times(rows) => {
                let row = rows.next()?;
                Some(Scene {
                    customer: Rc::clone(&self.customer),
                    lineage: self.lineage(row.key),
                    figures: row.figures,
                    bucket: Some(row.bucket),
                })
            }
            Source::Things {
                keys,
                at,
                hours,
                seen,
            } => {
                let key = *keys.get(*at)?;
                *at += 1;
                let figures = hours
                    .as_ref()
                    .map(|hours| self.world.figures(key, hours, *seen));
                Some(Scene {
                    customer: Rc::clone(&self.customer),
                    lineage: self.lineage(key),
                    figures: figures.unwrap_or_default(),
                    bucket: None,
                })
            }
        }
    }

    fn lineage(&mut self, key: Key) -> Rc<Lineage> {
        match &self.last {
            Some((last, lineage)) if *last == key => Rc::clone(lineage),
            _ => {
                let lineage = Rc::new(Lineage::of(self.world, key));
                self.last = Some((key, Rc::clone(&lineage)));
                lineage
            }
        }
    }

    fn fits(&self, scene: &Scene) -> bool {
        let span = self.plan.span.as_ref();
        let has_happened =
            span.is_none_or(|span| !span.is_by_conversion || scene.figures.conversion_millis != 0);
        has_happened && self.plan.figures.iter().all(|filter| filter.holds(scene))
    }
}

impl Iterator for Walk<'_> {
    type Item = Scene;

    fn next(&mut self) -> Option<Scene> {
        loop {
            let scene = self.step()?;
            if self.fits(&scene) {
                return Some(scene);
            }
        }
    }
}

impl<'w> Source<'w> {
    fn of(
        world: &'w World,
        plan: &Plan,
        customer: &Rc<Customer>,
        position: Position,
        seen: DateTime<Utc>,
    ) -> Result<Self, AdsError> {
        let made = |mut scenes: Vec<Scene>| {
            scenes.retain(|scene| plan.things.iter().all(|filter| filter.holds(scene)));
            scenes.drain(..position.entity.min(scenes.len()));
            Self::Made {
                scenes: scenes.into_iter(),
                at: position.entity,
            }
        };
        let keys = match (customer.key, plan.resource.kind()) {
            (_, None) => return Ok(made(told(world, plan.resource, customer))),
            (None, Some(Kind::Account)) => return Ok(made(vec![bare(customer)])),
            (None, Some(_)) => Vec::new(),
            (Some(account), Some(kind)) => keys(world, plan, customer, (account, kind)),
        };
        match (&plan.span, customer.key) {
            (Some(span), Some(account)) if span.grain.is_some() => {
                let query = span.rows(plan, account, keys, seen);
                let rows = world.rows(&query, position);
                if rows.most() > MOST_TIMES {
                    return Err(too_wide());
                }
                Ok(Self::Times(rows))
            }
            (span, _) => Ok(Self::Things {
                keys,
                at: position.entity,
                hours: span.as_ref().map(|span| span.hours(customer)),
                seen,
            }),
        }
    }
}

impl Span {
    fn rows(&self, plan: &Plan, account: Key, keys: Vec<Key>, seen: DateTime<Utc>) -> RowQuery {
        RowQuery {
            account,
            level: plan.resource.kind().unwrap_or(Kind::Account),
            only: Some(keys),
            grain: self.grain.unwrap_or(Grain::Whole),
            from: self.from,
            to: self.to,
            seen,
        }
    }

    fn hours(&self, customer: &Customer) -> Range<Hour> {
        let first = hours_of_day(customer.zone, self.from);
        let last = hours_of_day(customer.zone, self.to);
        first.start..last.end
    }
}

/// The things of that sort that fit a plan's conditions on things.
fn keys(
    world: &World,
    plan: &Plan,
    customer: &Rc<Customer>,
    (account, kind): (Key, Kind),
) -> Vec<Key> {
    let mut keys = world.keys(account, kind);
    let wants = match plan.resource {
        // What Performance Max shows are asset groups: it has neither ad groups nor ads.
        Resource::AdGroup | Resource::AdGroupAd => Some(false),
        Resource::AssetGroup => Some(true),
        _ => None,
    };
    if let Some(wanted) = wants {
        let mut last: Option<(Option<Key>, bool)> = None;
        keys.retain(|key| {
            let campaign = key.campaign();
            if last.is_none_or(|(known, _)| known != campaign) {
                last = Some((campaign, is_performance_max(world, campaign)));
            }
            last.is_some_and(|(_, is_one)| is_one == wanted)
        });
    }
    if !plan.things.is_empty() {
        keys.retain(|key| {
            let mut scene = bare(customer);
            if kind != Kind::Account {
                scene.lineage = Rc::new(Lineage::of(world, *key));
            }
            plan.things.iter().all(|filter| filter.holds(&scene))
        });
    }
    keys
}

fn is_performance_max(world: &World, campaign: Option<Key>) -> bool {
    let campaign = campaign.and_then(|campaign| world.entity(campaign));
    campaign.is_some_and(|campaign| Channel::of(world, &campaign) == Channel::PerformanceMax)
}

/// What is not one of an account's things: the customers below one, and what was changed.
fn told(world: &World, resource: Resource, customer: &Rc<Customer>) -> Vec<Scene> {
    let with = |lineage| Scene {
        lineage: Rc::new(lineage),
        ..bare(customer)
    };
    if resource == Resource::ChangeStatus {
        let account = customer.key.into_iter();
        return account
            .flat_map(|account| changes::all(world, account))
            .map(|change| Lineage {
                change: Some(change),
                ..Lineage::default()
            })
            .map(with)
            .collect();
    }
    let itself = Client {
        customer: Customer::clone(customer),
        level: 0,
    };
    let managed = customer
        .is_manager()
        .then(|| Customer::managed(world).map(|customer| Client { customer, level: 1 }));
    [itself]
        .into_iter()
        .chain(managed.into_iter().flatten())
        .map(|client| Lineage {
            client: Some(client),
            ..Lineage::default()
        })
        .map(with)
        .collect()
}

/// The customer alone.
fn bare(customer: &Rc<Customer>) -> Scene {
    Scene {
        customer: Rc::clone(customer),
        lineage: Rc::default(),
        figures: Figures::default(),
        bucket: None,
    }
}

fn too_wide() -> AdsError {
    AdsError::query(
        "DATE_RANGE_TOO_WIDE",
        "The date range of the query is too wide for what it is about.",
    )
}

/// Rows that are alike keep their order.
fn sort(scenes: &mut [Scene], order: &[(&'static Field, bool)]) {
    scenes.sort_by(|one, two| {
        let orders = order.iter().map(|(field, is_descending)| {
            let order = (field.read)(one).compare(&(field.read)(two));
            if *is_descending {
                order.reverse()
            } else {
                order
            }
        });
        orders.fold(Ordering::Equal, Ordering::then)
    });
}
