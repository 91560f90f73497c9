//! Keys and scopes, walked over every operation that the document lists.

use axum::{
    body::Body,
    http::{Method, Request},
};
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use super::{Api, request};

/// An operation of the document: its method, a path that could exist, the scope it declares.
struct Operation {
    method: Method,
    path: String,
    scope: String,
    takes_tenant_keys: bool,
}

async fn operations(api: &Api) -> Vec<Operation> {
    let document = api.get("/openapi.json", "").await.json();
    let paths = document["paths"].as_object().expect("paths").clone();
    let mut operations = Vec::new();
    for (path, item) in paths {
        for (method, operation) in item.as_object().expect("a path item") {
            let id = Uuid::nil().to_string();
            operations.push(Operation {
                method: method.to_uppercase().parse().expect("a method"),
                path: path
                    .replace("{id}", &id)
                    .replace("{provider}", "meta")
                    .replace("{code}", "c")
                    .replace("{token}", "t")
                    .replace("{queue}", "email")
                    .replace("{kind}", "email.send")
                    .replace("{fingerprint}", "f"),
                scope: operation["x-millpond-scope"]
                    .as_str()
                    .expect("a scope")
                    .to_owned(),
                takes_tenant_keys: operation["x-millpond-tenant-keys"] == json!(true),
            });
        }
    }
    operations
}

