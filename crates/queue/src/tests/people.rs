//! What people see and do: lists, keys, the audit.

use std::time::Duration;

use sqlx::PgPool;

use super::fixture::{FAST, actor, engine, succeed};
use crate::{JobFilter, NewJob, NewKey, PageRequest, Start};

#[sqlx::test(migrations = "../../migrations")]
async fn lists_page_from_the_newest_to_the_oldest_without_a_gap(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let mut ids = Vec::new();
    for n in 0..7 {
        ids.push(queue.enqueue(succeed(&n.to_string()), None).await?.id);
    }
    ids.reverse();

    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = queue
            .jobs(&JobFilter::default(), &PageRequest::new(Some(3), cursor)?)
            .await?;
        seen.extend(page.items.iter().map(|job| job.id));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }

    assert_eq!(seen, ids);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_key_works_until_it_is_revoked_and_only_its_hash_is_stored(
    db: PgPool,
) -> anyhow::Result<()> {
    use secrecy::ExposeSecret;
    let queue = engine(&db, FAST);
    let request = NewKey {
        name: "ci".to_owned(),
        scopes: vec!["read".to_owned()],
        tenant: None,
        expires_at: None,
    };
    let (key, secret) = queue.create_key(request, &actor()).await?;

    let known = queue.authenticate(secret.expose_secret()).await?;
    queue.revoke_key(key.id, &actor()).await?;
    let after = queue.authenticate(secret.expose_secret()).await?;

    assert_eq!(
        known.map(|key| key.scopes.to_vec()),
        Some(vec!["read".to_owned()])
    );
    assert!(after.is_none());
    let stored: String = sqlx::query_scalar("SELECT row_to_json(k)::text FROM millpond.api_keys k")
        .fetch_one(&db)
        .await?;
    assert!(!stored.contains(secret.expose_secret()));
    let audit = queue.audit(&PageRequest::new(None, None)?, None).await?;
    assert_eq!(
        audit
            .items
            .iter()
            .map(|entry| entry.action.as_str())
            .collect::<Vec<_>>(),
        ["key.revoke", "key.create"]
    );
    Ok(())
}

// Fails when an action is committed before it is noted, or without that.
#[sqlx::test(migrations = "../../migrations")]
async fn what_cannot_be_noted_is_not_done(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    queue.announce().await?;
    let mut ids = Vec::new();
    for name in ["a", "b"] {
        let later = NewJob {
            start: Start::After(Duration::from_secs(3_600)),
            ..succeed(name)
        };
        ids.push(queue.enqueue(later, None).await?.id);
    }
    sqlx::raw_sql("ALTER TABLE millpond.audit ADD CONSTRAINT full_up CHECK (false) NOT VALID")
        .execute(&db)
        .await?;

    let cancelled = queue.cancel(ids[0], &actor()).await;
    let made_ready = queue.run_now(ids[1], &actor()).await;
    let paused = queue.pause_queue("default", None, None, &actor()).await;

    assert!(cancelled.is_err() && made_ready.is_err() && paused.is_err());
    for id in ids {
        assert_eq!(queue.job(id, None).await?.summary.state, "scheduled");
    }
    let queues = queue.queues(None).await?;
    assert!(queues.iter().all(|queue| queue.paused.is_none()));
    Ok(())
}
