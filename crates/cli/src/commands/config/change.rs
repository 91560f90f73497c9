//! What changes the configuration of the fleet: a text put in force, a value overridden for a time, the end of that.

use std::{path::PathBuf, time::Duration};

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use queue::{
    ConfigApplied, ConfigRequest, ConfigText, NewOverride, OverrideEnd, RevisionSource,
    config::{Config, Override, typed_value},
};
use serde_json::{Value, json};

use crate::{
    commands::Context,
    compose,
    config_file::Loaded,
    failure::Misuse,
    output::{
        self,
        words::{age, future, span},
    },
};

/// What to put in force, and why.
#[derive(Debug, clap::Args)]
pub(crate) struct ApplyArgs {
    /// The file [default: as --config]
    #[arg(conflicts_with = "revision")]
    file: Option<PathBuf>,
    /// An earlier revision instead, to roll back: its text becomes a new revision
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    revision: Option<i64>,
    /// Why, for the history and the audit
    #[arg(long)]
    reason: Option<String>,
}

/// Which value to override, for how long, and why.
#[derive(Debug, clap::Args)]
pub(crate) struct SetArgs {
    /// Such as queues.sync.concurrency=2 or 'kinds."email.send".timeout=5m'
    #[arg(value_name = "KEY=VALUE", value_parser = assignment)]
    assignment: Assignment,
    /// For how long: a span such as 1h, at most 30 days
    #[arg(long = "for", value_name = "SPAN", value_parser = span, required_unless_present = "until", conflicts_with = "until")]
    time: Option<Duration>,
    /// Until when: RFC 3339, or a span such as 2h from now
    #[arg(long, value_name = "TIME", value_parser = future)]
    until: Option<DateTime<Utc>>,
    /// Why, for those who wonder
    #[arg(long)]
    reason: Option<String>,
}

/// A key and its value, as they were typed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Assignment {
    key: String,
    value: Value,
}

/// An assignment that is none.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected KEY=VALUE, such as queues.sync.concurrency=2")]
struct NotAnAssignment;

fn assignment(text: &str) -> Result<Assignment, NotAnAssignment> {
    let (key, value) = text.split_once('=').ok_or(NotAnAssignment)?;
    let (key, value) = (key.trim(), value.trim());
    if key.is_empty() || value.is_empty() {
        return Err(NotAnAssignment);
    }
    Ok(Assignment {
        key: key.to_owned(),
        value: typed_value(value),
    })
}

pub(super) async fn apply(args: &ApplyArgs, ctx: &Context) -> anyhow::Result<()> {
    let (text, against) = match args.revision {
        Some(revision) => (ConfigText::Of(revision), Vec::new()),
        None => {
            let file = ctx.config_file.or_given(args.file.as_deref());
            let Loaded { text, config, .. } = file.load()?;
            let path = file.path().display().to_string();
            let text = text.ok_or(Misuse::NothingToApply { path })?;
            (ConfigText::New(text), objections(&config, ctx))
        }
    };
    let request = ConfigRequest {
        text,
        source: RevisionSource::Cli,
        reason: args.reason.clone(),
    };
    let fleet = ctx.fleet().await?;
    let applied = fleet.apply_config(request, &ctx.actor()).await;
    let applied = applied.context("cannot put the configuration in force")?;
    ctx.output.answer(&applied, told)?;
    for warning in &applied.warnings {
        output::note(format_args!("{warning} (warning)"));
    }
    for objection in &against {
        output::note(format_args!(
            "a process with the environment of this command does not take it: {objection}"
        ));
    }
    fleet.close().await;
    Ok(())
}

/// What a process would say against it that has the environment of this command. The processes of the fleet may have
/// another one, and each of them decides for itself.
fn objections(config: &Config, ctx: &Context) -> Vec<String> {
    let Ok(settings) = ctx.settings() else {
        return Vec::new();
    };
    let listening_on = settings.http_addr.ip();
    let environment = (&ctx.environment, settings.accounts.cipher.is_some());
    compose::objections(&settings.providers, listening_on, environment)(config)
}

fn told(applied: &ConfigApplied) -> String {
    let ConfigApplied {
        revision,
        is_new,
        changed,
        ..
    } = applied;
    if !is_new {
        return format!("unchanged: it is revision {revision}, which is in force\n");
    }
    let mut text = format!("revision {revision} is in force\n");
    for key in changed {
        text.push_str(&format!("  changed: {key}\n"));
    }
    text
}

pub(super) async fn set(args: &SetArgs, ctx: &Context) -> anyhow::Result<()> {
    let Assignment { key, value } = &args.assignment;
    let ends = match (args.time, args.until) {
        (Some(time), _) => OverrideEnd::After(time),
        (None, until) => OverrideEnd::At(until.unwrap_or_default()),
    };
    let request = NewOverride {
        key: key.clone(),
        value: value.clone(),
        ends,
        reason: args.reason.clone(),
    };
    let fleet = ctx.fleet().await?;
    let set = fleet.set_override(request, &ctx.actor()).await;
    let set = set.with_context(|| format!("cannot set {key}"))?;
    ctx.output.answer(&set, holds)?;
    fleet.close().await;
    Ok(())
}

fn holds(setting: &Override) -> String {
    let Override {
        key, value, until, ..
    } = setting;
    format!("{key} = {value}, ends {}\n", age(*until, Utc::now()))
}

pub(super) async fn unset(key: &str, ctx: &Context) -> anyhow::Result<()> {
    let fleet = ctx.fleet().await?;
    let unset = fleet.unset_override(key, &ctx.actor()).await;
    unset.with_context(|| format!("no override of {key} holds"))?;
    ctx.output.answer(&json!({ "key": key }), |_| {
        format!("{key} has the value of the file again\n")
    })?;
    fleet.close().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_a_key_and_a_value_with_or_without_quotes() {
        for (text, key, value) in [
            (
                "queues.sync.concurrency=2",
                "queues.sync.concurrency",
                json!(2),
            ),
            ("defaults.timeout=5m", "defaults.timeout", json!("5m")),
            ("defaults.timeout = \"5m\"", "defaults.timeout", json!("5m")),
            (
                "defaults.backoff={ delays = [\"5s\"] }",
                "defaults.backoff",
                json!({ "delays": ["5s"] }),
            ),
        ] {
            let expected = Assignment {
                key: key.to_owned(),
                value,
            };

            assert_eq!(assignment(text), Ok(expected), "{text}");
        }
        for text in ["queues.sync.concurrency", "=2", "a="] {
            assert_eq!(assignment(text), Err(NotAnAssignment), "{text}");
        }
    }
}
