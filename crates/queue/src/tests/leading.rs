//! The leader's duties: none of them waits for another, and nothing grows for ever.

use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::PgPool;

use super::fixture::{FAST, actor, engine, in_state, job, succeed, until};
use crate::{DeadFilter, Leader, NewJob, PageRequest, Start, store::poll};

async fn run(db: &PgPool, sql: &str) -> anyhow::Result<()> {
    sqlx::raw_sql(sql).execute(db).await?;
    Ok(())
}

async fn count(db: &PgPool, sql: &str) -> anyhow::Result<i64> {
    Ok(sqlx::query_scalar(sql).fetch_one(db).await?)
}

// Fails when the gauges are read in the transaction, or in the loop, that looks after the queues.
#[sqlx::test(migrations = "../../migrations")]
async fn gauges_that_cannot_be_read_hold_up_no_other_duty(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    queue.announce().await?;
    let soon = NewJob {
        start: Start::After(Duration::from_millis(1)),
        ..succeed("due")
    };
    let id = queue.enqueue(soon, None).await?.id;
    run(&db, "DROP TABLE millpond.queue_stats").await?;

    let leader = Leader::start(queue.clone());

    in_state(&queue, id, "ready").await?;
    leader.stop().await;
    Ok(())
}

// Fails when a round of retention ends with its first failure.
#[sqlx::test(migrations = "../../migrations")]
async fn a_sort_that_cannot_be_deleted_keeps_no_other(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    run(
        &db,
        "DROP TABLE millpond.job_logs;
         INSERT INTO millpond.workers (id, host, pid, version, roles, kinds, slots, seen_at)
         VALUES (gen_random_uuid(), 'gone', 1, 'old', '{}', '{}', '{}', now() - interval '2 days')",
    )
    .await?;

    let leader = Leader::start(queue);

    until("the worker is forgotten", || async {
        Ok(count(&db, "SELECT count(*) FROM millpond.workers").await? == 0)
    })
    .await?;
    leader.stop().await;
    Ok(())
}

// Fails when the lead is kept between duties and not beside them.
#[sqlx::test(migrations = "../../migrations")]
async fn the_lead_is_kept_while_a_duty_takes_long(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let mut held_up = db.begin().await?;
    sqlx::raw_sql("LOCK TABLE millpond.idempotency_keys")
        .execute(&mut *held_up)
        .await?;
    let left = "SELECT COALESCE(max(extract(epoch FROM expires_at - now())), 0)::int8 FROM millpond.leaders";
    let began = Instant::now();

    let leader = Leader::start(queue);

    until("the lead was kept once", || async {
        let is_later = began.elapsed() > Duration::from_secs(4);
        Ok(is_later && count(&db, left).await? >= 13)
    })
    .await?;
    assert!(began.elapsed() < Duration::from_secs(9));
    held_up.rollback().await?;
    leader.stop().await;
    Ok(())
}

// Fails when one of these sorts is left out of retention.
#[sqlx::test(migrations = "../../migrations")]
async fn nothing_that_has_ended_is_kept_for_ever(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    run(
        &db,
        "INSERT INTO millpond.dead_groups (fingerprint, queue, tenant, kind, error_class, sample_error, open, last_seen)
         VALUES ('old', 'default', '', 'test.work', 'internal', 'x', 0, now() - interval '1 year'),
                ('open', 'default', '', 'test.work', 'internal', 'x', 1, now() - interval '1 year'),
                ('new', 'default', '', 'test.work', 'internal', 'x', 0, now());
         INSERT INTO millpond.replays (id, status, created_by, finished_at)
         VALUES ('00000000-0000-0000-0000-000000000001', 'done', 'test', now() - interval '1 year'),
                ('00000000-0000-0000-0000-000000000002', 'paused', 'test', NULL);
         INSERT INTO millpond.replay_items (replay_id, dead_letter)
         SELECT id, gen_random_uuid() FROM millpond.replays;
         INSERT INTO millpond.job_history
                (id, queue, kind, state, priority, run_at, created_at, attempts_used, payload, finished_at)
         VALUES (gen_random_uuid(), 'default', 'nobody.knows', 'succeeded', 5, now(), now(), 1, '{}', now() - interval '1 year')",
    )
    .await?;
    let left = "SELECT (SELECT count(*) FROM millpond.dead_groups) + (SELECT count(*) FROM millpond.replays)
                     + (SELECT count(*) FROM millpond.replay_items) + (SELECT count(*) FROM millpond.job_history)";

    let leader = Leader::start(queue);

    until("only what is needed is left", || async {
        Ok(count(&db, left).await? == 4)
    })
    .await?;
    let old = "SELECT count(*) FROM millpond.dead_groups WHERE fingerprint = 'old'";
    assert_eq!(count(&db, old).await?, 0);
    leader.stop().await;
    Ok(())
}

