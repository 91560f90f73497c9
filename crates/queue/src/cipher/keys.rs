//! Keys with ids, as `MILLPOND_ENCRYPTION_KEYS` lists them. Everything wrong is told at once, by the place in the list;
//! nothing of the list is ever repeated, since a slip of the hand may have put a key where its id belongs.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::Cipher;

/// Bytes of a key.
const KEY_BYTES: usize = 32;
/// Most characters of a key's id: too few for a key that was put in its place.
const LONGEST_ID: usize = 32;
/// Most keys: one that nothing is sealed under any more is taken out.
const MOST_KEYS: usize = 100;

/// A key. No `Debug`: it is a secret.
pub(super) struct Key {
    id: String,
    secret: Zeroizing<[u8; KEY_BYTES]>,
}

impl Key {
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn secret(&self) -> &[u8; KEY_BYTES] {
        &self.secret
    }
}

/// What is wrong with a list of keys; places count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyProblem {
    /// There is none in it.
    #[error("it names no key: write id:64-hex, made by openssl rand -hex 32")]
    Empty,
    /// There are too many.
    #[error(
        "it names more than {} keys: take out those that nothing is sealed under",
        MOST_KEYS
    )]
    TooMany,
    /// An entry has no id.
    #[error("key {place} has no id: write id:64-hex")]
    NoId {
        /// Which.
        place: usize,
    },
    /// An id that cannot be one.
    #[error(
        "the id of key {place} must have 1 to {} letters, digits, points, hyphens or underscores",
        LONGEST_ID
    )]
    BadId {
        /// Which.
        place: usize,
    },
    /// A key of another length.
    #[error("key {place} has {digits} digits instead of 64")]
    WrongLength {
        /// Which.
        place: usize,
        /// How many it has.
        digits: usize,
    },
    /// A key with other characters than hexadecimal digits.
    #[error("key {place} is not hexadecimal")]
    NotHex {
        /// Which.
        place: usize,
    },
    /// A key that anybody would guess first.
    #[error("key {place} is all zeros")]
    Zeros {
        /// Which.
        place: usize,
    },
    /// An id that is there twice.
    #[error("keys {first} and {second} have the same id")]
    SameId {
        /// The first of them.
        first: usize,
        /// The other one.
        second: usize,
    },
    /// A key that is there twice.
    #[error("keys {first} and {second} are the same key")]
    SameKey {
        /// The first of them.
        first: usize,
        /// The other one.
        second: usize,
    },
    /// The cipher does not do what it should on this machine.
    #[error("what is sealed under these keys does not open again on this machine")]
    Unsound,
}

/// Everything that is wrong with a list of keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", listed(.0))]
pub struct KeysError(pub Vec<KeyProblem>);

fn listed(problems: &[KeyProblem]) -> String {
    let words: Vec<String> = problems.iter().map(KeyProblem::to_string).collect();
    words.join("; ")
}

impl Cipher {
    /// Reads `id:64-hex` pairs, separated by commas, the newest first, and tries the keys out.
    ///
    /// # Errors
    /// [`KeysError`] with everything that is wrong.
    pub fn read(list: &SecretString) -> Result<Self, KeysError> {
        let mut problems = Vec::new();
        let mut keys = Vec::new();
        let entries = list.expose_secret().split(',').map(str::trim);
        for (entry, place) in entries.filter(|entry| !entry.is_empty()).zip(1..) {
            if place > MOST_KEYS {
                problems.push(KeyProblem::TooMany);
                break;
            }
            match key(entry, place) {
                Ok(key) => keys.push((place, key)),
                Err(problem) => problems.push(problem),
            }
        }
        problems.extend(doubles(&keys));
        if keys.is_empty() && problems.is_empty() {
            problems.push(KeyProblem::Empty);
        }
        if !problems.is_empty() {
            return Err(KeysError(problems));
        }
        let cipher = Self {
            keys: keys.into_iter().map(|(_, key)| key).collect(),
        };
        if !cipher.is_sound() {
            return Err(KeysError(vec![KeyProblem::Unsound]));
        }
        Ok(cipher)
    }
}

fn key(entry: &str, place: usize) -> Result<Key, KeyProblem> {
    let (id, digits) = entry.split_once(':').ok_or(KeyProblem::NoId { place })?;
    if !is_id(id) {
        return Err(KeyProblem::BadId { place });
    }
    let count = digits.chars().count();
    if count != KEY_BYTES * 2 {
        return Err(KeyProblem::WrongLength {
            place,
            digits: count,
        });
    }
    let mut secret = Zeroizing::new([0_u8; KEY_BYTES]);
    hex::decode_to_slice(digits, secret.as_mut_slice())
        .map_err(|_| KeyProblem::NotHex { place })?;
    if secret.iter().all(|byte| *byte == 0) {
        return Err(KeyProblem::Zeros { place });
    }
    Ok(Key {
        id: id.to_owned(),
        secret,
    })
}

fn is_id(id: &str) -> bool {
    let is_of_id = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(is_of_id)
}

fn doubles(keys: &[(usize, Key)]) -> Vec<KeyProblem> {
    let mut problems = Vec::new();
    let mut ids: BTreeMap<&str, usize> = BTreeMap::new();
    let mut secrets: BTreeMap<&[u8; KEY_BYTES], usize> = BTreeMap::new();
    for (second, key) in keys {
        let (first, second) = (*ids.entry(key.id()).or_insert(*second), *second);
        if first != second {
            problems.push(KeyProblem::SameId { first, second });
        }
        let first = *secrets.entry(key.secret()).or_insert(second);
        if first != second {
            problems.push(KeyProblem::SameKey { first, second });
        }
    }
    problems
}
