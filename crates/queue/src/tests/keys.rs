//! Unique keys over a job's life, and in SQL.

use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use super::fixture::{FAST, engine, job, succeed};
use crate::{
    EnqueueError, EnqueueOutcome, JobState, NewJob, OnConflict, Queue, Unique,
    store::{
        claim::{self, Claim, ClaimedRow},
        settle::{self, Again, Ended},
    },
};

/// A rule over some fields of the payload.
const RULE: &str = r#"
[kinds."test.work"]
unique = { fields = ["name", "/n"], while = ["scheduled", "ready", "running", "retrying"], on_conflict = "keep" }"#;

fn unique(name: &str, on_conflict: OnConflict, states: &[JobState]) -> NewJob {
    NewJob {
        unique: Some(Unique {
            key: "u".to_owned(),
            states: states.to_vec(),
            on_conflict,
        }),
        ..succeed(name)
    }
}

const WAITING: [JobState; 3] = [JobState::Scheduled, JobState::Ready, JobState::Retrying];
const ALWAYS: [JobState; 4] = [
    JobState::Scheduled,
    JobState::Ready,
    JobState::Running,
    JobState::Retrying,
];

async fn claimed(db: &PgPool, most: usize) -> anyhow::Result<Vec<ClaimedRow>> {
    let kinds = ["test.work".to_owned()];
    let claim = Claim {
        queue: "default",
        worker: Uuid::new_v4(),
        ttl_seconds: 60.0,
        kinds: &kinds,
    };
    Ok(claim::next(db, &claim, most).await?)
}

async fn fail(db: &PgPool, rows: &[ClaimedRow]) -> anyhow::Result<()> {
    let count = rows.len();
    let ended = Ended {
        ids: rows.iter().map(|row| row.id).collect(),
        tokens: rows.iter().map(|row| row.token).collect(),
        outcomes: vec!["failed".to_owned(); count],
        classes: vec![None; count],
        errors: vec![None; count],
        progress: vec![None; count],
        ..Ended::default()
    };
    let again = Again {
        states: vec!["retrying".to_owned(); count],
        delays: vec![3_600.0; count],
        used: vec![true; count],
        held: vec![None; count],
    };
    let stored = settle::put_back(db, "default", &ended, &again).await?;
    anyhow::ensure!(stored.len() == count, "not all were put back");
    Ok(())
}

async fn holders(db: &PgPool) -> anyhow::Result<Vec<Uuid>> {
    let held = "SELECT id FROM millpond.jobs WHERE unique_key IS NOT NULL";
    Ok(sqlx::query_scalar(held).fetch_all(db).await?)
}

async fn enqueue_by_sql(db: &PgPool, payload: &Value) -> Result<Uuid, sqlx::Error> {
    sqlx::query_scalar("SELECT millpond.enqueue('test.work', $1)")
        .bind(payload)
        .fetch_one(db)
        .await
}

async fn announced(db: &PgPool, config: &str) -> anyhow::Result<Queue> {
    let queue = engine(db, config);
    queue.announce().await?;
    Ok(queue)
}

// Fails when a key that a claim takes away is lost for good.
#[sqlx::test(migrations = "../../migrations")]
async fn a_job_that_waits_again_takes_its_key_back(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let first = unique("one", OnConflict::Reject, &WAITING);
    let id = queue.enqueue(first, None).await?.id;

    let running = claimed(&db, 1).await?;
    let while_running = holders(&db).await?;
    fail(&db, &running).await?;
    let second = unique("two", OnConflict::Reject, &WAITING);
    let refused = queue.enqueue(second, None).await;

    assert!(while_running.is_empty());
    assert!(matches!(refused, Err(EnqueueError::Conflict { existing }) if existing == id));
    Ok(())
}

// Fails when two jobs that want the same key stop each other from being put back.
#[sqlx::test(migrations = "../../migrations")]
async fn of_two_jobs_put_back_together_one_takes_their_key(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let mut running = Vec::new();
    for name in ["one", "two"] {
        let job = unique(name, OnConflict::Reject, &WAITING);
        queue.enqueue(job, None).await?;
        running.extend(claimed(&db, 1).await?);
    }

    fail(&db, &running).await?;

    assert_eq!(holders(&db).await?.len(), 1);
    Ok(())
}

// Fails when the one behind, or the one before it, is put back with a key that the other has.
#[sqlx::test(migrations = "../../migrations")]
async fn a_job_with_one_behind_it_waits_again_without_its_key(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let job = |name| unique(name, OnConflict::OneBehind, &ALWAYS);
    queue.enqueue(job("one"), None).await?;
    let running = claimed(&db, 1).await?;
    let behind = queue.enqueue(job("two"), None).await?.id;

    fail(&db, &running).await?;

    assert_eq!(holders(&db).await?, [behind.0]);
    Ok(())
}

