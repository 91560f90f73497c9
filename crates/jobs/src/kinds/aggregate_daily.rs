//! `aggregate.daily`: hours become days, where the platform does not tell of the days itself.

use marketing::rollups::Grain;
use queue::{Job, JobContext, Outcome};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{App, error::Error, rollup::roll_up};

/// Adds up the hours of days that were read anew. Idempotent: what is rolled up again comes to the same.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AggregateDaily {}

impl Job for AggregateDaily {
    const KIND: &'static str = "aggregate.daily";
    type App = App;
    type Error = Error;

    async fn run(self, ctx: &JobContext<App>) -> Result<Outcome, Error> {
        Box::pin(roll_up(&ctx.app, ctx.cancellation(), Grain::Days)).await
    }
}
