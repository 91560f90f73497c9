//! What follows from how an attempt ended: pure policy, nothing is read or written here.

use std::time::Duration;

use serde_json::Value;

use super::fingerprint::fingerprint;
use crate::{
    config::{Action, Policy},
    handler::{JobError, Outcome, as_kept},
    job::{AttemptOutcome, ErrorClass, JobState},
};

/// How long a job waits whose account cannot be used, before it is looked at again.
const ACCOUNT_WAIT: Duration = Duration::from_secs(15 * 60);
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
        verdict(end, &facts).expect("the lease was not lost")
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
    fn a_pause_of_nothing_is_no_shorter_than_the_first_backoff() {
        let first_backoff = Config::builtin().policy("email.send").backoff.delay(1, 1.0);
        let end =
            CallEnd::Answered(Err(JobError::from_text(ErrorClass::RateLimited, "slow")
                .retry_after(Some(Duration::ZERO))));

        let verdict = decide(end, 8, 8);

        assert!(
            matches!(verdict, Verdict::Again { delay, used: false, .. } if delay == first_backoff),
            "{verdict:?}"
        );
    }

    #[test]
    fn a_wait_that_uses_no_attempt_is_at_least_a_second_whatever_the_backoff() {
        let text = "[kinds.\"email.send\"]\nbackoff = { strategy = \"fixed\", base = \"1ms\", jitter = \"none\" }\n";
        let policy = Config::parse(text, &[])
            .expect("the text is right")
            .config
            .policy("email.send");
        let facts = Facts {
            kind: "email.send",
            policy: &policy,
            attempts_used: 1,
            max_attempts: 8,
            has_account: false,
            random: 0.0,
        };

        for told in [None, Some(Duration::ZERO)] {
            let limited = JobError::from_text(ErrorClass::RateLimited, "slow").retry_after(told);
            let verdict = verdict(CallEnd::Answered(Err(limited)), &facts);

            assert!(
                matches!(verdict, Some(Verdict::Again { delay, .. }) if delay == LEAST_WAIT),
                "{verdict:?}"
            );
        }
    }

    #[test]
    fn a_rate_limit_that_asks_for_years_is_clamped() {
        for years in [Duration::from_secs(400_000_000), Duration::MAX] {
            let end = CallEnd::Answered(Err(
                JobError::from_text(ErrorClass::RateLimited, "slow").retry_after(Some(years))
            ));

            assert!(
                matches!(decide(end, 1, 8), Verdict::Again { delay, .. } if delay <= Duration::from_secs(2 * 3_600))
            );
        }
    }

    #[test]
    fn a_lost_attempt_is_left_to_the_rescuer() {
        let policy = Config::builtin().policy("email.send");
        let facts = Facts {
            kind: "email.send",
            policy: &policy,
            attempts_used: 1,
            max_attempts: 8,
            has_account: false,
            random: 1.0,
        };

        assert!(verdict(CallEnd::Lost, &facts).is_none());
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
