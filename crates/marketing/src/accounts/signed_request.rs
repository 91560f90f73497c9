//! Requests that Meta signs with the app's secret: two parts of base64url with a point between them, the signature of the
//! second one first.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sha2::Sha256;

use super::AccountsError;

/// Longest text that is looked at.
const LONGEST: usize = 8_192;
/// How old a request may be: an old one may be about a grant that has been given anew since.
const OLDEST: TimeDelta = TimeDelta::hours(24);

/// What Meta says in a signed request, as far as it is read.
#[derive(Deserialize)]
struct Signed {
    algorithm: String,
    user_id: String,
    /// Unix seconds. Meta documents it for every request; one without it would be good for ever.
    issued_at: i64,
}

/// The person that a signed request is about.
///
/// # Errors
/// [`AccountsError::NotSigned`], whatever is wrong with it.
pub(super) fn subject_of(
    request: &str,
    secret: &SecretString,
    now: DateTime<Utc>,
) -> Result<String, AccountsError> {
    verified(request, secret, now).ok_or(AccountsError::NotSigned)
}

fn verified(request: &str, secret: &SecretString, now: DateTime<Utc>) -> Option<String> {
    if request.len() > LONGEST {
        return None;
    }
    let (signature, payload) = request.split_once('.')?;
    let signature = decoded(signature)?;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).ok()?;
    mac.update(payload.as_bytes());
    mac.verify_slice(&signature).ok()?;

    let signed: Signed = serde_json::from_slice(&decoded(payload)?).ok()?;
    let is_known = signed.algorithm.eq_ignore_ascii_case("HMAC-SHA256");
    let issued_at = DateTime::from_timestamp(signed.issued_at, 0);
    let is_fresh = issued_at.is_some_and(|at| (now - at).abs() <= OLDEST);
    (is_known && is_fresh && !signed.user_id.is_empty()).then_some(signed.user_id)
}

fn decoded(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok()
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::*;

    const SECRET: &str = "fake-app-secret-not-real";

    /// A request as Meta signs it.
    pub(in crate::accounts) fn signed(payload: &Value, secret: &str) -> String {
        let payload = URL_SAFE_NO_PAD.encode(payload.to_string());
        let mut mac =
            Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length will do");
        mac.update(payload.as_bytes());
        let signature = URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
        format!("{signature}.{payload}")
    }

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).expect("a time")
    }

    fn subject(request: &str) -> Option<String> {
        subject_of(request, &SecretString::from(SECRET), now()).ok()
    }

    fn payload(issued_at: i64) -> Value {
        json!({"algorithm": "HMAC-SHA256", "issued_at": issued_at, "user_id": "218471"})
    }

    #[test]
    fn what_meta_signed_tells_whom_it_is_about() {
        let request = signed(&payload(1_799_999_990), SECRET);

        assert_eq!(subject(&request).as_deref(), Some("218471"));
    }

    // Fails when the signature, the secret, the algorithm or the age is not looked at.
    #[test]
    fn what_meta_did_not_sign_is_refused() {
        let good = signed(&payload(1_799_999_990), SECRET);
        let (signature, _) = good.split_once('.').expect("two parts");
        let other = URL_SAFE_NO_PAD.encode(r#"{"algorithm":"HMAC-SHA256","user_id":"1"}"#);
        let foreign = json!({"algorithm": "none", "issued_at": 1_799_999_990, "user_id": "218471"});
        let timeless = json!({"algorithm": "HMAC-SHA256", "user_id": "218471"});

        for request in [
            "",
            ".",
            "no-point",
            &format!("{signature}.{other}"),
            &signed(&payload(1_799_999_990), "another-secret"),
            &signed(&payload(1_799_000_000), SECRET),
            &signed(&foreign, SECRET),
            &signed(&timeless, SECRET),
            &signed(
                &json!({"algorithm": "HMAC-SHA256", "issued_at": 1_799_999_990}),
                SECRET,
            ),
            &format!("{good}{}", "x".repeat(LONGEST)),
        ] {
            assert_eq!(subject(request), None, "{request:.40}");
        }
    }
}
