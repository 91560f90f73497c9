//! The settler: stores how attempts ended. The next batch forms while the last one commits; what cannot be stored is
//! tried again until it is stored, fenced off, or the process may not wait any longer. Nothing is dropped silently.

use std::{collections::HashSet, sync::Arc, time::Duration};

use sqlx::{Connection, PgConnection, types::Json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    claimed::Settlement,
    lease::Leases,
    verdict::{Failure, Verdict},
};
use crate::{
    client::Shared,
    db::{DatabaseError, within},
    error_chain,
    job::{AttemptOutcome, EnqueueOutcome, ErrorClass, JobState, Source},
    metrics::{self, AttemptLabels},
    store::{
        insert::{self, Columns},
        logs::{self, Lines},
        settle::{self, Again, Ended},
    },
};

/// Most outcomes settled in one transaction.
const MOST_TOGETHER: usize = 500;
/// Waits between tries: the first, and the longest.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Settles the outcomes of one queue until its channel closes.
pub(crate) struct Settler {
    pub(crate) queue: Arc<str>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) leases: Arc<Leases>,
    /// Cancelled when the process may not wait any longer.
    pub(crate) give_up: CancellationToken,
    /// Notified when a job waits for its next attempt, which may be due soon.
    pub(crate) waits: Arc<tokio::sync::Notify>,
}

impl Settler {
    pub(crate) async fn run(self, mut outcomes: mpsc::Receiver<Settlement>) {
        let mut batch = Vec::with_capacity(MOST_TOGETHER);
        while outcomes.recv_many(&mut batch, MOST_TOGETHER).await > 0 {
            // Rows are locked in the order of ids everywhere, so that two statements never wait for each other.
            batch.sort_unstable_by_key(|settlement| settlement.id);
            self.settle(&mut batch).await;
            batch.clear();
        }
    }

