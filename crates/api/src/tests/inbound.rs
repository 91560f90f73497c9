//! What Meta sends of its own accord, and leads, over HTTP.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{Method, Request},
};
use marketing::{
    Platforms,
    accounts::{Accounts, AccountsSettings},
    platform::{Door, OpenDoor},
};
use metrics_exporter_prometheus::PrometheusBuilder;
use queue::Cipher;
use secrecy::SecretString;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::{Answer, Api};
use crate::{ApiSettings, ApiState, router};

const KEYS: &str = "k1:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
/// One of the published vectors of the signature: this body under that secret.
const SECRET: &str = "It's a Secret to Everybody";
const BODY: &str = "Hello, World!";
const SIGNATURE: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

async fn set_up(pool: PgPool) -> Api {
    let mut api = Api::new(pool).await;
    let cipher = Cipher::read(&SecretString::from(KEYS)).expect("the keys are sound");
    let settings = AccountsSettings {
        meta_app_secret: Some(SecretString::from(SECRET)),
        meta_verify_token: Some(SecretString::from("fake verify+token")),
        ..AccountsSettings::default()
    };
    let door: Arc<dyn Door> = Arc::new(OpenDoor);
    let parts = (Platforms::default(), door);
    let accounts = Accounts::new(api.queue.clone(), Some(Arc::new(cipher)), parts, settings);
    let prometheus = PrometheusBuilder::new().build_recorder().handle();
    let settings = ApiSettings::new("1.2.3", "abcdef0", CancellationToken::new());
    let state = ApiState::new(api.queue.clone(), accounts, prometheus, settings);
    api.router = router(state.clone());
    api.state = state;
    api
}

async fn send(api: &Api, signature: Option<&str>, body: impl Into<Body>) -> Answer {
    let request = Request::builder()
        .method(Method::POST)
        .uri("/webhooks/meta");
    let request = match signature {
        Some(signature) => request.header("X-Hub-Signature-256", signature),
        None => request,
    };
    api.send(request.body(body.into()).expect("a request"))
        .await
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_handshake_gets_its_challenge_back_as_text(pool: PgPool) {
    let api = set_up(pool).await;
    let shake = |query: &str| format!("/webhooks/meta?{query}");

    let good =
        shake("hub%2Emode=subscribe&hub.challenge=11%3C58&hub.verify_token=fake%20verify%2Btoken");
    let good = api.get(&good, "").await;
    let wrong = api
        .get(
            &shake("hub.mode=subscribe&hub.challenge=1&hub.verify_token=no"),
            "",
        )
        .await;
    let without = api
        .get(
            &shake("hub.mode=subscribe&hub.verify_token=fake+verify%2Btoken"),
            "",
        )
        .await;

    assert_eq!((good.status.as_u16(), good.text.as_str()), (200, "11<58"));
    assert!(good.header("content-type").starts_with("text/plain"));
    assert_eq!((wrong.status.as_u16(), without.status.as_u16()), (403, 400));
}

// Fails when the bytes are not checked as they came, or what is not signed is stored.
#[sqlx::test(migrations = "../../migrations")]
async fn events_are_taken_by_their_signature_alone(pool: PgPool) {
    let api = set_up(pool.clone()).await;

    let signed = send(&api, Some(SIGNATURE), BODY).await;
    let again = send(&api, Some(SIGNATURE), BODY).await;
    let unsigned = send(&api, None, BODY).await;
    let changed = send(&api, Some(SIGNATURE), "Hello, World! ").await;

    assert_eq!((signed.status.as_u16(), again.status.as_u16()), (200, 200));
    assert_eq!(
        (unsigned.status.as_u16(), changed.status.as_u16()),
        (401, 401)
    );
    let stored: i64 = sqlx::query_scalar("SELECT count(*) FROM marketing.inbound_events")
        .fetch_one(&pool)
        .await
        .expect("a count");
    assert_eq!(stored, 1);
}

#[sqlx::test(migrations = "../../migrations")]
async fn events_may_have_five_mebibytes(pool: PgPool) {
    let api = set_up(pool).await;

    let large = send(&api, None, vec![b' '; 5 << 20]).await;
    let too_large = send(&api, None, vec![b' '; (5 << 20) + 1]).await;

    assert_eq!(
        (large.status.as_u16(), too_large.status.as_u16()),
        (401, 413)
    );
}

#[sqlx::test(migrations = "../../migrations")]
async fn leads_are_listed_and_exported(pool: PgPool) {
    let api = set_up(pool).await;

    let listed = api.get("/v1/leads", &api.admin).await;
    let table = api.get("/v1/leads/export?format=csv", &api.admin).await;
    let of_list = api.get("/v1/leads?format=csv", &api.admin).await;
    let lines = api.get("/v1/leads/export?format=ndjson", &api.admin).await;
    let wrong = api.get("/v1/leads/export?format=xml", &api.admin).await;
    let none = api
        .get("/v1/leads/01920000-0000-7000-8000-00000000abcd", &api.admin)
        .await;

    assert_eq!(listed.json()["items"], serde_json::json!([]));
    assert!(
        table.text.starts_with("id,lead_id,account_id,"),
        "{}",
        table.text
    );
    assert!(table.header("content-type").starts_with("text/csv"));
    assert_eq!((lines.status.as_u16(), lines.text.as_str()), (200, ""));
    assert_eq!((wrong.status.as_u16(), none.status.as_u16()), (400, 404));
    assert_eq!(of_list.text, table.text);
}
