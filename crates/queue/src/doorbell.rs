//! The doorbell: hints that a queue has work, that a running job is to stop, that the configuration changed. At most one message a queue in some
//! tens of milliseconds, sent after the commit it tells of, from a session of its own; polling alone is correct.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sqlx::{Acquire, Connection, postgres::PgListener};
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::{
    db::{Database, DatabaseError, Pool, Session, within},
    store::poll,
};

/// Shortest time between two messages. Each wakes every process, and a listener may pass on a hundred a second.
const QUIET: Duration = Duration::from_millis(10);
/// How long the last message may take when the process ends.
const LAST: Duration = Duration::from_secs(1);
/// Wait before the listener connects again.
const RECONNECT: Duration = Duration::from_secs(1);
/// How long the listener hears nothing before it asks whether anybody is there: nothing else tells of a peer that has
/// vanished.
const SILENCE: Duration = Duration::from_secs(30);
/// Starts the message that asks a running job to stop; queue names cannot hold a colon.
const CANCEL: &str = "cancel:";
/// Says that the configuration of the fleet has changed.
const CONFIG: &str = "config:";

/// Rings for other processes, and wakes those who wait in this one.
#[derive(Debug)]
pub(crate) struct Bell {
    waiting: Mutex<HashMap<String, Arc<Waiter>>>,
    to_send: Arc<ToSend>,
}

/// Who waits for the work of a queue in this process.
#[derive(Debug, Default)]
pub(crate) struct Waiter {
    work: Notify,
    looks_closely: AtomicBool,
}

impl Waiter {
    /// Waits until there may be work.
    pub(crate) async fn notified(&self) {
        self.work.notified().await;
    }

    /// Whether the last look at the queue found limits, held accounts, dry budgets of accounts or parked jobs.
    pub(crate) fn looks_closely(&self) -> bool {
        self.looks_closely.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Default)]
struct ToSend {
    messages: Mutex<BTreeSet<String>>,
    some: Notify,
}

impl Bell {
    pub(crate) fn start(db: Database, tasks: &TaskTracker, stop: CancellationToken) -> Self {
        let to_send = Arc::new(ToSend::default());
        tasks.spawn(send(db.hints(), Arc::clone(&to_send), stop));
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

    /// The configuration of the fleet has changed.
    pub(crate) fn config(&self) {
        self.queue_message(CONFIG.to_owned());
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
            waiter.work.notify_one();
        }
    }

    /// What a look at a queue found: whether whoever claims in this process is to look closely.
    pub(crate) fn found(&self, queue: &str, wants_close_look: bool) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiter) = waiting.get(queue) {
            let looks_closely = &waiter.looks_closely;
            looks_closely.store(wants_close_look, Ordering::Relaxed);
        }
    }

    /// What is notified when a queue has work.
    pub(crate) fn waiter(&self, queue: &str) -> Arc<Waiter> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(waiting.entry(queue.to_owned()).or_default())
    }
}

async fn send(pool: Pool, to_send: Arc<ToSend>, stop: CancellationToken) {
    let mut is_over = false;
    while !is_over {
        // What was said before the end is sent: a command rings and ends.
        tokio::select! {
            () = to_send.some.notified() => {}
            () = stop.cancelled() => is_over = true,
        }
        let messages: Vec<String> = {
            let mut messages = to_send
                .messages
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *messages).into_iter().collect()
        };
        if messages.is_empty() {
            continue;
        }
        if is_over {
            // A hint is worth no long wait: what is cut off here is found by polling.
            let _ = tokio::time::timeout(LAST, ring(&pool, &messages)).await;
            break;
        }
        ring(&pool, &messages).await;
        tokio::select! {
            () = tokio::time::sleep(QUIET) => {}
            () = stop.cancelled() => {}
        }
    }
    pool.close().await;
}

async fn ring(pool: &Pool, messages: &[String]) {
    if let Ok(mut session) = Session::open(pool).await {
        let rung = within(poll::ring(session.conn(), messages)).await;
        if let Err(error) = session.end(rung) {
            tracing::debug!(error = %crate::error_chain(&error), "the doorbell could not be rung; polling serves");
        }
    }
}

/// What the doorbell said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A queue has work.
    Work(String),
    /// A running job is to stop.
    Cancel(Uuid),
    /// The configuration of the fleet has changed.
    Config,
}

fn understand(message: &str) -> Option<Heard> {
    if message == CONFIG {
        return Some(Heard::Config);
    }
    match message.strip_prefix(CANCEL) {
        Some(id) => Uuid::try_parse(id).ok().map(Heard::Cancel),
        None => Some(Heard::Work(message.to_owned())),
    }
}

