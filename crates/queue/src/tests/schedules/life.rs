//! How schedules begin, change, pause and go, and what becomes of their jobs.

use serde_json::Value;
use sqlx::PgPool;

use super::{OFTEN, Scene, outcomes};
use crate::{
    JobId, Leader, ReplayRequest, ScheduleState, Selection,
    store::schedules,
    tests::fixture::{actor, in_state, until, waiting_for_locks, work},
};

/// A schedule that does not tick while a test runs.
const SELDOM: &str = r#"
[schedules.s]
kind = "test.work"
payload = { do = "succeed", name = "x" }
cron = "0 0 29 2 *"
overlap = "allow"
"#;

const UNTIL: &str =
    "SELECT extract(epoch FROM now() - evaluated_until)::int8 FROM millpond.schedules";

// Fails when a schedule that is seen for the first time makes up for ticks of the past.
#[sqlx::test(migrations = "../../migrations")]
async fn a_new_schedule_begins_when_it_is_first_seen(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db, OFTEN).await?;

    let decided = scene.turn().await?;

    let begun: chrono::DateTime<chrono::Utc> =
        sqlx::query_scalar("SELECT created_at FROM millpond.schedules")
            .fetch_one(&db)
            .await?;
    let ticks = scene.ticks().await?;
    assert_eq!(ticks.len(), scene.expected(begun, decided.now).len());
    Ok(())
}

// Fails when the time of the last look stands still while nothing ticks: the new times of a changed schedule would be
// made up for from its last tick on.
#[sqlx::test(migrations = "../../migrations")]
async fn a_schedule_whose_times_change_ticks_from_then_on(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db, SELDOM).await?;
    scene.neglect("1 hour").await?;

    scene.look().await?;
    let behind = scene.count(UNTIL).await?;
    let scene = scene.with(OFTEN);
    scene.look().await?;
    scene.turn().await?;

    assert!(behind < 10, "{behind}");
    let ticks = scene.ticks().await?;
    assert!(
        outcomes(&ticks)
            .iter()
            .all(|outcome| *outcome == "enqueued")
    );
    assert!(ticks.len() < 20, "{ticks:?}");
    Ok(())
}

// Fails when a look forgets ticks that are due.
#[sqlx::test(migrations = "../../migrations")]
async fn a_look_leaves_ticks_that_are_due_to_their_turn(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db, OFTEN).await?;
    let from = scene.neglect("30 seconds").await?;

    let standings = scene.look().await?;

    assert_eq!(standings["s"].until, from);
    assert!(scene.count(UNTIL).await? >= 30);
    Ok(())
}

// Fails when a schedule that comes back makes up for the time of its absence, or loses ticks since some process had not
// read the configuration yet.
#[sqlx::test(migrations = "../../migrations")]
async fn a_schedule_that_was_removed_stops_and_begins_anew(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db, OFTEN).await?;

    let scene = scene.with("");
    let without = scene.look().await?;
    scene.neglect("30 seconds").await?;
    let scene = scene.with(OFTEN);
    scene.look().await?;
    let soon = scene.count(UNTIL).await?;
    scene.neglect("2 hours").await?;
    scene
        .run("UPDATE millpond.schedules SET removed_at = now() - interval '1 hour'")
        .await?;
    scene.look().await?;
    let late = scene.count(UNTIL).await?;

    assert!(without.is_empty());
    assert!(soon >= 30, "{soon}");
    assert!(late < 10, "{late}");
    Ok(())
}

// Fails when a schedule of a kind that nobody can run is made known, as if it ticked.
#[sqlx::test(migrations = "../../migrations")]
async fn a_schedule_whose_kind_has_no_handler_makes_no_ticks_and_says_so(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db, SELDOM).await?;

    let looked = scene.look().await?;
    let states: Vec<_> = scene.queue.schedules().await?;

    assert_eq!(looked.keys().collect::<Vec<_>>(), ["s"]);
    let built_in = states.iter().find(|status| status.name == "token-check");
    let state = built_in.map(|status| status.state);
    assert_eq!(state, Some(ScheduleState::NoSuchKind));
    assert_eq!(
        scene
            .count("SELECT count(*) FROM millpond.schedules")
            .await?,
        1
    );
    Ok(())
}

