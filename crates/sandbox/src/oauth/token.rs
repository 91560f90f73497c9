//! Grants and their tokens.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

use crate::world::{Key, Platform};

/// Whether a token works, and if not, why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenState {
    /// It works.
    Valid,
    /// Its time is over.
    Expired,
    /// Its user changed the password.
    PasswordChanged,
    /// It was invalidated.
    Invalid,
    /// Its user has taken the app out, or it was used up.
    Revoked,
}

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenRole {
    /// Calls are made with it.
    Access,
    /// The same, but it was given for a short time and can be exchanged for a longer one (Meta).
    Short,
    /// Access tokens are got with it.
    Refresh,
    /// It stands for one page (Meta).
    Page,
    /// The first step of OAuth 1.0a (X).
    Request,
}

/// A token that is known without anybody's consent.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownToken {
    /// Whose; Meta where the control is told nothing else.
    #[serde(default = "meta")]
    pub platform: Platform,
    /// The token.
    pub token: String,
    /// Its second half (OAuth 1.0a of X).
    #[serde(default)]
    pub secret: Option<String>,
    /// What it is for.
    #[serde(default = "access")]
    pub role: TokenRole,
    /// Whether it works.
    #[serde(default = "valid")]
    pub state: TokenState,
    /// Seconds until it ends; `None`: it has no end.
    #[serde(default)]
    pub expires_in_s: Option<u32>,
    /// The ids of the ad accounts that it reaches; `None`: all.
    #[serde(default)]
    pub accounts: Option<BTreeSet<String>>,
    /// What it is good for; `None`: everything.
    #[serde(default)]
    pub scopes: Option<Vec<String>>,
}

impl KnownToken {
    /// An access token without an end that reaches everything.
    #[must_use]
    pub fn new(platform: Platform, token: &str) -> Self {
        Self {
            platform,
            token: token.to_owned(),
            secret: None,
            role: TokenRole::Access,
            state: TokenState::Valid,
            expires_in_s: None,
            accounts: None,
            scopes: None,
        }
    }
}

fn meta() -> Platform {
    Platform::Meta
}

fn access() -> TokenRole {
    TokenRole::Access
}

fn valid() -> TokenState {
    TokenState::Valid
}

/// Which grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct GrantId(pub(super) u64);

/// What a person, or nobody, gave access to.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    pub(crate) platform: Platform,
    /// The platform's id of the person.
    pub(crate) user: String,
    /// What was granted; `None`: everything.
    pub(crate) scopes: Option<Vec<String>>,
    /// The ids of the ad accounts that it reaches; `None`: all.
    pub(crate) accounts: Option<BTreeSet<String>>,
    /// When it was given.
    pub(crate) since: DateTime<Utc>,
}

impl Grant {
    /// Whether it reaches an ad account.
    pub(crate) fn reaches(&self, account_id: &str) -> bool {
        self.accounts
            .as_ref()
            .is_none_or(|accounts| accounts.contains(account_id))
    }

    /// Whether it was given for this.
    pub(crate) fn allows(&self, scope: &str) -> bool {
        self.scopes
            .as_ref()
            .is_none_or(|scopes| scopes.iter().any(|granted| granted == scope))
    }
}

/// A token to hand out.
#[derive(Debug, Clone)]
pub(crate) struct Issue {
    pub(crate) role: TokenRole,
    /// What its text begins with.
    pub(crate) prefix: &'static str,
    /// How long it works; `None`: until it is revoked.
    pub(crate) lasts: Option<TimeDelta>,
    /// Whether it has a second half.
    pub(crate) has_secret: bool,
    /// The page that it stands for.
    pub(crate) page: Option<Key>,
    /// Its text where that is not left to chance: a token of the same text is put in the place of
    /// the one before.
    pub(crate) text: Option<String>,
}

impl Issue {
    /// A token without second half and page, and with a text of chance.
    pub(crate) fn new(role: TokenRole, prefix: &'static str, lasts: Option<TimeDelta>) -> Self {
        Self {
            role,
            prefix,
            lasts,
            has_secret: false,
            page: None,
            text: None,
        }
    }
}

/// A token that was handed out.
#[derive(Debug, Clone)]
pub(crate) struct Issued {
    pub(crate) token: String,
    pub(crate) secret: Option<String>,
}

/// Whom a token that works belongs to.
#[derive(Debug, Clone)]
pub(crate) struct Holder {
    pub(crate) grant_id: GrantId,
    pub(crate) grant: Grant,
    pub(crate) role: TokenRole,
    pub(crate) secret: Option<String>,
    pub(crate) page: Option<Key>,
    pub(crate) issued_at: DateTime<Utc>,
    pub(crate) expires_at: Option<DateTime<Utc>>,
}

/// Why a token does not work.
#[derive(Debug, Clone)]
pub(crate) enum Refused {
    /// It was never handed out.
    Unknown,
    /// It worked once. The state is never [`TokenState::Valid`].
    Spent(TokenState, Box<Holder>),
}
