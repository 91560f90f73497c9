//! What messages are signed with: made here, shown once, and sealed for the row that they lie in.

use base64::{Engine, engine::general_purpose::STANDARD};
use queue::{Cipher, CipherError, SealedPlace};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::OutboundError;
use crate::store::outbound_endpoints::SecretRow;

/// What secrets begin with where people see them.
const PREFIX: &str = "whsec_";
/// Bytes of a secret.
const SECRET_BYTES: usize = 32;

/// Where a secret lies.
pub(crate) fn place_of_secret(id: Uuid) -> SealedPlace {
    SealedPlace::new("marketing.webhook_secrets", id, "secret")
}

/// A new secret as people see it, and as it is stored.
pub(super) fn new_secret(cipher: &Cipher) -> (SecretString, SecretRow) {
    let bytes: [u8; SECRET_BYTES] = rand::random();
    let secret = SecretString::from(format!("{PREFIX}{}", STANDARD.encode(bytes)));
    let id = Uuid::now_v7();
    let sealed = cipher.seal(secret.expose_secret().as_bytes(), &place_of_secret(id));
    let row = SecretRow { id, secret: sealed };
    (secret, row)
}

/// A stored secret as people see it.
///
/// # Errors
/// [`OutboundError::Sealed`].
pub(super) fn open(cipher: &Cipher, row: &SecretRow) -> Result<SecretString, OutboundError> {
    let place = place_of_secret(row.id);
    let unopened = |source| OutboundError::Sealed {
        place: place.as_str().to_owned(),
        source,
    };
    let plain = cipher.open(&row.secret, &place).map_err(unopened)?;
    match std::str::from_utf8(&plain) {
        Ok(text) => Ok(SecretString::from(text)),
        Err(_) => Err(unopened(CipherError::NotSealed)),
    }
}
