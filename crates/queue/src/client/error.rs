//! Why a job was not accepted. Each variant is a different answer to the caller.

use std::time::Duration;

use crate::{
    db::DatabaseError,
    job::{JobId, PayloadProblem},
};

/// Why a job was not accepted; nothing of it is stored, unless the database's answer was lost.
#[derive(Debug, thiserror::Error)]
pub enum EnqueueError {
    /// No process has registered this kind.
    #[error("there is no kind \"{kind}\"")]
    UnknownKind {
        /// What was asked for, shortened.
        kind: String,
        /// The known kind that is spelt most like it.
        suggestion: Option<String>,
    },
    /// The payload does not fit its kind's schema.
    #[error("the payload does not fit its kind's schema")]
    Payload(Vec<PayloadProblem>),
    /// The payload is not JSON that every reader can decode.
    #[error("the payload is not sound JSON")]
    PayloadSyntax(#[source] PayloadProblem),
    /// Another member of the request is wrong.
    #[error("{pointer} {message}")]
    Field {
        /// JSON Pointer into the request.
        pointer: &'static str,
        /// What is wrong.
        message: String,
    },
    /// The payload is too large.
    #[error("the payload is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The most that is accepted.
        limit_bytes: usize,
    },
    /// Another job holds the unique key and the request said `reject`.
    #[error("job {existing} holds the unique key")]
    Conflict {
        /// The job that holds it.
        existing: JobId,
    },
    /// The idempotency key was used for another request.
    #[error("the idempotency key was used for another request")]
    IdempotencyMismatch,
    /// The first request with this idempotency key is still being stored.
    #[error("the first request with this idempotency key is still being stored")]
    IdempotencyPending {
        /// Ask again after this.
        retry_after: Duration,
    },
    /// The queue holds as many ready jobs as it may.
    #[error("the queue \"{queue}\" is full")]
    QueueFull {
        /// The queue.
        queue: String,
        /// Ask again after this.
        retry_after: Duration,
    },
    /// More is being enqueued than can be stored.
    #[error("too many jobs are being enqueued")]
    Overloaded {
        /// Ask again after this.
        retry_after: Duration,
    },
    /// The database did not take it; where its answer was lost the job may be stored, and only repeating the request
    /// with the same idempotency key tells.
    #[error("the job could not be stored")]
    Unavailable(#[source] DatabaseError),
    /// The kind's payloads are to be encrypted, and this process has no keys.
    #[error(
        "payloads of the kind \"{kind}\" are encrypted, and MILLPOND_ENCRYPTION_KEYS is not set here"
    )]
    NoKeys {
        /// The kind.
        kind: String,
    },
    /// Another item of an atomic batch was refused.
    #[error("another item of the batch was refused")]
    NotKept,
}

impl From<DatabaseError> for EnqueueError {
    fn from(error: DatabaseError) -> Self {
        Self::Unavailable(error)
    }
}
