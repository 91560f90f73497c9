//! The receiving side of Standard Webhooks: is this call signed by somebody who has the secret, and
//! just now?

use std::collections::BTreeSet;

use axum::http::HeaderMap;
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// How far the sender's clock may be from ours, both ways, inclusive.
const TOLERANCE_S: u64 = 300;
/// What a secret looks like in configuration; the rest is base64.
const PREFIX: &str = "whsec_";

/// The key that a receiver shares with whoever calls it.
pub(crate) struct HookSecret {
    key: Vec<u8>,
}

/// Why a text is no secret of Standard Webhooks.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// It is not base64 behind `whsec_`.
    #[error("the part behind whsec_ is not base64")]
    NotBase64(#[from] base64::DecodeError),
    /// It holds no bytes.
    #[error("it is empty")]
    Empty,
}

/// Why a call is not believed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SignatureError {
    #[error("the header {0} is missing or not plain text")]
    Header(&'static str),
    #[error("webhook-timestamp is no number of seconds")]
    Timestamp,
    #[error("webhook-timestamp is more than {TOLERANCE_S} s away from now")]
    Stale,
    #[error("no v1 signature matches")]
    NoMatch,
}

impl HookSecret {
    /// Reads `whsec_…`; the prefix may be missing.
    ///
    /// # Errors
    /// [`SecretError`] when there is no key in it.
    pub(crate) fn parse(text: &str) -> Result<Self, SecretError> {
        let key = STANDARD.decode(text.strip_prefix(PREFIX).unwrap_or(text))?;
        if key.is_empty() {
            return Err(SecretError::Empty);
        }
        Ok(Self { key })
    }

    /// Checks a call, over the bytes of `body` as they came.
    ///
    /// # Errors
    /// [`SignatureError`] says what does not fit.
    pub(crate) fn verify(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: DateTime<Utc>,
    ) -> Result<(), SignatureError> {
        let id = header(headers, "webhook-id")?;
        let timestamp = header(headers, "webhook-timestamp")?;
        let signatures = header(headers, "webhook-signature")?;
        let sent_at: i64 = timestamp.parse().map_err(|_| SignatureError::Timestamp)?;
        if now.timestamp().abs_diff(sent_at) > TOLERANCE_S {
            return Err(SignatureError::Stale);
        }

        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes a key of any length");
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        // Unknown versions are stepped over: a sender may add its next one beside v1. Equal ones
        // are looked at once.
        let known: BTreeSet<&str> = signatures
            .split(' ')
            .filter_map(|entry| entry.strip_prefix("v1,"))
            .collect();
        let matches = known.into_iter().any(|signature| {
            STANDARD
                .decode(signature)
                .is_ok_and(|signature| mac.clone().verify_slice(&signature).is_ok())
        });
        if matches {
            Ok(())
        } else {
            Err(SignatureError::NoMatch)
        }
    }
}

fn header<'h>(headers: &'h HeaderMap, name: &'static str) -> Result<&'h str, SignatureError> {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .filter(|value| !value.is_empty())
        .ok_or(SignatureError::Header(name))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    // Made with the reference library (standardwebhooks 1.1.0).
    const SECRET: &str = "whsec_VB7SLnLnLhm+sJDXWE/zWQtk4Wi+EKAr";
    const ID: &str = "msg_test000000000000000000021";
    const SENT_AT: i64 = 1_732_000_100;
    const BODY: &[u8] = br#"{"type":"lead.created","data":{"lead_id":"1"}}"#;
    const SIGNATURE: &str = "v1,YVTXoib+tRnSgT1Z9RZFYehXmkv+/Vf65g1+drQ8LfE=";

    fn verify(id: &str, signature: &str, body: &[u8], now_s: i64) -> Result<(), SignatureError> {
        let secret = HookSecret::parse(SECRET).expect("a secret");
        let mut headers = HeaderMap::new();
        headers.insert("webhook-id", HeaderValue::from_str(id).expect("a header"));
        headers.insert("webhook-timestamp", HeaderValue::from(SENT_AT));
        headers.insert(
            "webhook-signature",
            HeaderValue::from_str(signature).expect("a header"),
        );
        let now = DateTime::from_timestamp(now_s, 0).expect("a time");
        secret.verify(&headers, body, now)
    }

    #[test]
    fn a_call_signed_with_the_secret_is_believed() {
        let verdict = verify(ID, SIGNATURE, BODY, SENT_AT + 10);

        assert_eq!(verdict, Ok(()));
    }

    #[test]
    fn a_signature_of_an_unknown_version_is_stepped_over() {
        let beside = verify(ID, &format!("v1a,AAAA {SIGNATURE}"), BODY, SENT_AT);
        let alone = verify(ID, &SIGNATURE.replace("v1,", "v2,"), BODY, SENT_AT);

        assert_eq!(beside, Ok(()));
        assert_eq!(alone, Err(SignatureError::NoMatch));
    }

    #[test]
    fn another_body_or_id_is_not_believed() {
        let other_body = verify(ID, SIGNATURE, &[BODY, b"\n"].concat(), SENT_AT);
        let other_id = verify("msg_other", SIGNATURE, BODY, SENT_AT);

        assert_eq!(other_body, Err(SignatureError::NoMatch));
        assert_eq!(other_id, Err(SignatureError::NoMatch));
    }

    #[test]
    fn five_minutes_off_are_tolerated_and_a_second_more_is_not() {
        assert_eq!(verify(ID, SIGNATURE, BODY, SENT_AT + 300), Ok(()));
        assert_eq!(verify(ID, SIGNATURE, BODY, SENT_AT - 300), Ok(()));
        assert_eq!(
            verify(ID, SIGNATURE, BODY, SENT_AT + 301),
            Err(SignatureError::Stale)
        );
        assert_eq!(
            verify(ID, SIGNATURE, BODY, SENT_AT - 301),
            Err(SignatureError::Stale)
        );
    }

    #[test]
    fn a_secret_that_is_not_base64_is_refused() {
        assert!(matches!(
            HookSecret::parse("whsec_?"),
            Err(SecretError::NotBase64(_))
        ));
        assert!(matches!(
            HookSecret::parse("whsec_"),
            Err(SecretError::Empty)
        ));
    }
}
