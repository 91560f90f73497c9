//! Terms: what a leader does under one, and no longer.

use std::{sync::Mutex, time::Instant};

use sqlx::PgPool;
use uuid::Uuid;

use super::{Lead, NAME, TERM, leader, maintenance};
use crate::tests::fixture::{FAST, engine};

/// Takes the lead, which nobody has.
pub(super) async fn lead(db: &PgPool) -> anyhow::Result<Lead> {
    let holder = Uuid::new_v4();
    let term = leader::lead(db, NAME, holder, TERM.as_secs_f64()).await?;
    Ok(Lead {
        holder,
        term: term.expect("nobody leads"),
        kept_at: Mutex::new(Instant::now()),
    })
}

/// Takes the lead after whoever has it, and does not know of it.
pub(super) async fn succeed_to(db: &PgPool) -> anyhow::Result<Lead> {
    expire(db).await?;
    lead(db).await
}

async fn expire(db: &PgPool) -> anyhow::Result<()> {
    sqlx::query("UPDATE millpond.leaders SET expires_at = now() - interval '1 second'")
        .execute(db)
        .await?;
    Ok(())
}

async fn workers(db: &PgPool) -> anyhow::Result<i64> {
    let count = "SELECT count(*) FROM millpond.workers";
    Ok(sqlx::query_scalar(count).fetch_one(db).await?)
}

// Fails when the term does not stand in what retention deletes.
#[sqlx::test(migrations = "../../migrations")]
async fn a_leader_whose_term_has_passed_deletes_nothing(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    sqlx::raw_sql(
        "INSERT INTO millpond.workers (id, host, pid, version, roles, kinds, slots, seen_at)
         VALUES (gen_random_uuid(), 'gone', 1, 'old', '{}', '{}', '{}', now() - interval '2 days')",
    )
    .execute(&db)
    .await?;
    let former = lead(&db).await?;
    let present = succeed_to(&db).await?;

    maintenance::round(&queue.shared, &former).await;
    let left_by_former = workers(&db).await?;
    maintenance::round(&queue.shared, &present).await;

    assert_eq!((left_by_former, workers(&db).await?), (1, 0));
    Ok(())
}

// Fails when the term is looked at and not held, or when holding it keeps the leader from staying one.
#[sqlx::test(migrations = "../../migrations")]
async fn what_was_begun_under_a_term_ends_before_the_next_one(db: PgPool) -> anyhow::Result<()> {
    let first = lead(&db).await?;
    let mut begun = db.begin().await?;
    let holds = first.hold(&mut begun).await?;
    let mut others = db.acquire().await?;
    sqlx::query("SET lock_timeout = '200ms'")
        .execute(&mut *others)
        .await?;
    let ttl = TERM.as_secs_f64();
    let successor = Uuid::new_v4();

    let kept = leader::lead(&mut *others, NAME, first.holder, ttl).await?;
    expire(&db).await?;
    let too_early = leader::lead(&mut *others, NAME, successor, ttl).await;
    begun.commit().await?;
    let in_time = leader::lead(&mut *others, NAME, successor, ttl).await?;

    assert!(holds && too_early.is_err(), "{too_early:?}");
    assert_eq!((kept, in_time), (Some(first.term), Some(first.term + 1)));
    Ok(())
}
