//! The accept loop: `axum::serve` has no deadlines, so half a header would keep a connection for ever. Here every wait
//! on a client ends, connections are counted, and a stop lets requests under way finish.

mod connection;
mod framing;
mod io;

use std::{
    io::{Error, ErrorKind},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use axum::Router;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) use framing::AmbiguousFraming;

use crate::problem::retry_after_seconds;
use connection::Connections;

/// Sent to those who come while all places are taken.
const BUSY: &str = r#"{"type":"/docs/problems#overloaded","title":"The service is at its limit","status":503,"detail":"try later"}"#;
/// What they are told to wait at least.
const RETRY: Duration = Duration::from_secs(1);
/// Longest that telling one of them takes.
const TURN_AWAY: Duration = Duration::from_millis(25);
/// How many are told at a time; those beyond are closed without a word.
const TURNED_AWAY: usize = 256;
/// Pause after the system refused a connection for want of files or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// How long a stop waits for connections that were cut to be gone.
const CUT_GRACE: Duration = Duration::from_secs(1);

/// What a connection may take. [`ServerLimits::default`] suits an ordinary process.
#[derive(Debug, Clone, Copy)]
pub struct ServerLimits {
    /// Open connections; those beyond get 503 and are closed, or are closed at once where too many come together.
    pub connections: usize,
    /// From the first byte of a request's head to its last.
    pub header: Duration,
    /// From one request to the next on a connection that is kept alive.
    pub idle: Duration,
    /// How long an answer may wait for a client that does not read it.
    pub write: Duration,
    /// Bytes of a request's head; more is 431, as are more than 100 headers.
    pub header_bytes: usize,
    /// How long a stop waits for requests under way.
    pub drain: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            connections: 10_240,
            header: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            write: Duration::from_secs(30),
            header_bytes: 32 * 1_024,
            drain: Duration::from_secs(30),
        }
    }
}

/// Why serving did not end well.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Requests were still under way when the drain was over: their clients do not know how they ended.
    #[error("{connections} connections were cut since their requests did not end in time")]
    Cut {
        /// How many connections.
        connections: usize,
    },
}

/// Serves until `shutdown` is cancelled: then accepts no more, lets requests under way finish, and cuts those that do
/// not within [`ServerLimits::drain`].
///
/// # Errors
/// [`ServeError::Cut`] when some had to be cut.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ServerLimits,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let places = Arc::new(Semaphore::new(limits.connections));
    let doorsteps = Arc::new(Semaphore::new(TURNED_AWAY));
    let tasks = TaskTracker::new();
    let cut = CancellationToken::new();
    let connections = Connections::new(router, limits, shutdown.clone(), cut.clone());

    // Both branches are cancel-safe: a connection that is not taken stays in the listener's queue.
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => match Arc::clone(&places).try_acquire_owned() {
                Ok(place) => {
                    let connection = connections.serve(stream, peer);
                    tasks.spawn(async move {
                        connection.await;
                        drop(place);
                    });
                }
                // Beside the loop: those who come meanwhile may find a place.
                Err(_) => {
                    if let Ok(doorstep) = Arc::clone(&doorsteps).try_acquire_owned() {
                        tasks.spawn(async move {
                            turn_away(stream, peer).await;
                            drop(doorstep);
                        });
                    }
                }
            },
            Err(error) if is_the_clients(&error) => {}
            Err(error) => pause(&error, &shutdown).await,
        }
    }
    drop(listener);
    drain(&tasks, &cut, limits.drain).await
}

/// Tells why, as far as that goes at once: a client that does not read must not hold up the others.
async fn turn_away(mut stream: TcpStream, peer: SocketAddr) {
    let told = async {
        stream.write_all(busy().as_bytes()).await?;
        // Closing on a request that was not read would reset the connection, and the answer with it.
        stream.read(&mut [0; 4_096]).await
    };
    if !matches!(timeout(TURN_AWAY, told).await, Ok(Ok(_))) {
        tracing::debug!(%peer, "a connection beyond the limit was closed unanswered");
    }
}

fn busy() -> String {
    format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\nretry-after: {}\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{BUSY}",
        retry_after_seconds(RETRY),
        BUSY.len()
    )
}

/// Whether a connection went away before it was accepted.
fn is_the_clients(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset
    )
}

/// Out of files or memory: accepting at once again would spin.
async fn pause(error: &Error, shutdown: &CancellationToken) {
    tracing::warn!(%error, "no connection can be accepted at present");
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = tokio::time::sleep(ACCEPT_PAUSE) => {}
    }
}

async fn drain(
    tasks: &TaskTracker,
    cut: &CancellationToken,
    longest: Duration,
) -> Result<(), ServeError> {
    tasks.close();
    if timeout(longest, tasks.wait()).await.is_ok() {
        return Ok(());
    }
    let connections = tasks.len();
    cut.cancel();
    if timeout(CUT_GRACE, tasks.wait()).await.is_err() {
        tracing::warn!("connections were still open when the process ended");
    }
    Err(ServeError::Cut { connections })
}

#[cfg(test)]
mod tests;
