//! Who calls: API keys by the hash of their secret, remembered for under a second so that a revocation is seen
//! everywhere within one.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::Queue;
use crate::{admin::AdminError, db::within, store::keys};

/// How long a key is remembered.
const FRESH: Duration = Duration::from_millis(800);
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

#[derive(Default)]
pub(super) struct Keyring {
    remembered: Mutex<HashMap<Hash, (Instant, AuthenticatedKey)>>,
}

impl Keyring {
    fn find(&self, hash: &Hash) -> Option<AuthenticatedKey> {
        let remembered = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        remembered
            .get(hash)
            .filter(|(at, _)| at.elapsed() < FRESH)
            .map(|(_, key)| key.clone())
    }

    fn remember(&self, hash: Hash, key: AuthenticatedKey) {
        let mut remembered = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= MOST {
            remembered.retain(|_, (at, _)| at.elapsed() < FRESH);
        }
        if remembered.len() < MOST {
            remembered.insert(hash, (Instant::now(), key));
        }
    }

    pub(super) fn forget_all(&self) {
        self.remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
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
        if let Some(key) = self.shared.keyring.find(&hash) {
            return Ok(Some(key));
        }
        let mut session = self.shared.db.request().await?;
        let found = within(async {
            let found = keys::find(session.conn(), &hash).await?;
            if let Some(key) = &found {
                keys::used(session.conn(), &[key.id]).await?;
            }
            Ok(found)
        })
        .await;
        let Some(found) = session.end(found)? else {
            return Ok(None);
        };
        let key = AuthenticatedKey {
            id: found.id,
            name: found.name,
            prefix: found.prefix,
            scopes: found.scopes.into(),
            tenant: found.tenant,
        };
        self.shared.keyring.remember(hash, key.clone());
        Ok(Some(key))
    }

    pub(crate) fn forget_keys(&self) {
        self.shared.keyring.forget_all();
    }
}
