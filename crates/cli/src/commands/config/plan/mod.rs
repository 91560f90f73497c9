//! Says what a file would change for the work that is there, before it is put in force. Stores nothing.

#[cfg(test)]
mod tests;
mod told;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use queue::ConfigText;

use super::check;
use crate::{
    commands::Context,
    failure::{FAILED, Misuse},
};

/// What to weigh.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 nothing changes, or nothing that loses or kills work; 1 the plan found something that \
                  does: jobs that become dead letters sooner, finished jobs or dead letters that are deleted, jobs that \
                  no worker takes, schedules that stop (or it failed); 2 the file is not valid, or wrong use."
)]
pub(crate) struct PlanArgs {
    /// The file [default: as --config]
    #[arg(conflicts_with = "revision")]
    file: Option<PathBuf>,
    /// An earlier revision instead: what a roll-back would do
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    revision: Option<i64>,
}

pub(super) async fn show(args: &PlanArgs, ctx: &Context) -> anyhow::Result<ExitCode> {
    let text = match args.revision {
        Some(revision) => ConfigText::Of(revision),
        None => {
            let file = ctx.config_file.or_given(args.file.as_deref());
            let loaded = match file.load() {
                Ok(loaded) => loaded,
                Err(error) => return check::refuse(error, ctx),
            };
            let path = file.path().display().to_string();
            ConfigText::New(loaded.text.ok_or(Misuse::NothingToApply { path })?)
        }
    };
    let fleet = ctx.fleet().await?;
    let plan = fleet.plan_config(text).await;
    let plan = plan.context("cannot say what would follow")?;
    ctx.output.answer(&plan, told::told)?;
    fleet.close().await;
    Ok(if plan.harms.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FAILED)
    })
}
