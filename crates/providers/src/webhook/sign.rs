//! Standard Webhooks, symmetric scheme: `v1,` and the HMAC-SHA256 of id, timestamp and body, keyed with the decoded
//! secret.

use std::ops::RangeInclusive;

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use sha2::Sha256;

use super::PROVIDER;
use crate::error::{Detail, Error};

/// What secrets begin with where people see them; it is no part of the key.
const PREFIX: &str = "whsec_";

/// The one version of signatures that is written and read.
const VERSION: &str = "v1";

/// Bytes of a secret: fewer can be guessed, and more add nothing.
const SECRET_BYTES: RangeInclusive<usize> = 24..=64;

/// How far a sender's clock may be off, the edge included.
const TOLERANCE: TimeDelta = TimeDelta::minutes(5);

/// Signatures in one header that are looked at: more than any rotation needs.
const SIGNATURES_LIMIT: usize = 16;

/// Signs and verifies with one secret, or with several while one replaces another.
#[derive(Clone)]
pub struct Signer {
    keys: Vec<SecretSlice<u8>>,
}

/// The three headers of a received message.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    /// `webhook-id`.
    pub id: &'a str,
    /// `webhook-timestamp`.
    pub timestamp: &'a str,
    /// `webhook-signature`.
    pub signature: &'a str,
}

/// Why a message is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unverified {
    /// The timestamp is no number of seconds.
    #[error("the timestamp is not unix seconds")]
    BadTimestamp,
    /// The message is older, or from further ahead, than five minutes.
    #[error("the timestamp is more than five minutes off")]
    OutsideTolerance,
    /// No signature was made with a secret of ours.
    #[error("no signature fits")]
    NoMatch,
}

impl Signer {
    /// A signer for secrets as people see them (`whsec_` and base64), the newest first.
    ///
    /// # Errors
    /// [`Error::Config`] when there is no secret, or one is not base64 or has fewer than 24 or more than 64 bytes.
    pub fn new(secrets: &[SecretString]) -> Result<Self, Error> {
        let refuse = |message| Error::Config {
            detail: Detail::new(PROVIDER, message, &[]),
        };
        if secrets.is_empty() {
            return Err(refuse("there is no secret to sign with"));
        }
        let keys = secrets
            .iter()
            .map(|secret| {
                let text = secret.expose_secret().trim();
                let key = STANDARD
                    .decode(text.strip_prefix(PREFIX).unwrap_or(text))
                    .map_err(|_| refuse("a signing secret is not whsec_ and base64"))?;
                if !SECRET_BYTES.contains(&key.len()) {
                    return Err(refuse("a signing secret has not 24 to 64 bytes"));
                }
                Ok(SecretSlice::from(key))
            })
            .collect::<Result<_, Error>>()?;
        Ok(Self { keys })
    }

    /// The value of `webhook-signature`: a signature with every secret, in their order, parted by blanks. `timestamp` is
    /// that of this attempt in Unix seconds; id and body are the same on every attempt.
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let signatures: Vec<String> = self
            .keys
            .iter()
            .map(|key| {
                let code = mac(key, id, timestamp, body).finalize().into_bytes();
                format!("{VERSION},{}", STANDARD.encode(code))
            })
            .collect();
        signatures.join(" ")
    }

    /// Whether a message comes from someone who knows one of the secrets, and is not a replay of an old one.
    ///
    /// # Errors
    /// [`Unverified`]; comparisons take the same time wherever they fail.
    pub fn verify(
        &self,
        received: Received<'_>,
        body: &[u8],
        now: DateTime<Utc>,
    ) -> Result<(), Unverified> {
        let timestamp: i64 = received
            .timestamp
            .parse()
            .map_err(|_| Unverified::BadTimestamp)?;
        if now.timestamp().abs_diff(timestamp) > TOLERANCE.num_seconds().unsigned_abs() {
            return Err(Unverified::OutsideTolerance);
        }

        let codes: Vec<Vec<u8>> = received
            .signature
            .split(' ')
            .take(SIGNATURES_LIMIT)
            .filter_map(|signature| signature.split_once(','))
            .filter(|(version, _)| *version == VERSION)
            .filter_map(|(_, code)| STANDARD.decode(code).ok())
            .collect();
        let fits = self.keys.iter().any(|key| {
            codes.iter().any(|code| {
                mac(key, received.id, timestamp, body)
                    .verify_slice(code)
                    .is_ok()
            })
        });
        if fits {
            Ok(())
        } else {
            Err(Unverified::NoMatch)
        }
    }

    /// The secrets' bytes as they may be quoted back at us.
    pub(super) fn quoted(&self) -> Vec<String> {
        self.keys
            .iter()
            .map(|key| STANDARD.encode(key.expose_secret()))
            .collect()
    }
}