// Fails when a pause does not hold, or its ticks are made up for when it is over.
#[sqlx::test(migrations = "../../migrations")]
async fn ticks_of_a_pause_are_left_out_for_good(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db, OFTEN).await?;
    let (queue, actor) = (&scene.queue, actor());
    queue
        .pause_schedule("s", Some("quiet"), None, &actor)
        .await?;
    scene.neglect("3 seconds").await?;

    scene.turn().await?;
    let paused = scene.ticks().await?;
    // What nobody decided while it was paused.
    scene
        .run("UPDATE millpond.schedules SET paused_at = now() - interval '5 seconds'")
        .await?;
    until("a tick of the pause is due", || async {
        let due = "SELECT count(*) FROM millpond.schedules WHERE evaluated_until < now() - interval '1 second'";
        Ok(scene.count(due).await? == 1)
    })
    .await?;
    queue.resume_schedule("s", &actor).await?;
    until("it ticks again", || async {
        scene.turn().await?;
        Ok(scene.matches().await?.0 > 0)
    })
    .await?;

    assert!(paused.len() >= 3, "{paused:?}");
    assert!(
        outcomes(&paused)
            .iter()
            .all(|outcome| *outcome == "skipped_paused")
    );
    let resumed = "SELECT count(*) FROM millpond.schedule_ticks t JOIN millpond.schedules s ON s.name = t.schedule
                    WHERE (t.tick < s.paused_until) <> (t.outcome = 'skipped_paused')";
    assert_eq!(scene.count(resumed).await?, 0);
    Ok(())
}

// Fails when the leader has no duty of its own for schedules, when it polls for ticks instead of waiting for them, and
// when nobody notes what became of their jobs.
#[sqlx::test(migrations = "../../migrations")]
async fn a_leader_makes_every_tick_and_its_jobs_succeed(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db, OFTEN).await?;
    scene.run("DELETE FROM millpond.leaders").await?;
    let (workers, _) = work(&scene.queue).await?;

    let leader = Leader::start(scene.queue.clone());
    until("a job has succeeded", || async {
        let noted = "SELECT count(*) FROM millpond.schedules WHERE last_success_at IS NOT NULL";
        Ok(scene.count(noted).await? == 1)
    })
    .await?;
    leader.stop().await;
    workers.drain().await;

    let ticks = scene.ticks().await?;
    let (first, last) = (ticks[0].0, ticks[ticks.len() - 1].0);
    let all: Vec<_> = ticks.iter().map(|(tick, _)| *tick).collect();
    assert_eq!(all[1..], scene.expected(first, last));
    assert!(
        outcomes(&ticks)
            .iter()
            .all(|outcome| *outcome == "enqueued")
    );
    let late = "SELECT count(*) FROM millpond.schedule_ticks WHERE decided_at - tick > interval '10 seconds'";
    assert_eq!(scene.count(late).await?, 0);
    Ok(())
}

// Fails when a kind that refuses unknown members is given the stamp, when the gate refuses it, and when the stored payload
// does not bear it.
#[sqlx::test(migrations = "../../migrations")]
async fn a_strict_kind_runs_with_scheduled_for_in_its_payload(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db, SELDOM).await?;
    let queue = &scene.queue;
    let id = queue.trigger_schedule("s", None, &actor()).await?.id;
    let (workers, app) = work(queue).await?;

    let job = in_state(queue, id, "succeeded").await?;
    workers.drain().await;

    assert_eq!(app.seen(), ["x"]);
    let payload: Value = job.payload;
    assert!(
        payload["scheduled_for"]
            .as_str()
            .is_some_and(|stamp| stamp.ends_with('Z'))
    );
    assert_eq!(job.summary.tags["schedule"], "s");
    Ok(())
}

// Fails when a replay takes the stamp for an unknown member.
#[sqlx::test(migrations = "../../migrations")]
async fn a_dead_letter_of_a_schedule_is_replayed(db: PgPool) -> anyhow::Result<()> {
    let failing = SELDOM.replace(
        "{ do = \"succeed\", name = \"x\" }",
        "{ do = \"fail\", class = \"invalid\" }",
    );
    let scene = Scene::new(&db, &failing).await?;
    let queue = &scene.queue;
    let id = queue.trigger_schedule("s", None, &actor()).await?.id;
    let (workers, _) = work(queue).await?;
    in_state(queue, id, "dead").await?;
    workers.drain().await;
    let request = ReplayRequest {
        selection: Selection::Ids(vec![id]),
        dry_run: true,
        patch: None,
        reason: None,
    };

    let answer = queue.replay(request, &actor()).await?;

    assert_eq!(answer.will_enqueue, 1, "{:?}", answer.skipped);
    Ok(())
}

