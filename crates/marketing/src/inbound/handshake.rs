//! Before Meta sends events it asks whether they are wanted: it shows a token that both sides know, and wants a challenge
//! back.

use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use super::Inbound;
use crate::accounts::AccountsError;

impl Inbound {
    /// The challenge to answer with, byte for byte.
    ///
    /// # Errors
    /// [`AccountsError::NotSigned`] where the token is not ours or none is set; [`AccountsError::Invalid`] without a challenge.
    pub fn challenge<'q>(
        &self,
        mode: Option<&str>,
        token: Option<&str>,
        challenge: Option<&'q str>,
    ) -> Result<&'q str, AccountsError> {
        let ours = self.0.settings().meta_verify_token.as_ref();
        answered(ours, (mode, token), challenge)
    }
}

fn answered<'q>(
    ours: Option<&SecretString>,
    (mode, token): (Option<&str>, Option<&str>),
    challenge: Option<&'q str>,
) -> Result<&'q str, AccountsError> {
    let is_ours = ours
        .zip(token)
        .is_some_and(|(ours, token)| is_same(ours, token));
    if mode != Some("subscribe") || !is_ours {
        return Err(AccountsError::NotSigned);
    }
    challenge.ok_or_else(|| AccountsError::Invalid {
        pointer: "?hub.challenge",
        message: "is missing".to_owned(),
    })
}

/// Compares what both make of a random key, so that the time it takes tells nothing of ours. An empty one is none.
fn is_same(ours: &SecretString, told: &str) -> bool {
    let ours = ours.expose_secret();
    if ours.is_empty() {
        return false;
    }
    let key = rand::random::<[u8; 32]>();
    let of = |text: &str| {
        Hmac::<Sha256>::new_from_slice(&key)
            .expect("HMAC takes a key of any length")
            .chain_update(text.as_bytes())
    };
    let made = of(ours).finalize().into_bytes();
    of(told).verify_slice(&made).is_ok()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use url::form_urlencoded;

    use super::*;

    #[derive(Deserialize)]
    struct Vectors {
        handshake: Vec<Vector>,
    }

    #[derive(Deserialize)]
    struct Vector {
        id: String,
        configured_verify_token: String,
        query: String,
        expected_status: u16,
        expected_body: Option<String>,
    }

    #[test]
    fn every_vector_is_answered_as_it_says() {
        let file = include_str!("../../vectors/meta_webhook_signature.json");
        let read: Vectors = serde_json::from_str(file).expect("vectors");

        for vector in read.handshake {
            let pairs: Vec<(String, String)> = form_urlencoded::parse(vector.query.as_bytes())
                .into_owned()
                .collect();
            let of = |name: &str| {
                let found = pairs.iter().find(|(known, _)| known == name);
                found.map(|(_, value)| value.as_str())
            };
            let ours = SecretString::from(vector.configured_verify_token);
            let shown = (of("hub.mode"), of("hub.verify_token"));
            let answer = answered(Some(&ours), shown, of("hub.challenge"));
            let (status, body) = match answer {
                Ok(body) => (200, Some(body)),
                Err(AccountsError::Invalid { .. }) => (400, None),
                Err(_) => (403, None),
            };

            assert_eq!(status, vector.expected_status, "{}", vector.id);
            assert_eq!(body, vector.expected_body.as_deref(), "{}", vector.id);
        }
    }

    #[test]
    fn nobody_is_answered_where_no_token_is_set() {
        let shown = (Some("subscribe"), Some(""));

        assert!(answered(None, shown, Some("1")).is_err());
    }
}
