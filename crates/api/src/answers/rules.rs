//! Rules, what they found, alerts, what they told, and what was changed of campaigns. Money is told as decimal text.

use chrono::{DateTime, Utc};
use marketing::{campaigns, rules};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// A rule.
#[derive(Serialize, ToSchema)]
pub(crate) struct Strategy {
    id: Uuid,
    /// Null: it belongs to no tenant.
    tenant: Option<String>,
    #[schema(example = "Stop what costs too much")]
    name: String,
    /// `active`, `paused` or `completed`.
    #[schema(value_type = String, example = "active")]
    status: &'static str,
    /// `recommend` or `act`.
    #[schema(value_type = String, example = "recommend")]
    mode: &'static str,
    /// What it watches and does, with all members.
    #[schema(value_type = Object)]
    rule: Value,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    /// When it was evaluated last, since it was changed.
    evaluated_at: Option<DateTime<Utc>>,
}

impl From<rules::Strategy> for Strategy {
    fn from(strategy: rules::Strategy) -> Self {
        Self {
            id: strategy.id.0,
            tenant: strategy.tenant,
            name: strategy.name,
            status: strategy.status.as_str(),
            mode: strategy.mode.as_str(),
            rule: shown(&strategy.rule),
            created_at: strategy.created_at,
            updated_at: strategy.updated_at,
            evaluated_at: strategy.evaluated_at,
        }
    }
}

/// What a rule found.
#[derive(Serialize, ToSchema)]
pub(crate) struct Recommendation {
    id: Uuid,
    /// The rule.
    strategy_id: Uuid,
    tenant: Option<String>,
    account_id: Uuid,
    /// `campaign`, `ad_set` or `ad`.
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "campaign")]
    kind: &'static str,
    /// The platform's id.
    entity_id: String,
    /// Its name when it was found.
    entity_name: String,
    /// `pause`, `raise_budget` or `notify`.
    #[schema(value_type = String, example = "pause")]
    action: &'static str,
    /// What would be changed, as it was: a state or a budget a day.
    #[schema(example = "active")]
    before: Option<String>,
    /// What it would be.
    #[schema(example = "paused")]
    after: Option<String>,
    /// Why: each with `metric`, `value`, `comparison` and `threshold`.
    #[schema(value_type = Vec<Object>)]
    reasons: Value,
    /// `open`, `acting`, `acted`, `notified`, `dismissed` or `expired`.
    #[schema(value_type = String, example = "open")]
    state: &'static str,
    /// The job that makes the change.
    job_id: Option<Uuid>,
    found_at: DateTime<Utc>,
    decided_at: Option<DateTime<Utc>>,
    /// Who accepted or dismissed it, or that the strategy acted by itself.
    decided_by: Option<String>,
}

impl From<rules::Recommendation> for Recommendation {
    fn from(found: rules::Recommendation) -> Self {
        Self {
            id: found.id,
            strategy_id: found.strategy.0,
            tenant: found.tenant,
            account_id: found.account.0,
            kind: found.kind.as_str(),
            entity_id: found.entity_id,
            entity_name: found.entity_name,
            action: found.action.as_str(),
            before: found.before,
            after: found.after,
            reasons: shown(&found.reasons),
            state: found.state.as_str(),
            job_id: found.job.map(|job| job.0),
            found_at: found.found_at,
            decided_at: found.decided_at,
            decided_by: found.decided_by,
        }
    }
}

/// An alert.
#[derive(Serialize, ToSchema)]
pub(crate) struct Alert {
    id: Uuid,
    /// Null: it belongs to no tenant.
    tenant: Option<String>,
    #[schema(example = "Clicks became dear")]
    name: String,
    /// `active` or `paused`.
    #[schema(value_type = String, example = "active")]
    status: &'static str,
    /// What it watches, with all members.
    #[schema(value_type = Object)]
    rule: Value,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    /// When it was looked at last, since it was changed.
    evaluated_at: Option<DateTime<Utc>>,
}

