//! Jobs that somebody else has locked: they hold up no other, and are looked at again.

use sqlx::{PgPool, Postgres, Transaction};

use super::{
    ONE_PER_KEY, claim_all, claim_on, count, enqueue_all, keyed, limited, names, run, settle,
};
use crate::{NewJob, gates::Sweep, tests::fixture::succeed};

/// Somebody whose transaction has this job locked, such as one that enqueues behind it.
async fn lock(db: &PgPool, name: &str) -> anyhow::Result<Transaction<'static, Postgres>> {
    let mut somebody = db.begin().await?;
    sqlx::query("SELECT FROM millpond.jobs WHERE payload ->> 'name' = $1 FOR UPDATE")
        .bind(name)
        .execute(&mut *somebody)
        .await?;
    Ok(somebody)
}

// Fails when a claim that keeps limits takes the first jobs or none.
#[sqlx::test(migrations = "../../migrations")]
async fn a_job_that_somebody_has_locked_holds_up_no_other_of_a_limited_queue(
    db: PgPool,
) -> anyhow::Result<()> {
    for limit in ["global_concurrency = 1", "fair_by = \"tenant\""] {
        let queue = limited(&db, &format!("[queues.default]\n{limit}")).await?;
        let urgent = NewJob {
            priority: Some(0),
            ..succeed("locked")
        };
        enqueue_all(&queue, [urgent, succeed("free")]).await?;
        let somebody = lock(&db, "locked").await?;

        let claimed = claim_all(&db, "default", 1).await?;

        somebody.rollback().await?;
        assert_eq!(names(&claimed), ["free"], "{limit}");
        run(&db, "DELETE FROM millpond.jobs").await?;
    }
    Ok(())
}

// Fails when of the jobs that a gate kept no more are looked at than may start.
#[sqlx::test(migrations = "../../migrations")]
async fn a_job_that_somebody_has_locked_holds_up_no_other_of_its_key(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = limited(&db, ONE_PER_KEY).await?;
    enqueue_all(&queue, ["runs", "locked", "next"].map(|it| keyed(it, "k"))).await?;
    let running = claim_all(&db, "default", 1).await?;
    settle(&db, "default", &running).await?;
    let somebody = lock(&db, "locked").await?;

    let claimed = claim_all(&db, "default", 1).await?;

    somebody.rollback().await?;
    assert_eq!(
        (names(&running), count(&db, "true").await?),
        (vec!["runs".to_owned()], 2)
    );
    assert_eq!(names(&claimed), ["next"]);
    Ok(())
}

// Fails when a claim that could note nothing says that the next one would give more: a feeder then asks without a rest.
#[sqlx::test(migrations = "../../migrations")]
async fn a_kept_job_that_somebody_has_locked_is_looked_at_again_after_a_moment(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = limited(&db, ONE_PER_KEY).await?;
    enqueue_all(&queue, ["runs", "locked"].map(|it| keyed(it, "k"))).await?;
    let mut conn = db.acquire().await?;
    let mut sweep = Sweep::default();
    claim_on(&mut conn, "default", 1, &mut sweep).await?;
    let somebody = lock(&db, "locked").await?;

    let crowded = claim_on(&mut conn, "default", 1, &mut sweep).await?;
    somebody.rollback().await?;
    let quiet = claim_on(&mut conn, "default", 1, &mut sweep).await?;

    assert!(!crowded.goes_on && crowded.wait.is_some(), "{crowded:?}");
    assert!(quiet.goes_on, "{quiet:?}");
    assert_eq!(count(&db, "parked_gate = 'key_limit'").await?, 1);
    Ok(())
}
