//! Messages to an endpoint on this machine.

use std::sync::Arc;

use chrono::Utc;
use marketing::{
    PgPool,
    outbound::{Delivery, DeliveryState, Endpoint, EndpointChange, EndpointId, NewEndpoint},
};
use providers::webhook::{Received, Signer, Unverified};
use queue::{Actor, Database, ErrorClass, JobError, PageRequest, Queue, config::Config};
use secrecy::SecretString;
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::any};

use super::*;
use crate::kinds::testing::{app, job_info, schema_accepts};

const TENANT: &str = "acme";

/// An endpoint that answers in one way, and a message for it.
struct Scene {
    app: App,
    server: MockServer,
    endpoint: EndpointId,
    secret: SecretString,
    delivery: DeliveryId,
}

impl Scene {
    async fn new(db: &PgPool, answer: ResponseTemplate) -> anyhow::Result<Self> {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(answer).mount(&server).await;
        let app = app(db.clone(), &server.uri());
        app.queue.announce().await?;
        let new = NewEndpoint {
            tenant: Some(TENANT.to_owned()),
            url: format!("{}/hooks", server.uri()),
            ..NewEndpoint::default()
        };
        let (endpoint, secret) = app.outbound.create(&new, &actor()).await?;
        sqlx::query(
            "INSERT INTO marketing.events (kind, tenant, data) VALUES ('sync.failed', $1, '{\"error\": \"\u{e4}\"}')",
        )
        .bind(TENANT)
        .execute(db)
        .await?;
        app.outbound.fan_out().await?;
        let delivery = only(&app, endpoint.id).await?.id;
        Ok(Self {
            app,
            server,
            endpoint: endpoint.id,
            secret,
            delivery,
        })
    }

    /// An attempt of the message's job.
    async fn attempt(&self) -> Result<Outcome, Error> {
        self.attempt_of(Some(TENANT)).await
    }

    async fn attempt_of(&self, tenant: Option<&str>) -> Result<Outcome, Error> {
        self.attempt_at(self.delivery, tenant).await
    }

    async fn attempt_at(&self, id: DeliveryId, tenant: Option<&str>) -> Result<Outcome, Error> {
        let job = JobInfo {
            tenant: tenant.map(str::to_owned),
            ..job_info(DELIVER, 1)
        };
        Box::pin(deliver(&self.app, &job, id)).await
    }

    async fn delivery(&self) -> anyhow::Result<Delivery> {
        only(&self.app, self.endpoint).await
    }

    async fn shown(&self) -> anyhow::Result<Endpoint> {
        Ok(self.app.outbound.get(self.endpoint, None).await?)
    }

    async fn requests(&self) -> Vec<Request> {
        let requests = self.server.received_requests().await;
        requests.expect("requests are recorded")
    }
}

async fn only(app: &App, endpoint: EndpointId) -> anyhow::Result<Delivery> {
    let page = PageRequest::new(None, None)?;
    let deliveries = app.outbound.deliveries(endpoint, None, (None, &page));
    let mut deliveries = deliveries.await?.items;
    assert_eq!(deliveries.len(), 1);
    Ok(deliveries.remove(0))
}

fn actor() -> Actor {
    Actor {
        name: "test".to_owned(),
        tenant: None,
    }
}

fn header<'a>(request: &'a Request, name: &str) -> &'a str {
    let value = request.headers.get(name);
    value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

fn verified(request: &Request, secret: &SecretString) -> Result<(), Unverified> {
    let signer = Signer::new(std::slice::from_ref(secret)).expect("a secret");
    let received = Received {
        id: header(request, "webhook-id"),
        timestamp: header(request, "webhook-timestamp"),
        signature: header(request, "webhook-signature"),
    };
    signer.verify(received, &request.body, Utc::now())
}

fn class(failed: Result<Outcome, Error>) -> ErrorClass {
    JobError::from(failed.expect_err("it failed")).class()
}

// Fails when a receiver cannot tell that a message is ours, or that a second one is the first again.
#[sqlx::test(migrations = "../../migrations")]
async fn every_attempt_bears_the_same_id_and_bytes_and_a_signature_that_fits(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db, ResponseTemplate::new(500)).await?;

    for _ in 0..2 {
        assert_eq!(class(scene.attempt().await), ErrorClass::Transient);
    }

    let requests = scene.requests().await;
    let [first, second] = requests.as_slice() else {
        panic!("two attempts: {}", requests.len());
    };
    for request in [first, second] {
        assert_eq!(verified(request, &scene.secret), Ok(()));
        assert_eq!(header(request, "content-type"), "application/json");
    }
    assert_eq!(first.body, second.body);
    assert_eq!(header(first, "webhook-id"), header(second, "webhook-id"));
    let told: serde_json::Value = serde_json::from_slice(&first.body)?;
    assert_eq!(
        (&told["type"], &told["data"]),
        (&json!("sync.failed"), &json!({ "error": "\u{e4}" }))
    );
    Ok(())
}

