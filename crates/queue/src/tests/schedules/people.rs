//! What people see of schedules and do with them.

use sqlx::PgPool;

use super::{OFTEN, Scene};
use crate::{AdminError, PageRequest, ScheduleState, tests::fixture::actor};

// Fails when the state, the next or the last tick is that of another schedule, or of another time.
#[sqlx::test(migrations = "../../migrations")]
async fn a_schedule_is_shown_with_its_last_and_next_ticks(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db, OFTEN).await?;
    scene.neglect("3 seconds").await?;

    let before = scene.queue.schedule("s").await?;
    scene.turn().await?;
    let after = scene.queue.schedule("s").await?;

    let ticks = scene.ticks().await?;
    let last = after.last.expect("it has ticked");
    assert!(before.last.is_none());
    assert_eq!(after.state, ScheduleState::Active);
    assert_eq!(Some(last.tick), ticks.last().map(|(tick, _)| *tick));
    assert_eq!((&*last.outcome, last.job.is_some()), ("enqueued", true));
    assert_eq!(after.next.len(), 5);
    assert!(after.next.is_sorted() && after.next[0] > last.tick);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_schedule_whose_payload_does_not_fit_says_so_before_it_ticks(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db, &OFTEN.replace("\"succeed\"", "\"dance\"")).await?;

    let status = scene.queue.schedule("s").await?;

    assert_eq!(status.state, ScheduleState::Invalid);
    assert!(
        status
            .problem
            .is_some_and(|problem| !problem.contains("dance"))
    );
    Ok(())
}

// Fails when an action is carried out without its line in the audit, or with one where nothing was done.
#[sqlx::test(migrations = "../../migrations")]
async fn pause_resume_and_trigger_are_noted_with_their_reasons(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db, OFTEN).await?;
    let (queue, actor) = (&scene.queue, actor());

    queue.resume_schedule("s", &actor).await?;
    let paused = queue
        .pause_schedule("s", Some("quota"), None, &actor)
        .await?;
    let job = queue.trigger_schedule("s", Some("late"), &actor).await?;
    let resumed = queue.resume_schedule("s", &actor).await?;

    let reason = paused.paused.and_then(|pause| pause.reason);
    assert_eq!(
        (paused.state, reason.as_deref()),
        (ScheduleState::Paused, Some("quota"))
    );
    assert_eq!(
        (resumed.state, resumed.paused.is_none()),
        (ScheduleState::Active, true)
    );
    let audit = queue.audit(&PageRequest::new(None, None)?, None).await?;
    let noted: Vec<_> = audit
        .items
        .iter()
        .map(|entry| {
            (
                &*entry.action,
                entry.target.as_deref(),
                entry.reason.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        noted,
        [
            ("schedule.resume", Some("s"), None),
            ("schedule.trigger", Some("s"), Some("late")),
            ("schedule.pause", Some("s"), Some("quota")),
        ]
    );
    assert_eq!(audit.items[1].detail["job"], job.id.to_string());
    Ok(())
}

// Fails when a trigger uses a tick up, or moves on until when ticks are decided.
#[sqlx::test(migrations = "../../migrations")]
async fn a_trigger_makes_a_job_and_uses_no_tick_up(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db, OFTEN).await?;
    let from = scene.neglect("3 seconds").await?;

    let job = scene.queue.trigger_schedule("s", None, &actor()).await?;
    let untouched = scene.ticks().await?;
    let decided = scene.turn().await?;

    assert!(untouched.is_empty());
    assert_eq!(
        scene.ticks().await?.len(),
        scene.expected(from, decided.now).len()
    );
    let (ticks, jobs, _) = scene.matches().await?;
    assert_eq!(jobs, ticks + 1);
    let detail = scene.queue.job(job.id, None).await?;
    assert_eq!(detail.summary.state, "ready");
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_cannot_be_done_to_a_schedule_is_refused(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db, OFTEN).await?;
    let (queue, actor) = (&scene.queue, actor());
    let past = Some(chrono::DateTime::UNIX_EPOCH);
    let long = "x".repeat(501);

    assert!(matches!(
        queue.schedule("t").await,
        Err(AdminError::NotFound)
    ));
    assert!(matches!(
        queue.pause_schedule("t", None, None, &actor).await,
        Err(AdminError::NotFound)
    ));
    assert!(matches!(
        queue.resume_schedule("t", &actor).await,
        Err(AdminError::NotFound)
    ));
    assert!(matches!(
        queue.trigger_schedule("t", None, &actor).await,
        Err(AdminError::NotFound)
    ));
    assert!(matches!(
        queue.pause_schedule("s", None, past, &actor).await,
        Err(AdminError::Invalid { .. })
    ));
    assert!(matches!(
        queue.trigger_schedule("s", Some(&long), &actor).await,
        Err(AdminError::Invalid { .. })
    ));
    assert!(matches!(
        queue.trigger_schedule("token-check", None, &actor).await,
        Err(AdminError::NotEnqueued(_))
    ));
    Ok(())
}
