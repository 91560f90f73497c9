//! Turns: a tenant with many jobs delays one with few by no more than one turn.

use sqlx::PgPool;

use super::{claim, claim_all, count, enqueue_all, limited, of_tenant, settle};
use crate::{
    Leader, NewJob,
    gates::Marking,
    store::claim::ClaimedRow,
    tests::fixture::{FAST, succeed, until, work},
};

const FAIR: &str = "[queues.default]\nfair_by = \"tenant\"\n";

/// Jobs of a tenant, as if they had come before everything else.
async fn backlog(db: &PgPool, tenant: &str, jobs: u32, mark: bool) -> anyhow::Result<()> {
    let mark = if mark { "$1" } else { "NULL" };
    let sql = format!(
        "INSERT INTO millpond.jobs (id, queue, kind, state, priority, run_at, payload, tenant, fair)
         SELECT millpond.new_job_id(), 'default', 'test.work', 'ready', 5, now() - interval '1 hour',
                '{{\"do\": \"succeed\", \"name\": \"old\"}}', $1, {mark}
           FROM generate_series(1, {jobs})"
    );
    sqlx::query(&sql).bind(tenant).execute(db).await?;
    Ok(())
}

fn of<'a>(jobs: &'a [ClaimedRow], tenant: &'a str) -> impl Iterator<Item = &'a ClaimedRow> {
    jobs.iter()
        .filter(move |job| job.tenant.as_deref() == Some(tenant))
}

// Fails when jobs are taken in the order in which they came.
#[sqlx::test(migrations = "../../migrations")]
async fn three_jobs_of_one_tenant_start_within_a_turn_of_a_hundred_thousand_of_another(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = limited(&db, FAIR).await?;
    backlog(&db, "large", 100_000, true).await?;
    enqueue_all(&queue, (0..3).map(|n| of_tenant(&n.to_string(), "small"))).await?;

    let claimed = claim(&db, "default", 6).await?;

    assert_eq!(of(&claimed, "small").count(), 3);
    assert_eq!(of(&claimed, "large").count(), 3);
    Ok(())
}

// Fails when each claim begins with the same tenant.
#[sqlx::test(migrations = "../../migrations")]
async fn tenants_take_turns_from_claim_to_claim(db: PgPool) -> anyhow::Result<()> {
    let queue = limited(&db, FAIR).await?;
    for tenant in ["a", "b", "c"] {
        enqueue_all(&queue, (0..4).map(|n| of_tenant(&n.to_string(), tenant))).await?;
    }
    queue.enqueue(succeed("of nobody"), None).await?;

    let mut order = Vec::new();
    for _ in 0..8 {
        let claimed = claim(&db, "default", 1).await?;
        let tenants = claimed.iter().map(|job| job.tenant.clone());
        order.extend(tenants.map(Option::unwrap_or_default));
    }

    assert_eq!(order, ["", "a", "b", "c", "a", "b", "c", "a"]);
    Ok(())
}

// Fails when tenants beyond those that one claim looks at are never looked at.
#[sqlx::test(migrations = "../../migrations")]
async fn more_tenants_than_a_claim_looks_at_have_their_turns_all_the_same(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = limited(&db, FAIR).await?;
    backlog(&db, "large", 1_000, true).await?;
    let others = (0..450).map(|n| of_tenant("x", &format!("tenant {n}")));
    enqueue_all(&queue, others).await?;

    let mut turns = 0;
    for _ in 0..3 {
        let claimed = claim(&db, "default", 200).await?;
        turns += of(&claimed, "large").count();
    }

    assert_eq!(
        count(&db, "tenant <> 'large' AND state = 'ready'").await?,
        0
    );
    assert!(turns > 0, "the large one has its turn too");
    Ok(())
}

// Fails when a turn goes before a priority.
#[sqlx::test(migrations = "../../migrations")]
async fn turns_are_taken_within_a_priority(db: PgPool) -> anyhow::Result<()> {
    let queue = limited(&db, FAIR).await?;
    let urgent = (0..5).map(|n| NewJob {
        priority: Some(1),
        ..of_tenant(&n.to_string(), "b")
    });
    enqueue_all(&queue, urgent).await?;
    enqueue_all(&queue, (0..5).map(|n| of_tenant(&n.to_string(), "a"))).await?;

    let first = claim(&db, "default", 3).await?;
    let all = claim_all(&db, "default", 10).await?;

    assert_eq!(of(&first, "b").count(), 3);
    assert_eq!(all.len(), 7);
    Ok(())
}

// Fails when nobody finds out whose turn jobs take that waited before their queue became fair.
#[sqlx::test(migrations = "../../migrations")]
async fn jobs_that_waited_before_their_queue_was_fair_take_turns_too(
    db: PgPool,
) -> anyhow::Result<()> {
    limited(&db, FAIR).await?;
    backlog(&db, "large", 12_000, false).await?;
    backlog(&db, "small", 3, false).await?;
    let mut conn = db.acquire().await?;
    let mut marking = Marking::default();

    while marking.portion(&mut conn).await? {}
    let claimed = claim(&db, "default", 6).await?;

    assert_eq!(count(&db, "fair IS NULL").await?, 0);
    assert_eq!(of(&claimed, "small").count(), 3);
    Ok(())
}

// Fails when jobs of which nobody has found out whose turn they take wait behind all others, or all others behind them.
#[sqlx::test(migrations = "../../migrations")]
async fn jobs_that_nobody_has_marked_have_a_turn_of_their_own(db: PgPool) -> anyhow::Result<()> {
    let queue = limited(&db, FAIR).await?;
    backlog(&db, "old", 20, false).await?;
    enqueue_all(&queue, (0..2).map(|n| of_tenant(&n.to_string(), "new"))).await?;

    let first = claim(&db, "default", 6).await?;
    let all = claim_all(&db, "default", 30).await?;

    assert_eq!(of(&first, "new").count(), 2);
    assert_eq!(first.len() + all.len(), 22);
    Ok(())
}

// Fails when what was marked is not claimed any more.
#[sqlx::test(migrations = "../../migrations")]
async fn a_queue_that_is_fair_no_more_goes_back_to_the_order_of_arrival(
    db: PgPool,
) -> anyhow::Result<()> {
    let fair = limited(&db, &format!("{FAST}{FAIR}")).await?;
    backlog(&db, "large", 20, true).await?;
    enqueue_all(&fair, [of_tenant("x", "small")]).await?;
    let plain = limited(&db, FAST).await?;

    let first = claim(&db, "default", 5).await?;
    let large = of(&first, "large").count();
    settle(&db, "default", &first).await?;
    let (workers, _) = work(&plain).await?;

    assert_eq!(large, 5);
    until("all have run", || async {
        Ok(count(&db, "true").await? == 0)
    })
    .await?;
    workers.drain().await;
    Ok(())
}

// Fails when the leader does not mark what waits.
#[sqlx::test(migrations = "../../migrations")]
async fn the_leader_marks_what_waits(db: PgPool) -> anyhow::Result<()> {
    let queue = limited(&db, FAIR).await?;
    backlog(&db, "old", 10, false).await?;

    let leader = Leader::start(queue);

    until("they are marked", || async {
        Ok(count(&db, "fair = 'old'").await? == 10)
    })
    .await?;
    leader.stop().await;
    Ok(())
}
