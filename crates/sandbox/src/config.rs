//! What a sandbox is started with: where it listens, and what its servers know and accept.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use serde::Deserialize;

/// The id of the app that the development token belongs to.
pub const DEV_META_APP_ID: &str = "100000000000000";
/// The access token that a sandbox with default settings accepts; made up.
pub const DEV_META_TOKEN: &str = "fake-dev-meta-access-token";
/// The app secret that signs the development token's `appsecret_proof`; made up.
pub const DEV_META_APP_SECRET: &str = "fake-dev-meta-app-secret";
/// The dataset that a sandbox with default settings knows; made up.
pub const DEV_META_DATASET: &str = "1000000000000001";

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
            smtp_auth: None,
            hook_secrets: BTreeMap::new(),
        }
    }
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

/// Whether an access token works, and if not, which subcode of 190 says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenState {
    /// It works.
    Valid,
    /// 463: its time is over.
    Expired,
    /// 460: its user changed the password.
    PasswordChanged,
    /// 467: it was invalidated.
    Invalid,
}
