//! What becomes of accounts that a grant is found to reach after it was connected, and of what other grants reach.

use super::*;
use crate::accounts::{
    AccountFilter, AccountKind, AccountStatus, ConnectionId, Extent, FoundAccount, discover::Found,
};

/// Connects while the platform does not tell what the grant reaches.
async fn connected_unseen(scene: &Scene, token: &str) -> anyhow::Result<ConnectionId> {
    let nothing = Found::default();
    let grant = scene.grant(token);
    let kept = scene.accounts.keep(&grant, None, nothing, &actor()).await?;
    Ok(kept.connection)
}

/// How grants stand, and whether they have secrets, in the order of their making.
async fn grants(db: &PgPool) -> anyhow::Result<Vec<(String, bool)>> {
    let grants = "SELECT status, access_token IS NOT NULL FROM marketing.connections ORDER BY id";
    Ok(sqlx::query_as(grants).fetch_all(db).await?)
}

fn grant(status: &str, has_secrets: bool) -> (String, bool) {
    (status.to_owned(), has_secrets)
}

// Fails when accounts whose owner has connected them again stay held with the spent grant, because their platform did not tell
// at that moment what the new one reaches.
#[sqlx::test(migrations = "../../migrations")]
async fn what_is_connected_again_goes_over_as_soon_as_its_platform_tells(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let account = scene.connected("first").await?;
    let seen = scene.accounts.token(account, &OpenDoor).await?.seen;
    scene
        .accounts
        .needs_reauth(seen, "it is spent", &actor())
        .await?;
    let anew = connected_unseen(&scene, "second").await?;
    let held_before = held(&db).await?;

    let new = scene.accounts.discover(anew, &OpenDoor, &actor()).await?;

    let stands = scene.accounts.get(account, None).await?;
    assert_eq!((held_before.len(), new), (2, 0));
    assert_eq!(
        (stands.connection, stands.status),
        (anew, AccountStatus::Active)
    );
    assert!(held(&db).await?.is_empty());
    let expected = [grant("disconnected", false), grant("active", true)];
    assert_eq!(grants(&db).await?, expected);
    Ok(())
}

// Fails when a grant that is listed late brings back what somebody has disconnected since it was given.
#[sqlx::test(migrations = "../../migrations")]
async fn what_was_disconnected_meanwhile_stays_that(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let account = scene.connected("first").await?;
    let anew = connected_unseen(&scene, "second").await?;
    scene
        .accounts
        .disconnect(account, Extent::Account, "not this one", &actor())
        .await?;

    scene.accounts.discover(anew, &OpenDoor, &actor()).await?;

    let page = queue::PageRequest::new(None, None)?;
    let filter = AccountFilter {
        connection: Some(anew),
        ..AccountFilter::default()
    };
    let list = scene.accounts.list(&filter, &page).await?;
    let stands: Vec<(&str, AccountStatus)> = list
        .items
        .iter()
        .map(|it| (it.external_id.as_str(), it.status))
        .collect();
    assert_eq!(
        stands,
        [
            ("101", AccountStatus::Disconnected),
            ("102", AccountStatus::Active)
        ]
    );
    Ok(())
}

// Fails when the secrets stay for ever that somebody's first try has left, or when that try takes back what the second one has
// connected.
#[sqlx::test(migrations = "../../migrations")]
async fn a_first_try_whose_accounts_came_with_the_second_one_loses_its_secrets(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let first = connected_unseen(&scene, "first").await?;
    let account = scene.connected("second").await?;
    for at_linkedin in [
        "UPDATE marketing.connections SET platform = 'linkedin'",
        "UPDATE marketing.accounts SET platform = 'linkedin'",
    ] {
        sqlx::query(at_linkedin).execute(&db).await?;
    }
    let found = vec![FoundAccount::from(ad_account("101"))];
    let all = Some(AccountKind::AdAccount);

    let new = scene
        .accounts
        .keep_found(first, found, all, &actor())
        .await?;

    assert_eq!(new, 0);
    assert_ne!(scene.accounts.get(account, None).await?.connection, first);
    let expected = [grant("disconnected", false), grant("active", true)];
    assert_eq!(grants(&db).await?, expected);
    Ok(())
}

// Fails when one wrong answer of a platform's stops all syncs of a grant until the next day.
#[sqlx::test(migrations = "../../migrations")]
async fn an_empty_list_is_not_believed(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let account = scene.connected("first").await?;
    let connection = scene.accounts.get(account, None).await?.connection;
    scene.platform.known().accounts.clear();

    scene
        .accounts
        .discover(connection, &OpenDoor, &actor())
        .await?;

    let stands = scene.accounts.get(account, None).await?;
    assert_eq!(stands.vanished_at, None);
    assert!(stands.is_synced());
    Ok(())
}

// Fails when a refresh token that is good for once is used up for tokens that nobody keeps.
#[sqlx::test(migrations = "../../migrations")]
async fn what_a_refresh_token_is_exchanged_for_is_kept_though_its_platform_says_no_more(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    {
        let mut known = scene.platform.known();
        (known.rotates, known.is_away) = (true, true);
    }

    let connected = scene.accounts.connect(new_grant(""), &actor()).await?;
    scene.platform.known().is_away = false;
    let found = scene
        .accounts
        .discover(connected.connection, &OpenDoor, &actor())
        .await?;

    assert!(connected.accounts.is_empty());
    assert_eq!(found, 2);
    Ok(())
}
