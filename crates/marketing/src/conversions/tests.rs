//! Deliveries against a database and a Meta that answers oddly.

mod outcomes;

use chrono::Utc;
use providers::{
    Admission,
    meta::{Meta, MetaConfig},
};
use queue::JobId;
use secrecy::SecretString;
use serde_json::{Value, json};
use sqlx::PgPool;
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{body_string_contains, method},
};

use super::*;
use crate::store::{StoreError, conversion_events::testing};

const DATASET: &str = "1001";

fn event(name: &str, change: &Value) -> Event {
    let mut event = json!({
        "event_name": name,
        "event_time": Utc::now().timestamp() - 60,
        "action_source": "system_generated",
        "user_data": { "em": "ada@example.com" },
    });
    let members = event.as_object_mut().expect("an object");
    members.extend(change.as_object().expect("an object").clone());
    serde_json::from_value(event).expect("an event")
}

fn pending(job: JobId, event_id: &str) -> Pending {
    Pending {
        job,
        event_id: event_id.to_owned(),
        event: event("Lead", &json!({})),
    }
}

fn expired(job: JobId, event_id: &str) -> Pending {
    let event_time = Utc::now().timestamp() - 8 * 86_400;
    let event = event("Lead", &json!({ "event_time": event_time }));
    Pending {
        job,
        event_id: event_id.to_owned(),
        event,
    }
}

fn meta(server: &MockServer) -> Meta {
    let base_url = server.uri().parse().expect("a URL");
    Meta::new(MetaConfig {
        base_url,
        ..MetaConfig::default()
    })
    .expect("loopback may be plain http")
}

fn taken() -> ResponseTemplate {
    ResponseTemplate::new(200)
        .set_body_json(json!({ "events_received": 1, "messages": [], "fbtrace_id": "AfakeTrace" }))
}

fn refused(status: u16, code: i64) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(json!({
        "error": { "message": "no", "type": "OAuthException", "code": code, "fbtrace_id": "AfakeTrace" }
    }))
}

async fn answers(server: &MockServer, answer: ResponseTemplate) {
    Mock::given(method("POST"))
        .respond_with(answer)
        .mount(server)
        .await;
}

async fn calls(server: &MockServer) -> usize {
    server
        .received_requests()
        .await
        .map_or(0, |requests| requests.len())
}

/// Admits every request.
struct Open;

impl Admission for Open {
    type Pass = ();

    async fn admit(&self) -> Result<(), providers::Error> {
        Ok(())
    }
}

async fn deliver_to(
    server: &MockServer,
    db: &PgPool,
    events: &[Pending],
) -> Result<Vec<&'static str>, StoreError> {
    deliver_of(server, db, None, events).await
}

async fn deliver_of(
    server: &MockServer,
    db: &PgPool,
    tenant: Option<&str>,
    events: &[Pending],
) -> Result<Vec<&'static str>, StoreError> {
    let token = SecretString::from("fake-token");
    let dataset = Dataset {
        tenant,
        id: DATASET,
        token: &token,
        test_event_code: None,
    };
    let delivered = deliver(db, &meta(server), dataset, events, &Open).await?;
    Ok(delivered.iter().map(|event| word(&event.fate)).collect())
}

