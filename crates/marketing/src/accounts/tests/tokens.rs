//! Tokens that are spent, refreshed and given anew, and what becomes of the jobs of their accounts.

use std::time::Duration;

use futures::future::join_all;
use providers::platform::Access;

use super::*;
use crate::accounts::{AccountStatus, AccountsError, Extent, Refreshed, vault::seal_tokens};

/// Uses an account's token, and tells with which it succeeded.
async fn use_token(scene: &Scene, account: AccountId) -> Result<String, AccountsError> {
    let platform = &scene.platform;
    let call = |access: Access| async move {
        let asked = platform.asked(&access.token);
        asked.map(|()| access.token.expose_secret().to_owned())
    };
    let accounts = &scene.accounts;
    accounts.with_fresh_token(account, &OpenDoor, call).await
}

async fn status(scene: &Scene, account: AccountId) -> anyhow::Result<AccountStatus> {
    Ok(scene.accounts.get(account, None).await?.status)
}

// Fails when a token that can be renewed costs its owner a visit.
#[sqlx::test(migrations = "../../migrations")]
async fn a_spent_token_is_renewed_and_the_call_made_again(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let account = scene.connected("first").await?;
    scene.platform.known().good.clear();

    let used = use_token(&scene, account).await?;

    assert_eq!(used, format!("fresh-1-{CANARY}"));
    assert_eq!(use_token(&scene, account).await?, used);
    assert_eq!(scene.platform.known().refreshes, 1);
    assert_eq!(status(&scene, account).await?, AccountStatus::Active);
    assert!(!scene.dumped().await?.contains(CANARY));
    Ok(())
}

// Fails when those who meet the same spent token each ask for a new one.
#[sqlx::test(migrations = "../../migrations")]
async fn of_many_that_meet_a_spent_token_one_renews_it(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let account = scene.connected("first").await?;
    scene.platform.known().good.clear();

    let used = join_all((0..8).map(|_| use_token(&scene, account))).await;

    for token in used {
        assert_eq!(token?, format!("fresh-1-{CANARY}"));
    }
    assert_eq!(scene.platform.known().refreshes, 1);
    Ok(())
}

// Fails when jobs of an account whose grant is gone are not held, are held for a time alone, or are not let go by a new
// grant.
#[sqlx::test(migrations = "../../migrations")]
async fn an_account_that_needs_its_owner_is_held_until_it_is_connected_again(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let account = scene.connected("first").await?;
    {
        let mut known = scene.platform.known();
        known.good.clear();
        known.refuses_refresh = true;
    }

    let spent = use_token(&scene, account).await;
    let while_spent = (status(&scene, account).await?, held(&db).await?);
    let endless: bool = sqlx::query_scalar("SELECT bool_and(until IS NULL) FROM millpond.holds")
        .fetch_one(&db)
        .await?;
    scene.connected("second").await?;
    let connected = (status(&scene, account).await?, held(&db).await?);

    assert!(spent.is_err_and(|error| error.is_spent_grant()));
    assert_eq!(while_spent.0, AccountStatus::NeedsReauth);
    assert!(while_spent.1.contains(&account.to_string()) && while_spent.1.len() == 2);
    assert!(endless);
    assert_eq!(connected, (AccountStatus::Active, Vec::new()));
    let history = scene.accounts.history(account).await?;
    let words: Vec<AccountStatus> = history.iter().map(|it| it.became).collect();
    let expected = [
        AccountStatus::Active,
        AccountStatus::NeedsReauth,
        AccountStatus::Active,
    ];
    assert_eq!(words, expected);
    assert!(history[1].reason.contains("the session has expired"));
    Ok(())
}

// Fails when an attempt that began with old tokens flags an account whose owner has just given new ones.
#[sqlx::test(migrations = "../../migrations")]
async fn what_is_said_of_old_tokens_says_nothing_of_new_ones(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let account = scene.connected("first").await?;
    let old = scene.accounts.token(account, &OpenDoor).await?.seen;
    let renewed = scene.accounts.refresh(old, &OpenDoor, &actor()).await?;

    let is_said = scene
        .accounts
        .needs_reauth(old, "it is spent", &actor())
        .await?;
    let again = scene.accounts.refresh(old, &OpenDoor, &actor()).await?;

    assert_eq!((renewed, is_said), (Refreshed::Anew, false));
    assert_eq!(again, Refreshed::Elsewhere);
    assert_eq!(status(&scene, account).await?, AccountStatus::Active);
    assert!(held(&db).await?.is_empty());
    Ok(())
}

