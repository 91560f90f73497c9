//! apalis' `Storage` trait on our client, so that code generic over it can push to Millpond unchanged. Jobs are run
//! by [`crate::Workers`], never by an apalis worker on this storage.

use std::{marker::PhantomData, str::FromStr, time::Duration};

use apalis_core::{
    backend::Backend,
    codec::NoopCodec,
    error::Error,
    poller::Poller,
    request::{Parts, Request},
    storage::Storage,
    task::task_id::TaskId,
    worker::{Context, Worker},
};
use apalis_sql::context::SqlContext;
use chrono::{DateTime, Utc};
use futures::{StreamExt, stream::BoxStream};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use tower::layer::util::Identity;
use ulid::Ulid;
use uuid::Uuid;

use crate::{
    AdminError, EnqueueError, Job, Queue,
    db::within,
    job::{JobId, NewJob, Source, Start},
    sealing,
    store::{jobs, queues},
};

/// What `SqlContext` holds when nobody touched it: it then means our defaults.
const UNTOUCHED_ATTEMPTS: i32 = 5;

/// Pushes jobs of one kind to Millpond.
pub struct JobStorage<J> {
    queue: Queue,
    kind: PhantomData<fn() -> J>,
}

impl<J> JobStorage<J> {
    /// A storage for this kind.
    #[must_use]
    pub fn new(queue: Queue) -> Self {
        Self {
            queue,
            kind: PhantomData,
        }
    }
}

/// Why the storage did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The job was refused.
    #[error("the job was not accepted")]
    Enqueue(#[from] EnqueueError),
    /// The database was not asked successfully.
    #[error("the job could not be read")]
    Read(#[from] AdminError),
    /// The payload is no JSON, or not of this kind.
    #[error("the payload cannot be converted")]
    Payload(#[source] serde_json::Error),
    /// The payload lies encrypted, and does not open here, or is wiped since its job is done.
    #[error("the payload does not open here")]
    Sealed,
    /// An id or a time that apalis has and Millpond has not.
    #[error("the value is out of range")]
    Range,
    /// Millpond settles a job by its attempt's outcome; nothing else changes it.
    #[error("a job is changed by its attempts alone: answer with a snooze, or cancel it")]
    Unsupported,
}

type JobRequest<J> = Request<J, SqlContext>;

impl<J: Job + Serialize> JobStorage<J> {
    async fn enqueue(
        &self,
        payload: Box<RawValue>,
        mut parts: Parts<SqlContext>,
        at: Option<DateTime<Utc>>,
    ) -> Result<Parts<SqlContext>, StorageError> {
        let mut job = NewJob::new(J::KIND, payload, Source::Apalis);
        let context = &parts.context;
        if context.max_attempts() != UNTOUCHED_ATTEMPTS {
            job.max_attempts =
                Some(u32::try_from(context.max_attempts()).map_err(|_| StorageError::Range)?);
        }
        if *context.priority() != 0 {
            // apalis: a higher number first; Millpond: a lower one first, 5 in the middle.
            job.priority = i16::try_from((5 - i64::from(*context.priority())).clamp(0, 9)).ok();
        }
        job.start = at.map_or(Start::Now, Start::At);
        let enqueued = self.queue.enqueue(job, None).await?;
        parts.task_id = task_id(enqueued.id)?;
        Ok(parts)
    }
}

fn task_id(id: JobId) -> Result<TaskId, StorageError> {
    TaskId::from_str(&Ulid(id.0.as_u128()).to_string()).map_err(|_| StorageError::Range)
}

impl<J: Job + Serialize> Backend<JobRequest<J>> for JobStorage<J> {
    type Stream = BoxStream<'static, Result<Option<JobRequest<J>>, Error>>;
    type Layer = Identity;
    type Codec = NoopCodec<Vec<u8>>;

    /// Yields nothing: [`crate::Workers`] run the jobs, under leases that an apalis worker would not know.
    fn poll(self, _worker: &Worker<Context>) -> Poller<Self::Stream> {
        Poller::new(
            futures::stream::pending().boxed(),
            futures::future::pending::<()>(),
        )
    }
}

impl<J: Job + Serialize + Sync> Storage for JobStorage<J> {
    type Job = J;
    type Error = StorageError;
    type Context = SqlContext;
    type Compact = Vec<u8>;

    async fn push_request(
        &mut self,
        request: JobRequest<J>,
    ) -> Result<Parts<SqlContext>, StorageError> {
        let payload = to_raw_value(&request.args).map_err(StorageError::Payload)?;
        self.enqueue(payload, request.parts, None).await
    }

    async fn push_raw_request(
        &mut self,
        request: Request<Vec<u8>, SqlContext>,
    ) -> Result<Parts<SqlContext>, StorageError> {
        let payload = serde_json::from_slice(&request.args).map_err(StorageError::Payload)?;
        self.enqueue(payload, request.parts, None).await
    }

    async fn schedule_request(
        &mut self,
        request: JobRequest<J>,
        on: i64,
    ) -> Result<Parts<SqlContext>, StorageError> {
        let at = DateTime::from_timestamp(on, 0).ok_or(StorageError::Range)?;
        let payload = to_raw_value(&request.args).map_err(StorageError::Payload)?;
        self.enqueue(payload, request.parts, Some(at)).await
    }

    async fn len(&mut self) -> Result<i64, StorageError> {
        let queue = self.queue.config().policy(J::KIND).queue.clone();
        let mut session = self
            .queue
            .database()
            .request()
            .await
            .map_err(AdminError::from)?;
        let ready = within(queues::ready_up_to(session.conn(), &queue, i64::MAX)).await;
        Ok(session.end(ready).map_err(AdminError::from)?)
    }

    async fn fetch_by_id(&mut self, id: &TaskId) -> Result<Option<JobRequest<J>>, StorageError> {
        let uuid = Uuid::from_u128(id.inner().0);
        let mut session = self
            .queue
            .database()
            .request()
            .await
            .map_err(AdminError::from)?;
        let found = within(jobs::get(session.conn(), uuid, None)).await;
        let Some(found) = session.end(found).map_err(AdminError::from)? else {
            return Ok(None);
        };
        let sealer = self.queue.shared.sealer();
        let payload = sealing::opened(sealer, uuid, &found.detail.payload);
        let payload = payload.map_err(|_| StorageError::Sealed)?;
        let job = serde_json::from_str(&payload).map_err(StorageError::Payload)?;
        let mut request = Request::new_with_ctx(job, SqlContext::new());
        request.parts.task_id = task_id(JobId(uuid))?;
        Ok(Some(request))
    }

    async fn update(&mut self, _: JobRequest<J>) -> Result<(), StorageError> {
        Err(StorageError::Unsupported)
    }

    async fn reschedule(&mut self, _: JobRequest<J>, _: Duration) -> Result<(), StorageError> {
        Err(StorageError::Unsupported)
    }

    async fn is_empty(&mut self) -> Result<bool, StorageError> {
        Ok(self.len().await? == 0)
    }

    /// Removes nothing: retention does, by each kind's policy.
    async fn vacuum(&mut self) -> Result<usize, StorageError> {
        Ok(0)
    }
}
