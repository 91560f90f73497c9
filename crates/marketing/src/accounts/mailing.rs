//! Who wants which mails: what owners prefer stands with their grants, and anybody who gets a mail may end its sort by a click.
//! The address of that click says who clicks, sealed: nobody can make one up, and nobody can read one.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use queue::{Actor, Deed, Queue, SealedPlace};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use sqlx::Connection as _;
use uuid::Uuid;

use super::{Accounts, AccountsError, NotificationChange, shown_tenant, stored_tenant};
use crate::{
    email::Topic,
    store::{Session, mail_optouts, within_deadline},
};

/// What tokens are sealed for: they lie in no row.
const PLACE: (&str, &str) = ("mail", "unsubscribe");
/// Longest address that fits into a line of a mail's head.
const LONGEST_URL: usize = 900;
/// Longest token that is looked at.
const LONGEST_TOKEN: usize = 1_024;
/// What is audited.
const DEED: &str = "mail.unsubscribe";

/// What a token says: whose mails of which sort.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed<'a> {
    /// The tenant; empty: none.
    #[serde(borrow)]
    t: Cow<'a, str>,
    /// The hash of the address, in hexadecimal digits.
    a: String,
    /// The topic.
    #[serde(borrow)]
    s: Cow<'a, str>,
}

/// Somebody's mails of a sort.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    tenant: String,
    address: Vec<u8>,
    /// The sort.
    pub topic: Topic,
}

impl Accounts {
    /// Where whoever has this address ends mails of this topic; `None` where nothing can be sealed, the outside does not
    /// reach us, or the tenant's name is too long for a mail's head.
    #[must_use]
    pub fn unsubscribe_url(
        &self,
        tenant: Option<&str>,
        address: &str,
        topic: Topic,
    ) -> Option<String> {
        let public_url = self.public_url().ok()?;
        let cipher = self.vault().cipher().ok()?;
        let sealed = Sealed {
            t: Cow::from(stored_tenant(tenant)),
            a: hex::encode(hashed(address)),
            s: Cow::from(topic.as_str()),
        };
        let plain = serde_json::to_vec(&sealed).ok()?;
        // Alike on every attempt: a vendor that knows a mail by its key refuses another one under the same key.
        let token = URL_SAFE_NO_PAD.encode(cipher.seal_alike(&plain, &place()));
        let url = format!("{public_url}/unsubscribe/{token}");
        Some(url).filter(|url| url.len() <= LONGEST_URL)
    }

    /// What a token ends.
    ///
    /// # Errors
    /// [`AccountsError::NotFound`] for one that we did not make, or whose key is gone; [`AccountsError::NoKeys`].
    pub fn subscription(&self, token: &str) -> Result<Subscription, AccountsError> {
        let cipher = self.vault().cipher()?;
        let sealed = Some(token).filter(|token| token.len() <= LONGEST_TOKEN);
        let sealed = sealed.and_then(|token| URL_SAFE_NO_PAD.decode(token).ok());
        let plain = sealed.and_then(|sealed| cipher.open(&sealed, &place()).ok());
        let plain = plain.ok_or(AccountsError::NotFound)?;
        read(&plain).ok_or(AccountsError::NotFound)
    }

    /// Ends somebody's mails of a sort. An owner's preferences say the same from then on. Done twice, it is done.
    ///
    /// # Errors
    /// When the database did not take part.
    pub async fn unsubscribe(&self, subscription: &Subscription) -> Result<(), AccountsError> {
        let Subscription {
            tenant,
            address,
            topic,
        } = subscription;
        let topic = topic.as_str();
        let actor = Actor {
            name: "recipient of a mail".to_owned(),
            tenant: shown_tenant(tenant.clone()),
        };
        let db = self.db();
        let done = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let mut tx = session.connection().begin().await?;
            let is_new = mail_optouts::opt_out(&mut *tx, tenant, address, topic).await?;
            let grants = mail_optouts::turn_off(&mut *tx, tenant, address, topic).await?;
            if is_new {
                let deed = Deed {
                    action: DEED,
                    target: None,
                    reason: None,
                    count: 1,
                    detail: json!({ "topic": topic, "grants": grants }),
                };
                Queue::note_in(&mut tx, deed, &actor).await?;
            }
            tx.commit().await?;
            session.done();
            Ok(is_new)
        });
        if done.await? {
            Queue::count_deed(DEED);
        }
        Ok(())
    }

    /// Whether whoever has this address still wants mails of this topic.
    ///
    /// # Errors
    /// When the database did not take part.
    pub async fn wants(
        &self,
        tenant: Option<&str>,
        address: &str,
        topic: Topic,
    ) -> Result<bool, AccountsError> {
        let (tenant, address) = (stored_tenant(tenant), hashed(address));
        let db = self.db();
        let is_out = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let conn = session.connection();
            let is_out = mail_optouts::is_out(conn, tenant, &address, topic.as_str()).await?;
            session.done();
            Ok(is_out)
        });
        Ok(!is_out.await?)
    }
}

/// The topics that a change of preferences turns on.
pub(super) fn turned_on(change: NotificationChange) -> Vec<String> {
    let NotificationChange {
        token_expiry,
        sync_errors,
        alerts,
        digest,
    } = change;
    let said = [
        (Topic::TokenExpiry, token_expiry),
        (Topic::SyncErrors, sync_errors),
        (Topic::Alerts, alerts),
        (Topic::Digest, digest),
    ];
    let on = said.into_iter().filter(|(_, said)| *said == Some(true));
    on.map(|(topic, _)| topic.as_str().to_owned()).collect()
}

/// An address as it is remembered: case is no difference.
fn hashed(address: &str) -> Vec<u8> {
    Sha256::digest(address.trim().to_ascii_lowercase()).to_vec()
}

fn place() -> SealedPlace {
    SealedPlace::new(PLACE.0, Uuid::nil(), PLACE.1)
}

fn read(plain: &[u8]) -> Option<Subscription> {
    let sealed: Sealed<'_> = serde_json::from_slice(plain).ok()?;
    Some(Subscription {
        tenant: sealed.t.into_owned(),
        address: hex::decode(sealed.a).ok()?,
        topic: sealed.s.parse().ok()?,
    })
}
