//! The model: what the jobs should look like, in memory. It knows the words of the product and none of the statements.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use uuid::Uuid;

use super::{
    actual::{Holding, Seen},
    job::{Job, Key},
    operations::{End, Idempotency, Place, Request, Token},
};
use crate::{EnqueueOutcome, JobState, OnConflict};

/// Attempts lost before a job is dead, and attempts used up before it is; as in the test's configuration.
const MAX_LOST: usize = 2;
const MAX_ATTEMPTS: i32 = 3;
/// Places in the line come after those of jobs that were made due by hand, which are due in 1970.
const NOW: i64 = 1_000_000;

/// What an enqueue should be answered.
#[derive(Debug)]
pub(super) enum Foreseen {
    Created,
    Kept(Uuid),
    Replaced(Uuid),
    Conflict(Uuid),
    Mismatch,
    Repeated(Uuid, EnqueueOutcome),
}

/// Everything that should be stored.
#[derive(Debug, Default)]
pub(super) struct Expected {
    jobs: BTreeMap<Uuid, Job>,
    first_answers: HashMap<u8, (u8, Uuid, EnqueueOutcome)>,
    step: i64,
}

impl Expected {
    /// A new step begins; what it makes ready comes after all before it.
    pub(super) fn next_step(&mut self) -> i64 {
        self.step += 1;
        self.step
    }

    /// What the tables should show.
    pub(super) fn seen(&self) -> BTreeMap<Uuid, Seen> {
        self.jobs
            .iter()
            .map(|(id, job)| (*id, job.seen()))
            .collect()
    }

    /// The job at a place; `None` while there is none at all.
    pub(super) fn at(&self, place: Place) -> Option<Uuid> {
        let count = self.jobs.len();
        (count > 0).then(|| {
            *self
                .jobs
                .keys()
                .nth(place % count)
                .expect("the place is within")
        })
    }

    /// The token that somebody has in mind.
    pub(super) fn token(&self, id: Uuid, token: Token) -> Uuid {
        let job = self.jobs.get(&id);
        let current = job.and_then(|job| job.holding).map(|held| held.token);
        let tokens = job.map(|job| job.tokens.as_slice()).unwrap_or_default();
        let found = match token {
            Token::Current => current.or_else(|| tokens.last().copied()),
            Token::Old => tokens.iter().copied().find(|old| Some(*old) != current),
            Token::Foreign => self
                .jobs
                .iter()
                .filter(|(other, _)| **other != id)
                .filter_map(|(_, other)| other.holding.map(|held| held.token))
                // Jobs that were claimed together have one token.
                .find(|other| Some(*other) != current),
        };
        found.unwrap_or_else(Uuid::new_v4)
    }

    /// Whether a token of this job or of any other was ever drawn.
    pub(super) fn was_drawn(&self, token: Uuid) -> bool {
        self.jobs.values().any(|job| job.tokens.contains(&token))
    }

    pub(super) fn foresee(&self, request: &Request) -> Foreseen {
        if let Some(Idempotency { key, body }) = &request.idempotency
            && let Some((first_body, id, outcome)) = self.first_answers.get(key)
        {
            return if body == first_body {
                Foreseen::Repeated(*id, *outcome)
            } else {
                Foreseen::Mismatch
            };
        }
        let Some((id, state, on_conflict)) = self.in_the_way(request) else {
            return Foreseen::Created;
        };
        let is_running = state == JobState::Running;
        match on_conflict {
            OnConflict::Reject => Foreseen::Conflict(id),
            OnConflict::OneBehind if is_running => Foreseen::Created,
            OnConflict::Replace if !is_running => Foreseen::Replaced(id),
            OnConflict::Keep | OnConflict::OneBehind | OnConflict::Replace => Foreseen::Kept(id),
        }
    }

    fn in_the_way(&self, request: &Request) -> Option<(Uuid, JobState, OnConflict)> {
        let unique = request.unique.as_ref()?;
        let text = key_text(unique.key);
        self.jobs
            .iter()
            .find(|(_, job)| job.unique.as_ref().is_some_and(|key| key.text == text))
            .map(|(id, job)| (*id, job.state, unique.on_conflict))
    }

    pub(super) fn knows(&self, id: Uuid) -> bool {
        self.jobs.contains_key(&id)
    }

    pub(super) fn created(&mut self, id: Uuid, request: &Request) {
        // One that runs makes room for the one behind it.
        if let Some((holder, ..)) = self.in_the_way(request)
            && let Some(holder) = self.jobs.get_mut(&holder)
        {
            holder.unique = None;
        }
        let mut job = Job::new(request.priority, max_attempts(request), self.now());
        job.unique = request.unique.as_ref().map(|unique| Key {
            text: key_text(unique.key),
            while_running: unique.while_running,
        });
        job.wanted.clone_from(&job.unique);
        if request.is_delayed {
            job.state = JobState::Scheduled;
        }
        self.jobs.insert(id, job);
        self.answered(request, id, EnqueueOutcome::Created);
    }

