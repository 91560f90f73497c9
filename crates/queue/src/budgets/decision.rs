//! What a process is given of a budget: a pure decision from its row, which is locked, and from what others draw on it.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::limits::{Limits, Pace};
use crate::store::budgets::{BudgetRow, Draws};

/// How far ahead of their time calls are leased: as much as a process may make of its lease before it asks again.
const AHEAD: Duration = Duration::from_secs(1);
/// A lease that no call waits for yet is at most this part of a process's share of what is left: near the end each call
/// is leased by itself, so that anybody can make the last one.
const PART: u64 = 4;

/// The most that calls can be ahead of the rate: a bound for what no rate in use comes near.
const LONGEST_DEBT: Duration = Duration::from_secs(30 * 24 * 3_600);

/// A call that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Call {
    /// What it takes of the rate and of the day.
    pub(super) weight: u64,
    /// Whether it may have what is reserved.
    pub(super) urgent: bool,
}

/// What a process asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ask {
    /// The call that waits; `None`: nothing is asked for.
    pub(super) call: Option<Call>,
    /// What it would like to lease, this call included.
    pub(super) units: u64,
    /// Calls of its own in flight: their places are its own, whatever the limit is now.
    pub(super) in_flight: u32,
    /// The places it would like to hold, those in use included.
    pub(super) places: u32,
}

/// What it is given.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Decision {
    /// The places it holds from now on.
    pub(super) places: u32,
    /// The most it should hold while others wait for one.
    pub(super) fair_share: Option<u32>,
    pub(super) lease: Option<Lease>,
    /// Why the call cannot be made now.
    pub(super) hindrance: Option<Hindrance>,
    /// Whether calls are counted at all.
    pub(super) counts: bool,
    pub(super) row: BudgetRow,
    /// What counts as used, the lease included.
    pub(super) used: u64,
}

/// Calls to be made within a short time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Lease {
    pub(super) units: u64,
    /// When the first of them may be made.
    pub(super) opens_in: Duration,
    pub(super) pace: Option<Pace>,
    /// Whether they are out of what is reserved.
    pub(super) for_urgent: bool,
}

/// Why a call cannot be made now.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Hindrance {
    /// Nothing is called until then.
    Paused(DateTime<Utc>, String),
    /// The provider says that too few calls are left until then.
    Told(DateTime<Utc>),
    /// So many calls more must be forgotten first.
    Day(u64),
    /// It may be leased in so long.
    Rate(Duration),
    /// All places are taken.
    Places,
}

/// Decides what a process is given.
pub(super) fn decide(limits: &Limits, row: BudgetRow, draws: &Draws, ask: &Ask) -> Decision {
    let crowd = u64::try_from(draws.others).unwrap_or(0) + 1;
    let places = places(limits, draws, ask);
    let fair_share = limits
        .places
        .filter(|_| draws.others_wait)
        .map(|limit| fair_share(limit, draws));
    let mut standing = Standing {
        limits,
        provider_pause: draws
            .provider_paused_until
            .zip(draws.provider_pause_reason.clone()),
        used: u64::try_from(draws.used).unwrap_or(0),
        row,
    };
    let has_place = limits.places.is_none() || places > ask.in_flight;
    let hindrance = ask.call.and_then(|call| {
        let full = (!has_place).then_some(Hindrance::Places);
        standing.hindrance(call).or(full)
    });
    let lease = match (ask.call, &hindrance) {
        (Some(call), None) if call.weight > 0 && standing.counts() => {
            Some(standing.lease(call, ask.units, crowd))
        }
        _ => None,
    };
    Decision {
        places,
        fair_share,
        lease,
        hindrance,
        counts: standing.counts(),
        used: standing.used,
        row: standing.row,
    }
}

/// The places that a process holds from now on: never fewer than it has calls in flight.
fn places(limits: &Limits, draws: &Draws, ask: &Ask) -> u32 {
    let Some(limit) = limits.places else {
        return ask.in_flight;
    };
    let others = u32::try_from(draws.places).unwrap_or(u32::MAX);
    let mut most = limit.saturating_sub(others);
    if draws.others_wait {
        most = most.min(fair_share(limit, draws));
    }
    ask.places.min(most).max(ask.in_flight)
}

fn fair_share(limit: u32, draws: &Draws) -> u32 {
    let crowd = u32::try_from(draws.others).unwrap_or(0).saturating_add(1);
    limit.div_ceil(crowd)
}

/// What is left of a budget at this moment.
struct Standing<'a> {
    limits: &'a Limits,
    row: BudgetRow,
    provider_pause: Option<(DateTime<Utc>, String)>,
    used: u64,
}

