//! Replay, discard and restore: what changes dead letters, always under a name and, where nothing brings it back by
//! itself, with a reason.

use std::process::ExitCode;

use anyhow::Context as _;
use queue::{ReplayAnswer, ReplayRequest};
use serde_json::{Value, json};

use super::select::SelectionArgs;
use crate::{commands::Context, failure::Misuse};

/// What to replay, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct ReplayArgs {
    #[command(flatten)]
    selection: SelectionArgs,
    /// Only tell what would happen
    #[arg(long)]
    dry_run: bool,
    /// Change the payloads: a JSON merge patch
    #[arg(long, value_name = "JSON")]
    patch: Option<String>,
    /// Why, for the audit
    #[arg(long)]
    reason: Option<String>,
    /// Try so many first; not in this release
    #[arg(long, value_name = "N")]
    canary: Option<u32>,
    /// Enqueue no faster than this, such as 10/s; not in this release
    #[arg(long, value_name = "RATE")]
    rate: Option<String>,
}

/// What to change, and why.
#[derive(Debug, clap::Args)]
pub(crate) struct ReasonedArgs {
    #[command(flatten)]
    selection: SelectionArgs,
    /// Why, for the audit
    #[arg(long)]
    reason: String,
}

pub(super) async fn replay(args: &ReplayArgs, ctx: &Context) -> anyhow::Result<ExitCode> {
    if args.canary.is_some() {
        return Err(Misuse::NotYet("--canary").into());
    }
    if args.rate.is_some() {
        return Err(Misuse::NotYet("--rate").into());
    }
    let request = ReplayRequest {
        selection: args.selection.selection()?,
        dry_run: args.dry_run,
        patch: args.patch.as_deref().map(read_patch).transpose()?,
        reason: args.reason.clone(),
    };
    let answer = ctx.queue().await?.replay(request, &ctx.actor()).await;
    let answer = answer.context("cannot replay")?;
    ctx.output.answer(&answer, told)?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn discard(args: &ReasonedArgs, ctx: &Context) -> anyhow::Result<ExitCode> {
    let selection = args.selection.selection()?;
    let count = ctx
        .queue()
        .await?
        .discard(selection, &args.reason, &ctx.actor())
        .await;
    let count = count.context("cannot discard")?;
    ctx.output.answer(&json!({ "count": count }), |_| {
        format!("{count} discarded; `millpond dead restore` brings them back\n")
    })?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn restore(args: &ReasonedArgs, ctx: &Context) -> anyhow::Result<ExitCode> {
    let selection = args.selection.selection()?;
    let count = ctx
        .queue()
        .await?
        .restore(selection, &args.reason, &ctx.actor())
        .await;
    let count = count.context("cannot restore")?;
    ctx.output.answer(&json!({ "count": count }), |_| {
        format!("{count} restored\n")
    })?;
    Ok(ExitCode::SUCCESS)
}

fn read_patch(text: &str) -> Result<Value, Misuse> {
    serde_json::from_str(text).map_err(|source| Misuse::NotJson {
        argument: "--patch".to_owned(),
        source,
    })
}

fn told(answer: &ReplayAnswer) -> String {
    let mut text = match &answer.replay_id {
        Some(id) => format!(
            "replay {id}: {} of {} will run again; `millpond replays show {id}` follows it\n",
            answer.will_enqueue, answer.matched
        ),
        None => format!(
            "{} of {} would run again\n",
            answer.will_enqueue, answer.matched
        ),
    };
    for skipped in &answer.skipped {
        text.push_str(&format!(
            "  {} skipped: {}\n",
            skipped.count, skipped.reason
        ));
    }
    text
}
