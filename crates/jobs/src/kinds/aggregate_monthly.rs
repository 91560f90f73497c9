//! `aggregate.monthly`: days become months.

use marketing::rollups::Grain;
use queue::{Job, JobContext, Outcome};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{App, error::Error, rollup::roll_up};

/// Adds up the days of months in which any was read anew. Idempotent: what is rolled up again comes to the same.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AggregateMonthly {}

impl Job for AggregateMonthly {
    const KIND: &'static str = "aggregate.monthly";
    type App = App;
    type Error = Error;

    async fn run(self, ctx: &JobContext<App>) -> Result<Outcome, Error> {
        Box::pin(roll_up(&ctx.app, ctx.cancellation(), Grain::Months)).await
    }
}
