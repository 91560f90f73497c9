//! What somebody who is bound to a tenant may do to another tenant's things: nothing.

use std::time::Duration;

use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use super::fixture::{FAST, actor, engine, in_state, job, succeed, work};
use crate::{
    Actor, AdminError, NewJob, PageRequest, ReplayRequest, Selection, Start,
    store::claim::{self, Claim},
};

/// Somebody whose key is bound to tenant "a".
fn bound() -> Actor {
    Actor {
        name: "a's key".to_owned(),
        tenant: Some("a".to_owned()),
    }
}

fn of(tenant: &str, job: NewJob) -> NewJob {
    NewJob {
        tenant: Some(tenant.to_owned()),
        ..job
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_tenant_finds_its_own_jobs_alone(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let mine = queue.enqueue(of("a", succeed("x")), None).await?.id;
    let theirs = queue.enqueue(of("b", succeed("y")), None).await?.id;

    let found = queue.job(mine, Some("a")).await;
    let hidden = queue.job(theirs, Some("a")).await;

    assert!(found.is_ok(), "{found:?}");
    assert!(matches!(hidden, Err(AdminError::NotFound)), "{hidden:?}");
    Ok(())
}

// Fails when an action changes a job of another tenant and only the answer says that there is none.
#[sqlx::test(migrations = "../../migrations")]
async fn a_job_of_another_tenant_stays_as_it_is(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let later = NewJob {
        start: Start::After(Duration::from_secs(3_600)),
        ..succeed("waits")
    };
    let waits = queue.enqueue(of("b", later), None).await?.id;
    let runs = queue.enqueue(of("b", succeed("runs")), None).await?.id;
    let kinds = ["test.work".to_owned()];
    let claim = Claim {
        queue: "default",
        worker: Uuid::new_v4(),
        ttl_seconds: 60.0,
        kinds: &kinds,
    };
    assert_eq!(claim::next(&db, &claim, 1).await?.len(), 1);

    for answer in [
        queue.cancel(waits, &bound()).await,
        queue.run_now(waits, &bound()).await,
        queue.cancel(runs, &bound()).await,
    ] {
        assert!(matches!(answer, Err(AdminError::NotFound)), "{answer:?}");
    }

    assert_eq!(queue.job(waits, None).await?.summary.state, "scheduled");
    let asked_to_stop: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM millpond.jobs WHERE cancel_requested_at IS NOT NULL",
    )
    .fetch_one(&db)
    .await?;
    assert_eq!(asked_to_stop, 0);
    let audit = queue.audit(&PageRequest::new(None, None)?, None).await?;
    assert!(audit.items.is_empty());
    Ok(())
}

// Fails when what is done to letters by their ids does not look whose they are.
#[sqlx::test(migrations = "../../migrations")]
async fn letters_of_another_tenant_are_neither_resolved_nor_replayed(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let (workers, _) = work(&queue).await?;
    let fails = job(&json!({"do": "fail", "class": "invalid"}));
    let id = queue.enqueue(of("b", fails), None).await?.id;
    in_state(&queue, id, "dead").await?;
    workers.drain().await;
    let named = || Selection::Ids(vec![id]);
    let request = ReplayRequest {
        selection: named(),
        dry_run: false,
        patch: None,
        reason: None,
    };

    let replayed = queue.replay(request, &bound()).await?;
    let discarded = queue.discard(named(), "not theirs", &bound()).await?;
    let by_operator = queue.discard(named(), "not wanted", &actor()).await?;
    let restored = queue.restore(named(), "not theirs", &bound()).await?;

    assert_eq!((replayed.matched, replayed.will_enqueue), (0, 0));
    assert_eq!((discarded, by_operator, restored), (0, 1, 0));
    let hidden = queue.dead_letter(id, Some("a")).await;
    assert!(matches!(hidden, Err(AdminError::NotFound)), "{hidden:?}");
    Ok(())
}
