//! Every kind the platform knows, a file a kind.

mod conversion_send;
mod demo_work;
mod email_send;
mod http_request;
mod target;
#[cfg(test)]
pub(crate) mod testing;

use std::sync::Arc;

use queue::{Registry, config::Target};

use crate::App;

/// Every kind the platform knows, and those that jobs.toml declares with a `target`. A kind left out here fails the
/// build: it is never used.
pub fn registry(targets: impl Iterator<Item = (String, Target)>) -> Registry<App> {
    let ours = Registry::new()
        .with::<email_send::EmailSend>()
        .with_batch::<conversion_send::ConversionSend>()
        .with::<http_request::HttpRequest>();

    targets.fold(ours, |registry, (kind, target)| {
        registry.with_raw(&kind, Arc::new(target::TargetCall::new(target)))
    })
}

/// As [`registry`], with `demo.work` for `millpond dev --demo` and benchmarks.
pub fn registry_with_demo(targets: impl Iterator<Item = (String, Target)>) -> Registry<App> {
    registry(targets).with::<demo_work::DemoWork>()
}
