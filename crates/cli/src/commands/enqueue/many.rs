//! `enqueue --ndjson`: lines in, chunks to the database, a count out. One bad line is that line's failure.

use std::process::ExitCode;

use anyhow::Context as _;
use queue::{EnqueueError, EnqueueOutcome, Idempotency, NewJob, Queue};
use serde::Serialize;
use tokio::io::{AsyncBufRead, BufReader};

use super::{
    item,
    lines::{Line, Lines},
    unreadable,
};
use crate::{
    commands::Context,
    failure::{FAILED, payload_problem},
    output::{self, Output},
};

/// Jobs that are stored in one transaction.
const CHUNK: usize = 1_000;
/// Failures that are kept for the JSON answer; later ones are counted and noted on standard error alone.
const MOST_FAILURES: usize = 1_000;

/// A line that was not stored.
#[derive(Debug, Serialize)]
struct Failure {
    line: usize,
    error: String,
}

/// What became of the lines.
#[derive(Debug, Default, Serialize)]
struct Report {
    created: u64,
    deduplicated: u64,
    failed: u64,
    failures: Vec<Failure>,
}

type NumberedJob = (usize, NewJob, Option<Idempotency>);

pub(super) async fn run(path: &str, ctx: &Context) -> anyhow::Result<ExitCode> {
    let limit_bytes = ctx.config()?.config.http.max_body_bytes;
    let input: Box<dyn AsyncBufRead + Unpin + Send> = if path == "-" {
        Box::new(BufReader::new(tokio::io::stdin()))
    } else {
        let file = tokio::fs::File::open(path).await;
        Box::new(BufReader::new(
            file.map_err(|source| unreadable(path, source))?,
        ))
    };
    let queue = ctx.queue().await?;
    let mut report = Report::default();
    let stored = store_all(&queue, Lines::new(input, limit_bytes), &mut report).await;
    queue.close().await;
    show(&report, ctx.output)?;
    stored?;
    Ok(if report.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FAILED)
    })
}

async fn store_all(
    queue: &Queue,
    mut lines: Lines<Box<dyn AsyncBufRead + Unpin + Send>>,
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut chunk: Vec<NumberedJob> = Vec::with_capacity(CHUNK);
    while let Some((number, line)) = lines.next().await.context("cannot read the input")? {
        match line {
            Line::Text(text) => match item::read(&text) {
                Ok((job, idempotency)) => chunk.push((number, job, idempotency)),
                Err(error) => report.fail(number, &error.to_string()),
            },
            Line::NotText => report.fail(number, "the line is not UTF-8"),
            Line::TooLong => report.fail(number, "the line is longer than [http] max_body allows"),
        }
        if chunk.len() == CHUNK {
            store(queue, std::mem::take(&mut chunk), report).await?;
        }
    }
    store(queue, chunk, report).await
}

async fn store(queue: &Queue, chunk: Vec<NumberedJob>, report: &mut Report) -> anyhow::Result<()> {
    if chunk.is_empty() {
        return Ok(());
    }
    let numbers: Vec<usize> = chunk.iter().map(|(number, ..)| *number).collect();
    let jobs = chunk
        .into_iter()
        .map(|(_, job, idempotency)| (job, idempotency))
        .collect();
    let (first, last) = (numbers.first(), numbers.last());
    let results = queue.enqueue_batch(jobs, false).await.with_context(|| {
        let (first, last) = (
            first.copied().unwrap_or_default(),
            last.copied().unwrap_or_default(),
        );
        format!("cannot store lines {first} to {last}; those before them are stored")
    })?;
    for (number, result) in numbers.into_iter().zip(results) {
        match result {
            Ok(stored) if stored.outcome == EnqueueOutcome::Created && !stored.repeated => {
                report.created += 1;
            }
            Ok(_) => report.deduplicated += 1,
            Err(error) => report.fail(number, &told(error)),
        }
    }
    Ok(())
}

/// A refusal on one line, with whatever does not fit the kind's schema.
fn told(error: EnqueueError) -> String {
    if let EnqueueError::Payload(problems) = &error {
        let problems: Vec<String> = problems.iter().map(payload_problem).collect();
        return format!("{error}: {}", problems.join("; "));
    }
    format!("{:#}", anyhow::Error::from(error))
}

impl Report {
    fn fail(&mut self, line: usize, error: &str) {
        self.failed += 1;
        output::note(format_args!("line {line}: {error}"));
        if self.failures.len() < MOST_FAILURES {
            self.failures.push(Failure {
                line,
                error: error.to_owned(),
            });
        }
    }
}

fn show(report: &Report, output: Output) -> anyhow::Result<()> {
    output.answer(report, |report| {
        format!(
            "{} created, {} deduplicated, {} failed\n",
            report.created, report.deduplicated, report.failed
        )
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_beyond_those_that_are_kept() {
        let mut report = Report::default();

        for line in 1..=MOST_FAILURES + 5 {
            report.fail(line, "not JSON");
        }

        assert_eq!(report.failed, 1_005);
        assert_eq!(report.failures.len(), MOST_FAILURES);
    }
}
