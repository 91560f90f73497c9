//! Attempts of finished jobs: however the history stores them, people are shown all of them, and alike.

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use sqlx::{PgPool, types::Json};
use uuid::Uuid;

use super::fixture::{FAST, actor, engine, succeed};
use crate::{
    JobFilter, JobId, JobState, PageRequest, Queue,
    store::{
        claim::{self, Claim, ClaimedRow},
        settle::{self, Again, Ended},
    },
};

/// Makes all attempts.
const WORKER: Uuid = Uuid::from_u128(7);

async fn claim_one(db: &PgPool) -> anyhow::Result<ClaimedRow> {
    let kinds = ["test.work".to_owned()];
    let claim = Claim {
        queue: "default",
        worker: WORKER,
        ttl_seconds: 60.0,
        kinds: &kinds,
    };
    let job = claim::next(db, &claim, 1).await?.pop();
    job.context("a job is ready")
}

/// The end of an attempt, with the class of its failure and its error.
fn ended(job: &ClaimedRow, outcome: &str, class: Option<&str>, error: Option<&str>) -> Ended {
    Ended {
        ids: vec![job.id],
        tokens: vec![job.token],
        outcomes: vec![outcome.to_owned()],
        classes: vec![class.map(str::to_owned)],
        errors: vec![error.map(str::to_owned)],
        progress: vec![None],
        ..Ended::default()
    }
}

/// Has the next attempt fail; the job is ready again at once.
async fn fail(db: &PgPool, error: &str) -> anyhow::Result<()> {
    let job = claim_one(db).await?;
    let again = Again {
        states: vec!["ready".to_owned()],
        delays: vec![0.0],
        used: vec![true],
        held: Vec::new(),
    };
    let failed = ended(&job, "failed", Some("transient"), Some(error));
    let done = settle::put_back(db, "default", &failed, &again).await?;
    ensure!(done == [job.id], "the attempt was fenced off");
    Ok(())
}

/// An attempt as people are shown it, but for its times.
fn attempt(number: i32, outcome: &str, class: Option<&str>, error: Option<&str>) -> Value {
    json!({"number": number, "outcome": outcome, "error_class": class, "error": error, "worker": WORKER})
}

/// The attempts of a finished job as people are shown them. The times, which are taken out, are checked: each attempt has
/// both, and the last one those of the job.
async fn shown(queue: &Queue, id: JobId) -> anyhow::Result<Vec<Value>> {
    let job = queue.job(id, None).await?;
    if let Some(last) = job.attempts.last() {
        let (times, of_job) = (
            (last.started_at, last.finished_at),
            (job.summary.started_at, job.summary.finished_at),
        );
        ensure!(times == of_job, "{times:?} is not {of_job:?}");
    }
    let mut attempts = Vec::new();
    for attempt in &job.attempts {
        let mut attempt = serde_json::to_value(attempt)?;
        let fields = attempt.as_object_mut().context("an object")?;
        for time in ["started_at", "finished_at"] {
            let time = fields.remove(time).context("a time")?;
            ensure!(time.is_string(), "{time} is no time");
        }
        attempts.push(attempt);
    }
    Ok(attempts)
}

/// The latest failure of a job as its page and a list of its state show it, which must agree.
async fn failure(
    queue: &Queue,
    id: JobId,
    state: JobState,
) -> anyhow::Result<(Option<String>, Option<String>)> {
    let filter = JobFilter {
        state: Some(state),
        ..JobFilter::default()
    };
    let list = queue.jobs(&filter, &PageRequest::new(None, None)?).await?;
    let listed = list.items.into_iter().find(|job| job.id == id);
    let listed = listed.context("the job is in the list")?;
    let page = queue.job(id, None).await?.summary;
    let (page, listed) = (
        (page.error_class, page.error),
        (listed.error_class, listed.error),
    );
    ensure!(
        page == listed,
        "the page says {page:?}, the list {listed:?}"
    );
    Ok(page)
}

// Fails when the common job's attempt is a document again, or is shown without its number, times or worker.
#[sqlx::test(migrations = "../../migrations")]
async fn a_success_at_the_first_attempt_needs_no_document(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let id = queue.enqueue(succeed("x"), None).await?.id;
    let job = claim_one(&db).await?;

    settle::finish(
        &db,
        "default",
        &ended(&job, "succeeded", None, None),
        &[None],
    )
    .await?;

    let documents: Option<Value> = sqlx::query_scalar("SELECT attempts FROM millpond.job_history")
        .fetch_one(&db)
        .await?;
    assert_eq!(documents, None);
    assert_eq!(
        shown(&queue, id).await?,
        [attempt(1, "succeeded", None, None)]
    );
    Ok(())
}

