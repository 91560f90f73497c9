//! Checks a file offline.

use std::{path::Path, process::ExitCode};

use queue::config::{Config, Problem};
use serde_json::json;

use crate::{
    commands::Context,
    compose,
    config_file::{ConfigFileError, lines_of},
    failure::MISUSED,
    output,
};

pub(super) fn check(file: Option<&Path>, ctx: &Context) -> anyhow::Result<ExitCode> {
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
            let mut report = report(&path, &[], &loaded.warnings);
            let needed = keys_needed(&loaded.config, ctx)?;
            if !needed.is_empty() {
                report["missing_keys"] = json!(needed);
                output::note(needed.join("\n"));
            }
            ctx.output.answer(&report, |_| {
                let lines = loaded
                    .warnings
                    .iter()
                    .map(|w| format!("{}:{w} (warning)\n", path.display()));
                format!("{}{} is valid\n", lines.collect::<String>(), path.display())
            })?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => refuse(error, ctx),
    }
}

/// What a file that is right asks for and this environment does not have: kinds that are encrypted need keys. It is told and
/// fails nothing: where files are checked, secrets of production are not.
fn keys_needed(config: &Config, ctx: &Context) -> anyhow::Result<Vec<String>> {
    let needed: Vec<String> = compose::keys_needed(config).collect();
    if needed.is_empty() || ctx.cipher()?.is_some() {
        return Ok(Vec::new());
    }
    Ok(needed)
}

/// Tells everything that is wrong with a file.
pub(super) fn refuse(error: ConfigFileError, ctx: &Context) -> anyhow::Result<ExitCode> {
    match error {
        ConfigFileError::Invalid { path, problems } if ctx.output.is_json() => {
            ctx.output
                .answer(&report(&path, &problems, &[]), |_| String::new())?;
            Ok(ExitCode::from(MISUSED))
        }
        ConfigFileError::Invalid { path, problems } => {
            output::note(lines_of(&path, &problems));
            output::note(format_args!("{} is not valid", path.display()));
            Ok(ExitCode::from(MISUSED))
        }
        other => Err(other.into()),
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