// Fails when who changes over to a new secret misses messages, or the old one is good for ever.
#[sqlx::test(migrations = "../../migrations")]
async fn both_secrets_sign_while_one_replaces_the_other(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db, ResponseTemplate::new(500)).await?;
    let (id, outbound) = (scene.endpoint, &scene.app.outbound);
    let hour = Duration::from_secs(3_600);

    let (_, newer) = outbound.rotate_secret(id, hour, &actor()).await?;
    class(scene.attempt().await);
    let (_, newest) = outbound.rotate_secret(id, Duration::ZERO, &actor()).await?;
    class(scene.attempt().await);

    let requests = scene.requests().await;
    let meanwhile = header(&requests[0], "webhook-signature");
    assert_eq!(meanwhile.split(' ').count(), 2);
    for secret in [&scene.secret, &newer] {
        assert_eq!(verified(&requests[0], secret), Ok(()));
    }
    assert_eq!(verified(&requests[1], &newest), Ok(()));
    for secret in [&scene.secret, &newer] {
        assert_eq!(verified(&requests[1], secret), Err(Unverified::NoMatch));
    }
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_got_through_is_logged_and_not_sent_again(db: PgPool) -> anyhow::Result<()> {
    let answer = ResponseTemplate::new(202).set_body_string("thanks");
    let scene = Scene::new(&db, answer).await?;

    let sent = scene.attempt().await?;
    let again = scene.attempt().await?;

    assert!(matches!(sent, Outcome::SucceededWith(told) if told == json!({ "status": 202 })));
    assert!(matches!(again, Outcome::SucceededWith(_)));
    let delivery = scene.delivery().await?;
    assert_eq!(
        (delivery.state, delivery.attempts),
        (DeliveryState::Succeeded, 1)
    );
    let logged = &delivery.log[0];
    assert_eq!((logged.number, logged.status), (1, Some(202)));
    assert_eq!(logged.excerpt, "thanks");
    assert_eq!(scene.requests().await.len(), 1);
    Ok(())
}

// Fails when an answer that another attempt would better costs the customer the message.
#[sqlx::test(migrations = "../../migrations")]
async fn whatever_the_endpoint_answers_is_tried_again(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db, ResponseTemplate::new(500)).await?;
    for status in [301, 400, 401, 404, 429, 503] {
        scene.server.reset().await;
        let answer = ResponseTemplate::new(status);
        Mock::given(any())
            .respond_with(answer)
            .mount(&scene.server)
            .await;

        let failed = scene.attempt().await;

        assert_eq!(class(failed), ErrorClass::Transient, "{status}");
        let delivery = scene.delivery().await?;
        let last = delivery.log.last().and_then(|attempt| attempt.status);
        assert_eq!(
            (delivery.state, last),
            (DeliveryState::Pending, Some(status))
        );
    }
    assert_eq!(scene.shown().await?.failures, 6);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_endpoint_that_asks_for_a_pause_is_left_alone_until_then(
    db: PgPool,
) -> anyhow::Result<()> {
    let answer = ResponseTemplate::new(429).insert_header("retry-after", "600");
    let scene = Scene::new(&db, answer).await?;

    class(scene.attempt().await);
    let later = scene.attempt().await?;

    assert!(
        matches!(later, Outcome::Snoozed(left) if left > Duration::from_secs(500)),
        "{later:?}"
    );
    assert_eq!(scene.requests().await.len(), 1);
    Ok(())
}

// Fails when whoever tries an endpoint out hears nothing for a day, or a new address pays for what the old one asked for.
#[sqlx::test(migrations = "../../migrations")]
async fn a_pause_holds_for_neither_a_try_nor_another_address(db: PgPool) -> anyhow::Result<()> {
    let answer = ResponseTemplate::new(429).insert_header("retry-after", "600");
    let scene = Scene::new(&db, answer).await?;
    let (id, outbound) = (scene.endpoint, &scene.app.outbound);
    class(scene.attempt().await);

    let tried = outbound.test(id, Utc::now(), &actor()).await?;
    let tried = scene.attempt_at(tried.id, Some(TENANT)).await;
    let failing = scene.shown().await?;
    let moved = EndpointChange {
        url: Some(format!("{}/elsewhere", scene.server.uri())),
        ..EndpointChange::default()
    };
    let moved = outbound.change(id, &moved, &actor()).await?;
    let at_new_address = scene.attempt().await;

    assert_eq!(class(tried), ErrorClass::Transient);
    assert_eq!(
        (failing.failures, failing.failing_since.is_some()),
        (2, true)
    );
    assert_eq!((moved.failures, moved.failing_since), (0, None));
    assert_eq!(class(at_new_address), ErrorClass::Transient);
    let requests = scene.requests().await;
    let paths: Vec<&str> = requests.iter().map(|request| request.url.path()).collect();
    assert_eq!(paths, ["/hooks", "/hooks", "/elsewhere"]);
    Ok(())
}

