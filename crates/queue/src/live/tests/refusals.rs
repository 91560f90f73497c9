//! What a process cannot run with does not come into force there, wherever it comes from.

use std::{sync::Arc, time::Duration};

use futures::FutureExt;
use serde_json::json;
use sqlx::PgPool;

use super::{
    HOUR, apply, concurrency, count, front_door, member, new, nowhere, process, set, slots, source,
    start_with,
};
use crate::{
    AdminError, Follower,
    config::Config,
    live::{ConfigStartError, FileSource},
    tests::fixture::{until, waiting_for_locks},
};

const SLOTS: &str = "queues.sync.concurrency";
const FORBIDDEN: &str = "[queues.forbidden]\n[queues.sync]\nconcurrency = 9\n";

// Fails when a revision takes effect with which the process could not start again.
#[sqlx::test(migrations = "../../migrations")]
async fn a_revision_that_the_process_cannot_run_with_is_told_and_what_held_holds(
    db: PgPool,
) -> anyhow::Result<()> {
    let start = process(&db, &slots(5)).await;
    let queue = front_door(&db, &start);
    let (other, _) = member(&db, "").await;
    let follower = Follower::start(queue.clone(), start);

    apply(&other, new(FORBIDDEN)).await?;
    until("it is told", || async { Ok(queue.has_rejected_config()) }).await?;
    let status = queue.config_status().await?;
    let during = concurrency(&queue);
    apply(&other, new(&slots(7))).await?;
    until("the next one holds", || async {
        Ok(concurrency(&queue) == 7)
    })
    .await?;

    let rejected = status.rejected.expect("it was told");
    assert_eq!(rejected.source, "revision 2");
    assert_eq!(rejected.problems, ["revision 2: the queue is forbidden"]);
    assert_eq!((status.in_force.revision, during), (Some(1), 5));
    assert!(!queue.has_rejected_config());
    follower.stop().await;
    Ok(())
}

// Fails when a start knows the newest revision and its own file alone.
#[sqlx::test(migrations = "../../migrations")]
async fn a_start_takes_the_newest_revision_that_the_process_can_run_with(
    db: PgPool,
) -> anyhow::Result<()> {
    process(&db, &slots(1)).await;
    let (other, _) = member(&db, "").await;
    apply(&other, new(&slots(2))).await?;
    apply(&other, new(FORBIDDEN)).await?;
    apply(&other, new(&slots(101))).await?;

    let start = process(&db, &slots(1)).await;
    let queue = front_door(&db, &start);
    let (away, later) = {
        let start = process(&nowhere(), &slots(1)).await;
        (front_door(&db, &start), start)
    };
    let follower = Follower::start(away.clone(), later);
    let within = Duration::from_secs(20);
    tokio::time::timeout(within, follower.caught_up()).await?;

    for queue in [&queue, &away] {
        let in_force = queue.in_force();
        assert_eq!((in_force.revision, concurrency(queue)), (Some(2), 2));
        let rejected = queue.rejected_config().expect("the newest is told");
        assert_eq!(rejected.source, "revision 4");
    }
    follower.stop().await;
    Ok(())
}

// Fails when a process runs with what it cannot run with, or with defaults that delete what a revision keeps.
#[sqlx::test(migrations = "../../migrations")]
async fn a_process_that_can_run_with_nothing_that_holds_does_not_start_and_says_why(
    db: PgPool,
) -> anyhow::Result<()> {
    let refused = async |source: FileSource| match start_with(&db, source).await {
        Ok(_) => panic!("it starts"),
        Err(ConfigStartError::Unsuitable { origin, reasons }) => (origin, reasons),
        Err(error) => panic!("{error:?}"),
    };
    let picky = || FileSource {
        check: Arc::new(|_: &Config| vec!["nobody is named as sender".to_owned()]),
        ..source(None)
    };

    let (by_defaults, no_sender) = refused(picky()).await;
    let (by_file, forbidden) = refused(source(Some(FORBIDDEN))).await;
    let kept = count(&db, "SELECT count(*) FROM millpond.config_revisions").await?;
    let (other, _) = member(&db, "").await;
    apply(&other, new(FORBIDDEN)).await?;
    let (by_revision, told) = refused(source(None)).await;

    assert!(
        by_defaults.starts_with("the built-in defaults"),
        "{by_defaults}"
    );
    assert_eq!(no_sender, ["nobody is named as sender"]);
    assert_eq!(by_file, "/nowhere/jobs.toml");
    assert_eq!((forbidden.len(), kept), (1, 0));
    assert!(by_revision.starts_with("revision 1 "), "{by_revision}");
    assert_eq!(told, ["revision 1: the queue is forbidden"]);
    Ok(())
}

