//! `millpond bench`: the engine's figures beside what the machine can do, measured in the same run. It is the only place
//! from which speed is quoted.

mod table;

use std::{fs, path::PathBuf, process::ExitCode};

use queue::{
    Database,
    bench::{BenchSettings, Report, bench},
};
use secrecy::SecretString;

use super::Context;
use crate::{
    compose::{self, Connections},
    dev::{Home, Postgres, Runner},
    output::note,
};

/// What is measured, and where.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// An empty database to measure on; without it a private PostgreSQL is made, and removed afterwards.
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// Rounds of each figure.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=20))]
    rounds: u8,
    /// Jobs of a fill and drain.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1_000..=10_000_000))]
    jobs: u32,
    /// Fills and drains between the two measurements of the hot table's size.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u8).range(2..=100))]
    fills: u8,
}

/// Measures and prints; a goal that was missed is a figure, not a failure.
///
/// # Errors
/// When the database fails, or holds work already.
pub async fn run(args: &Args, ctx: &Context) -> anyhow::Result<ExitCode> {
    let settings = BenchSettings {
        rounds: usize::from(args.rounds),
        jobs: usize::try_from(args.jobs)?,
        fills: usize::from(args.fills),
    };
    if cfg!(debug_assertions) {
        note("this is a debug build: its figures say nothing; use `cargo build --release -p cli`");
    }
    let report = match &args.database_url {
        Some(url) => measure(SecretString::from(url.as_str()), &settings).await?,
        None => on_private_server(&settings, ctx).await?,
    };
    ctx.output.answer(&report, table::of)?;
    Ok(ExitCode::SUCCESS)
}

async fn measure(url: SecretString, settings: &BenchSettings) -> anyhow::Result<Report> {
    let db: Database = compose::connect(url, Connections::Many).await?;
    db.migrate().await?;
    let report = bench(&db, settings, &|at| note(at)).await?;
    db.close().await;
    Ok(report)
}

async fn on_private_server(settings: &BenchSettings, ctx: &Context) -> anyhow::Result<Report> {
    let folder = Scratch::new()?;
    let runner = Runner::choose(&ctx.environment).await?;
    let home = Home::open(&folder.0, runner.is_another())?;
    let postgres = Postgres::start(&home, &ctx.environment, runner).await?;
    let measured = tokio::select! {
        measured = measure(postgres.url().clone(), settings) => measured,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted before the end")),
    };
    postgres.stop().await?;
    measured
}

/// A folder that is removed at the end, however it comes.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> std::io::Result<Self> {
        let path = std::env::temp_dir().join(format!("millpond-bench-{}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            note(format_args!(
                "{} could not be removed: {error}",
                self.0.display()
            ));
        }
    }
}
