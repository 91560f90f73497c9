//! What follows from each end of an attempt: waits, dead letters, attempts used.

use super::*;
use crate::config::Config;

fn decide(end: CallEnd, attempts_used: u32, max_attempts: u32) -> Verdict {
    let policy = Config::builtin().policy("email.send");
    let facts = Facts {
        kind: "email.send",
        policy: &policy,
        attempts_used,
        max_attempts,
        account: None,
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

// Fails when a failed attempt heeds its backoff alone.
#[test]
fn a_failure_that_was_told_to_wait_is_not_tried_again_before() {
    let told = Duration::from_secs(3_600);
    let end = CallEnd::Answered(Err(
        JobError::from_text(ErrorClass::Transient, "busy").retry_after(Some(told))
    ));

    let verdict = decide(end, 1, 8);

    assert!(
        matches!(verdict, Verdict::Again { state: JobState::Retrying, delay, .. } if delay >= told),
        "{verdict:?}"
    );
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
    let end = CallEnd::Answered(Err(
        JobError::from_text(ErrorClass::RateLimited, "slow").retry_after(Some(Duration::ZERO))
    ));

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
        account: None,
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
        account: None,
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

// Fails when a spent token costs a job an attempt, or a wait by the clock.
#[test]
fn an_account_that_cannot_be_used_is_held_and_its_job_waits_for_it() {
    let policy = Config::builtin().policy("email.send");
    let facts = Facts {
        kind: "email.send",
        policy: &policy,
        attempts_used: 8,
        max_attempts: 8,
        account: Some("a1"),
        random: 1.0,
    };

    let held = verdict(error(ErrorClass::AuthExpired), &facts).expect("the lease was not lost");

    assert!(matches!(&held, Verdict::Held { account, .. } if account == "a1"));
    assert_eq!(held.outcome(), AttemptOutcome::Snoozed);
    assert!(held.waits());
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

// Fails when a handler that snoozes for no time is called again and again without a pause.
#[test]
fn a_snooze_is_at_least_a_second_and_at_most_thirty_days() {
    let day = Duration::from_secs(24 * 3_600);
    for (asked, given) in [
        (Duration::ZERO, LEAST_WAIT),
        (Duration::from_millis(999), LEAST_WAIT),
        (day, day),
        (Duration::MAX, day * 30),
    ] {
        let verdict = decide(CallEnd::Answered(Ok(Outcome::Snoozed(asked))), 1, 8);

        assert!(
            matches!(verdict, Verdict::Again { delay, .. } if delay == given),
            "{asked:?} became {verdict:?}"
        );
    }
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
