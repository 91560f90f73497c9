//! Answers that are used again, shared and forgotten.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use futures::future::join_all;
use providers::{Detail, Error as ProviderError};
use tokio::{sync::Notify, task::yield_now, time::timeout};

use super::*;
use crate::sync::{CacheKey, CacheOf, Cached};

fn key(scene: &Scene, sort: Cached, name: &str) -> CacheKey {
    CacheKey {
        of: CacheOf::Account(scene.account),
        sort,
        name: name.to_owned(),
    }
}

fn refused() -> ProviderError {
    ProviderError::Rejected {
        detail: Detail::default(),
    }
}

// Fails when an answer that is kept is asked for, or one that is too old is used.
#[sqlx::test(migrations = "../../migrations")]
async fn an_answer_is_used_again_until_it_is_too_old(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let key = key(&scene, Cached::Metrics, "campaign 7");
    let answer = json!({"clicks": 7, "note": "a\0b"});

    let first = scene.syncs.cached(&key, async { Ok(answer.clone()) }).await;
    let second = scene.syncs.cached(&key, async { Err(refused()) }).await;
    let good_for = scene.texts(
        "SELECT round(extract(epoch FROM expires_at - now()) / 60)::text FROM marketing.cache",
    );
    let good_for = good_for.await?;
    scene
        .run("UPDATE marketing.cache SET expires_at = now()")
        .await?;
    let third = scene.syncs.cached(&key, async { Err(refused()) }).await;

    assert_eq!(first.ok(), Some(answer));
    assert_eq!(second.ok(), Some(json!({"clicks": 7, "note": "ab"})));
    assert_eq!(good_for, ["5"]);
    assert!(matches!(third, Err(ProviderError::Rejected { .. })));
    Ok(())
}

// Fails when two who ask for the same at the same time both ask the platform.
#[sqlx::test(migrations = "../../migrations")]
async fn who_asks_for_the_same_at_the_same_time_shares_one_call(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let key = key(&scene, Cached::Campaigns, "page 1");
    let (calls, release) = (AtomicUsize::new(0), Notify::new());
    let ask = || {
        scene.syncs.cached(&key, async {
            calls.fetch_add(1, Ordering::SeqCst);
            release.notified().await;
            Ok(json!(["7"]))
        })
    };
    let all_are_there = async {
        while scene.syncs.flights().aboard(&key) < 5 {
            yield_now().await;
        }
        release.notify_one();
    };

    let together = async { tokio::join!(join_all((0..5).map(|_| ask())), all_are_there) };
    let (answers, ()) = timeout(Duration::from_secs(10), together).await?;

    assert_eq!(calls.load(Ordering::SeqCst), 1);
    for answer in answers {
        assert_eq!(answer.ok(), Some(json!(["7"])));
    }
    assert_eq!(scene.syncs.flights().aboard(&key), 0);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn answers_are_forgotten_by_account_and_pattern(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let other = scene.of(account(&db, "acme", "102").await?);
    for key in [
        key(&scene, Cached::Campaigns, "7"),
        key(&scene, Cached::Campaigns, "8_1"),
        key(&scene, Cached::Metrics, "7"),
        key(&other, Cached::Campaigns, "7"),
        key(&other, Cached::Metrics, "7"),
    ] {
        scene.syncs.cache_put(&key, &json!(1)).await?;
    }

    let account = Some(CacheOf::Account(scene.account));
    let literal = scene.syncs.cache_invalidate(account, "campaigns:_").await?;
    let of_account = scene.syncs.cache_invalidate(account, "campaigns:*").await?;
    let of_all = scene.syncs.cache_invalidate(None, "metrics:7").await?;

    assert_eq!((literal, of_account, of_all), (0, 2, 2));
    assert_eq!(scene.count("cache").await?, 1);
    Ok(())
}
