//! What makes an enqueue safe to repeat: the key, whose it is, and what is asked for.

use axum::http::{HeaderMap, HeaderValue};
use queue::{Idempotency, NewJob};

use crate::{auth::Caller, error::ApiError, problem::FieldProblem};

const IDEMPOTENCY_KEY: &str = "idempotency-key";
const UNSOUND: &str = "must have 1 to 255 visible ASCII characters";

/// Reads `Idempotency-Key`.
pub(super) fn key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let mut sent = headers.get_all(IDEMPOTENCY_KEY).iter();
    match (sent.next().map(HeaderValue::to_str), sent.next()) {
        (None, _) => Ok(None),
        (Some(Ok(key)), None) if Idempotency::is_key(key) => Ok(Some(key.to_owned())),
        _ => Err(ApiError::MalformedRequest {
            detail: format!("`Idempotency-Key` {UNSOUND}, and be sent once"),
            errors: Vec::new(),
        }),
    }
}

/// Checks the key of a batch's item.
pub(super) fn item_key(key: Option<String>) -> Result<Option<String>, ApiError> {
    match key {
        Some(key) if !Idempotency::is_key(&key) => Err(ApiError::Invalid(vec![FieldProblem::new(
            "/idempotency_key",
            UNSOUND,
        )])),
        key => Ok(key),
    }
}

/// What an enqueue is known by, alone or in a batch.
pub(super) fn of_job(caller: &Caller, key: String, job: &NewJob) -> Idempotency {
    Idempotency {
        client: caller.client(),
        key,
        fingerprint: job.fingerprint(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Result<Option<String>, ApiError> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(
                IDEMPOTENCY_KEY,
                HeaderValue::from_bytes(value.as_bytes()).expect("a header value"),
            );
        }
        key(&headers)
    }

    #[test]
    fn a_key_of_visible_characters_is_taken() {
        assert_eq!(read(&[]).ok(), Some(None));
        assert_eq!(
            read(&["order-42:a/b"]).ok(),
            Some(Some("order-42:a/b".to_owned()))
        );
        assert!(read(&["k".repeat(255).as_str()]).is_ok());
    }

    #[test]
    fn an_empty_long_odd_or_doubled_key_is_malformed() {
        let long = "k".repeat(256);

        for values in [
            &[""][..],
            &[long.as_str()],
            &["a b"],
            &["a\tb"],
            &["é"],
            &["a", "a"],
        ] {
            assert!(
                matches!(read(values), Err(ApiError::MalformedRequest { .. })),
                "{values:?}"
            );
        }
    }
}
