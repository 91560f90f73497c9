//! What a claim met and could not start: out of the way of claims, ready for everybody else, and found when its gate
//! opens.

use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    ONE_PER_KEY, claim, claim_all, claim_on, count, enqueue_all, keyed, limited, names, run, settle,
};
use crate::{
    JobId, JobState, NewJob, OnConflict, Unique,
    gates::Sweep,
    store::{
        claim::{self as plain, Claim},
        poll, queues,
    },
    tests::fixture::{FAST, actor, job, succeed, until, work},
};

/// Jobs of a kind name the account that they work for.
pub(super) const ACCOUNTS: &str = "[kinds.\"test.together\"]\naccount = \"name\"\n";
/// The same, and draw on a budget.
const BUDGET: &str = "[kinds.\"test.together\"]\naccount = \"name\"\nbudget = \"meta\"\n";

/// A job of an account that does nothing.
fn of_account(account: &str) -> NewJob {
    NewJob {
        kind: "test.together".into(),
        ..job(&json!({"name": account}))
    }
}

async fn hold(db: &PgPool, account: &str) -> anyhow::Result<()> {
    let hold =
        "INSERT INTO millpond.holds (account, reason, by) VALUES ($1, 'its token expired', 'test')";
    sqlx::query(hold).bind(account).execute(db).await?;
    Ok(())
}

pub(super) async fn look(db: &PgPool) -> anyhow::Result<poll::Waiting> {
    let names = ["default".to_owned()];
    Ok(poll::look(db, Some(&names)).await?.remove(0))
}

/// Claims as a process does that knows of no limit.
pub(super) async fn claim_plainly(db: &PgPool, most: usize) -> anyhow::Result<usize> {
    let kinds = ["test.work".to_owned(), "test.together".to_owned()];
    let claim = Claim {
        queue: "default",
        worker: Uuid::new_v4(),
        ttl_seconds: 60.0,
        kinds: &kinds,
    };
    Ok(plain::next(db, &claim, most).await?.len())
}

// Fails when a held account is asked of claims under limits alone, when what it keeps stays in the way of all others, and
// when nobody finds it once the account is free.
#[sqlx::test(migrations = "../../migrations")]
async fn jobs_of_a_held_account_wait_and_go_on_when_it_is_free(db: PgPool) -> anyhow::Result<()> {
    let queue = limited(&db, ACCOUNTS).await?;
    enqueue_all(&queue, (0..30).map(|_| of_account("held"))).await?;
    enqueue_all(&queue, [of_account("free"), succeed("y")]).await?;
    hold(&db, "held").await?;

    let wants_close_look = look(&db).await?.wants_close_look();
    let plainly = claim_plainly(&db, 10).await?;
    let nothing = claim_all(&db, "default", 10).await?;
    let parked = count(&db, "parked_gate = 'account_held' AND attempts_used = 0").await?;
    run(&db, "DELETE FROM millpond.holds").await?;
    let later = claim_all(&db, "default", 50).await?;

    assert!(wants_close_look);
    assert_eq!(
        (plainly, nothing.len(), parked, later.len()),
        (2, 0, 30, 30)
    );
    assert_eq!(count(&db, "parked_gate IS NOT NULL").await?, 0);
    Ok(())
}

// Fails when a worker does not see that jobs are parked, or when nobody wakes for them.
#[sqlx::test(migrations = "../../migrations")]
async fn a_worker_finds_what_was_parked_when_its_gate_opens(db: PgPool) -> anyhow::Result<()> {
    let queue = limited(&db, &format!("{FAST}{ACCOUNTS}")).await?;
    hold(&db, "held").await?;
    enqueue_all(&queue, (0..5).map(|_| of_account("held"))).await?;

    let (workers, _) = work(&queue).await?;
    until("they are parked", || async {
        Ok(count(&db, "parked_gate = 'account_held'").await? == 5)
    })
    .await?;
    run(&db, "DELETE FROM millpond.holds").await?;

    until("they have run", || async {
        Ok(count(&db, "true").await? == 0)
    })
    .await?;
    workers.drain().await;
    Ok(())
}

async fn pause_budget(db: &PgPool) -> anyhow::Result<()> {
    run(
        db,
        "INSERT INTO millpond.budgets (name, account, paused_until, pause_reason)
         VALUES ('meta', '', now() + interval '1 hour', 'it asked for a pause')",
    )
    .await
}

// Fails when a dry budget uses up attempts, holds back kinds that do not draw on it, or is not seen to be full again.
#[sqlx::test(migrations = "../../migrations")]
async fn jobs_that_draw_on_a_dry_budget_wait_and_use_up_no_attempt(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = limited(&db, BUDGET).await?;
    pause_budget(&db).await?;
    enqueue_all(&queue, ["a", "b"].map(of_account)).await?;
    queue.enqueue(succeed("c"), None).await?;

    let dry = claim_all(&db, "default", 10).await?;
    let parked = count(&db, "parked_gate = 'budget' AND attempts_used = 0").await?;
    run(&db, "DELETE FROM millpond.budgets").await?;
    let full = claim_all(&db, "default", 10).await?;

    assert_eq!((names(&dry), parked), (vec!["c".to_owned()], 2));
    assert_eq!(names(&full), ["a", "b"]);
    Ok(())
}

