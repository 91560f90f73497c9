//! What a sandbox is started with: where it listens, and what its servers know and accept.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use crate::{
    oauth::{KnownToken, TokenRole, TokenState},
    world::{Platform, WorldConfig},
};

/// The id of the app that the development token belongs to.
pub const DEV_META_APP_ID: &str = "100000000000000";
/// The access token that a sandbox with default settings accepts; made up.
pub const DEV_META_TOKEN: &str = "fake-dev-meta-access-token";
/// The app secret that signs the development token's `appsecret_proof`; made up.
pub const DEV_META_APP_SECRET: &str = "fake-dev-meta-app-secret";
/// What Meta shows when it asks whether its events may be sent to Millpond; made up.
pub const DEV_META_VERIFY_TOKEN: &str = "fake-dev-meta-verify-token";
/// The dataset that a sandbox with default settings knows; made up.
pub const DEV_META_DATASET: &str = "1000000000000001";

/// The id of the app at every platform but Meta: client id, app id, consumer key.
pub const DEV_APP_ID: &str = "fake-dev-app";
/// Its secret; made up.
pub const DEV_APP_SECRET: &str = "fake-dev-app-secret";
/// A refresh token that the stand-in for Google takes; made up.
pub const DEV_GOOGLE_REFRESH_TOKEN: &str = "fake-dev-google-refresh-token";
/// An access token that the stand-in for LinkedIn takes; made up.
pub const DEV_LINKEDIN_TOKEN: &str = "fake-dev-linkedin-access-token";
/// A refresh token that the stand-in for LinkedIn takes; made up.
pub const DEV_LINKEDIN_REFRESH_TOKEN: &str = "fake-dev-linkedin-refresh-token";
/// An access token that the stand-in for TikTok takes; made up.
pub const DEV_TIKTOK_TOKEN: &str = "fake-dev-tiktok-access-token";
/// A token of OAuth 1.0a that the stand-in for X takes; made up.
pub const DEV_X_TOKEN: &str = "fake-dev-x-token";
/// The second half of it.
pub const DEV_X_TOKEN_SECRET: &str = "fake-dev-x-token-secret";

/// The key that the stand-in for Resend takes; made up.
pub const DEV_RESEND_KEY: &str = "re_fakeDevNotReal";

/// What a sandbox is started with. Port 0 takes a free one, which the running sandbox tells.
#[derive(Clone)]
pub struct SandboxConfig {
    /// Where the HTTP side listens: Meta's API, the receivers of hooks, and the control.
    pub http: SocketAddr,
    /// Where the mail server listens, offering STARTTLS.
    pub smtp: SocketAddr,
    /// Where the mail server listens with TLS from the first byte; `None` for nowhere.
    pub smtps: Option<SocketAddr>,
    /// The folder that keeps each mail as a file; made when it is missing.
    pub mail_dir: PathBuf,
    /// What the stand-in for Meta knows.
    pub meta: MetaConfig,
    /// The world that the stand-ins for platforms show.
    pub world: WorldConfig,
    /// The app at each platform but Meta.
    pub apps: BTreeMap<Platform, AppConfig>,
    /// Tokens of any platform that are known without anybody's consent.
    pub tokens: Vec<KnownToken>,
    /// User and password that the mail server asks for; `None` takes mail from everybody.
    pub smtp_auth: Option<(String, String)>,
    /// Standard Webhooks secrets (`whsec_…`) by the receiver's name; a receiver without one checks
    /// nothing.
    pub hook_secrets: BTreeMap<String, String>,
}

impl SandboxConfig {
    /// Everything on free loopback ports, with the development values and no mail credentials.
    #[must_use]
    pub fn on_free_ports(mail_dir: PathBuf) -> Self {
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            http: free,
            smtp: free,
            smtps: Some(free),
            mail_dir,
            meta: MetaConfig::default(),
            world: WorldConfig::default(),
            apps: Platform::ALL
                .into_iter()
                .filter(|platform| *platform != Platform::Meta)
                .map(|platform| (platform, AppConfig::default()))
                .collect(),
            tokens: dev_tokens(),
            smtp_auth: None,
            hook_secrets: BTreeMap::new(),
        }
    }
}

/// An app as a platform knows it; the default has the development values.
#[derive(Clone, PartialEq, Eq)]
pub struct AppConfig {
    /// Client id, app id or consumer key.
    pub id: String,
    /// Its secret.
    pub secret: String,
}

impl Default for AppConfig {
    fn default() -> Self {
        Self {
            id: DEV_APP_ID.to_owned(),
            secret: DEV_APP_SECRET.to_owned(),
        }
    }
}

/// The tokens that a development run connects with.
fn dev_tokens() -> Vec<KnownToken> {
    let refresh = |platform, token| KnownToken {
        role: TokenRole::Refresh,
        ..KnownToken::new(platform, token)
    };
    vec![
        refresh(Platform::GoogleAds, DEV_GOOGLE_REFRESH_TOKEN),
        KnownToken::new(Platform::LinkedIn, DEV_LINKEDIN_TOKEN),
        refresh(Platform::LinkedIn, DEV_LINKEDIN_REFRESH_TOKEN),
        KnownToken::new(Platform::TikTok, DEV_TIKTOK_TOKEN),
        KnownToken {
            secret: Some(DEV_X_TOKEN_SECRET.to_owned()),
            ..KnownToken::new(Platform::X, DEV_X_TOKEN)
        },
    ]
}

/// What the stand-in for Meta knows; the default has the development values.
#[derive(Clone)]
pub struct MetaConfig {
    /// The app that all tokens belong to.
    pub app_id: String,
    /// The key of every `appsecret_proof`.
    pub app_secret: String,
    /// Whether calls without `appsecret_proof` are refused ("Require App Secret"). A wrong one
    /// always is.
    pub require_proof: bool,
    /// Every token known, and its state.
    pub tokens: BTreeMap<String, TokenState>,
    /// The datasets that events may be sent to.
    pub datasets: BTreeSet<String>,
}

impl Default for MetaConfig {
    fn default() -> Self {
        Self {
            app_id: DEV_META_APP_ID.to_owned(),
            app_secret: DEV_META_APP_SECRET.to_owned(),
            require_proof: true,
            tokens: BTreeMap::from([(DEV_META_TOKEN.to_owned(), TokenState::Valid)]),
            datasets: BTreeSet::from([DEV_META_DATASET.to_owned()]),
        }
    }
}

impl MetaConfig {
    /// The app's own token, as `debug_token` wants it.
    pub(crate) fn app_token(&self) -> String {
        format!("{}|{}", self.app_id, self.app_secret)
    }
}
