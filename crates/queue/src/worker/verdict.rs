//! What follows from how an attempt ended: pure policy, nothing is read or written here.

use std::time::Duration;

use serde_json::Value;

use super::fingerprint::fingerprint;
use crate::{
    config::{Action, Policy},
    handler::{JobError, Outcome, as_kept},
    job::{AttemptOutcome, ErrorClass, JobState},
};

/// Longest that a failed attempt's `Retry-After` is honoured for.
const LONGEST_TOLD: Duration = Duration::from_secs(2 * 3_600);
/// Shortest wait that uses up no attempt: nothing else would ever end a loop of such waits.
const LEAST_WAIT: Duration = Duration::from_secs(1);
/// Longest snooze.
const LONGEST_SNOOZE: Duration = Duration::from_secs(30 * 24 * 3_600);

/// How the call of a handler ended for one job.
#[derive(Debug)]
pub(crate) enum CallEnd {
    /// The handler answered.
    Answered(Result<Outcome, JobError>),
    /// The handler panicked.
    Panicked,
    /// The attempt took longer than it may.
    TimedOut(Duration),
    /// The job was cancelled.
    Cancelled,
    /// The lease was lost.
    Lost,
    /// The process shuts down.
    Interrupted,
}

/// What the verdict depends on beside the end itself.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) kind: &'a str,
    pub(crate) policy: &'a Policy,
    /// Attempts used, this one included.
    pub(crate) attempts_used: u32,
    pub(crate) max_attempts: u32,
    /// The account that the payload names, if it can be held.
    pub(crate) account: Option<&'a str>,
    /// 0.0 to 1.0.
    pub(crate) random: f64,
}

/// Why an attempt failed, as it is stored.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) class: ErrorClass,
    pub(crate) error: String,
    pub(crate) fingerprint: String,
}

/// What follows.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The job is done.
    Succeeded { result: Option<Value>, keep: bool },
    /// The job ends; `reason` is the handler's, if it was its decision.
    Cancelled { reason: Option<String> },
    /// The job becomes a dead letter.
    Dead(Failure),
    /// The job waits for another attempt.
    Again {
        state: JobState,
        delay: Duration,
        outcome: AttemptOutcome,
        used: bool,
        failure: Option<Failure>,
    },
    /// The account cannot be used: it is held, and the job waits, ready, until it is let go. No attempt is used up.
    Held { account: String, failure: Failure },
}

impl Verdict {
    pub(crate) fn outcome(&self) -> AttemptOutcome {
        match self {
            Self::Succeeded { .. } => AttemptOutcome::Succeeded,
            Self::Cancelled { .. } => AttemptOutcome::Cancelled,
            Self::Dead(_) => AttemptOutcome::Dead,
            Self::Again { outcome, .. } => *outcome,
            Self::Held { .. } => AttemptOutcome::Snoozed,
        }
    }

    pub(crate) fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Dead(failure) | Self::Held { failure, .. } => Some(failure),
            Self::Again { failure, .. } => failure.as_ref(),
            Self::Succeeded { .. } | Self::Cancelled { .. } => None,
        }
    }

    /// Whether the job waits for another attempt.
    pub(crate) fn waits(&self) -> bool {
        matches!(self, Self::Again { .. } | Self::Held { .. })
    }
}

/// Decides what follows; `None` for an attempt whose lease was lost: the rescuer decides, who knows how often that was.
pub(crate) fn verdict(end: CallEnd, facts: &Facts<'_>) -> Option<Verdict> {
    Some(match end {
        CallEnd::Answered(Ok(outcome)) => answered(outcome, facts),
        CallEnd::Answered(Err(error)) => failed(&error, facts),
        CallEnd::Panicked => failed(
            &JobError::from_text(ErrorClass::Panic, "the handler panicked; the log has where"),
            facts,
        ),
        CallEnd::TimedOut(limit) => {
            let text = format!("the attempt took longer than {} s", limit.as_secs());
            failed(&JobError::from_text(ErrorClass::Timeout, &text), facts)
        }
        CallEnd::Cancelled => Verdict::Cancelled { reason: None },
        CallEnd::Lost => return None,
        CallEnd::Interrupted => Verdict::Again {
            state: JobState::Ready,
            delay: Duration::ZERO,
            outcome: AttemptOutcome::Interrupted,
            used: false,
            failure: None,
        },
    })
}

fn answered(outcome: Outcome, facts: &Facts<'_>) -> Verdict {
    let keep = !facts.policy.retain_succeeded.is_zero();
    match outcome {
        Outcome::Succeeded => Verdict::Succeeded { result: None, keep },
        Outcome::SucceededWith(result) => Verdict::Succeeded {
            result: Some(as_kept(result, "result")),
            keep,
        },
        Outcome::Snoozed(delay) => Verdict::Again {
            state: JobState::Scheduled,
            delay: delay.clamp(LEAST_WAIT, LONGEST_SNOOZE),
            outcome: AttemptOutcome::Snoozed,
            used: false,
            failure: None,
        },
        Outcome::Cancelled(reason) => Verdict::Cancelled {
            reason: Some(reason),
        },
    }
}

fn failed(error: &JobError, facts: &Facts<'_>) -> Verdict {
    let failure = failure(error, facts.kind);
    let backoff = facts
        .policy
        .backoff
        .delay(facts.attempts_used.max(1), facts.random);
    match facts.policy.on.action(error.class()) {
        Action::Dead => Verdict::Dead(failure),
        Action::HoldAccount => match facts.account {
            None => Verdict::Dead(failure),
            Some(account) => Verdict::Held {
                account: account.to_owned(),
                failure,
            },
        },
        Action::Wait { max } => Verdict::Again {
            state: JobState::Scheduled,
            delay: error
                .wait()
                // The longest wait comes first: a pause of centuries times anything is no duration.
                .map_or(backoff, |told| told_wait(told.min(max), facts))
                .max(LEAST_WAIT)
                .min(max),
            outcome: AttemptOutcome::RateLimited,
            used: false,
            failure: Some(failure),
        },
        Action::Retry if facts.attempts_used >= facts.max_attempts => Verdict::Dead(failure),
        Action::Retry => Verdict::Again {
            state: JobState::Retrying,
            delay: backoff.max(error.wait().unwrap_or_default().min(LONGEST_TOLD)),
            outcome: AttemptOutcome::Failed,
            used: true,
            failure: Some(failure),
        },
    }
}

/// Never earlier than the other side said; a tenth more at random spreads those who were told the same. Nor before the
/// kind's first backoff: a pause of zero, or until a date that has passed, is no leave to call without end.
fn told_wait(told: Duration, facts: &Facts<'_>) -> Duration {
    let first_backoff = facts.policy.backoff.delay(1, facts.random);
    told.mul_f64(1.0 + facts.random / 10.0).max(first_backoff)
}

fn failure(error: &JobError, kind: &str) -> Failure {
    Failure {
        class: error.class(),
        error: error.text().to_owned(),
        fingerprint: fingerprint(kind, error.class(), error.fingerprint_code(), error.text()),
    }
}

#[cfg(test)]
mod tests;