// Fails when a budget that has something left for urgent jobs keeps those too, or lets others through with them.
#[sqlx::test(migrations = "../../migrations")]
async fn an_urgent_job_runs_on_what_is_kept_for_urgent_ones(db: PgPool) -> anyhow::Result<()> {
    let queue = limited(&db, BUDGET).await?;
    let dry = |for_urgent: bool| {
        format!(
            "DELETE FROM millpond.budgets;
             INSERT INTO millpond.budgets (name, account, dry_until, dry_detail, dry_for_urgent, dry_under)
             VALUES ('meta', '1', now() + interval '1 hour', 'used up', {for_urgent}, 'x')"
        )
    };
    run(&db, &dry(true)).await?;
    let urgent = NewJob {
        priority: Some(0),
        ..of_account("1")
    };
    enqueue_all(&queue, [of_account("1"), urgent]).await?;

    let nothing = claim_all(&db, "default", 10).await?;
    run(&db, &dry(false)).await?;
    let kept_for_urgent = claim_all(&db, "default", 10).await?;

    assert!(nothing.is_empty());
    let priorities: Vec<i16> = kept_for_urgent.iter().map(|job| job.priority).collect();
    assert_eq!(priorities, [0]);
    Ok(())
}

// Fails when a claim looks at all that is parked, or never gets to the end of it.
#[sqlx::test(migrations = "../../migrations")]
async fn claims_one_after_the_other_see_all_that_is_parked(db: PgPool) -> anyhow::Result<()> {
    limited(&db, ONE_PER_KEY).await?;
    run(
        &db,
        "INSERT INTO millpond.jobs (id, queue, kind, state, priority, run_at, payload, key, parked_gate, parked_for)
         SELECT gen_random_uuid(), 'default', 'test.work', 'ready', 5, now(), '{}', 'k' || n, 'key_limit', 'test.work k' || n
           FROM generate_series(1, 450) AS n",
    )
    .await?;
    let mut conn = db.acquire().await?;
    let mut sweep = Sweep::default();
    let mut claimed = Vec::new();

    loop {
        let some = claim_on(&mut conn, "default", 500, &mut sweep).await?;
        claimed.push(some.rows.len());
        if !some.goes_on {
            break;
        }
    }

    assert_eq!(claimed, [200, 200, 50, 0]);
    Ok(())
}

fn unique(job: NewJob) -> NewJob {
    NewJob {
        unique: Some(Unique {
            key: "one".to_owned(),
            states: vec![
                JobState::Scheduled,
                JobState::Ready,
                JobState::Running,
                JobState::Retrying,
            ],
            on_conflict: OnConflict::Replace,
        }),
        ..job
    }
}

// Fails when a job that takes the place of a parked one stays behind the other's gate.
#[sqlx::test(migrations = "../../migrations")]
async fn a_job_that_replaces_a_parked_one_waits_behind_no_gate_of_its(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = limited(&db, ONE_PER_KEY).await?;
    queue.enqueue(keyed("runs", "a"), None).await?;
    let running = claim_all(&db, "default", 1).await?;
    queue.enqueue(unique(keyed("kept", "a")), None).await?;
    let kept = claim_all(&db, "default", 1).await?;

    queue.enqueue(unique(keyed("free", "b")), None).await?;
    let unparked = count(&db, "parked_gate IS NULL AND state = 'ready'").await?;
    let replaced = claim_all(&db, "default", 1).await?;

    assert_eq!((running.len(), kept.len(), unparked), (1, 0, 1));
    assert_eq!(names(&replaced), ["free"]);
    Ok(())
}

// Fails when a parked job is missing anywhere that people look or count, or cannot be cancelled.
#[sqlx::test(migrations = "../../migrations")]
async fn a_parked_job_is_a_ready_job_for_everybody_else(db: PgPool) -> anyhow::Result<()> {
    let queue = limited(&db, ONE_PER_KEY).await?;
    enqueue_all(&queue, ["a", "b", "c"].map(|name| keyed(name, "k"))).await?;
    claim_all(&db, "default", 1).await?;
    let parked: Uuid =
        sqlx::query_scalar("SELECT id FROM millpond.jobs WHERE parked_gate IS NOT NULL LIMIT 1")
            .fetch_one(&db)
            .await?;

    let shown = queue.job(JobId(parked), None).await?;
    let queues = queue.queues(None).await?;
    let counted = queues::ready_up_to(&db, "default", 10).await?;
    queue.cancel(JobId(parked), &actor()).await?;
    let left = queues::ready_up_to(&db, "default", 10).await?;

    let default = queues.iter().find(|it| it.name == "default");
    let default = default.expect("it is built in");
    assert_eq!((counted, left), (2, 1));
    assert_eq!(
        (shown.summary.state.as_str(), default.depth["ready"]),
        ("ready", 2)
    );
    assert!(default.oldest_ready_seconds.is_some());
    Ok(())
}

// Fails when what was parked under a limit is forgotten once the limit is gone.
#[sqlx::test(migrations = "../../migrations")]
async fn a_limit_that_is_taken_away_leaves_nothing_behind(db: PgPool) -> anyhow::Result<()> {
    let before = limited(&db, &format!("{FAST}{ONE_PER_KEY}")).await?;
    enqueue_all(&before, (0..20).map(|n| keyed(&n.to_string(), "k"))).await?;
    let running = claim(&db, "default", 5).await?;
    let parked = count(&db, "parked_gate IS NOT NULL").await?;
    settle(&db, "default", &running).await?;

    let after = limited(&db, FAST).await?;
    let (workers, _) = work(&after).await?;

    assert_eq!((running.len(), parked), (1, 19));
    until("they have run", || async {
        Ok(count(&db, "true").await? == 0)
    })
    .await?;
    workers.drain().await;
    Ok(())
}
