//! The check must find each sort of violation, made by hand, and nothing in a sound run.

use super::*;

const JOB: &str = "job-1";
const TOKEN: &str = "token-1";

fn attempt(number: u32, started: f64, finished: f64, outcome: &str) -> Attempt {
    Attempt {
        number,
        started,
        finished,
        outcome: outcome.to_owned(),
    }
}

fn effect(attempt: u32, started: f64, ended: f64, status: u16) -> Effect {
    Effect {
        job: JOB.to_owned(),
        attempt,
        key: JOB.to_owned(),
        started,
        ended,
        status: Some(status),
    }
}

/// A job that failed once, was lost once, and succeeded at its third attempt.
fn sound() -> Evidence {
    Evidence {
        sent: vec![Sent {
            token: TOKEN.to_owned(),
            key: Some("key-1".to_owned()),
            answers: vec![JOB.to_owned(), JOB.to_owned()],
            doubts: 1,
        }],
        rows: vec![Row {
            id: JOB.to_owned(),
            token: Some(TOKEN.to_owned()),
            place: Place::Succeeded,
            attempts_used: 3,
            max_attempts: 5,
            attempts: vec![
                attempt(1, 10.0, 11.0, "failed"),
                attempt(2, 12.0, 15.0, "lost"),
                attempt(3, 15.5, 17.0, "succeeded"),
            ],
        }],
        keys: vec![("key-1".to_owned(), JOB.to_owned())],
        effects: vec![
            effect(1, 10.1, 10.9, 500),
            // The zombie's call outlives its lease: that is allowed, and why there is a key.
            effect(2, 12.1, 16.5, 200),
            effect(3, 15.6, 16.9, 200),
        ],
        totals: Totals {
            succeeded: 1,
            ..Totals::default()
        },
        excuses: Excuses::default(),
    }
}

/// What is found after `harm` was done to a sound run.
fn found(harm: impl FnOnce(&mut Evidence)) -> Vec<Rule> {
    let mut evidence = sound();
    harm(&mut evidence);
    let mut rules: Vec<Rule> = violations(&evidence).iter().map(|v| v.rule).collect();
    rules.sort_unstable();
    rules.dedup();
    rules
}

