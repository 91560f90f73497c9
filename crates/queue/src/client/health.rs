//! Whether the process can do its work: the database answers, and its schema is not older than the program.

use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::Queue;
use crate::error_chain;

/// How long an answer serves.
const FRESH: Duration = Duration::from_millis(500);

/// Whether the process can do its work.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Health {
    /// The database answers.
    pub database: bool,
    /// Its schema is at least as new as the program.
    pub schema: bool,
    /// What is wrong, for people; `ok` where nothing is.
    pub detail: String,
}

impl Health {
    /// Nothing is wrong.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.database && self.schema
    }
}

#[derive(Default)]
pub(super) struct Checker {
    last: Mutex<Option<(Instant, Health)>>,
}

impl Queue {
    /// Asks the database for a sign of life; answers within some 5 s, from memory within half a second.
    pub async fn health(&self) -> Health {
        let mut last = self.shared.health.last.lock().await;
        if let Some((at, health)) = &*last
            && at.elapsed() < FRESH
        {
            return health.clone();
        }
        let health = self.look().await;
        *last = Some((Instant::now(), health.clone()));
        health
    }

    async fn look(&self) -> Health {
        if let Err(error) = self.shared.db.ping().await {
            return Health {
                database: false,
                schema: false,
                detail: error_chain(&error),
            };
        }
        let pending =
            tokio::time::timeout(Duration::from_secs(2), self.shared.db.pending_migrations()).await;
        match pending {
            Ok(Ok(pending)) if pending.is_empty() => Health {
                database: true,
                schema: true,
                detail: "ok".to_owned(),
            },
            Ok(Ok(pending)) => Health {
                database: true,
                schema: false,
                detail: format!(
                    "the schema lacks {} migrations: run `millpond migrate`",
                    pending.len()
                ),
            },
            Ok(Err(error)) => Health {
                database: false,
                schema: false,
                detail: error_chain(&error),
            },
            Err(_) => Health {
                database: false,
                schema: false,
                detail: "the database did not answer in time".to_owned(),
            },
        }
    }
}
