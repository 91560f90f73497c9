//! One transaction decides the due ticks of a schedule and makes their jobs.

use std::sync::Arc;

use sqlx::PgPool;
use tokio::sync::Barrier;
use uuid::Uuid;

use super::{OFTEN, Scene, outcomes};
use crate::{
    leader::Mandate,
    schedules::scheduler::{MOST, Turn},
};

// Fails when a tick gets no job or two, when the time of the last look is not kept, or is that of the process.
#[sqlx::test(migrations = "../../migrations")]
async fn each_tick_since_the_last_look_gets_one_job(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db, OFTEN).await?;
    let from = scene.neglect("5 seconds").await?;

    let first = scene.turn().await?;
    let second = scene.turn().await?;

    let until = second.until.max(first.until);
    let ticks = scene.assert_one_job_each(from, until).await?;
    assert!(ticks >= 5, "{ticks}");
    Ok(())
}

// Fails when neither the row's lock nor the uniqueness of ticks is there: each alone is enough.
#[sqlx::test(migrations = "../../migrations")]
async fn schedulers_at_once_make_no_tick_twice(db: PgPool) -> anyhow::Result<()> {
    let scene = Arc::new(Scene::new(&db, OFTEN).await?);
    let from = scene.neglect("20 seconds").await?;
    let barrier = Arc::new(Barrier::new(6));
    let schedulers: Vec<_> = (0..6)
        .map(|_| {
            let (scene, barrier) = (Arc::clone(&scene), Arc::clone(&barrier));
            tokio::spawn(async move {
                barrier.wait().await;
                scene.turn_as(&scene.mandate).await
            })
        })
        .collect();

    let mut turns = Vec::new();
    for scheduler in schedulers {
        turns.push(scheduler.await??);
    }
    let last = scene.turn().await?;

    assert!(turns.iter().any(|turn| matches!(turn, Turn::Decided(_))));
    scene.assert_one_job_each(from, last.now).await?;
    Ok(())
}

// Fails when ticks, jobs and the time of the look are not one transaction.
#[sqlx::test(migrations = "../../migrations")]
async fn what_dies_before_its_commit_loses_no_tick_and_doubles_none(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db, OFTEN).await?;
    let from = scene.neglect("5 seconds").await?;
    scene
        .run(
            "CREATE FUNCTION public.die() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN RAISE EXCEPTION 'killed'; END $$;
             CREATE CONSTRAINT TRIGGER die AFTER INSERT ON millpond.schedule_ticks
                    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.die()",
        )
        .await?;

    let died = scene.turn_as(&scene.mandate).await;
    let left = scene.matches().await?;
    scene
        .run("DROP TRIGGER die ON millpond.schedule_ticks")
        .await?;
    let decided = scene.turn().await?;

    assert!(died.is_err());
    assert_eq!(left, (0, 0, 0));
    scene.assert_one_job_each(from, decided.now).await?;
    Ok(())
}

// Fails when the term does not stand in the transaction.
#[sqlx::test(migrations = "../../migrations")]
async fn who_leads_no_more_makes_no_tick(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db, OFTEN).await?;
    scene.neglect("5 seconds").await?;
    scene
        .run("UPDATE millpond.leaders SET term = term + 1, holder = gen_random_uuid()")
        .await?;
    let woken = [
        scene.mandate,
        Mandate {
            holder: Uuid::new_v4(),
            ..scene.mandate
        },
    ];

    for mandate in woken {
        let turn = scene.turn_as(&mandate).await?;

        assert!(matches!(turn, Turn::NotLeading), "{turn:?}");
    }
    assert_eq!(scene.matches().await?, (0, 0, 0));
    assert!(scene.look().await.is_err());
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_schedule_that_another_transaction_has_is_left_to_it(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db, OFTEN).await?;
    scene.neglect("5 seconds").await?;
    let mut other = db.begin().await?;
    sqlx::raw_sql("SELECT FROM millpond.schedules FOR UPDATE")
        .execute(&mut *other)
        .await?;

    let turn = scene.turn_as(&scene.mandate).await?;
    other.rollback().await?;

    assert!(matches!(turn, Turn::Busy), "{turn:?}");
    assert_eq!(scene.matches().await?, (0, 0, 0));
    Ok(())
}

// Fails when what does not fit into a turn is forgotten, or decided twice.
#[sqlx::test(migrations = "../../migrations")]
async fn more_ticks_than_a_turn_takes_are_decided_by_the_next_ones(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db, &format!("{OFTEN}misfire = \"run_all\"\n")).await?;
    let from = scene.neglect("2500 seconds").await?;

    scene.turn().await?;
    let after_first = scene.ticks().await?.len();
    let last = scene.catch_up().await?;

    // Fewer where the machine was so busy that there was no time for more.
    assert!((1..=MOST).contains(&after_first), "{after_first}");
    scene.assert_one_job_each(from, last.now).await?;
    Ok(())
}

