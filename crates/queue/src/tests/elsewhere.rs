//! A process beside the fleet, such as a command with another `jobs.toml` or none: it acts on kinds and queues that only
//! other processes have.

use std::sync::Arc;

use serde_json::{json, value::to_raw_value};
use sqlx::PgPool;

use super::fixture::{FAST, actor, engine, in_state, job, registry, succeed, work};
use crate::{
    Database, EnqueueError, EnqueueOutcome, KindInfo, NewJob, Queue, ReplayRequest, Selection,
    Source, config::Config,
};

/// A kind and a queue that nothing but this file knows of.
const BILLING: &str = r#"
[queues.bulk]
concurrency = 2
[kinds."billing.close"]
target = "https://app.example.com/close"
queue = "bulk"
priority = 2
key = "account_id"
unique = { fields = ["account_id"] }
"#;

/// A process without a file that has registered nothing.
fn stranger(db: &PgPool) -> Queue {
    let config = Arc::new(Config::builtin());
    Queue::new(Database::from_pool(db.clone()), config, []).expect("there is no schema to compile")
}

fn billing(db: &PgPool) -> Queue {
    let config = Config::parse(BILLING, &[])
        .expect("the test's configuration is right")
        .config;
    let info = registry().kinds().next().cloned();
    let kind = KindInfo {
        name: "billing.close".into(),
        schema: Arc::new(json!(true)),
        ..info.expect("the fixture has kinds")
    };
    Queue::new(Database::from_pool(db.clone()), Arc::new(config), [kind])
        .expect("the schema compiles")
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_person_may_enqueue_a_kind_of_another_process_and_a_client_may_not(
    db: PgPool,
) -> anyhow::Result<()> {
    engine(&db, FAST).announce().await?;
    let stranger = stranger(&db);
    let by = |source, kind: &str| NewJob {
        source,
        kind: kind.into(),
        ..succeed("x")
    };

    let by_person = stranger.enqueue(by(Source::Cli, "test.work"), None).await;
    let by_client = stranger.enqueue(by(Source::Http, "test.work"), None).await;
    let unheard_of = stranger.enqueue(by(Source::Cli, "test.none"), None).await;

    assert_eq!(by_person?.outcome, EnqueueOutcome::Created);
    for refused in [by_client, unheard_of] {
        assert!(
            matches!(refused, Err(EnqueueError::UnknownKind { .. })),
            "{refused:?}"
        );
    }
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_job_of_another_process_kind_is_stored_as_that_process_would(
    db: PgPool,
) -> anyhow::Result<()> {
    let fleet = billing(&db);
    fleet.announce().await?;
    let close = || {
        let payload = to_raw_value(&json!({"account_id": 7})).expect("a value is JSON");
        NewJob::new("billing.close", payload, Source::Cli)
    };

    let first = stranger(&db)
        .enqueue_batch(vec![(close(), None)], true)
        .await?
        .remove(0)?;
    let second = fleet.enqueue(close(), None).await?;

    let stored = fleet.job(first.id, None).await?.summary;
    assert_eq!((stored.queue.as_str(), stored.priority), ("bulk", 2));
    assert_eq!(stored.key.as_deref(), Some("7"));
    assert_eq!(
        (second.id, second.outcome),
        (first.id, EnqueueOutcome::Deduplicated)
    );
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn letters_of_another_process_kind_and_queue_are_replayed(db: PgPool) -> anyhow::Result<()> {
    let fleet = engine(&db, &format!("{FAST}[queues.bulk]\nconcurrency = 2\n"));
    let (workers, _) = work(&fleet).await?;
    let fails = NewJob {
        queue: Some("bulk".to_owned()),
        ..job(&json!({"do": "fail", "class": "invalid"}))
    };
    let id = fleet.enqueue(fails, None).await?.id;
    in_state(&fleet, id, "dead").await?;
    let request = ReplayRequest {
        selection: Selection::Ids(vec![id]),
        dry_run: false,
        patch: Some(json!({"do": "succeed", "class": null, "name": "mended"})),
        reason: None,
    };

    let answer = stranger(&db).replay(request, &actor()).await?;
    let letter = fleet.dead_letter(id, None).await?;

    assert_eq!((answer.will_enqueue, answer.skipped.len()), (1, 0));
    let replayed = letter.summary.job.replayed_as.expect("it was replayed");
    let done = in_state(&fleet, replayed, "succeeded").await?;
    assert_eq!(done.summary.queue, "bulk");
    workers.drain().await;
    Ok(())
}
