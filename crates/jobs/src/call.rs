//! Calls to endpoints that upstream apps chose, signed where there is a secret, with a key that is the same on every
//! attempt and replay.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use providers::{
    Error as ProviderError,
    webhook::{CallRequest, ChosenBy, Signer},
};
use queue::{JobContext, JobInfo, Outcome};
use serde_json::json;

use crate::{App, budget::put_off, effect::effect_key, error::Error};

/// Where endpoints find the key that know no signatures; signed calls carry it as `webhook-id` too.
const KEY_HEADER: &str = "idempotency-key";

/// How long a call waits whose endpoint has as many as it gets: by then the longest of those has ended.
const WAIT_FOR_PLACE: Duration = Duration::from_secs(30);

/// What is called, and with what.
pub(crate) struct Call {
    /// Where: checked against the outbound rules when the call is made.
    pub(crate) url: String,
    /// `GET`, `POST`, `PUT`, `PATCH`, `DELETE` or `HEAD`.
    pub(crate) method: &'static str,
    /// Headers beside our own.
    pub(crate) headers: BTreeMap<String, String>,
    /// JSON; empty for no body.
    pub(crate) body: Bytes,
    /// The name of the secret to sign with.
    pub(crate) secret: Option<String>,
    /// Who chose the URL and the secret, and so which of either there are.
    pub(crate) chosen_by: ChosenBy,
}

/// Makes the call unless the attempt is told to stop, as the budget allows that jobs.toml names for the kind.
pub(crate) async fn call_until_stopped(
    ctx: &JobContext<App>,
    call: Call,
) -> Result<Outcome, Error> {
    // Both are safe to drop: the endpoint may have got the call, and gets the same key the next time.
    tokio::select! {
        () = ctx.cancellation().cancelled() => Err(Error::Stopped),
        outcome = make_within_budget(ctx, call) => outcome,
    }
}

async fn make_within_budget(ctx: &JobContext<App>, call: Call) -> Result<Outcome, Error> {
    let Some(budget) = ctx.named_budget() else {
        return make(&ctx.app, &ctx.job, call).await;
    };
    match budget.take(1).await {
        Ok(_permit) => make(&ctx.app, &ctx.job, call).await,
        Err(error) => put_off(error),
    }
}

/// Makes the call; the endpoint's status and the beginning of its answer are the job's result.
pub(crate) async fn make(app: &App, job: &JobInfo, call: Call) -> Result<Outcome, Error> {
    let key = effect_key(job).to_string();
    let signature = match call.secret {
        Some(name) => Some((signer(app, call.chosen_by, name)?, key.clone())),
        None => None,
    };
    let mut headers = call.headers;
    if !headers
        .keys()
        .any(|name| name.eq_ignore_ascii_case(KEY_HEADER))
    {
        headers.insert(KEY_HEADER.to_owned(), key);
    }

    let request = CallRequest {
        url: call.url,
        method: call.method.to_owned(),
        headers,
        body: call.body,
        signature,
        chosen_by: call.chosen_by,
    };
    match app.caller.call(request).await {
        Ok(answer) => {
            let told = json!({ "status": answer.status, "excerpt": answer.excerpt });
            Ok(Outcome::SucceededWith(told))
        }
        Err(ProviderError::Postponed { .. }) => Ok(Outcome::Snoozed(WAIT_FOR_PLACE)),
        Err(error) => Err(error.into()),
    }
}

fn signer(app: &App, chosen_by: ChosenBy, name: String) -> Result<Signer, Error> {
    let signers = match chosen_by {
        ChosenBy::Requester => &app.signers,
        ChosenBy::Operator => &app.target_signers,
    };
    signers.named(&name).cloned().ok_or(Error::NoSecret(name))
}

