//! Consents: what people say when an app asks them for access, and the codes they come back with.

use std::collections::BTreeSet;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};

use super::token::Grant;

/// A question that is put to a person.
#[derive(Debug, Clone)]
pub(crate) struct Consent {
    /// Where they are sent back to; a code is good for exactly this.
    pub(crate) redirect_uri: String,
    pub(crate) scopes: Vec<String>,
    /// SHA-256 of the PKCE verifier, base64url; `None` where the app sent none.
    pub(crate) challenge: Option<String>,
    /// How long the code is good for.
    pub(crate) lasts: TimeDelta,
}

/// What people say to it.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConsentRule {
    /// They say no.
    pub(crate) deny: bool,
    /// Who says it; the platform's id.
    pub(crate) user: Option<String>,
    /// The ids of the ad accounts that they give access to; `None`: all.
    pub(crate) accounts: Option<BTreeSet<String>>,
    /// What they leave out of what they were asked for.
    pub(crate) without_scopes: BTreeSet<String>,
}

/// The person said no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Denied;

/// Why a code is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CodeError {
    /// There is none, or it was used.
    Unknown,
    Expired,
    /// It was given for another address.
    WrongRedirect,
    /// The PKCE verifier is missing or does not fit.
    WrongVerifier,
}

/// What shows that whoever brings a code is who asked for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CodeProof<'c> {
    pub(crate) redirect_uri: &'c str,
    /// The PKCE verifier.
    pub(crate) verifier: Option<&'c str>,
}

/// A code and what it stands for.
#[derive(Debug)]
pub(super) struct Code {
    pub(super) grant: Grant,
    pub(super) redirect_uri: String,
    pub(super) challenge: Option<String>,
    pub(super) ends_at: DateTime<Utc>,
}

impl Code {
    pub(super) fn check(&self, proof: CodeProof<'_>, now: DateTime<Utc>) -> Result<(), CodeError> {
        if now >= self.ends_at {
            return Err(CodeError::Expired);
        }
        if proof.redirect_uri != self.redirect_uri {
            return Err(CodeError::WrongRedirect);
        }
        let fits = match (&self.challenge, proof.verifier) {
            (None, _) => true,
            (Some(challenge), Some(verifier)) => {
                *challenge == URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
            }
            (Some(_), None) => false,
        };
        if fits {
            Ok(())
        } else {
            Err(CodeError::WrongVerifier)
        }
    }
}