#[sqlx::test(migrations = "../../migrations")]
async fn every_operation_refuses_callers_without_a_key_and_with_another_scope(pool: PgPool) {
    let api = Api::new(pool).await;
    let mut keys = Vec::new();
    for scope in ["enqueue", "read", "operate"] {
        keys.push((scope, api.key(&[scope]).await));
    }

    let operations = operations(&api).await;

    assert!(
        operations.len() > 25,
        "the document lists {} operations",
        operations.len()
    );
    for Operation {
        method,
        path,
        scope,
        ..
    } in operations
        .iter()
        .filter(|operation| operation.scope != "none")
    {
        api.call(method.clone(), path, "", "{}")
            .await
            .is_problem(401, "unauthenticated");
        for (held, key) in &keys {
            let answer = api.call(method.clone(), path, key, "{}").await;
            if held == scope {
                assert_ne!(
                    answer.status, 403,
                    "{method} {path} with {held}: {}",
                    answer.text
                );
                assert_ne!(
                    answer.status, 401,
                    "{method} {path} with {held}: {}",
                    answer.text
                );
            } else {
                answer.is_problem(403, "forbidden");
            }
        }
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn operations_beyond_a_tenant_refuse_keys_that_are_bound_to_one(pool: PgPool) {
    let api = Api::new(pool).await;
    let bound = api.tenant_key(&["admin"], "acme").await;

    for Operation {
        method,
        path,
        takes_tenant_keys,
        ..
    } in operations(&api)
        .await
        .into_iter()
        .filter(|operation| operation.scope != "none")
    {
        let answer = api.call(method.clone(), &path, &bound, "{}").await;

        assert_eq!(
            answer.status == 403,
            !takes_tenant_keys,
            "{method} {path}: {}",
            answer.text
        );
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn operations_that_need_no_key_say_so_and_answer_without(pool: PgPool) {
    let api = Api::new(pool).await;

    let open: Vec<_> = operations(&api)
        .await
        .into_iter()
        .filter(|operation| operation.scope == "none")
        .collect();

    let mut paths: Vec<_> = open
        .iter()
        .map(|operation| operation.path.as_str())
        .collect();
    paths.sort_unstable();
    let by_people_and_platforms = [
        "/unsubscribe/t",
        "/unsubscribe/t",
        "/v1/oauth/meta/callback",
        "/webhooks/meta",
        "/webhooks/meta",
        "/webhooks/meta/data-deletion",
        "/webhooks/meta/data-deletion/c",
        "/webhooks/meta/deauthorize",
    ];
    let probes = ["/livez", "/metrics", "/openapi.json", "/readyz"];
    assert_eq!(paths, [&probes[..], &by_people_and_platforms].concat());
    for path in probes {
        assert_eq!(api.get(path, "").await.status, 200, "{path}");
    }
    for Operation { method, path, .. } in &open {
        let status = api.call(method.clone(), path, "", "").await.status;
        assert_ne!(status, 401, "{method} {path}");
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn whatever_is_wrong_with_a_key_the_answer_is_the_same(pool: PgPool) {
    let api = Api::new(pool).await;
    let revoked = api.key(&["read"]).await;
    let keys = api.get("/v1/api-keys?limit=500", &api.admin).await.json();
    let id = keys["items"]
        .as_array()
        .expect("items")
        .iter()
        .find(|key| key["scopes"] == json!(["read"]))
        .expect("it")["id"]
        .clone();
    let path = format!("/v1/api-keys/{}", id.as_str().expect("an id"));
    api.call(Method::DELETE, &path, &api.admin, "").await;
    let get = |headers: &[(&str, &str)]| {
        let request = headers
            .iter()
            .fold(Request::get("/v1/kinds"), |request, (name, value)| {
                request.header(*name, *value)
            });
        request.body(Body::empty()).expect("a request")
    };
    let bearer = |key: &str| format!("Bearer {key}");
    let (good, gone) = (bearer(&api.admin), bearer(&revoked));
    let unknown = bearer(&format!("mp_{}", "0".repeat(64)));
    let cut = bearer(&api.admin[..api.admin.len() - 1]);

    let mut bodies = Vec::new();
    for headers in [
        &[][..],
        &[("authorization", gone.as_str())],
        &[("authorization", unknown.as_str())],
        &[("authorization", cut.as_str())],
        &[("authorization", api.admin.as_str())],
        &[
            ("authorization", good.as_str()),
            ("x-api-key", api.admin.as_str()),
        ],
        &[
            ("authorization", good.as_str()),
            ("authorization", good.as_str()),
        ],
    ] {
        let answer = api.send(get(headers)).await;

        answer.is_problem(401, "unauthenticated");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        let mut body = answer.json();
        body["request_id"] = Value::Null;
        bodies.push(body);
    }

    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
    assert_eq!(
        api.get(&format!("/v1/kinds?key={}", api.admin), "")
            .await
            .status,
        401
    );
    assert_eq!(
        api.send(get(&[("x-api-key", api.admin.as_str())]))
            .await
            .status,
        200
    );
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_key_for_a_family_of_kinds_enqueues_those_alone(pool: PgPool) {
    let api = Api::new(pool).await;
    let key = api.key(&["enqueue:email.*"]).await;

    let email = api
        .post(
            "/v1/jobs",
            &key,
            json!({"kind": "email.send", "payload": {"to": "a@example.com"}}),
        )
        .await;
    let sync = api
        .post("/v1/jobs", &key, json!({"kind": "sync.account"}))
        .await;
    let alike = api
        .post("/v1/jobs", &key, json!({"kind": "emailx.send"}))
        .await;

    assert_eq!(email.status, 201, "{}", email.text);
    sync.is_problem(403, "forbidden");
    alike.is_problem(403, "forbidden");
}

#[sqlx::test(migrations = "../../migrations")]
async fn the_secret_of_a_key_is_shown_once(pool: PgPool) {
    let api = Api::new(pool).await;

    let created = api
        .post(
            "/v1/api-keys",
            &api.admin,
            json!({"name": "shop", "scopes": ["read"]}),
        )
        .await;
    let listed = api.get("/v1/api-keys", &api.admin).await;

    assert_eq!(created.status, 201, "{}", created.text);
    let secret = created.json()["secret"]
        .as_str()
        .expect("a secret")
        .to_owned();
    assert_eq!(api.get("/v1/kinds", &secret).await.status, 200);
    assert!(!listed.text.contains(&secret));
    assert!(listed.text.contains("shop"));
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_revoked_key_is_refused_at_once(pool: PgPool) {
    let api = Api::new(pool).await;
    let created = api
        .post(
            "/v1/api-keys",
            &api.admin,
            json!({"name": "shop", "scopes": ["read"]}),
        )
        .await
        .json();
    let secret = created["secret"].as_str().expect("a secret");
    let path = format!("/v1/api-keys/{}", created["id"].as_str().expect("an id"));

    let before = api
        .send(
            request(Method::GET, "/v1/kinds", secret)
                .body(Body::empty())
                .expect("a request"),
        )
        .await;
    let revoked = api.call(Method::DELETE, &path, &api.admin, "").await;
    let after = api.get("/v1/kinds", secret).await;

    assert_eq!(
        (before.status.as_u16(), revoked.status.as_u16()),
        (200, 200)
    );
    assert!(revoked.json()["revoked_at"].is_string());
    after.is_problem(401, "unauthenticated");
}
