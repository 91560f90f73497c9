//! `millpond jobs`: look at jobs, ask why they do not run, cancel them, let waiting ones run now.

use std::process::ExitCode;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use queue::{Attempt, JobDetail, JobFilter, JobId, JobState, JobSummary, LogEntry};

use super::{
    Context, explanation,
    page::{PageArgs, note_more},
};
use crate::output::{
    Details, LONGEST_TEXT, Table, one_line,
    words::{age, age_or_dash, or_dash, past},
};

/// What can be done with jobs.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List jobs, the newest first
    List(Box<ListArgs>),
    /// Show one job with its payload, attempts and log
    Show(IdArg),
    /// Say why a job is not running: every gate, who holds it, and when it should start
    Explain(IdArg),
    /// Stop a job: a waiting one at once, a running one as soon as it hears of it
    Cancel(IdArg),
    /// Let a scheduled or retrying job run at once
    RunNow(IdArg),
}

/// One job.
#[derive(Debug, clap::Args)]
pub(crate) struct IdArg {
    /// The job's id
    id: JobId,
}

/// Which jobs to list.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// scheduled, ready, running, retrying, succeeded, cancelled or dead
    #[arg(long)]
    state: Option<JobState>,
    /// A kind, such as email.send
    #[arg(long)]
    kind: Option<String>,
    /// A queue
    #[arg(long)]
    queue: Option<String>,
    /// A customer of the upstream app
    #[arg(long)]
    tenant: Option<String>,
    /// A tag; may be repeated
    #[arg(long = "tag", value_name = "NAME=VALUE", value_parser = tag)]
    tags: Vec<(String, String)>,
    /// Enqueued since: RFC 3339, or a span such as 2h before now
    #[arg(long, value_name = "TIME", value_parser = past)]
    since: Option<DateTime<Utc>>,
    /// Enqueued until: RFC 3339, or a span such as 2h before now
    #[arg(long, value_name = "TIME", value_parser = past)]
    until: Option<DateTime<Utc>>,
    #[command(flatten)]
    page: PageArgs,
}

/// A tag that is no tag.
#[derive(Debug, thiserror::Error)]
#[error("a tag is written NAME=VALUE")]
pub(crate) struct NotATag;

