//! Replays: dead letters run again as new jobs, as one durable run that can be interrupted anywhere. Later a canary
//! runs first and waves follow at a set rate; `status` has their words already.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json, value::RawValue};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Actor, AdminError, Page, PageRequest, Selection, audit};
use crate::{
    EnqueueError, Queue,
    client::Shared,
    db::{DatabaseError, within},
    job::{EnqueueOutcome, JobId, NewJob, Source},
    metrics,
    store::{
        self, dead,
        insert::{self, Columns, JobRow},
        replays::{self, Done, NewReplay, Pending, Replay, ReplayItem, RunningReplay},
    },
};

/// Dead letters enqueued in one transaction.
const PORTION: i64 = 100;
/// Portions that a request advances its run by before it answers; the leader does the rest.
const AT_ONCE: usize = 5;
/// Most dead letters of one run.
const MOST: usize = 1_000_000;
/// Ids read from the database at once.
const READ: i64 = 10_000;

/// Which dead letters to run again, and how.
#[derive(Debug, Clone)]
pub struct ReplayRequest {
    /// Which.
    pub selection: Selection,
    /// Only tell what would be done.
    pub dry_run: bool,
    /// A JSON merge patch for each payload.
    pub patch: Option<Value>,
    /// Why; kept with the run and the audit.
    pub reason: Option<String>,
}

/// Dead letters for which nothing will be enqueued.
#[derive(Debug, Clone, Serialize)]
pub struct Skipped {
    /// Why.
    pub reason: String,
    /// How many.
    pub count: u64,
}

/// What a replay does, or would do.
#[derive(Debug, Clone, Serialize)]
pub struct ReplayAnswer {
    /// The run; `None` on a dry run.
    pub replay_id: Option<Uuid>,
    /// Dead letters that were meant.
    pub matched: u64,
    /// Those of them that are run again.
    pub will_enqueue: u64,
    /// Those that are not.
    pub skipped: Vec<Skipped>,
}

/// A run with its items.
#[derive(Debug, Clone, Serialize)]
pub struct ReplayDetail {
    /// What a list shows.
    #[serde(flatten)]
    pub replay: Replay,
    /// The first 500 dead letters, with what became of each.
    pub items: Vec<ReplayItem>,
}

impl Queue {
    /// Runs dead letters again, each as a new job that names it. Answers once the run is stored; a small one has then
    /// been enqueued, a large one goes on by itself.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] for an empty selection or a patch that is no object.
    pub async fn replay(
        &self,
        request: ReplayRequest,
        actor: &Actor,
    ) -> Result<ReplayAnswer, AdminError> {
        check(&request)?;
        let (chosen, matched, mut skipped) = self.choose(&request.selection, actor).await?;
        if request.dry_run {
            let refused = self.try_out(&chosen, &request).await?;
            let will_enqueue = chosen.len() as u64 - refused.values().sum::<u64>();
            skipped.extend(refused);
            return Ok(answer(None, matched, will_enqueue, skipped));
        }
        let id = Uuid::now_v7();
        let target = id.to_string();
        let mut session = self.shared.db.request().await?;
        let stored = within(async {
            let mut tx = sqlx::Connection::begin(session.conn()).await?;
            let total = i64::try_from(chosen.len()).unwrap_or(i64::MAX);
            let replay = NewReplay {
                id,
                by: &actor.name,
                tenant: actor.tenant.as_deref(),
                reason: request.reason.as_deref(),
                patch: request.patch.as_ref(),
                total,
            };
            replays::create(&mut *tx, &replay).await?;
            replays::add_items(&mut *tx, id, &chosen).await?;
            let mut row = audit(actor, "dead_letter.replay", Some(&target));
            (row.reason, row.count) = (request.reason.as_deref(), total);
            row.detail = json!({"patched": request.patch.is_some()});
            store::audit::note(&mut *tx, &row).await?;
            tx.commit().await
        })
        .await;
        session.end(stored)?;
        metrics::admin_action("dead_letter.replay");
        for _ in 0..AT_ONCE {
            // The run is stored: what fails here is done by the leader.
            match advance(&self.shared, Some(id)).await {
                Ok(true) => {}
                Ok(false) | Err(_) => break,
            }
        }
        Ok(answer(Some(id), matched, chosen.len() as u64, skipped))
    }