// Fails when the failure before the success is shown as the job's.
#[sqlx::test(migrations = "../../migrations")]
async fn a_success_at_the_third_attempt_shows_both_failures_and_has_none(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let id = queue.enqueue(succeed("x"), None).await?.id;
    fail(&db, "first").await?;
    fail(&db, "second").await?;
    let job = claim_one(&db).await?;

    let result = Some(Json(json!({"rows": 3})));
    settle::finish(
        &db,
        "default",
        &ended(&job, "succeeded", None, None),
        &[result],
    )
    .await?;

    assert_eq!(
        shown(&queue, id).await?,
        [
            attempt(1, "failed", Some("transient"), Some("first")),
            attempt(2, "failed", Some("transient"), Some("second")),
            attempt(3, "succeeded", None, None),
        ]
    );
    assert_eq!(
        failure(&queue, id, JobState::Succeeded).await?,
        (None, None)
    );
    assert_eq!(queue.job(id, None).await?.result, Some(json!({"rows": 3})));
    Ok(())
}

// Fails when the reason of a cancellation is lost, or taken for that of another job of the same settlement.
#[sqlx::test(migrations = "../../migrations")]
async fn a_running_job_that_is_cancelled_shows_its_attempt_and_the_reason(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let silent = queue.enqueue(succeed("silent"), None).await?.id;
    let mut both = Ended::default();
    let first = claim_one(&db).await?;
    both.push_cancelled(first.id, first.token, None, None);
    let told = queue.enqueue(succeed("told"), None).await?.id;
    let second = claim_one(&db).await?;
    both.push_cancelled(second.id, second.token, None, None);
    both.errors[1] = Some("stopped by itself".to_owned());

    settle::finish(&db, "default", &both, &[None, None]).await?;

    assert_eq!(
        shown(&queue, silent).await?,
        [attempt(1, "cancelled", None, None)]
    );
    assert_eq!(
        shown(&queue, told).await?,
        [attempt(1, "cancelled", None, Some("stopped by itself"))]
    );
    assert_eq!(
        failure(&queue, silent, JobState::Cancelled).await?,
        (None, None)
    );
    assert_eq!(
        failure(&queue, told, JobState::Cancelled).await?.1,
        Some("stopped by itself".to_owned())
    );
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_job_that_was_cancelled_while_it_waited_shows_what_came_before(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let tried = queue.enqueue(succeed("tried"), None).await?.id;
    fail(&db, "first").await?;
    let never_ran = queue.enqueue(succeed("never ran"), None).await?.id;

    for id in [tried, never_ran] {
        queue.cancel(id, &actor()).await?;
    }

    let outcomes: Vec<String> = queue
        .job(tried, None)
        .await?
        .attempts
        .into_iter()
        .map(|attempt| attempt.outcome)
        .collect();
    assert_eq!(outcomes, ["failed"]);
    assert_eq!(
        failure(&queue, tried, JobState::Cancelled).await?.1,
        Some("first".to_owned())
    );
    assert_eq!(shown(&queue, never_ran).await?, Vec::<Value>::new());
    Ok(())
}

// Fails when rows of the release before this one, which knows no columns for an attempt, cannot be stored or read.
#[sqlx::test(migrations = "../../migrations")]
async fn rows_of_the_release_before_show_what_they_always_showed(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let id = JobId(Uuid::from_u128(1));
    sqlx::query(
        "INSERT INTO millpond.job_history
                (id, queue, kind, state, priority, run_at, created_at, started_at, attempts_used, payload, attempts)
         SELECT $1, 'default', 'test.work', 'cancelled', 5, now(), now(), now(), 2, '{}',
                jsonb_build_array(
                    jsonb_build_object('number', 1, 'started_at', now(), 'finished_at', now(), 'outcome', 'failed',
                        'error_class', 'transient', 'error', 'first', 'worker', $2::uuid),
                    jsonb_build_object('number', 2, 'started_at', now(), 'finished_at', now(), 'outcome', 'cancelled',
                        'error_class', NULL, 'error', 'stopped by itself', 'worker', $2::uuid))",
    )
    .bind(id.0)
    .bind(WORKER)
    .execute(&db)
    .await?;

    let attempts = shown(&queue, id).await?;

    assert_eq!(
        attempts,
        [
            attempt(1, "failed", Some("transient"), Some("first")),
            attempt(2, "cancelled", None, Some("stopped by itself")),
        ]
    );
    assert_eq!(
        failure(&queue, id, JobState::Cancelled).await?,
        (None, Some("stopped by itself".to_owned()))
    );
    Ok(())
}
