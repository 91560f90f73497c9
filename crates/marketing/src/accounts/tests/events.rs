//! How accounts stand, as others are told of it.

use serde_json::{Value, json};

use super::*;
use crate::accounts::{AccountKind, AccountStatus, FoundAccount};

/// What is told of the first account, in the order of its writing.
async fn told(scene: &Scene) -> anyhow::Result<Vec<Value>> {
    let sql = "SELECT e.data
                 FROM marketing.events e
                 JOIN marketing.accounts a ON a.id = e.account AND a.tenant = e.tenant
                WHERE a.external_id = '101' AND e.kind = 'account.status_changed' ORDER BY e.id";
    Ok(sqlx::query_scalar(sql).fetch_all(&scene.db).await?)
}

// Fails when nobody can be told that an account does not work any more, or works again.
#[sqlx::test(migrations = "../../migrations")]
async fn an_account_that_stands_differently_is_an_event(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let account = scene.connected("first").await?;
    let of_new = told(&scene).await?;
    let seen = scene.accounts.token(account, &OpenDoor).await?.seen;

    for _ in 0..2 {
        scene
            .accounts
            .needs_reauth(seen, "access was revoked", &actor())
            .await?;
    }
    scene.connected("second").await?;

    assert!(of_new.is_empty());
    assert_eq!(
        told(&scene).await?,
        [
            json!({ "was": "active", "became": "needs_reauth", "reason": "access was revoked" }),
            json!({ "was": "needs_reauth", "became": "active", "reason": "connected" }),
        ]
    );
    Ok(())
}

// Fails when whoever waits for accounts that must be connected again has to look through all that happens to them.
#[sqlx::test(migrations = "../../migrations")]
async fn an_account_that_must_be_connected_again_is_an_event_of_its_own(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let account = scene.connected("first").await?;
    let seen = scene.accounts.token(account, &OpenDoor).await?.seen;

    scene
        .accounts
        .needs_reauth(seen, "access was revoked", &actor())
        .await?;
    scene.connected("second").await?;

    let sql = "SELECT data FROM marketing.events WHERE kind = 'account.needs_reauth' ORDER BY data ->> 'external_id'";
    let told: Vec<Value> = sqlx::query_scalar(sql).fetch_all(&db).await?;
    let event =
        |id| json!({ "platform": "meta", "external_id": id, "reason": "access was revoked" });
    assert_eq!(told, [event("101"), event("102")]);
    Ok(())
}

// Fails when what somebody did to an account at its platform leaves no trace here.
#[sqlx::test(migrations = "../../migrations")]
async fn an_account_that_its_platform_shows_differently_is_an_event(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let account = scene.connected("first").await?;
    let connection = scene.accounts.get(account, None).await?.connection;
    let disabled = FoundAccount {
        kind: AccountKind::AdAccount,
        external_id: "101".to_owned(),
        name: "Account 101".to_owned(),
        currency: None,
        time_zone: None,
        manager: None,
        platform_status: Some("2".to_owned()),
    };

    for _ in 0..2 {
        scene
            .accounts
            .keep_found(connection, vec![disabled.clone()], None, &actor())
            .await?;
    }

    let event = json!({ "platform_was": "1", "platform_became": "2" });
    assert_eq!(told(&scene).await?, [event]);
    let history = scene.accounts.history(account).await?;
    assert_eq!(history.len(), 2);
    assert_eq!(history[0].became, AccountStatus::Active);
    assert_eq!(
        history[0].reason,
        "its platform shows it as 2, no longer as 1"
    );
    Ok(())
}

/// Answers that were kept: for each account and grant one, and one for an account that is not here.
const ANSWERS: &str = "INSERT INTO marketing.cache (account, key, value, expires_at)
    SELECT of, 'accounts:x', '1', now() + interval '1 hour'
      FROM (SELECT id FROM marketing.accounts UNION SELECT id FROM marketing.connections
             UNION SELECT '00000000-0000-7000-8000-00000000abcd') AS known (of)
    ON CONFLICT DO NOTHING";

// Fails when what a platform answered by tokens that are gone is used again.
#[sqlx::test(migrations = "../../migrations")]
async fn answers_are_forgotten_where_a_grant_is_given_anew_or_taken_away(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let account = scene.connected("first").await?;
    let left = async || -> anyhow::Result<i64> {
        let count = "SELECT count(*) FROM marketing.cache";
        Ok(sqlx::query_scalar(count).fetch_one(&db).await?)
    };
    sqlx::query(ANSWERS).execute(&db).await?;
    let kept = left().await?;

    let connection = scene.accounts.get(account, None).await?.connection;
    sqlx::query("UPDATE marketing.connections SET subject = 'person-7'")
        .execute(&db)
        .await?;
    let again = NewGrant {
        subject: Some("person-7".to_owned()),
        ..scene.grant("second")
    };
    scene.accounts.connect(again, &actor()).await?;
    let after_connecting = left().await?;
    sqlx::query(ANSWERS).execute(&db).await?;
    scene
        .accounts
        .disconnect_grant(connection, "a test", &actor())
        .await?;

    assert_eq!((kept, after_connecting, left().await?), (4, 1, 1));
    Ok(())
}
