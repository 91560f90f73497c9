//! Tokens on their way into the database and out of it: what lies there is sealed for its own row and column.

use std::sync::Arc;

use providers::platform::Grant;
use queue::{Cipher, CipherError, SealedPlace};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::{AccountsError, Unopened};
use crate::store::connections::SealedTokens;

/// The tables and columns that hold secrets.
const CONNECTIONS: &str = "marketing.connections";
const OAUTH_STATES: &str = "marketing.oauth_states";
const ACCESS_TOKEN: &str = "access_token";
const REFRESH_TOKEN: &str = "refresh_token";
const TOKEN_SECRET: &str = "token_secret";
const VERIFIER: &str = "verifier";

/// Seals and opens the secrets of this crate. No `Debug`: it holds the keys.
#[derive(Clone)]
pub(super) struct Vault(Option<Arc<Cipher>>);

impl Vault {
    pub(super) fn new(cipher: Option<Arc<Cipher>>) -> Self {
        Self(cipher)
    }

    /// The cipher.
    ///
    /// # Errors
    /// [`AccountsError::NoKeys`].
    pub(super) fn cipher(&self) -> Result<&Cipher, AccountsError> {
        self.0.as_deref().ok_or(AccountsError::NoKeys)
    }

    /// Opens the tokens of a grant.
    ///
    /// # Errors
    /// [`AccountsError::Disconnected`] where there are none, [`AccountsError::Sealed`] where one does not open.
    pub(super) fn open_tokens(
        &self,
        connection: Uuid,
        tokens: &SealedTokens,
    ) -> Result<Grant, AccountsError> {
        let cipher = self.cipher()?;
        let open =
            |sealed: &Option<Vec<u8>>, column| -> Result<Option<SecretString>, AccountsError> {
                let place = SealedPlace::new(CONNECTIONS, connection, column);
                let sealed = sealed.as_deref();
                sealed
                    .map(|sealed| text(cipher, sealed, &place))
                    .transpose()
            };
        let access_token = open(&tokens.access_token, ACCESS_TOKEN)?;
        Ok(Grant {
            access_token: access_token.ok_or(AccountsError::Disconnected)?,
            token_secret: open(&tokens.token_secret, TOKEN_SECRET)?,
            refresh_token: open(&tokens.refresh_token, REFRESH_TOKEN)?,
        })
    }

    pub(super) fn open_verifier(
        &self,
        state: Uuid,
        sealed: &[u8],
    ) -> Result<SecretString, AccountsError> {
        text(self.cipher()?, sealed, &place_of_verifier(state))
    }
}

/// Seals the tokens of a grant.
pub(super) fn seal_tokens(cipher: &Cipher, connection: Uuid, grant: &Grant) -> SealedTokens {
    let seal = |secret: &SecretString, column: &'static str| {
        let place = SealedPlace::new(CONNECTIONS, connection, column);
        cipher.seal(secret.expose_secret().as_bytes(), &place)
    };
    let refresh_token = grant.refresh_token.as_ref();
    let token_secret = grant.token_secret.as_ref();
    SealedTokens {
        access_token: Some(seal(&grant.access_token, ACCESS_TOKEN)),
        refresh_token: refresh_token.map(|secret| seal(secret, REFRESH_TOKEN)),
        token_secret: token_secret.map(|secret| seal(secret, TOKEN_SECRET)),
    }
}

/// Seals a PKCE verifier.
pub(super) fn seal_verifier(cipher: &Cipher, state: Uuid, verifier: &SecretString) -> Vec<u8> {
    let place = place_of_verifier(state);
    cipher.seal(verifier.expose_secret().as_bytes(), &place)
}

/// The sealed values of a grant, each with its place.
pub(super) fn places_of_tokens(
    connection: Uuid,
    tokens: &SealedTokens,
) -> impl Iterator<Item = (SealedPlace, &[u8])> {
    let columns = [
        (ACCESS_TOKEN, &tokens.access_token),
        (REFRESH_TOKEN, &tokens.refresh_token),
        (TOKEN_SECRET, &tokens.token_secret),
    ];
    columns.into_iter().filter_map(move |(column, sealed)| {
        let place = SealedPlace::new(CONNECTIONS, connection, column);
        Some((place, sealed.as_deref()?))
    })
}

/// Where the verifier of a state lies.
pub(super) fn place_of_verifier(state: Uuid) -> SealedPlace {
    SealedPlace::new(OAUTH_STATES, state, VERIFIER)
}

/// A value, sealed anew under the newest key for the place where it lies.
pub(super) fn reseal(
    cipher: &Cipher,
    sealed: &[u8],
    place: &SealedPlace,
) -> Result<Vec<u8>, Unopened> {
    match cipher.open(sealed, place) {
        Ok(plain) => Ok(cipher.seal(&plain, place)),
        Err(error) => Err(Unopened::new(sealed, place, &error)),
    }
}

/// The tokens of a grant, sealed anew.
pub(super) fn reseal_tokens(
    cipher: &Cipher,
    connection: Uuid,
    old: &SealedTokens,
) -> Result<SealedTokens, Unopened> {
    let anew = |sealed: &Option<Vec<u8>>, column: &'static str| {
        let place = SealedPlace::new(CONNECTIONS, connection, column);
        let sealed = sealed.as_deref();
        sealed
            .map(|sealed| reseal(cipher, sealed, &place))
            .transpose()
    };
    Ok(SealedTokens {
        access_token: anew(&old.access_token, ACCESS_TOKEN)?,
        refresh_token: anew(&old.refresh_token, REFRESH_TOKEN)?,
        token_secret: anew(&old.token_secret, TOKEN_SECRET)?,
    })
}

fn text(
    cipher: &Cipher,
    sealed: &[u8],
    place: &SealedPlace,
) -> Result<SecretString, AccountsError> {
    let plain = cipher
        .open(sealed, place)
        .map_err(|source| unopened(place, source))?;
    match std::str::from_utf8(&plain) {
        Ok(text) => Ok(SecretString::from(text)),
        Err(_) => Err(unopened(place, CipherError::NotSealed)),
    }
}

fn unopened(place: &SealedPlace, source: CipherError) -> AccountsError {
    AccountsError::Sealed {
        place: place.as_str().to_owned(),
        source,
    }
}