// Fails when a new day locks all of the history, or when whoever wants to drop one waits with everybody behind it.
#[sqlx::test(migrations = "../../migrations")]
async fn days_of_history_come_and_go_without_anybody_waiting(db: PgPool) -> anyhow::Result<()> {
    let maintain = "SELECT millpond.maintain_history(9, now() + interval '2 days')::int8";
    let mut reader = db.begin().await?;
    sqlx::raw_sql(
        "SELECT FROM millpond.job_history WHERE finished_at > now() - interval '1 minute'",
    )
    .execute(&mut *reader)
    .await?;
    let days =
        "SELECT count(*) FROM pg_inherits WHERE inhparent = 'millpond.job_history'::regclass";
    let before = count(&db, days).await?;

    let began = Instant::now();
    let while_read = count(&db, maintain).await?;
    let waited = began.elapsed();
    reader.rollback().await?;
    let afterwards = count(&db, maintain).await?;

    assert_eq!((while_read, afterwards), (0, 1));
    assert!(waited < Duration::from_secs(2), "{waited:?}");
    assert_eq!(count(&db, days).await?, before + 2 - 1);
    Ok(())
}

// Fails when a look takes what nobody may claim for something to do.
#[sqlx::test(migrations = "../../migrations")]
async fn what_waits_in_a_paused_queue_wakes_nobody(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    queue.announce().await?;
    queue.enqueue(succeed("x"), None).await?;
    let names = ["default".to_owned()];

    let before = poll::look(&db, Some(&names)).await?;
    queue.pause_queue("default", None, None, &actor()).await?;
    let paused = poll::look(&db, Some(&names)).await?;

    assert!(before.iter().all(|waiting| waiting.has_ready()));
    assert!(paused.iter().all(|waiting| !waiting.has_ready()));
    Ok(())
}

// Fails when the state or the error of a group is that which comes last in the alphabet.
#[sqlx::test(migrations = "../../migrations")]
async fn a_group_shows_its_newest_error_and_is_open_where_one_part_is(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    run(
        &db,
        "INSERT INTO millpond.dead_groups
                (fingerprint, queue, tenant, kind, error_class, sample_error, open, last_seen, state)
         VALUES ('f', 'a', '', 'test.work', 'internal', 'zebra', 1, now() - interval '1 hour', 'resolved'),
                ('f', 'b', '', 'test.work', 'internal', 'ant', 1, now(), 'open')",
    )
    .await?;

    let groups = queue
        .dead_groups(&DeadFilter::default(), &PageRequest::new(None, None)?)
        .await?;

    let group = groups.items.first().expect("there is one");
    assert_eq!((&*group.state, &*group.sample_error), ("open", "ant"));
    Ok(())
}

// Fails when a page of a kind that this process does not know shows what that kind's own processes hide.
#[sqlx::test(migrations = "../../migrations")]
async fn a_payload_of_an_unknown_kind_is_shown_to_nobody(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let id = queue
        .enqueue(job(&json!({"do": "succeed", "name": "secret"})), None)
        .await?
        .id;
    run(&db, "UPDATE millpond.jobs SET kind = 'test.unknown'").await?;

    let shown = queue.job(id, None).await?;

    assert!(!shown.payload.to_string().contains("secret"));
    Ok(())
}