// Fails when a process that found no database begins its work by the defaults though it could run with nothing that holds.
#[sqlx::test(migrations = "../../migrations")]
async fn a_process_that_finds_out_later_waits_until_it_can_run_with_something(
    db: PgPool,
) -> anyhow::Result<()> {
    let (other, _) = member(&db, "").await;
    apply(&other, new(FORBIDDEN)).await?;
    let start = start_with(&nowhere(), source(None)).await;
    let start = start.unwrap_or_else(|error| panic!("{error:?}"));
    let queue = front_door(&db, &start);
    let follower = Follower::start(queue.clone(), start);

    until("it is told", || async { Ok(queue.has_rejected_config()) }).await?;
    let early = follower.caught_up().now_or_never();
    apply(&other, new(&slots(4))).await?;
    tokio::time::timeout(Duration::from_secs(20), follower.caught_up()).await?;

    assert!(early.is_none());
    assert_eq!(concurrency(&queue), 4);
    follower.stop().await;
    Ok(())
}

// Fails when a process that found no database at its start begins by what its own file says.
#[sqlx::test(migrations = "../../migrations")]
async fn a_process_has_caught_up_when_it_goes_by_what_the_database_says(
    db: PgPool,
) -> anyhow::Result<()> {
    process(&db, &slots(3)).await;
    let (other, _) = member(&db, "").await;
    apply(&other, new(&slots(9))).await?;
    let start = process(&nowhere(), &slots(3)).await;
    let queue = front_door(&db, &start);
    let mut lock = db.begin().await?;
    sqlx::query("LOCK TABLE millpond.config_state IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *lock)
        .await?;

    let follower = Follower::start(queue.clone(), start);
    until("it waits for the answer", || async {
        Ok(waiting_for_locks(&db).await? > 0)
    })
    .await?;
    let (early, before) = (follower.caught_up().now_or_never(), concurrency(&queue));
    lock.rollback().await?;
    tokio::time::timeout(Duration::from_secs(20), follower.caught_up()).await?;

    assert_eq!((early, before), (None, 3));
    assert_eq!(concurrency(&queue), 9);
    follower.stop().await;
    Ok(())
}

// Fails when overrides are laid over a text without a look at what the process can run with.
#[sqlx::test(migrations = "../../migrations")]
async fn an_override_that_a_process_cannot_run_with_is_refused_and_has_no_effect_there(
    db: PgPool,
) -> anyhow::Result<()> {
    let start = process(&db, &slots(5)).await;
    let queue = front_door(&db, &start);
    let (other, _) = member(&db, "").await;
    let follower = Follower::start(queue.clone(), start);

    let refused = set(&queue, SLOTS, json!(500), HOUR).await;
    set(&other, SLOTS, json!(500), HOUR).await?;
    until("it is seen", || async {
        Ok(!queue.in_force().ignored.is_empty())
    })
    .await?;

    assert!(matches!(
        refused,
        Err(AdminError::Invalid { pointer, message })
            if pointer == "/value" && message == "sync has more slots than the machine"
    ));
    let in_force = queue.in_force();
    assert_eq!(concurrency(&queue), 5);
    assert!(in_force.overrides.is_empty());
    assert_eq!(
        in_force.ignored[0].problem,
        "sync has more slots than the machine"
    );
    follower.stop().await;
    Ok(())
}
