//! Customers' endpoints and what they were told.

use chrono::{DateTime, Utc};
use marketing::outbound;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// An endpoint that is told of what happens, without its secret.
#[derive(Serialize, ToSchema)]
pub(crate) struct WebhookEndpoint {
    id: Uuid,
    /// Whose events it is told; null: those that belong to no tenant.
    tenant: Option<String>,
    #[schema(example = "https://app.example.com/hooks/millpond")]
    url: String,
    description: String,
    /// What it wants to hear of; none stands for everything.
    #[schema(example = json!(["sync.failed", "account.needs_reauth"]))]
    events: Vec<String>,
    /// Who is told when it is switched off.
    owner_email: Option<String>,
    /// `enabled` or `disabled`.
    #[schema(value_type = String, example = "enabled")]
    status: &'static str,
    disabled_at: Option<DateTime<Utc>>,
    /// `request`, `failures` or `gone`.
    #[schema(value_type = Option<String>, example = "failures")]
    disabled_by: Option<&'static str>,
    disabled_reason: Option<String>,
    /// Failures in a row.
    failures: i32,
    /// Since when nothing gets through; null: the last message did.
    failing_since: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<outbound::Endpoint> for WebhookEndpoint {
    fn from(endpoint: outbound::Endpoint) -> Self {
        let status = if endpoint.is_enabled {
            "enabled"
        } else {
            "disabled"
        };
        let (disabled_at, disabled_by, disabled_reason) = match endpoint.disabled {
            Some((at, by, reason)) => (Some(at), Some(by.as_str()), Some(reason)),
            None => (None, None, None),
        };
        Self {
            id: endpoint.id.0,
            tenant: endpoint.tenant,
            url: endpoint.url,
            description: endpoint.description,
            events: endpoint.events,
            owner_email: endpoint.owner_email,
            status,
            disabled_at,
            disabled_by,
            disabled_reason,
            failures: endpoint.failures,
            failing_since: endpoint.failing_since,
            created_at: endpoint.created_at,
            updated_at: endpoint.updated_at,
        }
    }
}

/// An endpoint with a new secret: the one answer that has it.
#[derive(Serialize, ToSchema)]
pub(crate) struct WebhookEndpointSecret {
    #[serde(flatten)]
    endpoint: WebhookEndpoint,
    /// What its messages are signed with. It cannot be shown again.
    #[schema(example = "whsec_…")]
    secret: String,
}

impl WebhookEndpointSecret {
    pub(crate) fn new(endpoint: outbound::Endpoint, secret: &SecretString) -> Self {
        Self {
            endpoint: endpoint.into(),
            secret: secret.expose_secret().to_owned(),
        }
    }
}

/// An event for an endpoint, and how telling it went.
#[derive(Serialize, ToSchema)]
pub(crate) struct WebhookDelivery {
    id: Uuid,
    /// The `webhook-id` of its message, the same on every attempt.
    #[schema(example = "msg_0192f7c4000070008000000000000001")]
    webhook_id: String,
    #[schema(example = "sync.failed")]
    event: String,
    /// `pending`, `succeeded`, `failed`, or `missed`: the endpoint was switched off.
    #[schema(value_type = String, example = "succeeded")]
    state: &'static str,
    /// How often it was tried.
    attempts: i32,
    /// The newest 20 attempts, the last one last.
    log: Vec<WebhookAttempt>,
    created_at: DateTime<Utc>,
    /// Since when it is not pending any more.
    ended_at: Option<DateTime<Utc>>,
}

/// An attempt at telling an endpoint.
#[derive(Serialize, ToSchema)]
struct WebhookAttempt {
    /// From 1.
    number: i32,
    at: DateTime<Utc>,
    /// What the endpoint answered; null: nothing.
    status: Option<u16>,
    duration_ms: i64,
    /// The beginning of the answer, or why there was none; at most 1 KiB, without secrets.
    excerpt: String,
}

impl From<outbound::Delivery> for WebhookDelivery {
    fn from(delivery: outbound::Delivery) -> Self {
        let log = delivery.log.into_iter().map(|attempt| WebhookAttempt {
            number: attempt.number,
            at: attempt.at,
            status: attempt.status,
            duration_ms: attempt.duration_ms,
            excerpt: attempt.excerpt,
        });
        Self {
            id: delivery.id.0,
            webhook_id: delivery.id.message_id(),
            event: delivery.event,
            state: delivery.state.as_str(),
            attempts: delivery.attempts,
            log: log.collect(),
            created_at: delivery.created_at,
            ended_at: delivery.ended_at,
        }
    }
}

/// What is sent again.
#[derive(Serialize, ToSchema)]
pub(crate) struct SentAgain {
    /// How many messages, at most 10,000 a request.
    count: u64,
    /// Whether that is all of the span of time; if not, ask again.
    is_all: bool,
}

impl From<outbound::SentAgain> for SentAgain {
    fn from(sent: outbound::SentAgain) -> Self {
        Self {
            count: sent.count,
            is_all: sent.is_all,
        }
    }
}
