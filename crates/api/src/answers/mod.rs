//! What the API answers: types of its own, so that what clients see changes only where somebody means it to.

mod accounts;
mod budgets;
mod config;
mod config_plan;
mod dead_letters;
mod explain;
mod fleet;
mod jobs;
mod keys;
mod leads;
mod metrics;
mod metrics_csv;
mod replays;
mod rules;
mod schedules;
mod syncs;
mod webhook_endpoints;

use serde::Serialize;
use utoipa::ToSchema;

pub(crate) use accounts::{
    Account, AccountDetail, Backfill, ConnectedAccounts, DeletionReceipt, DisconnectedAccounts,
    ListedAccount, OauthStarted,
};
pub(crate) use budgets::BudgetStatus;
pub(crate) use config::{ConfigApplied, ConfigRevision, ConfigStatus, OverrideStatus};
pub(crate) use config_plan::ConfigPlan;
pub(crate) use dead_letters::{DeadGroup, DeadLetterDetail, DeadLetterSummary, Resolved};
pub(crate) use explain::Explanation;
pub(crate) use fleet::{Kind, QueueStatus, WorkerStatus};
pub(crate) use jobs::{JobDetail, JobSummary};
pub(crate) use keys::{ApiKey, AuditEntry, CreatedKey};
pub(crate) use leads::{COLUMNS as LEAD_COLUMNS, Lead};
pub(crate) use metrics::MetricsReport;
pub(crate) use metrics_csv::metrics_csv;
pub(crate) use replays::{Replay, ReplayAnswer, ReplayDetail};
pub(crate) use rules::{Alert, AlertEntry, CampaignChange, Recommendation, Strategy};
pub(crate) use schedules::ScheduleStatus;
pub(crate) use syncs::{Entity, EntityChange, Freshness, SyncEntry, Watched};
pub(crate) use webhook_endpoints::{
    SentAgain, WebhookDelivery, WebhookEndpoint, WebhookEndpointSecret,
};

/// A page of a list.
#[derive(Serialize, ToSchema)]
pub(crate) struct Page<T> {
    /// What is on it.
    items: Vec<T>,
    /// Goes into `cursor` of the same list to get the next page; null on the last one.
    next: Option<String>,
}

impl<S, T: From<S>> From<queue::Page<S>> for Page<T> {
    fn from(page: queue::Page<S>) -> Self {
        Self {
            items: all(page.items),
            next: page.next,
        }
    }
}

impl<S, T: From<S>> From<Vec<S>> for Page<T> {
    /// A list that is short enough for one page.
    fn from(items: Vec<S>) -> Self {
        Self {
            items: all(items),
            next: None,
        }
    }
}

fn all<S, T: From<S>>(items: Vec<S>) -> Vec<T> {
    items.into_iter().map(T::from).collect()
}
