//! What all stand-ins of one sandbox share: the ledger, the faults, and the settings that can be
//! changed while it runs.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use crate::{
    config::MetaConfig,
    error::SandboxError,
    faults::Faults,
    ledger::Ledger,
    signature::{HookSecret, SecretError},
};

/// The state behind every route.
pub(crate) struct Shared {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) faults: Arc<Faults>,
    settings: RwLock<Settings>,
    at_start: Settings,
}

/// What `POST /_control/tokens` changes and `POST /_control/reset` brings back.
#[derive(Clone)]
struct Settings {
    meta: Arc<MetaConfig>,
    hook_secrets: BTreeMap<String, Arc<HookSecret>>,
}

impl Shared {
    /// Reads the receivers' secrets.
    ///
    /// # Errors
    /// [`SandboxError::HookSecret`] for the first one that cannot be used.
    pub(crate) fn new(
        meta: MetaConfig,
        hook_secrets: &BTreeMap<String, String>,
    ) -> Result<Self, SandboxError> {
        let hook_secrets = hook_secrets
            .iter()
            .map(|(name, secret)| match HookSecret::parse(secret) {
                Ok(secret) => Ok((name.clone(), Arc::new(secret))),
                Err(source) => Err(SandboxError::HookSecret {
                    name: name.clone(),
                    source,
                }),
            })
            .collect::<Result<_, _>>()?;
        let settings = Settings {
            meta: Arc::new(meta),
            hook_secrets,
        };
        Ok(Self {
            ledger: Arc::default(),
            faults: Arc::default(),
            settings: RwLock::new(settings.clone()),
            at_start: settings,
        })
    }

    /// What Meta knows at this moment.
    pub(crate) fn meta(&self) -> Arc<MetaConfig> {
        let settings = self.settings.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&settings.meta)
    }

    /// Changes what Meta knows; calls that run already keep what they saw.
    pub(crate) fn change_meta(&self, change: impl FnOnce(&mut MetaConfig)) {
        let mut settings = self
            .settings
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut settings.meta));
    }

    /// The secret that calls to the receiver `name` are checked with.
    pub(crate) fn hook_secret(&self, name: &str) -> Option<Arc<HookSecret>> {
        let settings = self.settings.read().unwrap_or_else(PoisonError::into_inner);
        settings.hook_secrets.get(name).cloned()
    }

    /// Gives receivers their secrets: all of them, or none when one cannot be used.
    ///
    /// # Errors
    /// What is wrong with the first bad one.
    pub(crate) fn set_hook_secrets(
        &self,
        secrets: &BTreeMap<String, String>,
    ) -> Result<(), SecretError> {
        let parsed = secrets
            .iter()
            .map(|(name, secret)| Ok((name.clone(), Arc::new(HookSecret::parse(secret)?))))
            .collect::<Result<Vec<_>, SecretError>>()?;
        let mut settings = self
            .settings
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        settings.hook_secrets.extend(parsed);
        Ok(())
    }

    /// Forgets what arrived, disarms the faults, and takes back every change of settings.
    pub(crate) fn reset(&self) {
        self.ledger.clear();
        self.faults.clear();
        let mut settings = self
            .settings
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *settings = self.at_start.clone();
    }
}
