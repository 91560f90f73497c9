//! Carrying runs out: a portion of letters becomes jobs, in one transaction.

use serde_json::{Value, json, value::RawValue};
use sqlx::PgConnection;
use uuid::Uuid;

use super::PORTION;
use crate::{
    EnqueueError,
    client::{Asked, Seen, Shared},
    db::{DatabaseError, within},
    job::{EnqueueOutcome, JobId, NewJob, Source},
    metrics::{self, EnqueueLabels},
    sealing::{self, Unopened},
    store::{
        insert::{self, Columns, JobRow},
        replays::{self, Done, Pending, RunningReplay},
    },
};

/// Enqueues the next portion of a run, or of the oldest one that runs: items, jobs and the letters' resolutions are one
/// transaction. Tells whether there may be more to do.
pub(crate) async fn advance(shared: &Shared, id: Option<Uuid>) -> Result<bool, DatabaseError> {
    let mut session = shared.db.request().await?;
    let done = within(async {
        let mut tx = sqlx::Connection::begin(session.conn()).await?;
        let run = match id {
            Some(id) => replays::lock_running(&mut *tx, id).await?,
            None => replays::next_running(&mut *tx).await?,
        };
        let Some(run) = run else {
            return Ok((false, Vec::new(), Vec::new()));
        };
        let (enqueued, resolved) = enqueue_portion(shared, &mut tx, &run).await?;
        tx.commit().await?;
        Ok((true, enqueued, resolved))
    })
    .await;
    let (more, enqueued, resolved) = session.end(done)?;
    for (queue, kind) in &enqueued {
        let labels = EnqueueLabels {
            queue,
            kind,
            source: Source::Replay,
            outcome: EnqueueOutcome::Created,
        };
        metrics::enqueued(labels, 1);
        shared.bell.ring(queue);
    }
    for kind in &resolved {
        metrics::dead_letter_resolved(kind, "replayed");
    }
    Ok(more)
}

type QueueAndKind = (String, String);

async fn enqueue_portion(
    shared: &Shared,
    conn: &mut PgConnection,
    run: &RunningReplay,
) -> Result<(Vec<QueueAndKind>, Vec<String>), sqlx::Error> {
    let pending = replays::pending(&mut *conn, run.id, PORTION).await?;
    if pending.is_empty() {
        replays::finish(conn, run.id).await?;
        return Ok((Vec::new(), Vec::new()));
    }
    let seen = shared.seen(&mut *conn, &asked_by(&pending)).await?;
    let patch = run.patch.clone();
    let patch = patch.map(|patch| sealing::opened_patch(shared.sealer(), run.id, patch));
    let patch = patch.transpose();
    let mut done = Done::default();
    let mut rows: Vec<JobRow> = Vec::new();
    for letter in pending {
        let id = letter.id;
        let prepared = match &patch {
            Ok(patch) => prepare(shared, letter, patch.as_ref(), &seen),
            Err(why) => Err(reason(why)),
        };
        match prepared {
            // The letter's unique key is not asked for again: a replay is a person's decision.
            Ok(row) => {
                done.jobs.push(Some(row.id.0));
                done.skipped.push(None);
                rows.push(JobRow {
                    unique: None,
                    ..row
                });
            }
            Err(reason) => {
                done.jobs.push(None);
                done.skipped.push(Some(reason));
            }
        }
        done.dead_letters.push(id);
    }
    let enqueued = rows
        .iter()
        .map(|row| (row.queue.clone(), row.kind.clone()))
        .collect();
    insert::insert(&mut *conn, &Columns::of(&rows)).await?;
    let resolved = replays::record(conn, run, &done).await?;
    Ok((enqueued, resolved))
}

/// The kinds and queues of letters.
pub(super) fn asked_by(letters: &[Pending]) -> Vec<Asked<'_>> {
    letters
        .iter()
        .filter_map(|letter| Some((letter.kind.as_deref()?, letter.queue.as_deref())))
        .collect()
}

/// The job that replays a letter, or why there is none. A kind is known that any process ever registered: its letter was
/// accepted by one that had its schema.
pub(super) fn prepare(
    shared: &Shared,
    letter: Pending,
    patch: Option<&Value>,
    seen: &Seen,
) -> Result<JobRow, String> {
    let (Some(kind), Some(payload)) = (letter.kind, letter.payload) else {
        return Err("not_found".to_owned());
    };
    if let Some(resolution) = letter.resolution {
        return Err(format!("already_{resolution}"));
    }
    // Bound to the letter: the job that replays it has a payload of its own sealed.
    let payload = sealing::opened(shared.sealer(), letter.id, &payload);
    let payload = payload.map_err(|why| reason(&why))?;
    let payload = patched(&payload, patch).ok_or("invalid_payload")?;
    if shared.is_late(&kind, payload.get()) {
        return Err("expired".to_owned());
    }
    let mut job = NewJob::new(kind, payload, Source::Replay);
    job.queue = letter.queue;
    job.priority = letter.priority;
    job.max_attempts = letter
        .max_attempts
        .and_then(|most| u32::try_from(most).ok());
    job.tenant = letter.tenant;
    job.key = letter.key;
    job.tags = letter
        .tags
        .and_then(|tags| serde_json::from_value(tags).ok())
        .unwrap_or_default();
    // The first of a chain of replays: whoever receives an effect knows it by that id.
    job.replay_of = Some(JobId(letter.replay_of.unwrap_or(letter.id)));
    shared.prepare_seen(job, seen).map_err(|error| {
        match error {
            EnqueueError::UnknownKind { .. } => "unknown_kind",
            EnqueueError::Field { .. } => "unknown_queue",
            EnqueueError::NoKeys { .. } => "no_keys",
            _ => "invalid_payload",
        }
        .to_owned()
    })
}

/// Why what lies encrypted cannot be replayed here.
fn reason(why: &Unopened) -> String {
    let reason = match why {
        Unopened::NoKeys => "no_keys",
        Unopened::Wiped => "payload_wiped",
        Unopened::Cipher(_) => "payload_does_not_open",
    };
    reason.to_owned()
}

/// The payload with a JSON merge patch (RFC 7396) applied; untouched to the letter where there is no patch.
fn patched(payload: &str, patch: Option<&Value>) -> Option<Box<RawValue>> {
    let Some(patch) = patch else {
        return RawValue::from_string(payload.to_owned()).ok();
    };
    let mut value: Value = serde_json::from_str(payload).ok()?;
    merge(&mut value, patch);
    serde_json::value::to_raw_value(&value).ok()
}

fn merge(value: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *value = patch.clone();
        return;
    };
    if !value.is_object() {
        *value = json!({});
    }
    if let Value::Object(members) = value {
        for (name, change) in changes {
            if change.is_null() {
                members.remove(name);
            } else {
                merge(members.entry(name.clone()).or_insert(Value::Null), change);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merge_patch_changes_adds_and_removes() {
        let patch = json!({"a": {"b": 2, "c": null}, "d": [1]});

        let value = patched(r#"{"a":{"b":1,"c":3},"e":4}"#, Some(&patch)).expect("sound");

        assert_eq!(
            serde_json::from_str::<Value>(value.get()).ok(),
            Some(json!({"a": {"b": 2}, "d": [1], "e": 4}))
        );
    }

    #[test]
    fn without_a_patch_the_payload_stays_as_it_was_sent() {
        let payload = r#"{"n": 123456789012345678901234567890,  "x":1.0}"#;

        assert_eq!(patched(payload, None).expect("sound").get(), payload);
    }
}
