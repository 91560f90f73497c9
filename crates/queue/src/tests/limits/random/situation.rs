//! Random situations: all that gates go by, and the SQL that makes it so. A situation's number is its seed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use uuid::Uuid;

/// The kind that may have few places for a key.
pub(super) const KEYED: &str = "test.work";
/// The kind that may draw on a budget.
pub(super) const DRAWING: &str = "test.together";
/// Ids of jobs are this and their number.
const FIRST_ID: u128 = 0x7000_8000_0000_0000_0000;

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Ready,
    Running,
    Scheduled,
    Retrying,
}

impl State {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Scheduled => "scheduled",
            Self::Retrying => "retrying",
        }
    }
}

/// A job that has not ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) number: u32,
    pub(super) kind: &'static str,
    pub(super) state: State,
    /// Whether it is in another queue than the one that is looked at. Only running ones are.
    pub(super) is_elsewhere: bool,
    pub(super) priority: i16,
    /// For how many seconds it has been due.
    pub(super) due: u32,
    pub(super) key: Option<u32>,
    pub(super) account: Option<&'static str>,
    tenant: Option<String>,
    /// Whose turn it takes, where somebody has found that out.
    pub(super) line: Option<String>,
    /// What an earlier claim noted on it: a gate of its own, which may have opened since or be no gate any more.
    note: Option<(&'static str, String)>,
}

impl Job {
    pub(super) fn id(&self) -> Uuid {
        Uuid::from_u128(FIRST_ID + u128::from(self.number))
    }
}

/// A worker of the queue that is alive.
#[derive(Debug, Clone, Copy)]
pub(super) struct Worker {
    pub(super) slots: usize,
    /// Else it has not registered the kind that may draw on a budget.
    pub(super) knows_all: bool,
}

/// All that gates go by.
#[derive(Debug)]
pub(super) struct Situation {
    pub(super) global_concurrency: Option<usize>,
    /// How many may start in an hour, and how many have.
    pub(super) rate: Option<(usize, usize)>,
    pub(super) is_fair: bool,
    pub(super) last_line: Option<String>,
    pub(super) is_paused: bool,
    /// Places of each key.
    pub(super) places: Option<usize>,
    pub(super) has_budget: bool,
    pub(super) worker: Option<Worker>,
    /// Whether a process died that had many slots and knew every kind.
    has_dead_worker: bool,
    pub(super) held: BTreeSet<&'static str>,
    /// Accounts that have a budget of their own: the one that a kind may draw on.
    pub(super) drawing: BTreeSet<&'static str>,
    /// Accounts whose budget is dry, and whether it is for urgent jobs too. `-` stands for jobs that name none, and the
    /// empty one for all.
    pub(super) dry: BTreeMap<&'static str, bool>,
    pub(super) jobs: Vec<Job>,
}

/// Chance that repeats itself.
struct Dice(StdRng);

impl Dice {
    fn chance(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }

    fn below(&mut self, bound: u32) -> u32 {
        self.0.random_range(0..bound)
    }

    /// A number from 1 on, in this share of situations.
    fn maybe(&mut self, percent: u32, most: u32) -> Option<usize> {
        let number = self.below(most) as usize + 1;
        self.chance(percent).then_some(number)
    }

    fn one_of<T: Copy, const N: usize>(&mut self, all: [T; N]) -> T {
        all[self.0.random_range(0..N)]
    }
}