    pub(super) fn replaced(&mut self, id: Uuid, request: &Request) {
        let now = self.now();
        if let Some(job) = self.jobs.get_mut(&id) {
            job.priority = request.priority;
            job.max_attempts = max_attempts(request);
            job.used = 0;
            for key in [&mut job.unique, &mut job.wanted].into_iter().flatten() {
                key.while_running = request.unique.as_ref().is_some_and(|new| new.while_running);
            }
            job.wait(
                if request.is_delayed {
                    JobState::Scheduled
                } else {
                    JobState::Ready
                },
                now,
            );
        }
        self.answered(request, id, EnqueueOutcome::Replaced);
    }

    pub(super) fn answered(&mut self, request: &Request, id: Uuid, outcome: EnqueueOutcome) {
        if let Some(Idempotency { key, body }) = &request.idempotency {
            self.first_answers.insert(*key, (*body, id, outcome));
        }
    }

    /// The jobs that a claim should get: the most urgent ones, among equals those that have waited longest.
    pub(super) fn claimable(&self, most: usize) -> BTreeSet<Uuid> {
        let mut line: Vec<_> = self
            .jobs
            .iter()
            .filter(|(_, job)| job.state == JobState::Ready)
            .map(|(id, job)| (job.priority, job.since, *id))
            .collect();
        line.sort_unstable();
        line.into_iter().take(most).map(|(.., id)| id).collect()
    }

    /// A claim took a job; gives the number of its attempt and how many are used up.
    pub(super) fn claimed(&mut self, id: Uuid, worker: Uuid, token: Uuid) -> Option<(i32, i32)> {
        let job = self.jobs.get_mut(&id)?;
        job.state = JobState::Running;
        job.attempt += 1;
        job.used += 1;
        job.holding = Some(Holding {
            worker,
            token,
            is_expired: false,
        });
        job.tokens.push(token);
        job.unique = job.unique.take().filter(|key| key.while_running);
        Some((job.attempt, job.used))
    }

    /// A job waits again: it is to take its key back.
    fn take_back_key(&mut self, id: Uuid) {
        if let Some(job) = self.jobs.get_mut(&id) {
            job.is_back = true;
        }
    }

    /// Jobs that wait again since the last step take back their keys where nobody else has them. Which of several does
    /// is not foreseen: it is the one that the tables show with it.
    pub(super) fn take_back_keys(&mut self, actual: &BTreeMap<Uuid, Seen>) {
        let mut back = Vec::new();
        for (id, job) in &mut self.jobs {
            let is_back = std::mem::take(&mut job.is_back) && !job.state.is_final();
            let wanted = job.wanted.clone();
            if let Some(key) = wanted.filter(|_| is_back && job.unique.is_none()) {
                back.push((*id, key));
            }
        }
        let has_one = |id: &Uuid| actual.get(id).is_some_and(|job| job.unique_key.is_some());
        back.sort_by_key(|(id, _)| !has_one(id));
        for (id, key) in back {
            let mut held = self.jobs.values().filter_map(|job| job.unique.as_ref());
            let is_held = held.any(|held| held.text == key.text);
            if let Some(job) = self.jobs.get_mut(&id).filter(|_| !is_held) {
                job.unique = Some(key);
            }
        }
    }

    /// Whether this token is the one of the job's lease.
    fn held(&mut self, id: Uuid, token: Uuid) -> Option<&mut Job> {
        self.jobs
            .get_mut(&id)
            .filter(|job| job.holding.is_some_and(|held| held.token == token))
    }

    /// Renews a lease; gives whether somebody asked the job to stop, `None` where the token is not the lease's.
    pub(super) fn renewed(&mut self, id: Uuid, token: Uuid) -> Option<bool> {
        let job = self.held(id, token)?;
        if let Some(held) = &mut job.holding {
            held.is_expired = false;
        }
        Some(job.is_cancel_requested)
    }

    pub(super) fn expired(&mut self, id: Uuid) {
        if let Some(held) = self.jobs.get_mut(&id).and_then(|job| job.holding.as_mut()) {
            held.is_expired = true;
        }
    }

    /// Takes back what nobody renewed; tells how many.
    pub(super) fn rescue(&mut self) -> u64 {
        let now = self.now();
        let expired: Vec<Uuid> = self
            .jobs
            .iter()
            .filter(|(_, job)| job.holding.is_some_and(|held| held.is_expired))
            .map(|(id, _)| *id)
            .collect();
        for id in &expired {
            let Some(job) = self.jobs.get_mut(id) else {
                continue;
            };
            let lost = job
                .history
                .iter()
                .filter(|(_, outcome)| outcome == "lost")
                .count()
                + 1;
            let most = job.max_attempts.unwrap_or(MAX_ATTEMPTS);
            if job.is_cancel_requested {
                job.end(JobState::Cancelled, "cancelled");
            } else if lost >= MAX_LOST || job.used >= most {
                job.end(JobState::Dead, "lost");
            } else {
                job.end(JobState::Ready, "lost");
                job.wait(JobState::Ready, now);
                self.take_back_key(*id);
            }
        }
        expired.len() as u64
    }

