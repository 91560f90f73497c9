//! Who calls: the token, the proof that the caller has the app's secret, and what was granted.

use axum::http::Method;
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::{
    Context,
    call::Call,
    error::{GraphError, spent},
};
use crate::{
    oauth::{Holder, Refused},
    world::{Key, Platform},
};

/// How long after a person's consent their data may be read.
const DATA_ACCESS: TimeDelta = TimeDelta::days(90);

/// Whose call it is.
pub(super) enum Caller {
    /// The app's own.
    App,
    /// Of whoever the token belongs to.
    Holder(Box<Holder>),
}

impl Caller {
    /// The token's owner.
    ///
    /// # Errors
    /// 2500 for the app's own token.
    pub(super) fn holder(&self) -> Result<&Holder, GraphError> {
        match self {
            Self::App => Err(GraphError::no_user()),
            Self::Holder(holder) => Ok(holder.as_ref()),
        }
    }

    /// Lets a call about people's data pass.
    ///
    /// # Errors
    /// 2500 for the app's own token, 10 when the person was not seen for too long, 200 when nothing
    /// of this was granted.
    pub(super) fn require(&self, scopes: &[&str], now: DateTime<Utc>) -> Result<(), GraphError> {
        let holder = self.holder()?;
        if data_access_ends(holder).is_some_and(|end| end <= now) {
            return Err(GraphError::data_access_over());
        }
        if scopes.iter().any(|scope| holder.grant.allows(scope)) {
            return Ok(());
        }
        let scope = scopes.first().copied().unwrap_or_default();
        Err(GraphError::not_allowed(scope))
    }

    /// The same for an ad account.
    ///
    /// # Errors
    /// Those of [`Self::require`], and 200 for an account that is not the token's.
    pub(super) fn require_account(
        &self,
        ctx: &Context<'_>,
        account: Key,
    ) -> Result<(), GraphError> {
        self.require(&["ads_read", "ads_management"], ctx.now)?;
        let id = ctx.shared.world.id(account.its_account());
        if self.holder()?.grant.reaches(&id) {
            Ok(())
        } else {
            Err(GraphError::not_allowed("ads_read"))
        }
    }

    /// The same for a page's own figures.
    ///
    /// # Errors
    /// 190 without the page's token, and those of [`Self::require`].
    pub(super) fn require_page(&self, page: Key, now: DateTime<Utc>) -> Result<(), GraphError> {
        if self.holder()?.page != Some(page) {
            return Err(GraphError::no_page_token());
        }
        self.require(&["read_insights", "pages_read_engagement"], now)
    }
}

/// When a person's data may be read no longer, though the token works. `None`: never, as for system
/// users.
pub(super) fn data_access_ends(holder: &Holder) -> Option<DateTime<Utc>> {
    let is_of_a_person = holder.grant.scopes.is_some();
    is_of_a_person.then(|| holder.grant.since + DATA_ACCESS)
}

/// Lets a call pass whose token works and whose proof fits.
///
/// # Errors
/// 104 without a token, 190 for one that does not work, 100 for a proof that is missing or wrong.
pub(super) fn check(call: &Call, ctx: &Context<'_>) -> Result<Caller, GraphError> {
    let config = ctx.config;
    let token = call.token().ok_or_else(GraphError::no_token)?;
    if token == config.app_token() {
        return Ok(Caller::App);
    }
    let holder = look_up(ctx, token)?;
    match call.text("appsecret_proof") {
        Some(proof) if is_proof(proof, token, &config.app_secret) => {}
        Some(_) => return Err(GraphError::wrong_proof()),
        None if config.require_proof => return Err(GraphError::no_proof()),
        None => {}
    }
    Ok(Caller::Holder(Box::new(holder)))
}

/// Whom a token belongs to.
///
/// # Errors
/// 190 for one that does not work.
pub(super) fn look_up(ctx: &Context<'_>, token: &str) -> Result<Holder, GraphError> {
    match ctx.shared.oauth.look_up(Platform::Meta, token, ctx.now) {
        Ok(holder) => Ok(holder),
        Err(Refused::Unknown) => Err(GraphError::unknown_token()),
        Err(Refused::Spent(state, _)) => {
            Err(spent(state).map_or_else(GraphError::unknown_token, GraphError::spent_token))
        }
    }
}

/// A thing of the world that a path names: `act_` before the id of an account, nothing before all
/// others.
///
/// # Errors
/// 100/33 for what is not there.
pub(super) fn find(ctx: &Context<'_>, method: &Method, id: &str) -> Result<Key, GraphError> {
    let world = &ctx.shared.world;
    let found = match id.strip_prefix("act_") {
        Some(account) => world
            .account(Platform::Meta, account)
            .map(|account| account.key),
        None => world
            .find(Platform::Meta, id)
            .filter(|key| *key != key.its_account()),
    };
    found.ok_or_else(|| GraphError::no_such_object(method, id))
}

fn is_proof(proof: &str, token: &str, app_secret: &str) -> bool {
    let mut mac = Hmac::<Sha256>::new_from_slice(app_secret.as_bytes())
        .expect("HMAC takes a key of any length");
    mac.update(token.as_bytes());
    // Meta sends and takes lower-case hex only.
    !proof.bytes().any(|byte| byte.is_ascii_uppercase())
        && hex::decode(proof).is_ok_and(|proof| mac.verify_slice(&proof).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    // Made with Meta's Python SDK 26.0.3.
    const TOKEN: &str = "EAAfakeTokenNotReal000000000000000000000001";
    const SECRET: &str = "fake0app0secret0not0real00000001";
    const PROOF: &str = "f2575b7593760f3e1c9aa4e391458d171740f9ded56a6647713d488f46e86962";

    #[test]
    fn a_proof_made_by_metas_own_sdk_fits() {
        assert!(is_proof(PROOF, TOKEN, SECRET));
    }

    #[test]
    fn a_proof_fits_one_token_and_one_secret() {
        assert!(!is_proof(PROOF, "another token", SECRET));
        assert!(!is_proof(PROOF, TOKEN, "another secret"));
        assert!(!is_proof(&PROOF.to_uppercase(), TOKEN, SECRET));
        assert!(!is_proof("", TOKEN, SECRET));
        assert!(!is_proof("no hex", TOKEN, SECRET));
    }
}
