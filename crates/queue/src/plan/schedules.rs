//! The ticks of a day: which come now and would not, and which would.

use std::collections::{BTreeSet, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::{Facts, Side, Sides};
use crate::config::Schedule;

/// How far ahead ticks are compared.
const DAY: TimeDelta = TimeDelta::hours(24);
/// Most ticks of one schedule that are looked at on each side.
const MOST_TICKS: usize = 10_000;
/// Most ticks of all schedules: looking for one takes some millionths of a second.
const MOST_TICKS_OF_ALL: usize = 100_000;
/// Most schedules that are looked at: one that ticks once in a century takes longest.
const MOST_SCHEDULES: usize = 200;
/// Ticks that are told of those that come or go.
const TOLD: usize = 3;

/// A schedule with other ticks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SchedulePlan {
    /// Its name.
    pub schedule: String,
    /// What becomes of it.
    pub change: ScheduleChange,
    /// Whether it stops: it ticks now, and would not any more or not within a day although it does.
    pub stops: bool,
    /// Whether it is paused now: ticks of the pause are not among these.
    pub is_paused: bool,
    /// Ticks within the next 24 hours as it is.
    pub ticks_before: usize,
    /// As it would be.
    pub ticks_after: usize,
    /// Whether that is not all of them: at most 10,000 are counted on each side.
    pub is_cut: bool,
    /// The next tick as it is.
    pub next_before: Option<DateTime<Utc>>,
    /// As it would be.
    pub next_after: Option<DateTime<Utc>>,
    /// The first three ticks that come now and would not.
    pub lost: Vec<DateTime<Utc>>,
    /// The first three that do not and would.
    pub gained: Vec<DateTime<Utc>>,
}

/// What becomes of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleChange {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It is another.
    Changed,
}

impl ScheduleChange {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
        }
    }
}

/// What differs, and how many schedules were not looked at.
#[derive(Debug, Default)]
pub(super) struct Compared {
    pub(super) plans: Vec<SchedulePlan>,
    pub(super) left_out: usize,
}

pub(super) fn compare(sides: &Sides, facts: &Facts) -> Compared {
    let (before, after) = (&sides.before, &sides.after);
    let names = before.holds.schedules.keys();
    let names: BTreeSet<&String> = names.chain(after.holds.schedules.keys()).collect();
    let mut compared = Compared::default();
    let (mut looked_at, mut room) = (0, MOST_TICKS_OF_ALL);
    for name in names {
        let of = |side: &Side| side.holds.schedules.get(name).cloned();
        let (was, is) = (of(before), of(after));
        if was == is {
            continue;
        }
        if looked_at == MOST_SCHEDULES || room == 0 {
            compared.left_out += 1;
            continue;
        }
        looked_at += 1;
        let clock = Clock::of(name, facts);
        let old = clock.ticks(was.as_ref().filter(|was| runs(before, was, facts)), room);
        room = room.saturating_sub(old.ticks.len());
        let new = clock.ticks(is.as_ref().filter(|is| runs(after, is, facts)), room);
        room = room.saturating_sub(new.ticks.len());
        let change = match (&was, &is) {
            (None, _) => ScheduleChange::Added,
            (_, None) => ScheduleChange::Removed,
            _ => ScheduleChange::Changed,
        };
        if change != ScheduleChange::Changed || old != new {
            compared.plans.push(plan(name, change, &clock, (old, new)));
        }
    }
    compared
}

/// Whether a schedule's ticks make jobs: a kind that nobody has a handler for gets none. One that a text declares with
/// its endpoint has a handler as soon as processes start with that text.
fn runs(side: &Side, schedule: &Schedule, facts: &Facts) -> bool {
    let declared = side.holds.kinds.get(&schedule.kind);
    facts.registered.contains(&schedule.kind)
        || declared.is_some_and(|kind| kind.policy.target.is_some())
}

fn plan(
    name: &str,
    change: ScheduleChange,
    clock: &Clock,
    (old, new): (Ticks, Ticks),
) -> SchedulePlan {
    let ends_for_good = old.next.is_some() && new.next.is_none();
    let ends_for_a_day = !old.ticks.is_empty() && new.ticks.is_empty();
    SchedulePlan {
        schedule: name.to_owned(),
        change,
        stops: ends_for_good || ends_for_a_day,
        is_paused: clock.is_paused,
        ticks_before: old.ticks.len(),
        ticks_after: new.ticks.len(),
        is_cut: old.is_cut || new.is_cut,
        lost: old.without(&new),
        gained: new.without(&old),
        next_before: old.next,
        next_after: new.next,
    }
}

/// From when on a schedule's ticks make jobs, and until when they are looked at.
#[derive(Debug)]
struct Clock {
    now: DateTime<Utc>,
    is_paused: bool,
    /// `None`: not until somebody resumes it.
    from: Option<DateTime<Utc>>,
}

impl Clock {
    fn of(name: &str, facts: &Facts) -> Self {
        let row = facts.schedules.iter().find(|row| row.name == name);
        let pause = row.filter(|row| row.is_paused);
        let from = match pause {
            Some(row) => row.paused_until.map(|until| until.max(facts.at)),
            None => Some(facts.at),
        };
        Self {
            now: facts.at,
            is_paused: pause.is_some(),
            from,
        }
    }

    fn ticks(&self, schedule: Option<&Schedule>, room: usize) -> Ticks {
        let (Some(schedule), Some(from)) = (schedule, self.from) else {
            return Ticks::default();
        };
        // A tick at the very end of a pause makes a job; one at the very moment of now is decided already.
        let after = if self.is_paused {
            from - TimeDelta::seconds(1)
        } else {
            from
        };
        let mut ticks = schedule
            .ticks_after(after)
            .filter(|tick| *tick >= from)
            .peekable();
        let next = ticks.peek().copied();
        let mut of_day = ticks.take_while(|tick| *tick <= self.now + DAY);
        let ticks: Vec<_> = of_day.by_ref().take(room.min(MOST_TICKS)).collect();
        let is_cut = ticks.len() == room.min(MOST_TICKS) && of_day.next().is_some();
        Ticks {
            next,
            ticks,
            is_cut,
        }
    }
}

/// The ticks of a day.
#[derive(Debug, Default, PartialEq)]
struct Ticks {
    next: Option<DateTime<Utc>>,
    ticks: Vec<DateTime<Utc>>,
    is_cut: bool,
}

impl Ticks {
    /// The first of these that are not among the others. Beyond where the others were cut nothing is known of them.
    fn without(&self, others: &Self) -> Vec<DateTime<Utc>> {
        let end = others.ticks.last().filter(|_| others.is_cut);
        let known = self
            .ticks
            .iter()
            .take_while(|tick| end.is_none_or(|end| *tick <= end));
        let others: HashSet<_> = others.ticks.iter().collect();
        let missing = known.filter(|tick| !others.contains(tick));
        missing.take(TOLD).copied().collect()
    }
}