    /// An attempt ends; `false` where the token is not the lease's, or where the job is to be cancelled instead.
    pub(super) fn settled(&mut self, id: Uuid, token: Uuid, end: End) -> bool {
        let now = self.now();
        let Some(job) = self.held(id, token) else {
            return false;
        };
        let again = match end {
            End::Forgotten => {
                self.jobs.remove(&id);
                return true;
            }
            End::Succeeded => return job.end(JobState::Succeeded, "succeeded"),
            End::Cancelled => return job.end(JobState::Cancelled, "cancelled"),
            End::Dead => return job.end(JobState::Dead, "dead"),
            End::Failed => (JobState::Retrying, "failed"),
            End::Snoozed => (JobState::Scheduled, "snoozed"),
            End::RateLimited => (JobState::Scheduled, "rate_limited"),
            End::Interrupted => (JobState::Ready, "interrupted"),
            End::Lost => (JobState::Ready, "lost"),
        };
        if job.is_cancel_requested {
            return false;
        }
        if matches!(end, End::Snoozed | End::RateLimited | End::Interrupted) {
            job.used -= 1;
        }
        job.end(again.0, again.1);
        job.wait(again.0, now);
        self.take_back_key(id);
        true
    }

    /// A claimed job goes back as if it had not been claimed, unless somebody asked it to stop; its place in the line is
    /// the old one.
    pub(super) fn handed_back(&mut self, id: Uuid, token: Uuid) -> bool {
        let Some(job) = self.held(id, token).filter(|job| !job.is_cancel_requested) else {
            return false;
        };
        job.state = JobState::Ready;
        job.attempt -= 1;
        job.used -= 1;
        job.holding = None;
        self.take_back_key(id);
        true
    }

    /// Cancels a job or asks it to stop; `false` where it has ended.
    pub(super) fn cancelled(&mut self, id: Uuid) -> bool {
        let Some(job) = self.jobs.get_mut(&id).filter(|job| !job.state.is_final()) else {
            return false;
        };
        if job.state == JobState::Running {
            job.is_cancel_requested = true;
        } else {
            job.leave(JobState::Cancelled);
        }
        true
    }

    /// Makes a waiting job ready; `false` where it does not wait for its time.
    pub(super) fn run_now(&mut self, id: Uuid) -> bool {
        let now = self.now();
        let Some(job) = self
            .jobs
            .get_mut(&id)
            .filter(|job| job.waits_for_its_time())
        else {
            return false;
        };
        job.wait(JobState::Ready, now);
        self.take_back_key(id);
        true
    }

    pub(super) fn came_due(&mut self, id: Uuid) {
        let step = self.step;
        if let Some(job) = self
            .jobs
            .get_mut(&id)
            .filter(|job| job.waits_for_its_time())
        {
            (job.is_due, job.since) = (true, step);
        }
    }

    /// Makes ready what is due; tells how many.
    pub(super) fn promote(&mut self) -> u64 {
        let due: Vec<Uuid> = self
            .jobs
            .iter()
            .filter(|(_, job)| job.waits_for_its_time() && job.is_due)
            .map(|(id, _)| *id)
            .collect();
        for id in &due {
            if let Some(job) = self.jobs.get_mut(id) {
                job.state = JobState::Ready;
            }
            self.take_back_key(*id);
        }
        due.len() as u64
    }

    /// The dead letters that a replay of this one, or of all, runs again.
    pub(super) fn open_letters(&self, only: Option<Uuid>) -> Vec<Uuid> {
        self.jobs
            .iter()
            .filter(|(id, _)| only.is_none_or(|only| only == **id))
            .filter(|(_, job)| job.state == JobState::Dead && job.replayed_as.is_none())
            .map(|(id, _)| *id)
            .collect()
    }

    pub(super) fn replayed(&mut self, letter: Uuid, id: Uuid) {
        let now = self.now();
        if let Some(dead) = self.jobs.get_mut(&letter) {
            dead.replayed_as = Some(id);
            let mut job = Job::new(dead.priority, dead.max_attempts, now);
            job.replay_of = dead.replay_of.or(Some(letter));
            self.jobs.insert(id, job);
        }
    }

    fn now(&self) -> i64 {
        NOW + self.step
    }
}

pub(super) fn key_text(key: u8) -> String {
    format!("unique-{key}")
}

fn max_attempts(request: &Request) -> Option<i32> {
    request
        .max_attempts
        .and_then(|most| i32::try_from(most).ok())
}
