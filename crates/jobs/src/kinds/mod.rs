//! Every kind the platform knows, a file a kind.

mod aggregate_cross_platform;
mod aggregate_daily;
mod aggregate_monthly;
mod alert_evaluate;
mod campaign_update;
mod conversion_send;
mod demo_work;
mod email_digest;
mod email_send;
mod email_sync_errors;
mod http_request;
mod maintenance_cache;
mod maintenance_limits;
mod maintenance_retention;
#[cfg(test)]
pub(crate) mod scene;
#[cfg(test)]
pub(crate) mod scripted;
mod strategy_evaluate;
mod sync_account;
mod sync_fanout;
mod sync_insights;
mod sync_watch;
mod target;
#[cfg(test)]
pub(crate) mod testing;
mod token_check;
mod token_expire;
mod token_refresh;
mod token_validate;
mod webhook_catch_up;
mod webhook_deliver;
mod webhook_fanout;
mod webhook_process;

use std::sync::Arc;

use queue::{Registry, config::Target};

use crate::App;

/// Every kind the platform knows, and those that jobs.toml declares with a `target`. A kind left out here fails the
/// build: it is never used.
pub fn registry(targets: impl Iterator<Item = (String, Target)>) -> Registry<App> {
    let ours = Registry::new()
        .with::<aggregate_cross_platform::AggregateCrossPlatform>()
        .with::<aggregate_daily::AggregateDaily>()
        .with::<aggregate_monthly::AggregateMonthly>()
        .with::<email_digest::EmailDigest>()
        .with::<alert_evaluate::AlertEvaluate>()
        .with::<campaign_update::CampaignUpdate>()
        .with::<email_send::EmailSend>()
        .with::<email_sync_errors::EmailSyncErrors>()
        .with_batch::<conversion_send::ConversionSend>()
        .with::<http_request::HttpRequest>()
        .with::<maintenance_cache::MaintenanceCache>()
        .with::<maintenance_limits::MaintenanceLimits>()
        .with::<maintenance_retention::MaintenanceRetention>()
        .with::<strategy_evaluate::StrategyEvaluate>()
        .with::<sync_account::SyncAccount>()
        .with::<sync_fanout::SyncFanout>()
        .with::<sync_insights::SyncInsights>()
        .with::<sync_watch::SyncWatch>()
        .with::<token_check::TokenCheck>()
        .with::<token_expire::TokenExpire>()
        .with::<token_refresh::TokenRefresh>()
        .with::<token_validate::TokenValidate>()
        .with::<webhook_catch_up::WebhookCatchUp>()
        .with::<webhook_deliver::WebhookDeliver>()
        .with::<webhook_fanout::WebhookFanout>()
        .with::<webhook_process::WebhookProcess>();

    targets.fold(ours, |registry, (kind, target)| {
        registry.with_raw(&kind, Arc::new(target::TargetCall::new(target)))
    })
}

/// As [`registry`], with `demo.work` for `millpond dev --demo` and benchmarks.
pub fn registry_with_demo(targets: impl Iterator<Item = (String, Target)>) -> Registry<App> {
    registry(targets).with::<demo_work::DemoWork>()
}
