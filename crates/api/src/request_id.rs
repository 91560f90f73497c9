//! A request's id: in every answer, every problem document and every log line of the request.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue};

/// The header that carries it, both ways.
pub(crate) const X_REQUEST_ID: &str = "x-request-id";
/// Longest id taken from a caller.
const LONGEST: usize = 128;

/// A request's id: 1 to 128 of `A-Z a-z 0-9 . _ -`.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(Arc<str>);

impl RequestId {
    /// The caller's id where it sent one that is sane, else a new one.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut sent = headers.get_all(X_REQUEST_ID).iter();
        match (sent.next().map(HeaderValue::to_str), sent.next()) {
            (Some(Ok(id)), None) if is_sane(id) => Self(id.into()),
            _ => Self(format!("{:032x}", rand::random::<u128>()).into()),
        }
    }

    /// The id as text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The id as a header.
    pub(crate) fn header(&self) -> HeaderValue {
        HeaderValue::from_str(&self.0).expect("an id has only characters that a header may have")
    }
}

fn is_sane(id: &str) -> bool {
    (1..=LONGEST).contains(&id.len())
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_for(values: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(
                X_REQUEST_ID,
                HeaderValue::from_str(value).expect("a header value"),
            );
        }
        RequestId::of(&headers).as_str().to_owned()
    }

    #[test]
    fn a_sane_id_of_the_caller_is_kept() {
        assert_eq!(id_for(&["order-42_a.B"]), "order-42_a.B");
    }

    #[test]
    fn an_odd_long_empty_or_doubled_id_is_replaced() {
        let long = "a".repeat(LONGEST + 1);

        for odd in [
            &["a b"][..],
            &["<x>"],
            &[""],
            &[long.as_str()],
            &["a", "b"],
            &[],
        ] {
            let id = id_for(odd);

            assert!(!odd.contains(&id.as_str()));
            assert!(is_sane(&id), "{id}");
        }
    }
}
