//! Nonces that were used: a signed call that comes a second time is not taken.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// Most nonces kept. Beyond, those are forgotten that are too old to be taken anyway, or else all.
const MOST: usize = 200_000;

/// The nonces of one sandbox.
#[derive(Default)]
pub(crate) struct Nonces {
    /// By when the call was signed, in seconds.
    used: Mutex<HashMap<String, i64>>,
}

impl Nonces {
    /// Uses a nonce of a call that was signed at `signed_s`; those signed before `oldest_s` are not
    /// asked for any more. Whether it is the first time.
    pub(super) fn use_up(&self, nonce: String, signed_s: i64, oldest_s: i64) -> bool {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.len() >= MOST {
            used.retain(|_, signed_s| *signed_s >= oldest_s);
        }
        if used.len() >= MOST {
            used.clear();
        }
        used.insert(nonce, signed_s).is_none()
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        self.used
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_good_once() {
        let nonces = Nonces::default();
        let use_up = |nonce: &str| nonces.use_up(nonce.to_owned(), 100, 0);

        assert!(use_up("a") && use_up("b"));
        assert!(!use_up("a"));
        nonces.clear();
        assert!(use_up("a"));
    }
}
