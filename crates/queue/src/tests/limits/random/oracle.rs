//! What may start in a situation, found out from the situation alone: nothing here asks the database or shares a line with
//! what claims and explains.

use std::{cmp::Reverse, collections::BTreeSet};

use anyhow::ensure;

use super::situation::{DRAWING, Job, KEYED, Situation, State};

/// Jobs up to this priority may have what is reserved of a budget.
const LAST_URGENT: i16 = 1;

/// Knows what a situation allows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Oracle<'s>(pub(super) &'s Situation);

/// A job's place in the order of arrival.
fn place(job: &Job) -> (i16, Reverse<u32>, u32) {
    (job.priority, Reverse(job.due), job.number)
}

fn is_among(job: &Job, jobs: &[&Job]) -> bool {
    jobs.iter().any(|other| other.number == job.number)
}

fn numbers(jobs: &[&Job]) -> BTreeSet<u32> {
    jobs.iter().map(|job| job.number).collect()
}

impl<'s> Oracle<'s> {
    /// The kinds that any live worker knows.
    pub(super) fn kinds(self) -> &'static [&'static str] {
        match self.0.worker {
            None => &[],
            Some(worker) if worker.knows_all => &[KEYED, DRAWING],
            Some(_) => &[KEYED],
        }
    }

    fn running(self) -> usize {
        let jobs = self.0.jobs.iter();
        jobs.filter(|job| job.state == State::Running && !job.is_elsewhere)
            .count()
    }

    /// Slots that are free.
    pub(super) fn free(self) -> usize {
        let slots = self.0.worker.map_or(0, |worker| worker.slots);
        slots.saturating_sub(self.running())
    }

    /// How many jobs the queue lets start.
    fn room(self) -> usize {
        if self.0.is_paused {
            return 0;
        }
        let places = self.0.global_concurrency;
        let places = places.map(|places| places.saturating_sub(self.running()));
        let rate = self.0.rate;
        let rate = rate.map(|(count, started)| count.saturating_sub(started));
        let limits = [Some(self.free()), places, rate];
        limits.into_iter().flatten().min().unwrap_or(0)
    }

    /// The gates that keep a waiting job now, whatever goes before it.
    pub(super) fn gates(self, job: &Job) -> BTreeSet<&'static str> {
        let limits = self.0;
        let full = limits.global_concurrency;
        let of_queue = [
            ("queue_paused", limits.is_paused),
            (
                "queue_full",
                full.is_some_and(|most| self.running() >= most),
            ),
            (
                "queue_rate",
                limits.rate.is_some_and(|(count, started)| started >= count),
            ),
        ];
        let of_queue = of_queue.into_iter().filter(|(_, is_closed)| *is_closed);
        let mut gates = self.own_gates(job);
        gates.extend(of_queue.map(|(gate, _)| gate));
        gates
    }

    /// Those of them that do not stand before the whole queue.
    fn own_gates(self, job: &Job) -> BTreeSet<&'static str> {
        let is_known = self.kinds().contains(&job.kind);
        let is_held = |account| self.0.held.contains(account);
        let gates = [
            ("not_due", job.state != State::Ready),
            ("no_worker", !is_known),
            ("account_held", job.account.is_some_and(is_held)),
            ("budget", self.is_dry(job)),
            ("key_limit", self.is_key_full(job, &[])),
        ];
        let closed = gates.into_iter().filter(|(_, is_closed)| *is_closed);
        closed.map(|(gate, _)| gate).collect()
    }

    fn is_dry(self, job: &Job) -> bool {
        let is_drawing = |account| self.0.drawing.contains(account);
        let draws = self.0.has_budget && job.kind == DRAWING || job.account.is_some_and(is_drawing);
        let account = job.account.unwrap_or("-");
        let mut dry = self.0.dry.iter();
        let is_dry = dry.any(|(of, for_urgent)| {
            (of.is_empty() || *of == account) && (*for_urgent || job.priority > LAST_URGENT)
        });
        draws && is_dry
    }

    /// Whether a job's key may have few places at all.
    pub(super) fn has_places(self, job: &Job) -> bool {
        self.0.places.is_some() && job.kind == KEYED && job.key.is_some()
    }

    /// Attempts with a job's kind and key that run once these have started.
    fn with_its_key(self, job: &Job, started: &[&Job]) -> usize {
        let running = self.0.jobs.iter();
        let running = running.filter(|other| other.state == State::Running);
        let all = running.chain(started.iter().copied());
        all.filter(|other| other.kind == job.kind && other.key == job.key)
            .count()
    }

    /// Whether no place of its key is left for a job once these have started.
    fn is_key_full(self, job: &Job, started: &[&Job]) -> bool {
        let places = self.0.places.filter(|_| self.has_places(job));
        places.is_some_and(|places| self.with_its_key(job, started) >= places)
    }

    /// The ready jobs in the order of arrival.
    fn ready(self) -> Vec<&'s Job> {
        let ready = self.0.jobs.iter();
        let mut ready: Vec<&Job> = ready.filter(|job| job.state == State::Ready).collect();
        ready.sort_by_key(|job| place(job));
        ready
    }

    /// Whether nothing but the queue could keep a job once these have started.
    fn may_start(self, job: &Job, started: &[&Job]) -> bool {
        self.own_gates(job).is_empty() && !self.is_key_full(job, started)
    }

    /// The jobs that were left though no gate of theirs keeps them.
    fn left(self, started: &[&Job]) -> Vec<&'s Job> {
        let ready = self.ready().into_iter();
        ready
            .filter(|job| !is_among(job, started) && self.may_start(job, started))
            .collect()
    }

    /// Nothing was started that may not be.
    pub(super) fn nothing_too_much(self, started: &[&Job]) -> anyhow::Result<()> {
        let room = self.room();
        ensure!(
            started.len() <= room,
            "{} start in a room of {room}",
            started.len()
        );
        for job in started {
            let gates = self.own_gates(job);
            ensure!(
                gates.is_empty(),
                "{gates:?} keep {job:?}, which was started"
            );
            let places = self.0.places.filter(|_| self.has_places(job));
            let taken = self.with_its_key(job, started);
            ensure!(
                places.is_none_or(|places| taken <= places),
                "{taken} attempts have the key of {job:?}"
            );
        }
        Ok(())
    }

    /// Nothing was left that might have been started.
    pub(super) fn nothing_too_little(self, started: &[&Job]) -> anyhow::Result<()> {
        let left = self.left(started);
        ensure!(
            left.is_empty() || started.len() >= self.room(),
            "there is room for {left:?}"
        );
        Ok(())
    }

    /// What one claim started is what came first.
    pub(super) fn in_order(self, started: &[&Job]) -> anyhow::Result<()> {
        let mut first: Vec<&Job> = Vec::new();
        for job in self.ready() {
            if first.len() < self.room() && self.may_start(job, &first) {
                first.push(job);
            }
        }
        let (first, started) = (numbers(&first), numbers(started));
        ensure!(
            first == started,
            "{first:?} come first, {started:?} were started"
        );
        Ok(())
    }

    /// What one claim of a fair queue started took turns: no line had more of them than the line of a job that was left,
    /// but the one more of a line that comes before it. A turn that came to a job which something keeps is gone.
    pub(super) fn by_turns(self, started: &[&Job]) -> anyhow::Result<()> {
        for job in self.left(started) {
            // Those of which nobody knows yet whose turn they take wait until somebody has found out.
            let Some(line) = job.line.as_deref() else {
                continue;
            };
            let late = started.iter().find(|other| {
                other.priority > job.priority
                    || (other.priority == job.priority
                        && other.line == job.line
                        && place(other) > place(job))
            });
            ensure!(late.is_none(), "{late:?} went before {job:?}");
            let own = self.turns_until(job, started);
            for other in started {
                let Some(other) = other.line.as_deref().filter(|other| *other != line) else {
                    continue;
                };
                let turns = started
                    .iter()
                    .filter(|it| it.priority == job.priority && it.line.as_deref() == Some(other));
                let turns = turns.count();
                let most = own + usize::from(self.turn(other) < self.turn(line));
                ensure!(turns <= most, "{other:?} had {turns} turns before {job:?}");
            }
        }
        Ok(())
    }

    /// The turns of a job's line before it: those that jobs have used, and those that came to jobs which something keeps.
    fn turns_until(self, job: &Job, started: &[&Job]) -> usize {
        let line = self.ready().into_iter();
        line.filter(|other| other.priority == job.priority && other.line == job.line)
            .filter(|other| is_among(other, started) || place(other) < place(job))
            .count()
    }

    /// In which order lines have their turns.
    fn turn(self, line: &str) -> (bool, &str) {
        let last = self.0.last_line.as_deref();
        (last.is_some_and(|last| line <= last), line)
    }
}
