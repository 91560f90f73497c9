//! What a refusal tells: what is wrong and where, and nothing of the payload itself.

use serde_json::{json, value::to_raw_value};
use sqlx::PgPool;

use super::fixture::{FAST, engine, job, succeed};
use crate::{EnqueueError, NewJob, Source, Start};

#[sqlx::test(migrations = "../../migrations")]
async fn what_is_wrong_with_a_job_is_told_with_its_place(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let refused = async |job: NewJob| queue.enqueue(job, None).await.expect_err("it is wrong");

    let unknown = NewJob::new("test.wrok", to_raw_value(&json!({}))?, Source::Http);
    assert!(
        matches!(refused(unknown).await, EnqueueError::UnknownKind { suggestion: Some(name), .. } if name == "test.work")
    );
    let misfit = refused(job(&json!({"do": "succeed", "name": 7}))).await;
    assert!(matches!(misfit, EnqueueError::Payload(problems) if !problems.is_empty()));
    let priority = refused(NewJob {
        priority: Some(10),
        ..succeed("x")
    })
    .await;
    assert!(matches!(
        priority,
        EnqueueError::Field {
            pointer: "/priority",
            ..
        }
    ));
    let queue_name = refused(NewJob {
        queue: Some("nope".to_owned()),
        ..succeed("x")
    })
    .await;
    assert!(matches!(
        queue_name,
        EnqueueError::Field {
            pointer: "/queue",
            ..
        }
    ));
    let far = refused(NewJob {
        start: Start::At(chrono::DateTime::from_timestamp(1 << 40, 0).expect("it is a time")),
        ..succeed("x")
    })
    .await;
    assert!(matches!(
        far,
        EnqueueError::Field {
            pointer: "/run_at",
            ..
        }
    ));
    let stored: i64 = sqlx::query_scalar("SELECT count(*) FROM millpond.jobs")
        .fetch_one(&db)
        .await?;
    assert_eq!(stored, 0);
    Ok(())
}

// Fails when a refusal has the schema library's own words, which quote the payload.
#[sqlx::test(migrations = "../../migrations")]
async fn a_payload_that_does_not_fit_is_not_quoted(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let misfit = job(&json!({"do": "succeed", "name": 4_111_111_111_111_111_u64}));

    let refused = queue.enqueue(misfit, None).await;

    let Err(EnqueueError::Payload(problems)) = &refused else {
        anyhow::bail!("not refused for its payload: {refused:?}");
    };
    assert!(!problems.is_empty());
    let told = format!("{problems:?}");
    assert!(!told.contains("4111111111111111"), "{told}");
    Ok(())
}
