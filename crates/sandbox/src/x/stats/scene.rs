//! Figures of things step by step: those of their line items, or of their one ad, that are shown in
//! a place.

use chrono::{DateTime, Utc};

use super::{
    placement::{Placement, placement_of},
    query::{Granularity, Span},
};
use crate::world::{
    Account, Figures, Grain, Key, Kind, Position, Row, RowQuery, Rows, World, local,
};

/// What was done in a step: what was sold, and what was signed up for, apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) sales: Figures,
    pub(super) leads: Figures,
}

impl Step {
    pub(super) fn all(&self) -> Figures {
        self.sales + self.leads
    }

    /// A line item is for the one or for the other.
    fn add(&mut self, figures: Figures) {
        if figures.lead_millis > 0 {
            self.leads += figures;
        } else {
            self.sales += figures;
        }
    }
}

/// What figures are looked up in.
pub(super) struct Scene<'s> {
    pub(super) world: &'s World,
    pub(super) account: &'s Account,
    pub(super) span: Span,
    pub(super) seen: DateTime<Utc>,
}

impl<'s> Scene<'s> {
    /// What a thing did in each step, in one place.
    pub(super) fn steps(&self, thing: Key, placement: Placement) -> Vec<Step> {
        let mut steps = vec![Step::default(); self.span.length()];
        let (level, mut carriers) = self.carriers(thing);
        carriers.retain(|key| placement_of(*key) == placement);
        match self.span.granularity {
            Granularity::Day => {
                for row in self.rows(level, Some(carriers), Grain::Day) {
                    let day = (row.bucket.from - self.span.days.0).num_days();
                    add(&mut steps, day, row.figures);
                }
            }
            granularity => {
                for row in self.rows(level, Some(carriers), Grain::Hour) {
                    for (hour, figures) in self.hours(&row) {
                        let step = match granularity {
                            Granularity::Total => 0,
                            _ => hour - self.span.start,
                        };
                        add(&mut steps, step, figures);
                    }
                }
            }
        }
        steps
    }

    /// The rows of things of a level, or of all there are.
    pub(super) fn rows(&self, level: Kind, only: Option<Vec<Key>>, grain: Grain) -> Rows<'s> {
        let query = RowQuery {
            account: self.account.key,
            level,
            only,
            grain,
            from: self.span.days.0,
            to: local(self.account.zone, self.span.end - 1).0,
            seen: self.seen,
        };
        self.world.rows(&query, Position::default())
    }

    /// The hours of a row that are asked about. Clocks show one hour twice in autumn: its row is of
    /// two hours, which are told apart here.
    pub(super) fn hours(&self, row: &Row) -> Vec<(i64, Figures)> {
        let hours = row.bucket.hours.clone();
        let is_double = hours.end - hours.start > 1;
        hours
            .filter(|hour| (self.span.start..self.span.end).contains(hour))
            .map(|hour| {
                let figures = if is_double {
                    self.world.figures(row.key, &(hour..hour + 1), self.seen)
                } else {
                    row.figures
                };
                (hour, figures)
            })
            .collect()
    }

    /// What makes up a thing's figures, and of which level it is.
    fn carriers(&self, thing: Key) -> (Kind, Vec<Key>) {
        match thing.kind {
            Kind::Ad | Kind::Creative => (Kind::Ad, vec![thing.sibling(Kind::Ad, thing.n)]),
            _ => (Kind::AdSet, self.world.keys(thing, Kind::AdSet)),
        }
    }
}

fn add(steps: &mut [Step], step: i64, figures: Figures) {
    let step = usize::try_from(step).ok();
    if let Some(step) = step.and_then(|step| steps.get_mut(step)) {
        step.add(figures);
    }
}
