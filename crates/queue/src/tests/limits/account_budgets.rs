//! Budgets of accounts: jobs whose kind names none wait for that of their account.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::{
    claim_all, count, enqueue_all,
    explain::{answer, idle_worker, of_account},
    limited, names,
    parked::{ACCOUNTS, claim_plainly, look},
    run,
};
use crate::{
    Gate, NewJob, Queue,
    tests::fixture::{FAST, in_state, succeed, until, work},
};

/// Has the jobs of an account draw on the budget `meta`.
async fn assign(db: &PgPool, account: &str) -> anyhow::Result<()> {
    let mut conn = db.acquire().await?;
    Ok(Queue::assign_budget_in(&mut conn, &[account.to_owned()], "meta").await?)
}

/// Has nobody call for an account; for any, where it is empty.
async fn pause(db: &PgPool, account: &str) -> anyhow::Result<()> {
    let pause = "INSERT INTO millpond.budgets (name, account, paused_until, pause_reason)
                 VALUES ('meta', $1, now() + interval '1 hour', 'provider down')";
    sqlx::query(pause).bind(account).execute(db).await?;
    Ok(())
}

// Fails when the budget of an account is asked of claims under limits alone, when it changes how jobs are claimed while
// there is something left, when what it keeps stays in the way of all others, and when nobody finds that afterwards.
#[sqlx::test(migrations = "../../migrations")]
async fn jobs_wait_while_the_budget_of_their_account_is_paused_and_go_on_then(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = limited(&db, ACCOUNTS).await?;
    assign(&db, "down").await?;
    enqueue_all(&queue, (0..30).map(|_| of_account("down"))).await?;
    enqueue_all(&queue, [of_account("up"), succeed("y")]).await?;
    let is_plain = !look(&db).await?.wants_close_look();
    pause(&db, "").await?;

    let wants_close_look = look(&db).await?.wants_close_look();
    let plainly = claim_plainly(&db, 10).await?;
    let nothing = claim_all(&db, "default", 10).await?;
    let parked = count(&db, "parked_gate = 'budget' AND attempt = 0").await?;
    run(&db, "DELETE FROM millpond.budgets").await?;
    let later = claim_all(&db, "default", 50).await?;

    assert!(is_plain && wants_close_look);
    assert_eq!(
        (plainly, nothing.len(), parked, later.len()),
        (2, 0, 30, 30)
    );
    assert_eq!(count(&db, "parked_gate IS NOT NULL").await?, 0);
    Ok(())
}

// Fails when the pause of one account's calls is taken for that of the provider.
#[sqlx::test(migrations = "../../migrations")]
async fn a_pause_for_one_account_keeps_no_other(db: PgPool) -> anyhow::Result<()> {
    let queue = limited(&db, ACCOUNTS).await?;
    for account in ["a", "b"] {
        assign(&db, account).await?;
    }
    pause(&db, "a").await?;
    enqueue_all(&queue, ["a", "b", "b"].map(of_account)).await?;

    let plainly = claim_plainly(&db, 1).await?;
    let others = claim_all(&db, "default", 10).await?;

    assert_eq!((plainly, names(&others)), (1, vec!["b".to_owned()]));
    Ok(())
}

// Fails when a job waits for two budgets, of which its calls are drawn from one.
#[sqlx::test(migrations = "../../migrations")]
async fn the_budget_that_a_kind_names_stands_for_that_of_the_account(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = limited(&db, &format!("{ACCOUNTS}budget = \"x\"\n")).await?;
    assign(&db, "a").await?;
    pause(&db, "").await?;
    enqueue_all(&queue, [of_account("a")]).await?;

    let claimed = claim_all(&db, "default", 10).await?;

    assert_eq!(claimed.len(), 1);
    Ok(())
}

