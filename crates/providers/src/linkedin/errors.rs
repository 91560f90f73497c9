//! What LinkedIn's error codes, words and statuses mean for a caller. The code has the first word and the status the last.

use reqwest::StatusCode;
use serde_json::Value;

use crate::platform::members;

/// What a caller does about an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// The token does not work; one that was just made may not have spread yet.
    Unauthorized,
    /// The token was taken back.
    Revoked,
    Config,
    Permission,
    Rate(Throttle),
    Transient,
    TooLarge,
    Rejected,
}

/// Which of LinkedIn's limits was met, as far as it says: it never says for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Throttle {
    /// That of figures in five minutes.
    Figures,
    /// That of a day, which ends at midnight UTC.
    Day,
    /// One that is not named.
    Unnamed,
}

/// LinkedIn's error envelope.
#[derive(Debug, Default)]
pub(super) struct Problem {
    pub(super) service_code: Option<i64>,
    pub(super) code: Option<String>,
    /// With what is said of single inputs.
    pub(super) message: String,
}

impl Problem {
    /// `None` where the answer is none of an error.
    pub(super) fn read(body: &Value, status: StatusCode) -> Option<Self> {
        let service_code = body.get("serviceErrorCode").and_then(members::integer);
        if status.is_success() && service_code.is_none() {
            return None;
        }
        let mut message = members::text(body, "message")
            .unwrap_or_default()
            .to_owned();
        let inputs = body
            .pointer("/errorDetails/inputErrors")
            .and_then(Value::as_array);
        for input in inputs.into_iter().flatten() {
            if let Some(description) = members::text(input, "description") {
                message.push_str("; ");
                message.push_str(description);
            }
        }
        Some(Self {
            service_code,
            code: members::text(body, "code").map(str::to_owned),
            message,
        })
    }

    /// Both codes, as far as there are any.
    pub(super) fn codes(&self) -> Option<String> {
        match (&self.code, self.service_code) {
            (Some(code), Some(number)) => Some(format!("{code}/{number}")),
            (Some(code), None) => Some(code.clone()),
            (None, Some(number)) => Some(number.to_string()),
            (None, None) => None,
        }
    }
}

impl Class {
    /// The class of an error envelope.
    pub(super) fn of(problem: &Problem, status: StatusCode) -> Self {
        of_code(problem)
            .or_else(|| of_words(problem, status))
            .unwrap_or_else(|| of_status(problem, status))
    }

    /// The class of a body that is no JSON: a front end spoke, which knows nothing of tokens and rights.
    pub(super) fn of_unreadable(status: StatusCode) -> Self {
        match status.as_u16() {
            413 | 414 => Self::TooLarge,
            426 => Self::Config,
            429 => Self::Rate(Throttle::Unnamed),
            400..=499 => Self::Rejected,
            _ => Self::Transient,
        }
    }
}

fn of_code(problem: &Problem) -> Option<Class> {
    let by_number = match problem.service_code {
        Some(65_600 | 65_602) => Some(Class::Unauthorized),
        Some(65_601) => Some(Class::Revoked),
        _ => None,
    };
    let by_word = || match problem.code.as_deref()? {
        "EXPIRED_ACCESS_TOKEN" => Some(Class::Unauthorized),
        "REVOKED_ACCESS_TOKEN" => Some(Class::Revoked),
        "ACCESS_DENIED" => Some(Class::Permission),
        "NONEXISTENT_VERSION" => Some(Class::Config),
        "TOO_MANY_REQUESTS" => Some(Class::Rate(throttle(&problem.message))),
        _ => None,
    };
    by_number.or_else(by_word)
}

fn of_words(problem: &Problem, status: StatusCode) -> Option<Class> {
    if status != StatusCode::BAD_REQUEST {
        return None;
    }
    let message = problem.message.to_ascii_lowercase();
    let code = problem.code.as_deref().unwrap_or_default();
    // As a whole word: conversions have one inside of them.
    let is_version =
        has_word(&message, "version") || has_word(&code.to_ascii_lowercase(), "version");
    let is_too_large = ["exceeds", "15,000", "15000", "too many"]
        .iter()
        .any(|words| message.contains(words));
    match (is_version, is_too_large) {
        (true, _) => Some(Class::Config),
        (false, true) => Some(Class::TooLarge),
        (false, false) => None,
    }
}

fn of_status(problem: &Problem, status: StatusCode) -> Class {
    match status.as_u16() {
        401 => Class::Unauthorized,
        403 => Class::Permission,
        413 | 414 => Class::TooLarge,
        426 => Class::Config,
        429 => Class::Rate(throttle(&problem.message)),
        500..=599 => Class::Transient,
        _ => Class::Rejected,
    }
}

