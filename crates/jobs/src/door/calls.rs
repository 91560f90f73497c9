//! The log of calls on its way into the database: a bounded channel and one writer. A call never waits for it; what finds
//! no room is counted and left out.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use marketing::sync::{LoggedCall, Syncs};
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

/// Most calls that wait to be stored.
const MOST_WAITING: usize = 10_000;
/// Most calls of one statement.
const BATCH: usize = 500;
/// The time in which calls are collected.
const COLLECT: Duration = Duration::from_secs(1);
/// Longest that the end of a process waits for what is not stored yet.
const LONGEST_END: Duration = Duration::from_secs(5);

/// The log of the calls of a process.
pub(super) struct CallLog {
    sender: mpsc::Sender<LoggedCall>,
    left_out: Arc<AtomicU64>,
    closing: CancellationToken,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl CallLog {
    /// Starts the writer, which ends with this or by [`Self::close`].
    pub(super) fn start(syncs: Syncs) -> Self {
        let (sender, receiver) = mpsc::channel(MOST_WAITING);
        let left_out = Arc::new(AtomicU64::new(0));
        let closing = CancellationToken::new();
        let writer = Writer {
            syncs,
            receiver,
            left_out: Arc::clone(&left_out),
            closing: closing.clone(),
        };
        Self {
            sender,
            left_out,
            closing,
            writer: Mutex::new(Some(tokio::spawn(writer.run()))),
        }
    }

    /// Takes a call, if there is room.
    pub(super) fn note(&self, call: LoggedCall) {
        if self.sender.try_send(call).is_err() {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Stores what waits, and ends the writer.
    pub(super) async fn close(&self) {
        self.closing.cancel();
        let writer = self
            .writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(mut writer) = writer
            && timeout(LONGEST_END, &mut writer).await.is_err()
        {
            writer.abort();
            tracing::warn!("the log of calls was not stored to its end");
        }
    }
}

struct Writer {
    syncs: Syncs,
    receiver: mpsc::Receiver<LoggedCall>,
    left_out: Arc<AtomicU64>,
    closing: CancellationToken,
}

impl Writer {
    async fn run(mut self) {
        // Both are cancel-safe.
        tokio::select! {
            () = self.closing.cancelled() => {}
            () = self.make_room() => {}
        }
        let mut batch = Vec::with_capacity(BATCH);
        let mut is_closing = false;
        loop {
            // Both are cancel-safe.
            tokio::select! {
                received = self.receiver.recv_many(&mut batch, BATCH) => {
                    if received == 0 {
                        break;
                    }
                }
                () = self.closing.cancelled(), if !is_closing => {
                    // Nothing more gets in; what is in already is received all the same.
                    is_closing = true;
                    self.receiver.close();
                    continue;
                }
            }
            self.store(&batch).await;
            if batch.len() < BATCH {
                // Both are cancel-safe.
                tokio::select! {
                    () = self.closing.cancelled() => {}
                    () = tokio::time::sleep(COLLECT) => {}
                }
            }
            batch.clear();
        }
    }

    /// Whoever cleans up does this every hour; after a long rest nobody has, and what is written before that stands apart.
    async fn make_room(&self) {
        if let Err(error) = self.syncs.make_room().await {
            tracing::warn!(error = %queue::error_chain(&error),
                "partitions for the days ahead could not be made; they are made when maintenance.retention runs");
        }
    }

    async fn store(&self, batch: &[LoggedCall]) {
        if let Err(error) = self.syncs.record_calls(batch).await {
            tracing::warn!(calls = batch.len(), error = %queue::error_chain(&error),
                "calls could not be stored in the log of calls");
        }
        let left_out = self.left_out.swap(0, Ordering::Relaxed);
        if left_out > 0 {
            tracing::warn!(
                calls = left_out,
                "calls were left out of the log of calls: they came faster than they are stored"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::Utc;
    use marketing::PgPool;
    use providers::platform::{CallRecord, Platform, Usage};

    use super::*;
    use crate::kinds::testing::{app, no_database};

    fn call() -> LoggedCall {
        LoggedCall {
            account: None,
            call: CallRecord {
                platform: Platform::X,
                endpoint: "GET accounts",
                started_at: Utc::now(),
                took: Duration::from_millis(80),
                status: Some(200),
                class: None,
                request_id: None,
                usage: Usage::default(),
            },
        }
    }

    // Fails when the calls of a process's last seconds are missing in the log.
    #[sqlx::test(migrations = "../../migrations")]
    async fn what_waits_is_stored_before_the_process_ends(db: PgPool) -> anyhow::Result<()> {
        let log = CallLog::start(app(db.clone(), "http://127.0.0.1:9").syncs);
        for _ in 0..3 {
            log.note(call());
        }

        log.close().await;
        log.note(call());

        let stored: i64 = sqlx::query_scalar("SELECT count(*) FROM marketing.api_calls")
            .fetch_one(&db)
            .await?;
        assert_eq!(stored, 3);
        Ok(())
    }

    // Fails when a process that comes back after its partitions ran out writes beside them for as long as it runs.
    #[sqlx::test(migrations = "../../migrations")]
    async fn a_process_begins_with_making_room(db: PgPool) -> anyhow::Result<()> {
        let today = Utc::now().format("%Y%m%d");
        let gone = format!("DROP TABLE marketing.api_calls_{today}");
        sqlx::query(&gone).execute(&db).await?;
        let log = CallLog::start(app(db.clone(), "http://127.0.0.1:9").syncs);
        let is_there = format!("SELECT to_regclass('marketing.api_calls_{today}') IS NOT NULL");

        let made = timeout(Duration::from_secs(20), async {
            loop {
                let is_there: bool = sqlx::query_scalar(&is_there).fetch_one(&db).await?;
                if is_there {
                    return anyhow::Ok(());
                }
            }
        });
        made.await??;

        log.close().await;
        Ok(())
    }

    // Fails when a call waits for the log, or when the log grows without a bound.
    #[tokio::test]
    async fn what_finds_no_room_is_counted_and_left_out() {
        let log = CallLog::start(app(no_database(), "http://127.0.0.1:9").syncs);

        // The writer has no turn before this test waits for something.
        for _ in 0..MOST_WAITING + 5 {
            log.note(call());
        }

        assert_eq!(log.left_out.load(Ordering::Relaxed), 5);
    }
}
