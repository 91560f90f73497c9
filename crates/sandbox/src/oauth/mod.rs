//! Who may call: people's consents, the codes they come back with, and the tokens that follow, of
//! all platforms. Servers say it in their own words; what holds stands here. Everything ends by the
//! world's clock.

mod code;
mod store;
mod token;

use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};

use crate::world::Platform;
use store::Store;

pub use token::{KnownToken, TokenRole, TokenState};

pub(crate) use code::{CodeError, CodeProof, Consent, ConsentRule, Denied};
pub(crate) use token::{Grant, GrantId, Holder, Issue, Issued, Refused};

/// The consents and tokens of one sandbox.
#[derive(Default)]
pub(crate) struct OAuth {
    store: Mutex<Store>,
}

impl OAuth {
    /// A person is asked for access and says what the control told them to, yes by default.
    ///
    /// # Errors
    /// [`Denied`] when they say no.
    pub(crate) fn consent(
        &self,
        platform: Platform,
        consent: Consent,
        now: DateTime<Utc>,
    ) -> Result<String, Denied> {
        self.store().consent(platform, consent, now)
    }

    /// Takes a code for the grant that it stands for, once.
    ///
    /// # Errors
    /// [`CodeError`]; a code is spent by a wrong use too.
    pub(crate) fn redeem(
        &self,
        platform: Platform,
        code: &str,
        proof: CodeProof<'_>,
        now: DateTime<Utc>,
    ) -> Result<GrantId, CodeError> {
        let redeemed = self.store().take_code(platform, code);
        let code = redeemed.ok_or(CodeError::Unknown)?;
        code.check(proof, now)?;
        Ok(self.store().open(code.grant))
    }

    /// Hands out a token of a grant.
    pub(crate) fn issue(&self, grant: GrantId, issue: Issue, now: DateTime<Utc>) -> Issued {
        self.store().issue(grant, issue, now)
    }

    /// Opens a grant without anybody's consent: for tokens that stand for an app or for a step of a
    /// dance.
    pub(crate) fn open(&self, grant: Grant) -> GrantId {
        self.store().open(grant)
    }

    /// Whom a token belongs to.
    ///
    /// # Errors
    /// [`Refused`] for one that does not work.
    pub(crate) fn look_up(
        &self,
        platform: Platform,
        token: &str,
        now: DateTime<Utc>,
    ) -> Result<Holder, Refused> {
        self.store().look_up(platform, token, now)
    }

    /// Puts a token into a state: a refresh token that may be used once is [`TokenState::Revoked`]
    /// after that.
    pub(crate) fn spend(&self, platform: Platform, token: &str, state: TokenState) {
        self.store().spend(platform, token, state);
    }

    /// Takes a grant back, with all of its tokens.
    pub(crate) fn revoke(&self, grant: GrantId) {
        self.store().revoke(grant);
    }

    /// Takes scopes out of a grant.
    pub(crate) fn withdraw(&self, grant: GrantId, scope: &str) {
        self.store().withdraw(grant, scope);
    }

    /// Makes a token known that nobody asked for. It belongs to a grant of its own.
    pub(crate) fn know(&self, known: KnownToken, now: DateTime<Utc>) {
        self.store().know(known, now);
    }

    /// Puts every token of a platform into a state.
    pub(crate) fn spend_all(&self, platform: Platform, state: TokenState) {
        self.store().spend_all(platform, state);
    }

    /// What people say from now on when they are asked for access to a platform.
    pub(crate) fn rule(&self, platform: Platform, rule: ConsentRule) {
        self.store().rule(platform, rule);
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        *self.store() = Store::default();
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