// Fails when a turn stores the jobs of all its ticks before it commits: with a database that is far away it would run
// into its deadline, and begin anew for ever.
#[sqlx::test(migrations = "../../migrations")]
async fn a_turn_that_takes_long_keeps_what_it_has_done(db: PgPool) -> anyhow::Result<()> {
    const UNIQUE: &str = "[kinds.\"test.work\"]\nunique = { fields = [\"name\"] }\n";
    let plain = format!("{OFTEN}misfire = \"run_all\"\n");
    let unique = format!("{plain}{UNIQUE}");
    let mut scene = Scene::new(&db, &plain).await?;

    for text in [&plain, &unique] {
        scene = scene.with(text);
        scene
            .run("DELETE FROM millpond.schedule_ticks; DELETE FROM millpond.jobs")
            .await?;
        let from = scene.neglect("15 minutes").await?;
        // 18 s for all of them; a call has 12 s.
        scene
            .run(
                "CREATE OR REPLACE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql AS
                     $$ BEGIN PERFORM pg_sleep(0.02); RETURN NEW; END $$;
                 CREATE TRIGGER slow BEFORE INSERT ON millpond.jobs FOR EACH ROW EXECUTE FUNCTION public.slow()",
            )
            .await?;

        let slow = scene.turn().await?;
        let kept = scene.ticks().await?.len();
        scene.run("DROP TRIGGER slow ON millpond.jobs").await?;
        let last = scene.catch_up().await?;

        assert!(kept >= 1 && slow.until < slow.now, "{text}: {slow:?}");
        assert_eq!(kept, scene.expected(from, slow.until).len(), "{text}");
        let ticks = scene.ticks().await?.into_iter();
        let ticks: Vec<_> = ticks.map(|(tick, _)| tick).collect();
        assert_eq!(ticks, scene.expected(from, last.now), "{text}");
    }
    Ok(())
}

// Fails when each turn makes a job for the missed ticks that it takes, or none does.
#[sqlx::test(migrations = "../../migrations")]
async fn one_job_stands_for_missed_ticks_however_many_turns_they_take(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db, &format!("{OFTEN}misfire = \"run_once\"\n")).await?;
    scene.neglect("2500 seconds").await?;

    scene.catch_up().await?;

    let missed = "SELECT count(*) FROM millpond.schedule_ticks
                   WHERE outcome = 'enqueued' AND decided_at - tick > interval '1 minute'";
    assert_eq!(scene.count(missed).await?, 1);
    let ticks = scene.ticks().await?;
    let job = ticks.iter().position(|(_, outcome)| outcome == "enqueued");
    assert!(job.is_some_and(|job| job > 2_000), "{job:?}");
    Ok(())
}

// Fails when a missed tick is not told from one that is in time.
#[sqlx::test(migrations = "../../migrations")]
async fn missed_ticks_become_what_misfire_says(db: PgPool) -> anyhow::Result<()> {
    let hourly = OFTEN.replace("* * * * * *", "0 * * * *");
    let mut scene = Scene::new(&db, &hourly).await?;
    let missed = "FROM millpond.schedule_ticks WHERE decided_at - tick > interval '1 minute'";

    for (misfire, outcome, others) in [
        ("skip", "skipped_misfire", 0),
        ("run_once", "coalesced", 1),
        ("run_all", "enqueued", 0),
    ] {
        scene = scene.with(&format!("{hourly}misfire = \"{misfire}\"\n"));
        scene.run("DELETE FROM millpond.schedule_ticks").await?;
        scene.neglect("4 hours").await?;

        scene.turn().await?;

        let all = scene.count(&format!("SELECT count(*) {missed}")).await?;
        let as_said = format!("SELECT count(*) {missed} AND outcome = '{outcome}'");
        assert!(all >= 3, "{all}");
        assert_eq!(scene.count(&as_said).await?, all - others, "{misfire}");
    }
    Ok(())
}

// Fails when a tick whose job was there already is said to have made one.
#[sqlx::test(migrations = "../../migrations")]
async fn a_job_that_holds_the_unique_key_stands_for_the_tick(db: PgPool) -> anyhow::Result<()> {
    let unique = format!("{OFTEN}[kinds.\"test.work\"]\nunique = {{ fields = [\"name\"] }}\n");
    let scene = Scene::new(&db, &unique).await?;
    scene.neglect("3 seconds").await?;

    scene.turn().await?;

    let ticks = scene.ticks().await?;
    let kept = outcomes(&ticks);
    assert_eq!(kept[0], "enqueued");
    assert!(
        kept[1..].iter().all(|outcome| *outcome == "deduplicated"),
        "{kept:?}"
    );
    let held = "SELECT count(DISTINCT job_id) FROM millpond.schedule_ticks";
    assert_eq!((scene.count(held).await?, scene.matches().await?.1), (1, 1));
    Ok(())
}

// Fails when a payload that does not fit its kind holds its schedule up, or is stored all the same.
#[sqlx::test(migrations = "../../migrations")]
async fn a_payload_that_does_not_fit_is_refused_tick_by_tick(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db, &OFTEN.replace("\"succeed\"", "\"dance\"")).await?;
    let from = scene.neglect("3 seconds").await?;

    let decided = scene.turn().await?;

    let ticks = scene.ticks().await?;
    assert_eq!(ticks.len(), scene.expected(from, decided.now).len());
    assert!(outcomes(&ticks).iter().all(|outcome| *outcome == "refused"));
    let told = "SELECT count(*) FROM millpond.schedule_ticks WHERE detail LIKE '%does not fit%'";
    assert_eq!(scene.count(told).await?, i64::try_from(ticks.len())?);
    assert_eq!(scene.matches().await?, (0, 0, 0));
    Ok(())
}
