//! What holds, value by value: for the fleet, or by a file alone.

use std::{path::Path, process::ExitCode};

use queue::{
    InForce, Rejected,
    config::{Effective, Origin},
};

use crate::{
    commands::Context,
    compose::{self, Connections},
    config_file::Loaded,
    failure::FAILED,
    output,
};

pub(super) async fn show(file: Option<&Path>, ctx: &Context) -> anyhow::Result<ExitCode> {
    if file.is_none()
        && let Some(url) = ctx.known_database_url()?
    {
        match compose::connect(url, Connections::Few).await {
            Ok(database) => {
                let queue = ctx.queue_on(database, None).await?;
                let in_force = queue.in_force();
                if let Some(unread) = queue.rejected_config() {
                    return show_beside(&unread, &in_force, ctx);
                }
                if let Some(revision) = in_force.revision {
                    show_in_force(revision, &in_force, ctx)?;
                    return Ok(ExitCode::SUCCESS);
                }
                output::note("no process has told the database of its file yet: this is the file");
            }
            Err(error) => output::note(format_args!(
                "the database does not say what is in force ({error}): this is the file"
            )),
        }
    }
    let Loaded { config, path, .. } = ctx.config_file.or_given(file).load()?;
    let place = path.map_or_else(String::new, |path| path.display().to_string());
    ctx.output
        .answer(&config.effective(), |values| listing(values, &place))?;
    Ok(ExitCode::SUCCESS)
}

/// What is in force is not to be had from this release: says so, and shows what its processes go by instead.
fn show_beside(unread: &Rejected, in_force: &InForce, ctx: &Context) -> anyhow::Result<ExitCode> {
    for problem in &unread.problems {
        output::note(problem);
    }
    let newest = &unread.source;
    output::note(format_args!(
        "{newest} of the configuration is in force, and this release cannot read it: ask with the release that wrote it, \
         or a process that goes by it (GET /v1/config)"
    ));
    if let Some(revision) = in_force.revision {
        output::note(format_args!(
            "this is revision {revision}, the newest that this release can read and its processes go by"
        ));
        show_in_force(revision, in_force, ctx)?;
    }
    Ok(ExitCode::from(FAILED))
}

fn show_in_force(revision: i64, in_force: &InForce, ctx: &Context) -> anyhow::Result<()> {
    let place = format!("revision {revision}");
    ctx.output.answer(&in_force.config.effective(), |values| {
        listing(values, &place)
    })?;
    for ignored in &in_force.ignored {
        let (key, problem) = (&ignored.setting.key, &ignored.problem);
        output::note(format_args!(
            "the override of {key} has no effect: {problem}"
        ));
    }
    Ok(())
}

/// A line for each value; `place` is where positions lie.
fn listing(values: &[Effective], place: &str) -> String {
    let keys = values.iter().map(|value| value.key.chars().count());
    let width = keys.max().unwrap_or_default();
    let line = |Effective {
                    key, value, origin, ..
                }: &Effective| {
        let origin = match origin {
            Origin::BuiltIn => "built in".to_owned(),
            Origin::File { line, column } => format!("{place}:{line}:{column}"),
            Origin::Override { until, author } => {
                format!("override by {author} until {}", until.to_rfc3339())
            }
        };
        output::one_line(&format!("{key:<width$} = {value} # {origin}"), usize::MAX) + "\n"
    };
    values.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::json;

    use super::*;

    #[test]
    fn each_value_is_told_with_where_it_comes_from() {
        let value = |key: &str, origin| Effective {
            key: key.to_owned(),
            value: json!("15m"),
            origin,
            restart: false,
        };
        let values = [
            value("defaults.timeout", Origin::BuiltIn),
            value("lease.ttl", Origin::File { line: 3, column: 5 }),
            value(
                "queues.sync.timeout",
                Origin::Override {
                    until: DateTime::UNIX_EPOCH,
                    author: "ada".to_owned(),
                },
            ),
        ];

        let told = listing(&values, "revision 7");

        assert_eq!(
            told,
            "defaults.timeout    = \"15m\" # built in\n\
             lease.ttl           = \"15m\" # revision 7:3:5\n\
             queues.sync.timeout = \"15m\" # override by ada until 1970-01-01T00:00:00+00:00\n"
        );
    }
}
