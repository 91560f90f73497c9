//! The kind that the benchmark enqueues and drains: 200 bytes of JSON, a handler that does nothing.

use std::sync::atomic::{AtomicU64, Ordering};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{Job, JobContext, JobError, NewJob, Outcome, Registry, Source};

/// The kind's name.
pub const KIND: &str = "bench.noop";
/// The payload of its jobs: 200 bytes.
pub const PAYLOAD: &str = r#"{"data":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}"#;

/// How many ran.
#[derive(Debug, Default)]
pub(super) struct Ran {
    pub(super) count: AtomicU64,
}

/// Does nothing. Idempotent.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Noop {
    #[serde(rename = "data")]
    _data: String,
}

impl Job for Noop {
    const KIND: &'static str = KIND;
    type App = Ran;
    type Error = JobError;

    async fn run(self, ctx: &JobContext<Ran>) -> Result<Outcome, JobError> {
        ctx.app.count.fetch_add(1, Ordering::Relaxed);
        Ok(Outcome::Succeeded)
    }
}

pub(super) fn registry() -> Registry<Ran> {
    Registry::new().with::<Noop>()
}

pub(super) fn job() -> NewJob {
    let payload = RawValue::from_string(PAYLOAD.to_owned()).expect("the constant is JSON");
    NewJob::new(KIND, payload, Source::Cli)
}
