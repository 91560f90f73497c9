//! Meta's table of errors, row by row.

use super::*;

fn class(code: i64, subcode: Option<i64>) -> Class {
    let error = GraphError {
        code: Some(code),
        subcode,
        ..GraphError::default()
    };
    Class::of(&error, StatusCode::BAD_REQUEST)
}

const BARE: [Option<i64>; 1] = [None];

/// Each row of Meta's table: the code, its subcodes, the class.
fn holds(code: i64, subcodes: &[Option<i64>], expected: Class) {
    for subcode in subcodes {
        assert_eq!(class(code, *subcode), expected, "{code}/{subcode:?}");
    }
}

#[test]
fn a_token_that_is_spent_needs_its_owner() {
    let subcodes = [463, 460, 467, 458, 459, 464, 492].map(Some);

    holds(190, &subcodes, Class::Auth);
    holds(190, &BARE, Class::Auth);
    holds(102, &BARE, Class::Auth);
}

#[test]
fn our_own_credentials_are_nobody_elses_matter() {
    holds(101, &BARE, Class::Config);
    holds(104, &BARE, Class::Config);
}

#[test]
fn a_missing_right_is_about_the_object_alone() {
    for code in [3, 10, 294].into_iter().chain(200..=299) {
        holds(code, &BARE, Class::Permission);
    }
    holds(100, &[Some(33), Some(3_191_001)], Class::Permission);
}

#[test]
fn limits_have_their_least_waits() {
    holds(
        4,
        &[None, Some(1_504_022), Some(1_504_039)],
        Class::Rate(5 * MINUTE),
    );
    holds(17, &[None, Some(2_446_079)], Class::Rate(5 * MINUTE));
    holds(17, &[Some(1_885_172)], Class::Rate(DAY));
    for code in [32, 341]
        .into_iter()
        .chain(80_000..=80_006)
        .chain([80_008, 80_009, 80_014])
    {
        holds(code, &BARE, Class::Rate(5 * MINUTE));
    }
    let subcodes = [1_487_742, 5_044_001, 1_487_632, 1_487_225].map(Some);
    holds(613, &subcodes, Class::Rate(MINUTE));
    holds(613, &BARE, Class::Rate(MINUTE));
    holds(368, &BARE, Class::Rate(HOUR));
}

#[test]
fn passing_trouble_is_worth_another_attempt() {
    holds(1, &[None, Some(99)], Class::Transient);
    for code in [5000, 21_009, 960] {
        holds(code, &BARE, Class::Transient);
    }
    holds(
        2,
        &[None, Some(1_504_043), Some(1_504_044)],
        Class::Transient,
    );
    holds(-2, &[Some(2_490_547)], Class::Transient);
}

#[test]
fn code_2_is_not_always_passing_trouble() {
    holds(2, &[Some(1_504_041), Some(1_504_042)], Class::Rejected);
    holds(2, &[Some(1_504_038)], Class::TooLarge);
}

#[test]
fn too_much_data_is_asked_for_in_smaller_parts() {
    holds(100, &[Some(1_487_534), Some(1_504_018)], Class::TooLarge);
    holds(-3, &[Some(1_504_045)], Class::TooLarge);
}

#[test]
fn what_stays_wrong_is_refused() {
    holds(
        100,
        &[None, Some(2_804_003), Some(2_108_006)],
        Class::Rejected,
    );
    for code in [105, 2500, 2635, 506, 1_609_005, 803, 987_654] {
        holds(code, &BARE, Class::Rejected);
    }
}

#[test]
fn some_messages_say_more_than_their_codes() {
    let said = |code, message: &str| {
        let error = GraphError {
            code: Some(code),
            message: message.to_owned(),
            ..GraphError::default()
        };
        Class::of(&error, StatusCode::INTERNAL_SERVER_ERROR)
    };
    let reduce = "Please reduce the amount of data you're asking for, then retry your request";

    assert_eq!(said(1, reduce), Class::TooLarge);
    assert_eq!(said(100, reduce), Class::TooLarge);
    assert_eq!(
        said(
            100,
            "(#100) The start date is beyond 37 months from the current date"
        ),
        Class::Rejected
    );
    assert_eq!(
        said(100, "(#100) Cannot include impressions in summary param"),
        Class::Transient
    );
    assert_eq!(
        said(
            190,
            "(#190) This method must be called with a Page Access Token"
        ),
        Class::Permission
    );
}

#[test]
fn a_front_end_that_refuses_is_believed() {
    let class = |status| Class::of_front_end(status);

    assert_eq!(class(StatusCode::BAD_GATEWAY), Class::Transient);
    assert_eq!(class(StatusCode::OK), Class::Transient);
    assert_eq!(class(StatusCode::BAD_REQUEST), Class::Rejected);
    assert_eq!(class(StatusCode::UNAUTHORIZED), Class::Rejected);
    assert_eq!(class(StatusCode::PAYLOAD_TOO_LARGE), Class::TooLarge);
    assert_eq!(class(StatusCode::TOO_MANY_REQUESTS), Class::Rate(MINUTE));
}

#[test]
fn a_wrong_proof_is_our_own_set_up() {
    let error = GraphError {
        code: Some(100),
        message: "API calls from the server require an appsecret_proof argument".to_owned(),
        ..GraphError::default()
    };

    assert_eq!(Class::of(&error, StatusCode::BAD_REQUEST), Class::Config);
}

#[test]
fn an_unknown_code_is_decided_by_its_flag_and_then_by_the_status() {
    let unknown = |is_transient, status| {
        let error = GraphError {
            code: Some(987_654),
            is_transient,
            ..GraphError::default()
        };
        Class::of(&error, status)
    };

    assert_eq!(unknown(true, StatusCode::BAD_REQUEST), Class::Transient);
    assert_eq!(unknown(false, StatusCode::BAD_GATEWAY), Class::Transient);
    assert_eq!(unknown(false, StatusCode::UNAUTHORIZED), Class::Auth);
    assert_eq!(unknown(false, StatusCode::OK), Class::Rejected);
}

#[test]
fn the_bad_event_is_found_in_every_known_form() {
    let hint = |data: &str, user_message: &str| {
        event_index(&GraphError {
            data: data.to_owned(),
            user_message: user_message.to_owned(),
            ..GraphError::default()
        })
    };

    assert_eq!(hint(r#"{"index":3}"#, ""), Some(3));
    assert_eq!(
        hint(r#"{"blame_field_specs":[["data[12].event_time"]]}"#, ""),
        Some(12)
    );
    assert_eq!(
        hint(r#"{"blame_field_specs":[["data","7","event_time"]]}"#, ""),
        Some(7)
    );
    assert_eq!(hint("", "The event at index 0 is too old."), Some(0));
    assert_eq!(hint("", "Your events are too old."), None);
    assert_eq!(hint("", "index 99999999999999999999999"), None);
}
