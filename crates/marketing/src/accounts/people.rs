//! What Meta tells of people who gave access: that they took it back, or want to be forgotten.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use providers::platform::Platform;
use queue::Actor;
use sqlx::Connection as _;
use url::Url;

use super::{Accounts, AccountsError, ConnectionId, signed_request::subject_of};
use crate::store::{Session, connections, data_deletions, within_deadline};

/// Random bytes of a confirmation code.
const CODE_BYTES: usize = 18;
/// Longest code that is looked up.
const LONGEST_CODE: usize = 64;

/// That a person's data was deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletionReceipt {
    /// Names the deletion, and nobody.
    pub code: String,
    /// Where the person sees that it was done.
    pub status_url: Url,
}

impl Accounts {
    /// Meta says that a person has taken the app's access back: that person's grants are disconnected. Tells how many.
    ///
    /// # Errors
    /// [`AccountsError::NotSigned`], [`AccountsError::NotSetUp`] without the app's secret.
    pub async fn deauthorized(&self, signed_request: &str) -> Result<usize, AccountsError> {
        let subject = self.signed_subject(signed_request)?;
        let grants = self.grants_of(&subject).await?;
        for connection in &grants {
            self.disconnect_grant(*connection, "access was taken back at Meta", &by_meta())
                .await?;
        }
        Ok(grants.len())
    }

    /// Meta says that a person wants to be forgotten: that person's grants are disconnected, and nothing that names the
    /// person is left of them.
    ///
    /// # Errors
    /// [`AccountsError::NotSigned`], [`AccountsError::NotSetUp`] without the app's secret or the public address.
    pub async fn delete_person(
        &self,
        signed_request: &str,
    ) -> Result<DeletionReceipt, AccountsError> {
        let subject = self.signed_subject(signed_request)?;
        let public_url = self.public_url()?;
        let code = URL_SAFE_NO_PAD.encode(rand::random::<[u8; CODE_BYTES]>());
        let status_url = format!("{public_url}/webhooks/meta/data-deletion/{code}");
        let status_url = Url::parse(&status_url)
            .map_err(|_| AccountsError::NotSetUp("MILLPOND_PUBLIC_URL is no address"))?;
        let grants = self.grants_of(&subject).await?;
        for connection in &grants {
            self.disconnect_grant(
                *connection,
                "the person asked Meta to be forgotten",
                &by_meta(),
            )
            .await?;
        }
        let count = i32::try_from(grants.len()).unwrap_or(i32::MAX);
        let db = self.db();
        let forgotten = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let mut tx = session.connection().begin().await?;
            for connection in &grants {
                connections::forget_person(&mut *tx, connection.0).await?;
            }
            data_deletions::remember(&mut *tx, &code, Platform::Meta.as_str(), count).await?;
            tx.commit().await?;
            session.done();
            Ok(())
        });
        forgotten.await?;
        Ok(DeletionReceipt { code, status_url })
    }

    /// When the deletion with this code was done.
    ///
    /// # Errors
    /// [`AccountsError::NotFound`] for a code that nobody was given.
    pub async fn deletion_done_at(&self, code: &str) -> Result<DateTime<Utc>, AccountsError> {
        if code.len() > LONGEST_CODE || code.contains('\0') {
            return Err(AccountsError::NotFound);
        }
        let db = self.db();
        let done_at = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let done_at = data_deletions::done_at(session.connection(), code).await?;
            session.done();
            Ok(done_at)
        });
        done_at.await?.ok_or(AccountsError::NotFound)
    }

    fn signed_subject(&self, signed_request: &str) -> Result<String, AccountsError> {
        let secret = self.settings().meta_app_secret.as_ref();
        let secret = secret.ok_or(AccountsError::NotSetUp(
            "set MILLPOND_META_APP_SECRET: Meta signs its callbacks with it",
        ))?;
        subject_of(signed_request, secret, Utc::now())
    }

    async fn grants_of(&self, subject: &str) -> Result<Vec<ConnectionId>, AccountsError> {
        let db = self.db();
        let grants = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let platform = Platform::Meta.as_str();
            let grants =
                connections::all_of_subject(session.connection(), platform, subject).await?;
            session.done();
            Ok(grants)
        })
        .await?;
        Ok(grants.into_iter().map(ConnectionId).collect())
    }

    /// Where the outside reaches the API, without a slash at its end.
    pub(super) fn public_url(&self) -> Result<&str, AccountsError> {
        let url = self.settings().public_url.as_ref();
        let url = url.ok_or(AccountsError::NotSetUp(
            "set MILLPOND_PUBLIC_URL: platforms send people back to it",
        ))?;
        Ok(url.as_str().trim_end_matches('/'))
    }
}

fn by_meta() -> Actor {
    Actor {
        name: "Meta".to_owned(),
        tenant: None,
    }
}
