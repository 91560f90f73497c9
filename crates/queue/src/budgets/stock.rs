//! What this process holds of one budget, and what it knows of why there is nothing. Everything happens at a given time,
//! and nothing waits here.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use super::{
    chunks::{BySlot, Chunks, Taken},
    decision::{Ask, Call, Lease},
    places::{Hold, Places},
};

/// What nobody drew on for so long goes back, for others to have.
const IDLE: Duration = Duration::from_secs(1);
/// How long it is believed without asking again that there is nothing.
const BELIEVED: Duration = Duration::from_secs(1);

/// What this process holds of one budget.
#[derive(Debug, Default)]
pub(super) struct Stock {
    chunks: Chunks,
    places: Places,
    /// Whether calls are counted at all.
    counts: bool,
    /// When the last exchange ended.
    exchanged_at: Option<Instant>,
    /// Whether the database knows this process as one that draws on the budget.
    is_holder: bool,
    drawn_at: Option<Instant>,
    recent: Meter,
    /// By urgency, as refusals are.
    waiting: [Waiting; 2],
    refusals: [Option<Refusal>; 2],
    /// Somebody waited in vain, which is to be told to the others.
    is_overdue: bool,
    report: Option<Report>,
    pause: Option<Pause>,
}

/// Calls that wait in this process.
#[derive(Debug, Default, Clone, Copy)]
struct Waiting {
    calls: u32,
    units: u64,
}

/// Why a call cannot be made, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dry {
    pub(super) until: DateTime<Utc>,
    /// By this process's clock.
    pub(super) ends: Instant,
    pub(super) detail: String,
}

/// That calls of this weight found nothing a moment ago.
#[derive(Debug)]
struct Refusal {
    weight: u64,
    dry: Dry,
    believed_until: Instant,
}

/// What the provider said of its usage.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Report {
    pub(super) used_share: Option<f64>,
    pub(super) remaining: Option<u64>,
    /// By this process's clock.
    pub(super) ends: Instant,
}

/// Nothing is called until it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pause {
    /// By this process's clock.
    pub(super) ends: Instant,
    pub(super) reason: String,
    /// Whether the database was told.
    is_told: bool,
}

/// How a call fares that looks for what it needs.
#[derive(Debug)]
pub(super) enum Drawn {
    /// It may be made.
    Taken(Taken),
    /// It cannot, for some time.
    Dry(Dry),
    /// There is nothing here: ask the database.
    Nothing,
}

/// What an exchange begins with. It is told once: what may have been stored must not be stored again.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) ask: Ask,
    pub(super) given_back: BySlot,
    pub(super) report: Option<Report>,
    pub(super) pause: Option<Pause>,
    pub(super) is_overdue: bool,
    /// Whether this process goes on drawing on the budget.
    pub(super) stays: bool,
}

/// What an exchange ends with.
#[derive(Debug)]
pub(super) struct Ended {
    /// From before it was asked for.
    pub(super) asked_at: Instant,
    pub(super) places: u32,
    /// Until when they are surely held.
    pub(super) holds_until: Instant,
    pub(super) fair_share: Option<u32>,
    pub(super) counts: bool,
    pub(super) lease: Option<Lease>,
    /// Where the lease counts against the day, if anywhere.
    pub(super) slot: Option<DateTime<Utc>>,
    pub(super) stays: bool,
}

impl Stock {
    /// Draws what a call needs, if it is here and was heard of lately.
    pub(super) fn draw(
        &mut self,
        call: Call,
        needs_place: bool,
        fresh: Duration,
        now: Instant,
    ) -> Drawn {
        self.chunks.void_closed(now);
        if let Some(pause) = self.pause.as_ref().filter(|pause| pause.ends > now) {
            return Drawn::Dry(Dry::of(pause.ends, pause.reason.clone(), now));
        }
        let is_fresh = self
            .exchanged_at
            .is_some_and(|at| now.saturating_duration_since(at) < fresh);
        let has_place = !needs_place || self.places.has_free(now);
        let units = if self.counts { call.weight } else { 0 };
        if is_fresh && has_place && self.chunks.units(call.urgent) >= units {
            self.places.enter();
            self.drawn_at = Some(now);
            self.recent.count(call.weight, now);
            return Drawn::Taken(self.chunks.take(units, call.urgent, now));
        }
        let refusal = self.refusals[usize::from(call.urgent)].as_ref();
        match refusal.filter(|r| call.weight >= r.weight && now < r.believed_until) {
            Some(refusal) => Drawn::Dry(refusal.dry.clone()),
            None => Drawn::Nothing,
        }
    }