fn mac(key: &SecretSlice<u8>, id: &str, timestamp: i64, body: &[u8]) -> Hmac<Sha256> {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key.expose_secret()).expect("HMAC takes keys of any length");
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    mac
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::Value;

    use super::*;

    #[derive(Deserialize)]
    struct Vectors {
        vectors: Vec<Vector>,
    }

    #[derive(Deserialize)]
    struct Vector {
        id: String,
        kind: String,
        secret: Option<String>,
        secrets: Option<Vec<String>>,
        webhook_id: String,
        /// A number where it is signed, text where it is received.
        webhook_timestamp: Value,
        payload: String,
        signature: Option<String>,
        signature_header: Option<String>,
        now: Option<i64>,
        valid: Option<bool>,
    }

    fn vectors(kind: &str) -> Vec<Vector> {
        let file = include_str!("../../vectors/standard_webhooks.json");
        let vectors: Vectors = serde_json::from_str(file).expect("the vectors are JSON");
        let vectors: Vec<Vector> = vectors
            .vectors
            .into_iter()
            .filter(|vector| vector.kind == kind)
            .collect();
        assert!(!vectors.is_empty());
        vectors
    }

    fn signer(vector: &Vector) -> Signer {
        let secrets: Vec<SecretString> = vector
            .secrets
            .iter()
            .flatten()
            .chain(&vector.secret)
            .map(|secret| secret.as_str().into())
            .collect();
        Signer::new(&secrets).expect("secrets")
    }

    #[test]
    fn every_signature_is_met() {
        for vector in vectors("sign").iter().chain(&vectors("sign_rotation")) {
            let timestamp = vector.webhook_timestamp.as_i64().expect("a number");

            let header =
                signer(vector).sign(&vector.webhook_id, timestamp, vector.payload.as_bytes());

            let expected = vector
                .signature
                .as_ref()
                .or(vector.signature_header.as_ref());
            assert_eq!(Some(&header), expected, "{}", vector.id);
        }
    }

    #[test]
    fn every_verdict_is_met() {
        for vector in vectors("verify") {
            let received = Received {
                id: &vector.webhook_id,
                timestamp: vector.webhook_timestamp.as_str().expect("text"),
                signature: vector.signature_header.as_deref().expect("a header"),
            };
            let now = DateTime::from_timestamp(vector.now.expect("a time"), 0).expect("a date");

            let verdict = signer(&vector).verify(received, vector.payload.as_bytes(), now);

            assert_eq!(Some(verdict.is_ok()), vector.valid, "{}", vector.id);
        }
    }

    #[test]
    fn five_minutes_off_are_believed_and_a_second_more_is_not() {
        let signer =
            Signer::new(&["whsec_VB7SLnLnLhm+sJDXWE/zWQtk4Wi+EKAr".into()]).expect("a secret");
        let signature = signer.sign("a", 1_732_000_000, b"{}");
        let received = Received {
            id: "a",
            timestamp: "1732000000",
            signature: &signature,
        };
        let at = |seconds| {
            let now =
                DateTime::from_timestamp(1_732_000_000 + i64::from(seconds), 0).expect("a date");
            signer.verify(received, b"{}", now)
        };

        assert_eq!(at(300), Ok(()));
        assert_eq!(at(-300), Ok(()));
        assert_eq!(at(301), Err(Unverified::OutsideTolerance));
        assert_eq!(at(-301), Err(Unverified::OutsideTolerance));
    }

    #[test]
    fn a_timestamp_that_is_no_number_is_refused() {
        let signer =
            Signer::new(&["whsec_VB7SLnLnLhm+sJDXWE/zWQtk4Wi+EKAr".into()]).expect("a secret");
        for timestamp in ["", "soon", "1e9", "99999999999999999999"] {
            let received = Received {
                id: "a",
                timestamp,
                signature: "v1,AAAA",
            };

            let verdict = signer.verify(received, b"", Utc::now());

            assert_eq!(verdict, Err(Unverified::BadTimestamp));
        }
    }

    #[test]
    fn secrets_that_cannot_be_used_are_our_own_set_up() {
        let of_bytes = |count| -> SecretString { STANDARD.encode(vec![7_u8; count]).into() };
        let unusable: [Vec<SecretString>; 5] = [
            Vec::new(),
            vec!["whsec_".into()],
            vec!["whsec_not base64".into()],
            vec![of_bytes(23)],
            vec![of_bytes(65)],
        ];

        for secrets in unusable {
            assert!(matches!(Signer::new(&secrets), Err(Error::Config { .. })));
        }
    }
}