    async fn settle(&self, batch: &mut Vec<Settlement>) {
        let mut wait = FIRST_WAIT;
        loop {
            match self.store(batch).await {
                Ok(stored) => return self.stored(batch, &stored),
                Err(DatabaseError::Refused(_) | DatabaseError::Statement(_)) if batch.len() > 1 => {
                    for settlement in batch.drain(..) {
                        Box::pin(self.settle(&mut vec![settlement])).await;
                    }
                    return;
                }
                Err(error @ (DatabaseError::Refused(_) | DatabaseError::Statement(_))) => {
                    if !self.strip(batch, &error) {
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!(queue.name = %self.queue, outcomes = batch.len(), error = %error_chain(&error),
                        "outcomes could not be stored; trying again");
                    tokio::select! {
                        () = tokio::time::sleep(wait) => wait = (wait * 2).min(LONGEST_WAIT),
                        () = self.give_up.cancelled() => {
                            tracing::error!(queue.name = %self.queue, outcomes = batch.len(),
                                "outcomes were not stored before the process ended; their jobs will be rescued");
                            return;
                        }
                    }
                }
            }
        }
    }

    /// Turns an outcome that the database refuses into a plain failure; `false` when it is one already.
    fn strip(&self, batch: &mut [Settlement], error: &DatabaseError) -> bool {
        let Some(settlement) = batch.first_mut() else {
            return false;
        };
        let was_stripped = settlement
            .verdict
            .failure()
            .is_some_and(|failure| failure.fingerprint == "unstorable");
        tracing::error!(job.id = %settlement.id, error = %error_chain(error), "an outcome cannot be stored as it is");
        if was_stripped {
            self.leases.release(settlement.id.0, settlement.token);
            return false;
        }
        let failure = Failure {
            class: ErrorClass::Internal,
            error: "the attempt's outcome could not be stored; the log has why".to_owned(),
            fingerprint: "unstorable".to_owned(),
        };
        settlement.verdict = Verdict::Dead(failure);
        settlement.recorded = crate::handler::Recorded::default();
        settlement.follow_ups.clear();
        true
    }

    async fn store(&self, batch: &[Settlement]) -> Result<HashSet<Uuid>, DatabaseError> {
        let mut session = self.shared.db.engine().await?;
        let stored = within(self.write(session.conn(), batch)).await;
        session.end(stored)
    }

    async fn write(
        &self,
        conn: &mut PgConnection,
        batch: &[Settlement],
    ) -> Result<HashSet<Uuid>, sqlx::Error> {
        let sorted = Sorted::of(batch);
        if sorted.is_one_statement(batch) {
            return Ok(self
                .write_verdicts(conn, &sorted)
                .await?
                .into_iter()
                .collect());
        }
        let mut tx = conn.begin().await?;
        let stored: HashSet<Uuid> = self
            .write_verdicts(&mut tx, &sorted)
            .await?
            .into_iter()
            .collect();
        let held = || {
            batch
                .iter()
                .filter(|settlement| stored.contains(&settlement.id.0))
        };
        let follow_ups = Columns::of(held().flat_map(|settlement| settlement.follow_ups.clone()));
        if !follow_ups.ids.is_empty() {
            insert::insert(&mut *tx, &follow_ups).await?;
        }
        let lines = lines(held());
        if !lines.job_ids.is_empty() {
            logs::append(&mut *tx, &lines).await?;
        }
        tx.commit().await?;
        Ok(stored)
    }

    async fn write_verdicts(
        &self,
        conn: &mut PgConnection,
        sorted: &Sorted,
    ) -> Result<Vec<Uuid>, sqlx::Error> {
        let queue = &*self.queue;
        let mut stored = Vec::new();
        if !sorted.deleted.ids.is_empty() {
            stored.extend(settle::delete(&mut *conn, queue, &sorted.deleted).await?);
        }
        if !sorted.finished.ids.is_empty() {
            stored.extend(
                settle::finish(&mut *conn, queue, &sorted.finished, &sorted.results).await?,
            );
        }
        if !sorted.buried.ids.is_empty() {
            stored.extend(
                settle::bury(&mut *conn, queue, &sorted.buried, &sorted.fingerprints).await?,
            );
        }
        if !sorted.put_back.ids.is_empty() {
            let put_back =
                settle::put_back(&mut *conn, queue, &sorted.put_back, &sorted.again).await?;
            if put_back.len() < sorted.put_back.ids.len() {
                // Somebody asked them to stop while they ran: they do not wait again. Those that are fenced off match
                // no row here either.
                let rest = cancelled_instead(&sorted.put_back, &put_back);
                let results = vec![None; rest.ids.len()];
                stored.extend(settle::finish(&mut *conn, queue, &rest, &results).await?);
            }
            stored.extend(put_back);
        }
        Ok(stored)
    }

    fn stored(&self, batch: &[Settlement], stored: &HashSet<Uuid>) {
        let mut fenced = 0;
        let mut someone_waits = false;
        for settlement in batch {
            self.leases.release(settlement.id.0, settlement.token);
            if !stored.contains(&settlement.id.0) {
                fenced += 1;
                continue;
            }
            someone_waits |= matches!(settlement.verdict, Verdict::Again { .. });
            let outcome = settlement.verdict.outcome();
            let class = settlement.verdict.failure().map(|failure| failure.class);
            let labels = AttemptLabels {
                queue: &self.queue,
                kind: &settlement.kind,
                outcome,
                class,
            };
            metrics::attempt_settled(labels, Some(settlement.took));
            for row in &settlement.follow_ups {
                metrics::enqueued(
                    &row.queue,
                    &row.kind,
                    Source::Handler,
                    EnqueueOutcome::Created,
                );
                self.shared.bell.ring(&row.queue);
            }
        }
        if fenced > 0 {
            tracing::warn!(queue.name = %self.queue, attempts = fenced, "attempts had lost their lease; their outcomes changed nothing");
            metrics::fenced("settle", fenced);
        }
        if someone_waits {
            self.waits.notify_one();
        }
    }
}

/// Outcomes of a batch by the statement that stores them.
#[derive(Debug, Default)]
struct Sorted {
    deleted: Ended,
    finished: Ended,
    results: Vec<Option<Json<serde_json::Value>>>,
    buried: Ended,
    fingerprints: Vec<String>,
    put_back: Ended,
    again: Again,
}

impl Sorted {
    fn of(batch: &[Settlement]) -> Self {
        let mut sorted = Self::default();
        for settlement in batch {
            match &settlement.verdict {
                Verdict::Succeeded { keep: false, .. } => {
                    push(&mut sorted.deleted, settlement, None)
                }
                Verdict::Succeeded { result, keep: true } => {
                    push(&mut sorted.finished, settlement, None);
                    sorted
                        .results
                        .push(result.clone().map(without_nul).map(Json));
                }
                Verdict::Cancelled { reason } => {
                    push(&mut sorted.finished, settlement, reason.as_deref());
                    sorted.results.push(None);
                }
                Verdict::Dead(failure) => {
                    push(&mut sorted.buried, settlement, Some(&failure.error));
                    sorted.fingerprints.push(failure.fingerprint.clone());
                }
                Verdict::Again {
                    state,
                    delay,
                    used,
                    failure,
                    ..
                } => {
                    push(
                        &mut sorted.put_back,
                        settlement,
                        failure.as_ref().map(|failure| failure.error.as_str()),
                    );
                    sorted.again.states.push(state.as_str().to_owned());
                    sorted.again.delays.push(delay.as_secs_f64());
                    sorted.again.used.push(*used);
                }
            }
        }
        sorted
    }

