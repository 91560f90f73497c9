//! Terms: what a leader does under one, and no longer.

use std::{sync::Mutex, time::Instant};

use sqlx::{Connection, PgPool};
use tokio::task::JoinSet;
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

// Fails when the term is looked at and not held, when holding it keeps the leader from staying one, or when whoever is to
// come after waits behind it: its process may have been stopped.
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
    let too_early = leader::lead(&mut *others, NAME, successor, ttl).await?;
    begun.commit().await?;
    let in_time = leader::lead(&mut *others, NAME, successor, ttl).await?;

    assert!(holds);
    assert_eq!(
        (kept, too_early, in_time),
        (Some(first.term), None, Some(first.term + 1))
    );
    Ok(())
}

// Fails when two take the lead at once, or when all are turned away.
#[sqlx::test(migrations = "../../migrations")]
async fn of_all_who_ask_for_a_lead_that_ended_one_gets_it(db: PgPool) -> anyhow::Result<()> {
    let first = lead(&db).await?;
    expire(&db).await?;

    let mut asking = JoinSet::new();
    for _ in 0..20 {
        let db = db.clone();
        asking.spawn(
            async move { leader::lead(&db, NAME, Uuid::new_v4(), TERM.as_secs_f64()).await },
        );
    }
    let mut terms = Vec::new();
    while let Some(asked) = asking.join_next().await {
        terms.extend(asked??);
    }

    assert_eq!(terms, [first.term + 1]);
    Ok(())
}

// Fails when a leader that is stopped in the middle of a transaction holds its term for as long as it is, where its
// session has no limits: behind a pooler.
#[sqlx::test(migrations = "../../migrations")]
async fn a_term_is_held_within_limits_wherever_the_session_has_none(
    db: PgPool,
) -> anyhow::Result<()> {
    let leading = lead(&db).await?;
    let mut connection = db.acquire().await?;
    let limits = "SELECT concat_ws(' ', current_setting('statement_timeout'), current_setting('lock_timeout'),
                                   current_setting('idle_in_transaction_session_timeout'))";

    let mut tx = connection.begin().await?;
    let holds = leading.hold(&mut tx).await?;
    let within: String = sqlx::query_scalar(limits).fetch_one(&mut *tx).await?;
    tx.commit().await?;
    let after: String = sqlx::query_scalar(limits)
        .fetch_one(&mut *connection)
        .await?;

    assert!(holds);
    assert_eq!((within.as_str(), after.as_str()), ("10s 2s 10s", "0 0 0"));
    Ok(())
}
