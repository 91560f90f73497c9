//! What has come too late for what it asks for is neither accepted nor replayed.

use serde_json::json;
use sqlx::PgPool;

use super::fixture::{FAST, actor, engine, in_state, together, work};
use crate::{EnqueueError, ReplayRequest, Selection};

// Fails when a conversion beyond its destination's window is accepted.
#[sqlx::test(migrations = "../../migrations")]
async fn what_has_come_too_late_is_not_accepted(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);

    let refused = queue.enqueue(together("late", "a"), None).await;

    let Err(EnqueueError::Payload(problems)) = refused else {
        panic!("it is refused: {refused:?}");
    };
    assert_eq!(problems[0].pointer, "/name");
    Ok(())
}

// Fails when a replay sends what its destination takes no more.
#[sqlx::test(migrations = "../../migrations")]
async fn a_dead_letter_that_has_become_too_late_is_not_replayed(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let (workers, _) = work(&queue).await?;
    let id = queue.enqueue(together("bad", "a"), None).await?.id;
    in_state(&queue, id, "dead").await?;

    let answer = queue
        .replay(
            ReplayRequest {
                selection: Selection::Ids(vec![id]),
                dry_run: true,
                patch: Some(json!({"name": "late"})),
                reason: None,
            },
            &actor(),
        )
        .await?;

    assert_eq!(answer.will_enqueue, 0);
    let reasons: Vec<&str> = answer.skipped.iter().map(|it| it.reason.as_str()).collect();
    assert_eq!(reasons, ["expired"]);
    workers.drain().await;
    Ok(())
}
