//! Who stands between this process and PostgreSQL. A pooler in transaction mode gives a connection another server for
//! each transaction, so nothing that belongs to a session holds there: settings, prepared statements, LISTEN, locks.

mod address;
mod bridge;
mod carrier;
mod find;
mod guide;
mod migration;
mod route;

use std::fmt;

pub(super) use address::Address;
pub(super) use find::find;
pub(super) use guide::Guide;
pub(super) use migration::migrate;
pub(super) use route::{Route, Settings};

/// Who stands between this process and PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pooler {
    /// Nobody, or somebody who passes on all that is said.
    None,
    /// A pooler that gives each connection a server of its own, but takes no settings when it connects.
    Session,
    /// A pooler that gives each transaction a server.
    Transaction,
    /// The same, which also brings what was prepared to every server: PgBouncer from 1.21 with `max_prepared_statements`.
    TransactionPrepared,
}

impl Pooler {
    const ALL: [Self; 4] = [
        Self::None,
        Self::Session,
        Self::Transaction,
        Self::TransactionPrepared,
    ];

    /// Its word, as `pooler=` in `DATABASE_URL` has it.
    fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Session => "session",
            Self::Transaction => "transaction",
            Self::TransactionPrepared => "transaction-prepared",
        }
    }

    /// Whether a session lasts as long as its connection.
    pub(crate) fn keeps_sessions(self) -> bool {
        match self {
            Self::None | Self::Session => true,
            Self::Transaction | Self::TransactionPrepared => false,
        }
    }

    fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|pooler| pooler.as_str() == word)
    }
}

impl fmt::Display for Pooler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
