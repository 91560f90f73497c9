//! Rules, alerts and recommendations over HTTP.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use super::Api;

fn strategy(name: &str) -> Value {
    json!({"name": name, "rule": {"scope": {"level": "campaign"}, "action": "pause", "look_back_days": 7,
        "min_impressions": 1000, "max_cpc": "2.50"}})
}

fn alert(name: &str) -> Value {
    json!({"name": name, "rule": {"scope": {"level": "account"}, "metric": "spend", "comparison": "above",
        "threshold": 100, "clear_at": "80", "recipients": ["a@example.com"]}})
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_rule_is_made_shown_changed_and_deleted(pool: PgPool) {
    let api = Api::new(pool).await;

    let made = api
        .post("/v1/strategies", &api.admin, strategy("Dear"))
        .await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let made = made.json();
    let path = format!("/v1/strategies/{}", made["id"].as_str().expect("an id"));
    let taken = api
        .post("/v1/strategies", &api.admin, strategy("Dear"))
        .await;
    let change = json!({"mode": "act", "status": "paused"}).to_string();
    let changed = api.call(Method::PATCH, &path, &api.admin, change).await;
    let mut asleep = strategy("Asleep");
    asleep["status"] = json!("paused");
    let asleep = api.post("/v1/strategies", &api.admin, asleep).await;
    let listed = api.get("/v1/strategies", &api.admin).await.json();
    let history = api.get(&format!("{path}/history"), &api.admin).await;
    let deleted = api.call(Method::DELETE, &path, &api.admin, "{}").await;
    let gone = api.get(&path, &api.admin).await;

    assert_eq!(made["mode"], "recommend");
    assert_eq!(made["rule"]["max_cpc"], "2.50");
    assert_eq!(made["rule"]["daily_cap"], 10);
    assert_eq!(taken.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(changed.json()["mode"], "act", "{}", changed.text);
    assert_eq!(listed["items"][0]["status"], "paused");
    assert_eq!(asleep.json()["status"], "paused", "{}", asleep.text);
    assert_eq!(history.json()["items"], json!([]));
    assert_eq!(deleted.status, StatusCode::NO_CONTENT, "{}", deleted.text);
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_alert_is_made_and_seen_by_its_tenant_alone(pool: PgPool) {
    let api = Api::new(pool).await;
    let acme = api.tenant_key(&["read", "operate"], "acme").await;
    let other = api.tenant_key(&["read", "operate"], "other").await;

    let made = api.post("/v1/alerts", &acme, alert("Spend")).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let path = format!("/v1/alerts/{}", made.json()["id"].as_str().expect("an id"));
    let history = api.get(&format!("{path}/history"), &acme).await;
    let foreign = api.get(&path, &other).await;
    let deleted = api.call(Method::DELETE, &path, &other, "{}").await;

    assert_eq!(made.json()["tenant"], "acme");
    assert_eq!(history.status, StatusCode::OK, "{}", history.text);
    assert_eq!(foreign.status, StatusCode::NOT_FOUND);
    assert_eq!(deleted.status, StatusCode::NOT_FOUND);
    assert_eq!(api.get(&path, &acme).await.status, StatusCode::OK);
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_is_wrong_is_pointed_at(pool: PgPool) {
    let api = Api::new(pool).await;
    let with = |mut body: Value, name: &str, value: Value| {
        body["rule"][name] = value;
        body
    };
    let cases = [
        ("/v1/strategies", json!({"name": "x"}), "/rule"),
        (
            "/v1/strategies",
            with(strategy("x"), "look_back_days", json!(0)),
            "/rule/look_back_days",
        ),
        (
            "/v1/strategies",
            with(strategy("x"), "min_ctr", json!(1)),
            "/rule",
        ),
        (
            "/v1/alerts",
            with(alert("x"), "clear_at", json!("120")),
            "/rule/clear_at",
        ),
        (
            "/v1/alerts",
            with(alert("x"), "metric", json!("profit")),
            "/rule",
        ),
    ];

    for (path, body, pointer) in cases {
        let refused = api.post(path, &api.admin, body).await;

        assert_eq!(
            refused.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{}",
            refused.text
        );
        assert_eq!(
            refused.json()["errors"][0]["pointer"],
            pointer,
            "{}",
            refused.text
        );
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn recommendations_are_listed_and_dismissed(pool: PgPool) {
    let api = Api::new(pool.clone()).await;
    let made = api
        .post("/v1/strategies", &api.admin, strategy("Dear"))
        .await;
    let rule: Uuid = made.json()["id"]
        .as_str()
        .expect("an id")
        .parse()
        .expect("an id");
    let found = Uuid::now_v7();
    let sql = "INSERT INTO marketing.recommendations
                      (id, strategy, tenant, account, kind, entity_id, entity_name, action, before, after, reasons, state)
               VALUES ($1, $2, '', $1, 'campaign', '7', 'Spring', 'pause', 'active', 'paused',
                       '[{\"metric\": \"cpc\", \"value\": \"3\", \"comparison\": \"above\", \"threshold\": \"2.5\"}]', 'open')";
    let stored = sqlx::query(sql).bind(found).bind(rule).execute(&pool).await;
    stored.expect("a recommendation");

    let listed = api.get("/v1/recommendations?state=open", &api.admin).await;
    let path = format!("/v1/recommendations/{found}/dismiss");
    let dismissed = api.call(Method::POST, &path, &api.admin, "{}").await;
    let twice = api.call(Method::POST, &path, &api.admin, "{}").await;

    assert_eq!(
        listed.json()["items"][0]["reasons"][0]["metric"],
        "cpc",
        "{}",
        listed.text
    );
    assert_eq!(dismissed.json()["state"], "dismissed", "{}", dismissed.text);
    assert_eq!(twice.status, StatusCode::CONFLICT);
}
