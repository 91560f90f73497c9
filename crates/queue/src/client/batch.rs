//! Stores prepared jobs together: one statement where nothing can conflict, one transaction where something can.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use sqlx::{Connection, PgConnection};

use super::EnqueueError;
use crate::{
    db::{Database, DatabaseError, within},
    job::{EnqueueOutcome, Idempotency, JobId, OnConflict},
    store::{
        copy,
        idempotency::{self, KeyColumns},
        insert::{self, Answer, Columns, JobRow, Stored, UniqueRow},
        unique,
    },
};

/// How often a batch that met a deadlock or a lock time-out is tried.
const TRIES: u32 = 3;
/// How often a unique key is asked for whose holder comes and goes.
const KEY_TRIES: u32 = 10;
/// Longest time for the items of a batch that are stored one by one.
const ONE_BY_ONE: Duration = Duration::from_secs(5);
/// From so many jobs without keys on they are stored by COPY. It takes about 3 µs a job less of PostgreSQL and of us
/// together, but two round trips more, which cost some 100 µs where the database is near.
const BULK: usize = 64;
/// How soon to ask again for an answer that is still being made.
const SOON: Duration = Duration::from_secs(1);

/// A prepared job with its idempotency key.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) row: JobRow,
    pub(crate) idempotency: Option<Idempotency>,
}

impl Item {
    /// Whether nothing that others do can be in its way: it has no key of either sort.
    pub(super) fn is_plain(&self) -> bool {
        self.idempotency.is_none() && self.row.unique.is_none()
    }
}

/// What is answered, and whether it was answered before.
#[derive(Debug, Clone)]
pub(crate) struct Answered {
    pub(crate) answer: Answer,
    pub(crate) repeated: bool,
}

type Results = Vec<Result<Answered, EnqueueError>>;

/// Stores items and gives an answer for each. When the batch meets data or a key's lock that stop it, its items are
/// stored one by one, so that one of them fails alone. What stops a batch without keys is a lock on the table: it would
/// stop each of them as well.
pub(crate) async fn store(
    db: &Database,
    items: Vec<Item>,
    ttl: Duration,
    atomic: bool,
) -> Result<Results, DatabaseError> {
    match attempt(db, &items, ttl, atomic).await {
        Err(DatabaseError::Busy(_))
            if items.len() == 1 || (!atomic && items.iter().all(Item::is_plain)) =>
        {
            Ok(items.iter().map(|item| Err(waited(item))).collect())
        }
        Err(DatabaseError::Busy(_) | DatabaseError::Refused(_)) if !atomic => {
            Ok(one_by_one(db, items, ttl).await)
        }
        result => result,
    }
}

/// Stores items each for itself. Those whose turn has not come in time are told to come back.
async fn one_by_one(db: &Database, items: Vec<Item>, ttl: Duration) -> Results {
    let began = Instant::now();
    let mut results = Vec::with_capacity(items.len());
    for item in items {
        results.push(if began.elapsed() < ONE_BY_ONE {
            store_one(db, item, ttl).await
        } else {
            Err(EnqueueError::Overloaded { retry_after: SOON })
        });
    }
    results
}

async fn store_one(db: &Database, item: Item, ttl: Duration) -> Result<Answered, EnqueueError> {
    match attempt(db, std::slice::from_ref(&item), ttl, false).await {
        Ok(mut results) => results.pop().unwrap_or_else(|| Err(waited(&item))),
        Err(DatabaseError::Busy(_)) => Err(waited(&item)),
        Err(error) => Err(error.into()),
    }
}

/// The item waited for somebody else's transaction as long as it may.
fn waited(item: &Item) -> EnqueueError {
    match item.idempotency {
        Some(_) => EnqueueError::IdempotencyPending { retry_after: SOON },
        None => EnqueueError::Overloaded { retry_after: SOON },
    }
}

async fn attempt(
    db: &Database,
    items: &[Item],
    ttl: Duration,
    atomic: bool,
) -> Result<Results, DatabaseError> {
    let mut tries = 0;
    loop {
        tries += 1;
        let mut session = db.enqueue().await?;
        let stored = within(write(session.conn(), items, ttl, atomic)).await;
        match session.end(stored) {
            Err(DatabaseError::Busy(sqlx::Error::Database(error)))
                if tries < TRIES && error.code().as_deref() == Some("40P01") => {}
            result => return result,
        }
    }
}