pub(super) async fn run(command: &Command, ctx: &Context) -> anyhow::Result<ExitCode> {
    match command {
        Command::List(args) => list(args, ctx).await,
        Command::Show(IdArg { id }) => {
            let job = ctx.queue().await?.job(*id, None).await;
            let job = job.with_context(|| format!("cannot show job {id}"))?;
            ctx.output.answer(&job, detail)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Explain(IdArg { id }) => {
            let told = ctx.queue().await?.explain_job(*id, None).await;
            let told = told.with_context(|| format!("cannot explain job {id}"))?;
            ctx.output.answer(&told, explanation::shown)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Cancel(IdArg { id }) => {
            let job = ctx.queue().await?.cancel(*id, &ctx.actor()).await;
            let job = job.with_context(|| format!("cannot cancel job {id}"))?;
            ctx.output.answer(&job, |job| {
                if job.cancel_requested && !is_final(&job.summary.state) {
                    format!("job {id} runs and was asked to stop\n")
                } else {
                    format!("job {id} is {}\n", job.summary.state)
                }
            })?;
            Ok(ExitCode::SUCCESS)
        }
        Command::RunNow(IdArg { id }) => {
            let job = ctx.queue().await?.run_now(*id, &ctx.actor()).await;
            let job = job.with_context(|| format!("cannot run job {id} now"))?;
            ctx.output
                .answer(&job, |job| format!("job {id} is {}\n", job.summary.state))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn list(args: &ListArgs, ctx: &Context) -> anyhow::Result<ExitCode> {
    let filter = JobFilter {
        state: args.state,
        kind: args.kind.clone(),
        queue: args.queue.clone(),
        tenant: args.tenant.clone(),
        tags: args.tags.clone(),
        since: args.since,
        until: args.until,
    };
    let page = args.page.request()?;
    let jobs = ctx
        .queue()
        .await?
        .jobs(&filter, &page)
        .await
        .context("cannot list jobs")?;
    ctx.output.answer(&jobs, |jobs| table(&jobs.items))?;
    if !ctx.output.is_json() {
        note_more(jobs.next.as_deref());
    }
    Ok(ExitCode::SUCCESS)
}

fn table(jobs: &[JobSummary]) -> Table<8> {
    let now = Utc::now();
    let mut table = Table::new(
        [
            "id", "kind", "queue", "state", "attempts", "created", "due", "error",
        ],
        "no jobs match",
    );
    for job in jobs {
        table.row([
            job.id.to_string(),
            job.kind.clone(),
            job.queue.clone(),
            job.state.clone(),
            format!("{}/{}", job.attempts_used, job.max_attempts),
            age(job.created_at, now),
            if is_final(&job.state) {
                "-".to_owned()
            } else {
                age(job.run_at, now)
            },
            or_dash(job.error.as_deref()),
        ]);
    }
    table
}

/// The head of a job's or a dead letter's page.
pub(super) fn summary(job: &JobSummary) -> Details {
    let now = Utc::now();
    let mut details = Details::default();
    details.add("id", job.id);
    details.add("kind", &job.kind);
    details.add("queue", &job.queue);
    details.add("state", &job.state);
    details.add("priority", job.priority);
    details.add_some("tenant", job.tenant.as_deref());
    details.add_some("key", job.key.as_deref());
    for (name, value) in &job.tags {
        details.add("tag", format_args!("{name}={value}"));
    }
    details.add(
        "created",
        format_args!(
            "{} ({})",
            job.created_at.to_rfc3339(),
            age(job.created_at, now)
        ),
    );
    details.add(
        "due",
        format_args!("{} ({})", job.run_at.to_rfc3339(), age(job.run_at, now)),
    );
    details.add_some("started", job.started_at.map(|at| age(at, now)));
    details.add_some("finished", job.finished_at.map(|at| age(at, now)));
    details.add(
        "attempts",
        format_args!("{} of {} used up", job.attempts_used, job.max_attempts),
    );
    details.add_some("class", job.error_class.as_deref());
    details.add_some("error", job.error.as_deref());
    details.add_some("replay of", job.replay_of);
    details.add_some("replayed as", job.replayed_as);
    details
}

/// The attempts of a job, oldest first.
pub(super) fn attempts(attempts: &[Attempt]) -> Table<6> {
    let now = Utc::now();
    let mut table = Table::new(
        [
            "attempt", "started", "finished", "outcome", "class", "error",
        ],
        "no attempt yet",
    );
    for attempt in attempts {
        table.row([
            attempt.number.to_string(),
            age_or_dash(attempt.started_at, now),
            age_or_dash(attempt.finished_at, now),
            attempt.outcome.clone(),
            or_dash(attempt.error_class.as_deref()),
            or_dash(attempt.error.as_deref()),
        ]);
    }
    table
}

fn detail(job: &JobDetail) -> String {
    let mut head = summary(&job.summary);
    if job.cancel_requested {
        head.add("cancelled", "asked to stop");
    }
    head.add("payload", &job.payload);
    head.add_some("progress", job.progress.as_ref());
    head.add_some("result", job.result.as_ref());
    format!("{head}\n{}{}", attempts(&job.attempts), log_lines(&job.log))
}

/// The log of a job under a blank line; nothing where there is none.
pub(super) fn log_lines(log: &[LogEntry]) -> String {
    let line = |entry: &LogEntry| {
        let message = one_line(&entry.message, LONGEST_TEXT);
        format!(
            "{} attempt {} {}: {message}\n",
            entry.at.to_rfc3339(),
            entry.attempt,
            entry.level
        )
    };
    if log.is_empty() {
        String::new()
    } else {
        log.iter()
            .map(line)
            .fold("\n".to_owned(), |text, line| text + &line)
    }
}

/// Whether nothing more will happen to a job in this state.
fn is_final(state: &str) -> bool {
    state.parse::<JobState>().is_ok_and(JobState::is_final)
}

fn tag(text: &str) -> Result<(String, String), NotATag> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(NotATag),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_has_a_name_and_a_value() {
        assert_eq!(
            tag("campaign=a=b").ok(),
            Some(("campaign".to_owned(), "a=b".to_owned()))
        );
        assert!(tag("campaign").is_err());
        assert!(tag("=spring").is_err());
    }
}
