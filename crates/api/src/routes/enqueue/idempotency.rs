//! What makes an enqueue safe to repeat: the key, whose it is, and a hash of what was sent.

use axum::http::{HeaderMap, HeaderValue};
use queue::Idempotency;
use sha2::{Digest, Sha256};

use crate::{auth::Caller, error::ApiError, problem::FieldProblem};

const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Longest key.
const LONGEST: usize = 255;
const UNSOUND: &str = "must have 1 to 255 visible ASCII characters";

/// Reads `Idempotency-Key`.
pub(super) fn key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let mut sent = headers.get_all(IDEMPOTENCY_KEY).iter();
    match (sent.next().map(HeaderValue::to_str), sent.next()) {
        (None, _) => Ok(None),
        (Some(Ok(key)), None) if is_sound(key) => Ok(Some(key.to_owned())),
        _ => Err(ApiError::MalformedRequest {
            detail: format!("`Idempotency-Key` {UNSOUND}, and be sent once"),
            errors: Vec::new(),
        }),
    }
}

/// Checks the key of a batch's item.
pub(super) fn item_key(key: Option<String>) -> Result<Option<String>, ApiError> {
    match key {
        Some(key) if !is_sound(&key) => Err(ApiError::Invalid(vec![FieldProblem::new(
            "/idempotency_key",
            UNSOUND,
        )])),
        key => Ok(key),
    }
}

/// What a single enqueue is known by.
pub(super) fn of_request(caller: &Caller, key: String, body: &[u8]) -> Idempotency {
    of(caller, key, "POST /v1/jobs", body)
}

/// What an item of a batch is known by; its text, however the batch around it was written.
pub(super) fn of_item(caller: &Caller, key: String, item: &str) -> Idempotency {
    of(caller, key, "POST /v1/jobs/batch", item.trim().as_bytes())
}

fn of(caller: &Caller, key: String, operation: &str, sent: &[u8]) -> Idempotency {
    let mut hash = Sha256::new();
    for part in [
        operation.as_bytes(),
        caller.tenant().unwrap_or_default().as_bytes(),
        sent,
    ] {
        // The length keeps two parts from being taken for two others that are written alike.
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    Idempotency {
        client: caller.client(),
        key,
        fingerprint: hash.finalize().into(),
    }
}

fn is_sound(key: &str) -> bool {
    (1..=LONGEST).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
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
        assert!(read(&["k".repeat(LONGEST).as_str()]).is_ok());
    }

    #[test]
    fn an_empty_long_odd_or_doubled_key_is_malformed() {
        let long = "k".repeat(LONGEST + 1);

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
