//! The configuration over HTTP: what is in force, texts put in force, values overridden for a time.

use std::time::Duration;

use axum::http::Method;
use queue::{ConfigStart, Database, Follower};
use serde_json::{Value, json};
use sqlx::PgPool;

use super::{Answer, Api};

/// Keeps the API's own process in step.
async fn follow(pool: PgPool, api: &Api) -> Follower {
    let database = Database::from_pool(pool);
    let start = ConfigStart::of_command(&database, None, Vec::new())
        .await
        .expect("no text is right");
    Follower::start(api.queue.clone(), start)
}

/// What is in force, once this holds of it.
async fn in_force(api: &Api, holds: impl Fn(&Value) -> bool) -> Value {
    let waiting = async {
        loop {
            let shown = api.get("/v1/config", &api.admin).await.json();
            if holds(&shown) {
                return shown;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting)
        .await
        .expect("it takes effect soon")
}

fn value<'a>(shown: &'a Value, key: &str) -> &'a Value {
    let values = shown["effective"].as_array().expect("values");
    let found = values.iter().find(|value| value["key"] == key);
    found.unwrap_or_else(|| panic!("{key} is not listed"))
}

async fn apply(api: &Api, body: Value) -> Answer {
    api.post("/v1/config/apply", &api.admin, body).await
}

