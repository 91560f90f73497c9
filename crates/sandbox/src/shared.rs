//! What all stand-ins of one sandbox share: the world, who may call and how often, the ledger, the
//! faults, and the settings that can be changed while it runs.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use crate::{
    config::{AppConfig, MetaConfig, SandboxConfig},
    error::SandboxError,
    faults::Faults,
    leads::Leads,
    ledger::Ledger,
    limits::Limits,
    oauth::{KnownToken, OAuth},
    reports::Reports,
    resend,
    signature::{HookSecret, SecretError},
    world::{Platform, World},
    x::Nonces,
};

/// The state behind every route.
pub(crate) struct Shared {
    pub(crate) world: World,
    pub(crate) oauth: OAuth,
    pub(crate) limits: Limits,
    pub(crate) reports: Reports,
    /// The idempotency keys of mails.
    pub(crate) resend: resend::Keys,
    /// Of Meta's Pages.
    pub(crate) leads: Leads,
    /// Those that signed calls to X used.
    pub(crate) nonces: Nonces,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) faults: Arc<Faults>,
    settings: RwLock<Settings>,
    at_start: Settings,
    tokens: Vec<KnownToken>,
}

/// What `POST /_control/tokens` changes and `POST /_control/reset` brings back.
#[derive(Clone)]
struct Settings {
    meta: Arc<MetaConfig>,
    apps: BTreeMap<Platform, AppConfig>,
    hook_secrets: BTreeMap<String, Arc<HookSecret>>,
}

impl Shared {
    /// Makes the world and reads the receivers' secrets.
    ///
    /// # Errors
    /// [`SandboxError::HookSecret`] for the first one that cannot be used.
    pub(crate) fn new(config: &SandboxConfig) -> Result<Self, SandboxError> {
        let hook_secrets = config
            .hook_secrets
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
            meta: Arc::new(config.meta.clone()),
            apps: config.apps.clone(),
            hook_secrets,
        };
        let of_meta = config.meta.tokens.iter().map(|(token, state)| KnownToken {
            state: *state,
            ..KnownToken::new(Platform::Meta, token)
        });
        let shared = Self {
            world: World::new(&config.world),
            oauth: OAuth::default(),
            limits: Limits::default(),
            reports: Reports::default(),
            resend: resend::Keys::default(),
            leads: Leads::default(),
            nonces: Nonces::default(),
            ledger: Arc::default(),
            faults: Arc::default(),
            settings: RwLock::new(settings.clone()),
            at_start: settings,
            tokens: of_meta.chain(config.tokens.iter().cloned()).collect(),
        };
        shared.know_tokens();
        Ok(shared)
    }

    /// What Meta knows at this moment.
    pub(crate) fn meta(&self) -> Arc<MetaConfig> {
        Arc::clone(&self.settings().meta)
    }

    /// Changes what Meta knows; calls that run already keep what they saw.
    pub(crate) fn change_meta(&self, change: impl FnOnce(&mut MetaConfig)) {
        change(Arc::make_mut(&mut self.settings_mut().meta));
    }

    /// The app as a platform knows it at this moment.
    pub(crate) fn app(&self, platform: Platform) -> AppConfig {
        let settings = self.settings();
        match platform {
            Platform::Meta => AppConfig {
                id: settings.meta.app_id.clone(),
                secret: settings.meta.app_secret.clone(),
            },
            Platform::GoogleAds | Platform::LinkedIn | Platform::TikTok | Platform::X => {
                settings.apps.get(&platform).cloned().unwrap_or_default()
            }
        }
    }

    /// Changes the app as a platform knows it.
    pub(crate) fn change_app(&self, platform: Platform, change: impl FnOnce(&mut AppConfig)) {
        let mut app = self.app(platform);
        change(&mut app);
        if platform == Platform::Meta {
            self.change_meta(|meta| {
                meta.app_id = app.id;
                meta.app_secret = app.secret;
            });
        } else {
            self.settings_mut().apps.insert(platform, app);
        }
    }

    /// The secret that calls to the receiver `name` are checked with.
    pub(crate) fn hook_secret(&self, name: &str) -> Option<Arc<HookSecret>> {
        self.settings().hook_secrets.get(name).cloned()
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
        self.settings_mut().hook_secrets.extend(parsed);
        Ok(())
    }

    /// Forgets what arrived and what was handed out, disarms the faults, sets the clock right, and
    /// takes back every change of the world and of settings.
    pub(crate) fn reset(&self) {
        self.ledger.clear();
        self.faults.clear();
        self.limits.clear();
        self.reports.clear();
        self.resend.clear();
        self.leads.clear();
        self.nonces.clear();
        self.oauth.clear();
        self.world.reset();
        *self.settings_mut() = self.at_start.clone();
        self.know_tokens();
    }

    fn know_tokens(&self) {
        for token in &self.tokens {
            self.oauth.know(token.clone(), self.world.now());
        }
    }

    fn settings(&self) -> RwLockReadGuard<'_, Settings> {
        self.settings.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn settings_mut(&self) -> RwLockWriteGuard<'_, Settings> {
        self.settings
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
