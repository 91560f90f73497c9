//! What keeps a job or a queue from going on.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

/// What keeps a job or a queue from going on, and when it should.
#[derive(Serialize, ToSchema)]
pub(crate) struct Explanation {
    /// A job's state; a queue is `open` or `paused`.
    #[schema(example = "ready")]
    state: String,
    /// Whether the next claim starts the job, or any job of the queue.
    runnable: bool,
    /// Every gate; none for a job that does not wait.
    gates: Vec<Gate>,
    /// How many jobs go first, counted up to 10,000; of the caller's tenant where its key is bound to one. In a queue
    /// whose tenants take turns that is about how many.
    ahead: i64,
    /// When it should start; null where nobody knows, and for keys bound to a tenant where others' jobs decide it.
    expected_start: Option<DateTime<Utc>>,
}

impl From<queue::Explanation> for Explanation {
    fn from(explanation: queue::Explanation) -> Self {
        Self {
            state: explanation.state,
            runnable: explanation.runnable,
            gates: explanation.gates.into_iter().map(Gate::from).collect(),
            ahead: explanation.ahead,
            expected_start: explanation.expected_start,
        }
    }
}

/// What a gate does.
#[derive(Serialize, ToSchema)]
struct Gate {
    /// `queue_paused`, `not_due`, `queue_full`, `queue_rate`, `key_limit`, `budget`, `account_held`, `no_worker` or
    /// `backlog`.
    #[schema(example = "key_limit")]
    gate: &'static str,
    /// Whether it keeps the job, or jobs of the queue, from starting now.
    blocking: bool,
    /// Who or what holds it.
    detail: String,
    /// Until when; null where nobody knows. Of a queue's jobs: until the first of the ends that are told. What takes the
    /// places of a key has them by leases, which are renewed for as long as its attempts run.
    until: Option<DateTime<Utc>>,
}

impl From<queue::GateAnswer> for Gate {
    fn from(answer: queue::GateAnswer) -> Self {
        Self {
            gate: answer.gate.as_str(),
            blocking: answer.blocking,
            detail: answer.detail,
            until: answer.until,
        }
    }
}
