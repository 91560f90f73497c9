//! Calls that this process has leased of a budget and not yet made.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};

use super::{decision::Lease, limits::Pace};

/// Longest that a leased call may wait to be made. What counts against a day relies on it: see `window.rs`.
const LIFE: Duration = Duration::from_secs(30);
/// How long a lease under a rate may be used after its time.
const LATE: Duration = Duration::from_secs(1);

/// Calls, by the slots in which they were counted.
pub(super) type BySlot = BTreeMap<DateTime<Utc>, i64>;

/// Leased calls.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    open: VecDeque<Chunk>,
    /// What will not be called and is to go back.
    void: BySlot,
}

/// What was leased at a time.
#[derive(Debug)]
struct Chunk {
    units: u64,
    /// Where it counts against the day; `None`: it was leased when no day was counted, and has nothing to give back.
    slot: Option<DateTime<Utc>>,
    opens: Instant,
    closes: Instant,
    pace: Option<Pace>,
    for_urgent: bool,
}

/// A call that may be made when its time comes.
#[derive(Debug, PartialEq)]
pub(super) struct Taken {
    pub(super) opens: Instant,
    pub(super) pace: Option<Pace>,
    /// What it took from which slots, where calls a day are counted.
    pub(super) spent: Vec<(DateTime<Utc>, u64)>,
}

impl Chunks {
    /// What a call could take.
    pub(super) fn units(&self, urgent: bool) -> u64 {
        let usable = self.open.iter().filter(|chunk| urgent || !chunk.for_urgent);
        usable.map(|chunk| chunk.units).sum()
    }

    /// Takes so much for a call, the oldest first.
    pub(super) fn take(&mut self, units: u64, urgent: bool, now: Instant) -> Taken {
        let mut taken = Taken {
            opens: now,
            pace: None,
            spent: Vec::new(),
        };
        let mut missing = units;
        for chunk in &mut self.open {
            let units = missing.min(chunk.units);
            if units == 0 || (chunk.for_urgent && !urgent) {
                continue;
            }
            chunk.units -= units;
            missing -= units;
            taken.opens = taken.opens.max(chunk.opens);
            taken.pace = chunk.pace;
            taken.spent.extend(chunk.slot.map(|slot| (slot, units)));
        }
        self.open.retain(|chunk| chunk.units > 0);
        taken
    }

    /// Adds a lease that was asked for and came at these times.
    pub(super) fn add(
        &mut self,
        lease: Lease,
        slot: Option<DateTime<Utc>>,
        asked_at: Instant,
        now: Instant,
    ) {
        let opens = now + lease.opens_in;
        let latest = asked_at + LIFE;
        let units = u32::try_from(lease.units).unwrap_or(u32::MAX);
        let closes = lease.pace.map_or(latest, |pace| {
            let takes = pace.interval.saturating_mul(units);
            latest.min(opens + takes.min(LIFE) + LATE)
        });
        self.open.push_back(Chunk {
            units: lease.units,
            slot,
            opens,
            closes,
            pace: lease.pace,
            for_urgent: lease.for_urgent,
        });
    }

    /// Has what was taken for a call that is not made go back.
    pub(super) fn void(&mut self, slot: DateTime<Utc>, units: u64) {
        *self.void.entry(slot).or_default() += i64::try_from(units).unwrap_or(0);
    }

    /// Has what is too old go back.
    pub(super) fn void_closed(&mut self, now: Instant) {
        while let Some(place) = self.open.iter().position(|chunk| chunk.closes <= now)
            && let Some(chunk) = self.open.remove(place)
        {
            self.void_chunk(&chunk);
        }
    }

    /// Has everything go back.
    pub(super) fn void_all(&mut self) {
        for chunk in std::mem::take(&mut self.open) {
            self.void_chunk(&chunk);
        }
    }

    fn void_chunk(&mut self, chunk: &Chunk) {
        if let Some(slot) = chunk.slot {
            self.void(slot, chunk.units);
        }
    }

    /// What is to go back, told once.
    pub(super) fn take_void(&mut self) -> BySlot {
        std::mem::take(&mut self.void)
    }

    /// Whether there is something to go back.
    pub(super) fn has_void(&self, now: Instant) -> bool {
        !self.void.is_empty() || self.open.iter().any(|chunk| chunk.closes <= now)
    }

    /// Whether there is nothing here, and nothing to go back.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty() && self.void.is_empty()
    }

    /// Whether no call can be made with it.
    pub(super) fn is_used_up(&self) -> bool {
        self.open.is_empty()
    }
}
