//! Where grants, codes and tokens are kept: bounded, the oldest go first.

use std::collections::{BTreeMap, HashMap, VecDeque};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};

use super::{
    code::{Code, Consent, ConsentRule, Denied},
    token::{Grant, GrantId, Holder, Issue, Issued, KnownToken, Refused, TokenRole, TokenState},
};
use crate::world::{Key, Platform};

/// Most tokens, grants and codes kept, of each.
const MOST_KEPT: usize = 100_000;
/// The person who is asked where the control names nobody.
const SOMEBODY: &str = "10000000000000001";

#[derive(Default)]
pub(super) struct Store {
    grants: BTreeMap<GrantId, Entry>,
    next_grant: u64,
    codes: HashMap<(Platform, String), Code>,
    tokens: HashMap<(Platform, String), Token>,
    /// The tokens in the order in which they came.
    order: VecDeque<(Platform, String)>,
    rules: HashMap<Platform, ConsentRule>,
}

struct Entry {
    grant: Grant,
    is_revoked: bool,
}

struct Token {
    grant: GrantId,
    role: TokenRole,
    state: TokenState,
    secret: Option<String>,
    page: Option<Key>,
    issued_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
}

impl Store {
    pub(super) fn consent(
        &mut self,
        platform: Platform,
        consent: Consent,
        now: DateTime<Utc>,
    ) -> Result<String, Denied> {
        let rule = self.rules.get(&platform).cloned().unwrap_or_default();
        if rule.deny {
            return Err(Denied);
        }
        self.codes.retain(|_, code| now < code.ends_at);
        if self.codes.len() >= MOST_KEPT {
            self.codes.clear();
        }
        let mut scopes = consent.scopes;
        scopes.retain(|scope| !rule.without_scopes.contains(scope));
        let code = random("code", 24);
        let grant = Grant {
            platform,
            user: rule.user.unwrap_or_else(|| SOMEBODY.to_owned()),
            scopes: Some(scopes),
            accounts: rule.accounts,
            since: now,
        };
        self.codes.insert(
            (platform, code.clone()),
            Code {
                grant,
                redirect_uri: consent.redirect_uri,
                challenge: consent.challenge,
                ends_at: now + consent.lasts,
            },
        );
        Ok(code)
    }

    pub(super) fn take_code(&mut self, platform: Platform, code: &str) -> Option<Code> {
        self.codes.remove(&(platform, code.to_owned()))
    }

    pub(super) fn open(&mut self, grant: Grant) -> GrantId {
        let id = GrantId(self.next_grant);
        self.next_grant += 1;
        if self.grants.len() >= MOST_KEPT {
            self.grants.pop_first();
        }
        let entry = Entry {
            grant,
            is_revoked: false,
        };
        self.grants.insert(id, entry);
        id
    }

    pub(super) fn issue(&mut self, grant: GrantId, issue: Issue, now: DateTime<Utc>) -> Issued {
        let text = issue.text.unwrap_or_else(|| random(issue.prefix, 48));
        let secret = issue.has_secret.then(|| random("", 30));
        let Some(entry) = self.grants.get(&grant) else {
            // A grant that has been forgotten has no tokens that work.
            return Issued {
                token: text,
                secret,
            };
        };
        let platform = entry.grant.platform;
        let token = Token {
            grant,
            role: issue.role,
            state: TokenState::Valid,
            secret: secret.clone(),
            page: issue.page,
            issued_at: now,
            expires_at: issue.lasts.map(|lasts| now + lasts),
        };
        self.keep((platform, text.clone()), token);
        Issued {
            token: text,
            secret,
        }
    }

    pub(super) fn know(&mut self, known: KnownToken, now: DateTime<Utc>) {
        let grant = self.open(Grant {
            platform: known.platform,
            user: SOMEBODY.to_owned(),
            scopes: known.scopes,
            accounts: known.accounts,
            since: now,
        });
        let token = Token {
            grant,
            role: known.role,
            state: known.state,
            secret: known.secret,
            page: None,
            issued_at: now,
            expires_at: known
                .expires_in_s
                .map(|seconds| now + TimeDelta::seconds(i64::from(seconds))),
        };
        self.keep((known.platform, known.token), token);
    }

    pub(super) fn look_up(
        &self,
        platform: Platform,
        token: &str,
        now: DateTime<Utc>,
    ) -> Result<Holder, Refused> {
        let token = self
            .tokens
            .get(&(platform, token.to_owned()))
            .ok_or(Refused::Unknown)?;
        let entry = self.grants.get(&token.grant).ok_or(Refused::Unknown)?;
        let holder = Holder {
            grant_id: token.grant,
            grant: entry.grant.clone(),
            role: token.role,
            secret: token.secret.clone(),
            page: token.page,
            issued_at: token.issued_at,
            expires_at: token.expires_at,
        };
        let is_over = token.expires_at.is_some_and(|end| end <= now);
        let state = match token.state {
            TokenState::Valid if entry.is_revoked => TokenState::Revoked,
            TokenState::Valid if is_over => TokenState::Expired,
            state => state,
        };
        match state {
            TokenState::Valid => Ok(holder),
            spent => Err(Refused::Spent(spent, Box::new(holder))),
        }
    }

    pub(super) fn spend(&mut self, platform: Platform, token: &str, state: TokenState) {
        if let Some(token) = self.tokens.get_mut(&(platform, token.to_owned())) {
            token.state = state;
        }
    }

    pub(super) fn spend_all(&mut self, platform: Platform, state: TokenState) {
        for ((of, _), token) in &mut self.tokens {
            if *of == platform {
                token.state = state;
            }
        }
    }

    pub(super) fn revoke(&mut self, grant: GrantId) {
        if let Some(entry) = self.grants.get_mut(&grant) {
            entry.is_revoked = true;
        }
    }

    pub(super) fn withdraw(&mut self, grant: GrantId, scope: &str) {
        if let Some(entry) = self.grants.get_mut(&grant)
            && let Some(scopes) = &mut entry.grant.scopes
        {
            scopes.retain(|granted| granted != scope);
        }
    }

    pub(super) fn rule(&mut self, platform: Platform, rule: ConsentRule) {
        self.rules.insert(platform, rule);
    }

    fn keep(&mut self, name: (Platform, String), token: Token) {
        if self.tokens.insert(name.clone(), token).is_none() {
            self.order.push_back(name);
        }
        if self.tokens.len() > MOST_KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.tokens.remove(&oldest);
        }
    }
}

fn random(prefix: &str, bytes: usize) -> String {
    let bytes: Vec<u8> = (0..bytes).map(|_| rand::random()).collect();
    format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes))
}
