//! Connected accounts: the grants by which they are reached, their secrets, how they stand, and what follows from that for
//! their jobs. Provider calls go through [`Platforms`]; no lock and no transaction is held while one is under way.

mod connect;
mod disconnect;
mod discover;
mod endings;
mod error;
mod freshness;
mod gauges;
mod keys;
mod mailing;
mod oauth;
pub mod orders;
mod people;
mod refresh;
mod show;
mod signed_request;
mod status;
#[cfg(test)]
mod tests;
mod token;
mod vault;
mod view;
mod words;

use std::sync::Arc;

use providers::{
    platform::{AdPlatform, Door, OpenDoor, Platform},
    webhook::OutboundPolicy,
};
use queue::{Cipher, Queue};
use secrecy::SecretString;
use sqlx::PgPool;
use url::Url;

pub use connect::{Connected, NewGrant};
pub use disconnect::{Disconnected, Extent};
pub use endings::{End, EndOf, EndingGrant, Owner, SpentGrant, UnlistedGrant};
pub use error::AccountsError;
pub use freshness::{ListedAccount, StoredAsOf};
pub use gauges::AccountGauges;
pub use keys::{KeyUse, Rotated, Unopened, Verified, WrongKey};
pub use mailing::Subscription;
pub use oauth::{OauthAnswer, OauthAsk, OauthReturn, OauthStarted, ReturnTo, ReturnToError};
pub use people::DeletionReceipt;
pub use refresh::Refreshed;
pub use token::{HeldToken, SeenTokens};
pub use view::{
    Account, AccountChange, AccountFilter, FoundAccount, NotificationChange, Notifications,
    StatusChange, TokenClocks,
};
pub use words::{AccountKind, AccountOrder, AccountStatus};

pub use crate::ids::{AccountId, ConnectionId};
use crate::{
    platforms::Platforms,
    tenant::{shown_tenant, stored_tenant},
    words::stored_word,
};
use vault::Vault;

/// What this process is set up with beside its keys and clients. No `Debug`: it holds a secret.
#[derive(Clone, Default)]
pub struct AccountsSettings {
    /// Where the outside reaches the API, without a slash at its end; `None`: nobody can connect by a browser.
    pub public_url: Option<Url>,
    /// Where people may be sent back to once they have connected.
    pub return_to: ReturnTo,
    /// Meta's app secret: its callbacks are signed with it.
    pub meta_app_secret: Option<SecretString>,
    /// The app secret before that, while Meta may still sign with it.
    pub meta_app_secret_before: Option<SecretString>,
    /// What Meta shows when it asks whether its events may be sent here; `None`: they may not.
    pub meta_verify_token: Option<SecretString>,
    /// Where customers' endpoints may be.
    pub outbound: OutboundPolicy,
}

/// Connected accounts; cheap to clone, one a process. No `Debug`: it holds keys.
#[derive(Clone)]
pub struct Accounts(Arc<Inner>);

struct Inner {
    queue: Queue,
    vault: Vault,
    platforms: Platforms,
    door: Arc<dyn Door>,
    settings: AccountsSettings,
}

impl Accounts {
    /// Without a cipher nothing can be connected and no token used. The door lets out what people ask for; jobs bring
    /// their own.
    #[must_use]
    pub fn new(
        queue: Queue,
        cipher: Option<Arc<Cipher>>,
        (platforms, door): (Platforms, Arc<dyn Door>),
        settings: AccountsSettings,
    ) -> Self {
        Self(Arc::new(Inner {
            queue,
            vault: Vault::new(cipher),
            platforms,
            door,
            settings,
        }))
    }

    /// Those of a process that has neither keys nor clients: they can be looked at, and that is all.
    #[must_use]
    pub fn only_to_look_at(queue: Queue) -> Self {
        let parts: (Platforms, Arc<dyn Door>) = (Platforms::default(), Arc::new(OpenDoor));
        Self::new(queue, None, parts, AccountsSettings::default())
    }

    /// The clients of the platforms.
    #[must_use]
    pub fn platforms(&self) -> &Platforms {
        &self.0.platforms
    }

    pub(crate) fn queue(&self) -> &Queue {
        &self.0.queue
    }

    pub(crate) fn db(&self) -> PgPool {
        self.0.queue.database().pool()
    }

    fn vault(&self) -> &Vault {
        &self.0.vault
    }

    pub(crate) fn settings(&self) -> &AccountsSettings {
        &self.0.settings
    }

    /// The keys.
    ///
    /// # Errors
    /// [`AccountsError::NoKeys`].
    pub(crate) fn cipher(&self) -> Result<&Cipher, AccountsError> {
        self.vault().cipher()
    }

    fn door(&self) -> &dyn Door {
        &*self.0.door
    }

    fn client(&self, platform: Platform) -> Result<&dyn AdPlatform, AccountsError> {
        let client = self.0.platforms.of(platform);
        client
            .map(|client| &**client)
            .ok_or(AccountsError::NoPlatform(platform))
    }
}
