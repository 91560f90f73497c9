//! `X-Hub-Signature-256`: Meta signs the bytes that it sends with the app's secret. They are checked as they came, before
//! anything reads them.

use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// The header with the signature. The older one, with SHA-1, is not looked at.
pub const SIGNATURE_HEADER: &str = "x-hub-signature-256";

const PREFIX: &str = "sha256=";

/// Whether a body was signed with one of these secrets. An empty secret signs nothing.
pub(super) fn is_signed<'s>(
    header: Option<&[u8]>,
    body: &[u8],
    secrets: impl IntoIterator<Item = &'s SecretString>,
) -> bool {
    let Some(signature) = header.and_then(decoded) else {
        return false;
    };
    secrets.into_iter().any(|secret| {
        let secret = secret.expose_secret().as_bytes();
        let mac = Hmac::<Sha256>::new_from_slice(secret).ok();
        let mac = mac.filter(|_| !secret.is_empty());
        mac.is_some_and(|mac| mac.chain_update(body).verify_slice(&signature).is_ok())
    })
}

fn decoded(header: &[u8]) -> Option<[u8; 32]> {
    let text = std::str::from_utf8(header).ok()?;
    let mut signature = [0; 32];
    hex::decode_to_slice(text.strip_prefix(PREFIX)?, &mut signature).ok()?;
    Some(signature)
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use serde::Deserialize;
    use sha2::Digest as _;

    use super::*;

    #[derive(Deserialize)]
    struct Vectors {
        vectors: Vec<Vector>,
    }

    #[derive(Deserialize)]
    struct Vector {
        id: String,
        app_secret: String,
        body_base64: String,
        body_sha256: String,
        header_value: Option<String>,
        /// `None`: either answer is right.
        valid: Option<bool>,
    }

    fn vectors() -> Vec<Vector> {
        let file = include_str!("../../vectors/meta_webhook_signature.json");
        let read: Vectors = serde_json::from_str(file).expect("vectors");
        read.vectors
    }

    #[test]
    fn every_vector_is_judged_as_it_says() {
        let mut judged = 0;

        for vector in vectors() {
            let body = STANDARD.decode(&vector.body_base64).expect("base64");
            assert_eq!(hex::encode(Sha256::digest(&body)), vector.body_sha256);
            let secret = SecretString::from(vector.app_secret);
            let header = vector.header_value.as_deref().map(str::as_bytes);
            let signed = is_signed(header, &body, [&secret]);
            if let Some(valid) = vector.valid {
                assert_eq!(signed, valid, "{}", vector.id);
                judged += 1;
            }
        }

        assert!(judged >= 15, "{judged}");
    }

    #[test]
    fn two_secrets_hold_while_one_takes_the_place_of_the_other() {
        let (old, new) = (SecretString::from("old"), SecretString::from("new"));
        let mac = Hmac::<Sha256>::new_from_slice(b"old").expect("any length will do");
        let made = mac.chain_update(b"{}").finalize().into_bytes();
        let header = format!("sha256={}", hex::encode(made));
        let header = Some(header.as_bytes());

        assert!(is_signed(header, b"{}", [&new, &old]));
        assert!(!is_signed(header, b"{}", [&new]));
        assert!(!is_signed(header, b"{}", []));
    }

    // Fails when whoever knows that no secret is set can sign.
    #[test]
    fn an_empty_secret_signs_nothing() {
        let mac = Hmac::<Sha256>::new_from_slice(b"").expect("any length will do");
        let made = mac.chain_update(b"{}").finalize().into_bytes();
        let header = format!("sha256={}", hex::encode(made));

        assert!(!is_signed(
            Some(header.as_bytes()),
            b"{}",
            [&SecretString::from("")]
        ));
    }
}