// Fails when jobs.toml gives attempts less time than an endpoint takes to say nothing, and nobody hears of them.
#[sqlx::test(migrations = "../../migrations")]
async fn an_attempt_that_gets_little_time_is_logged_all_the_same(db: PgPool) -> anyhow::Result<()> {
    let silence = ResponseTemplate::new(200).set_delay(Duration::from_secs(60));
    let mut scene = Scene::new(&db, silence).await?;
    let text = "[kinds.\"webhook.deliver\"]\ntimeout = \"1s\"\n";
    let config = Config::parse(text, &[DELIVER]).expect("the text is right");
    scene.app.queue = Queue::new(Database::from_pool(db), Arc::new(config.config), [])?;

    let failed = scene.attempt().await;

    assert_eq!(class(failed), ErrorClass::Transient);
    let delivery = scene.delivery().await?;
    let logged = &delivery.log[0];
    assert_eq!(
        (logged.status, &*logged.excerpt),
        (None, "no answer in time")
    );
    assert!(logged.duration_ms < 3_000, "{}", logged.duration_ms);
    assert_eq!(scene.shown().await?.failures, 1);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_endpoint_that_is_gone_is_switched_off_at_once(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db, ResponseTemplate::new(410)).await?;

    let gone = scene.attempt().await?;

    assert!(matches!(gone, Outcome::Cancelled(_)), "{gone:?}");
    assert!(!scene.shown().await?.is_enabled);
    assert_eq!(scene.delivery().await?.state, DeliveryState::Failed);
    Ok(())
}

// Fails when what an endpoint missed is lost, or is sent under another id.
#[sqlx::test(migrations = "../../migrations")]
async fn what_was_missed_while_switched_off_is_sent_when_somebody_asks_for_it(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db, ResponseTemplate::new(200)).await?;
    let (id, outbound) = (scene.endpoint, &scene.app.outbound);
    let switch = |is_enabled| EndpointChange {
        is_enabled: Some(is_enabled),
        ..EndpointChange::default()
    };
    outbound.change(id, &switch(false), &actor()).await?;
    let missed = scene.attempt().await?;
    let state = scene.delivery().await?.state;
    let span = (
        Utc::now() - chrono::TimeDelta::hours(1),
        Utc::now() + chrono::TimeDelta::hours(1),
    );
    let refused = outbound.send_again(id, span, &actor()).await;
    outbound.change(id, &switch(true), &actor()).await?;

    let sent = outbound.send_again(id, span, &actor()).await?;
    scene.attempt().await?;

    assert!(matches!(missed, Outcome::Cancelled(_)), "{missed:?}");
    assert_eq!(state, DeliveryState::Missed);
    assert!(refused.is_err());
    assert_eq!((sent.count, sent.is_all), (1, true));
    assert_eq!(scene.delivery().await?.state, DeliveryState::Succeeded);
    let id = format!("msg_{}", scene.delivery.0.simple());
    assert_eq!(header(&scene.requests().await[0], "webhook-id"), id);
    Ok(())
}

// Fails when who may enqueue can have another tenant's messages sent.
#[sqlx::test(migrations = "../../migrations")]
async fn the_job_of_another_tenant_sends_nothing(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db, ResponseTemplate::new(200)).await?;

    for tenant in [None, Some("umbrella")] {
        let refused = scene.attempt_of(tenant).await?;

        assert!(matches!(refused, Outcome::Cancelled(_)), "{refused:?}");
    }
    assert!(scene.requests().await.is_empty());
    Ok(())
}

// Fails when an address that leads into our network is called because it did not when it was given.
#[sqlx::test(migrations = "../../migrations")]
async fn an_address_that_must_not_be_called_is_given_up(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db, ResponseTemplate::new(200)).await?;
    sqlx::query("UPDATE marketing.webhook_endpoints SET url = 'https://169.254.169.254/latest'")
        .execute(&db)
        .await?;

    let refused = scene.attempt().await;

    assert_eq!(class(refused), ErrorClass::Invalid);
    assert_eq!(scene.delivery().await?.log[0].status, None);
    Ok(())
}

#[test]
fn the_schema_takes_ids_alone() {
    let accepts = |payload| schema_accepts::<WebhookDeliver>(&payload);

    assert!(accepts(
        json!({ "delivery_id": "0192f7c4-0000-7000-8000-000000000001" })
    ));
    assert!(!accepts(json!({ "delivery_id": "x" })));
    assert!(!accepts(json!({})));
}