#[test]
fn a_sound_run_has_no_violation() {
    let found = violations(&sound());

    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_lost_acknowledgement_is_found() {
    let rules = found(|evidence| {
        evidence.rows.clear();
        evidence.effects.clear();
    });

    assert!(rules.contains(&Rule::LostAcknowledged), "{rules:?}");
}

#[test]
fn a_job_that_nobody_sent_is_found() {
    let rules = found(|evidence| evidence.rows[0].token = Some("token-2".to_owned()));

    assert_eq!(rules, [Rule::Unknown]);
}

#[test]
fn an_effect_of_a_job_that_is_nowhere_is_found() {
    let rules = found(|evidence| {
        evidence.effects[0].job = "job-2".to_owned();
        evidence.effects[0].key = "job-2".to_owned();
    });

    assert_eq!(rules, [Rule::Unknown]);
}

#[test]
fn an_effect_of_an_attempt_that_never_was_is_found() {
    let rules = found(|evidence| evidence.effects.push(effect(4, 18.0, 19.0, 200)));

    assert_eq!(rules, [Rule::Unknown]);
}

#[test]
fn a_job_in_two_places_is_found() {
    let rules = found(|evidence| {
        let mut copy = evidence.rows[0].clone();
        copy.place = Place::Dead;
        copy.attempts[2].outcome = "dead".to_owned();
        evidence.rows.push(copy);
    });

    assert_eq!(rules, [Rule::InTwoPlaces]);
}

#[test]
fn two_answers_for_one_idempotency_key_are_found() {
    let rules = found(|evidence| evidence.sent[0].answers[1] = "job-2".to_owned());

    assert!(rules.contains(&Rule::TwoJobsForOneKey), "{rules:?}");
}

#[test]
fn a_stored_key_that_leads_elsewhere_than_the_answer_is_found() {
    let rules = found(|evidence| evidence.keys[0].1 = "job-2".to_owned());

    assert_eq!(rules, [Rule::TwoJobsForOneKey]);
}

#[test]
fn two_jobs_of_one_keyed_request_are_found() {
    let rules = found(|evidence| {
        let mut second = evidence.rows[0].clone();
        second.id = "job-2".to_owned();
        second.place = Place::Dead;
        evidence.rows.push(second);
        evidence.totals.dead = 1;
        evidence.totals.dead_in_groups = 1;
    });

    assert!(rules.contains(&Rule::Doubled), "{rules:?}");
}

#[test]
fn a_job_of_a_request_that_was_refused_is_found() {
    let rules = found(|evidence| {
        evidence.sent[0].answers.clear();
        evidence.sent[0].doubts = 0;
    });

    assert!(rules.contains(&Rule::Doubled), "{rules:?}");
}

#[test]
fn a_request_in_doubt_may_have_become_a_job_or_not() {
    let stored = found(|evidence| evidence.sent[0].answers.clear());
    let not_stored = found(|evidence| {
        *evidence = Evidence {
            sent: std::mem::take(&mut evidence.sent),
            ..Evidence::default()
        };
        evidence.sent[0].answers.clear();
    });

    assert!(stored.is_empty(), "{stored:?}");
    assert!(not_stored.is_empty(), "{not_stored:?}");
}

#[test]
fn a_gap_in_the_numbers_is_found() {
    let rules = found(|evidence| {
        evidence.rows[0].attempts.remove(1);
        evidence.rows[0].attempts_used = 2;
        evidence.effects.remove(1);
    });

    assert_eq!(rules, [Rule::GapInNumbers]);
}

#[test]
fn overlapping_leases_are_found() {
    let rules = found(|evidence| evidence.rows[0].attempts[2].started = 14.0);

    assert_eq!(rules, [Rule::LeasesOverlap]);
}

#[test]
fn leases_seem_to_overlap_while_statements_wait_for_a_lock() {
    let rules = found(|evidence| {
        evidence.rows[0].attempts[2].started = 14.0;
        evidence.excuses.waits.push((13.0, 14.5));
    });

    assert!(rules.is_empty(), "{rules:?}");
}

#[test]
fn effects_at_once_under_valid_leases_are_found_even_then() {
    let rules = found(|evidence| {
        evidence.rows[0].attempts[2].started = 14.0;
        evidence.effects[2].started = 14.1;
        evidence.excuses.waits.push((13.0, 14.5));
    });

    assert_eq!(rules, [Rule::EffectsOverlap]);
}

#[test]
fn an_attempt_that_is_made_twice_is_found_unless_the_database_forgot_its_claim() {
    let again = effect(1, 10.2, 10.4, 200);

    let rules = found(|evidence| evidence.effects.push(again.clone()));
    let excused = found(|evidence| {
        evidence.effects.push(again);
        evidence.excuses.crashes.push(10.15);
    });

    assert_eq!(rules, [Rule::AttemptTwice]);
    assert!(excused.is_empty(), "{excused:?}");
}

#[test]
fn a_success_without_an_effect_is_found() {
    let none = found(|evidence| evidence.effects.truncate(2));
    let refused = found(|evidence| evidence.effects[2].status = Some(500));

    assert_eq!(none, [Rule::NoEffect]);
    assert_eq!(refused, [Rule::NoEffect]);
}

#[test]
fn an_effect_under_another_key_is_found() {
    let rules = found(|evidence| evidence.effects[1].key = "key-of-attempt-2".to_owned());

    assert_eq!(rules, [Rule::OtherKey]);
}

#[test]
fn more_attempts_than_allowed_or_counted_are_found() {
    let too_many = found(|evidence| evidence.rows[0].max_attempts = 2);
    let miscounted = found(|evidence| evidence.rows[0].attempts_used = 2);
    let free = found(|evidence| {
        evidence.rows[0].attempts[0].outcome = "rate_limited".to_owned();
        evidence.rows[0].attempts_used = 2;
        evidence.rows[0].max_attempts = 2;
    });

    assert_eq!(too_many, [Rule::TooManyAttempts]);
    assert_eq!(miscounted, [Rule::TooManyAttempts]);
    assert!(free.is_empty(), "{free:?}");
}

#[test]
fn an_end_that_no_attempt_decided_is_found() {
    let rules = found(|evidence| evidence.rows[0].attempts[2].outcome = "failed".to_owned());

    assert_eq!(rules, [Rule::Undecided]);
}

#[test]
fn a_job_that_still_runs_is_found() {
    let rules = found(|evidence| evidence.rows[0].place = Place::Live("running".to_owned()));

    assert_eq!(rules, [Rule::LeftOver]);
}

#[test]
fn sums_that_do_not_agree_are_found() {
    let missing = found(|evidence| evidence.totals.succeeded = 0);
    let miscounted = found(|evidence| evidence.totals.dead_in_groups = 1);

    assert_eq!(missing, [Rule::Unbalanced]);
    assert_eq!(miscounted, [Rule::Unbalanced]);
}