    /// The open dead letters that are meant, how many were meant in all, and why the others are left out.
    async fn choose(
        &self,
        selection: &Selection,
        actor: &Actor,
    ) -> Result<(Vec<Uuid>, u64, BTreeMap<String, u64>), AdminError> {
        let mut skipped = BTreeMap::new();
        let mut chosen = Vec::new();
        match selection {
            Selection::Filter(filter) => {
                let query = filter.within_tenant(actor).query();
                let mut after = None;
                loop {
                    let ids = self.matching(&query, after, READ).await?;
                    let Some(last) = ids.last().copied() else {
                        break;
                    };
                    after = Some(last);
                    chosen.extend(ids);
                    if chosen.len() > MOST {
                        return Err(AdminError::invalid(
                            "/filter",
                            "means more than 1,000,000 dead letters",
                        ));
                    }
                }
                Ok((chosen.clone(), chosen.len() as u64, skipped))
            }
            Selection::Ids(ids) => {
                let mut ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
                ids.sort_unstable();
                ids.dedup();
                let mut session = self.shared.db.request().await?;
                let standings = within(dead::standings(
                    session.conn(),
                    &ids,
                    actor.tenant.as_deref(),
                ))
                .await;
                let standings = session.end(standings)?;
                let missing = ids.len() - standings.len();
                if missing > 0 {
                    skipped.insert("not_found".to_owned(), missing as u64);
                }
                let matched = standings.len() as u64;
                for standing in standings {
                    match standing.resolution {
                        None => chosen.push(standing.id),
                        Some(resolution) => {
                            *skipped.entry(format!("already_{resolution}")).or_default() += 1
                        }
                    }
                }
                Ok((chosen, matched, skipped))
            }
        }
    }

    /// Prepares the first thousand as the run would and tells what would be refused.
    async fn try_out(
        &self,
        chosen: &[Uuid],
        request: &ReplayRequest,
    ) -> Result<BTreeMap<String, u64>, AdminError> {
        let mut refused = BTreeMap::new();
        for id in chosen.iter().take(1_000) {
            let mut session = self.shared.db.request().await?;
            let found = within(store::jobs::get(session.conn(), *id, None)).await;
            let Some(found) = session.end(found)? else {
                continue;
            };
            let row = found.summary;
            let letter = Pending {
                id: *id,
                kind: Some(row.kind),
                queue: Some(row.queue),
                priority: Some(row.priority),
                max_attempts: row.max_attempts,
                tenant: row.tenant,
                key: row.key,
                tags: row.tags,
                payload: Some(found.detail.payload),
                resolution: None,
                replay_of: row.replay_of,
            };
            if let Err(reason) = prepare(&self.shared, letter, request.patch.as_ref()) {
                *refused.entry(reason).or_default() += 1;
            }
        }
        Ok(refused)
    }

    /// A page of runs, the newest first.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] for a cursor of another list.
    pub async fn replays(
        &self,
        page: &PageRequest,
        tenant: Option<&str>,
    ) -> Result<Page<Replay>, AdminError> {
        let before = page.id()?;
        let mut session = self.shared.db.request().await?;
        let runs = within(replays::list(session.conn(), tenant, before, page.rows())).await;
        Ok(Page::cut(session.end(runs)?, page, |run: &Replay| {
            run.id.to_string()
        }))
    }

    /// A run with its items.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], also for another tenant's run.
    pub async fn replay_run(
        &self,
        id: Uuid,
        tenant: Option<&str>,
    ) -> Result<ReplayDetail, AdminError> {
        let mut session = self.shared.db.request().await?;
        let read = within(async {
            let Some(replay) = replays::get(session.conn(), id, tenant).await? else {
                return Ok(None);
            };
            let items = replays::items(session.conn(), id).await?;
            Ok(Some(ReplayDetail { replay, items }))
        })
        .await;
        session.end(read)?.ok_or(AdminError::NotFound)
    }

    /// Pauses a run: nothing more of it is enqueued until it is resumed.
    ///
    /// # Errors
    /// [`AdminError::Status`] for a run that does not run.
    pub async fn pause_replay(&self, id: Uuid, actor: &Actor) -> Result<Replay, AdminError> {
        self.change(
            id,
            actor,
            ("replay.pause", &["running", "canary"], "paused"),
        )
        .await
    }

