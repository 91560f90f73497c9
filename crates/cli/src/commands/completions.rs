//! `millpond completions`: a script that teaches a shell this program's commands.

use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use super::Context;
use crate::args::Cli;

/// Which shell.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

pub(super) fn run(args: &Args, ctx: &Context) -> anyhow::Result<ExitCode> {
    // Into memory first: the generator panics when its writer fails, as a closed pipe does.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "millpond", &mut script);
    ctx.output.raw(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}
