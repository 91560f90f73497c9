//! What a change means for the workers: slots, queues, leases; what runs goes on as it began.

use serde_json::json;
use sqlx::PgPool;

use super::member;
use crate::{
    Queue,
    tests::fixture::{App, FAST, in_state, job, succeed, until, work},
};

/// Goes by a text from now on, as the follower would have it.
fn adopt(queue: &Queue, text: &str) {
    let live = &queue.shared.live;
    let layered = live.read(text, &[]).expect("the text is right");
    live.adopt(layered, Some(1));
}

fn with(sections: &str) -> String {
    format!("{FAST}{sections}")
}

async fn running(db: &PgPool) -> anyhow::Result<i64> {
    let sql = "SELECT count(*) FROM millpond.jobs WHERE state = 'running'";
    Ok(sqlx::query_scalar(sql).fetch_one(db).await?)
}

async fn has_slots(queue: &Queue, name: &str) -> anyhow::Result<bool> {
    let workers = queue.workers().await?;
    Ok(workers
        .iter()
        .any(|worker| worker.slots.get(name).is_some()))
}

async fn started(app: &App, jobs: usize) -> anyhow::Result<()> {
    until("so many attempts began", || async {
        Ok(app.seen().len() == jobs)
    })
    .await
}

// Fails when the number of slots is that of the start, and when a smaller number ends attempts or is never reached.
#[sqlx::test(migrations = "../../migrations")]
async fn concurrency_rises_at_once_and_falls_as_attempts_end(db: PgPool) -> anyhow::Result<()> {
    let (queue, _) = member(&db, &with("[queues.default]\nconcurrency = 1\n")).await;
    let (workers, app) = work(&queue).await?;
    for _ in 0..5 {
        queue
            .enqueue(job(&json!({"do": "wait_for_release"})), None)
            .await?;
    }
    started(&app, 1).await?;

    adopt(&queue, &with("[queues.default]\nconcurrency = 3\n"));
    started(&app, 3).await?;
    adopt(&queue, &with("[queues.default]\nconcurrency = 1\n"));
    let kept = running(&db).await?;
    for left in [2, 1] {
        app.release.notify_one();
        until("one has ended", || async {
            Ok(running(&db).await? == left)
        })
        .await?;
    }
    let began = app.seen().len();
    app.release.notify_one();
    started(&app, 4).await?;

    assert_eq!((kept, began), (3, 3));
    app.release.notify_one();
    started(&app, 5).await?;
    app.release.notify_one();
    workers.drain().await;
    Ok(())
}

// Fails when the queues of a process are those of its start.
#[sqlx::test(migrations = "../../migrations")]
async fn a_new_queue_gets_workers_and_one_that_goes_finishes_what_runs(
    db: PgPool,
) -> anyhow::Result<()> {
    let (queue, _) = member(&db, FAST).await;
    let (workers, app) = work(&queue).await?;
    adopt(&queue, &with("[queues.extra]\nconcurrency = 2\n"));
    queue.announce().await?;
    let mut waits = job(&json!({"do": "wait_for_release"}));
    waits.queue = Some("extra".to_owned());

    let id = queue.enqueue(waits, None).await?.id;
    started(&app, 1).await?;
    until("the process works on it", || has_slots(&queue, "extra")).await?;
    adopt(&queue, FAST);
    until("the process works on it no more", || async {
        Ok(!has_slots(&queue, "extra").await?)
    })
    .await?;
    app.release.notify_one();

    in_state(&queue, id, "succeeded").await?;
    let other = queue.enqueue(succeed("another"), None).await?.id;
    in_state(&queue, other, "succeeded").await?;
    workers.drain().await;
    Ok(())
}

// Fails when a queue that comes back begins with fresh slots beside those that its attempts still hold.
#[sqlx::test(migrations = "../../migrations")]
async fn a_queue_that_goes_and_comes_back_runs_no_more_than_its_slots(
    db: PgPool,
) -> anyhow::Result<()> {
    let extra = |slots: u32| with(&format!("[queues.extra]\nconcurrency = {slots}\n"));
    let (queue, _) = member(&db, &extra(1)).await;
    let (workers, app) = work(&queue).await?;
    for _ in 0..3 {
        let mut waits = job(&json!({"do": "wait_for_release"}));
        waits.queue = Some("extra".to_owned());
        queue.enqueue(waits, None).await?;
    }
    started(&app, 1).await?;

    adopt(&queue, FAST);
    until("the process works on it no more", || async {
        Ok(!has_slots(&queue, "extra").await?)
    })
    .await?;
    adopt(&queue, &extra(2));
    started(&app, 2).await?;
    let together = running(&db).await?;
    app.release.notify_one();
    started(&app, 3).await?;

    assert_eq!(together, 2);
    app.release.notify_one();
    app.release.notify_one();
    workers.drain().await;
    Ok(())
}

// Fails when leases that are held are judged by the times of now.
#[sqlx::test(migrations = "../../migrations")]
async fn shorter_and_longer_leases_cost_no_attempt(db: PgPool) -> anyhow::Result<()> {
    let (queue, _) = member(&db, "[worker]\ndrain = \"1s\"\n").await;
    let (workers, app) = work(&queue).await?;
    let id = queue
        .enqueue(job(&json!({"do": "wait_for_release"})), None)
        .await?
        .id;
    started(&app, 1).await?;

    adopt(&queue, "[lease]\nttl = \"1s\"\n[worker]\ndrain = \"1s\"\n");
    until("the lease is renewed for a second", || async {
        let sql =
            "SELECT count(*) FROM millpond.jobs WHERE lease_until < now() + interval '5 seconds'";
        let short: i64 = sqlx::query_scalar(sql).fetch_one(&db).await?;
        Ok(short == 1)
    })
    .await?;
    adopt(&queue, "[lease]\nttl = \"1h\"\n[worker]\ndrain = \"1s\"\n");
    until("the lease is renewed for an hour", || async {
        let sql =
            "SELECT count(*) FROM millpond.jobs WHERE lease_until > now() + interval '30 minutes'";
        let long: i64 = sqlx::query_scalar(sql).fetch_one(&db).await?;
        Ok(long == 1)
    })
    .await?;
    app.release.notify_one();

    let done = in_state(&queue, id, "succeeded").await?;
    assert_eq!(done.attempts.len(), 1);
    workers.drain().await;
    Ok(())
}
