//! Customers' endpoints over HTTP.

use std::sync::Arc;

use axum::http::Method;
use marketing::{
    Platforms,
    accounts::{Accounts, AccountsSettings},
    platform::{Door, OpenDoor},
};
use metrics_exporter_prometheus::PrometheusBuilder;
use queue::Cipher;
use secrecy::SecretString;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::{Answer, Api};
use crate::{ApiSettings, ApiState, router};

const KEYS: &str = "k1:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const PATH: &str = "/v1/webhook-endpoints";

/// An API of a process that has keys, beside one that sends messages.
async fn set_up(pool: PgPool) -> Api {
    let mut api = Api::new(pool.clone()).await;
    let cipher = Cipher::read(&SecretString::from(KEYS)).expect("the keys are sound");
    let door: Arc<dyn Door> = Arc::new(OpenDoor);
    let accounts = Accounts::new(
        api.queue.clone(),
        Some(Arc::new(cipher)),
        (Platforms::default(), door),
        AccountsSettings::default(),
    );
    let prometheus = PrometheusBuilder::new().build_recorder().handle();
    let settings = ApiSettings::new("1.2.3", "abcdef0", CancellationToken::new());
    let state = ApiState::new(api.queue.clone(), accounts, prometheus, settings);
    api.router = router(state.clone());
    api.state = state;
    api.queue.announce().await.expect("the database is there");
    sqlx::query(
        "INSERT INTO millpond.kinds_seen (kind, queue, priority, max_attempts) VALUES ('webhook.deliver', 'webhook', 5, 10)",
    )
    .execute(&pool)
    .await
    .expect("a kind of another process");
    api
}

fn endpoint() -> Value {
    json!({
        "url": "https://app.example.com/hooks", "description": "shop", "events": ["sync.failed", "job.dead"],
        "owner_email": "ada@example.com",
    })
}

async fn made(api: &Api, key: &str) -> Answer {
    let made = api.post(PATH, key, endpoint()).await;
    assert_eq!(made.status, 201, "{}", made.text);
    made
}

fn path_of(made: &Answer) -> String {
    made.header("location").to_owned()
}

