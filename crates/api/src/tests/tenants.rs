//! What keys that are bound to a tenant can see and touch: that tenant's things, and nothing else by any route.

use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use super::Api;

#[sqlx::test(migrations = "../../migrations")]
async fn a_bound_key_makes_its_tenants_jobs_alone(pool: PgPool) {
    let api = Api::new(pool).await;
    let acme = api.tenant_key(&["enqueue", "read"], "acme").await;

    let id = api.scheduled_job(&acme, json!({})).await;
    let same = api
        .post(
            "/v1/jobs",
            &acme,
            json!({"kind": "sync.account", "tenant": "acme"}),
        )
        .await;
    let other = api
        .post(
            "/v1/jobs",
            &acme,
            json!({"kind": "sync.account", "tenant": "umbrella"}),
        )
        .await;

    assert_eq!(
        api.get(&format!("/v1/jobs/{id}"), &acme).await.json()["tenant"],
        "acme"
    );
    assert_eq!(same.status, 201, "{}", same.text);
    other.is_problem(403, "forbidden");
}

#[sqlx::test(migrations = "../../migrations")]
async fn foreign_ids_are_not_there_on_any_route(pool: PgPool) {
    let api = Api::new(pool).await;
    let acme = api.tenant_key(&["read", "operate"], "acme").await;
    let foreign = api
        .scheduled_job(&api.admin, json!({"tenant": "umbrella"}))
        .await;
    let nobody = Uuid::nil();

    for id in [foreign, nobody.to_string()] {
        for path in [
            format!("/v1/jobs/{id}"),
            format!("/v1/dead-letters/{id}"),
            format!("/v1/replays/{id}"),
        ] {
            api.get(&path, &acme).await.is_problem(404, "not-found");
        }
        for path in [
            format!("/v1/jobs/{id}/cancel"),
            format!("/v1/jobs/{id}/run-now"),
            format!("/v1/replays/{id}/abort"),
        ] {
            api.post(&path, &acme, json!({}))
                .await
                .is_problem(404, "not-found");
        }
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn lists_and_counts_hold_nothing_of_another_tenant(pool: PgPool) {
    let api = Api::new(pool).await;
    let acme = api.tenant_key(&["enqueue", "read"], "acme").await;
    let own = api.scheduled_job(&acme, json!({})).await;
    api.scheduled_job(&api.admin, json!({"tenant": "umbrella"}))
        .await;

    let jobs = api.get("/v1/jobs", &acme).await.json();
    let foreign = api.get("/v1/jobs?tenant=umbrella", &acme).await;
    let queues = api.get("/v1/queues", &acme).await.json();
    let audit = api.get("/v1/audit", &acme).await.json();

    assert_eq!(jobs["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(jobs["items"][0]["id"], own);
    foreign.is_problem(403, "forbidden");
    let email = queues["items"]
        .as_array()
        .expect("items")
        .iter()
        .find(|queue| queue["name"] == "email");
    if let Some(email) = email {
        assert!(
            email["depth"]["scheduled"].as_i64().unwrap_or_default() <= 1,
            "{email}"
        );
        assert!(email["oldest_ready_seconds"].is_null());
    }
    assert_eq!(audit["items"], json!([]));
}

#[sqlx::test(migrations = "../../migrations")]
async fn items_of_a_batch_for_another_tenant_fail_alone(pool: PgPool) {
    let api = Api::new(pool).await;
    let acme = api.tenant_key(&["enqueue"], "acme").await;

    let answer = api
        .post(
            "/v1/jobs/batch",
            &acme,
            json!({"jobs": [{"kind": "sync.account", "tenant": "umbrella"}, {"kind": "sync.account"}]}),
        )
        .await
        .json();

    assert_eq!(
        (&answer["created"], &answer["failed"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(answer["results"][0]["error"]["status"], 403);
}

#[sqlx::test(migrations = "../../migrations")]
async fn equal_idempotency_and_unique_keys_of_two_tenants_do_not_collide(pool: PgPool) {
    let api = Api::new(pool).await;
    let acme = api.tenant_key(&["enqueue"], "acme").await;
    let umbrella = api.tenant_key(&["enqueue"], "umbrella").await;
    let batch = json!({"jobs": [{
        "kind": "sync.account",
        "idempotency_key": "same",
        "unique": {"key": "same", "on_conflict": "reject"},
    }]});

    let first = api
        .post("/v1/jobs/batch", &acme, batch.clone())
        .await
        .json();
    let second = api.post("/v1/jobs/batch", &umbrella, batch).await.json();

    assert_eq!(
        (&first["created"], &second["created"]),
        (&json!(1), &json!(1)),
        "{first} {second}"
    );
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_filter_of_a_bound_key_means_its_tenant_and_is_never_empty(pool: PgPool) {
    let api = Api::new(pool).await;
    let acme = api.tenant_key(&["operate"], "acme").await;
    let replay = async |body| api.post("/v1/dead-letters/replay", &acme, body).await;

    let foreign = replay(json!({"filter": {"tenant": "umbrella"}, "dry_run": true})).await;
    let empty = replay(json!({"filter": {}, "dry_run": true})).await;
    let own = replay(json!({"filter": {"kind": "email.send"}, "dry_run": true})).await;

    foreign.is_problem(403, "forbidden");
    empty.is_problem(422, "invalid");
    assert_eq!(
        (own.status.as_u16(), &own.json()["matched"]),
        (200, &json!(0))
    );
}
