//! Running jobs through the real workers: outcomes, retries, containment, cancellation, batches.

use serde_json::json;
use sqlx::PgPool;

use super::fixture::{FAST, actor, engine, in_state, job, succeed, together, until, work};
use crate::{JobState, NewJob, Start};

#[sqlx::test(migrations = "../../migrations")]
async fn a_job_runs_and_its_result_is_kept(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let (workers, _) = work(&queue).await?;

    let id = queue.enqueue(succeed("x"), None).await?.id;
    let done = in_state(&queue, id, "succeeded").await?;

    assert_eq!(done.result, Some(json!({"name": "x"})));
    assert_eq!((done.summary.attempts_used, done.attempts.len()), (1, 1));
    workers.drain().await;
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_kind_that_keeps_nothing_leaves_nothing(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, "[defaults]\nretain_succeeded = \"0s\"");
    let (workers, app) = work(&queue).await?;

    let id = queue.enqueue(succeed("x"), None).await?.id;
    until("it is gone", || async {
        Ok(queue.job(id, None).await.is_err())
    })
    .await?;

    assert_eq!(app.seen(), ["x"]);
    workers.drain().await;
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_delayed_job_runs_when_its_time_has_come(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let (workers, _) = work(&queue).await?;

    let later = NewJob {
        start: Start::After(std::time::Duration::from_millis(600)),
        ..succeed("x")
    };
    let enqueued = queue.enqueue(later, None).await?;
    let done = in_state(&queue, enqueued.id, "succeeded").await?;

    assert_eq!(enqueued.state, JobState::Scheduled);
    assert!(done.summary.started_at >= Some(enqueued.run_at));
    workers.drain().await;
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_failing_job_is_tried_again_and_then_dead_with_every_attempt(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let (workers, _) = work(&queue).await?;

    let id = queue
        .enqueue(job(&json!({"do": "fail", "class": "transient"})), None)
        .await?
        .id;
    let dead = in_state(&queue, id, "dead").await?;

    let outcomes: Vec<_> = dead
        .attempts
        .iter()
        .map(|a| (a.number, a.outcome.as_str(), a.error_class.as_deref()))
        .collect();
    let transient = Some("transient");
    assert_eq!(
        outcomes,
        [
            (1, "failed", transient),
            (2, "failed", transient),
            (3, "dead", transient)
        ]
    );
    for pair in dead.attempts.windows(2) {
        assert!(
            pair[1].started_at
                >= pair[0]
                    .finished_at
                    .map(|t| t + chrono::Duration::seconds(1))
        );
    }
    workers.drain().await;
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_limit_and_a_snooze_use_no_attempt(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let (workers, _) = work(&queue).await?;

    let limited = queue
        .enqueue(job(&json!({"do": "fail", "class": "rate_limited"})), None)
        .await?
        .id;
    let snoozed = queue.enqueue(job(&json!({"do": "snooze"})), None).await?.id;
    until("the limit was met three times", || async {
        Ok(queue.job(limited, None).await?.attempts.len() >= 3)
    })
    .await?;
    let (limited, snoozed) = (
        queue.job(limited, None).await?,
        in_state(&queue, snoozed, "scheduled").await?,
    );

    assert!(
        limited
            .attempts
            .iter()
            .all(|attempt| attempt.outcome == "rate_limited")
    );
    assert!(
        limited.summary.attempts_used <= 1,
        "only one under way counts"
    );
    assert_eq!(
        (
            snoozed.summary.attempts_used,
            snoozed.attempts[0].outcome.as_str()
        ),
        (0, "snoozed")
    );
    workers.drain().await;
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn panics_hangs_and_poison_are_their_own_jobs_failure(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, "[defaults]\nmax_attempts = 1\ntimeout = \"1s\"");
    queue.announce().await?;
    sqlx::query(
        "INSERT INTO millpond.jobs (id, queue, kind, state, priority, run_at, payload)
         VALUES ('00000000-0000-7000-8000-000000000001', 'default', 'test.work', 'ready', 0, now(), '{\"do\": \"\\u0000\"}'),
                ('00000000-0000-7000-8000-000000000002', 'default', 'test.work', 'ready', 0, now(), '1e400'),
                ('00000000-0000-7000-8000-000000000003', 'default', 'test.work', 'ready', 0, now(), (repeat('[', 1000) || repeat(']', 1000))::json)",
    )
    .execute(&db)
    .await?;
    let panics = queue.enqueue(job(&json!({"do": "panic"})), None).await?.id;
    let hangs = queue.enqueue(job(&json!({"do": "hang"})), None).await?.id;
    let fine = queue.enqueue(succeed("fine"), None).await?.id;
    let (workers, _) = work(&queue).await?;

    in_state(&queue, fine, "succeeded").await?;
    assert_eq!(
        in_state(&queue, panics, "dead")
            .await?
            .summary
            .error_class
            .as_deref(),
        Some("panic")
    );
    assert_eq!(
        in_state(&queue, hangs, "dead")
            .await?
            .summary
            .error_class
            .as_deref(),
        Some("timeout")
    );
    for n in 1..=3 {
        let id = format!("00000000-0000-7000-8000-00000000000{n}").parse()?;
        let poison = in_state(&queue, id, "dead").await?;
        assert_eq!(poison.summary.error_class.as_deref(), Some("invalid"));
    }
    workers.drain().await;
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn jobs_enqueued_by_an_attempt_come_with_its_success_alone(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let (workers, app) = work(&queue).await?;

    let failing = queue
        .enqueue(job(&json!({"do": "enqueue_and_fail"})), None)
        .await?
        .id;
    in_state(&queue, failing, "dead").await?;
    let succeeding = queue
        .enqueue(job(&json!({"do": "enqueue_two"})), None)
        .await?
        .id;
    in_state(&queue, succeeding, "succeeded").await?;
    until("both follow", || async {
        Ok(app
            .seen()
            .iter()
            .filter(|name| *name == "follow-up")
            .count()
            == 2)
    })
    .await?;

    workers.drain().await;
    assert_eq!(app.seen().len(), 4);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn waiting_and_running_jobs_can_be_cancelled(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let (workers, _) = work(&queue).await?;
    let later = NewJob {
        start: Start::After(std::time::Duration::from_secs(3_600)),
        ..succeed("x")
    };
    let waits = queue.enqueue(later, None).await?.id;
    let listens = queue
        .enqueue(job(&json!({"do": "honour_cancellation"})), None)
        .await?
        .id;
    let hangs = queue.enqueue(job(&json!({"do": "hang"})), None).await?.id;
    in_state(&queue, listens, "running").await?;
    in_state(&queue, hangs, "running").await?;

    for id in [waits, listens, hangs] {
        queue.cancel(id, &actor()).await?;
    }

    for id in [waits, listens, hangs] {
        in_state(&queue, id, "cancelled").await?;
    }
    assert!(queue.cancel(waits, &actor()).await.is_err());
    workers.drain().await;
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn jobs_of_one_key_run_together_and_end_each_for_itself(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let mut batch: Vec<_> = (0..59).map(|_| (together("good", "a"), None)).collect();
    batch.push((together("bad", "a"), None));
    batch.extend((0..5).map(|_| (together("good", "b"), None)));
    let ids: Vec<_> = queue
        .enqueue_batch(batch, true)
        .await?
        .into_iter()
        .flatten()
        .map(|e| e.id)
        .collect();
    let (workers, app) = work(&queue).await?;

    in_state(&queue, ids[59], "dead").await?;
    for id in ids.iter().take(59).chain(&ids[60..]) {
        in_state(&queue, *id, "succeeded").await?;
    }

    let batches = app.batches.lock().expect("nobody panicked").clone();
    assert_eq!(batches.iter().sum::<usize>(), 65);
    assert!(batches.contains(&60), "{batches:?}");
    workers.drain().await;
    Ok(())
}
