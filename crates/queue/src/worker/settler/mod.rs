//! The settler: stores how attempts ended. The next batch forms while the last one commits; what cannot be stored is
//! tried again until it is stored, fenced off, or the process may not wait any longer. Nothing is dropped silently.

mod sorted;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use sqlx::{Connection, PgConnection};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(super) use self::sorted::ready_again;
use self::sorted::{Sorted, cancelled_instead, lines, unusable};
use super::{
    claimed::Settlement,
    lease::Leases,
    sweeper::Sweeper,
    verdict::{Failure, Verdict},
};
use crate::{
    client::{EnqueueError, Shared, settle_conflict},
    db::{DatabaseError, within},
    error_chain, gates,
    job::{AttemptOutcome, EnqueueOutcome, ErrorClass, Source},
    metrics::{self, AttemptLabels, EnqueueLabels},
    store::{
        holds,
        insert::{self, Columns, JobRow},
        logs,
        settle::{self, LatestEnd},
    },
};

/// Most outcomes settled in one transaction.
const MOST_TOGETHER: usize = 500;
/// So many outcomes at once are load: then more are waited for, but no longer than this.
const BUSY: usize = 16;
const GATHER: Duration = Duration::from_millis(4);
/// Most jobs with a unique key that several outcomes may enqueue in one transaction: each is a statement of its own.
const MOST_UNIQUE: usize = 1_000;
/// How long an account is held that an attempt could not use, unless somebody who knows what it is holds it: nobody else
/// would ever let it go.
const HELD_FOR: Duration = Duration::from_secs(15 * 60);
/// Waits between tries: the first, and the longest. Where somebody was in the way the first is long enough.
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
    pub(crate) sweeper: Arc<Sweeper>,
}

impl Settler {
    pub(crate) async fn run(self, mut outcomes: mpsc::Receiver<Settlement>) {
        let mut batch = Vec::with_capacity(MOST_TOGETHER);
        while gather(&mut outcomes, &mut batch).await {
            // In the order of ids, as all who change many rows ask for them: a circle of waits is rare.
            batch.sort_unstable_by_key(|settlement| settlement.id);
            while !batch.is_empty() {
                let rest = batch.split_off(fitting(&batch));
                self.settle(&mut batch, false).await;
                batch.clear();
                batch.extend(rest);
            }
        }
    }

