//! From typed kinds to one form of handler. Payloads are decoded here, in the handler's frame: what does not decode is
//! that job's failure and nobody else's.

use futures::FutureExt;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::{BatchJob, Handler, Invocation, Job, JobError, Outcome, SharedRawJob};
use crate::{job::ErrorClass, schedules::stamp};
use std::sync::Arc;

/// Runs each invocation on its own.
pub(super) fn single<J: Job>() -> Handler<J::App> {
    Arc::new(|invocations| {
        async move {
            let mut outcomes = Vec::with_capacity(invocations.len());
            for Invocation { payload, ctx } in invocations {
                outcomes.push(match decode::<J>(&payload) {
                    Ok(job) => job.run(&ctx).await.map_err(Into::into),
                    Err(error) => Err(error),
                });
            }
            outcomes
        }
        .boxed()
    })
}

/// Runs what decodes together; what does not fails alone.
pub(super) fn batch<J: BatchJob>() -> Handler<J::App> {
    Arc::new(|invocations| {
        async move {
            let mut outcomes: Vec<Option<Result<Outcome, JobError>>> = Vec::new();
            let mut decoded = Vec::with_capacity(invocations.len());
            for Invocation { payload, ctx } in invocations {
                match decode::<J>(&payload) {
                    Ok(job) => {
                        outcomes.push(None);
                        decoded.push((job, ctx));
                    }
                    Err(error) => outcomes.push(Some(Err(error))),
                }
            }
            let mut answers = Vec::new();
            if !decoded.is_empty() {
                answers = J::run(decoded).await;
            }
            let mut answers = answers.into_iter();
            outcomes
                .into_iter()
                .map(|known| {
                    known.unwrap_or_else(|| {
                        answers
                            .next()
                            .map_or_else(|| Err(no_answer()), |a| a.map_err(Into::into))
                    })
                })
                .collect()
        }
        .boxed()
    })
}

/// Hands the payload over as it was sent.
pub(super) fn raw<A: Send + Sync + 'static>(job: SharedRawJob<A>) -> Handler<A> {
    Arc::new(move |invocations| {
        let job = Arc::clone(&job);
        async move {
            let mut outcomes = Vec::with_capacity(invocations.len());
            for Invocation { payload, ctx } in invocations {
                outcomes.push(job.run(&payload, &ctx).await);
            }
            outcomes
        }
        .boxed()
    })
}

fn decode<T: DeserializeOwned>(payload: &RawValue) -> Result<T, JobError> {
    let error = match serde_json::from_str(payload.get()) {
        Ok(job) => return Ok(job),
        Err(error) => error,
    };
    if let Some(job) = decode_without_stamp(payload) {
        return Ok(job);
    }
    // The error's text may quote the payload, which can hold personal data: only the place is kept.
    let place = format!(
        "the payload does not fit its kind's schema: line {}, column {}",
        error.line(),
        error.column()
    );
    Err(JobError::from_text(ErrorClass::Invalid, &place).code("payload"))
}

/// What a schedule stamped and the kind has no place for.
fn decode_without_stamp<T: DeserializeOwned>(payload: &RawValue) -> Option<T> {
    serde_json::from_str(&stamp::without(payload)?).ok()
}

fn no_answer() -> JobError {
    JobError::from_text(
        ErrorClass::Internal,
        "the batch handler gave no outcome for this job",
    )
}