impl Situation {
    pub(super) fn new(seed: u64) -> Self {
        let dice = &mut Dice(StdRng::seed_from_u64(seed));
        // In some nothing is limited: then other statements claim.
        let limited = if dice.chance(80) { 100 } else { 0 };
        let share = |percent: u32| percent * limited / 100;
        let tenant = dice.below(4);
        let mut situation = Self {
            global_concurrency: dice.maybe(share(40), 6),
            rate: dice
                .maybe(share(35), 5)
                .map(|count| (count, dice.below(5) as usize)),
            is_fair: dice.chance(share(50)),
            last_line: dice.chance(70).then(|| format!("t{tenant}")),
            is_paused: dice.chance(10),
            places: dice.maybe(share(50), 2),
            has_budget: dice.chance(share(60)),
            worker: worker(dice),
            has_dead_worker: dice.chance(20),
            held: BTreeSet::new(),
            drawing: BTreeSet::new(),
            dry: BTreeMap::new(),
            jobs: Vec::new(),
        };
        for account in ["a", "b"] {
            if dice.chance(25) {
                situation.held.insert(account);
            }
        }
        for account in ["", "-", "a", "b"] {
            let percent = if account.is_empty() { 12 } else { 35 };
            if dice.chance(percent) {
                let for_urgent = account.is_empty() || dice.chance(30);
                situation.dry.insert(account, for_urgent);
            }
        }
        let noted = if dice.chance(share(45)) { 30 } else { 0 };
        for number in 0..4 + dice.below(28) {
            situation.jobs.push(job(dice, number, noted));
        }
        for account in ["a", "b"] {
            if dice.chance(40) {
                situation.drawing.insert(account);
            }
        }
        situation
    }

    /// Whether no limit of the fleet has to do with the queue.
    pub(super) fn is_plain(&self) -> bool {
        self.global_concurrency.is_none()
            && self.rate.is_none()
            && self.places.is_none()
            && !self.is_fair
            && !self.has_budget
            && !self.has_notes()
    }

    pub(super) fn has_notes(&self) -> bool {
        self.jobs.iter().any(|job| job.note.is_some())
    }

    /// SQL that makes the situation out of any other.
    pub(super) fn sql(&self) -> String {
        let (rate, times, starts) = match self.rate {
            Some((count, started)) => (
                Some(count),
                "ARRAY[now()]".to_owned(),
                format!("ARRAY[{started}]"),
            ),
            None => (None, "'{}'".to_owned(), "'{}'".to_owned()),
        };
        let paused = if self.is_paused {
            "now(), paused_by = 'test'"
        } else {
            "NULL, paused_by = NULL"
        };
        let mut sql = format!(
            "TRUNCATE millpond.jobs, millpond.holds, millpond.account_budgets, millpond.budgets, millpond.workers;
             UPDATE millpond.queues
                SET global_concurrency = {}, rate_count = {}, rate_per_seconds = {}, rate_times = {times}, rate_starts = {starts},
                    fair_by = {}, fair_last = {}, paused_at = {paused}
              WHERE name = 'default';
             UPDATE millpond.kinds_seen SET per_key_concurrency = {} WHERE kind = '{KEYED}';
             UPDATE millpond.kinds_seen SET budget = {} WHERE kind = '{DRAWING}';",
            literal(self.global_concurrency),
            literal(rate),
            literal(rate.map(|_| 3_600)),
            literal(self.is_fair.then_some("tenant")),
            literal(self.last_line.as_ref()),
            literal(self.places),
            literal(self.has_budget.then_some("meta")),
        );
        sql.extend(self.worker.map(|it| worker_sql(it, "now()")));
        let dead = Worker {
            slots: 50,
            knows_all: true,
        };
        let long_ago = "now() - interval '1 hour'";
        sql.extend(self.has_dead_worker.then(|| worker_sql(dead, long_ago)));
        sql.extend(self.held.iter().map(|account| {
            format!("INSERT INTO millpond.holds (account, reason, by) VALUES ('{account}', 'r', 'test');")
        }));
        sql.extend(self.drawing.iter().map(|account| {
            format!("INSERT INTO millpond.account_budgets (account, budget) VALUES ('{account}', 'meta');")
        }));
        sql.extend(self.dry.iter().map(|(account, for_urgent)| {
            format!(
                "INSERT INTO millpond.budgets (name, account, dry_until, dry_detail, dry_for_urgent, dry_under)
                 VALUES ('meta', '{account}', now() + interval '1 hour', 'd', {for_urgent}, 'x');"
            )
        }));
        sql.extend(self.jobs.iter().map(job_sql));
        sql
    }
}

