//! `millpond rates`: rates of exchange are loaded from a file.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use marketing::rates::{LoadedRates, RateFile, Rates};

use super::Context;
use crate::failure::Misuse;

/// Largest file of rates.
const LARGEST_BYTES: u64 = 64 << 20;

/// What can be done with rates.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Load day,currency,rate a line: what one unit of the currency was worth in the reporting currency
    Load(LoadArgs),
}

/// Which rates, and to which currency they lead.
#[derive(Debug, clap::Args)]
pub(crate) struct LoadArgs {
    /// Lines such as 2026-11-20,USD,0.8621; a header may name the columns
    file: PathBuf,
    /// In which currency everything is reported; to be said once, or told by a currency whose rate is always 1
    #[arg(long, value_name = "CURRENCY")]
    reporting_currency: Option<String>,
    /// Forget all rates that are there first: needed for another reporting currency
    #[arg(long)]
    start_over: bool,
}

pub(super) async fn run(command: &Command, ctx: &Context) -> anyhow::Result<ExitCode> {
    let Command::Load(args) = command;
    let file = read(&args.file)?;
    let queue = ctx.fleet().await?;
    let rates = Rates::new(queue.clone());
    let loading = rates.load(&file, args.reporting_currency.as_deref(), args.start_over);
    let loaded = Box::pin(loading).await;
    queue.close().await;
    let loaded = loaded.context("cannot load the rates")?;
    ctx.output.answer(&loaded, told)?;
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path) -> anyhow::Result<RateFile> {
    let unreadable = |source| Misuse::Unreadable {
        path: path.display().to_string(),
        source,
    };
    let size_bytes = fs::metadata(path).map_err(unreadable)?.len();
    anyhow::ensure!(
        size_bytes <= LARGEST_BYTES,
        "{} is larger than 64 MiB: split it",
        path.display()
    );
    let text = fs::read_to_string(path).map_err(unreadable)?;
    RateFile::parse(&text).with_context(|| format!("{} is not loaded", path.display()))
}

fn told(loaded: &LoadedRates) -> String {
    let LoadedRates {
        reporting_currency,
        rates,
        changed,
        marked,
    } = loaded;
    format!(
        "{changed} of {rates} rates to {reporting_currency} were new or differed; {marked} days and months of accounts will be \
         added up anew\n"
    )
}
