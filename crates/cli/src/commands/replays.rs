//! `millpond replays`: replay runs are watched, paused, resumed and aborted.

use std::{process::ExitCode, time::Duration};

use anyhow::Context as _;
use chrono::Utc;
use queue::{Queue, Replay, ReplayDetail};
use uuid::Uuid;

use super::{
    Context,
    page::{PageArgs, note_more},
};
use crate::output::{
    Details, Table,
    words::{age, age_or_dash, or_dash},
};

/// How often `show --watch` looks.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// What can be done with replay runs.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List replay runs, the newest first
    List(PageArgs),
    /// Show one run with its first 500 items
    Show {
        /// The run's id
        id: Uuid,
        /// Follow it until it and its jobs have ended, a line whenever something changed; with --json a JSON document a
        /// line
        #[arg(long)]
        watch: bool,
    },
    /// Stop enqueueing; `resume` goes on
    Pause(IdArg),
    /// Go on with a paused run
    Resume(IdArg),
    /// End a run; what it enqueued stays
    Abort(IdArg),
}

/// One run.
#[derive(Debug, clap::Args)]
pub(crate) struct IdArg {
    /// The run's id
    id: Uuid,
}

pub(super) async fn run(command: &Command, ctx: &Context) -> anyhow::Result<ExitCode> {
    let queue = ctx.queue().await?;
    let actor = ctx.actor();
    let (changed, id) = match command {
        Command::List(page) => return list(&queue, page, ctx).await,
        Command::Show { id, watch: false } => {
            let run = queue.replay_run(*id, None).await;
            let run = run.with_context(|| format!("cannot show replay {id}"))?;
            ctx.output.answer(&run, detail)?;
            return Ok(ExitCode::SUCCESS);
        }
        Command::Show { id, watch: true } => return watch(&queue, *id, ctx).await,
        Command::Pause(IdArg { id }) => (queue.pause_replay(*id, &actor).await, id),
        Command::Resume(IdArg { id }) => (queue.resume_replay(*id, &actor).await, id),
        Command::Abort(IdArg { id }) => (queue.abort_replay(*id, &actor).await, id),
    };
    let replay = changed.with_context(|| format!("cannot change replay {id}"))?;
    ctx.output.answer(&replay, |replay| {
        format!("replay {id} is {}\n", replay.status)
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn list(queue: &Queue, page: &PageArgs, ctx: &Context) -> anyhow::Result<ExitCode> {
    let runs = queue
        .replays(&page.request()?, None)
        .await
        .context("cannot list replays")?;
    ctx.output.answer(&runs, |runs| table(&runs.items))?;
    if !ctx.output.is_json() {
        note_more(runs.next.as_deref());
    }
    Ok(ExitCode::SUCCESS)
}

/// A line of text, and with `--json` one of JSON, whenever something changed, until the run and its jobs have ended.
async fn watch(queue: &Queue, id: Uuid, ctx: &Context) -> anyhow::Result<ExitCode> {
    let mut shown = String::new();
    loop {
        // Asked first, so that the last line is of a run that changes no more.
        let is_settled = queue.is_replay_settled(id, None).await;
        let is_settled = is_settled.with_context(|| format!("cannot follow replay {id}"))?;
        let run = queue.replay_run(id, None).await;
        let replay = run
            .with_context(|| format!("cannot follow replay {id}"))?
            .replay;
        let line = progress(&replay);
        if line != shown {
            ctx.output.line(&line)?;
            if ctx.output.is_json() {
                ctx.output.json_line(&replay)?;
            }
            shown = line;
        }
        if is_settled {
            return Ok(ExitCode::SUCCESS);
        }
        tokio::time::sleep(WATCH_EVERY).await;
    }
}

fn progress(replay: &Replay) -> String {
    let Replay {
        status,
        total,
        enqueued,
        succeeded,
        dead,
        skipped,
        ..
    } = replay;
    format!(
        "{status}: {enqueued} of {total} enqueued, {succeeded} succeeded, {dead} dead, {skipped} skipped"
    )
}

fn table(runs: &[Replay]) -> Table<9> {
    let now = Utc::now();
    let mut table = Table::new(
        [
            "id",
            "status",
            "created",
            "by",
            "total",
            "enqueued",
            "succeeded",
            "dead",
            "skipped",
        ],
        "no replay was ever asked for",
    );
    for run in runs {
        table.row([
            run.id.to_string(),
            run.status.clone(),
            age(run.created_at, now),
            run.created_by.clone(),
            run.total.to_string(),
            run.enqueued.to_string(),
            run.succeeded.to_string(),
            run.dead.to_string(),
            run.skipped.to_string(),
        ]);
    }
    table
}

fn detail(run: &ReplayDetail) -> String {
    let (replay, now) = (&run.replay, Utc::now());
    let mut head = Details::default();
    head.add("id", replay.id);
    head.add("status", &replay.status);
    head.add(
        "created",
        format_args!("{} by {}", age(replay.created_at, now), replay.created_by),
    );
    head.add_some("reason", replay.reason.as_deref());
    head.add("finished", age_or_dash(replay.finished_at, now));
    head.add("total", replay.total);
    head.add("enqueued", replay.enqueued);
    head.add("succeeded", replay.succeeded);
    head.add("dead", replay.dead);
    head.add("skipped", replay.skipped);
    let mut items = Table::new(["dead letter", "job", "outcome"], "no items");
    for item in &run.items {
        items.row([
            item.dead_letter.to_string(),
            or_dash(item.job),
            or_dash(item.outcome.as_deref()),
        ]);
    }
    format!("{head}\n{items}")
}
