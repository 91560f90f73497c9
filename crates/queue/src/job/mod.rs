//! What a job is: its id, its words, what a new one needs, and the gate its payload passes.

mod id;
mod new;
pub(crate) mod payload;
mod words;

pub use id::JobId;
pub use new::{Enqueued, Idempotency, NewJob, Start, Unique};
pub use payload::PayloadProblem;
pub use words::{
    AttemptOutcome, EnqueueOutcome, ErrorClass, JobState, OnConflict, Source, TickOutcome,
    UnknownWord,
};
