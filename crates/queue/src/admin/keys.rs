//! API keys: made, listed, revoked.

use chrono::{DateTime, Utc};
use rand::{TryRngCore, rngs::OsRng};
use secrecy::SecretString;
use serde_json::json;
use uuid::Uuid;

use super::{Actor, AdminError, Page, PageRequest, audit};
use crate::{
    Queue,
    client::hash_secret,
    db::within,
    metrics,
    store::{
        self,
        keys::{self, ApiKey, KeyRow},
    },
};

/// Characters of a secret that are kept to recognise it by.
const PREFIX: usize = 10;
/// Begins the cursors of this list.
const LIST: &str = "key";

/// A key to be made.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// 1 to 100 characters.
    pub name: String,
    /// `enqueue`, `enqueue:FAMILY.*`, `enqueue:KIND`, `read`, `operate`, `admin`.
    pub scopes: Vec<String>,
    /// Binds the key to a tenant.
    pub tenant: Option<String>,
    /// When it ends by itself.
    pub expires_at: Option<DateTime<Utc>>,
}

impl Queue {
    /// Makes a key. Its secret is in the answer and nowhere else: it cannot be shown again.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] for an unknown scope, a bad name, an end in the past.
    pub async fn create_key(
        &self,
        request: NewKey,
        actor: &Actor,
    ) -> Result<(ApiKey, SecretString), AdminError> {
        check(&request)?;
        let secret = new_secret()?;
        let row = KeyRow {
            name: &request.name,
            prefix: &secret[..PREFIX],
            secret_hash: &hash_secret(&secret),
            scopes: &request.scopes,
            tenant: request.tenant.as_deref(),
            expires_at: request.expires_at,
            created_by: &actor.name,
        };
        let mut session = self.shared.db.request().await?;
        let created = within(async {
            let mut tx = sqlx::Connection::begin(session.conn()).await?;
            let created = keys::create(&mut *tx, &row).await?;
            let id = created.id.to_string();
            let mut entry = audit(actor, "key.create", Some(&id));
            entry.detail =
                json!({"name": created.name, "scopes": created.scopes, "tenant": created.tenant});
            store::audit::note(&mut *tx, &entry).await?;
            tx.commit().await?;
            Ok(created)
        })
        .await;
        let created = session.end(created)?;
        metrics::admin_action("key.create");
        Ok((created, SecretString::from(secret)))
    }

    /// A page of keys; those of one tenant, or all.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] for a cursor of another list.
    pub async fn keys(
        &self,
        page: &PageRequest,
        tenant: Option<&str>,
    ) -> Result<Page<ApiKey>, AdminError> {
        let after = page.id(LIST)?;
        let mut session = self.shared.db.request().await?;
        let keys = within(keys::list(session.conn(), tenant, after, page.rows())).await;
        Ok(Page::cut(session.end(keys)?, page, LIST, |key: &ApiKey| {
            key.id.to_string()
        }))
    }

    /// Revokes a key for good: at once in this process, within a second in the others.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], also for another tenant's key.
    pub async fn revoke_key(&self, id: Uuid, actor: &Actor) -> Result<ApiKey, AdminError> {
        let target = id.to_string();
        let mut session = self.shared.db.request().await?;
        let revoked = within(async {
            let mut tx = sqlx::Connection::begin(session.conn()).await?;
            let revoked = keys::revoke(&mut *tx, id, actor.tenant.as_deref()).await?;
            if revoked.is_some() {
                store::audit::note(&mut *tx, &audit(actor, "key.revoke", Some(&target))).await?;
            }
            tx.commit().await?;
            Ok(revoked)
        })
        .await;
        let revoked = session.end(revoked)?.ok_or(AdminError::NotFound)?;
        self.forget_keys();
        metrics::admin_action("key.revoke");
        Ok(revoked)
    }
}

fn check(request: &NewKey) -> Result<(), AdminError> {
    let name = request.name.trim();
    if name.is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
        return Err(AdminError::invalid(
            "/name",
            "must have 1 to 100 characters, none of them a control character",
        ));
    }
    if request.scopes.is_empty() || request.scopes.len() > 20 {
        return Err(AdminError::invalid("/scopes", "must name 1 to 20 scopes"));
    }
    if let Some(place) = request.scopes.iter().position(|scope| !is_scope(scope)) {
        return Err(AdminError::invalid(
            &format!("/scopes/{place}"),
            "is no scope: there are enqueue, enqueue:FAMILY.*, enqueue:KIND, read, operate, admin",
        ));
    }
    if request.tenant.as_ref().is_some_and(|tenant| {
        tenant.is_empty() || tenant.chars().count() > 255 || tenant.chars().any(char::is_control)
    }) {
        return Err(AdminError::invalid(
            "/tenant",
            "must have 1 to 255 characters, none of them a control character",
        ));
    }
    if request.expires_at.is_some_and(|end| end <= Utc::now()) {
        return Err(AdminError::invalid("/expires_at", "lies in the past"));
    }
    Ok(())
}

fn is_scope(scope: &str) -> bool {
    match scope.split_once(':') {
        None => matches!(scope, "enqueue" | "read" | "operate" | "admin"),
        Some(("enqueue", kinds)) => {
            let words = kinds.strip_suffix(".*").unwrap_or(kinds);
            !words.is_empty()
                && words.len() <= 100
                && words.split('.').all(|word| {
                    !word.is_empty()
                        && word
                            .bytes()
                            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
                })
        }
        Some(_) => false,
    }
}

fn new_secret() -> Result<String, AdminError> {
    let mut bytes = [0_u8; 32];
    OsRng.try_fill_bytes(&mut bytes).map_err(|_| {
        AdminError::invalid("", "the machine has no random numbers to make a key of")
    })?;
    Ok(format!("mp_{}", hex::encode(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_known_words_and_kinds() {
        for good in [
            "enqueue",
            "enqueue:email.*",
            "enqueue:email.send",
            "read",
            "operate",
            "admin",
        ] {
            assert!(is_scope(good), "{good}");
        }
        for bad in [
            "",
            "write",
            "enqueue:",
            "enqueue:*",
            "enqueue:Email.send",
            "read:jobs",
            "enqueue:a..b",
        ] {
            assert!(!is_scope(bad), "{bad}");
        }
    }
}
