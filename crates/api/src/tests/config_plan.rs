//! What a change of the configuration would do, over HTTP.

use queue::{ConfigRequest, ConfigText, RevisionSource};
use serde_json::{Value, json};
use sqlx::PgPool;

use super::{Answer, Api};

const PATH: &str = "/v1/config/plan";

async fn plan(api: &Api, body: Value) -> Answer {
    let reader = api.key(&["read"]).await;
    api.post(PATH, &reader, body).await
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_plan_says_what_changes_and_what_follows_and_stores_nothing(pool: PgPool) {
    let api = Api::new(pool.clone()).await;
    sqlx::raw_sql(
        "INSERT INTO millpond.jobs (id, queue, kind, state, priority, run_at, attempt, attempts_used, payload)
         SELECT millpond.new_job_id(), 'email', 'email.send', 'retrying', 5, now(), n, n, '{}' FROM generate_series(1, 6) AS n",
    )
    .execute(&pool)
    .await
    .expect("stored");
    let text = "[kinds.\"email.send\"]\nmax_attempts = 3\n";

    let told = plan(&api, json!({"text": text})).await;
    let history = api.get("/v1/config/revisions", &api.admin).await.json();

    assert_eq!(told.status, 200, "{}", told.text);
    let told = told.json();
    assert_eq!(told["revision"], Value::Null);
    assert_eq!(told["harms"], json!(["dead_letters"]));
    assert_eq!(
        told["changes"],
        json!([{
            "key": "kinds.\"email.send\".max_attempts",
            "before": {"value": 8, "origin": "built_in"},
            "after": {"value": 3, "origin": {"file": {"line": 2, "column": 1}}},
            "restart": false, "hidden_by": null, "inherited_by": [],
        }])
    );
    assert_eq!(
        told["attempts"],
        json!([{"kind": "email.send", "before": 8, "after": 3, "last_chance": 5, "used_up": 4, "running": 0}])
    );
    let queue = &told["queues"][0];
    assert_eq!(
        (&queue["queue"], &queue["retrying"]),
        (&json!("email"), &json!(6))
    );
    assert_eq!(queue["before"]["drain"], "empty");
    assert_eq!(history["items"], json!([]));
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_earlier_revision_is_weighed_against_the_newest(pool: PgPool) {
    let api = Api::new(pool).await;
    for text in [
        "[queues.sync]\nconcurrency = 3\n",
        "[queues.sync]\nconcurrency = 4\n",
    ] {
        let actor = queue::Actor {
            name: "test".to_owned(),
            tenant: None,
        };
        let request = ConfigRequest {
            text: ConfigText::New(text.to_owned()),
            source: RevisionSource::Api,
            reason: None,
        };
        api.queue
            .apply_config(request, &actor)
            .await
            .expect("applied");
    }

    let told = plan(&api, json!({"revision": 1})).await.json();

    assert_eq!(told["revision"], 2);
    assert_eq!(told["harms"], json!([]));
    let change = &told["changes"][0];
    assert_eq!(
        (&change["before"]["value"], &change["after"]["value"]),
        (&json!(4), &json!(3))
    );
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_could_not_be_applied_is_not_weighed_either(pool: PgPool) {
    let api = Api::new(pool).await;

    let wrong = plan(&api, json!({"text": "[queues.sync]\nconcurency = 3\n"})).await;
    let both = plan(&api, json!({"text": "", "revision": 1})).await;
    let neither = plan(&api, json!({})).await;
    let unknown = plan(&api, json!({"revision": 9})).await;
    let empty = plan(&api, json!({"text": " \n"})).await;
    let reasoned = plan(&api, json!({"text": "", "reason": "why not"})).await;

    assert!(wrong.text.contains("2:1: unknown key"), "{}", wrong.text);
    for (answer, pointer) in [
        (wrong, "/text"),
        (both, "/text"),
        (neither, "/text"),
        (unknown, "/revision"),
        (empty, "/text"),
        (reasoned, "/reason"),
    ] {
        answer.is_problem(422, "invalid");
        assert_eq!(answer.pointers(), [pointer]);
    }
}
