//! `millpond bench`: Millpond's figures beside what the machine can do, measured in the same run. It is the only place
//! from which speed is quoted. What one process can measure by itself stands in `queue`; here is what takes HTTP or whole
//! processes.

mod bare_http;
mod child;
mod document;
mod ground;
mod http;
mod idle;
mod latency;
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

use anyhow::{Context as _, bail};
use clap::builder::PossibleValuesParser;
use queue::bench::{Bench, BenchSettings, Report};
use secrecy::SecretString;
use uuid::Uuid;

use self::{
    document::Document,
    ground::{Ground, Server},
};
use super::Context;
use crate::{
    compose::{self, Connections},
    dev::{Home, Postgres, Runner},
    failure::FAILED,
    output::note,
    shutdown::Shutdown,
};

/// The figures that can be asked for, in the order of the documentation.
const FIGURES: [&str; 17] = [
    "P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8", "P9", "P10", "P11", "P12", "P13", "P14", "P15",
    "P18", "P19",
];

/// What is measured, and where.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// An empty database to measure on; without it a private PostgreSQL is made, and removed afterwards.
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// Rounds of each figure; three of all take about a quarter of an hour.
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

/// Measures and prints. A goal that was missed is a figure, not a failure; what could not be measured is one, and costs
/// the other figures nothing.
///
/// # Errors
/// When there is no database, or it holds work already.
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
            let url = SecretString::from(url.as_str());
            place.on_database(&url, Server::Given).await
        }
        None => place.on_private_server().await,
    };
    let Measured { report, is_whole } = measured?;
    let is_good = is_whole && !report.has_failures();
    let document = Document::new(report);
    ctx.output.answer(&document, table::of)?;
    if let Some(dir) = &args.svg {
        let written = plots::write(dir, &document.report.figures);
        let written = written.with_context(|| format!("cannot write {}", dir.display()))?;
        for path in written {
            note(path.display());
        }
    }
    Ok(if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FAILED)
    })
}

/// What came of a benchmark.
struct Measured {
    report: Report,
    /// Whether it came to its end.
    is_whole: bool,
}

/// Where a benchmark runs.
struct Place<'a> {
    ctx: &'a Context,
    folder: &'a Path,
    settings: &'a BenchSettings,
}

impl Place<'_> {
    async fn on_private_server(&self) -> anyhow::Result<Measured> {
        let environment = &self.ctx.environment;
        let runner = Runner::choose(environment).await?;
        let home = Home::open(self.folder, runner.is_another())?;
        let postgres = Postgres::start(&home, environment, runner).await?;
        let measured = self.on_database(postgres.url(), Server::Private).await;
        if let Err(error) = postgres.stop().await {
            note(format_args!("the private PostgreSQL did not stop: {error}"));
        }
        measured
    }

    /// Measures until all is done or somebody interrupts it. Dropping what measures ends its children.
    async fn on_database(&self, url: &SecretString, server: Server) -> anyhow::Result<Measured> {
        let shutdown = Shutdown::listen(true)?;
        let ground = Ground {
            db: compose::connect_lazily(url.clone(), Connections::Many).await?,
            url,
            server,
            key_name: format!("bench {}", Uuid::new_v4()),
            folder: self.folder,
            environment: &self.ctx.environment,
            settings: self.settings,
        };
        let beginning = async {
            ground.db.migrate().await?;
            anyhow::Ok(Bench::begin(&ground.db, self.settings, &say).await?)
        };
        let mut bench = tokio::select! {
            begun = Box::pin(beginning) => begun?,
            () = shutdown.token().cancelled() => bail!("interrupted before the beginning"),
        };
        let is_whole = tokio::select! {
            () = Box::pin(measure(&ground, &mut bench)) => true,
            () = shutdown.token().cancelled() => {
                note("interrupted: this is what was measured until then");
                false
            }
        };
        // A second signal would leave the server running.
        drop(shutdown);
        ground.leave().await;
        Ok(Measured {
            report: bench.end(),
            is_whole,
        })
    }
}

fn say(at: &str) {
    note(at);
}

/// Measures everything that is wanted.
async fn measure(ground: &Ground<'_>, bench: &mut Bench<'_>) {
    Box::pin(bench.measure_engine()).await;
    let what = "enqueue to start in another process";
    let two_processes = Box::pin(latency::measure(ground));
    bench.measure(&["P8"], what, two_processes).await;
    let idle = Box::pin(idle::measure(ground));
    bench.measure(&["P9"], "an idle process", idle).await;
    let what = "peak memory of whole processes";
    let memory = Box::pin(memory::measure(ground));
    bench.measure(&["P10"], what, memory).await;
    let what = "one to eight worker processes on one queue";
    let processes = Box::pin(processes::measure(ground));
    bench.measure(&["P15"], what, processes).await;
    let starts = Box::pin(start::starts(ground));
    bench.measure(&["P18"], "starts", starts).await;
    let size = async { start::size() };
    bench.measure(&["P19"], "size of the program", size).await;
    // Last: from here on this process records metrics, which the figures before it are compared without.
    Box::pin(http::measure(ground, bench)).await;
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