    /// A call waits from here on.
    pub(super) fn wait(&mut self, call: Call) {
        let waiting = &mut self.waiting[usize::from(call.urgent)];
        waiting.calls += 1;
        waiting.units += call.weight;
    }

    /// A call waits no more.
    pub(super) fn wait_no_more(&mut self, call: Call) {
        let waiting = &mut self.waiting[usize::from(call.urgent)];
        waiting.calls -= 1;
        waiting.units -= call.weight;
    }

    /// A call has waited in vain.
    pub(super) fn give_up(&mut self) {
        self.is_overdue = true;
    }

    /// A call has ended, or is not made: then what it took goes back. Tells whether others wait for its place.
    pub(super) fn leave(&mut self, unspent: &[(DateTime<Utc>, u64)]) -> bool {
        for (slot, units) in unspent {
            self.chunks.void(*slot, *units);
        }
        self.places.leave()
    }

    /// The provider said how much is used. That all calls are to stop is told first: what follows it is the answer to a call that
    /// was under way, maybe of another of the provider's allowances.
    pub(super) fn hear(&mut self, report: Report, stop_at: f64) {
        let stops = |report: &Report| report.used_share.is_some_and(|share| share >= stop_at);
        if stops(&report) || !self.report.as_ref().is_some_and(stops) {
            self.report = Some(report);
        }
    }

    /// Nothing is called until then; a longer pause that is known already stays.
    pub(super) fn pause(&mut self, ends: Instant, reason: String) {
        if self.pause.as_ref().is_none_or(|known| known.ends < ends) {
            self.pause = Some(Pause {
                ends,
                reason,
                is_told: false,
            });
        }
    }

    /// Whether something is to be told or to go back, though no call asks for anything.
    pub(super) fn is_due(&self, renew_every: Duration, now: Instant) -> bool {
        let is_old = self
            .exchanged_at
            .is_none_or(|at| now.saturating_duration_since(at) >= renew_every);
        let is_in_use = self.places.in_use() > 0;
        (self.is_holder && !is_in_use && self.is_idle(now))
            || (is_in_use && is_old)
            || self.chunks.has_void(now)
            || self.places.has_given_up()
            || self.places.surplus(now) > 0
            || self.has_news()
    }

    /// Whether nothing is held, waited for or to be told.
    pub(super) fn is_spent(&self) -> bool {
        !self.is_holder
            && !self.has_news()
            && self.chunks.is_empty()
            && self.places.in_use() == 0
            && self.waiting.iter().all(|waiting| waiting.calls == 0)
    }

    fn has_news(&self) -> bool {
        self.report.is_some() || self.pause.as_ref().is_some_and(|pause| !pause.is_told)
    }

    /// Begins an exchange: until it has ended, no free place is used. `leaves` where this process stops.
    pub(super) fn begin(&mut self, call: Option<Call>, leaves: bool, now: Instant) -> Begun {
        self.chunks.void_closed(now);
        let is_idle = call.is_none() && (leaves || self.is_idle(now));
        if is_idle {
            self.chunks.void_all();
        }
        let kept = if is_idle {
            0
        } else {
            self.places.free() - self.places.surplus(now)
        };
        let waiting: u32 = self.waiting.iter().map(|waiting| waiting.calls).sum();
        let in_flight = self.places.in_use();
        self.places.freeze();
        let lacks = call.map(|call| self.lack(call));
        let ask = Ask {
            call: lacks,
            units: lacks.map_or(0, |call| self.wanted(call, now)),
            in_flight,
            places: in_flight.saturating_add(kept.max(waiting)),
        };
        let pause = self.pause.as_mut().filter(|pause| !pause.is_told);
        Begun {
            ask,
            given_back: self.chunks.take_void(),
            report: self.report.take(),
            pause: pause.map(|pause| {
                pause.is_told = true;
                pause.clone()
            }),
            is_overdue: std::mem::take(&mut self.is_overdue),
            stays: call.is_some() || ask.places > 0 || !self.chunks.is_used_up(),
        }
    }

