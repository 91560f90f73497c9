//! Kinds that jobs.toml declares with a `target`: an upstream app does the work, at its own endpoint.

use std::{collections::BTreeMap, future::Future, pin::Pin};

use bytes::Bytes;
use providers::webhook::ChosenBy;
use queue::{JobContext, JobError, JobId, JobInfo, Outcome, RawJob, config::Target};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    App,
    call::{Call, call_until_stopped},
};

/// The handler of such a kind. It may run twice: the endpoint gets the same `idempotency-key`, and `webhook-id` where
/// there is a secret, on every attempt and replay.
pub(super) struct TargetCall {
    target: Target,
}

/// What the endpoint is sent.
#[derive(Serialize)]
struct Envelope<'a> {
    id: JobId,
    kind: &'a str,
    attempt: u32,
    payload: &'a RawValue,
}

impl TargetCall {
    pub(super) fn new(target: Target) -> Self {
        Self { target }
    }

    fn call(&self, payload: &RawValue, job: &JobInfo) -> Call {
        let envelope = Envelope {
            id: job.id,
            kind: &job.kind,
            attempt: job.attempt,
            payload,
        };
        let body = serde_json::to_vec(&envelope).expect("an id, two words and JSON are JSON");
        Call {
            url: self.target.url.clone(),
            method: "POST",
            headers: BTreeMap::new(),
            body: Bytes::from(body),
            secret: self.target.secret_env.clone(),
            chosen_by: ChosenBy::Operator,
        }
    }
}

impl RawJob<App> for TargetCall {
    fn run<'a>(
        &'a self,
        payload: &'a RawValue,
        ctx: &'a JobContext<App>,
    ) -> Pin<Box<dyn Future<Output = Result<Outcome, JobError>> + Send + 'a>> {
        let call = self.call(payload, &ctx.job);
        Box::pin(async move { call_until_stopped(ctx, call).await.map_err(JobError::from) })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::testing::job_info;

    #[test]
    fn the_endpoint_gets_the_payload_with_its_job() {
        let target = Target {
            url: "https://app.example.com/jobs/close-month".to_owned(),
            secret_env: Some("BILLING_HOOK_SECRET".to_owned()),
        };
        let job = job_info("billing.close_month", 2);
        let payload: Box<RawValue> =
            serde_json::from_str(r#"{"month":"2026-10","total":1.50}"#).expect("JSON");

        let call = TargetCall::new(target).call(&payload, &job);

        let sent: serde_json::Value = serde_json::from_slice(&call.body).expect("JSON");
        assert_eq!(
            sent,
            json!({ "id": job.id, "kind": "billing.close_month", "attempt": 2,
                "payload": { "month": "2026-10", "total": 1.5 } })
        );
        assert!(
            call.body
                .ends_with(br#""payload":{"month":"2026-10","total":1.50}}"#)
        );
        assert_eq!(call.secret.as_deref(), Some("BILLING_HOOK_SECRET"));
        assert_eq!(call.chosen_by, ChosenBy::Operator);
        assert_eq!(
            (call.method, call.url.as_str()),
            ("POST", "https://app.example.com/jobs/close-month")
        );
    }
}
