//! The encryption key of `millpond dev`: made once, kept in `.millpond/encryption-keys`, for the accounts of its database.

use std::{fs, path::Path, sync::Arc};

use queue::Cipher;
use rand::{TryRngCore, rngs::OsRng};
use secrecy::{ExposeSecret, SecretString};

use super::home::{self, Home};
use crate::{environment::VariableProblem, settings::read_keys};

/// The file in `.millpond`.
const FILE: &str = "encryption-keys";
/// Bytes of a key.
const KEY_BYTES: usize = 32;

/// The machine gives no random numbers to make a key of.
#[derive(Debug, thiserror::Error)]
#[error("this machine has no random numbers to make an encryption key of")]
struct NoRandom;

/// The key that is kept; else a new one.
pub(super) fn cipher(home: &Home) -> anyhow::Result<Arc<Cipher>> {
    let keys = match home.read(FILE)? {
        Some(kept) => SecretString::from(kept),
        None => {
            let made = made()?;
            home.write(FILE, made.expose_secret())?;
            made
        }
    };
    Ok(read_keys(&keys)?)
}

/// The key of `millpond dev` below `parent`, for commands that work on its database.
pub(super) fn cipher_below(parent: &Path) -> Result<Option<Arc<Cipher>>, VariableProblem> {
    let Ok(kept) = fs::read_to_string(parent.join(home::NAME).join(FILE)) else {
        return Ok(None);
    };
    let keys = SecretString::from(kept.trim());
    read_keys(&keys).map(Some)
}

fn made() -> anyhow::Result<SecretString> {
    let mut key = [0_u8; KEY_BYTES];
    OsRng.try_fill_bytes(&mut key).map_err(|_| NoRandom)?;
    Ok(SecretString::from(format!("dev:{}", hex::encode(key))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn a_key_is_made_once_and_found_by_commands_in_the_folder() {
        let scratch = Scratch::new();
        assert!(cipher_below(scratch.path()).is_ok_and(|found| found.is_none()));
        let home = Home::open(scratch.path(), false).expect("free");

        let first = cipher(&home).expect("made");
        let second = cipher(&home).expect("kept");

        let place = queue::SealedPlace::new("a.b", uuid::Uuid::nil(), "c");
        let sealed = first.seal(b"x", &place);
        assert!(second.open(&sealed, &place).is_ok());
        let found = cipher_below(scratch.path()).expect("sound");
        assert!(found.is_some_and(|cipher| cipher.open(&sealed, &place).is_ok()));
    }
}
