//! The program `millpond`: its arguments, its settings, the wiring of every crate, and a file a command. Work is done
//! elsewhere: this crate reads, composes, shows and ends with the right exit code.

mod api_versions;
mod args;
pub mod commands;
mod compose;
mod config_file;
mod dev;
mod environment;
mod failure;
mod needed_keys;
mod openings;
mod output;
mod process;
#[cfg(test)]
mod scratch;
mod settings;
mod shutdown;
mod stand_ins;
mod telemetry;

use std::{ffi::OsString, process::ExitCode};

use clap::Parser;

use crate::{args::Cli, commands::Context, environment::Environment};

/// Runs the program with these arguments, its own name first, and tells how it ended: 0 done, 1 failed or a check
/// found something, 2 wrong use or invalid configuration.
pub async fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help for a reader that went away is no failure, and there is nobody to tell.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() {
                failure::MISUSED
            } else {
                0
            });
        }
    };
    let context = Context::new(cli.global, Environment::of_process());
    match commands::run(cli.command, &context).await {
        Ok(code) => code,
        Err(error) => failure::report(&error),
    }
}
