//! What becomes of an event, with Meta played by a server.

use marketing::PgPool;
use serde_json::Value;
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{method, path},
};

use super::*;
use crate::kinds::{
    scene::{Scene, mails},
    testing::schema_accepts,
};

const EVENT: &str = "01920000-0000-7000-8000-00000000abcd";

/// A Page, and an event about it that came so long ago.
async fn told(
    db: &PgPool,
    scene: &Scene,
    (object, field): (&str, &str),
    value: Value,
    ago: &str,
) -> anyhow::Result<Reached> {
    scene.connected().await?;
    sqlx::query(
        "UPDATE marketing.accounts SET kind = 'page', discovered_at = now() - interval '1 hour'",
    )
    .execute(db)
    .await?;
    let sql = format!(
        "INSERT INTO marketing.inbound_events (id, provider, dedupe_key, object, entry_id, field, value, received_at)
         VALUES ('{EVENT}', 'meta', 'key', $1, '101', $2, $3::text::json, now() - interval '{ago}')"
    );
    sqlx::query(&sql)
        .bind(object)
        .bind(field)
        .bind(value.to_string())
        .execute(db)
        .await?;
    scene.reached().await
}

/// Answers every call for a lead like this, and tells of one Page.
async fn meta(status: u16, answer: Value) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path("/900"))
        .respond_with(ResponseTemplate::new(status).set_body_json(answer))
        .mount(&server)
        .await;
    let pages = json!({"data": [{"id": "101", "name": "Page", "access_token": "EAApage"}]});
    Mock::given(method("GET"))
        .and(path("/me/accounts"))
        .respond_with(ResponseTemplate::new(200).set_body_json(pages))
        .mount(&server)
        .await;
    server
}

fn lead_event() -> Value {
    json!({"leadgen_id": 900, "page_id": "101", "form_id": "800"})
}

fn not_shown() -> Value {
    json!({"error": {"message": "Unsupported get request.", "type": "GraphMethodException", "code": 100, "error_subcode": 33}})
}

async fn count(db: &PgPool, what: &str) -> anyhow::Result<i64> {
    let sql = format!("SELECT count(*) FROM {what}");
    Ok(sqlx::query_scalar(&sql).fetch_one(db).await?)
}

// Fails when a lead is lost, kept twice, or its owner hears of it twice or of what was answered.
#[sqlx::test(migrations = "../../migrations")]
async fn a_lead_is_fetched_and_told_once_however_often_its_event_is_looked_after(
    db: PgPool,
) -> anyhow::Result<()> {
    let shown = json!({"id": "900", "created_time": "2099-11-20T09:14:22+0000", "form_id": "800",
                       "field_data": [{"name": "email", "values": ["fake@example.com"]}]});
    let server = meta(200, shown).await;
    let scene = Scene::with_meta_at(&db, &server.uri());
    let reached = told(&db, &scene, ("page", "leadgen"), lead_event(), "1 second").await?;

    for _ in 0..2 {
        let done = process(&scene.attempt(&reached), EVENT).await?;
        assert!(matches!(done, Outcome::SucceededWith(_)), "{done:?}");
    }

    assert_eq!(count(&db, "marketing.leads").await?, 1);
    assert_eq!(
        count(&db, "marketing.events WHERE kind = 'lead.created'").await?,
        1
    );
    let mails = mails(&db).await?;
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0]["topic"], "alerts");
    assert!(
        !mails[0].to_string().contains("fake@example.com"),
        "{mails:?}"
    );
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_lead_that_is_not_shown_yet_is_asked_for_again_at_no_cost(
    db: PgPool,
) -> anyhow::Result<()> {
    let server = meta(400, not_shown()).await;
    let scene = Scene::with_meta_at(&db, &server.uri());
    let reached = told(&db, &scene, ("page", "leadgen"), lead_event(), "10 seconds").await?;

    let put_off = process(&scene.attempt(&reached), EVENT).await?;

    assert!(
        matches!(put_off, Outcome::Snoozed(wait) if wait.as_secs() == 60),
        "{put_off:?}"
    );
    assert_eq!(count(&db, "marketing.leads").await?, 0);
    Ok(())
}

// Fails when a lead is given up at once that a grant may read which does not speak for the Page.
#[sqlx::test(migrations = "../../migrations")]
async fn a_lead_is_waited_for_also_where_nobody_speaks_for_the_page(
    db: PgPool,
) -> anyhow::Result<()> {
    let server = meta(400, not_shown()).await;
    let no_pages = ResponseTemplate::new(200).set_body_json(json!({"data": []}));
    let nobody = Mock::given(method("GET")).and(path("/me/accounts"));
    server
        .register(nobody.respond_with(no_pages).with_priority(1))
        .await;
    let scene = Scene::with_meta_at(&db, &server.uri());
    let reached = told(&db, &scene, ("page", "leadgen"), lead_event(), "10 seconds").await?;

    let put_off = process(&scene.attempt(&reached), EVENT).await?;

    assert!(
        matches!(put_off, Outcome::Snoozed(wait) if wait.as_secs() == 60),
        "{put_off:?}"
    );
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_lead_that_is_never_shown_is_given_up(db: PgPool) -> anyhow::Result<()> {
    let server = meta(400, not_shown()).await;
    let scene = Scene::with_meta_at(&db, &server.uri());
    let reached = told(&db, &scene, ("page", "leadgen"), lead_event(), "2 hours").await?;

    let given_up = process(&scene.attempt(&reached), EVENT).await;

    assert!(given_up.is_err_and(|error| error.class() == queue::ErrorClass::Permission));
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_comment_is_stored_and_nothing_is_called(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let comment =
        json!({"item": "comment", "verb": "add", "comment_id": "101_2", "message": "hello"});
    let reached = told(&db, &scene, ("page", "feed"), comment, "1 second").await?;

    process(&scene.attempt(&reached), EVENT).await?;

    assert_eq!(
        count(&db, "marketing.social_engagements WHERE text = 'hello'").await?,
        1
    );
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_a_person_took_back_has_the_grant_looked_at(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let revoked = json!({"verb": "revoke"});
    let reached = told(
        &db,
        &scene,
        ("permissions", "ads_read"),
        revoked,
        "1 second",
    )
    .await?;

    process(&scene.attempt(&reached), EVENT).await?;

    assert_eq!(scene.payloads("token.validate").await?.len(), 1);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_is_not_known_and_what_is_not_kept_are_no_failures(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let reached = told(&db, &scene, ("page", "hours"), json!(7), "1 second").await?;
    let other = EVENT.replace("abcd", "dcba");

    let unknown = process(&scene.attempt(&reached), EVENT).await?;
    let gone = process(&scene.attempt(&reached), &other).await?;

    assert!(matches!(unknown, Outcome::SucceededWith(_)), "{unknown:?}");
    assert!(matches!(gone, Outcome::Cancelled(_)), "{gone:?}");
    Ok(())
}

#[test]
fn an_event_and_an_account_are_named_by_their_ids() {
    let payload = json!({"event_id": EVENT, "account_id": EVENT});

    assert!(schema_accepts::<WebhookProcess>(&payload));
    assert!(!schema_accepts::<WebhookProcess>(
        &json!({"event_id": "7", "account_id": EVENT})
    ));
}
