//! Who calls: the token, and the proof that the caller has the app's secret.

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::{
    call::Call,
    error::{GraphError, spent},
};
use crate::config::MetaConfig;

/// Lets a call pass whose token works and whose proof fits.
///
/// # Errors
/// 104 without a token, 190 for one that does not work, 100 for a proof that is missing or wrong.
pub(super) fn check(call: &Call, config: &MetaConfig) -> Result<(), GraphError> {
    let token = call.token().ok_or_else(GraphError::no_token)?;
    if token == config.app_token() {
        return Ok(());
    }
    let state = config
        .tokens
        .get(token)
        .ok_or_else(GraphError::unknown_token)?;
    if let Some(spent) = spent(*state) {
        return Err(GraphError::spent_token(spent));
    }
    match call.text("appsecret_proof") {
        Some(proof) if is_proof(proof, token, &config.app_secret) => Ok(()),
        Some(_) => Err(GraphError::wrong_proof()),
        None if config.require_proof => Err(GraphError::no_proof()),
        None => Ok(()),
    }
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
