//! What the check goes by: what clients were told, what the database holds, what the receiver saw. All times are seconds
//! since 1970 of this machine's one clock, which the database and the receiver share.

/// What a client sent, and what it knows of it. A token stands in the payload, so that a row leads back to it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sent {
    pub(crate) token: String,
    /// Its idempotency key, if it had one.
    pub(crate) key: Option<String>,
    /// The jobs that it was acknowledged with, one for each answer.
    pub(crate) answers: Vec<String>,
    /// Tries of which the client does not know whether they were stored: 5xx, a cut connection.
    pub(crate) doubts: u32,
}

/// Where a job stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// Still to be done, in this state.
    Live(String),
    /// In the history.
    Succeeded,
    /// In the history.
    Cancelled,
    /// Among the dead letters.
    Dead,
}

/// A job as the database tells it.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) token: Option<String>,
    pub(crate) place: Place,
    pub(crate) attempts_used: u32,
    pub(crate) max_attempts: u32,
    /// In the order of their numbers.
    pub(crate) attempts: Vec<Attempt>,
}

/// An attempt as the history tells it: its lease was valid at most from its start to its end.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    pub(crate) number: u32,
    pub(crate) started: f64,
    pub(crate) finished: f64,
    pub(crate) outcome: String,
}

/// A call as the receiver saw it.
#[derive(Debug, Clone)]
pub(crate) struct Effect {
    pub(crate) job: String,
    pub(crate) attempt: u32,
    /// The idempotency key that it came with.
    pub(crate) key: String,
    pub(crate) started: f64,
    pub(crate) ended: f64,
    /// What was answered; `None` when the caller hung up or was cut off.
    pub(crate) status: Option<u16>,
}

/// What the database counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) succeeded: u64,
    pub(crate) cancelled: u64,
    pub(crate) dead: u64,
    /// What the groups of dead letters say, which are counted when a letter comes and goes.
    pub(crate) dead_in_groups: u64,
}

/// When what looks wrong may be right.
#[derive(Debug, Clone, Default)]
pub(crate) struct Excuses {
    /// When the database crashed: a claim whose commit was not flushed is forgotten, and its number given again.
    pub(crate) crashes: Vec<f64>,
    /// When statements waited for a lock of ours: `now()` is when they began to wait, not when they saw the data.
    pub(crate) waits: Vec<(f64, f64)>,
}

/// Everything.
#[derive(Debug, Clone, Default)]
pub(crate) struct Evidence {
    pub(crate) sent: Vec<Sent>,
    pub(crate) rows: Vec<Row>,
    /// Idempotency keys and the jobs they lead to.
    pub(crate) keys: Vec<(String, String)>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) totals: Totals,
    pub(crate) excuses: Excuses,
}