fn word(fate: &Fate) -> &'static str {
    match fate {
        Fate::Sent { .. } => "sent",
        Fate::AlreadySent { .. } => "already sent",
        Fate::Refused(Refusal { expired: true, .. }) => "expired",
        Fate::Refused(_) => "refused",
        Fate::InDoubt { .. } => "in doubt",
        Fate::Later { .. } => "later",
        Fate::Contended => "contended",
        Fate::Failed(_) => "failed",
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_refused_event_does_not_take_its_mates_along(db: PgPool) -> anyhow::Result<()> {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(body_string_contains("bad-event"))
        .respond_with(refused(400, 100))
        .with_priority(1)
        .mount(&server)
        .await;
    answers(&server, taken()).await;
    let events = ["a", "b", "bad-event", "d"].map(|id| pending(JobId::new(), id));

    let fates = deliver_to(&server, &db, &events).await?;

    assert_eq!(fates, ["sent", "sent", "refused", "sent"]);
    assert_eq!(
        testing::states(&db).await?,
        ["a sent", "b sent", "bad-event rejected", "d sent"]
    );
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_expired_event_is_not_sent_and_its_mates_are(db: PgPool) -> anyhow::Result<()> {
    let server = MockServer::start().await;
    answers(&server, taken()).await;
    let events = [expired(JobId::new(), "old"), pending(JobId::new(), "new")];

    let fates = deliver_to(&server, &db, &events).await?;

    assert_eq!(fates, ["expired", "sent"]);
    assert_eq!(testing::states(&db).await?, ["new sent", "old expired"]);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_event_that_was_sent_is_not_sent_again_by_a_second_job(
    db: PgPool,
) -> anyhow::Result<()> {
    let server = MockServer::start().await;
    answers(&server, taken()).await;
    deliver_to(&server, &db, &[pending(JobId::new(), "order-1")]).await?;

    let again = deliver_to(&server, &db, &[pending(JobId::new(), "order-1")]).await?;
    let expired_since = deliver_to(&server, &db, &[expired(JobId::new(), "order-1")]).await?;

    assert_eq!(
        (again, expired_since),
        (vec!["already sent"], vec!["already sent"])
    );
    assert_eq!(calls(&server).await, 1);
    Ok(())
}

// Fails when a job whose later attempt has nothing to send says that another one sent its event, or forgets the receipt.
#[sqlx::test(migrations = "../../migrations")]
async fn what_a_job_sent_in_an_attempt_before_stays_its_own(db: PgPool) -> anyhow::Result<()> {
    let server = MockServer::start().await;
    answers(&server, taken()).await;
    let token = SecretString::from("fake-token");
    let dataset = Dataset {
        tenant: None,
        id: DATASET,
        token: &token,
        test_event_code: None,
    };
    let (meta, events) = (meta(&server), [pending(JobId::new(), "order-1")]);

    deliver(&db, &meta, dataset, &events, &Open).await?;
    let again = deliver(&db, &meta, dataset, &events, &Open).await?;

    assert!(
        matches!(&again[0].fate, Fate::Sent { trace_id: Some(id), .. } if id == "AfakeTrace"),
        "{again:?}"
    );
    assert_eq!(calls(&server).await, 1);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn tenants_neither_see_nor_swallow_each_others_events(db: PgPool) -> anyhow::Result<()> {
    let server = MockServer::start().await;
    answers(&server, taken()).await;
    let mut fates = Vec::new();

    for tenant in [Some("acme"), Some("globex"), None, Some("acme")] {
        let events = [pending(JobId::new(), "order-1")];
        fates.extend(deliver_of(&server, &db, tenant, &events).await?);
    }

    assert_eq!(fates, ["sent", "sent", "sent", "already sent"]);
    assert_eq!(calls(&server).await, 3);
    assert_eq!(testing::states(&db).await?, ["order-1 sent"; 3]);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn of_several_events_with_one_key_a_single_one_is_sent(db: PgPool) -> anyhow::Result<()> {
    let server = MockServer::start().await;
    answers(&server, taken()).await;
    let events = [
        pending(JobId::new(), "order-1"),
        pending(JobId::new(), "order-1"),
    ];

    let fates = deliver_to(&server, &db, &events).await?;

    assert_eq!(fates, ["sent", "sent"]);
    let requests = server
        .received_requests()
        .await
        .expect("requests are recorded");
    let body: Value = requests[0].body_json()?;
    assert_eq!(body["data"].as_array().map(Vec::len), Some(1));
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_test_event_does_not_stand_in_the_way_of_the_real_one(db: PgPool) -> anyhow::Result<()> {
    let server = MockServer::start().await;
    answers(&server, taken()).await;
    let token = SecretString::from("fake-token");
    let test = Dataset {
        tenant: None,
        id: DATASET,
        token: &token,
        test_event_code: Some("TEST1"),
    };
    deliver(
        &db,
        &meta(&server),
        test,
        &[pending(JobId::new(), "order-1")],
        &Open,
    )
    .await?;

    let real = deliver_to(&server, &db, &[pending(JobId::new(), "order-1")]).await?;

    assert_eq!(real, ["sent"]);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_was_certainly_not_delivered_leaves_no_doubt(db: PgPool) -> anyhow::Result<()> {
    let server = MockServer::start().await;
    answers(&server, refused(400, 4)).await;

    let fates = deliver_to(&server, &db, &[pending(JobId::new(), "order-1")]).await?;

    assert_eq!(fates, ["failed"]);
    assert!(testing::states(&db).await?.is_empty());
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_outage_leaves_a_doubt_and_the_next_attempt_sends_again(
    db: PgPool,
) -> anyhow::Result<()> {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(502).set_body_string("<html>Bad Gateway</html>"))
        .up_to_n_times(1)
        .with_priority(1)
        .mount(&server)
        .await;
    answers(&server, taken()).await;
    let job = JobId::new();

    let first = deliver_to(&server, &db, &[pending(job, "order-1")]).await?;
    let between = testing::states(&db).await?;
    let second = deliver_to(&server, &db, &[pending(job, "order-1")]).await?;

    assert_eq!((first, second), (vec!["failed"], vec!["sent"]));
    assert_eq!(between, ["order-1 in_doubt"]);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_doubt_of_two_days_is_not_sent_again(db: PgPool) -> anyhow::Result<()> {
    let server = MockServer::start().await;
    answers(&server, ResponseTemplate::new(502)).await;
    let job = JobId::new();
    deliver_to(&server, &db, &[pending(job, "order-1")]).await?;
    testing::age(&db, 47).await?;

    let fates = deliver_to(&server, &db, &[pending(job, "order-1")]).await?;

    assert_eq!(fates, ["in doubt"]);
    assert_eq!(calls(&server).await, 1);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_refused_event_is_asked_again_by_another_job_only(db: PgPool) -> anyhow::Result<()> {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(refused(400, 100))
        .up_to_n_times(1)
        .with_priority(1)
        .mount(&server)
        .await;
    answers(&server, taken()).await;
    let job = JobId::new();

    let first = deliver_to(&server, &db, &[pending(job, "order-1")]).await?;
    let next_attempt = deliver_to(&server, &db, &[pending(job, "order-1")]).await?;
    let replay = deliver_to(&server, &db, &[pending(JobId::new(), "order-1")]).await?;

    assert_eq!((first, next_attempt), (vec!["refused"], vec!["refused"]));
    assert_eq!(replay, ["sent"]);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_id_that_cannot_be_remembered_is_refused(db: PgPool) -> anyhow::Result<()> {
    let server = MockServer::start().await;
    answers(&server, taken()).await;
    let events = [
        pending(JobId::new(), &"x".repeat(3_000)),
        pending(JobId::new(), "fine"),
    ];

    let fates = deliver_to(&server, &db, &events).await?;

    assert_eq!(fates, ["refused", "sent"]);
    assert_eq!(testing::states(&db).await?, ["fine sent"]);
    Ok(())
}