    /// Stores a batch; `is_in_doubt` when an earlier try may have done so.
    async fn settle(&self, batch: &mut Vec<Settlement>, mut is_in_doubt: bool) {
        let mut wait = FIRST_WAIT;
        loop {
            let error = match self.store(batch, is_in_doubt).await {
                Ok(written) => return self.stored(batch, &written),
                Err(DatabaseError::Refused(_) | DatabaseError::Statement(_)) if batch.len() > 1 => {
                    for settlement in batch.drain(..) {
                        Box::pin(self.settle(&mut vec![settlement], is_in_doubt)).await;
                    }
                    return;
                }
                Err(error @ DatabaseError::Refused(_)) => {
                    if !self.strip(batch, &error) {
                        return;
                    }
                    continue;
                }
                Err(error) => error,
            };
            tracing::warn!(queue.name = %self.queue, outcomes = batch.len(), error = %error_chain(&error),
                "outcomes could not be stored; trying again");
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.give_up.cancelled() => {
                    tracing::error!(queue.name = %self.queue, outcomes = batch.len(),
                        "outcomes were not stored before the process ended; their jobs will be rescued");
                    return;
                }
            }
            if !matches!(error, DatabaseError::Busy(_)) {
                wait = (wait * 2).min(LONGEST_WAIT);
            }
            is_in_doubt |= matches!(
                error,
                DatabaseError::Unavailable(_) | DatabaseError::TimedOut
            );
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

    async fn store(
        &self,
        batch: &[Settlement],
        is_in_doubt: bool,
    ) -> Result<Written, DatabaseError> {
        let mut session = self.shared.db.engine().await?;
        let written = within(self.write_or_recall(session.conn(), batch, is_in_doubt)).await;
        session.end(written)
    }

    async fn write_or_recall(
        &self,
        conn: &mut PgConnection,
        batch: &[Settlement],
        is_in_doubt: bool,
    ) -> Result<Written, sqlx::Error> {
        let mut written = self.write(&mut *conn, batch).await?;
        if is_in_doubt && written.settled.len() < batch.len() {
            recall(conn, batch, &mut written).await?;
        }
        Ok(written)
    }

    async fn write(
        &self,
        conn: &mut PgConnection,
        batch: &[Settlement],
    ) -> Result<Written, sqlx::Error> {
        let sorted = Sorted::of(batch);
        if sorted.is_one_statement(batch) {
            return self.write_verdicts(conn, &sorted).await;
        }
        let mut tx = conn.begin().await?;
        let mut written = self.write_verdicts(&mut tx, &sorted).await?;
        let unusable = unusable(batch, &written.put_back);
        if !unusable.accounts.is_empty() {
            holds::hold_for_attempts(&mut *tx, &unusable, HELD_FOR.as_secs_f64()).await?;
        }
        let held: Vec<&Settlement> = batch
            .iter()
            .filter(|settlement| written.settled.contains(&settlement.id.0))
            .collect();
        let lines = lines(&held);
        if !lines.job_ids.is_empty() {
            logs::append(&mut *tx, &lines).await?;
        }
        let follow_ups = held.iter().flat_map(|settlement| &settlement.follow_ups);
        written.enqueued = enqueue(&mut tx, follow_ups.collect()).await?;
        tx.commit().await?;
        Ok(written)
    }

    async fn write_verdicts(
        &self,
        conn: &mut PgConnection,
        sorted: &Sorted,
    ) -> Result<Written, sqlx::Error> {
        let queue = &*self.queue;
        let mut written = Written::default();
        let stored = &mut written.settled;
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
                let cancelled = settle::finish(&mut *conn, queue, &rest, &results).await?;
                stored.extend(&cancelled);
                written.cancelled.extend(cancelled);
            }
            stored.extend(&put_back);
            written.put_back = put_back;
        }
        Ok(written)
    }

    fn stored(&self, batch: &[Settlement], written: &Written) {
        let mut fenced = 0;
        let mut someone_waits = false;
        let mut frees_a_place = false;
        let config = self.shared.config();
        let mut took: HashMap<AttemptLabels<'_>, Vec<Duration>> = HashMap::new();
        for settlement in batch {
            self.leases.release(settlement.id.0, settlement.token);
            if !written.settled.contains(&settlement.id.0) {
                fenced += 1;
                continue;
            }
            frees_a_place =
                frees_a_place || gates::frees_a_place(&config, &self.queue, &settlement.kind);
            let (outcome, class) = written.end_of(settlement);
            // Who waits for an account is found when that is let go.
            someone_waits |= matches!(settlement.verdict, Verdict::Again { .. })
                && outcome != AttemptOutcome::Cancelled;
            let labels = AttemptLabels {
                queue: &self.queue,
                kind: &settlement.kind,
                outcome,
                class,
            };
            took.entry(labels).or_default().push(settlement.took);
        }
        for (labels, took) in took {
            metrics::attempts_settled(labels, took.len() as u64, &took);
        }
        for FollowUp {
            queue,
            kind,
            outcome,
        } in &written.enqueued
        {
            let labels = EnqueueLabels {
                queue,
                kind,
                source: Source::Handler,
                outcome: *outcome,
            };
            metrics::enqueued(labels, 1);
            self.shared.bell.ring(queue);
        }
        self.sweeper.settled(written.settled.len() as u64);
        if fenced > 0 {
            tracing::warn!(queue.name = %self.queue, attempts = fenced, "attempts had lost their lease; their outcomes changed nothing");
            metrics::fenced("settle", fenced);
        }
        if someone_waits {
            self.waits.notify_one();
        }
        if frees_a_place {
            self.shared.bell.ring(&self.queue);
        }
    }
}

/// What a batch changed.
#[derive(Debug, Default)]
struct Written {
    settled: HashSet<Uuid>,
    /// Those of them that wait again.
    put_back: Vec<Uuid>,
    /// Those of them that ended as cancelled instead, since somebody had asked for that.
    cancelled: HashSet<Uuid>,
    enqueued: Vec<FollowUp>,
}

impl Written {
    /// How an attempt ended that was settled.
    fn end_of(&self, settlement: &Settlement) -> (AttemptOutcome, Option<ErrorClass>) {
        if self.cancelled.contains(&settlement.id.0) {
            return (AttemptOutcome::Cancelled, None);
        }
        let class = settlement.verdict.failure().map(|failure| failure.class);
        (settlement.verdict.outcome(), class)
    }
}

/// What became of a job that was enqueued with an outcome.
#[derive(Debug)]
struct FollowUp {
    queue: String,
    kind: String,
    outcome: EnqueueOutcome,
}

