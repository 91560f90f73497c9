//! Sealing what must lie encrypted: AES-256-GCM-SIV, with the key's id in the envelope and the value's place as
//! associated data, so that a value which is moved to another row or column does not open. What is sealed, and where it
//! lies, is its owner's matter.

mod keys;
#[cfg(test)]
mod tests;

use aes_gcm_siv::{
    Aes256GcmSiv,
    aead::{Aead, KeyInit, Payload},
};
use uuid::Uuid;
use zeroize::Zeroizing;

use keys::Key;
pub use keys::{KeyProblem, KeysError};

/// The first byte of every envelope of this form.
const VERSION: u8 = 1;
/// Bytes before the key's id: the version, and how long the id is.
const HEAD_BYTES: usize = 2;
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;

/// Why a sealed value does not open.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum CipherError {
    /// It has no envelope that this release knows.
    #[error("it is no sealed value that this release can read")]
    NotSealed,
    /// Its key is not among those that are configured: put it back.
    #[error("it is sealed under the key \"{id}\", which is not configured")]
    UnknownKey {
        /// The id in the envelope.
        id: String,
    },
    /// It was changed, moved from another place, or sealed under another key of the same id.
    #[error("it does not open under the key \"{id}\": it was changed, or moved from another place")]
    Tampered {
        /// The id in the envelope.
        id: String,
    },
}

/// Where a sealed value lies: it opens nowhere else.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SealedPlace(String);

impl SealedPlace {
    /// A column of a row; the table with its schema.
    #[must_use]
    pub fn new(table: &'static str, row: Uuid, column: &'static str) -> Self {
        Self(format!("{table}:{row}:{column}"))
    }

    /// `schema.table:id:column`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Seals and opens, under keys that have ids. No `Debug`: it holds the keys.
pub struct Cipher {
    /// Never empty; the newest first.
    keys: Vec<Key>,
}

impl Cipher {
    /// Seals a value for its place, under the newest key.
    #[must_use]
    pub fn seal(&self, plain: &[u8], place: &SealedPlace) -> Vec<u8> {
        seal_under(self.newest(), (plain, rand::random()), place)
    }

    /// The same, but a value is sealed alike each time: for what must not change when it is made again. Whoever sees two of
    /// them sees whether they are of one value, and nothing else: the cipher is made to bear a nonce that is not new.
    #[must_use]
    pub fn seal_alike(&self, plain: &[u8], place: &SealedPlace) -> Vec<u8> {
        seal_under(self.newest(), (plain, [0; NONCE_BYTES]), place)
    }

    fn newest(&self) -> &Key {
        let newest = self.keys.first();
        newest.expect("a cipher is made with at least one key")
    }

    /// Opens a value that lies in this place.
    ///
    /// # Errors
    /// [`CipherError::UnknownKey`] where a key is missing, [`CipherError::Tampered`] and [`CipherError::NotSealed`] where
    /// the value is not what was sealed for this place.
    pub fn open(
        &self,
        sealed: &[u8],
        place: &SealedPlace,
    ) -> Result<Zeroizing<Vec<u8>>, CipherError> {
        let envelope = Envelope::read(sealed)?;
        let id = envelope.key_id;
        let key = self.keys.iter().find(|key| key.id() == id);
        let key = key.ok_or_else(|| CipherError::UnknownKey { id: id.to_owned() })?;
        let data = associated_data(envelope.head, place);
        let payload = Payload {
            msg: envelope.ciphertext,
            aad: &data,
        };
        let opened = aead(key).decrypt(envelope.nonce.into(), payload);
        opened
            .map(Zeroizing::new)
            .map_err(|_| CipherError::Tampered { id: id.to_owned() })
    }

    /// The id of the key that a value is sealed under.
    ///
    /// # Errors
    /// [`CipherError::NotSealed`].
    pub fn key_id_of(sealed: &[u8]) -> Result<&str, CipherError> {
        Envelope::read(sealed).map(|envelope| envelope.key_id)
    }

    /// Whether a value is sealed under the newest key.
    #[must_use]
    pub fn is_newest(&self, sealed: &[u8]) -> bool {
        let newest = self.key_ids().next();
        Self::key_id_of(sealed).is_ok_and(|id| Some(id) == newest)
    }

    /// The ids of the keys, the newest first.
    pub fn key_ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(Key::id)
    }

    /// Whether every key seals, opens, and refuses what was sealed for another place.
    fn is_sound(&self) -> bool {
        const PLAIN: &[u8] = b"what was sealed opens again";
        let here = SealedPlace::new("millpond.self_test", Uuid::nil(), "here");
        let elsewhere = SealedPlace::new("millpond.self_test", Uuid::nil(), "elsewhere");
        self.keys.iter().all(|key| {
            let sealed = seal_under(key, (PLAIN, rand::random()), &here);
            let opens = self
                .open(&sealed, &here)
                .is_ok_and(|plain| plain.as_slice() == PLAIN);
            opens && self.open(&sealed, &elsewhere).is_err()
        })
    }
}

/// A sealed value, taken apart: version, length of the key's id, the id, nonce, ciphertext with its tag.
struct Envelope<'a> {
    /// Everything before the nonce.
    head: &'a [u8],
    key_id: &'a str,
    nonce: &'a [u8; NONCE_BYTES],
    ciphertext: &'a [u8],
}

impl<'a> Envelope<'a> {
    fn read(sealed: &'a [u8]) -> Result<Self, CipherError> {
        Self::taken_apart(sealed).ok_or(CipherError::NotSealed)
    }

    fn taken_apart(sealed: &'a [u8]) -> Option<Self> {
        let &[VERSION, id_bytes, ..] = sealed else {
            return None;
        };
        let (head, rest) = sealed.split_at_checked(HEAD_BYTES + usize::from(id_bytes))?;
        let key_id = std::str::from_utf8(head.get(HEAD_BYTES..)?).ok()?;
        let (nonce, ciphertext) = rest.split_first_chunk()?;
        (ciphertext.len() >= TAG_BYTES).then_some(Self {
            head,
            key_id,
            nonce,
            ciphertext,
        })
    }
}

fn seal_under(
    key: &Key,
    (plain, nonce): (&[u8], [u8; NONCE_BYTES]),
    place: &SealedPlace,
) -> Vec<u8> {
    let id = key.id().as_bytes();
    let id_bytes = u8::try_from(id.len()).expect("ids of keys have at most 32 bytes");
    let mut sealed =
        Vec::with_capacity(HEAD_BYTES + id.len() + NONCE_BYTES + plain.len() + TAG_BYTES);
    sealed.extend_from_slice(&[VERSION, id_bytes]);
    sealed.extend_from_slice(id);
    let data = associated_data(&sealed, place);

    let payload = Payload {
        msg: plain,
        aad: &data,
    };
    let ciphertext = aead(key)
        .encrypt((&nonce).into(), payload)
        .expect("what is sealed is far below the 64 GiB that the cipher takes");
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(&ciphertext);
    sealed
}

/// The envelope's head and the place: neither can be exchanged without the tag telling it.
fn associated_data(head: &[u8], place: &SealedPlace) -> Vec<u8> {
    [head, place.as_str().as_bytes()].concat()
}

/// Made for each use, so that no key schedule is kept. The memory it was in is given back as it is: what wipes it is a feature
/// of the cipher's crates that they leave off, and the keys themselves lie in this process anyway.
fn aead(key: &Key) -> Aes256GcmSiv {
    Aes256GcmSiv::new(key.secret().into())
}