fn throttle(message: &str) -> Throttle {
    let message = message.to_ascii_lowercase();
    if message.contains("data request limit") || message.contains("metric values") {
        Throttle::Figures
    } else if ["day", "daily"].iter().any(|word| has_word(&message, word)) {
        Throttle::Day
    } else {
        Throttle::Unnamed
    }
}

fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric())
        .any(|other| other == word)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn class(status: u16, body: &Value) -> Class {
        let status = StatusCode::from_u16(status).expect("a status");
        let problem = Problem::read(body, status).expect("a problem");
        Class::of(&problem, status)
    }

    #[test]
    fn every_row_of_the_table_has_its_class() {
        let throttled = "Resource level throttle limit for calls to this resource is reached.";
        let figures =
            "The data request limit has been exceeded. More than 45 million metric values";
        let by_day = "Resource level throttle APPLICATION DAY limit for calls is reached.";
        let cases = [
            (401, json!({"serviceErrorCode": 65600}), Class::Unauthorized),
            (401, json!({"serviceErrorCode": 65602}), Class::Unauthorized),
            (
                401,
                json!({"code": "EXPIRED_ACCESS_TOKEN"}),
                Class::Unauthorized,
            ),
            (401, json!({"serviceErrorCode": 65601}), Class::Revoked),
            (401, json!({"code": "REVOKED_ACCESS_TOKEN"}), Class::Revoked),
            (401, json!({}), Class::Unauthorized),
            (
                403,
                json!({"code": "ACCESS_DENIED", "serviceErrorCode": 100}),
                Class::Permission,
            ),
            (403, json!({}), Class::Permission),
            (404, json!({}), Class::Rejected),
            (400, json!({"message": "Invalid param"}), Class::Rejected),
            (405, json!({}), Class::Rejected),
            (409, json!({}), Class::Rejected),
            (411, json!({}), Class::Rejected),
            (422, json!({}), Class::Rejected),
            (
                400,
                json!({"message": "The response exceeds 15,000 elements"}),
                Class::TooLarge,
            ),
            (
                400,
                json!({"message": "Too many campaigns"}),
                Class::TooLarge,
            ),
            (413, json!({}), Class::TooLarge),
            (414, json!({}), Class::TooLarge),
            (426, json!({"code": "NONEXISTENT_VERSION"}), Class::Config),
            (
                400,
                json!({"message": "A version must be present"}),
                Class::Config,
            ),
            (400, json!({"code": "VERSION_MISSING"}), Class::Config),
            (
                429,
                json!({"code": "TOO_MANY_REQUESTS", "serviceErrorCode": 101, "message": throttled}),
                Class::Rate(Throttle::Unnamed),
            ),
            (
                429,
                json!({"message": figures}),
                Class::Rate(Throttle::Figures),
            ),
            (429, json!({"message": by_day}), Class::Rate(Throttle::Day)),
            (500, json!({}), Class::Transient),
            (502, json!({}), Class::Transient),
            (503, json!({}), Class::Transient),
            (504, json!({}), Class::Transient),
        ];

        for (status, body, expected) in cases {
            assert_eq!(class(status, &body), expected, "{status} {body}");
        }
    }

    #[test]
    fn a_conversion_is_no_version() {
        let message = "Conversion's method should be CONVERSIONS_API, indices [0]";

        assert_eq!(class(400, &json!({ "message": message })), Class::Rejected);
    }

    #[test]
    fn a_front_end_without_json_says_nothing_of_tokens() {
        let of = |status| Class::of_unreadable(StatusCode::from_u16(status).expect("a status"));

        assert_eq!(of(401), Class::Rejected);
        assert_eq!(of(403), Class::Rejected);
        assert_eq!(of(414), Class::TooLarge);
        assert_eq!(of(429), Class::Rate(Throttle::Unnamed));
        assert_eq!(of(502), Class::Transient);
        assert_eq!(of(200), Class::Transient);
    }

    #[test]
    fn the_body_is_an_error_whatever_its_status() {
        assert_eq!(
            class(200, &json!({"serviceErrorCode": 65601})),
            Class::Revoked
        );
        assert!(Problem::read(&json!({"elements": []}), StatusCode::OK).is_none());
    }

    #[test]
    fn what_is_said_of_single_inputs_is_told() {
        let body = json!({"message": "Invalid", "code": "ILLEGAL_ARGUMENT", "serviceErrorCode": 100,
            "errorDetails": {"inputErrors": [{"description": "no such field"}]}});

        let problem = Problem::read(&body, StatusCode::BAD_REQUEST).expect("a problem");

        assert_eq!(problem.message, "Invalid; no such field");
        assert_eq!(problem.codes().as_deref(), Some("ILLEGAL_ARGUMENT/100"));
    }
}
