//! What X's error codes mean for a caller. Codes are words in the Ads API and numbers where the older front end answers; the
//! status has the last word.

use reqwest::StatusCode;
use serde_json::Value;

use crate::platform::members;

/// What a caller does about an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Auth,
    /// The time in the signature is not X's: our clock is off, whoever's token it was.
    Clock,
    Config,
    Permission,
    Rate,
    /// As many jobs as may be are being made already.
    Jobs,
    Transient,
    TooLarge,
    Rejected,
}

/// The first of the errors in X's envelope.
#[derive(Debug, Default)]
pub(super) struct Problem {
    pub(super) code: Option<String>,
    /// With the parameter that it is about.
    pub(super) message: String,
}

impl Problem {
    /// `None` where the body holds no error.
    pub(super) fn read(body: &Value) -> Option<Self> {
        let error = body.get("errors")?.as_array()?.first()?;
        let mut message = members::text(error, "message")
            .unwrap_or_default()
            .to_owned();
        if let Some(parameter) = members::text(error, "parameter") {
            message.push_str(" (");
            message.push_str(parameter);
            message.push(')');
        }
        Some(Self {
            code: error.get("code").and_then(members::id),
            message,
        })
    }
}

impl Class {
    /// The class of an error envelope.
    pub(super) fn of(problem: &Problem, status: StatusCode) -> Self {
        let is_full = matches!(status.as_u16(), 400 | 429) && speaks_of_jobs(&problem.message);
        if is_full {
            return Self::Jobs;
        }
        let by_code = problem.code.as_deref().and_then(of_code);
        by_code.unwrap_or_else(|| Self::of_status(status))
    }

    /// The class of a body that is no JSON: a gateway spoke, which knows nothing of tokens and rights.
    pub(super) fn of_unreadable(status: StatusCode) -> Self {
        match Self::of_status(status) {
            Self::Auth | Self::Permission => Self::Rejected,
            class => class,
        }
    }

    /// The class of a status when the body decides nothing.
    pub(super) fn of_status(status: StatusCode) -> Self {
        match status.as_u16() {
            401 => Self::Auth,
            403 => Self::Permission,
            408 | 423 => Self::Transient,
            413 | 414 => Self::TooLarge,
            429 => Self::Rate,
            // A success without its answer, too.
            200..=299 | 500..=599 => Self::Transient,
            _ => Self::Rejected,
        }
    }
}

fn of_code(code: &str) -> Option<Class> {
    Some(match code {
        "UNAUTHORIZED_ACCESS" | "32" | "89" => Class::Auth,
        "135" => Class::Clock,
        "UNAUTHORIZED_CLIENT_APPLICATION" => Class::Config,
        "ACCOUNT_NOT_FOUND"
        | "ACTION_NOT_ALLOWED"
        | "CURRENT_USER_SUSPENDED"
        | "ACCOUNT_LOCKED_OUT"
        | "64"
        | "326" => Class::Permission,
        "TOO_MANY_REQUESTS" | "88" => Class::Rate,
        "CANCELLED_REQUEST"
        | "LOCK_ACQUISITION_TIMEOUT"
        | "INTERNAL_ERROR"
        | "SERVICE_UNAVAILABLE"
        | "OVER_CAPACITY" => Class::Transient,
        "REQUEST_TOO_COMPLEX" | "INVALID_TIME_WINDOW" => Class::TooLarge,
        _ => return None,
    })
}

/// X has no code of its own for too many jobs at once.
fn speaks_of_jobs(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    message.contains("concurrent") && message.contains("job")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn class(status: u16, body: &Value) -> Class {
        let problem = Problem::read(body).expect("a problem");
        Class::of(&problem, StatusCode::from_u16(status).expect("a status"))
    }

    fn coded(code: Value) -> Value {
        json!({"errors": [{"code": code, "message": "It went wrong."}], "request": {"params": {}}})
    }

    #[test]
    fn every_row_of_the_table_has_its_class() {
        let cases = [
            (401, json!("UNAUTHORIZED_ACCESS"), Class::Auth),
            (401, json!(32), Class::Auth),
            (401, json!(89), Class::Auth),
            (401, json!(135), Class::Clock),
            (403, json!("UNAUTHORIZED_CLIENT_APPLICATION"), Class::Config),
            (403, json!("ACCOUNT_NOT_FOUND"), Class::Permission),
            (404, json!("ACCOUNT_NOT_FOUND"), Class::Permission),
            (403, json!("ACTION_NOT_ALLOWED"), Class::Permission),
            (403, json!("CURRENT_USER_SUSPENDED"), Class::Permission),
            (403, json!("ACCOUNT_LOCKED_OUT"), Class::Permission),
            (403, json!(64), Class::Permission),
            (403, json!("326"), Class::Permission),
            (429, json!("TOO_MANY_REQUESTS"), Class::Rate),
            (429, json!(88), Class::Rate),
            (408, json!("CANCELLED_REQUEST"), Class::Transient),
            (423, json!("LOCK_ACQUISITION_TIMEOUT"), Class::Transient),
            (500, json!("INTERNAL_ERROR"), Class::Transient),
            (502, json!("SOMETHING"), Class::Transient),
            (503, json!("SERVICE_UNAVAILABLE"), Class::Transient),
            (503, json!("OVER_CAPACITY"), Class::Transient),
            (504, json!("SOMETHING"), Class::Transient),
            (400, json!("REQUEST_TOO_COMPLEX"), Class::TooLarge),
            (400, json!("INVALID_TIME_WINDOW"), Class::TooLarge),
            (413, json!("SOMETHING"), Class::TooLarge),
            (414, json!("SOMETHING"), Class::TooLarge),
            (400, json!("INVALID_PARAMETER"), Class::Rejected),
            (404, json!("NOT_FOUND"), Class::Rejected),
            (401, json!("SOMETHING"), Class::Auth),
            (403, json!("SOMETHING"), Class::Permission),
        ];

        for (status, code, expected) in cases {
            assert_eq!(
                class(status, &coded(code.clone())),
                expected,
                "{status} {code}"
            );
        }
    }

    #[test]
    fn too_many_jobs_at_once_are_told_in_words_alone() {
        let body = json!({"errors": [{"code": "INVALID", "message": "Maximum number of concurrent jobs reached."}]});

        assert_eq!(class(400, &body), Class::Jobs);
        assert_eq!(class(429, &body), Class::Jobs);
        assert_eq!(class(503, &body), Class::Transient);
    }

    #[test]
    fn a_gateway_without_json_says_nothing_of_tokens() {
        let of = |status| Class::of_unreadable(StatusCode::from_u16(status).expect("a status"));

        assert_eq!(of(401), Class::Rejected);
        assert_eq!(of(403), Class::Rejected);
        assert_eq!(of(404), Class::Rejected);
        assert_eq!(of(414), Class::TooLarge);
        assert_eq!(of(429), Class::Rate);
        assert_eq!(of(503), Class::Transient);
        assert_eq!(of(200), Class::Transient);
    }

    #[test]
    fn the_parameter_at_fault_is_told() {
        let body = json!({"errors": [{"code": "INVALID_PARAMETER", "message": "Expected time in the format",
            "parameter": "start_time", "details": "", "value": "x"}]});

        let problem = Problem::read(&body).expect("a problem");

        assert_eq!(problem.message, "Expected time in the format (start_time)");
        assert!(Problem::read(&json!({"data": []})).is_none());
        assert!(Problem::read(&json!({"errors": []})).is_none());
    }
}
