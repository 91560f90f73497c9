//! Connections to the mail server: a bounded number at once, and a few that stay open for the next mail.
//!
//! Not lettre's own pool: that one takes a connection back when a delivery is dropped half-way (a time-out, a cancelled
//! job), and the next mail would then read the reply to the last one.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use lettre::transport::smtp::client::AsyncSmtpConnection;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::server::Server;
use crate::error::Error;

/// Most connections at once.
const CONNECTIONS_LIMIT: usize = 10;

/// How long a connection stays open unused: mail servers hang up after minutes at the latest.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) struct Connections {
    server: Server,
    permits: Semaphore,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    smtp: Box<AsyncSmtpConnection>,
    since: Instant,
}

/// A connection that one mail has to itself. Dropped, it is closed.
pub(super) struct Connection<'a> {
    pub(super) smtp: Box<AsyncSmtpConnection>,
    _permit: SemaphorePermit<'a>,
}

impl Connections {
    pub(super) fn to(server: Server) -> Self {
        Self {
            server,
            permits: Semaphore::new(CONNECTIONS_LIMIT),
            idle: Mutex::default(),
        }
    }

    /// An open connection, ready for a mail; waits while all are in use.
    ///
    /// # Errors
    /// What [`Server::connect`] gives.
    pub(super) async fn take(&self) -> Result<Connection<'_>, Error> {
        let permit = self
            .permits
            .acquire()
            .await
            .expect("the semaphore is never closed");
        while let Some(mut smtp) = self.take_idle() {
            if smtp.test_connected().await {
                return Ok(Connection {
                    smtp,
                    _permit: permit,
                });
            }
        }
        // On the heap: a connection with its TLS state is large.
        let smtp = Box::pin(self.server.connect()).await?;
        Ok(Connection {
            smtp: Box::new(smtp),
            _permit: permit,
        })
    }

    /// Keeps a connection whose last mail ended well.
    pub(super) fn give_back(&self, connection: Connection<'_>) {
        self.idle().push(Idle {
            smtp: connection.smtp,
            since: Instant::now(),
        });
    }

    fn take_idle(&self) -> Option<Box<AsyncSmtpConnection>> {
        let mut idle = self.idle();
        idle.retain(|connection| connection.since.elapsed() < IDLE_TIMEOUT);
        idle.pop().map(|connection| connection.smtp)
    }

    /// Never held across an await. There are at most as many as permits, since each was taken with one.
    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