/// Listens until it is told to stop; connects again when the connection is lost. Does not listen behind a pooler in
/// transaction mode.
pub(crate) async fn listen(db: Database, stop: CancellationToken, hear: impl Fn(Heard)) {
    // What is dropped with the listener are hints.
    tokio::select! {
        () = keep_listening(&db, &hear) => {}
        () = stop.cancelled() => {}
    }
}

async fn keep_listening(db: &Database, hear: &impl Fn(Heard)) {
    loop {
        let listened = match db.pooler().await {
            // Without a session of our own, whoever gets the server next would hear it.
            Ok(pooler) if !pooler.keeps_sessions() => return,
            Ok(_) => listen_once(db, hear).await,
            Err(error) => Err(error),
        };
        if let Err(error) = listened {
            tracing::debug!(error = %crate::error_chain(&error), "the doorbell cannot be heard; polling serves");
        }
        tokio::time::sleep(RECONNECT).await;
    }
}

/// Listens until the connection is lost, or says nothing when it is asked for a sign of life.
async fn listen_once(db: &Database, hear: &impl Fn(Heard)) -> Result<(), DatabaseError> {
    // A pool for each connection: a silent one is never given back.
    let pool = db.separate_pool(1);
    let mut listener = within(async {
        let mut listener = PgListener::connect_with(&pool.present()).await?;
        listener.listen("millpond_doorbell").await?;
        Ok(listener)
    })
    .await?;
    // Connecting again is done here, with a deadline.
    listener.eager_reconnect(false);
    loop {
        // Both are cancel-safe: a message is taken out of the buffer when it is complete.
        tokio::select! {
            message = listener.try_recv() => match message? {
                Some(message) => {
                    if let Some(heard) = understand(message.payload()) {
                        hear(heard);
                    }
                }
                None => return Ok(()),
            },
            () = tokio::time::sleep(SILENCE) => {
                let alive = async { listener.acquire().await?.ping().await };
                within(alive).await?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;
    use crate::DatabaseSettings;

    /// Lets a client log in, as far as that goes without a password, and says nothing more.
    async fn log_in_and_fall_silent(server: TcpListener, logged_in: CancellationToken) {
        const AUTHENTICATION_OK: [u8; 9] = [b'R', 0, 0, 0, 8, 0, 0, 0, 0];
        const READY_FOR_QUERY: [u8; 6] = [b'Z', 0, 0, 0, 5, b'I'];
        let (mut client, _) = server.accept().await.expect("a client");
        let mut asked = [0; 4_096];
        assert!(client.read(&mut asked).await.expect("a startup message") > 0);
        let greeting = [&AUTHENTICATION_OK[..], &READY_FOR_QUERY[..]].concat();
        client.write_all(&greeting).await.expect("it listens");
        assert!(client.read(&mut asked).await.expect("a statement") > 0);
        logged_in.cancel();
        std::future::pending().await
    }

    // Fails when the listener waits for an answer without looking at the token.
    #[tokio::test]
    async fn a_listener_whose_database_falls_silent_stops_when_it_is_told_to() {
        let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = server.local_addr().expect("a port");
        let db = Database::connect_lazy(DatabaseSettings {
            url: SecretString::from(format!("postgres://a@{address}/a?sslmode=disable")),
            requests: 1,
            enqueues: 1,
            engine: 1,
            claims: 1,
            application_name: "doorbell".to_owned(),
        })
        .expect("the address is right");
        let (silent, stop) = (CancellationToken::new(), CancellationToken::new());
        let serving = tokio::spawn(log_in_and_fall_silent(server, silent.clone()));
        let listening = tokio::spawn(listen(db, stop.clone(), |_| {}));
        silent.cancelled().await;

        stop.cancel();
        let stopped = tokio::time::timeout(Duration::from_secs(5), listening).await;

        serving.abort();
        assert!(matches!(stopped, Ok(Ok(()))));
    }

    #[test]
    fn messages_are_queues_cancellations_or_changes() {
        let id = Uuid::now_v7();

        assert_eq!(understand("email"), Some(Heard::Work("email".to_owned())));
        assert_eq!(understand(&format!("cancel:{id}")), Some(Heard::Cancel(id)));
        assert_eq!(understand("cancel:nonsense"), None);
        assert_eq!(understand("config:"), Some(Heard::Config));
        assert_eq!(understand("config"), Some(Heard::Work("config".to_owned())));
    }
}