// Fails when a replaced job keeps what its old content had used up.
#[sqlx::test(migrations = "../../migrations")]
async fn a_replaced_job_has_all_its_attempts_before_it(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let id = queue
        .enqueue(unique("one", OnConflict::Replace, &ALWAYS), None)
        .await?
        .id;
    fail(&db, &claimed(&db, 1).await?).await?;

    let used_before = queue.job(id, None).await?.summary.attempts_used;
    let second = queue
        .enqueue(unique("two", OnConflict::Replace, &ALWAYS), None)
        .await?;
    let used_after = queue.job(id, None).await?.summary.attempts_used;

    assert_eq!(second.outcome, EnqueueOutcome::Replaced);
    assert_eq!((used_before, used_after), (1, 0));
    Ok(())
}

// Fails when a holder that can neither be stored beside nor be found is asked for without end.
#[sqlx::test(migrations = "../../migrations")]
async fn a_key_that_is_never_free_and_never_held_ends_in_a_refusal(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = announced(&db, FAST).await?;
    sqlx::raw_sql(
        "CREATE FUNCTION vanish() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
         CREATE TRIGGER vanish BEFORE INSERT ON millpond.jobs FOR EACH ROW EXECUTE FUNCTION vanish()",
    )
    .execute(&db)
    .await?;

    let by_client = queue
        .enqueue(unique("one", OnConflict::Keep, &ALWAYS), None)
        .await;
    let by_sql = enqueue_by_sql(&db, &json!({"do": "panic"})).await;

    assert!(matches!(by_client, Err(EnqueueError::Overloaded { .. })));
    let code = by_sql.expect_err("it is not stored");
    assert_eq!(
        code.as_database_error().and_then(|e| e.code()).as_deref(),
        Some("40001")
    );
    Ok(())
}

// Fails when the two ways to enqueue make different keys of the same payload.
#[sqlx::test(migrations = "../../migrations")]
async fn both_ways_to_enqueue_make_the_same_key_of_the_same_payload(
    db: PgPool,
) -> anyhow::Result<()> {
    let client = announced(&db, RULE).await?;

    for name in ["caf\u{e9} \"x\"", "1.50", "", " a\u{1f}b "] {
        let payload = json!({"do": "succeed", "name": name});
        let by_client = client.enqueue(job(&payload), None).await?.id;
        let by_sql = enqueue_by_sql(&db, &payload).await?;

        assert_eq!(by_sql, by_client.0, "{name}");
    }
    Ok(())
}

// Fails when a value that each side would write in its own way becomes part of a key.
#[sqlx::test(migrations = "../../migrations")]
async fn an_object_makes_no_key_in_sql(db: PgPool) -> anyhow::Result<()> {
    announced(&db, RULE).await?;

    let refused = enqueue_by_sql(&db, &json!({"do": "succeed", "name": {"b": 1, "a": 2}})).await;

    let error = refused.expect_err("an object is no single value");
    assert!(error.to_string().contains("single values"), "{error}");
    Ok(())
}

// Fails when SQL takes what HTTP refuses.
#[sqlx::test(migrations = "../../migrations")]
async fn sql_holds_the_bounds_that_http_holds(db: PgPool) -> anyhow::Result<()> {
    announced(&db, FAST).await?;
    let many: serde_json::Map<String, Value> =
        (0..21).map(|n| (format!("t{n}"), json!("x"))).collect();
    let calls = [
        ("tags => $1", Value::Object(many)),
        ("tags => $1", json!({"n": "a\nb"})),
        ("tags => $1", json!({"": "a"})),
        ("tags => $1", json!([])),
        ("tenant => $1->>0", json!(["a\u{85}b"])),
        ("key => $1->>0", json!(["x".repeat(256)])),
    ];

    for (argument, value) in calls {
        let call =
            format!("SELECT millpond.enqueue('test.work', '{{\"do\":\"panic\"}}', {argument})");
        let refused = sqlx::query(&call).bind(&value).execute(&db).await;

        assert!(refused.is_err(), "{argument} {value}");
    }
    let members = json!({"do": "panic", "list": vec![0; 10_001]});
    assert!(enqueue_by_sql(&db, &members).await.is_err());
    assert!(enqueue_by_sql(&db, &json!({"do": "panic"})).await.is_ok());
    Ok(())
}