impl FollowUp {
    fn of(row: &JobRow, outcome: EnqueueOutcome) -> Self {
        Self {
            queue: row.queue.clone(),
            kind: row.kind.clone(),
            outcome,
        }
    }
}

/// Waits for outcomes, and under load a moment more, so that a commit is worth its flush; `false` when none will come.
async fn gather(outcomes: &mut mpsc::Receiver<Settlement>, batch: &mut Vec<Settlement>) -> bool {
    if outcomes.recv_many(batch, MOST_TOGETHER).await == 0 {
        return false;
    }
    if batch.len() < BUSY {
        return true;
    }
    let moment = tokio::time::sleep(GATHER);
    tokio::pin!(moment);
    while batch.len() < MOST_TOGETHER {
        // Both are cancel-safe.
        tokio::select! {
            more = outcomes.recv_many(batch, MOST_TOGETHER - batch.len()) => if more == 0 { break },
            () = &mut moment => break,
        }
    }
    true
}

/// How many outcomes of a batch, which is in the order of ids, one transaction takes: at least one, and of each job one.
/// What was stored is told by job, and of two attempts of one job one has lost its lease.
fn fitting(batch: &[Settlement]) -> usize {
    let mut unique = 0;
    let mut last = None;
    let fits = batch.iter().take_while(|settlement| {
        if last.replace(settlement.id) == Some(settlement.id) {
            return false;
        }
        let rows = settlement.follow_ups.iter();
        unique += rows.filter(|row| row.unique.is_some()).count();
        unique <= MOST_UNIQUE
    });
    fits.count().max(1)
}

/// Stores the jobs that come with outcomes. One whose unique key is taken does as its rule says; that it may be refused
/// does not undo the work of the attempt that asked for it.
async fn enqueue(
    conn: &mut PgConnection,
    rows: Vec<&JobRow>,
) -> Result<Vec<FollowUp>, sqlx::Error> {
    let (unique, plain): (Vec<&JobRow>, Vec<&JobRow>) =
        rows.into_iter().partition(|row| row.unique.is_some());
    if !plain.is_empty() {
        let columns = Columns::of(plain.iter().copied());
        insert::insert(&mut *conn, &columns).await?;
    }
    let created = plain.into_iter();
    let mut enqueued: Vec<FollowUp> = created
        .map(|row| FollowUp::of(row, EnqueueOutcome::Created))
        .collect();
    for row in unique {
        let Some(key) = &row.unique else { continue };
        // Ends with the transaction's deadline: any answer but these asks to try again.
        loop {
            match settle_conflict(&mut *conn, row, key).await? {
                Ok(answer) => enqueued.push(FollowUp::of(row, answer.outcome)),
                Err(refused @ EnqueueError::Conflict { .. }) => {
                    tracing::info!(job.kind = row.kind, error = %error_chain(&refused),
                        "a job that an attempt enqueued was refused");
                }
                Err(_) => continue,
            }
            break;
        }
    }
    Ok(enqueued)
}

/// Adds what an earlier try stored whose answer was lost. A job that is kept nowhere was deleted, as was asked.
async fn recall(
    conn: &mut PgConnection,
    batch: &[Settlement],
    written: &mut Written,
) -> Result<(), sqlx::Error> {
    let missing: Vec<&Settlement> = batch
        .iter()
        .filter(|settlement| !written.settled.contains(&settlement.id.0))
        .collect();
    let ids: Vec<Uuid> = missing.iter().map(|settlement| settlement.id.0).collect();
    let ends = settle::latest_ends(conn, &ids).await?;
    let ends: HashMap<Uuid, LatestEnd> = ends.into_iter().map(|end| (end.id, end)).collect();
    for settlement in missing {
        let verdict = &settlement.verdict;
        let end = ends.get(&settlement.id.0);
        let word = end
            .filter(|end| end.number == Some(settlement.attempt))
            .and_then(|end| end.outcome.as_deref());
        let is_ours = match end {
            Some(_) => word == Some(verdict.outcome().as_str()),
            None => matches!(verdict, Verdict::Succeeded { keep: false, .. }),
        };
        let was_cancelled = verdict.waits() && word == Some(AttemptOutcome::Cancelled.as_str());
        if !is_ours && !was_cancelled {
            continue;
        }
        written.settled.insert(settlement.id.0);
        if was_cancelled {
            written.cancelled.insert(settlement.id.0);
        }
        let follow_ups = settlement.follow_ups.iter();
        let created = follow_ups.map(|row| FollowUp::of(row, EnqueueOutcome::Created));
        written.enqueued.extend(created);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
