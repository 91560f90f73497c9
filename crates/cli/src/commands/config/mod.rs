//! `millpond config`: checks jobs.toml offline and describes it to editors; shows what is in force and its history; puts
//! a text in force and overrides single values for a time.

mod change;
mod check;
mod effective;
mod history;
mod plan;

use std::{path::PathBuf, process::ExitCode};

use super::{Context, page::PageArgs};

/// What can be done with the configuration.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Tell everything that is wrong, with line and column; exit 2 when something is
    Check(FileArg),
    /// Say what a file would change for the work that is there: drain times, dead letters, deleted rows, ticks
    Plan(plan::PlanArgs),
    /// Put a file in force for the whole fleet, without a restart; files of processes stay as they are
    ///
    /// A process that could not run with it stays on what it has, and says so in its log and in GET /v1/config.
    Apply(change::ApplyArgs),
    /// Override one value for a time, in the whole fleet
    Set(change::SetArgs),
    /// Take an override away before its time
    Unset {
        /// The key, such as queues.sync.concurrency
        key: String,
    },
    /// Show every value with where it comes from: what is in force for the fleet, or with FILE (or where no database is
    /// known) what the file says
    Effective(FileArg),
    /// List past revisions: who, when, why, and which keys they changed
    History(PageArgs),
    /// Print the JSON Schema of jobs.toml, for editors
    Schema,
}

/// Which file.
#[derive(Debug, clap::Args)]
pub(crate) struct FileArg {
    /// The file [default: as --config]
    file: Option<PathBuf>,
}

pub(super) async fn run(command: &Command, ctx: &Context) -> anyhow::Result<ExitCode> {
    match command {
        Command::Check(FileArg { file }) => return check::check(file.as_deref(), ctx),
        Command::Plan(args) => return plan::show(args, ctx).await,
        Command::Apply(args) => change::apply(args, ctx).await?,
        Command::Set(args) => change::set(args, ctx).await?,
        Command::Unset { key } => change::unset(key, ctx).await?,
        Command::Effective(FileArg { file }) => {
            return effective::show(file.as_deref(), ctx).await;
        }
        Command::History(page) => history::list(page, ctx).await?,
        Command::Schema => {
            ctx.output
                .raw(&format!("{:#}\n", queue::config::json_schema()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
