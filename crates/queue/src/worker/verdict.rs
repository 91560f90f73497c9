//! What follows from how an attempt ended: pure policy, nothing is read or written here.

use std::time::Duration;

use serde_json::Value;

use super::fingerprint::fingerprint;
use crate::{
    config::{Action, Policy},
    handler::{JobError, Outcome},
    job::{AttemptOutcome, ErrorClass, JobState},
};

/// How long a job waits whose account cannot be used, before it is looked at again.
const ACCOUNT_WAIT: Duration = Duration::from_secs(15 * 60);
/// Longest that a failed attempt's `Retry-After` is honoured for.
const LONGEST_TOLD: Duration = Duration::from_secs(2 * 3_600);
/// Longest snooze.
const LONGEST_SNOOZE: Duration = Duration::from_secs(30 * 24 * 3_600);
/// Largest result that is kept, in bytes of JSON.
const LARGEST_RESULT: usize = 64 * 1_024;

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
    /// Whether the payload names an account that can be held.
    pub(crate) has_account: bool,
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
}

impl Verdict {
    pub(crate) fn outcome(&self) -> AttemptOutcome {
        match self {
            Self::Succeeded { .. } => AttemptOutcome::Succeeded,
            Self::Cancelled { .. } => AttemptOutcome::Cancelled,
            Self::Dead(_) => AttemptOutcome::Dead,
            Self::Again { outcome, .. } => *outcome,
        }
    }

    pub(crate) fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Dead(failure) => Some(failure),
            Self::Again { failure, .. } => failure.as_ref(),
            Self::Succeeded { .. } | Self::Cancelled { .. } => None,
        }
    }
}

/// Decides what follows.
pub(crate) fn verdict(end: CallEnd, facts: &Facts<'_>) -> Verdict {
    match end {
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
        CallEnd::Lost => {
            let text = "the lease could not be renewed in time";
            let failure = Some(failure(
                &JobError::from_text(ErrorClass::Lost, text),
                facts.kind,
            ));
            if facts.attempts_used >= facts.max_attempts {
                return failure.map_or(Verdict::Cancelled { reason: None }, Verdict::Dead);
            }
            Verdict::Again {
                state: JobState::Ready,
                delay: Duration::ZERO,
                outcome: AttemptOutcome::Lost,
                used: true,
                failure,
            }
        }
        CallEnd::Interrupted => Verdict::Again {
            state: JobState::Ready,
            delay: Duration::ZERO,
            outcome: AttemptOutcome::Interrupted,
            used: false,
            failure: None,
        },
    }
}

fn answered(outcome: Outcome, facts: &Facts<'_>) -> Verdict {
    let keep = !facts.policy.retain_succeeded.is_zero();
    match outcome {
        Outcome::Succeeded => Verdict::Succeeded { result: None, keep },
        Outcome::SucceededWith(result) => Verdict::Succeeded {
            result: Some(bounded(result)),
            keep,
        },
        Outcome::Snoozed(delay) => Verdict::Again {
            state: JobState::Scheduled,
            delay: delay.min(LONGEST_SNOOZE),
            outcome: AttemptOutcome::Snoozed,
            used: false,
            failure: None,
        },
        Outcome::Cancelled(reason) => Verdict::Cancelled {
            reason: Some(reason),
        },
    }
}

/// A result that is not too large to keep; a larger one is replaced by a note that says so.
fn bounded(result: Value) -> Value {
    let size = result.to_string().len();
    if size <= LARGEST_RESULT {
        return result;
    }
    serde_json::json!({"left_out": format!("the result has {size} bytes, more than {LARGEST_RESULT}")})
}