#[cfg(test)]
mod tests {
    use chrono::Utc;
    use providers::webhook::{Caller, OutboundPolicy, Received};
    use queue::{ErrorClass, JobError};
    use secrecy::SecretString;
    use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::any};

    use super::*;
    use crate::{
        Signers,
        kinds::testing::{app, job_info, no_database},
    };

    const SECRET: &str = "whsec_VB7SLnLnLhm+sJDXWE/zWQtk4Wi+EKAr";

    fn call(server: &MockServer, secret: Option<&str>) -> Call {
        Call {
            url: format!("{}/hooks/fake", server.uri()),
            method: "POST",
            headers: BTreeMap::new(),
            body: Bytes::from_static(b"{\"a\": 1}"),
            secret: secret.map(str::to_owned),
            chosen_by: ChosenBy::Requester,
        }
    }

    async fn server(answer: ResponseTemplate) -> MockServer {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(answer).mount(&server).await;
        server
    }

    fn test_signer() -> Signer {
        Signer::new(&[SecretString::from(SECRET)]).expect("a secret")
    }

    fn test_app() -> App {
        let named = |name: &str| Signers::from_iter([(name.to_owned(), test_signer())]);
        App {
            signers: named("billing"),
            target_signers: named("BILLING_HOOK_SECRET"),
            ..app(no_database(), "http://127.0.0.1:9")
        }
    }

    fn header<'a>(request: &'a Request, name: &str) -> &'a str {
        request
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    #[tokio::test]
    async fn every_attempt_and_replay_carries_the_same_key_and_a_signature_that_fits() {
        let server = server(ResponseTemplate::new(204)).await;
        let app = test_app();
        let first = job_info("http.request", 1);
        let replay = JobInfo {
            replay_of: Some(first.id),
            ..job_info("http.request", 2)
        };

        for job in [&first, &replay] {
            make(&app, job, call(&server, Some("billing")))
                .await
                .expect("the endpoint took it");
        }

        let key = first.id.to_string();
        let signer = test_signer();
        for request in server
            .received_requests()
            .await
            .expect("requests are recorded")
        {
            let received = Received {
                id: header(&request, "webhook-id"),
                timestamp: header(&request, "webhook-timestamp"),
                signature: header(&request, "webhook-signature"),
            };
            assert_eq!(
                (received.id, header(&request, KEY_HEADER)),
                (key.as_str(), key.as_str())
            );
            assert_eq!(signer.verify(received, &request.body, Utc::now()), Ok(()));
        }
    }

    #[tokio::test]
    async fn a_key_of_the_jobs_own_is_left_alone() {
        let server = server(ResponseTemplate::new(200)).await;
        let headers = BTreeMap::from([("Idempotency-Key".to_owned(), "mine".to_owned())]);
        let call = Call {
            headers,
            ..call(&server, None)
        };

        make(&test_app(), &job_info("http.request", 1), call)
            .await
            .expect("taken");

        let requests = server
            .received_requests()
            .await
            .expect("requests are recorded");
        assert_eq!(header(&requests[0], KEY_HEADER), "mine");
        assert_eq!(header(&requests[0], "webhook-id"), "");
    }

    #[tokio::test]
    async fn the_result_is_the_status_and_the_beginning_of_the_answer() {
        let server = server(ResponseTemplate::new(202).set_body_string("queued")).await;

        let outcome = make(
            &test_app(),
            &job_info("http.request", 1),
            call(&server, None),
        )
        .await;

        let Ok(Outcome::SucceededWith(result)) = outcome else {
            panic!("the job is done: {outcome:?}");
        };
        assert_eq!(result, json!({ "status": 202, "excerpt": "queued" }));
    }

    #[tokio::test]
    async fn the_status_decides_the_class() {
        let cases = [
            (ResponseTemplate::new(302), ErrorClass::Invalid),
            (ResponseTemplate::new(401), ErrorClass::Config),
            (ResponseTemplate::new(404), ErrorClass::Invalid),
            (ResponseTemplate::new(408), ErrorClass::Transient),
            (ResponseTemplate::new(429), ErrorClass::RateLimited),
            (ResponseTemplate::new(500), ErrorClass::Transient),
            (ResponseTemplate::new(503), ErrorClass::Transient),
            (
                ResponseTemplate::new(503).insert_header("retry-after", "30"),
                ErrorClass::RateLimited,
            ),
        ];

        for (answer, class) in cases {
            let server = server(answer).await;
            let failed = make(
                &test_app(),
                &job_info("http.request", 1),
                call(&server, None),
            )
            .await;
            assert_eq!(
                JobError::from(failed.expect_err("it failed")).class(),
                class
            );
        }
    }

    #[tokio::test]
    async fn a_secret_that_is_not_configured_is_named_and_nothing_is_called() {
        let server = server(ResponseTemplate::new(200)).await;

        let call = call(&server, Some("biling"));
        let failed = make(&test_app(), &job_info("http.request", 1), call).await;

        let error = failed.expect_err("there is no such secret");
        assert_eq!(error.to_string(), "there is no secret named \"biling\"");
        assert_eq!(JobError::from(error).class(), ErrorClass::Config);
        assert!(
            server
                .received_requests()
                .await
                .is_some_and(|requests| requests.is_empty())
        );
    }

    #[tokio::test]
    async fn a_payload_cannot_sign_in_the_name_of_a_target() {
        let server = server(ResponseTemplate::new(200)).await;
        let app = test_app();
        let signed_by = |chosen_by, secret| Call {
            chosen_by,
            ..call(&server, Some(secret))
        };
        let made = async |call: Call| make(&app, &job_info("http.request", 1), call).await;

        let forged = made(signed_by(ChosenBy::Requester, "BILLING_HOOK_SECRET")).await;
        let borrowed = made(signed_by(ChosenBy::Operator, "billing")).await;
        let targets = made(signed_by(ChosenBy::Operator, "BILLING_HOOK_SECRET")).await;

        assert!(matches!(forged, Err(Error::NoSecret(_))), "{forged:?}");
        assert!(matches!(borrowed, Err(Error::NoSecret(_))), "{borrowed:?}");
        assert!(targets.is_ok(), "{targets:?}");
    }

    #[tokio::test]
    async fn an_endpoint_that_hangs_postpones_other_calls_to_it_at_no_cost_of_an_attempt() {
        let hang = ResponseTemplate::new(200).set_delay(Duration::from_secs(60));
        let server = server(hang).await;
        let policy = OutboundPolicy {
            allow: vec!["127.0.0.0/8".parse().expect("a network")],
            per_endpoint: 1,
            ..OutboundPolicy::default()
        };
        let app = App {
            caller: Caller::new(policy, Duration::from_secs(60)).expect("a caller"),
            ..test_app()
        };
        let job = job_info("http.request", 1);

        let second = tokio::select! {
            biased;
            ended = make(&app, &job, call(&server, None)) => panic!("nobody answers: {ended:?}"),
            second = make(&app, &job, call(&server, None)) => second,
        };

        assert!(
            matches!(second, Ok(Outcome::Snoozed(wait)) if wait == WAIT_FOR_PLACE),
            "{second:?}"
        );
    }

    #[tokio::test]
    async fn a_secret_that_jobs_toml_names_but_nobody_set_is_named_too() {
        let server = server(ResponseTemplate::new(200)).await;
        let call = Call {
            chosen_by: ChosenBy::Operator,
            ..call(&server, Some("PAYROLL_HOOK_SECRET"))
        };

        let failed = make(&test_app(), &job_info("payroll.run", 1), call).await;

        let error = failed.expect_err("there is no such secret");
        assert_eq!(
            error.to_string(),
            "there is no secret named \"PAYROLL_HOOK_SECRET\""
        );
        assert!(
            server
                .received_requests()
                .await
                .is_some_and(|requests| requests.is_empty())
        );
    }
}
