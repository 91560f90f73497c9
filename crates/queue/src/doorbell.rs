//! The doorbell: hints that a queue has work or that a running job is to stop. At most one message a queue in some
//! tens of milliseconds, sent after the commit it tells of, from a session of its own; polling alone is correct.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sqlx::{PgPool, postgres::PgListener};
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::{
    db::{Database, Session, within},
    store::poll,
};

/// Shortest time between two messages.
const QUIET: Duration = Duration::from_millis(25);
/// Wait before the listener connects again.
const RECONNECT: Duration = Duration::from_secs(1);
/// Starts the message that asks a running job to stop; queue names cannot hold a colon.
const CANCEL: &str = "cancel:";

/// Rings for other processes, and wakes those who wait in this one.
#[derive(Debug)]
pub(crate) struct Bell {
    waiting: Mutex<HashMap<String, Arc<Notify>>>,
    to_send: Arc<ToSend>,
}

#[derive(Debug, Default)]
struct ToSend {
    messages: Mutex<BTreeSet<String>>,
    some: Notify,
}

impl Bell {
    pub(crate) fn start(db: Database, tasks: &TaskTracker, stop: CancellationToken) -> Self {
        let to_send = Arc::new(ToSend::default());
        tasks.spawn(send(db.separate_pool(1), Arc::clone(&to_send), stop));
        Self {
            waiting: Mutex::default(),
            to_send,
        }
    }

    /// A queue has work.
    pub(crate) fn ring(&self, queue: &str) {
        self.wake(queue);
        self.queue_message(queue.to_owned());
    }

    /// A running job is to stop.
    pub(crate) fn cancel(&self, id: Uuid) {
        self.queue_message(format!("{CANCEL}{id}"));
    }

    fn queue_message(&self, message: String) {
        self.to_send
            .messages
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(message);
        self.to_send.some.notify_one();
    }

    /// Wakes who waits for a queue in this process.
    pub(crate) fn wake(&self, queue: &str) {
        if let Some(waiter) = self
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(queue)
        {
            waiter.notify_one();
        }
    }

    /// What is notified when a queue has work.
    pub(crate) fn waiter(&self, queue: &str) -> Arc<Notify> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(waiting.entry(queue.to_owned()).or_default())
    }
}

async fn send(pool: PgPool, to_send: Arc<ToSend>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = to_send.some.notified() => {}
            () = stop.cancelled() => break,
        }
        let messages: Vec<String> = {
            let mut messages = to_send
                .messages
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *messages).into_iter().collect()
        };
        if let Ok(mut session) = Session::open(&pool).await {
            let rung = within(poll::ring(session.conn(), &messages)).await;
            if let Err(error) = session.end(rung) {
                tracing::debug!(error = %crate::error_chain(&error), "the doorbell could not be rung; polling serves");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(QUIET) => {}
            () = stop.cancelled() => break,
        }
    }
    pool.close().await;
}

/// What the doorbell said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A queue has work.
    Work(String),
    /// A running job is to stop.
    Cancel(Uuid),
}

fn understand(message: &str) -> Option<Heard> {
    match message.strip_prefix(CANCEL) {
        Some(id) => Uuid::try_parse(id).ok().map(Heard::Cancel),
        None => Some(Heard::Work(message.to_owned())),
    }
}

/// Listens until it is told to stop; connects again when the connection is lost.
pub(crate) async fn listen(db: Database, stop: CancellationToken, hear: impl Fn(Heard)) {
    let pool = db.separate_pool(1);
    while !stop.is_cancelled() {
        if let Ok(mut listener) = PgListener::connect_with(&pool).await
            && listener.listen("millpond_doorbell").await.is_ok()
        {
            loop {
                tokio::select! {
                    message = listener.recv() => match message {
                        Ok(message) => {
                            if let Some(heard) = understand(message.payload()) {
                                hear(heard);
                            }
                        }
                        Err(_) => break,
                    },
                    () = stop.cancelled() => return,
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(RECONNECT) => {}
            () = stop.cancelled() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_queues_or_cancellations() {
        let id = Uuid::now_v7();

        assert_eq!(understand("email"), Some(Heard::Work("email".to_owned())));
        assert_eq!(understand(&format!("cancel:{id}")), Some(Heard::Cancel(id)));
        assert_eq!(understand("cancel:nonsense"), None);
    }
}
