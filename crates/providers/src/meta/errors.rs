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

    /// The class of a body that is no JSON, in answer to events: a front end spoke, not the API. Their ids make it harmless
    /// to send them again, so they are not given up for its sake.
    pub(super) fn of_unreadable(status: StatusCode) -> Self {
        match status.as_u16() {
            413 => Self::TooLarge,
            429 => Self::Rate(MINUTE),
            _ => Self::Transient,
        }
    }

    /// The class of a body that is no JSON, in answer to any other call.
    pub(super) fn of_front_end(status: StatusCode) -> Self {
        match status.as_u16() {
            413 => Self::TooLarge,
            429 => Self::Rate(MINUTE),
            400..=499 => Self::Rejected,
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
    } else if code == 100 && message.contains("summary") {
        // Said now and then of figures that are right to ask for; a repetition passes.
        Some(Class::Transient)
    } else if code == 190 && message.contains("Page Access Token") {
        // The token is alive, and not of the sort that this takes: nobody has to log in again.
        Some(Class::Permission)
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
mod tests;
