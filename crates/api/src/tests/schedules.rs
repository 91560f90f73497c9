//! Schedules over HTTP: shown, paused, resumed, triggered.

use axum::http::Method;
use queue::config::Config;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::Api;

async fn api(pool: PgPool) -> Api {
    let text = "[schedules.greet]\nkind = \"email.send\"\ncron = \"30 2 * * *\"\ntimezone = \"Europe/Berlin\"\n\
                payload = { to = \"a@example.com\" }\n";
    let parsed = Config::parse(text, &["email.send"]).expect("the schedule is right");
    Api::with(pool, parsed.config, |_| {}).await
}

#[sqlx::test(migrations = "../../migrations")]
async fn schedules_are_listed_and_shown_with_their_next_ticks(pool: PgPool) {
    let api = api(pool).await;

    let listed = api.get("/v1/schedules", &api.admin).await.json();
    let greet = api.get("/v1/schedules/greet", &api.admin).await.json();
    let unknown = api.get("/v1/schedules/greeting", &api.admin).await;

    let state = |name: &str| {
        let items = listed["items"].as_array().expect("items");
        let found = items.iter().find(|schedule| schedule["name"] == name);
        found.map(|schedule| schedule["state"].clone())
    };
    assert_eq!(state("greet"), Some(json!("active")));
    assert_eq!(state("token-check"), Some(json!("no such kind")));
    assert_eq!(
        (&greet["kind"], &greet["timezone"], &greet["last"]),
        (&json!("email.send"), &json!("Europe/Berlin"), &Value::Null)
    );
    assert_eq!(greet["next"].as_array().map(Vec::len), Some(5));
    unknown.is_problem(404, "not-found");
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_trigger_answers_as_an_enqueue_does(pool: PgPool) {
    let api = api(pool).await;

    let made = api
        .post(
            "/v1/schedules/greet/trigger",
            &api.admin,
            json!({"reason": "late"}),
        )
        .await;
    let bare = api
        .call(Method::POST, "/v1/schedules/greet/trigger", &api.admin, "")
        .await;
    let id = made.json()["id"].as_str().expect("an id").to_owned();
    let job = api.get(made.header("location"), &api.admin).await.json();
    let unknown = api
        .post("/v1/schedules/greeting/trigger", &api.admin, json!({}))
        .await;
    let later = api
        .post("/v1/schedules/token-check/trigger", &api.admin, json!({}))
        .await;
    let odd = api
        .post(
            "/v1/schedules/greet/trigger",
            &api.admin,
            json!({"resaon": "late"}),
        )
        .await;

    assert_eq!(
        (made.status.as_u16(), bare.status.as_u16()),
        (201, 201),
        "{}",
        made.text
    );
    assert_eq!(
        (&job["id"], &job["kind"]),
        (&json!(id), &json!("email.send"))
    );
    assert_eq!(job["tags"], json!({"schedule": "greet"}));
    assert!(job["payload"]["scheduled_for"].is_string(), "{job}");
    unknown.is_problem(404, "not-found");
    later.is_problem(422, "unknown-kind");
    odd.is_problem(422, "invalid");
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_schedule_is_paused_with_a_reason_and_resumed(pool: PgPool) {
    let api = api(pool).await;

    let paused = api
        .post(
            "/v1/schedules/greet/pause",
            &api.admin,
            json!({"reason": "quota"}),
        )
        .await
        .json();
    let resumed = api
        .call(Method::POST, "/v1/schedules/greet/resume", &api.admin, "")
        .await
        .json();
    let past = json!({"until": "2001-01-01T00:00:00Z"});
    let past = api
        .post("/v1/schedules/greet/pause", &api.admin, past)
        .await;

    assert_eq!(paused["state"], "paused");
    assert_eq!(paused["paused"]["reason"], "quota");
    assert_eq!(
        (&resumed["state"], &resumed["paused"]),
        (&json!("active"), &Value::Null)
    );
    past.is_problem(422, "invalid");
    assert_eq!(past.pointers(), ["/until"]);
}

#[sqlx::test(migrations = "../../migrations")]
async fn schedules_are_no_tenants_thing_and_looking_is_not_touching(pool: PgPool) {
    let api = api(pool).await;
    let bound = api.tenant_key(&["read", "operate"], "acme").await;
    let reader = api.key(&["read"]).await;

    for path in ["/v1/schedules", "/v1/schedules/greet"] {
        api.get(path, &bound).await.is_problem(403, "forbidden");
        assert_eq!(api.get(path, &reader).await.status, 200);
    }
    for action in ["trigger", "pause", "resume"] {
        let path = format!("/v1/schedules/greet/{action}");
        for key in [&bound, &reader] {
            let refused = api.post(&path, key, json!({})).await;
            refused.is_problem(403, "forbidden");
        }
    }
}