// Fails when what became of a job is guessed, or asked of the jobs that are still to be done.
#[sqlx::test(migrations = "../../migrations")]
async fn what_became_of_a_ticks_job_is_noted_once_it_is_done(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db, OFTEN).await?;
    scene.neglect("4 seconds").await?;
    scene.turn().await?;
    let jobs: Vec<uuid::Uuid> =
        sqlx::query_scalar("SELECT job_id FROM millpond.schedule_ticks ORDER BY tick LIMIT 3")
            .fetch_all(&db)
            .await?;

    let open = schedules::note_ended(&db, &[]).await?;
    scene.queue.cancel(JobId(jobs[0]), &actor()).await?;
    sqlx::query("DELETE FROM millpond.jobs WHERE id = $1")
        .bind(jobs[1])
        .execute(&db)
        .await?;
    let unknown = schedules::note_ended(&db, &[]).await?;
    sqlx::query("DELETE FROM millpond.jobs WHERE id = $1")
        .bind(jobs[2])
        .execute(&db)
        .await?;
    let kept_nothing = schedules::note_ended(&db, &["s".to_owned()]).await?;

    let mut unknown: Vec<_> = unknown.iter().map(|job| job.ended.as_str()).collect();
    unknown.sort_unstable();
    assert!(open.is_empty(), "{open:?}");
    assert_eq!(unknown, ["cancelled", "gone"]);
    assert_eq!(kept_nothing.len(), 1);
    assert_eq!(kept_nothing[0].ended, "succeeded");
    Ok(())
}

// Fails when schedules are locked in another order than a look locks them in: each of the two would wait for the other.
#[sqlx::test(migrations = "../../migrations")]
async fn the_ends_of_jobs_are_noted_in_the_order_of_names(db: PgPool) -> anyhow::Result<()> {
    sqlx::raw_sql(
        "INSERT INTO millpond.schedules (name, evaluated_until) VALUES ('b', now()), ('a', now())",
    )
    .execute(&db)
    .await?;
    let mut other = db.begin().await?;
    sqlx::raw_sql("SELECT FROM millpond.schedules WHERE name = 'a' FOR UPDATE")
        .execute(&mut *other)
        .await?;

    let pool = db.clone();
    let noting = tokio::spawn(async move {
        let (names, now) = (["b", "a"].map(str::to_owned), chrono::Utc::now());
        schedules::note_successes(&pool, &names, &[now, now]).await
    });
    until("it waits for the first one", || async {
        Ok(waiting_for_locks(&db).await? == 1)
    })
    .await?;
    let second = sqlx::raw_sql("SELECT FROM millpond.schedules WHERE name = 'b' FOR UPDATE NOWAIT")
        .execute(&db)
        .await;
    other.rollback().await?;
    noting.await??;

    assert!(second.is_ok(), "{second:?}");
    Ok(())
}

// Fails when ticks are kept for ever, or a schedule is forgotten while it is in force or has a history.
#[sqlx::test(migrations = "../../migrations")]
async fn old_ticks_and_removed_schedules_are_forgotten(db: PgPool) -> anyhow::Result<()> {
    const MONTH: f64 = 30.0 * 86_400.0;
    let scene = Scene::new(&db, SELDOM).await?;
    scene
        .run(
            "INSERT INTO millpond.schedules (name, evaluated_until, removed_at)
             VALUES ('gone', now(), now() - interval '1 year'), ('told', now(), now() - interval '1 year');
             INSERT INTO millpond.schedule_ticks (schedule, tick, outcome)
             VALUES ('s', now() - interval '1 year', 'refused'), ('s', now(), 'refused'), ('told', now(), 'refused')",
        )
        .await?;

    let ticks = schedules::prune_ticks(&db, MONTH).await?;
    let removed = schedules::prune(&db, MONTH).await?;

    assert_eq!((ticks, removed), (1, 1));
    let left = "SELECT count(*) FROM millpond.schedules WHERE name IN ('s', 'told')";
    assert_eq!(scene.count(left).await?, 2);
    Ok(())
}
