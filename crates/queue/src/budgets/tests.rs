//! A fleet in miniature: what processes hold and what is decided, without a database, over days and through crashes,
//! against what a provider would count.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;

use super::{
    Limits,
    decision::{Call, Hindrance, decide},
    stock::{Drawn, Ended, Stock},
    window::slot_of,
};
use crate::{
    config::Config,
    store::budgets::{BudgetRow, Draws},
};

const PROCESSES: usize = 3;
const TTL: Duration = Duration::from_secs(80);
const RENEW_EVERY: Duration = Duration::from_secs(20);
const FRESH: Duration = Duration::from_secs(2);

fn limits(name: &str, section: &str) -> Limits {
    let text = format!("[budgets.{name}]\n{section}");
    let config = Config::parse(&text, &[])
        .expect("the section is right")
        .config;
    Limits::of(name, &config.budgets[name])
}

/// What happens.
#[derive(Debug, Clone)]
enum Event {
    /// Time passes.
    Pass(u64),
    /// A process looks after what is due.
    Settle(usize),
    /// A process makes calls one after another.
    Call {
        process: usize,
        calls: usize,
        weight: u64,
        urgent: bool,
    },
    /// The oldest call of a process has ended.
    End(usize),
    /// A process is gone, and another one comes in its place.
    Crash(usize),
}

fn event() -> impl Strategy<Value = Event> {
    let process = 0..PROCESSES;
    prop_oneof![
        3 => (1_u64..4_000).prop_map(Event::Pass),
        3 => (0_u64..3).prop_map(Event::Pass),
        1 => Just(Event::Pass(40_000)),
        4 => process.clone().prop_map(Event::Settle),
        8 => (process.clone(), 1_usize..40, 0_u64..3, any::<bool>())
            .prop_map(|(process, calls, weight, urgent)| Event::Call { process, calls, weight, urgent }),
        6 => process.clone().prop_map(Event::End),
        1 => process.prop_map(Event::Crash),
    ]
}

#[derive(Default)]
struct Process {
    stock: Stock,
    /// Calls in flight.
    in_flight: usize,
    /// What the database says of its places, and until when.
    held: Option<(u32, DateTime<Utc>)>,
}

struct World {
    limits: Limits,
    began: Instant,
    now: TimeDelta,
    row: BudgetRow,
    usage: BTreeMap<DateTime<Utc>, i64>,
    processes: Vec<Process>,
    /// Places that crashed processes still hold.
    lost: Vec<(u32, DateTime<Utc>)>,
    /// When a call of which weight was made.
    made: Vec<(DateTime<Utc>, u64)>,
}

impl World {
    fn new(limits: Limits) -> Self {
        let start: DateTime<Utc> = "2026-11-20T22:13:00Z".parse().expect("a time");
        Self {
            limits,
            began: Instant::now(),
            now: TimeDelta::zero(),
            row: BudgetRow {
                now: start,
                free_at: None,
                paused_until: None,
                pause_reason: None,
                used_share: None,
                remaining: None,
                told_until: None,
            },
            usage: BTreeMap::new(),
            processes: (0..PROCESSES).map(|_| Process::default()).collect(),
            lost: Vec::new(),
            made: Vec::new(),
        }
    }

    fn instant(&self) -> Instant {
        self.began + self.now.to_std().unwrap_or_default()
    }

    /// Time passes. A process whose lease ends has stopped its calls by then.
    fn pass(&mut self, time: TimeDelta) {
        self.now += time;
        self.row.now += time;
        for one in &mut self.processes {
            if one.held.is_some_and(|(_, until)| until <= self.row.now) {
                for _ in 0..std::mem::take(&mut one.in_flight) {
                    one.stock.leave(&[]);
                }
            }
        }
    }

    fn happen(&mut self, event: &Event) {
        match *event {
            Event::Pass(seconds) => {
                self.pass(TimeDelta::seconds(
                    i64::try_from(seconds).expect("it is small"),
                ));
            }
            Event::Settle(process) => {
                let now = self.instant();
                if self.processes[process].stock.is_due(RENEW_EVERY, now) {
                    self.exchange(process, None);
                }
            }
            Event::Call {
                process,
                calls,
                weight,
                urgent,
            } => {
                for _ in 0..calls {
                    if !self.call(process, Call { weight, urgent }) {
                        break;
                    }
                }
            }
            Event::End(process) => {
                let process = &mut self.processes[process];
                if process.in_flight > 0 {
                    process.in_flight -= 1;
                    process.stock.leave(&[]);
                }
            }
            Event::Crash(process) => {
                let gone = std::mem::take(&mut self.processes[process]);
                self.lost.extend(gone.held);
            }
        }
    }

    /// Whether a call can be made; it is made when its time comes.
    fn call(&mut self, process: usize, call: Call) -> bool {
        self.processes[process].stock.wait(call);
        let is_made = self.try_call(process, call);
        self.processes[process].stock.wait_no_more(call);
        is_made
    }

    fn try_call(&mut self, process: usize, call: Call) -> bool {
        for _ in 0..2 {
            let now = self.instant();
            let needs_place = self.limits.places.is_some();
            let one = &mut self.processes[process];
            match one.stock.draw(call, needs_place, FRESH, now) {
                Drawn::Taken(taken) => {
                    one.in_flight += 1;
                    let wait = taken.opens.saturating_duration_since(now);
                    self.made.push((self.row.now + wait, call.weight));
                    return true;
                }
                Drawn::Dry(_) => return false,
                Drawn::Nothing => {
                    if self.exchange(process, Some(call)).is_some() {
                        return false;
                    }
                }
            }
        }
        false
    }

