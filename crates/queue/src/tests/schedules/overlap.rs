//! `overlap = "skip"`: a tick is left out while a job of its schedule is still to be done, whichever that is.

use sqlx::PgPool;

use super::{OFTEN, Scene, outcomes};
use crate::{store::schedules, tests::fixture::actor};

fn skip() -> String {
    OFTEN.replace("\"allow\"", "\"skip\"")
}

// Fails when overlap looks at the last tick instead of at jobs, or takes a job that has ended for one that runs.
#[sqlx::test(migrations = "../../migrations")]
async fn a_tick_is_left_out_while_the_last_job_is_not_done(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db, &skip()).await?;
    scene.neglect("3 seconds").await?;

    scene.turn().await?;
    scene.tick_again().await?;
    let waiting = scene.ticks().await?;
    let one = scene.matches().await?;
    scene.run("DELETE FROM millpond.jobs").await?;
    let free = scene.tick_again().await?;

    assert_eq!(one, (1, 1, 1));
    assert_eq!(outcomes(&waiting)[0], "enqueued");
    let left_out = &outcomes(&waiting)[1..];
    assert!(
        left_out.iter().all(|outcome| *outcome == "skipped_overlap"),
        "{left_out:?}"
    );
    assert!(left_out.len() >= 3, "{left_out:?}");
    assert_eq!(free[0], "enqueued");
    Ok(())
}

// Fails when overlap looks at the latest job alone: those before it run for longer, where they came all at once.
#[sqlx::test(migrations = "../../migrations")]
async fn a_tick_is_left_out_while_an_earlier_job_is_not_done(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db, OFTEN).await?;
    scene.neglect("3 seconds").await?;
    scene.turn().await?;
    let scene = scene.with(&skip());
    scene
        .run(
            "DELETE FROM millpond.jobs
              WHERE id <> (SELECT job_id FROM millpond.schedule_ticks ORDER BY tick LIMIT 1)",
        )
        .await?;

    let held = scene.tick_again().await?;
    scene.run("DELETE FROM millpond.jobs").await?;
    let free = scene.tick_again().await?;

    assert!(
        held.iter().all(|outcome| outcome == "skipped_overlap"),
        "{held:?}"
    );
    assert_eq!(free[0], "enqueued");
    Ok(())
}

// Fails when jobs that people made beside the ticks do not count, are forgotten too early, or never.
#[sqlx::test(migrations = "../../migrations")]
async fn a_tick_is_left_out_while_a_triggered_job_is_not_done(db: PgPool) -> anyhow::Result<()> {
    const KNOWN: &str = "SELECT count(*) FROM millpond.schedule_triggers";
    let scene = Scene::new(&db, &skip()).await?;
    let first = scene.queue.trigger_schedule("s", None, &actor()).await?;
    scene.queue.trigger_schedule("s", None, &actor()).await?;
    sqlx::query("DELETE FROM millpond.jobs WHERE id <> $1")
        .bind(first.id.0)
        .execute(&db)
        .await?;

    schedules::forget_triggers(&db).await?;
    let known = scene.count(KNOWN).await?;
    let held = scene.tick_again().await?;
    scene.run("DELETE FROM millpond.jobs").await?;
    let free = scene.tick_again().await?;
    schedules::forget_triggers(&db).await?;

    assert!(
        held.iter().all(|outcome| outcome == "skipped_overlap"),
        "{held:?}"
    );
    assert_eq!(free[0], "enqueued");
    assert_eq!((known, scene.count(KNOWN).await?), (1, 0));
    Ok(())
}
