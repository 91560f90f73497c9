//! Held accounts: by people, by whoever knows what an account is, and by attempts that could not use one.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::PgPool;

use super::{claim_all, count, enqueue_all, limited, run};
use crate::{
    AdminError, Gate, JobId, NewHold, NewJob, Queue, Start,
    store::holds,
    tests::fixture::{FAST, actor, job, until, work},
};

/// What a job fails with is its account: that is all that a job of a test can name.
const ACCOUNTS: &str = "[kinds.\"test.work\"]\naccount = \"class\"\n";
const ACCOUNT: &str = "auth_expired";

/// A job whose account cannot be used.
fn spent() -> NewJob {
    job(&json!({"do": "fail", "class": ACCOUNT}))
}

async fn held(db: &PgPool) -> anyhow::Result<Vec<(String, String, Option<DateTime<Utc>>)>> {
    let holds = "SELECT reason, by, until FROM millpond.holds WHERE account = $1";
    Ok(sqlx::query_as(holds).bind(ACCOUNT).fetch_all(db).await?)
}

/// What is told of the gate of held accounts.
async fn gate(queue: &Queue, id: JobId) -> anyhow::Result<(bool, Option<DateTime<Utc>>)> {
    let told = queue.explain_job(id, None).await?;
    let gate = told.gates.iter().find(|it| it.gate == Gate::AccountHeld);
    let gate = gate.expect("every gate is told");
    Ok((gate.blocking, gate.until))
}

// Fails when the job waits by the clock, pays with an attempt, is not noted to be behind its gate, or is lost once the
// account is let go.
#[sqlx::test(migrations = "../../migrations")]
async fn a_job_whose_account_cannot_be_used_waits_ready_until_it_is_let_go(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = limited(&db, &format!("{FAST}{ACCOUNTS}")).await?;
    let id = queue.enqueue(spent(), None).await?.id;
    let is_behind = "state = 'ready' AND parked_gate = 'account_held' AND parked_for = 'auth_expired' AND attempts_used = 0";

    let (workers, _) = work(&queue).await?;
    until("it waits behind its gate", || async {
        Ok(count(&db, is_behind).await? == 1)
    })
    .await?;
    let holds = held(&db).await?;
    let told = gate(&queue, id).await?;
    let let_go = queue.release_account(ACCOUNT, &actor()).await?;
    until("it has tried again", || async {
        let again = format!("attempt = 2 AND {is_behind}");
        Ok(count(&db, &again).await? == 1)
    })
    .await?;
    workers.drain().await;

    assert_eq!(holds.len(), 1);
    let (reason, by, ends) = &holds[0];
    assert_eq!(
        (reason.as_str(), by.as_str()),
        ("told to fail", "a job of kind test.work")
    );
    assert!(ends.is_some_and(|end| end > Utc::now() + TimeDelta::minutes(14)));
    assert_eq!(told, (true, *ends));
    assert!(let_go);
    let attempts: Value = sqlx::query_scalar("SELECT attempts FROM millpond.jobs")
        .fetch_one(&db)
        .await?;
    let shown = |attempt: &Value| (attempt["outcome"].clone(), attempt["error_class"].clone());
    let shown: Vec<_> = attempts
        .as_array()
        .into_iter()
        .flatten()
        .map(shown)
        .collect();
    assert_eq!(shown, vec![(json!("snoozed"), json!("auth_expired")); 2]);
    Ok(())
}

// Fails when an attempt shortens or renames the hold of somebody who knows what the account is.
#[sqlx::test(migrations = "../../migrations")]
async fn an_attempt_changes_nothing_about_an_account_that_is_held(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = limited(&db, &format!("{FAST}{ACCOUNTS}")).await?;
    let (workers, _) = work(&queue).await?;
    let id = queue.enqueue(spent(), None).await?.id;
    until("an attempt held it", || async {
        Ok(held(&db).await?.len() == 1)
    })
    .await?;

    queue
        .hold_account(ACCOUNT, "connect it again", None, &actor())
        .await?;
    run(
        &db,
        "UPDATE millpond.jobs SET state = 'scheduled', run_at = now(), account = NULL, parked_gate = NULL, parked_for = NULL",
    )
    .await?;
    until("another attempt could not use it", || async {
        let again = "attempt = 2 AND parked_gate = 'account_held' AND account = 'auth_expired'";
        Ok(count(&db, again).await? == 1)
    })
    .await?;
    workers.drain().await;

    let expected = ("connect it again".to_owned(), actor().name, None);
    assert_eq!(held(&db).await?, [expected]);
    assert_eq!(gate(&queue, id).await?, (true, None));
    Ok(())
}