    /// Whether one statement stores all, so that it needs no transaction around it.
    fn is_one_statement(&self, batch: &[Settlement]) -> bool {
        let statements = [&self.deleted, &self.finished, &self.buried]
            .iter()
            .filter(|ended| !ended.ids.is_empty())
            .count();
        statements == 1
            && self.put_back.ids.is_empty()
            && batch.iter().all(|settlement| {
                settlement.follow_ups.is_empty() && settlement.recorded.log.is_empty()
            })
    }
}

fn push(ended: &mut Ended, settlement: &Settlement, error: Option<&str>) {
    let failure = settlement.verdict.failure();
    ended.ids.push(settlement.id.0);
    ended.tokens.push(settlement.token);
    ended
        .outcomes
        .push(settlement.verdict.outcome().as_str().to_owned());
    ended
        .classes
        .push(failure.map(|failure| failure.class.as_str().to_owned()));
    ended.errors.push(error.map(|text| text.replace('\0', " ")));
    ended.progress.push(
        settlement
            .recorded
            .progress
            .clone()
            .map(without_nul)
            .map(Json),
    );
}

/// Those that were not put back, as cancelled.
fn cancelled_instead(put_back: &Ended, done: &[Uuid]) -> Ended {
    let mut rest = Ended::default();
    for (place, id) in put_back
        .ids
        .iter()
        .enumerate()
        .filter(|(_, id)| !done.contains(id))
    {
        rest.ids.push(*id);
        rest.tokens.push(put_back.tokens[place]);
        rest.outcomes
            .push(AttemptOutcome::Cancelled.as_str().to_owned());
        rest.classes.push(None);
        rest.errors.push(None);
        rest.progress.push(put_back.progress[place].clone());
    }
    rest
}

fn lines<'a>(settlements: impl Iterator<Item = &'a Settlement>) -> Lines {
    let mut lines = Lines::default();
    for settlement in settlements {
        for (number, line) in (0..).zip(&settlement.recorded.log) {
            lines.job_ids.push(settlement.id.0);
            lines.attempts.push(settlement.attempt);
            lines.numbers.push(number);
            lines.times.push(line.at);
            lines.levels.push(line.level.as_str().to_owned());
            lines.messages.push(line.message.clone());
        }
    }
    lines
}

/// JSON that PostgreSQL can store: it has no place for U+0000 in a text.
fn without_nul(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value as V;
    match value {
        V::String(text) if text.contains('\0') => V::String(text.replace('\0', "\u{fffd}")),
        V::Array(elements) => V::Array(elements.into_iter().map(without_nul).collect()),
        V::Object(members) => V::Object(
            members
                .into_iter()
                .map(|(name, value)| (name.replace('\0', "\u{fffd}"), without_nul(value)))
                .collect(),
        ),
        other => other,
    }
}

/// The state a put-back job is in; used by the rescuer too.
pub(super) fn ready_again(ended: &mut (Ended, Again), id: Uuid, token: Uuid, error: &str) {
    let (ended, again) = ended;
    ended.ids.push(id);
    ended.tokens.push(token);
    ended
        .outcomes
        .push(AttemptOutcome::Lost.as_str().to_owned());
    ended
        .classes
        .push(Some(ErrorClass::Lost.as_str().to_owned()));
    ended.errors.push(Some(error.to_owned()));
    ended.progress.push(None);
    again.states.push(JobState::Ready.as_str().to_owned());
    again.delays.push(0.0);
    again.used.push(true);
}
