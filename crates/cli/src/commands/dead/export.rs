//! `millpond dead export`: every dead letter that matches, whole, a line each, however many there are.

use std::process::ExitCode;

use anyhow::Context as _;
use queue::{AdminError, PageRequest, Resolution};

use super::select::{FilterArgs, resolution};
use crate::{commands::Context, output};

/// Dead letters that are listed at a time.
const PAGE: i64 = 500;

/// Which dead letters to write.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    filter: FilterArgs,
    /// Write those that were dealt with: replayed or discarded
    #[arg(long, value_parser = resolution)]
    resolution: Option<Resolution>,
}

pub(super) async fn run(args: &Args, ctx: &Context) -> anyhow::Result<ExitCode> {
    let queue = ctx.queue().await?;
    let filter = args.filter.filter(args.resolution);
    let (mut cursor, mut written) = (None, 0_u64);
    loop {
        let page = PageRequest::new(Some(PAGE), cursor)?;
        let letters = queue.dead_letters(&filter, &page).await;
        let letters = letters.context("cannot list dead letters")?;
        for letter in letters.items {
            let id = letter.job.id;
            match queue.dead_letter(id, None).await {
                Ok(letter) => {
                    ctx.output.json_line(&letter)?;
                    written += 1;
                }
                // Retention or a person may take one away while the list is being written.
                Err(AdminError::NotFound) => {}
                Err(error) => {
                    return Err(error).with_context(|| format!("cannot read dead letter {id}"));
                }
            }
        }
        cursor = letters.next;
        if cursor.is_none() {
            output::note(format_args!("{written} dead letters written"));
            return Ok(ExitCode::SUCCESS);
        }
    }
}
