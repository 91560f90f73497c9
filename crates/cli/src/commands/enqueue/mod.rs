//! `millpond enqueue`: one job from arguments, or many from lines of JSON. The answer comes after the commit.

mod item;
mod lines;
mod many;

use std::process::ExitCode;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use queue::{Enqueued, NewJob, Source, Start};
use serde_json::{json, value::RawValue};
use tokio::io::{AsyncRead, AsyncReadExt};

pub(crate) use self::item::NotAKey;
use super::Context;
use crate::{
    failure::Misuse,
    output::words::{instant, span},
};

/// What to enqueue.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The kind, such as email.send, http.request or conversion.send
    #[arg(required_unless_present = "ndjson")]
    kind: Option<String>,
    /// The payload as JSON, @FILE, or - for standard input
    #[arg(
        long,
        value_name = "JSON|@FILE|-",
        default_value = "{}",
        allow_hyphen_values = true
    )]
    payload: String,
    /// The queue; the kind's own unless given
    #[arg(long)]
    queue: Option<String>,
    /// 0 (first) to 9; the kind's own unless given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i16).range(0..=9))]
    priority: Option<i16>,
    /// Not before this time: RFC 3339
    #[arg(long, value_name = "TIME", value_parser = instant)]
    run_at: Option<DateTime<Utc>>,
    /// Not before so long from now, such as 15m
    #[arg(long, value_name = "SPAN", value_parser = span, conflicts_with = "run_at")]
    delay: Option<std::time::Duration>,
    /// Makes the command safe to repeat: the same key never makes a second job; 1 to 255 visible ASCII characters
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// The customer of the upstream app that the job belongs to
    #[arg(long)]
    tenant: Option<String>,
    /// Many jobs, one JSON object a line with the members of POST /v1/jobs; - for standard input
    #[arg(
        long,
        value_name = "FILE|-",
        conflicts_with_all = [
            "kind", "payload", "queue", "priority", "run_at", "delay", "idempotency_key", "tenant",
        ]
    )]
    ndjson: Option<String>,
}

pub(super) async fn run(args: &Args, ctx: &Context) -> anyhow::Result<ExitCode> {
    if let Some(path) = &args.ndjson {
        return many::run(path, ctx).await;
    }
    let limit_bytes = ctx.config()?.config.http.max_body_bytes;
    let text = payload_text(&args.payload, limit_bytes).await?;
    let payload =
        serde_json::from_str::<Box<RawValue>>(&text).map_err(|source| Misuse::NotJson {
            argument: "--payload".to_owned(),
            source,
        })?;
    let kind = args.kind.as_deref().unwrap_or_default();
    let start = match (args.delay, args.run_at) {
        (Some(delay), _) => Start::After(delay),
        (None, Some(at)) => Start::At(at),
        (None, None) => Start::Now,
    };
    let job = NewJob {
        queue: args.queue.clone(),
        priority: args.priority,
        start,
        tenant: args.tenant.clone(),
        ..NewJob::new(kind, payload, Source::Cli)
    };
    let idempotency =
        item::repeatable(args.idempotency_key.clone(), &job).map_err(Misuse::NotAKey)?;

    let queue = ctx.queue().await?;
    let stored = queue.enqueue(job, idempotency).await;
    queue.close().await;
    let stored = stored.with_context(|| format!("cannot enqueue {kind:?}"))?;
    ctx.output.answer(&document(&stored), |_| {
        format!(
            "{} {} on queue {} is {}\n",
            stored.outcome, stored.id, stored.queue, stored.state
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The answer of `POST /v1/jobs`.
fn document(stored: &Enqueued) -> serde_json::Value {
    json!({
        "id": stored.id,
        "kind": stored.kind,
        "queue": stored.queue,
        "state": stored.state,
        "run_at": stored.run_at,
        "outcome": stored.outcome,
    })
}

async fn payload_text(argument: &str, limit_bytes: usize) -> Result<String, Misuse> {
    match argument.strip_prefix('@') {
        Some(path) => {
            let file = tokio::fs::File::open(path).await;
            let file = file.map_err(|source| unreadable(path, source))?;
            bounded(path, file, limit_bytes).await
        }
        None if argument == "-" => bounded("standard input", tokio::io::stdin(), limit_bytes).await,
        None => Ok(argument.to_owned()),
    }
}

async fn bounded(
    path: &str,
    reader: impl AsyncRead + Unpin,
    limit_bytes: usize,
) -> Result<String, Misuse> {
    let mut bytes = Vec::new();
    let most = u64::try_from(limit_bytes)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    let read = reader.take(most).read_to_end(&mut bytes).await;
    if read.map_err(|source| unreadable(path, source))? > limit_bytes {
        return Err(Misuse::TooLong {
            path: path.to_owned(),
            limit_bytes,
        });
    }
    // Only a whole payload is looked at: the limit may fall into the middle of a character.
    String::from_utf8(bytes).map_err(|error| {
        let source = std::io::Error::new(std::io::ErrorKind::InvalidData, error);
        unreadable(path, source)
    })
}

fn unreadable(path: &str, source: std::io::Error) -> Misuse {
    Misuse::Unreadable {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[tokio::test]
    async fn a_payload_is_read_from_the_argument_or_a_file() {
        let scratch = Scratch::new();
        let path = scratch.file("mail.json", "{\"to\": 1}");

        let given = payload_text("{\"a\": 1}", 100).await.expect("given");
        let read = payload_text(&format!("@{path}"), 100)
            .await
            .expect("readable");

        assert_eq!(given, "{\"a\": 1}");
        assert_eq!(read, "{\"to\": 1}");
    }

    #[tokio::test]
    async fn a_payload_file_that_is_missing_or_too_long_is_refused() {
        let scratch = Scratch::new();
        let path = scratch.file("mail.json", "0123456789");

        let missing = payload_text("@/nowhere/mail.json", 100).await;
        let long = payload_text(&format!("@{path}"), 9).await;

        assert!(matches!(missing, Err(Misuse::Unreadable { .. })));
        assert!(matches!(long, Err(Misuse::TooLong { limit_bytes: 9, .. })));
    }

    #[tokio::test]
    async fn a_payload_that_is_cut_within_a_character_is_too_long_and_one_of_other_bytes_no_text() {
        let cut = bounded("mail.json", "aé€€".as_bytes(), 4).await;
        let bytes = bounded("mail.json", &b"\xff\xfe"[..], 4).await;

        assert!(
            matches!(cut, Err(Misuse::TooLong { limit_bytes: 4, .. })),
            "{cut:?}"
        );
        assert!(matches!(bytes, Err(Misuse::Unreadable { .. })), "{bytes:?}");
    }
}
