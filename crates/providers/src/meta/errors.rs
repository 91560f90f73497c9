//! What Meta's error codes mean for a caller. The status is unreliable (errors come under 200, limits under 400), so the
//! order is: code with subcode, code, `is_transient`, status.

use std::time::Duration;

use reqwest::StatusCode;

use super::wire::GraphError;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What a caller does about an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Auth,
    Config,
    Permission,
    /// The wait is the least when no header names one.
    Rate(Duration),
    Transient,
    TooLarge,
    Rejected,
}

impl Class {
    /// The class of an error envelope.
    pub(super) fn of(error: &GraphError, status: StatusCode) -> Self {
        let Some(code) = error.code else {
            return Self::of_undecided(error, status);
        };
        of_code_and_subcode(code, error.subcode)
            .or_else(|| of_message(code, &error.message))
            .or_else(|| of_code(code))
            .unwrap_or_else(|| Self::of_undecided(error, status))
    }

    /// The class of a body that is no JSON: a front end spoke, not the API.
    pub(super) fn of_unreadable(status: StatusCode) -> Self {
        match status.as_u16() {
            413 => Self::TooLarge,
            429 => Self::Rate(MINUTE),
            _ => Self::Transient,
        }
    }

    /// The class of a status when the body decides nothing.
    pub(super) fn of_status(status: StatusCode) -> Self {
        match status.as_u16() {
            401 => Self::Auth,
            403 => Self::Permission,
            413 => Self::TooLarge,
            429 => Self::Rate(MINUTE),
            // A success without its answer: ask again, the same event ids make that harmless.
            200..=299 | 500..=599 => Self::Transient,
            _ => Self::Rejected,
        }
    }

    fn of_undecided(error: &GraphError, status: StatusCode) -> Self {
        match Self::of_status(status) {
            _ if error.is_transient => Self::Transient,
            // An error that nobody knows, under a status of success.
            Self::Transient if status.is_success() => Self::Rejected,
            class => class,
        }
    }
}

fn of_code_and_subcode(code: i64, subcode: Option<i64>) -> Option<Class> {
    Some(match (code, subcode?) {
        (17, 1_885_172) => Class::Rate(DAY),
        (100, 33 | 3_191_001) => Class::Permission,
        (2, 1_504_043 | 1_504_044) | (-2, 2_490_547) => Class::Transient,
        (100, 1_487_534 | 1_504_018) | (2, 1_504_038) | (-3, 1_504_045) => Class::TooLarge,
        (2, 1_504_041 | 1_504_042) => Class::Rejected,
        _ => return None,
    })
}

fn of_message(code: i64, message: &str) -> Option<Class> {
    if code == 100 && message.contains("appsecret_proof") {
        Some(Class::Config)
    } else if matches!(code, 1 | 100) && message.contains("reduce the amount of data") {
        Some(Class::TooLarge)
    } else {
        None
    }
}

fn of_code(code: i64) -> Option<Class> {
    Some(match code {
        102 | 190 => Class::Auth,
        101 | 104 => Class::Config,
        3 | 10 | 200..=299 => Class::Permission,
        613 => Class::Rate(MINUTE),
        4 | 17 | 32 | 341 => Class::Rate(5 * MINUTE),
        80_000..=80_006 | 80_008 | 80_009 | 80_014 => Class::Rate(5 * MINUTE),
        368 => Class::Rate(HOUR),
        1 | 2 | 5000 | 21_009 | 960 => Class::Transient,
        100 | 105 | 506 | 803 | 2500 | 2635 | 1_609_005 => Class::Rejected,
        _ => return None,
    })
}

/// Where a bad event stands in the batch that Meta refused because of it.
///
/// Only a hint: the event is sent alone before anything is held against it.
pub(super) fn event_index(error: &GraphError) -> Option<usize> {
    [&error.data, &error.user_message, &error.message]
        .into_iter()
        .find_map(|text| index_in(text))
}

fn index_in(text: &str) -> Option<usize> {
    let text = text.to_ascii_lowercase();
    ["data[", "events[", "\"data\",", "index"]
        .into_iter()
        .find_map(|marker| {
            let (_, rest) = text.split_once(marker)?;
            let digits = rest.trim_start_matches([' ', ':', '=', '"', '#', '[']);
            let end = digits
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(digits.len());
            digits[..end].parse().ok()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(code: i64, subcode: Option<i64>) -> Class {
        let error = GraphError {
            code: Some(code),
            subcode,
            ..GraphError::default()
        };
        Class::of(&error, StatusCode::BAD_REQUEST)
    }

    #[test]
    fn every_code_has_the_class_of_the_table() {
        let cases = [
            (190, Some(463), Class::Auth),
            (102, None, Class::Auth),
            (104, None, Class::Config),
            (101, None, Class::Config),
            (10, None, Class::Permission),
            (200, None, Class::Permission),
            (294, None, Class::Permission),
            (100, Some(33), Class::Permission),
            (4, None, Class::Rate(5 * MINUTE)),
            (17, Some(2_446_079), Class::Rate(5 * MINUTE)),
            (17, Some(1_885_172), Class::Rate(DAY)),
            (613, None, Class::Rate(MINUTE)),
            (80_004, None, Class::Rate(5 * MINUTE)),
            (368, None, Class::Rate(HOUR)),
            (1, Some(99), Class::Transient),
            (2, None, Class::Transient),
            (2, Some(1_504_041), Class::Rejected),
            (2, Some(1_504_038), Class::TooLarge),
            (-2, Some(2_490_547), Class::Transient),
            (100, Some(2_804_003), Class::Rejected),
            (100, None, Class::Rejected),
            (2500, None, Class::Rejected),
            (987_654, None, Class::Rejected),
        ];

        for (code, subcode, expected) in cases {
            assert_eq!(class(code, subcode), expected, "{code}/{subcode:?}");
        }
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
}
