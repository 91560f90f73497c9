//! Who calls: API keys by the hash of their secret, remembered for under a second so that a revocation is seen
//! everywhere within one. One caller looks a key up anew before it is forgotten, so that a thousand need not.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::Queue;
use crate::{admin::AdminError, db::within, store::keys};

/// How long a key is remembered.
const FRESH: Duration = Duration::from_millis(800);
/// From this age on a remembered key is looked up anew.
const AGEING: Duration = Duration::from_millis(400);
/// Most keys remembered.
const MOST: usize = 10_000;

/// A caller whose key is good.
#[derive(Debug, Clone)]
pub struct AuthenticatedKey {
    /// The key's id.
    pub id: Uuid,
    /// What it was named.
    pub name: String,
    /// The first characters of its secret.
    pub prefix: String,
    /// What it may do.
    pub scopes: Arc<[String]>,
    /// The tenant it is bound to.
    pub tenant: Option<String>,
}

type Hash = [u8; 32];

struct Remembered {
    at: Instant,
    key: AuthenticatedKey,
    /// Somebody looks it up anew.
    is_refreshed: bool,
}

impl Remembered {
    fn is_fresh(&self) -> bool {
        self.at.elapsed() < FRESH
    }
}

/// What is known of a key without asking the database.
enum Known {
    Nothing,
    Fresh(AuthenticatedKey),
    /// Good for now; whoever is told so looks it up anew, and nobody else.
    Ageing(AuthenticatedKey),
}

#[derive(Default)]
pub(super) struct Keyring {
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    keys: HashMap<Hash, Remembered>,
    /// When a key was last revoked here: what was asked before that may no longer be so.
    forgotten_at: Option<Instant>,
}

impl Keyring {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, hash: &Hash) -> Known {
        let mut memory = self.memory();
        let Some(known) = memory.keys.get_mut(hash).filter(|known| known.is_fresh()) else {
            return Known::Nothing;
        };
        if known.is_refreshed || known.at.elapsed() < AGEING {
            return Known::Fresh(known.key.clone());
        }
        known.is_refreshed = true;
        Known::Ageing(known.key.clone())
    }

    fn remember(&self, hash: Hash, key: AuthenticatedKey, asked_at: Instant) {
        let mut memory = self.memory();
        if memory.forgotten_at.is_some_and(|at| asked_at <= at) {
            return;
        }
        let remembered = &mut memory.keys;
        if remembered.len() >= MOST {
            remembered.retain(|_, known| known.is_fresh());
        }
        if remembered.len() < MOST {
            let known = Remembered {
                at: asked_at,
                key,
                is_refreshed: false,
            };
            remembered.insert(hash, known);
        }
    }

    fn forget(&self, hash: &Hash) {
        self.memory().keys.remove(hash);
    }

    pub(super) fn forget_all(&self) {
        let mut memory = self.memory();
        memory.keys.clear();
        memory.forgotten_at = Some(Instant::now());
    }
}

/// What is stored of a secret. Secrets are 256 random bits, so a fast hash is enough.
pub(crate) fn hash(secret: &str) -> Hash {
    Sha256::digest(secret.as_bytes()).into()
}

impl Queue {
    /// Who has this secret; `None` for unknown, expired and revoked keys alike. The look-up is by hash, so its time
    /// tells nothing of how much of a secret was right.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn authenticate(&self, secret: &str) -> Result<Option<AuthenticatedKey>, AdminError> {
        let hash = hash(secret);
        let keyring = &self.shared.keyring;
        let known = match keyring.find(&hash) {
            Known::Fresh(key) => return Ok(Some(key)),
            Known::Ageing(key) => Some(key),
            Known::Nothing => None,
        };
        // From before the question: a revocation that it just missed is seen within a second all the same.
        let asked_at = Instant::now();
        match (self.look_up(&hash).await, known) {
            (Ok(Some(key)), _) => {
                keyring.remember(hash, key.clone(), asked_at);
                Ok(Some(key))
            }
            (Ok(None), _) => {
                keyring.forget(&hash);
                Ok(None)
            }
            (Err(_), Some(known)) if asked_at.elapsed() < FRESH - AGEING => Ok(Some(known)),
            (Err(error), _) => Err(error),
        }
    }

    async fn look_up(&self, hash: &Hash) -> Result<Option<AuthenticatedKey>, AdminError> {
        let mut session = self.shared.db.request().await?;
        let found = within(async {
            let found = keys::find(session.conn(), hash).await?;
            if let Some(key) = &found {
                keys::used(session.conn(), &[key.id]).await?;
            }
            Ok(found)
        })
        .await;
        Ok(session.end(found)?.map(|found| AuthenticatedKey {
            id: found.id,
            name: found.name,
            prefix: found.prefix,
            scopes: found.scopes.into(),
            tenant: found.tenant,
        }))
    }

    pub(crate) fn forget_keys(&self) {
        self.shared.keyring.forget_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> AuthenticatedKey {
        AuthenticatedKey {
            id: Uuid::from_u128(1),
            name: "test".to_owned(),
            prefix: "mp_test".to_owned(),
            scopes: Arc::new([]),
            tenant: None,
        }
    }

    fn asked_before(milliseconds: u64) -> Keyring {
        let keyring = Keyring::default();
        keyring.remember(
            hash("secret"),
            key(),
            Instant::now() - Duration::from_millis(milliseconds),
        );
        keyring
    }

    #[test]
    fn what_was_asked_before_a_revocation_is_not_remembered_after_it() {
        let keyring = Keyring::default();
        let asked_at = Instant::now();

        keyring.forget_all();
        keyring.remember(hash("secret"), key(), asked_at);

        assert!(matches!(keyring.find(&hash("secret")), Known::Nothing));
    }

    #[test]
    fn one_caller_refreshes_an_ageing_key_and_the_others_go_on_with_it() {
        let keyring = asked_before(500);

        let answers = [(); 3].map(|()| keyring.find(&hash("secret")));

        assert!(matches!(
            answers,
            [Known::Ageing(_), Known::Fresh(_), Known::Fresh(_)]
        ));
    }

    #[test]
    fn a_key_is_forgotten_in_under_a_second_whoever_refreshes_it() {
        let known = asked_before(810).find(&hash("secret"));

        assert!(matches!(known, Known::Nothing));
    }
}
