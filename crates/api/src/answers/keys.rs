//! API keys and the audit.

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// An API key, without its secret.
#[derive(Serialize, ToSchema)]
pub(crate) struct ApiKey {
    id: Uuid,
    name: String,
    /// The first characters of its secret.
    #[schema(example = "mp_3f9a2c1")]
    prefix: String,
    #[schema(example = json!(["enqueue:email.*", "read"]))]
    scopes: Vec<String>,
    /// The tenant it is bound to; null: all.
    tenant: Option<String>,
    created_at: DateTime<Utc>,
    created_by: String,
    expires_at: Option<DateTime<Utc>>,
    revoked_at: Option<DateTime<Utc>>,
    /// Within a minute or so.
    last_used_at: Option<DateTime<Utc>>,
}

impl From<queue::ApiKey> for ApiKey {
    fn from(key: queue::ApiKey) -> Self {
        Self {
            id: key.id,
            name: key.name,
            prefix: key.prefix,
            scopes: key.scopes,
            tenant: key.tenant,
            created_at: key.created_at,
            created_by: key.created_by,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
            last_used_at: key.last_used_at,
        }
    }
}

/// A new API key: the one answer that has its secret.
#[derive(Serialize, ToSchema)]
pub(crate) struct CreatedKey {
    #[serde(flatten)]
    key: ApiKey,
    /// What requests present. It cannot be shown again.
    secret: String,
}

impl CreatedKey {
    pub(crate) fn new(key: queue::ApiKey, secret: &SecretString) -> Self {
        Self {
            key: key.into(),
            secret: secret.expose_secret().to_owned(),
        }
    }
}

/// An action that somebody took.
#[derive(Serialize, ToSchema)]
pub(crate) struct AuditEntry {
    id: i64,
    at: DateTime<Utc>,
    /// Who.
    #[schema(example = "key mp_3f9a2c1…")]
    actor: String,
    /// What.
    #[schema(example = "queue.pause")]
    action: String,
    /// To what.
    target: Option<String>,
    /// Why.
    reason: Option<String>,
    /// To how many.
    count: i64,
    /// What else is worth knowing; never a secret or a payload.
    detail: Value,
}

impl From<queue::AuditEntry> for AuditEntry {
    fn from(entry: queue::AuditEntry) -> Self {
        Self {
            id: entry.id,
            at: entry.at,
            actor: entry.actor,
            action: entry.action,
            target: entry.target,
            reason: entry.reason,
            count: entry.count,
            detail: entry.detail,
        }
    }
}
