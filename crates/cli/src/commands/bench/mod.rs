//! `millpond bench`: Millpond's figures beside what the machine can do, measured in the same run. It is the only place
//! from which speed is quoted. What one process can measure by itself stands in `queue`; here is what takes HTTP or whole
//! processes.

mod bare_http;
mod child;
mod document;
mod ground;
mod http;
mod load;
mod memory;
mod plots;
mod processes;
mod sink;
mod start;
mod table;
mod wire;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, anyhow};
use clap::builder::PossibleValuesParser;
use queue::bench::{BenchSettings, Report, bench};
use secrecy::SecretString;

use self::{document::Document, ground::Ground};
use super::Context;
use crate::{
    compose::{self, Connections},
    dev::{Home, Postgres, Runner},
    output::note,
    shutdown::Shutdown,
};

/// The figures that can be asked for, in the order of the documentation.
const FIGURES: [&str; 16] = [
    "P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8", "P9", "P10", "P11", "P12", "P13", "P15", "P18",
    "P19",
];

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
    /// Fills and drains of P12, the size of the hot table
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u8).range(2..=100))]
    fills: u8,
    /// The figures to measure; all unless given.
    #[arg(long, value_name = "IDS", value_delimiter = ',', value_parser = PossibleValuesParser::new(FIGURES))]
    only: Vec<String>,
    /// Measures claims beside 10,000,000 finished jobs too, which takes minutes to prepare.
    #[arg(long)]
    large: bool,
    /// Writes plots into this folder.
    #[arg(long, value_name = "DIR")]
    svg: Option<PathBuf>,
}

/// Measures and prints; a goal that was missed is a figure, not a failure.
///
/// # Errors
/// When the database fails, or holds work already; when a child of the benchmark fails.
pub async fn run(args: &Args, ctx: &Context) -> anyhow::Result<ExitCode> {
    let settings = BenchSettings {
        rounds: usize::from(args.rounds),
        jobs: usize::try_from(args.jobs)?,
        fills: usize::from(args.fills),
        only: args.only.clone(),
        large: args.large,
    };
    if cfg!(debug_assertions) {
        note("this is a debug build: its figures say nothing; use `cargo build --release -p cli`");
    }
    let folder = Scratch::new()?;
    let place = Place {
        ctx,
        folder: &folder.0,
        settings: &settings,
    };
    let measured = match &args.database_url {
        Some(url) => {
            place
                .until_interrupted(&SecretString::from(url.as_str()))
                .await
        }
        None => place.on_private_server().await,
    };
    let document = Document::new(measured?);
    if let Some(dir) = &args.svg {
        let written = plots::write(dir, &document.report.figures);
        let written = written.with_context(|| format!("cannot write {}", dir.display()))?;
        for path in written {
            note(path.display());
        }
    }
    ctx.output.answer(&document, table::of)?;
    Ok(ExitCode::SUCCESS)
}

/// Where a benchmark runs.
struct Place<'a> {
    ctx: &'a Context,
    folder: &'a Path,
    settings: &'a BenchSettings,
}

impl Place<'_> {
    async fn on_private_server(&self) -> anyhow::Result<Report> {
        let environment = &self.ctx.environment;
        let runner = Runner::choose(environment).await?;
        let home = Home::open(self.folder, runner.is_another())?;
        let postgres = Postgres::start(&home, environment, runner).await?;
        let measured = self.until_interrupted(postgres.url()).await;
        postgres.stop().await?;
        measured
    }

    /// Dropping what measures ends its children.
    async fn until_interrupted(&self, url: &SecretString) -> anyhow::Result<Report> {
        let shutdown = Shutdown::listen(true)?;
        tokio::select! {
            measured = Box::pin(self.measure(url)) => measured,
            () = shutdown.token().cancelled() => Err(anyhow!("interrupted before the end")),
        }
    }

    async fn measure(&self, url: &SecretString) -> anyhow::Result<Report> {
        let db = compose::connect(url.clone(), Connections::Many).await?;
        db.migrate().await?;
        let mut report = Box::pin(bench(&db, self.settings, &|at| note(at))).await?;
        let ground = Ground {
            db,
            url,
            folder: self.folder,
            environment: &self.ctx.environment,
            settings: self.settings,
        };
        Box::pin(memory::measure(&ground, &mut report)).await?;
        Box::pin(processes::measure(&ground, &mut report)).await?;
        Box::pin(start::measure(&ground, &mut report)).await?;
        // Last: from here on this process records metrics, which the figures before it are compared without.
        Box::pin(http::measure(&ground, &mut report)).await?;
        ground.db.close().await;
        report.sort();
        Ok(report)
    }
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
