//! Having figures of past days read anew.

use anyhow::Context as _;
use chrono::NaiveDate;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use marketing::{
    accounts::{AccountId, Accounts},
    sync::Days,
};
use providers::platform::Level;
use queue::Source;

use crate::commands::Context;

/// Which days, and of what.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The account's id
    id: AccountId,
    /// The first day, by the account's clock
    #[arg(long, value_name = "YYYY-MM-DD")]
    from: NaiveDate,
    /// The last day; it is read too
    #[arg(long, value_name = "YYYY-MM-DD")]
    to: NaiveDate,
    /// Of what; may be repeated. All of them unless given
    #[arg(long = "level", value_parser = level())]
    levels: Vec<Level>,
}

fn level() -> impl TypedValueParser<Value = Level> {
    PossibleValuesParser::new(Level::ALL.map(Level::as_str)).map(|word| {
        let mut levels = Level::ALL.into_iter();
        let level = levels.find(|level| level.as_str() == word);
        level.expect("no other word is possible")
    })
}

pub(super) async fn run(args: &Args, accounts: &Accounts, ctx: &Context) -> anyhow::Result<()> {
    let mut levels = args.levels.clone();
    if levels.is_empty() {
        levels.extend(Level::ALL);
    }
    let days = Days {
        from: args.from,
        to: args.to,
    };
    let asked = accounts.backfill((args.id, None), days, &levels, Source::Cli);
    let done = Box::pin(asked).await;
    let done = done.with_context(|| format!("cannot back-fill account {}", args.id))?;
    ctx.output.answer(&done, |done| {
        let known = match done.deduplicated {
            0 => String::new(),
            known => format!(", {known} were there already"),
        };
        format!(
            "{} jobs read these days and let all others go first{known}: millpond jobs list --kind sync.insights\n",
            done.created
        )
    })?;
    Ok(())
}