async fn write(
    conn: &mut PgConnection,
    items: &[Item],
    ttl: Duration,
    atomic: bool,
) -> Result<Results, sqlx::Error> {
    if items.iter().all(Item::is_plain) {
        return write_plain(conn, items).await;
    }
    let mut tx = conn.begin().await?;
    let results = write_with_keys(&mut tx, items, ttl).await?;
    if atomic && results.iter().any(Result::is_err) {
        tx.rollback().await?;
        return Ok(results
            .into_iter()
            .map(|result| result.and(Err(EnqueueError::NotKept)))
            .collect());
    }
    tx.commit().await?;
    Ok(results)
}

async fn write_plain(conn: &mut PgConnection, items: &[Item]) -> Result<Results, sqlx::Error> {
    let rows = items.iter().map(|item| &item.row);
    if items.len() < BULK {
        let stored = insert::insert(conn, &Columns::of(rows)).await?;
        return Ok(in_order(items, stored));
    }
    let now = copy::now(&mut *conn).await?;
    let rows: Vec<&JobRow> = rows.collect();
    let stored = copy::insert(conn, &rows, now).await?;
    let answers = rows.into_iter().zip(stored);
    Ok(answers
        .map(|(row, stored)| Ok(created(row, stored)))
        .collect())
}

fn in_order(items: &[Item], stored: Vec<Stored>) -> Results {
    let mut by_id: HashMap<_, _> = stored
        .into_iter()
        .map(|stored| (stored.id, stored))
        .collect();
    items
        .iter()
        .map(|item| {
            by_id
                .remove(&item.row.id.0)
                .map(|stored| created(&item.row, stored))
                .ok_or(EnqueueError::NotKept)
        })
        .collect()
}

fn created(row: &JobRow, stored: Stored) -> Answered {
    let answer = Answer {
        stored,
        queue: row.queue.clone(),
        outcome: EnqueueOutcome::Created,
    };
    Answered {
        answer,
        repeated: false,
    }
}

async fn write_with_keys(
    conn: &mut PgConnection,
    items: &[Item],
    ttl: Duration,
) -> Result<Results, sqlx::Error> {
    let winners = take_keys(conn, items, ttl).await?;
    let is_new = |item: &&Item| item.idempotency.is_none() || winners.contains(&item.row.id);
    let plain: Vec<&Item> = items
        .iter()
        .filter(is_new)
        .filter(|item| item.row.unique.is_none())
        .collect();
    let stored =
        insert::insert(&mut *conn, &Columns::of(plain.iter().map(|item| &item.row))).await?;
    let mut stored: HashMap<_, _> = stored
        .into_iter()
        .map(|stored| (stored.id, stored))
        .collect();

    let mut results: Vec<Option<Result<Answered, EnqueueError>>> = Vec::with_capacity(items.len());
    for item in items {
        results.push(match (&item.row.unique, is_new(&item)) {
            (None, true) => stored
                .remove(&item.row.id.0)
                .map(|stored| Ok(created(&item.row, stored))),
            (Some(unique), true) => Some(write_unique(conn, item, unique).await?),
            (_, false) => None,
        });
    }
    // Whoever came second reads what the first was answered; in the same batch that is known only now.
    let mut answers = Vec::with_capacity(items.len());
    for (item, result) in items.iter().zip(results) {
        answers.push(match (result, &item.idempotency) {
            (Some(result), _) => result,
            (None, Some(idempotency)) => first_answer(conn, idempotency).await?,
            (None, None) => Err(EnqueueError::NotKept),
        });
    }
    Ok(answers)
}