    /// Resumes a paused run.
    ///
    /// # Errors
    /// [`AdminError::Status`] for a run that is not paused.
    pub async fn resume_replay(&self, id: Uuid, actor: &Actor) -> Result<Replay, AdminError> {
        self.change(id, actor, ("replay.resume", &["paused"], "running"))
            .await
    }

    /// Ends a run: what it has enqueued stays, nothing more follows.
    ///
    /// # Errors
    /// [`AdminError::Status`] for a run that has ended.
    pub async fn abort_replay(&self, id: Uuid, actor: &Actor) -> Result<Replay, AdminError> {
        self.change(
            id,
            actor,
            ("replay.abort", &["running", "canary", "paused"], "aborted"),
        )
        .await
    }

    async fn change(
        &self,
        id: Uuid,
        actor: &Actor,
        (action, from, to): (&'static str, &[&str], &str),
    ) -> Result<Replay, AdminError> {
        let target = id.to_string();
        let from: Vec<String> = from.iter().map(|&word| word.to_owned()).collect();
        let tenant = actor.tenant.as_deref();
        let mut session = self.shared.db.request().await?;
        let changed = within(async {
            let mut tx = sqlx::Connection::begin(session.conn()).await?;
            let changed = replays::set_status(&mut *tx, id, tenant, &from, to).await?;
            if changed {
                store::audit::note(&mut *tx, &audit(actor, action, Some(&target))).await?;
            }
            let replay = replays::get(&mut *tx, id, tenant).await?;
            tx.commit().await?;
            Ok((changed, replay))
        })
        .await;
        let (changed, replay) = session.end(changed)?;
        let replay = replay.ok_or(AdminError::NotFound)?;
        if !changed {
            let message = "its status does not allow that";
            return Err(AdminError::Status {
                status: replay.status,
                message,
            });
        }
        metrics::admin_action(action);
        Ok(replay)
    }
}

fn check(request: &ReplayRequest) -> Result<(), AdminError> {
    request.selection.check()?;
    if request
        .patch
        .as_ref()
        .is_some_and(|patch| !patch.is_object())
    {
        return Err(AdminError::invalid(
            "/patch",
            "must be an object: a JSON merge patch for the payload",
        ));
    }
    if request
        .reason
        .as_ref()
        .is_some_and(|reason| reason.chars().count() > 500 || reason.contains('\0'))
    {
        return Err(AdminError::invalid(
            "/reason",
            "must have at most 500 characters",
        ));
    }
    Ok(())
}

fn answer(
    replay_id: Option<Uuid>,
    matched: u64,
    will_enqueue: u64,
    skipped: BTreeMap<String, u64>,
) -> ReplayAnswer {
    let skipped = skipped
        .into_iter()
        .map(|(reason, count)| Skipped { reason, count })
        .collect();
    ReplayAnswer {
        replay_id,
        matched,
        will_enqueue,
        skipped,
    }
}

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
        metrics::enqueued(queue, kind, Source::Replay, EnqueueOutcome::Created);
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
    let mut done = Done::default();
    let mut rows: Vec<JobRow> = Vec::new();
    for letter in pending {
        let id = letter.id;
        match prepare(shared, letter, run.patch.as_ref()) {
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
    insert::insert(&mut *conn, &Columns::of(rows)).await?;
    let resolved = replays::record(conn, run, &done).await?;
    Ok((enqueued, resolved))
}

/// The job that replays a letter, or why there is none.
fn prepare(shared: &Shared, letter: Pending, patch: Option<&Value>) -> Result<JobRow, String> {
    let (Some(kind), Some(payload)) = (letter.kind, letter.payload) else {
        return Err("not_found".to_owned());
    };
    if let Some(resolution) = letter.resolution {
        return Err(format!("already_{resolution}"));
    }
    let payload = patched(&payload, patch).ok_or("invalid_payload")?;
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
    shared.prepare(job).map_err(|error| {
        match error {
            EnqueueError::UnknownKind { .. } => "unknown_kind",
            EnqueueError::Field { .. } => "unknown_queue",
            _ => "invalid_payload",
        }
        .to_owned()
    })
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
