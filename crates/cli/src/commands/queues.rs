//! `millpond queues`: what waits where, what keeps it, and who paused it.

use std::process::ExitCode;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use queue::{Paused, QueueStatus};

use super::{Context, explanation};
use crate::output::{
    Table,
    words::{age, future, or_dash, short_span},
};

/// What can be done with queues.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List queues with what waits in them
    List,
    /// Say what keeps a queue's jobs from running, and when a job that came now should start
    Explain {
        /// The queue
        name: String,
    },
    /// Stop claiming a queue's jobs; what runs goes on
    Pause(PauseArgs),
    /// Claim a queue's jobs again
    Resume {
        /// The queue
        name: String,
    },
}

/// Which queue to pause, and why.
#[derive(Debug, clap::Args)]
pub(crate) struct PauseArgs {
    /// The queue
    name: String,
    /// Why, for those who wonder
    #[arg(long)]
    reason: Option<String>,
    /// Resume by itself: RFC 3339, or a span such as 2h from now
    #[arg(long, value_name = "TIME", value_parser = future)]
    until: Option<DateTime<Utc>>,
}

pub(super) async fn run(command: &Command, ctx: &Context) -> anyhow::Result<ExitCode> {
    let queue = ctx.queue().await?;
    match command {
        Command::List => {
            let queues = queue.queues(None).await.context("cannot list queues")?;
            ctx.output.answer(&queues, |queues| table(queues))?;
        }
        Command::Explain { name } => {
            let told = queue.explain_queue(name).await;
            let told = told.with_context(|| format!("cannot explain queue {name:?}"))?;
            ctx.output.answer(&told, explanation::shown)?;
        }
        Command::Pause(PauseArgs {
            name,
            reason,
            until,
        }) => {
            let paused = queue
                .pause_queue(name, reason.as_deref(), *until, &ctx.actor())
                .await;
            let paused = paused.with_context(|| format!("cannot pause queue {name:?}"))?;
            ctx.output.answer(&paused, |queue| {
                let pause = queue.paused.as_ref().map(pause);
                format!(
                    "queue {name} is {}\n",
                    pause.as_deref().unwrap_or("running")
                )
            })?;
        }
        Command::Resume { name } => {
            let resumed = queue.resume_queue(name, &ctx.actor()).await;
            let resumed = resumed.with_context(|| format!("cannot resume queue {name:?}"))?;
            ctx.output
                .answer(&resumed, |_| format!("queue {name} runs again\n"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn table(queues: &[QueueStatus]) -> Table<9> {
    let mut table = Table::new(
        [
            "queue",
            "scheduled",
            "ready",
            "running",
            "retrying",
            "dead",
            "oldest ready",
            "slots",
            "paused",
        ],
        "no queue is known yet: they appear when a worker starts or a job is enqueued",
    );
    for queue in queues {
        let depth = |state: &str| {
            queue
                .depth
                .get(state)
                .copied()
                .unwrap_or_default()
                .to_string()
        };
        table.row([
            queue.name.clone(),
            depth("scheduled"),
            depth("ready"),
            depth("running"),
            depth("retrying"),
            depth("dead"),
            or_dash(queue.oldest_ready_seconds.map(seconds)),
            format!("{}/{}", queue.slots_used, queue.slots),
            pause_or_no(queue.paused.as_ref()),
        ]);
    }
    table
}

/// A pause as a cell of a list.
pub(super) fn pause_or_no(paused: Option<&Paused>) -> String {
    paused.map_or_else(|| "no".to_owned(), pause)
}

/// Who paused something, when, until when and why.
pub(super) fn pause(paused: &Paused) -> String {
    let now = Utc::now();
    let mut text = format!("paused by {} {}", paused.by, age(paused.since, now));
    if let Some(until) = paused.until {
        text.push_str(&format!(", resumes {}", age(until, now)));
    }
    if let Some(reason) = &paused.reason {
        text.push_str(&format!(": {reason}"));
    }
    text
}

fn seconds(seconds: f64) -> String {
    // A saturating cast: an age is shown whole, and no age is beyond an i64.
    short_span(chrono::TimeDelta::try_seconds(seconds as i64).unwrap_or_default())
}