fn failed(error: &JobError, facts: &Facts<'_>) -> Verdict {
    let failure = failure(error, facts.kind);
    let backoff = facts
        .policy
        .backoff
        .delay(facts.attempts_used.max(1), facts.random);
    match facts.policy.on.action(error.class()) {
        Action::Dead => Verdict::Dead(failure),
        Action::HoldAccount if !facts.has_account => Verdict::Dead(failure),
        Action::HoldAccount => Verdict::Again {
            state: JobState::Scheduled,
            delay: ACCOUNT_WAIT,
            outcome: AttemptOutcome::Snoozed,
            used: false,
            failure: Some(failure),
        },
        Action::Wait { max } => Verdict::Again {
            state: JobState::Scheduled,
            // Never earlier than the other side said; a tenth more at random spreads those who were told the same.
            delay: error
                .wait()
                .map_or(backoff, |wait| wait.mul_f64(1.0 + facts.random / 10.0))
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

fn failure(error: &JobError, kind: &str) -> Failure {
    Failure {
        class: error.class(),
        error: error.text().to_owned(),
        fingerprint: fingerprint(kind, error.class(), error.fingerprint_code(), error.text()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn decide(end: CallEnd, attempts_used: u32, max_attempts: u32) -> Verdict {
        let policy = Config::builtin().policy("email.send");
        let facts = Facts {
            kind: "email.send",
            policy: &policy,
            attempts_used,
            max_attempts,
            has_account: false,
            random: 1.0,
        };
        verdict(end, &facts)
    }

    fn error(class: ErrorClass) -> CallEnd {
        CallEnd::Answered(Err(JobError::from_text(class, "no")))
    }

    #[test]
    fn a_transient_failure_waits_longer_each_time_and_the_last_one_is_dead() {
        let delays: Vec<Duration> = (1..4)
            .map(|used| match decide(error(ErrorClass::Transient), used, 4) {
                Verdict::Again {
                    state: JobState::Retrying,
                    delay,
                    used: true,
                    ..
                } => delay,
                other => panic!("unexpected {other:?}"),
            })
            .collect();

        assert!(delays[0] < delays[1] && delays[1] < delays[2], "{delays:?}");
        assert!(matches!(
            decide(error(ErrorClass::Transient), 4, 4),
            Verdict::Dead(_)
        ));
    }

    #[test]
    fn a_rate_limit_waits_at_least_as_long_as_it_was_told_and_uses_no_attempt() {
        let told = Duration::from_secs(90);
        let end = CallEnd::Answered(Err(
            JobError::from_text(ErrorClass::RateLimited, "slow").retry_after(Some(told))
        ));

        let Verdict::Again {
            state,
            delay,
            used,
            outcome,
            ..
        } = decide(end, 8, 8)
        else {
            panic!("it waits")
        };

        assert_eq!(
            (state, used, outcome),
            (JobState::Scheduled, false, AttemptOutcome::RateLimited)
        );
        assert!(delay >= told && delay <= told.mul_f64(1.1));
    }

    #[test]
    fn a_rate_limit_that_asks_for_years_is_clamped() {
        let years = Some(Duration::from_secs(400_000_000));
        let end = CallEnd::Answered(Err(
            JobError::from_text(ErrorClass::RateLimited, "slow").retry_after(years)
        ));

        assert!(
            matches!(decide(end, 1, 8), Verdict::Again { delay, .. } if delay <= Duration::from_secs(2 * 3_600))
        );
    }

    #[test]
    fn what_can_never_work_is_dead_at_once() {
        for class in [
            ErrorClass::Invalid,
            ErrorClass::Permission,
            ErrorClass::TooLarge,
            ErrorClass::AuthExpired,
        ] {
            assert!(
                matches!(decide(error(class), 1, 8), Verdict::Dead(_)),
                "{class}"
            );
        }
    }

    #[test]
    fn shutdown_and_snooze_use_no_attempt() {
        let interrupted = decide(CallEnd::Interrupted, 8, 8);
        let snoozed = decide(
            CallEnd::Answered(Ok(Outcome::Snoozed(Duration::from_secs(5)))),
            8,
            8,
        );

        assert!(matches!(
            interrupted,
            Verdict::Again {
                state: JobState::Ready,
                used: false,
                ..
            }
        ));
        assert!(matches!(
            snoozed,
            Verdict::Again {
                state: JobState::Scheduled,
                used: false,
                ..
            }
        ));
    }

    #[test]
    fn a_result_beyond_all_bounds_is_left_out() {
        let end = CallEnd::Answered(Ok(Outcome::SucceededWith(Value::String(
            "x".repeat(100_000),
        ))));

        let Verdict::Succeeded {
            result: Some(result),
            ..
        } = decide(end, 1, 8)
        else {
            panic!("it succeeded")
        };

        assert!(result["left_out"].as_str().is_some());
    }
}
