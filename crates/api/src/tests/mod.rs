//! The API against a database of its own: requests go through the whole router, as they do in a process.

mod access;
mod accounts;
mod answers;
mod backfill;
mod batch;
mod config;
mod config_plan;
mod document;
mod enqueue;
mod frame;
mod inbound;
mod limits;
mod metrics;
mod operate;
mod rules;
mod schedules;
mod syncs;
mod tenants;
mod unsubscribe;
mod webhook_endpoints;

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode, header},
};
use http_body_util::BodyExt;
use marketing::accounts::Accounts;
use metrics_exporter_prometheus::PrometheusBuilder;
use queue::{Actor, Database, KindInfo, NewKey, Queue, config::Config};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::{ApiSettings, ApiState, router};

/// An API, and a key of it that may do everything.
pub(crate) struct Api {
    pub(crate) queue: Queue,
    pub(crate) state: ApiState,
    pub(crate) router: Router,
    pub(crate) admin: String,
    pub(crate) stopping: CancellationToken,
}

/// What a request was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("a text"))
    }

    /// Asserts that this is a problem document of a sort.
    pub(crate) fn is_problem(&self, status: u16, slug: &str) {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let document = self.json();
        assert_eq!(
            document["type"],
            format!("/docs/problems#{slug}"),
            "{}",
            self.text
        );
        assert_eq!(document["status"], status);
        assert_eq!(document["request_id"], self.header("x-request-id"));
    }

    /// The pointers of the members that a problem document names.
    pub(crate) fn pointers(&self) -> Vec<String> {
        let document = self.json();
        let errors = document["errors"].as_array().cloned().unwrap_or_default();
        errors
            .iter()
            .map(|error| error["pointer"].as_str().unwrap_or_default().to_owned())
            .collect()
    }
}

impl Api {
    pub(crate) async fn new(pool: PgPool) -> Self {
        Self::with(pool, Config::builtin(), |_| {}).await
    }

    pub(crate) async fn with(
        pool: PgPool,
        config: Config,
        change: impl FnOnce(&mut ApiSettings),
    ) -> Self {
        let queue = Queue::new(Database::from_pool(pool), Arc::new(config), kinds())
            .expect("sound schemas");
        let stopping = CancellationToken::new();
        let mut settings = ApiSettings::new("1.2.3", "abcdef0", stopping.clone());
        change(&mut settings);
        let prometheus = PrometheusBuilder::new().build_recorder().handle();
        let accounts = Accounts::only_to_look_at(queue.clone());
        let state = ApiState::new(queue.clone(), accounts, prometheus, settings);
        let router = router(state.clone());
        let admin = key(&queue, &["admin"], None).await;
        Self {
            queue,
            state,
            router,
            admin,
            stopping,
        }
    }

    /// A key with these scopes.
    pub(crate) async fn key(&self, scopes: &[&str]) -> String {
        key(&self.queue, scopes, None).await
    }

    /// A key with these scopes that is bound to a tenant.
    pub(crate) async fn tenant_key(&self, scopes: &[&str], tenant: &str) -> String {
        key(&self.queue, scopes, Some(tenant)).await
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self
            .router
            .clone()
            .oneshot(request)
            .await
            .expect("the router does not fail");
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    pub(crate) async fn get(&self, path: &str, key: &str) -> Answer {
        self.send(
            request(Method::GET, path, key)
                .body(Body::empty())
                .expect("a request"),
        )
        .await
    }

    pub(crate) async fn post(&self, path: &str, key: &str, body: Value) -> Answer {
        self.call(Method::POST, path, key, body.to_string()).await
    }

    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        key: &str,
        body: impl Into<Body>,
    ) -> Answer {
        let request = request(method, path, key).header(header::CONTENT_TYPE, "application/json");
        self.send(request.body(body.into()).expect("a request"))
            .await
    }

    /// Enqueues a job that waits, and tells its id.
    pub(crate) async fn scheduled_job(&self, key: &str, members: Value) -> String {
        let mut body =
            json!({"kind": "email.send", "payload": {"to": "a@example.com"}, "delay": "1h"});
        let known = body.as_object_mut().expect("an object");
        known.extend(members.as_object().cloned().unwrap_or_default());
        let answer = self.post("/v1/jobs", key, body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
        answer.json()["id"].as_str().expect("an id").to_owned()
    }
}

pub(crate) fn request(method: Method, path: &str, key: &str) -> axum::http::request::Builder {
    let request = Request::builder().method(method).uri(path);
    if key.is_empty() {
        request
    } else {
        request.header(header::AUTHORIZATION, format!("Bearer {key}"))
    }
}

async fn key(queue: &Queue, scopes: &[&str], tenant: Option<&str>) -> String {
    let new = NewKey {
        name: "test".to_owned(),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        tenant: tenant.map(str::to_owned),
        expires_at: None,
    };
    let actor = Actor {
        name: "test".to_owned(),
        tenant: None,
    };
    let (_, secret) = queue.create_key(new, &actor).await.expect("a key");
    secret.expose_secret().to_owned()
}

fn kinds() -> [KindInfo; 4] {
    let email = json!({
        "type": "object",
        "properties": {"to": {"type": "string"}},
        "required": ["to"],
        "additionalProperties": false,
    });
    let kind = |name: &str, schema| KindInfo {
        name: name.into(),
        schema: Arc::new(schema),
        batch: None,
        late: None,
    };
    [
        kind("email.send", email),
        kind("sync.account", json!(true)),
        kind("sync.insights", json!(true)),
        kind("sync.watch", json!(true)),
    ]
}
