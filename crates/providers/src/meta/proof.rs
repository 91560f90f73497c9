//! `appsecret_proof`: shows Meta that a call with a token comes from a server that knows the app's secret.

use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// The proof for one call: it belongs to the very token that the call is made with. The secret is used as the text it
/// is, not decoded from hex.
pub(super) fn appsecret_proof(app_secret: &SecretString, token: &SecretString) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(app_secret.expose_secret().as_bytes())
        .expect("HMAC takes keys of any length");
    mac.update(token.expose_secret().as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Vectors {
        vectors: Vec<Vector>,
    }

    #[derive(Deserialize)]
    struct Vector {
        id: String,
        access_token: String,
        app_secret: String,
        appsecret_proof: String,
    }

    #[test]
    fn every_published_proof_is_met() {
        let file = include_str!("../../vectors/meta_appsecret_proof.json");
        let vectors: Vectors = serde_json::from_str(file).expect("the vectors are JSON");

        for vector in vectors.vectors {
            let proof = appsecret_proof(&vector.app_secret.into(), &vector.access_token.into());

            assert_eq!(proof, vector.appsecret_proof, "{}", vector.id);
        }
    }
}
