//! `aggregate.cross_platform`: the days of entities become days of whole accounts, in one form for all
//! platforms and in the reporting currency.

use marketing::rollups::Grain;
use queue::{Job, JobContext, Outcome};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{App, error::Error, rollup::roll_up};

/// Adds up the entities of days that were read anew, or whose rates have changed. Idempotent: what is rolled up again comes to the same.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AggregateCrossPlatform {}

impl Job for AggregateCrossPlatform {
    const KIND: &'static str = "aggregate.cross_platform";
    type App = App;
    type Error = Error;

    async fn run(self, ctx: &JobContext<App>) -> Result<Outcome, Error> {
        Box::pin(roll_up(&ctx.app, ctx.cancellation(), Grain::AccountDays)).await
    }
}
