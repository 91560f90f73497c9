//! HTTP as an upstream app speaks it.

use std::time::Duration;

use anyhow::Context;
use reqwest::{Method, RequestBuilder, StatusCode, header::HeaderMap};
use serde_json::Value;

/// An answer: status, headers, body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

/// A client with a key.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    key: String,
}

impl Client {
    pub(crate) fn new(base: String, key: String) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(30))
            .build()?;
        Ok(Self { http, base, key })
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.base))
            .bearer_auth(&self.key)
    }

    pub(crate) fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> anyhow::Result<Answer> {
        let answer = request.send().await.context("the server answers")?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let text = answer.text().await?;
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok(Answer {
            status,
            headers,
            body,
        })
    }

    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// Enqueues a job that must be accepted, and gives its id.
    pub(crate) async fn enqueue(&self, body: &Value) -> anyhow::Result<String> {
        let answer = self.post("/v1/jobs", body).await?;
        anyhow::ensure!(
            answer.status == StatusCode::CREATED,
            "not accepted: {answer:?}"
        );
        Ok(answer.body["id"].as_str().context("an id")?.to_owned())
    }

    /// The job, once it is in this state.
    pub(crate) async fn in_state(&self, id: &str, state: &str) -> anyhow::Result<Value> {
        super::eventually(&format!("job {id} is {state}"), || async {
            let job = self.get(&format!("/v1/jobs/{id}")).await?.body;
            Ok((job["state"] == state).then_some(job))
        })
        .await
    }

    /// The value of a series in the process's metrics, summed over its labels that match.
    pub(crate) async fn metric(&self, name: &str, labels: &str) -> anyhow::Result<f64> {
        let text = self
            .bare(Method::GET, "/metrics")
            .send()
            .await?
            .text()
            .await?;
        let matching = text.lines().filter(|line| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with(['{', ' ']) && rest.contains(labels))
        });
        Ok(matching
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum())
    }
}
