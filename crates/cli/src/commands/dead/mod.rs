//! `millpond dead`: look at what failed for good, replay it, set it aside, carry it elsewhere.

mod act;
mod export;
mod list;
mod select;

use std::process::ExitCode;

use self::select::FilterArgs;
use super::{Context, page::PageArgs};
use queue::{JobId, Resolution};

/// What can be done with dead letters.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List dead letters that nobody has dealt with, the newest first
    List(Box<ListArgs>),
    /// Count dead letters by what made them fail
    Groups(Box<GroupsArgs>),
    /// Show one dead letter with its payload, attempts and log
    Show {
        /// The dead letter's id, which is its job's
        id: JobId,
    },
    /// Run dead letters again, as one durable operation
    Replay(Box<act::ReplayArgs>),
    /// Set dead letters aside; `restore` brings them back
    Discard(Box<act::ReasonedArgs>),
    /// Bring discarded dead letters back
    Restore(Box<act::ReasonedArgs>),
    /// Write dead letters with payload and attempts as lines of JSON, with and without --json
    Export(Box<export::Args>),
}

/// Which dead letters to list.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// Show those that were dealt with: replayed or discarded
    #[arg(long, value_parser = select::resolution)]
    resolution: Option<Resolution>,
    #[command(flatten)]
    page: PageArgs,
}

/// Which groups to list.
#[derive(Debug, clap::Args)]
pub(crate) struct GroupsArgs {
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    page: PageArgs,
}

pub(super) async fn run(command: &Command, ctx: &Context) -> anyhow::Result<ExitCode> {
    match command {
        Command::List(args) => list::list(args, ctx).await,
        Command::Groups(args) => list::groups(args, ctx).await,
        Command::Show { id } => list::show(*id, ctx).await,
        Command::Replay(args) => act::replay(args, ctx).await,
        Command::Discard(args) => act::discard(args, ctx).await,
        Command::Restore(args) => act::restore(args, ctx).await,
        Command::Export(args) => export::run(args, ctx).await,
    }
}