// Fails when a refresh whose process died keeps all others from trying.
#[sqlx::test(migrations = "../../migrations")]
async fn the_right_to_refresh_ends_by_itself(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let account = scene.connected("first").await?;
    let seen = scene.accounts.token(account, &OpenDoor).await?.seen;
    sqlx::query(
        "UPDATE marketing.connections SET refresher = gen_random_uuid(), refresher_until = now() + interval '600 milliseconds'",
    )
    .execute(&db)
    .await?;

    let actor = actor();
    let refreshed = tokio::time::timeout(
        Duration::from_secs(20),
        scene.accounts.refresh(seen, &OpenDoor, &actor),
    );

    assert_eq!(refreshed.await??, Refreshed::Anew);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_token_that_ends_in_a_moment_is_renewed_before_it_is_used(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let account = scene.connected("first").await?;
    sqlx::query("UPDATE marketing.connections SET expires_at = now() + interval '1 minute'")
        .execute(&db)
        .await?;

    let token = scene.accounts.token(account, &OpenDoor).await?;

    let used = token.access.token.expose_secret();
    assert_eq!(used, format!("fresh-1-{CANARY}"));
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_grant_that_ends_soon_is_marked_and_its_jobs_go_on(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let account = scene.connected("first").await?;
    let seen = scene.accounts.token(account, &OpenDoor).await?.seen;

    let is_said = scene
        .accounts
        .expiring(seen, "it ends in 7 days", &actor())
        .await?;
    let marked = status(&scene, account).await?;
    scene.accounts.refresh_now(account, &actor()).await?;

    assert!(is_said);
    assert_eq!(marked, AccountStatus::Expiring);
    assert!(held(&db).await?.is_empty());
    assert_eq!(status(&scene, account).await?, AccountStatus::Active);
    Ok(())
}

// Fails when what only its owner can put off is not to be seen any more once the token is a new one.
#[sqlx::test(migrations = "../../migrations")]
async fn a_new_token_does_not_hide_what_only_the_owner_can_put_off(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let account = scene.connected("first").await?;
    let ends = |days: u8| {
        format!(
            "UPDATE marketing.connections SET data_access_expires_at = now() + interval '{days} days'"
        )
    };
    let mut stands = Vec::new();

    for days in [3, 60] {
        sqlx::query(&ends(days)).execute(&db).await?;
        let seen = scene.accounts.token(account, &OpenDoor).await?.seen;
        scene
            .accounts
            .expiring(seen, "it ends soon", &actor())
            .await?;
        scene.accounts.refresh_now(account, &actor()).await?;
        stands.push(status(&scene, account).await?);
    }

    assert_eq!(stands, [AccountStatus::Expiring, AccountStatus::Active]);
    Ok(())
}

// Fails when a token that works is called spent because Meta gives no other one for it now.
#[sqlx::test(migrations = "../../migrations")]
async fn a_token_that_works_and_is_not_renewed_goes_on_to_be_used(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let account = scene.connected("first").await?;
    scene.platform.known().refuses_refresh = true;

    let refreshed = scene.accounts.refresh_now(account, &actor()).await?;

    assert_eq!(refreshed, Refreshed::Refused);
    assert_eq!(use_token(&scene, account).await?, format!("first-{CANARY}"));
    assert_eq!(status(&scene, account).await?, AccountStatus::Active);
    assert!(held(&db).await?.is_empty());
    Ok(())
}

// Fails when asking for new tokens where a platform gives none costs the owner of a token that works a visit.
#[sqlx::test(migrations = "../../migrations")]
async fn what_cannot_be_renewed_stays_as_it_is(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let account = scene.connected("first").await?;
    // As LinkedIn gives it to most apps, and TikTok to all.
    sqlx::query("UPDATE marketing.connections SET platform = 'linkedin', refresh_token = NULL")
        .execute(&db)
        .await?;

    let refreshed = scene.accounts.refresh_now(account, &actor()).await?;

    assert_eq!(refreshed, Refreshed::Refused);
    assert_eq!(status(&scene, account).await?, AccountStatus::Active);
    assert!(held(&db).await?.is_empty());
    Ok(())
}

// Fails when whoever has just read that a grant ends soon lets the jobs go of one that was spent meanwhile.
#[sqlx::test(migrations = "../../migrations")]
async fn a_grant_that_is_spent_is_not_one_that_ends_soon(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let account = scene.connected("first").await?;
    let seen = scene.accounts.token(account, &OpenDoor).await?.seen;
    let accounts = &scene.accounts;
    accounts.needs_reauth(seen, "it is spent", &actor()).await?;

    let is_said = accounts
        .expiring(seen, "it ends in 7 days", &actor())
        .await?;

    assert!(!is_said);
    assert_eq!(status(&scene, account).await?, AccountStatus::NeedsReauth);
    assert_eq!(held(&db).await?.len(), 2);
    Ok(())
}

// Fails when a false alarm lasts until somebody connects again, and when what has ended, or was taken away, comes to life.
#[sqlx::test(migrations = "../../migrations")]
async fn a_grant_that_works_after_all_is_active_and_its_jobs_go_on(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let account = scene.connected("first").await?;
    let accounts = &scene.accounts;
    let seen = accounts.token(account, &OpenDoor).await?.seen;

    let was_active = accounts.works_after_all(seen, &actor()).await?;
    accounts.needs_reauth(seen, "it is spent", &actor()).await?;
    let mut works = Vec::new();
    for ago in [Some("1 hour"), None] {
        sqlx::query(
            "UPDATE marketing.connections SET data_access_expires_at = now() - $1::text::interval",
        )
        .bind(ago)
        .execute(&db)
        .await?;
        works.push(accounts.works_after_all(seen, &actor()).await?);
    }
    let working = (status(&scene, account).await?, held(&db).await?);
    let history = accounts.history(account).await?;
    accounts.needs_reauth(seen, "it is spent", &actor()).await?;
    Box::pin(accounts.disconnect(account, Extent::Grant, "left", &actor())).await?;
    let came_back = accounts.works_after_all(seen, &actor()).await?;

    assert!(!was_active && !came_back);
    assert_eq!(works, [false, true]);
    assert_eq!(working, (AccountStatus::Active, Vec::new()));
    let newest = history.iter().find(|it| it.reason.contains("valid"));
    assert_eq!(newest.map(|it| it.became), Some(AccountStatus::Active));
    let stands = status(&scene, account).await?;
    assert_eq!(stands, AccountStatus::Disconnected);
    Ok(())
}

/// Has an owner give other tokens at the moment when somebody gets the right to ask for new ones.
async fn given_anew_meanwhile(scene: &Scene, account: AccountId) -> anyhow::Result<()> {
    let connection = scene.accounts.get(account, None).await?.connection;
    let given = Grant {
        access_token: SecretString::from("given-meanwhile"),
        token_secret: None,
        refresh_token: Some(SecretString::from("refresh-given-meanwhile")),
    };
    let cipher = Cipher::read(&SecretString::from(KEY))?;
    let sealed = seal_tokens(&cipher, connection.0, &given).refresh_token;
    let sealed = hex::encode(sealed.unwrap_or_default());
    let give = format!(
        "CREATE FUNCTION give() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             UPDATE marketing.connections
                SET refresh_token = '\\x{sealed}', token_version = token_version + 1, refresher = NULL, refresher_until = NULL
              WHERE id = NEW.id;
             RETURN NULL;
         END $$"
    );
    sqlx::query(&give).execute(&scene.db).await?;
    let when = "CREATE TRIGGER give AFTER UPDATE ON marketing.connections FOR EACH ROW
                   WHEN (OLD.refresher IS NULL AND NEW.refresher IS NOT NULL) EXECUTE FUNCTION give()";
    sqlx::query(when).execute(&scene.db).await?;
    Ok(())
}

// Fails when tokens that an owner gives just then are used up for new ones that nobody stores: X's are good once.
#[sqlx::test(migrations = "../../migrations")]
async fn new_tokens_are_asked_for_with_those_that_the_right_was_got_for(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let account = scene.connected("first").await?;
    let seen = scene.accounts.token(account, &OpenDoor).await?.seen;
    given_anew_meanwhile(&scene, account).await?;

    let refreshed = scene.accounts.refresh(seen, &OpenDoor, &actor()).await?;

    assert_eq!(refreshed, Refreshed::Elsewhere);
    let asked_with = scene.platform.known().asked_with.clone();
    assert_eq!(asked_with, [format!("refresh-{CANARY}")]);
    Ok(())
}
