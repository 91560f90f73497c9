//! Enqueueing as an upstream app does it.

use anyhow::Context;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::harness::World;

#[tokio::test]
async fn fifty_posts_with_one_idempotency_key_make_one_job_and_get_equal_answers()
-> anyhow::Result<()> {
    let world = World::new().await?;
    let (_program, client) = world.serve().await?;
    let body = json!({"kind": "test.hook", "payload": {"n": 1}, "delay": "1h"});
    let post = || {
        let request = client
            .request(Method::POST, "/v1/jobs")
            .header("Idempotency-Key", "order-42")
            .json(&body);
        client.send(request)
    };

    let answers = futures::future::try_join_all((0..50).map(|_| post())).await?;
    let other = client
        .request(Method::POST, "/v1/jobs")
        .header("Idempotency-Key", "order-42");
    let other = client
        .send(other.json(&json!({"kind": "test.hook", "payload": {"n": 2}})))
        .await?;

    assert!(
        answers
            .iter()
            .all(|answer| answer.status == StatusCode::CREATED && answer.body == answers[0].body)
    );
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
    let jobs: i64 = sqlx::query_scalar("SELECT count(*) FROM millpond.jobs")
        .fetch_one(&mut world.sql().await?)
        .await?;
    assert_eq!(jobs, 1);
    Ok(())
}

#[tokio::test]
async fn a_rolled_back_sql_enqueue_leaves_nothing_and_a_committed_one_runs() -> anyhow::Result<()> {
    let world = World::new().await?;
    let (_program, client) = world.serve().await?;
    let enqueue = "SELECT millpond.enqueue('test.hook', '{\"by\": \"sql\"}')";

    let mut sql = world.sql().await?;
    for statement in ["BEGIN", enqueue, "ROLLBACK"] {
        sqlx::query(statement).execute(&mut sql).await?;
    }
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM millpond.jobs")
        .fetch_one(&mut sql)
        .await?;
    let id: uuid::Uuid = sqlx::query_scalar(enqueue).fetch_one(&mut sql).await?;
    let done = client.in_state(&id.to_string(), "succeeded").await?;

    assert_eq!(left, 0);
    assert_eq!(done["attempts"].as_array().map(Vec::len), Some(1));
    Ok(())
}

#[tokio::test]
async fn a_batch_of_lines_keeps_the_good_ones_and_tells_of_the_others() -> anyhow::Result<()> {
    let world = World::new().await?;
    let (_program, client) = world.serve().await?;
    let lines =
        "{\"kind\":\"test.hook\",\"payload\":{}}\nnot json\n\n{\"kind\":\"nope\",\"payload\":{}}\n";

    let request = client
        .request(Method::POST, "/v1/jobs/batch")
        .header("content-type", "application/x-ndjson");
    let answer = client.send(request.body(lines)).await?;

    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(
        (&answer.body["created"], &answer.body["failed"]),
        (&json!(1), &json!(2))
    );
    Ok(())
}

#[tokio::test]
async fn the_command_line_enqueues_and_shows_what_became_of_it() -> anyhow::Result<()> {
    let world = World::new().await?;
    let (_program, client) = world.serve().await?;

    let answer = world.command(&[
        "--json",
        "enqueue",
        "test.hook",
        "--payload",
        "{\"by\":\"cli\"}",
        "--tenant",
        "acme",
    ])?;
    let answer: serde_json::Value = serde_json::from_str(&answer)?;
    let id = answer["id"].as_str().context("an id")?;
    client.in_state(id, "succeeded").await?;
    let shown: serde_json::Value =
        serde_json::from_str(&world.command(&["--json", "jobs", "show", id])?)?;

    assert_eq!(
        (&shown["state"], &shown["tenant"]),
        (&json!("succeeded"), &json!("acme"))
    );
    Ok(())
}