// Fails when a claim goes by the row alone, or when nobody takes away what has ended.
#[sqlx::test(migrations = "../../migrations")]
async fn a_hold_that_has_ended_keeps_nobody(db: PgPool) -> anyhow::Result<()> {
    let queue = limited(&db, ACCOUNTS).await?;
    enqueue_all(&queue, [spent(), spent()]).await?;
    let end = Utc::now() + TimeDelta::hours(1);
    queue
        .hold_account(ACCOUNT, "for an hour", Some(end), &actor())
        .await?;

    let before = claim_all(&db, "default", 10).await?;
    run(
        &db,
        "UPDATE millpond.holds SET until = now() - interval '1 second'",
    )
    .await?;
    let after = claim_all(&db, "default", 10).await?;
    let pruned = holds::prune(&db).await?;

    assert_eq!((before.len(), after.len(), pruned), (0, 2, 1));
    assert!(held(&db).await?.is_empty());
    Ok(())
}

// Fails when a hold and what it follows from can be told apart.
#[sqlx::test(migrations = "../../migrations")]
async fn a_hold_belongs_to_the_transaction_that_made_it(db: PgPool) -> anyhow::Result<()> {
    let queue = limited(&db, ACCOUNTS).await?;
    let accounts = [ACCOUNT.to_owned(), "other".to_owned()];
    let hold = NewHold {
        accounts: &accounts,
        reason: "both",
        until: None,
    };
    let mut given_up = db.begin().await?;
    Queue::hold_accounts_in(&mut given_up, &hold, &actor()).await?;
    given_up.rollback().await?;
    let nothing = held(&db).await?;

    let mut tx = db.begin().await?;
    Queue::hold_accounts_in(&mut tx, &hold, &actor()).await?;
    tx.commit().await?;
    let both = held(&db).await?;
    let mut tx = db.begin().await?;
    let released = Queue::release_accounts_in(&mut tx, &accounts, &actor()).await?;
    tx.commit().await?;
    queue.wake(&released);

    assert!(nothing.is_empty() && both.len() == 1);
    let mut freed = released.accounts().to_vec();
    freed.sort();
    assert_eq!(freed, accounts);
    let noted: Vec<(String, i64)> =
        sqlx::query_as("SELECT action, count FROM millpond.audit ORDER BY id")
            .fetch_all(&db)
            .await?;
    let expected = [("account.hold", 2), ("account.release", 2)];
    assert_eq!(
        noted,
        expected.map(|(action, count)| (action.to_owned(), count))
    );
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_waits_for_an_account_is_cancelled_wherever_it_waits(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = limited(&db, ACCOUNTS).await?;
    let later = NewJob {
        start: Start::After(std::time::Duration::from_secs(3_600)),
        ..spent()
    };
    let of_another = job(&json!({"do": "fail", "class": "invalid"}));
    enqueue_all(&queue, [spent()]).await?;
    claim_all(&db, "default", 1).await?;
    enqueue_all(&queue, [later, spent(), of_another]).await?;

    let accounts = [ACCOUNT.to_owned()];
    let cancelled = queue
        .cancel_waiting_of(&accounts, "disconnected", &actor())
        .await?;

    assert_eq!(cancelled, 2);
    assert_eq!(count(&db, "state = 'running'").await?, 1);
    assert_eq!(
        count(&db, "state = 'ready' AND account = 'invalid'").await?,
        1
    );
    assert_eq!(count(&db, "true").await?, 2);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_hold_that_makes_no_sense_is_refused(db: PgPool) -> anyhow::Result<()> {
    let queue = limited(&db, "").await?;
    let past = Utc::now() - TimeDelta::seconds(1);

    let ended = queue.hold_account("a", "late", Some(past), &actor()).await;
    let wordy = queue
        .hold_account("a", &"x".repeat(501), None, &actor())
        .await;

    assert!(matches!(ended, Err(AdminError::Invalid { .. })));
    assert!(matches!(wordy, Err(AdminError::Invalid { .. })));
    assert!(!queue.release_account("a", &actor()).await?);
    Ok(())
}
