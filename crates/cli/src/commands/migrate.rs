//! `millpond migrate`: brings the schema up to date, or tells what is missing.

use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::json;

use super::Context;
use crate::{
    compose::{self, Connections},
    failure::FAILED,
    output::Output,
};

/// Whether to act or to look.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only list what is pending; exit 1 when something is
    #[arg(long)]
    check: bool,
}

pub(super) async fn run(args: &Args, ctx: &Context) -> anyhow::Result<ExitCode> {
    let database = compose::connect(ctx.database_url()?, Connections::Few).await?;
    if args.check {
        let pending = database
            .pending_migrations()
            .await
            .context("cannot read the schema")?;
        show(ctx.output, "pending", &pending)?;
        return Ok(if pending.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(FAILED)
        });
    }
    let applied = database
        .migrate()
        .await
        .context("cannot bring the schema up to date")?;
    show(ctx.output, "applied", &applied)?;
    Ok(ExitCode::SUCCESS)
}

fn show(
    output: Output,
    what: &'static str,
    migrations: &[queue::MigrationInfo],
) -> anyhow::Result<()> {
    output.answer(&json!({ what: migrations }), |_| {
        let lines = migrations
            .iter()
            .map(|migration| format!("{what}: {:04} {}\n", migration.version, migration.name));
        match migrations {
            [] => "the schema is up to date\n".to_owned(),
            _ => lines.collect(),
        }
    })?;
    Ok(())
}