// Fails when one sort of claims takes another priority for urgent than the others and than calls.
#[sqlx::test(migrations = "../../migrations")]
async fn urgent_jobs_of_an_account_run_on_what_is_kept_for_them(db: PgPool) -> anyhow::Result<()> {
    let queue = limited(&db, ACCOUNTS).await?;
    assign(&db, "a").await?;
    run(
        &db,
        "INSERT INTO millpond.budgets (name, account, dry_until, dry_detail, dry_for_urgent, dry_under)
         VALUES ('meta', 'a', now() + interval '1 hour', 'used up', false, 'x')",
    )
    .await?;
    let of_priority = |priority| NewJob {
        priority: Some(priority),
        ..of_account("a")
    };
    enqueue_all(&queue, [1, 2].map(of_priority)).await?;

    let plainly = claim_plainly(&db, 10).await?;
    enqueue_all(&queue, [of_priority(1)]).await?;
    let gated = claim_all(&db, "default", 10).await?;

    let priorities: Vec<i16> = gated.iter().map(|job| job.priority).collect();
    assert_eq!((plainly, priorities), (1, vec![1]));
    let parked = "parked_gate = 'budget' AND priority = 2";
    assert_eq!(count(&db, parked).await?, 1);
    Ok(())
}

// Fails when a job, or the queue of one, is told of as if its account had no budget.
#[sqlx::test(migrations = "../../migrations")]
async fn what_waits_for_the_budget_of_its_account_says_why_and_until_when(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = limited(&db, ACCOUNTS).await?;
    idle_worker(&db).await?;
    assign(&db, "a").await?;
    let id = queue.enqueue(of_account("a"), None).await?.id;
    let before = queue.explain_job(id, None).await?;
    pause(&db, "").await?;
    claim_all(&db, "default", 10).await?;

    let of_job = queue.explain_job(id, None).await?;
    let of_queue = queue.explain_queue("default").await?;

    let end = "SELECT paused_until FROM millpond.budgets";
    let end: DateTime<Utc> = sqlx::query_scalar(end).fetch_one(&db).await?;
    assert!(before.runnable && !of_job.runnable && !of_queue.runnable);
    let gate = answer(&of_job, Gate::Budget);
    assert_eq!(gate.detail, "the budget meta: provider down");
    assert_eq!((gate.blocking, gate.until), (true, Some(end)));
    assert_eq!(of_job.expected_start, Some(end));
    let gate = answer(&of_queue, Gate::Budget);
    let told = "1 job of test.together for account a (the budget meta: provider down; until ";
    assert!(gate.detail.starts_with(told), "{}", gate.detail);
    assert_eq!((gate.blocking, gate.until), (true, Some(end)));
    Ok(())
}

// Fails when what was parked waits for a budget that its account has no more, or when the budget goes without the
// transaction that takes it.
#[sqlx::test(migrations = "../../migrations")]
async fn an_account_without_a_budget_waits_for_none(db: PgPool) -> anyhow::Result<()> {
    let queue = limited(&db, ACCOUNTS).await?;
    assign(&db, "a").await?;
    pause(&db, "").await?;
    enqueue_all(&queue, [of_account("a")]).await?;
    let accounts = ["a".to_owned()];

    let paused = claim_all(&db, "default", 10).await?;
    let mut given_up = db.begin().await?;
    Queue::unassign_budget_in(&mut given_up, &accounts).await?;
    given_up.rollback().await?;
    let still_paused = claim_all(&db, "default", 10).await?;
    let mut tx = db.begin().await?;
    Queue::unassign_budget_in(&mut tx, &accounts).await?;
    tx.commit().await?;
    let free = claim_all(&db, "default", 10).await?;

    assert_eq!((paused.len(), still_paused.len(), free.len()), (0, 0, 1));
    Ok(())
}

// Fails when a worker starts what it should leave, when the wait is an attempt, and when nobody wakes for what waits.
#[sqlx::test(migrations = "../../migrations")]
async fn a_worker_goes_on_by_itself_once_a_pause_has_ended(db: PgPool) -> anyhow::Result<()> {
    let queue = limited(&db, &format!("{FAST}{ACCOUNTS}")).await?;
    assign(&db, "a").await?;
    pause(&db, "a").await?;
    let id = queue.enqueue(of_account("a"), None).await?.id;

    let (workers, _) = work(&queue).await?;
    until("it waits behind its gate", || async {
        Ok(count(&db, "parked_gate = 'budget' AND attempt = 0").await? == 1)
    })
    .await?;
    run(
        &db,
        "UPDATE millpond.budgets SET paused_until = now() + interval '1 second'",
    )
    .await?;
    let done = in_state(&queue, id, "succeeded").await?;
    workers.drain().await;

    assert_eq!(done.attempts.len(), 1);
    Ok(())
}