    /// What a call lacks: where it is here what it takes, only a place, or news of whether it may be made.
    fn lack(&self, call: Call) -> Call {
        let is_here = self.chunks.units(call.urgent) >= call.weight;
        Call {
            weight: if is_here { 0 } else { call.weight },
            ..call
        }
    }

    /// What is leased with a call where there is plenty: what waits, and as much as was drawn lately.
    fn wanted(&mut self, call: Call, now: Instant) -> u64 {
        if call.weight == 0 {
            return 0;
        }
        let waiting = self.waiting[usize::from(call.urgent)].units;
        let recent = self.recent.units(now);
        waiting.max(call.weight).saturating_add(recent)
    }

    /// Ends an exchange.
    pub(super) fn end(&mut self, ended: &Ended, now: Instant) {
        let places = Hold {
            places: ended.places,
            until: ended.holds_until,
            fair_share: ended.fair_share,
        };
        self.places.hold(places, now);
        self.counts = ended.counts;
        self.exchanged_at = Some(now);
        self.is_holder = ended.stays;
        if let Some(lease) = ended.lease {
            self.chunks.add(lease, ended.slot, ended.asked_at, now);
        }
    }

    /// Remembers that a call found nothing, so that not each of them asks.
    pub(super) fn refuse(&mut self, call: Call, dry: Dry, now: Instant) {
        let believed_until = dry.ends.min(now + BELIEVED);
        self.refusals[usize::from(call.urgent)] = Some(Refusal {
            weight: call.weight,
            dry,
            believed_until,
        });
    }

    /// An exchange failed: what it gave back counts as used, since it may have been stored; the rest is told again.
    pub(super) fn fail(&mut self, begun: Begun) {
        self.report = self.report.take().or(begun.report);
        self.is_overdue |= begun.is_overdue;
        if let Some(failed) = begun.pause
            && let Some(pause) = &mut self.pause
            && pause.ends == failed.ends
        {
            pause.is_told = false;
        }
    }

    fn is_idle(&self, now: Instant) -> bool {
        let is_quiet = self
            .drawn_at
            .is_none_or(|at| now.saturating_duration_since(at) >= IDLE);
        is_quiet && self.waiting.iter().all(|waiting| waiting.calls == 0)
    }
}

impl Dry {
    /// That nothing is to be had until a time of this process's clock.
    pub(super) fn of(ends: Instant, detail: String, now: Instant) -> Self {
        Self {
            until: Utc::now() + ends.saturating_duration_since(now),
            ends,
            detail,
        }
    }
}

/// How much was drawn within about a second.
#[derive(Debug, Default)]
struct Meter {
    since: Option<Instant>,
    this: u64,
    last: u64,
}

impl Meter {
    fn count(&mut self, units: u64, now: Instant) {
        self.roll(now);
        self.this = self.this.saturating_add(units);
    }

    fn units(&mut self, now: Instant) -> u64 {
        self.roll(now);
        self.this.max(self.last)
    }

    fn roll(&mut self, now: Instant) {
        let age = self
            .since
            .map_or(IDLE * 2, |since| now.saturating_duration_since(since));
        if age >= IDLE {
            self.last = if age < IDLE * 2 { self.this } else { 0 };
            self.this = 0;
            self.since = Some(now);
        }
    }
}

#[cfg(test)]
mod tests;