// Fails when a secret can be read off a second time, or a new one is not told.
#[sqlx::test(migrations = "../../migrations")]
async fn a_secret_is_told_when_it_is_made_and_never_again(pool: PgPool) {
    let api = set_up(pool).await;

    let made = made(&api, &api.admin).await;
    let path = path_of(&made);
    let shown = api.get(&path, &api.admin).await;
    let listed = api.get(PATH, &api.admin).await;
    let rotated = api
        .post(
            &format!("{path}/rotate-secret"),
            &api.admin,
            json!({ "overlap": "1h" }),
        )
        .await;
    let too_long = api
        .post(
            &format!("{path}/rotate-secret"),
            &api.admin,
            json!({ "overlap": "8d" }),
        )
        .await;

    let secret = |answer: &Answer| {
        answer.json()["secret"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    assert!(secret(&made).starts_with("whsec_"));
    assert!(secret(&rotated).starts_with("whsec_"));
    assert_ne!(secret(&made), secret(&rotated));
    for answer in [&shown, &listed] {
        assert_eq!(answer.status, 200);
        assert!(!answer.text.contains("whsec_"), "{}", answer.text);
    }
    assert_eq!(shown.json()["events"], json!(["sync.failed", "job.dead"]));
    too_long.is_problem(422, "invalid");
    assert_eq!(too_long.pointers(), ["/overlap"]);
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_cannot_be_an_endpoint_is_refused_with_its_member(pool: PgPool) {
    let api = set_up(pool).await;
    let cases = [
        ("url", json!("http://app.example.com/hooks")),
        ("url", json!("https://10.0.0.1/")),
        ("url", json!("https://app.example.com:22/")),
        ("url", json!("https://ada:secret@app.example.com/")),
        ("events", json!(["sync.finished"])),
        ("owner_email", json!("ada")),
        ("description", json!("x".repeat(201))),
    ];

    for (name, value) in cases {
        let mut body = endpoint();
        body[name] = value;
        let refused = api.post(PATH, &api.admin, body).await;

        assert_eq!(refused.status, 422, "{}", refused.text);
        assert_eq!(refused.pointers(), [format!("/{name}")]);
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_endpoint_is_changed_switched_off_and_deleted(pool: PgPool) {
    let api = set_up(pool).await;
    let path = path_of(&made(&api, &api.admin).await);
    let patch = async |body: Value| {
        let changed = api.call(Method::PATCH, &path, &api.admin, body.to_string());
        changed.await
    };

    let off = patch(json!({ "status": "disabled", "owner_email": null })).await;
    let replay = json!({ "since": "2026-01-01T00:00:00Z" });
    let replayed = api
        .post(&format!("{path}/replay"), &api.admin, replay)
        .await;
    let on = patch(json!({ "status": "enabled", "events": [] })).await;
    let wrong = patch(json!({ "status": "on" })).await;
    let deleted = api.call(Method::DELETE, &path, &api.admin, "").await;
    let gone = api.get(&path, &api.admin).await;

    let off = off.json();
    assert_eq!(
        (&off["status"], &off["disabled_by"], &off["owner_email"]),
        (&json!("disabled"), &json!("request"), &Value::Null)
    );
    replayed.is_problem(409, "wrong-state");
    let on = on.json();
    assert_eq!(
        (&on["status"], &on["events"]),
        (&json!("enabled"), &json!([]))
    );
    assert_eq!(on["disabled_at"], Value::Null);
    wrong.is_problem(422, "invalid");
    assert_eq!(deleted.status, 200, "{}", deleted.text);
    gone.is_problem(404, "not-found");
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_test_is_on_its_way_at_once_and_stands_among_the_deliveries(pool: PgPool) {
    let api = set_up(pool.clone()).await;
    let path = path_of(&made(&api, &api.admin).await);

    let tried = api
        .call(Method::POST, &format!("{path}/test"), &api.admin, "")
        .await;
    let deliveries = api
        .get(&format!("{path}/deliveries?state=pending"), &api.admin)
        .await;
    let none = api
        .get(&format!("{path}/deliveries?state=failed"), &api.admin)
        .await;

    assert_eq!(tried.status, 202, "{}", tried.text);
    let listed = &deliveries.json()["items"][0];
    assert_eq!(
        (&listed["event"], &listed["id"]),
        (&json!("webhook.test"), &tried.json()["id"])
    );
    assert_eq!(none.json()["items"], json!([]));
    let waiting: Option<String> = sqlx::query_scalar(
        "SELECT payload ->> 'delivery_id' FROM millpond.jobs WHERE kind = 'webhook.deliver'",
    )
    .fetch_one(&pool)
    .await
    .expect("a job");
    assert_eq!(waiting.as_deref(), tried.json()["id"].as_str());
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_was_given_up_is_sent_again_by_its_time(pool: PgPool) {
    let api = set_up(pool.clone()).await;
    let path = path_of(&made(&api, &api.admin).await);
    sqlx::query(
        "INSERT INTO marketing.webhook_deliveries (endpoint, tenant, event_id, event, body, state, created_at, ended_at)
         SELECT e.id, '', n, 'job.dead', '{}', CASE n WHEN 1 THEN 'succeeded' ELSE 'failed' END, now() - make_interval(hours => n), now()
           FROM marketing.webhook_endpoints e, generate_series(1, 5) AS n",
    )
    .execute(&pool)
    .await
    .expect("deliveries");
    let ago = |hours: i64| chrono::Utc::now() - chrono::TimeDelta::minutes(hours * 60 + 30);

    let span = json!({ "since": ago(3), "until": ago(0) });
    let sent = api.post(&format!("{path}/replay"), &api.admin, span).await;
    let backwards = json!({ "since": ago(1), "until": ago(3) });
    let backwards = api
        .post(&format!("{path}/replay"), &api.admin, backwards)
        .await;

    assert_eq!(sent.status, 202, "{}", sent.text);
    assert_eq!(sent.json(), json!({ "count": 2, "is_all": true }));
    backwards.is_problem(422, "invalid");
    let jobs: i64 =
        sqlx::query_scalar("SELECT count(*) FROM millpond.jobs WHERE kind = 'webhook.deliver'")
            .fetch_one(&pool)
            .await
            .expect("a count");
    assert_eq!(jobs, 2);
}

#[sqlx::test(migrations = "../../migrations")]
async fn keys_of_a_tenant_see_and_touch_its_endpoints_alone(pool: PgPool) {
    let api = set_up(pool).await;
    let acme = api.tenant_key(&["admin"], "acme").await;
    let umbrella = api.tenant_key(&["admin"], "umbrella").await;

    let made = made(&api, &acme).await;

    let path = path_of(&made);
    assert_eq!(made.json()["tenant"], "acme");
    assert_eq!(api.get(&path, &acme).await.status, 200);
    let replay = json!({ "since": "2026-01-01T00:00:00Z" }).to_string();
    let foreign = [
        (Method::GET, path.clone(), ""),
        (Method::PATCH, path.clone(), "{}"),
        (Method::DELETE, path.clone(), ""),
        (Method::GET, format!("{path}/deliveries"), ""),
        (Method::POST, format!("{path}/rotate-secret"), ""),
        (Method::POST, format!("{path}/test"), ""),
        (Method::POST, format!("{path}/replay"), replay.as_str()),
    ];
    for (method, path, body) in foreign {
        let refused = api.call(method, &path, &umbrella, body.to_owned()).await;
        refused.is_problem(404, "not-found");
    }
    let none = api.get(PATH, &umbrella).await.json();
    assert_eq!(none["items"], json!([]));
    let mut for_another = endpoint();
    for_another["tenant"] = json!("acme");
    let refused = api.post(PATH, &umbrella, for_another).await;
    refused.is_problem(403, "forbidden");
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_process_without_keys_makes_no_endpoint(pool: PgPool) {
    let api = Api::new(pool).await;

    let refused = api.post(PATH, &api.admin, endpoint()).await;

    refused.is_problem(409, "not-set-up");
    assert!(refused.text.contains("MILLPOND_ENCRYPTION_KEYS"));
}