async fn set(api: &Api, body: Value) -> Answer {
    api.post("/v1/config/overrides", &api.admin, body).await
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_text_takes_effect_shows_in_the_history_and_is_rolled_back(pool: PgPool) {
    let api = Api::new(pool.clone()).await;
    let follower = follow(pool, &api).await;

    let first = apply(
        &api,
        json!({"text": "[queues.sync]\nconcurrency = 3\n", "reason": "quota"}),
    )
    .await
    .json();
    let shown = in_force(&api, |shown| shown["revision"] == 1).await;
    apply(&api, json!({"text": "[queues.sync]\nconcurrency = 4\n"})).await;
    let back = apply(&api, json!({"revision": 1, "reason": "back"}))
        .await
        .json();
    let same = apply(&api, json!({"revision": 1})).await.json();
    let again = in_force(&api, |shown| shown["revision"] == 3).await;
    let history = api.get("/v1/config/revisions", &api.admin).await.json();

    assert_eq!(first["changed"], json!(["queues.sync.concurrency"]));
    assert_eq!(
        value(&shown, "queues.sync.concurrency"),
        &json!({
            "key": "queues.sync.concurrency", "value": 3, "restart": false,
            "origin": {"file": {"line": 2, "column": 1}},
        })
    );
    assert_eq!(
        (&back["revision"], &back["outcome"]),
        (&json!(3), &json!("applied"))
    );
    assert_eq!(
        (&same["revision"], &same["outcome"]),
        (&json!(3), &json!("unchanged"))
    );
    assert_eq!(value(&again, "queues.sync.concurrency")["value"], 3);
    let told: Vec<_> = history["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|item| (&item["revision"], &item["source"], &item["reason"]))
        .collect();
    assert_eq!(
        told,
        [
            (&json!(3), &json!("api"), &json!("back")),
            (&json!(2), &json!("api"), &Value::Null),
            (&json!(1), &json!("api"), &json!("quota")),
        ]
    );
    follower.stop().await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_wrong_text_is_refused_with_each_line(pool: PgPool) {
    let api = Api::new(pool).await;

    let wrong = apply(
        &api,
        json!({"text": "[queues.sync]\nconcurency = 3\n[lease]\nttl = 5\n"}),
    )
    .await;
    let both = apply(&api, json!({"text": "", "revision": 1})).await;
    let neither = apply(&api, json!({})).await;
    let unknown = apply(&api, json!({"revision": 9})).await;

    wrong.is_problem(422, "invalid");
    assert_eq!(wrong.pointers(), ["/text", "/text"]);
    assert!(
        wrong.text.contains("2:1: unknown key") && wrong.text.contains("4:7: "),
        "{}",
        wrong.text
    );
    for (answer, pointer) in [(both, "/text"), (neither, "/text"), (unknown, "/revision")] {
        answer.is_problem(422, "invalid");
        assert_eq!(answer.pointers(), [pointer]);
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_override_takes_effect_and_is_taken_away(pool: PgPool) {
    let api = Api::new(pool.clone()).await;
    let follower = follow(pool, &api).await;
    let key = "kinds.\"email.send\".timeout";

    let set = set(
        &api,
        json!({"key": key, "value": "5m", "for": "1h", "reason": "slow server"}),
    )
    .await;
    let shown = in_force(&api, |shown| shown["overrides"][0]["key"] == key).await;
    let path = "/v1/config/overrides/kinds.%22email.send%22.timeout";
    let gone = api.call(Method::DELETE, path, &api.admin, "").await;
    let after = in_force(&api, |shown| shown["overrides"] == json!([])).await;
    let twice = api.call(Method::DELETE, path, &api.admin, "").await;

    assert_eq!(set.status, 201, "{}", set.text);
    assert_eq!(shown["overrides"][0]["reason"], "slow server");
    assert_eq!(shown["overrides"][0]["problem"], Value::Null);
    assert_eq!(value(&shown, key)["value"], "5m");
    assert!(value(&shown, key)["origin"]["override"]["until"].is_string());
    assert_eq!((gone.status.as_u16(), gone.text.as_str()), (204, ""));
    assert_eq!(value(&after, key)["value"], "15m");
    twice.is_problem(404, "not-found");
    follower.stop().await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_override_that_is_wrong_is_refused_where_it_is_wrong(pool: PgPool) {
    let api = Api::new(pool).await;
    let key = "queues.sync.concurrency";

    for (body, pointer) in [
        (
            json!({"key": "queues.sync.concurency", "value": 2, "for": "1h"}),
            "/key",
        ),
        (
            json!({"key": "http.max_body", "value": "2MiB", "for": "1h"}),
            "/key",
        ),
        (json!({"key": key, "value": 0, "for": "1h"}), "/value"),
        (json!({"key": key, "value": null, "for": "1h"}), "/value"),
        (json!({"key": key, "value": 2, "for": "31d"}), "/for"),
        (json!({"key": key, "value": 2}), "/for"),
        (
            json!({"key": key, "value": 2, "until": "2020-01-01T00:00:00Z"}),
            "/until",
        ),
        (
            json!({"key": key, "value": 2, "for": "1h", "why": "x"}),
            "/why",
        ),
    ] {
        let refused = set(&api, body).await;

        refused.is_problem(422, "invalid");
        assert_eq!(refused.pointers(), [pointer], "{}", refused.text);
    }
    let suggested = set(
        &api,
        json!({"key": "queues.sync.concurency", "value": 2, "for": "1h"}),
    )
    .await;
    assert!(
        suggested.text.contains("did you mean \\\"concurrency\\\"?"),
        "{}",
        suggested.text
    );
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_configuration_that_is_wrong_shows_and_the_process_stays_ready(pool: PgPool) {
    let api = Api::new(pool.clone()).await;
    let follower = follow(pool.clone(), &api).await;
    let before = api.get("/readyz", "").await.json();

    sqlx::raw_sql(
        "INSERT INTO millpond.config_revisions (content_hash, text, source, author, changed)
         VALUES ('x', 'from_the_future = 1', 'file', 'newer', '{}');
         UPDATE millpond.config_state SET change = change + 1",
    )
    .execute(&pool)
    .await
    .expect("stored");
    let shown = in_force(&api, |shown| shown["rejected"].is_object()).await;
    let ready = api.get("/readyz", "").await;

    assert_eq!(before["detail"], Value::Null);
    assert_eq!(shown["revision"], Value::Null);
    assert_eq!(shown["rejected"]["source"], "revision 1");
    assert_eq!(
        shown["rejected"]["problems"][0],
        "revision 1:1:1: unknown key \"from_the_future\" at the top level"
    );
    assert_eq!(ready.status, 200);
    let detail = ready.json()["detail"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    assert!(detail.contains("GET /v1/config"), "{detail}");
    assert!(!detail.contains("from_the_future"), "{detail}");
    follower.stop().await;
}
