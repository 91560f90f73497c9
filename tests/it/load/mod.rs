//! Under load: refusals instead of collapse, memory that stays flat, work that goes on with a long backlog, a database
//! that goes away and comes back. Floors are those that a debug build keeps on a busy machine.

mod backlog;
mod callers;
mod connections;
mod outage;
mod process;
mod proxy;

use std::time::{Duration, Instant};

use anyhow::Context;
use reqwest::StatusCode;
use serde_json::json;
use sqlx::types::Uuid;

use crate::harness::Client;

/// What became of one enqueue.
#[derive(Debug)]
struct Enqueue {
    status: StatusCode,
    says_when_to_return: bool,
    /// The job, where it was accepted.
    id: Option<Uuid>,
    took: Duration,
}

impl Enqueue {
    /// Accepted, or sent away in the way that is promised.
    fn is_orderly(&self) -> bool {
        match self.status {
            StatusCode::CREATED => self.id.is_some(),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                self.says_when_to_return
            }
            _ => false,
        }
    }
}

/// Enqueues a job that stays where it is.
async fn enqueue_for_later(client: &Client) -> anyhow::Result<Enqueue> {
    let job = json!({"kind": "test.hook", "payload": {"padding": "x".repeat(200)}, "delay": "1h"});
    let began = Instant::now();
    let answer = client.post("/v1/jobs", &job).await?;
    let took = began.elapsed();
    let id = answer.body["id"]
        .as_str()
        .map(str::parse::<Uuid>)
        .transpose();
    Ok(Enqueue {
        status: answer.status,
        says_when_to_return: answer.headers.contains_key("retry-after"),
        id: id.context("an id is a UUID")?,
        took,
    })
}

/// The time that 99 of 100 did not exceed.
fn p99(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    let place = (times.len() * 99).div_ceil(100).saturating_sub(1);
    times.get(place).copied().unwrap_or_default()
}