    fn exchange(&mut self, process: usize, call: Option<Call>) -> Option<Hindrance> {
        let (at, now) = (self.instant(), self.row.now);
        let begun = self.processes[process].stock.begin(call, false, at);
        for (slot, units) in &begun.given_back {
            *self.usage.entry(*slot).or_default() -= units;
        }
        let draws = self.draws(process);
        let decision = decide(&self.limits, self.row.clone(), &draws, &begun.ask);
        if let Some(lease) = decision.lease {
            let units = i64::try_from(lease.units).expect("it is small");
            *self.usage.entry(slot_of(now)).or_default() += units;
        }
        let ended = Ended {
            asked_at: at,
            places: decision.places,
            holds_until: at + TTL,
            fair_share: decision.fair_share,
            counts: decision.counts,
            lease: decision.lease,
            slot: Some(slot_of(now)),
            stays: begun.stays,
        };
        let one = &mut self.processes[process];
        one.held = begun
            .stays
            .then(|| (decision.places, now + TTL + RENEW_EVERY));
        one.stock.end(&ended, at);
        self.row = decision.row;
        decision.hindrance
    }

    fn draws(&self, asking: usize) -> Draws {
        let now = self.row.now;
        let others = self.processes.iter().enumerate();
        let held = others
            .filter(|(other, _)| *other != asking)
            .filter_map(|(_, one)| one.held);
        let live: Vec<u32> = held
            .chain(self.lost.iter().copied())
            .filter(|(_, until)| *until > now)
            .map(|(places, _)| places)
            .collect();
        let since = self.limits.day.map_or(now, |limit| limit.day.since(now));
        Draws {
            used: self
                .usage
                .iter()
                .filter(|(slot, _)| **slot > since)
                .map(|(_, used)| used)
                .sum(),
            places: live.iter().copied().map(i64::from).sum(),
            others: i64::try_from(live.len()).expect("they are few"),
            ..Draws::default()
        }
    }

    /// The most calls that a provider counts within any span of so long.
    fn most_within(&self, span: TimeDelta) -> u64 {
        let mut made = self.made.clone();
        made.sort_unstable();
        let (mut first, mut counted, mut most) = (0, 0, 0);
        for (at, weight) in &made {
            counted += weight;
            while made[first].0 <= *at - span {
                counted -= made[first].1;
                first += 1;
            }
            most = most.max(counted);
        }
        most
    }
}

proptest! {
    // Fails when a lease is forgotten too early, is given back twice, or survives its time.
    #[test]
    fn no_day_has_more_calls_than_its_limit(events in prop::collection::vec(event(), 1..300)) {
        let mut world = World::new(limits("google_ads", "daily = 150\nconcurrent = 10000\nrate = \"1000/s\""));

        for event in &events {
            world.happen(event);
        }

        let most = world.most_within(TimeDelta::hours(24));
        prop_assert!(most <= 150, "{most} calls in a day");
        prop_assert!(world.usage.values().all(|used| *used >= 0), "{:?}", world.usage);
    }

    // Fails when what was leased and not used is lost, or what is over counts on.
    #[test]
    fn a_day_later_all_calls_are_there_again(events in prop::collection::vec(event(), 1..100)) {
        let mut world = World::new(limits("google_ads", "daily = 150\nconcurrent = 10000\nrate = \"1000/s\""));
        for event in &events {
            world.happen(event);
        }

        world.pass(TimeDelta::minutes(24 * 60 + 6));
        let before = world.made.len();
        for _ in 0..4 {
            for process in 0..PROCESSES {
                let calls = Event::Call { process, calls: 200, weight: 1, urgent: true };
                world.happen(&calls);
            }
            // What one holds and does not need goes back.
            world.pass(TimeDelta::seconds(2));
            (0..PROCESSES).for_each(|process| world.happen(&Event::Settle(process)));
        }

        prop_assert_eq!(world.made.len() - before, 150);
    }

    // Fails when the limit of calls at a time is one of each process, or a crash frees places before their lease ends.
    #[test]
    fn never_are_more_calls_in_flight_than_places(events in prop::collection::vec(event(), 1..300)) {
        let mut world = World::new(limits("meta", "concurrent = 5\nrate = \"1000/s\""));

        for event in &events {
            world.happen(event);
            let now = world.row.now;
            let live = world.processes.iter().filter(|one| one.held.is_some_and(|(_, until)| until > now));
            let in_flight: usize = live.map(|one| one.in_flight).sum();
            prop_assert!(in_flight <= 5, "{in_flight} calls in flight");
        }
    }

    // Fails when processes lease the same time under the rate.
    #[test]
    fn the_fleet_keeps_to_the_rate(
        rounds in prop::collection::vec((0..PROCESSES, 1_usize..10, 0_i64..1_500), 1..300),
    ) {
        let mut world = World::new(limits("x", "concurrent = 10000\nrate = \"60/m\""));

        for (process, calls, pause_ms) in rounds {
            world.happen(&Event::Call { process, calls, weight: 1, urgent: false });
            world.pass(TimeDelta::milliseconds(pause_ms));
        }

        // Some tolerance: the calls of a lease are spaced out by the pacer, which is not here.
        let most = world.most_within(TimeDelta::seconds(60));
        prop_assert!(most <= 70, "{most} calls in a minute");
    }
}