impl Standing<'_> {
    /// Whether calls are counted at all.
    fn counts(&self) -> bool {
        self.pace().is_some() || self.limits.day.is_some() || self.told_remaining().is_some()
    }

    fn hindrance(&self, call: Call) -> Option<Hindrance> {
        if let Some((until, reason)) = self.pause() {
            return Some(Hindrance::Paused(until, reason));
        }
        if let Some((remaining, until)) = self.told_remaining()
            && remaining < call.weight
        {
            return Some(Hindrance::Told(until));
        }
        if let Some(day) = self.limits.day {
            let lacks = day.lacks(self.used, call.weight, call.urgent);
            if lacks > 0 && call.weight > 0 {
                return Some(Hindrance::Day(lacks));
            }
        }
        let wait = self.pace().map(|pace| self.turn(pace).wait)?;
        (wait > AHEAD && call.weight > 0).then(|| Hindrance::Rate(wait - AHEAD))
    }

    fn pause(&self) -> Option<(DateTime<Utc>, String)> {
        let row = &self.row;
        let own = row.paused_until.zip(row.pause_reason.clone());
        let of_provider = self.provider_pause.clone();
        let stopped = self.told_share().and_then(|(share, until)| {
            let used = format!("the provider says that {:.0} % are used", share * 100.0);
            (share >= self.limits.stop_at).then_some((until, used))
        });
        [own, of_provider, stopped]
            .into_iter()
            .flatten()
            .filter(|(until, _)| *until > row.now)
            .max_by_key(|(until, _)| *until)
    }

    fn told_until(&self) -> Option<DateTime<Utc>> {
        self.row.told_until.filter(|until| *until > self.row.now)
    }

    fn told_share(&self) -> Option<(f64, DateTime<Utc>)> {
        self.row
            .used_share
            .filter(|_| self.limits.listens)
            .zip(self.told_until())
    }

    fn told_remaining(&self) -> Option<(u64, DateTime<Utc>)> {
        let remaining = self.row.remaining.filter(|_| self.limits.listens)?;
        let remaining = u64::try_from(remaining).unwrap_or(0);
        Some(remaining).zip(self.told_until())
    }

    fn pace(&self) -> Option<Pace> {
        self.limits
            .pace_at(self.told_share().map(|(share, _)| share))
    }

    /// When the next call has its turn.
    fn turn(&self, pace: Pace) -> Turn {
        let debt = self.row.free_at.map_or(Duration::ZERO, |free_at| {
            (free_at - self.row.now).to_std().unwrap_or_default()
        });
        let tolerance = pace.interval * (pace.burst - 1);
        match debt.checked_sub(tolerance) {
            Some(wait) if !wait.is_zero() => Turn {
                debt,
                wait,
                ready: 0,
            },
            _ => Turn {
                debt,
                wait: Duration::ZERO,
                ready: times(tolerance.saturating_sub(debt), pace.interval) + 1,
            },
        }
    }

    /// Leases calls: what waits, and some more where there is plenty.
    fn lease(&mut self, call: Call, wanted: u64, crowd: u64) -> Lease {
        let share = |left: u64| left / PART.saturating_mul(crowd);
        let mut more = wanted;
        let mut for_urgent = false;
        if let Some(day) = self.limits.day {
            let left = day.left(self.used, false);
            for_urgent = left < call.weight;
            more = more.min(share(left));
        }
        if let Some((remaining, _)) = self.told_remaining() {
            more = more.min(share(remaining));
        }
        let pace = self.pace();
        let turn = pace.map(|pace| (pace, self.turn(pace)));
        if let Some((pace, turn)) = turn {
            let ahead = times(AHEAD, pace.interval);
            more = more.min((turn.ready + ahead) / crowd);
        }
        let units = more.max(call.weight);

        self.used = self.used.saturating_add(units);
        if let Some(remaining) = &mut self.row.remaining {
            *remaining = remaining.saturating_sub_unsigned(units).max(0);
        }
        if let Some((pace, turn)) = turn {
            let units = u32::try_from(units).unwrap_or(u32::MAX);
            let debt = turn
                .debt
                .saturating_add(pace.interval.saturating_mul(units));
            self.row.free_at = Some(self.row.now + debt.min(LONGEST_DEBT));
        }
        Lease {
            units,
            opens_in: turn.map_or(Duration::ZERO, |(_, turn)| turn.wait),
            pace,
            for_urgent,
        }
    }
}

/// Where the next call stands under the rate.
#[derive(Debug, Clone, Copy)]
struct Turn {
    /// How long the calls so far take under the rate.
    debt: Duration,
    wait: Duration,
    /// Calls that may be made at once.
    ready: u64,
}

impl Decision {
    /// Why a job of ordinary priority finds nothing from now on, and whether an urgent one does not either. A pause of its
    /// own is told by the row itself.
    pub(super) fn dryness(&self, limits: &Limits, patience: Duration) -> Option<(Hindrance, bool)> {
        let standing = Standing {
            limits,
            row: self.row.clone(),
            provider_pause: None,
            used: self.used,
        };
        let is_dry = |hindrance: &Hindrance| match hindrance {
            Hindrance::Rate(wait) => *wait > patience,
            Hindrance::Paused(until, _) => self.row.paused_until.is_none_or(|own| own < *until),
            Hindrance::Told(_) | Hindrance::Day(_) | Hindrance::Places => true,
        };
        let hinders = |urgent| {
            standing
                .hindrance(Call { weight: 1, urgent })
                .filter(is_dry)
        };
        hinders(false).map(|hindrance| (hindrance, hinders(true).is_some()))
    }
}

/// How often an interval fits into a span.
fn times(span: Duration, interval: Duration) -> u64 {
    let times = span.as_nanos() / interval.as_nanos().max(1);
    u64::try_from(times).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
