//! What people see and do: lists, tenants, keys, the audit.

use sqlx::PgPool;

use super::fixture::{FAST, actor, engine, succeed};
use crate::{AdminError, JobFilter, NewJob, NewKey, PageRequest};

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
async fn a_tenant_finds_its_own_jobs_alone(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let mine = queue
        .enqueue(
            NewJob {
                tenant: Some("a".to_owned()),
                ..succeed("x")
            },
            None,
        )
        .await?
        .id;
    let theirs = queue
        .enqueue(
            NewJob {
                tenant: Some("b".to_owned()),
                ..succeed("y")
            },
            None,
        )
        .await?
        .id;
    let bound = crate::Actor {
        name: "a's key".to_owned(),
        tenant: Some("a".to_owned()),
    };

    assert!(queue.job(mine, Some("a")).await.is_ok());
    assert!(matches!(
        queue.job(theirs, Some("a")).await,
        Err(AdminError::NotFound)
    ));
    assert!(matches!(
        queue.cancel(theirs, &bound).await,
        Err(AdminError::NotFound)
    ));
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
