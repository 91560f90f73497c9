//! Answers keep to the document: every member that is sent is described, and the other way round.

use serde_json::{Map, Value, json};
use sqlx::PgPool;

use super::Api;

/// The members of a schema, those of its parts included. What stands in lists alone is described in their page.
fn members(document: &Value, name: &str) -> Vec<String> {
    let schemas = &document["components"]["schemas"];
    let page = format!("Page_{name}");
    let listed = &schemas[page.as_str()]["properties"]["items"]["items"];
    let schema = if schemas[name].is_object() {
        &schemas[name]
    } else {
        listed
    };
    assert!(schema.is_object(), "the document does not describe {name}");
    let mut names = Vec::new();
    collect(document, schema, &mut names);
    names.sort_unstable();
    names
}

fn collect(document: &Value, schema: &Value, names: &mut Vec<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap_or_default();
        collect(document, &document["components"]["schemas"][name], names);
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        collect(document, part, names);
    }
    names.extend(
        schema["properties"]
            .as_object()
            .into_iter()
            .flat_map(Map::keys)
            .cloned(),
    );
}

fn sent(answer: &Value) -> Vec<String> {
    let mut names: Vec<_> = answer
        .as_object()
        .into_iter()
        .flat_map(Map::keys)
        .cloned()
        .collect();
    names.sort_unstable();
    names
}

#[sqlx::test(migrations = "../../migrations")]
async fn answers_have_the_members_that_the_document_describes(pool: PgPool) {
    let api = Api::new(pool).await;
    api.queue.announce().await.expect("the queues are told");
    let document = api.get("/openapi.json", "").await.json();
    let id = api.scheduled_job(&api.admin, json!({})).await;
    let get = async |path: &str| api.get(path, &api.admin).await.json();

    let text = json!({"text": "[queues.sync]\nconcurrency = 3\n"});
    let applied = api.post("/v1/config/apply", &api.admin, text).await.json();
    let setting = json!({"key": "queues.sync.concurrency", "value": 2, "for": "1h"});
    let set = api
        .post("/v1/config/overrides", &api.admin, setting)
        .await
        .json();

    let jobs = get("/v1/jobs").await;
    for (name, answer) in [
        ("JobSummary", &jobs["items"][0]),
        ("Page_JobSummary", &jobs),
        ("JobDetail", &get(&format!("/v1/jobs/{id}")).await),
        ("Explanation", &get(&format!("/v1/jobs/{id}/explain")).await),
        ("Explanation", &get("/v1/queues/default/explain").await),
        ("QueueStatus", &get("/v1/queues").await["items"][0]),
        ("ScheduleStatus", &get("/v1/schedules").await["items"][0]),
        ("Kind", &get("/v1/kinds").await["items"][0]),
        ("BudgetStatus", &get("/v1/budgets").await["items"][0]),
        ("ApiKey", &get("/v1/api-keys").await["items"][0]),
        ("AuditEntry", &get("/v1/audit").await["items"][0]),
        ("Healthy", &get("/livez").await),
        ("Ready", &get("/readyz").await),
        ("ConfigStatus", &get("/v1/config").await),
        (
            "ConfigRevision",
            &get("/v1/config/revisions").await["items"][0],
        ),
        ("ConfigApplied", &applied),
        ("OverrideStatus", &set),
        (
            "EnqueueAnswer",
            &api.post("/v1/jobs", &api.admin, json!({"kind": "sync.account"}))
                .await
                .json(),
        ),
        (
            "CreatedKey",
            &api.post(
                "/v1/api-keys",
                &api.admin,
                json!({"name": "a", "scopes": ["read"]}),
            )
            .await
            .json(),
        ),
    ] {
        assert_eq!(sent(answer), members(&document, name), "{name}");
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn budgets_that_nobody_has_drawn_on_are_listed_with_their_limits(pool: PgPool) {
    let api = Api::new(pool).await;

    let budgets = api.get("/v1/budgets", &api.admin).await.json();

    let items = budgets["items"].as_array().expect("items");
    let names: Vec<&Value> = items.iter().map(|budget| &budget["name"]).collect();
    assert_eq!(names, ["google_ads", "linkedin", "meta", "tiktok", "x"]);
    let google = &items[0];
    assert_eq!(
        [&google["daily"], &google["used"], &google["remaining"]],
        [&json!(15_000), &json!(0), &json!(15_000)]
    );
    assert_eq!(
        [&google["rate"], &google["per"], &google["paused_until"]],
        [&json!("5/s"), &json!("provider"), &json!(null)]
    );
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_kinds_schema_is_shown_as_it_is(pool: PgPool) {
    let api = Api::new(pool).await;

    let schema = api
        .get("/v1/kinds/email.send/schema", &api.admin)
        .await
        .json();
    let unknown = api.get("/v1/kinds/email.snd/schema", &api.admin).await;

    assert_eq!(schema["required"], json!(["to"]));
    unknown.is_problem(404, "not-found");
}