/// Takes the idempotency keys of a batch, each once; gives the jobs whose key is theirs.
async fn take_keys(
    conn: &mut PgConnection,
    items: &[Item],
    ttl: Duration,
) -> Result<HashSet<JobId>, sqlx::Error> {
    let mut seen = HashSet::new();
    let mut columns = KeyColumns::default();
    for Item { row, idempotency } in items {
        let Some(idempotency) = idempotency else {
            continue;
        };
        if !seen.insert((&idempotency.client, &idempotency.key)) {
            continue;
        }
        columns.clients.push(idempotency.client.clone());
        columns.keys.push(idempotency.key.clone());
        columns.fingerprints.push(idempotency.fingerprint.to_vec());
        columns.job_ids.push(row.id.0);
        columns.queues.push(row.queue.clone());
        columns.run_ats.push(row.run_at);
        columns.delays.push(row.delay_seconds);
    }
    if columns.keys.is_empty() {
        return Ok(HashSet::new());
    }
    let taken = idempotency::take(conn, &columns, ttl.as_secs_f64()).await?;
    Ok(taken.into_iter().map(JobId).collect())
}

async fn first_answer(
    conn: &mut PgConnection,
    asked: &Idempotency,
) -> Result<Result<Answered, EnqueueError>, sqlx::Error> {
    let Some(first) = idempotency::find(conn, &asked.client, &asked.key).await? else {
        // The first one was refused meanwhile and gave the key back.
        return Ok(Err(EnqueueError::IdempotencyPending { retry_after: SOON }));
    };
    if first.fingerprint != asked.fingerprint {
        return Ok(Err(EnqueueError::IdempotencyMismatch));
    }
    let stored = Stored {
        id: first.job_id,
        state: first.state,
        run_at: first.run_at,
    };
    let outcome = first.outcome.parse().unwrap_or(EnqueueOutcome::Created);
    let answer = Answer {
        stored,
        queue: first.queue,
        outcome,
    };
    Ok(Ok(Answered {
        answer,
        repeated: true,
    }))
}

async fn write_unique(
    conn: &mut PgConnection,
    item: &Item,
    key: &UniqueRow,
) -> Result<Result<Answered, EnqueueError>, sqlx::Error> {
    let result = settle_conflict(conn, &item.row, key).await?;
    if let Some(idempotency) = &item.idempotency {
        match &result {
            Ok(answer) if answer.outcome == EnqueueOutcome::Created => {}
            Ok(answer) => {
                idempotency::amend(conn, &idempotency.client, &idempotency.key, answer).await?
            }
            Err(_) => idempotency::free(conn, &idempotency.client, &idempotency.key).await?,
        }
    }
    Ok(result.map(|answer| Answered {
        answer,
        repeated: false,
    }))
}

/// Stores the job, or does what it says about the one that holds its key.
pub(crate) async fn settle_conflict(
    conn: &mut PgConnection,
    row: &JobRow,
    key: &UniqueRow,
) -> Result<Result<Answer, EnqueueError>, sqlx::Error> {
    for _ in 0..KEY_TRIES {
        if let Some(stored) = unique::insert(&mut *conn, row, key).await? {
            return Ok(Ok(created(row, stored).answer));
        }
        let holder = unique::holder(&mut *conn, &row.kind, row.tenant.as_deref(), &key.key).await?;
        // The holder ended between the two statements: its key is free again.
        let Some(holder) = holder else { continue };
        let is_running = holder.state == "running";
        let kept = Answer {
            stored: Stored {
                id: holder.id,
                state: holder.state,
                run_at: holder.run_at,
            },
            queue: holder.queue,
            outcome: EnqueueOutcome::Deduplicated,
        };
        return Ok(match key.on_conflict {
            OnConflict::Reject => Err(EnqueueError::Conflict {
                existing: JobId(holder.id),
            }),
            OnConflict::OneBehind if is_running => {
                unique::release(&mut *conn, holder.id).await?;
                continue;
            }
            OnConflict::Replace if !is_running => {
                let stored = unique::replace(&mut *conn, holder.id, row, key).await?;
                Ok(Answer {
                    stored,
                    queue: row.queue.clone(),
                    outcome: EnqueueOutcome::Replaced,
                })
            }
            OnConflict::Keep | OnConflict::OneBehind | OnConflict::Replace => Ok(kept),
        });
    }
    // Its holders come and go faster than one can be asked.
    Ok(Err(EnqueueError::Overloaded { retry_after: SOON }))
}
