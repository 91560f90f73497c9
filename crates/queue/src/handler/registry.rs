//! Every kind that this process knows: its handler, its payload's schema, and what the engine must know of both.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use serde_json::{Value, value::RawValue};

use super::{BatchJob, Job, JobContext, JobError, LateCheck, Outcome, SharedRawJob, dispatch};

/// What is public about a kind.
#[derive(Debug, Clone)]
pub struct KindInfo {
    /// `family.action`.
    pub name: Arc<str>,
    /// The JSON Schema of its payload.
    pub schema: Arc<Value>,
    /// Where it takes its waiting jobs in batches: the most a call gets, and how long it waits for more.
    pub batch: Option<(usize, Duration)>,
    /// What tells of a payload that it has come too late.
    pub late: Option<LateCheck>,
}

/// One job handed to a handler.
pub(crate) struct Invocation<A> {
    pub(crate) payload: Box<RawValue>,
    pub(crate) ctx: JobContext<A>,
}

/// A handler with its payload type erased. Answers as many outcomes as it was given invocations.
pub(crate) type Handler<A> = Arc<
    dyn Fn(Vec<Invocation<A>>) -> BoxFuture<'static, Vec<Result<Outcome, JobError>>> + Send + Sync,
>;

struct Entry<A> {
    info: KindInfo,
    handler: Handler<A>,
}

/// The kinds a process can run. One that is registered twice keeps the later handler.
pub struct Registry<A> {
    entries: BTreeMap<Arc<str>, Entry<A>>,
}

impl<A: Send + Sync + 'static> Default for Registry<A> {
    fn default() -> Self {
        Self::new()
    }
}

impl<A: Send + Sync + 'static> Registry<A> {
    /// Knows no kind yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            entries: BTreeMap::new(),
        }
    }

    /// Adds a kind whose jobs run one by one.
    #[must_use]
    pub fn with<J: Job<App = A>>(self) -> Self {
        let info = KindInfo {
            name: J::KIND.into(),
            schema: Arc::new(schemars::schema_for!(J).into()),
            batch: None,
            late: None,
        };
        self.add(info, dispatch::single::<J>())
    }

    /// Adds a kind whose waiting jobs run together.
    #[must_use]
    pub fn with_batch<J: BatchJob<App = A>>(self) -> Self {
        let info = KindInfo {
            name: J::KIND.into(),
            schema: Arc::new(schemars::schema_for!(J).into()),
            batch: Some((J::MOST, J::LONGEST_WAIT)),
            late: J::LATE,
        };
        self.add(info, dispatch::batch::<J>())
    }

    /// Adds a kind known only at run time; its payload is not checked beyond being sound JSON.
    #[must_use]
    pub fn with_raw(self, kind: &str, job: SharedRawJob<A>) -> Self {
        let info = KindInfo {
            name: kind.into(),
            schema: Arc::new(Value::Bool(true)),
            batch: None,
            late: None,
        };
        self.add(info, dispatch::raw(job))
    }

    fn add(mut self, info: KindInfo, handler: Handler<A>) -> Self {
        self.entries
            .insert(Arc::clone(&info.name), Entry { info, handler });
        self
    }

    /// Every kind, by name.
    pub fn kinds(&self) -> impl Iterator<Item = &KindInfo> {
        self.entries.values().map(|entry| &entry.info)
    }

    pub(crate) fn handler(&self, kind: &str) -> Option<&Handler<A>> {
        self.entries.get(kind).map(|entry| &entry.handler)
    }

    pub(crate) fn batch(&self, kind: &str) -> Option<(usize, Duration)> {
        self.entries.get(kind).and_then(|entry| entry.info.batch)
    }
}
