//! Dead letters in lists, in groups, and one by one.

use std::process::ExitCode;

use anyhow::Context as _;
use chrono::Utc;
use queue::{DeadGroup, DeadLetterDetail, DeadLetterSummary, JobId};

use super::{GroupsArgs, ListArgs};
use crate::{
    commands::{
        Context,
        jobs::{attempts, log_lines, summary},
        page::note_more,
    },
    output::{
        Table,
        words::{age, or_dash},
    },
};

pub(super) async fn list(args: &ListArgs, ctx: &Context) -> anyhow::Result<ExitCode> {
    let (filter, page) = (args.filter.filter(args.resolution), args.page.request()?);
    let letters = ctx.queue().await?.dead_letters(&filter, &page).await;
    let letters = letters.context("cannot list dead letters")?;
    ctx.output
        .answer(&letters, |letters| table(&letters.items))?;
    if !ctx.output.is_json() {
        note_more(letters.next.as_deref());
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn groups(args: &GroupsArgs, ctx: &Context) -> anyhow::Result<ExitCode> {
    let (filter, page) = (args.filter.filter(None), args.page.request()?);
    let groups = ctx.queue().await?.dead_groups(&filter, &page).await;
    let groups = groups.context("cannot list groups of dead letters")?;
    ctx.output
        .answer(&groups, |groups| group_table(&groups.items))?;
    if !ctx.output.is_json() {
        note_more(groups.next.as_deref());
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn show(id: JobId, ctx: &Context) -> anyhow::Result<ExitCode> {
    let letter = ctx.queue().await?.dead_letter(id, None).await;
    let letter = letter.with_context(|| format!("cannot show dead letter {id}"))?;
    ctx.output.answer(&letter, detail)?;
    Ok(ExitCode::SUCCESS)
}

fn table(letters: &[DeadLetterSummary]) -> Table<7> {
    let now = Utc::now();
    let mut table = Table::new(
        [
            "id",
            "kind",
            "died",
            "class",
            "fingerprint",
            "resolution",
            "error",
        ],
        "no dead letters match",
    );
    for letter in letters {
        table.row([
            letter.job.id.to_string(),
            letter.job.kind.clone(),
            age(letter.died_at, now),
            or_dash(letter.job.error_class.as_deref()),
            letter.fingerprint.clone(),
            or_dash(letter.resolution.as_deref()),
            or_dash(letter.job.error.as_deref()),
        ]);
    }
    table
}

fn group_table(groups: &[DeadGroup]) -> Table<7> {
    let now = Utc::now();
    let mut table = Table::new(
        [
            "fingerprint",
            "kind",
            "class",
            "count",
            "last",
            "state",
            "sample",
        ],
        "no dead letters match",
    );
    for group in groups {
        table.row([
            group.fingerprint.clone(),
            group.kind.clone(),
            group.error_class.clone(),
            group.count.to_string(),
            age(group.last_seen, now),
            group.state.clone(),
            group.sample_error.clone(),
        ]);
    }
    table
}

fn detail(letter: &DeadLetterDetail) -> String {
    let mut head = summary(&letter.summary.job);
    head.add("died", age(letter.summary.died_at, Utc::now()));
    head.add("fingerprint", &letter.summary.fingerprint);
    head.add_some("resolution", letter.summary.resolution.as_deref());
    head.add_some("resolved by", letter.summary.resolved_by.as_deref());
    head.add_some("reason", letter.summary.resolve_reason.as_deref());
    head.add("payload", &letter.payload);
    head.add_some("progress", letter.progress.as_ref());
    format!(
        "{head}\n{}{}",
        attempts(&letter.attempts),
        log_lines(&letter.log)
    )
}
