//! `millpond config`: checks jobs.toml offline, shows every value with its origin, and describes the file to editors.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use queue::config::{Effective, Origin, Problem};
use serde_json::json;

use super::Context;
use crate::{
    config_file::{ConfigFileError, Loaded, lines_of},
    failure::MISUSED,
    output,
};

/// What can be done with the configuration.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Tell everything that is wrong, with line and column; exit 2 when something is
    Check(FileArg),
    /// Show every value in force with where it comes from
    Effective(FileArg),
    /// Print the JSON Schema of jobs.toml, for editors
    Schema,
}

/// Which file.
#[derive(Debug, clap::Args)]
pub(crate) struct FileArg {
    /// The file [default: as --config]
    file: Option<PathBuf>,
}

pub(super) fn run(command: &Command, ctx: &Context) -> anyhow::Result<ExitCode> {
    match command {
        Command::Check(FileArg { file }) => check(file.as_deref(), ctx),
        Command::Effective(FileArg { file }) => {
            let Loaded { config, path, .. } = ctx.config_file.or_given(file.as_deref()).load()?;
            ctx.output.answer(&config.effective(), |values| {
                effective(values, path.as_deref())
            })?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Schema => {
            ctx.output
                .raw(&format!("{:#}\n", queue::config::json_schema()))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn check(file: Option<&Path>, ctx: &Context) -> anyhow::Result<ExitCode> {
    let file = ctx.config_file.or_given(file);
    match file.load() {
        Ok(loaded) => {
            let Some(path) = loaded.path else {
                let text = format!(
                    "{} does not exist: the built-in defaults hold\n",
                    file.path().display()
                );
                ctx.output
                    .answer(&report(file.path(), &[], &[]), |_| text)?;
                return Ok(ExitCode::SUCCESS);
            };
            ctx.output
                .answer(&report(&path, &[], &loaded.warnings), |_| {
                    let lines = loaded
                        .warnings
                        .iter()
                        .map(|w| format!("{}:{w} (warning)\n", path.display()));
                    format!("{}{} is valid\n", lines.collect::<String>(), path.display())
                })?;
            Ok(ExitCode::SUCCESS)
        }
        Err(ConfigFileError::Invalid { path, problems }) if ctx.output.is_json() => {
            ctx.output
                .answer(&report(&path, &problems, &[]), |_| String::new())?;
            Ok(ExitCode::from(MISUSED))
        }
        Err(ConfigFileError::Invalid { path, problems }) => {
            output::note(lines_of(&path, &problems));
            output::note(format_args!("{} is not valid", path.display()));
            Ok(ExitCode::from(MISUSED))
        }
        Err(error) => Err(error.into()),
    }
}

fn report(path: &Path, problems: &[Problem], warnings: &[Problem]) -> serde_json::Value {
    json!({
        "file": path.display().to_string(),
        "valid": problems.is_empty(),
        "problems": problems,
        "warnings": warnings,
    })
}

fn effective(values: &[Effective], path: Option<&Path>) -> String {
    let width = values
        .iter()
        .map(|value| value.key.chars().count())
        .max()
        .unwrap_or_default();
    let file = path.map_or_else(String::new, |path| path.display().to_string());
    values
        .iter()
        .map(|Effective { key, value, origin }| match origin {
            Origin::BuiltIn => format!("{key:<width$} = {value} # built in\n"),
            Origin::File { line, column } => {
                format!("{key:<width$} = {value} # {file}:{line}:{column}\n")
            }
        })
        .collect()
}
