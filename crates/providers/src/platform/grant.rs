//! Grants: what a person gave us access with, and what becomes of it over time. Nothing here has `Debug`: it holds secrets.

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use url::Url;

/// A person is to be asked for access.
pub struct AuthorizeRequest {
    /// Where the platform sends the person back, exactly as it is registered there.
    pub redirect_uri: Url,
    /// What comes back unchanged and proves that we asked.
    pub state: String,
    /// SHA-256 of the PKCE verifier, base64url without padding; platforms without PKCE ignore it.
    pub code_challenge: String,
}

/// Where the person goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    /// The platform's page.
    pub url: Url,
}

/// A token that a person is sent away with where a platform has OAuth 1.0a.
pub struct RequestToken {
    /// The platform's page.
    pub url: Url,
    /// What comes back unchanged and proves that we asked.
    pub token: SecretString,
    /// Its second half, which stays here.
    pub secret: SecretString,
}

/// What a person came back with who was sent away with a [`RequestToken`].
pub struct VerifierExchange {
    /// The token.
    pub request_token: SecretString,
    /// Its second half.
    pub request_secret: SecretString,
    /// What the platform gave the person.
    pub verifier: SecretString,
}

/// What a person came back with.
pub struct CodeExchange {
    /// The code; single use, good for seconds to an hour.
    pub code: SecretString,
    /// Exactly as it was in the request.
    pub redirect_uri: Url,
    /// The PKCE verifier.
    pub code_verifier: SecretString,
}

/// What is held of a person's access.
#[derive(Clone)]
pub struct Grant {
    /// The access token.
    pub access_token: SecretString,
    /// The second half of a token of OAuth 1.0a (X).
    pub token_secret: Option<SecretString>,
    /// What new access tokens are got with.
    pub refresh_token: Option<SecretString>,
}

/// What a platform gave. `None` leaves what is held as it is: an answer without a refresh token does not take the old one
/// away.
#[derive(Clone)]
pub struct Tokens {
    /// The access token.
    pub access_token: SecretString,
    /// The second half of a token of OAuth 1.0a.
    pub token_secret: Option<SecretString>,
    /// A new refresh token.
    pub refresh_token: Option<SecretString>,
    /// When the access token ends; `None`: the platform names no end.
    pub expires_at: Option<DateTime<Utc>>,
    /// When the refresh token ends; `None`: the platform names no end.
    pub refresh_expires_at: Option<DateTime<Utc>>,
    /// What was granted.
    pub scopes: Vec<String>,
    /// The platform's id of whoever gave access.
    pub subject: Option<String>,
}

/// How a grant stands at the platform.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenHealth {
    /// Whether it works now.
    pub is_valid: bool,
    /// When it ends; `None`: never, or the platform does not say.
    pub expires_at: Option<DateTime<Utc>>,
    /// When the right to the data ends although the token lives on (Meta).
    pub data_access_expires_at: Option<DateTime<Utc>>,
    /// What was granted.
    pub scopes: Vec<String>,
    /// Why it does not work, in the platform's words, scrubbed.
    pub reason: Option<String>,
}
