//! What the settler knows when the answer to a commit was lost, or the database refuses what it is to store.

use sqlx::PgPool;
use tokio::sync::Notify;

use super::*;
use crate::JobState;
use crate::{
    Queue,
    handler::Recorded,
    job::JobId,
    store::claim::{self, Claim},
    tests::fixture::{FAST, engine, succeed},
};

fn settler(queue: &Queue) -> Settler {
    Settler {
        queue: "default".into(),
        shared: Arc::clone(&queue.shared),
        leases: Arc::default(),
        give_up: CancellationToken::new(),
        waits: Arc::new(Notify::new()),
        sweeper: Arc::default(),
    }
}

async fn attempts(
    db: &PgPool,
    verdicts: impl IntoIterator<Item = Verdict>,
) -> anyhow::Result<Vec<Settlement>> {
    let kinds = ["test.work".to_owned()];
    let claim = Claim {
        queue: "default",
        worker: Uuid::new_v4(),
        ttl_seconds: 60.0,
        kinds: &kinds,
    };
    let rows = claim::next(db, &claim, 10).await?;
    let settlements = rows
        .into_iter()
        .zip(verdicts)
        .map(|(row, verdict)| Settlement {
            id: JobId(row.id),
            token: row.token,
            attempt: row.attempt,
            kind: row.kind.as_str().into(),
            verdict,
            recorded: Recorded::default(),
            follow_ups: Vec::new(),
            is_wiped: false,
            took: Duration::ZERO,
        });
    Ok(settlements.collect())
}

fn failure() -> Failure {
    Failure {
        class: ErrorClass::Internal,
        error: "told to".to_owned(),
        fingerprint: "told".to_owned(),
    }
}

fn verdicts() -> [Verdict; 4] {
    [
        Verdict::Succeeded {
            result: None,
            keep: false,
        },
        Verdict::Succeeded {
            result: None,
            keep: true,
        },
        Verdict::Dead(failure()),
        Verdict::Again {
            state: JobState::Retrying,
            delay: Duration::from_secs(60),
            outcome: AttemptOutcome::Failed,
            used: true,
            failure: Some(failure()),
        },
    ]
}

// Fails when outcomes that match no row any more are taken for fenced ones although an earlier try stored them.
#[sqlx::test(migrations = "../../migrations")]
async fn outcomes_whose_commit_was_not_answered_count_as_stored(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    for name in ["a", "b", "c", "d"] {
        queue.enqueue(succeed(name), None).await?;
    }
    let batch = attempts(&db, verdicts()).await?;
    let settler = settler(&queue);
    settler.store(&batch, false).await?;

    let without_doubt = settler.store(&batch, false).await?;
    let in_doubt = settler.store(&batch, true).await?;

    assert_eq!(batch.len(), 4);
    assert!(without_doubt.settled.is_empty());
    assert_eq!(in_doubt.settled.len(), 4);
    assert!(in_doubt.cancelled.is_empty());
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_attempt_that_was_lost_before_its_outcome_was_stored_is_fenced(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    queue.enqueue(succeed("a"), None).await?;
    let kept = Verdict::Succeeded {
        result: None,
        keep: true,
    };
    let batch = attempts(&db, [kept]).await?;
    sqlx::query("UPDATE millpond.jobs SET lease_until = now() - interval '1 second'")
        .execute(&db)
        .await?;
    crate::worker::rescuer::rescue(&queue.shared, "default").await?;

    let written = settler(&queue).store(&batch, true).await?;

    assert!(written.settled.is_empty());
    Ok(())
}

// Fails when an attempt that is nobody's any more holds an account.
#[sqlx::test(migrations = "../../migrations")]
async fn an_attempt_that_was_lost_holds_no_account(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    for name in ["a", "b"] {
        queue.enqueue(succeed(name), None).await?;
    }
    let held = |account: &str| Verdict::Held {
        account: account.to_owned(),
        failure: failure(),
    };
    let mut batch = attempts(&db, [held("lost"), held("kept")]).await?;
    batch[0].token = Uuid::new_v4();

    let written = settler(&queue).store(&batch, false).await?;

    let holds: Vec<String> = sqlx::query_scalar("SELECT account FROM millpond.holds")
        .fetch_all(&db)
        .await?;
    assert_eq!(written.settled.len(), 1);
    assert_eq!(holds, ["kept"]);
    Ok(())
}

// Fails when the metrics count what was asked for and not what was stored.
#[sqlx::test(migrations = "../../migrations")]
async fn a_failure_whose_job_was_cancelled_meanwhile_counts_as_cancelled(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    queue.enqueue(succeed("a"), None).await?;
    let [.., again] = verdicts();
    let batch = attempts(&db, [again]).await?;
    sqlx::query("UPDATE millpond.jobs SET cancel_requested_at = now()")
        .execute(&db)
        .await?;

    let written = settler(&queue).store(&batch, false).await?;

    let ends: Vec<_> = batch.iter().map(|s| written.end_of(s)).collect();
    assert_eq!(ends, [(AttemptOutcome::Cancelled, None)]);
    Ok(())
}

// Fails when an outcome that the database refuses spoils those that are stored with it.
#[sqlx::test(migrations = "../../migrations")]
async fn an_outcome_that_cannot_be_stored_spoils_no_other(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    for name in ["a", "b"] {
        queue.enqueue(succeed(name), None).await?;
    }
    let [_, kept, ..] = verdicts();
    let [_, also_kept, ..] = verdicts();
    let mut batch = attempts(&db, [kept, also_kept]).await?;
    let (good, bad) = (batch[0].id, batch[1].id);
    batch[1].recorded.progress = Some(serde_json::json!("\0"));

    settler(&queue).settle(&mut batch, false).await;

    let state = async |id: JobId| anyhow::Ok(queue.job(id, None).await?.summary.state);
    assert_eq!(
        [state(good).await?, state(bad).await?],
        ["succeeded", "dead"]
    );
    Ok(())
}