impl From<rules::Alert> for Alert {
    fn from(alert: rules::Alert) -> Self {
        Self {
            id: alert.id.0,
            tenant: alert.tenant,
            name: alert.name,
            status: alert.status.as_str(),
            rule: shown(&alert.rule),
            created_at: alert.created_at,
            updated_at: alert.updated_at,
            evaluated_at: alert.evaluated_at,
        }
    }
}

/// What an alert told.
#[derive(Serialize, ToSchema)]
pub(crate) struct AlertEntry {
    id: Uuid,
    account_id: Uuid,
    /// `account`, `campaign`, `ad_set` or `ad`.
    #[schema(value_type = String, example = "campaign")]
    level: &'static str,
    /// The platform's id.
    entity_id: String,
    /// Its name then.
    entity_name: String,
    /// `fired` or `cleared`.
    #[schema(value_type = String, example = "fired")]
    became: &'static str,
    /// What was watched.
    #[schema(example = "cpc")]
    metric: String,
    /// What it was.
    #[schema(example = "2.41")]
    value: String,
    /// What it was held against.
    #[schema(example = "2")]
    threshold: String,
    /// For changes: what it was in the window before.
    baseline: Option<String>,
    at: DateTime<Utc>,
    /// `none`, `due` (while quiet hours last), `sent` or `dropped` (nobody to tell, or over before quiet hours were).
    #[schema(example = "sent")]
    mail: String,
}

impl From<rules::AlertEntry> for AlertEntry {
    fn from(entry: rules::AlertEntry) -> Self {
        Self {
            id: entry.id,
            account_id: entry.account.0,
            level: entry.level.as_str(),
            entity_id: entry.entity_id,
            entity_name: entry.entity_name,
            became: entry.became.as_str(),
            metric: entry.metric,
            value: entry.value.to_string(),
            threshold: entry.threshold.to_string(),
            baseline: entry.baseline.map(|baseline| baseline.to_string()),
            at: entry.at,
            mail: entry.mail,
        }
    }
}

/// What a job changed of an entity, or was to change.
#[derive(Serialize, ToSchema)]
pub(crate) struct CampaignChange {
    /// The job, or the one that it replays.
    job_id: Uuid,
    /// Its place in the job's payload.
    index: usize,
    account_id: Uuid,
    /// `campaign`, `ad_set` or `ad`.
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "campaign")]
    kind: &'static str,
    /// The platform's id.
    entity_id: String,
    /// `status`, `daily_budget` or `lifetime_budget`.
    #[schema(example = "daily_budget")]
    field: String,
    #[schema(example = "50.00")]
    before: Option<String>,
    #[schema(example = "57.50")]
    after: String,
    /// `sending`, `waiting`, `done`, `unchanged`, `refused` or `unknown`.
    #[schema(value_type = String, example = "done")]
    state: &'static str,
    reason: Option<String>,
    /// Who asked for it, by the word of whoever ordered it: an app's, or who accepted what a rule found.
    #[schema(example = "Ada")]
    requested_by: Option<String>,
    /// The rule that asked for it.
    strategy_id: Option<Uuid>,
    error_class: Option<String>,
    error: Option<String>,
    begun_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
}

impl From<campaigns::MadeChange> for CampaignChange {
    fn from(change: campaigns::MadeChange) -> Self {
        Self {
            job_id: change.job.0,
            index: change.place,
            account_id: change.account.0,
            kind: change.kind.as_str(),
            entity_id: change.entity_id,
            field: change.field,
            before: change.before,
            after: change.after,
            state: change.state.as_str(),
            reason: change.reason,
            requested_by: change.requested_by,
            strategy_id: change.strategy,
            error_class: change.error_class,
            error: change.error,
            begun_at: change.begun_at,
            ended_at: change.ended_at,
        }
    }
}

/// A document as it is told; our own types all can be.
fn shown(document: &impl Serialize) -> Value {
    serde_json::to_value(document).unwrap_or_default()
}