fn worker(dice: &mut Dice) -> Option<Worker> {
    let worker = Worker {
        slots: dice.one_of([2, 3, 4, 5, 7, 10, 13]),
        knows_all: dice.chance(85),
    };
    dice.chance(92).then_some(worker)
}

fn job(dice: &mut Dice, number: u32, noted: u32) -> Job {
    let kind = if dice.chance(40) { DRAWING } else { KEYED };
    let state = match dice.below(30) {
        0..24 => State::Ready,
        24..28 => State::Running,
        28 => State::Scheduled,
        _ => State::Retrying,
    };
    let tenant = dice.below(4);
    let tenant = dice.chance(85).then(|| format!("t{tenant}"));
    let is_marked = dice.chance(92);
    let key = dice.below(3);
    let mut job = Job {
        number,
        kind,
        state,
        is_elsewhere: state == State::Running && dice.chance(25),
        priority: dice.one_of([0, 0, 5, 5, 5, 9]),
        due: dice.below(50),
        key: dice.chance(70).then_some(key),
        account: dice.one_of([None, Some("a"), Some("b"), Some("c")]),
        line: is_marked.then(|| tenant.clone().unwrap_or_default()),
        tenant,
        note: None,
    };
    if state == State::Ready && dice.chance(noted) {
        job.note = note(dice, &job);
    }
    job
}

fn note(dice: &mut Dice, job: &Job) -> Option<(&'static str, String)> {
    let kind = job.kind;
    match dice.below(3) {
        0 => Some(("key_limit", format!("{kind} k{}", job.key?))),
        1 => Some(("account_held", job.account?.to_owned())),
        _ => {
            let account = job.account.map(|account| format!(" {account}"));
            let account = account.unwrap_or_default();
            Some(("budget", format!("meta {kind}{account}")))
        }
    }
}

fn literal(value: Option<impl Display>) -> String {
    value.map_or_else(|| "NULL".to_owned(), |value| format!("'{value}'"))
}

fn worker_sql(worker: Worker, seen_at: &str) -> String {
    let kinds = if worker.knows_all {
        format!("{KEYED},{DRAWING}")
    } else {
        KEYED.to_owned()
    };
    format!(
        "INSERT INTO millpond.workers (id, host, pid, version, roles, kinds, slots, seen_at)
         VALUES (gen_random_uuid(), 'h', 1, 'test', '{{worker}}', '{{{kinds}}}', jsonb_build_object('default', {}), {seen_at});",
        worker.slots
    )
}

fn job_sql(job: &Job) -> String {
    let is_running = job.state == State::Running;
    let queue = if job.is_elsewhere { "http" } else { "default" };
    let (gate, what) = job.note.clone().unzip();
    let lease = if is_running {
        "gen_random_uuid(), now() + interval '1 hour', gen_random_uuid(), true"
    } else {
        "NULL, NULL, NULL, NULL"
    };
    let attempts = i32::from(is_running);
    format!(
        "INSERT INTO millpond.jobs (id, queue, kind, state, priority, run_at, payload, attempt, attempts_used, key, account, tenant,
                fair, parked_gate, parked_for, lease_token, lease_until, worker, takes_place)
         VALUES ('{}', '{queue}', '{}', '{}', {}, now() - interval '{} seconds', '{{}}', {attempts}, {attempts}, {}, {}, {}, {}, {},
                 {}, {lease});",
        job.id(),
        job.kind,
        job.state.as_str(),
        job.priority,
        job.due,
        literal(job.key.map(|key| format!("k{key}"))),
        literal(job.account),
        literal(job.tenant.as_ref()),
        literal(job.line.as_ref()),
        literal(gate),
        literal(what),
    )
}
