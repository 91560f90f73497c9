//! Connecting, changing and disconnecting.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use providers::platform::Access;
use queue::PageRequest;
use serde_json::json;

use super::*;
use crate::accounts::{
    AccountChange, AccountFilter, AccountStatus, AccountsError, ConnectionId, Extent,
    discover::Found, signed_request::tests::signed,
};

fn page() -> PageRequest {
    PageRequest::new(None, None).expect("a page of 50")
}

// Fails when a token is stored as it came, in whatever table.
#[sqlx::test(migrations = "../../migrations")]
async fn what_a_grant_reaches_is_connected_and_no_token_stands_anywhere(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db);

    let connected = scene
        .accounts
        .connect(scene.grant("first"), &actor())
        .await?;

    let names: Vec<&str> = connected
        .accounts
        .iter()
        .map(|it| it.name.as_str())
        .collect();
    assert_eq!(names, ["Account 101", "Account 102"]);
    let first = &connected.accounts[0];
    assert_eq!(first.status, AccountStatus::Active);
    assert_eq!(first.scopes, ["ads_read"]);
    assert!(first.sync_enabled && first.notifications.token_expiry);
    let history = scene.accounts.history(first.id).await?;
    assert_eq!(
        (history.len(), history[0].was, history[0].became),
        (1, None, AccountStatus::Active)
    );
    let dumped = scene.dumped().await?;
    assert!(dumped.contains("Account 101") && dumped.contains("account.connect"));
    assert!(!dumped.contains(CANARY));
    assert!(!dumped.contains(&hex::encode(CANARY)));
    Ok(())
}

// Fails when a grant that does not work leaves something behind.
#[sqlx::test(migrations = "../../migrations")]
async fn a_grant_that_the_platform_refuses_is_not_stored(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);

    let refused = scene.accounts.connect(new_grant("unknown"), &actor()).await;
    let spaced = scene.accounts.connect(new_grant("a b"), &actor()).await;
    scene.platform.known().accounts.clear();
    let empty = scene.accounts.connect(scene.grant("first"), &actor()).await;

    for wrong in [refused, spaced, empty] {
        assert!(
            matches!(&wrong, Err(AccountsError::Invalid { pointer, .. }) if *pointer == "/access_token"),
            "{wrong:?}"
        );
    }
    let stored: i64 = sqlx::query_scalar("SELECT count(*) FROM marketing.connections")
        .fetch_one(&db)
        .await?;
    assert_eq!(stored, 0);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn our_own_wrong_set_up_is_told_as_that_and_no_account_is_to_blame(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let account = scene.connected("first").await?;
    scene.platform.known().is_misconfigured = true;

    let connecting = scene
        .accounts
        .connect(scene.grant("second"), &actor())
        .await;
    let client = scene.accounts.client(Platform::Meta)?;
    let list = |access: Access| async move {
        let caller = Caller {
            access: &access,
            door: &OpenDoor,
        };
        client.accounts(caller, None).await
    };
    let using = scene
        .accounts
        .with_fresh_token(account, &OpenDoor, list)
        .await;

    let is_config = |error: &AccountsError| {
        matches!(error, AccountsError::Platform(ProviderError::Config { .. }))
    };
    assert!(connecting.as_ref().is_err_and(is_config), "{connecting:?}");
    assert!(using.as_ref().is_err_and(is_config), "{using:?}");
    let standing = scene.accounts.get(account, None).await?;
    assert_eq!(standing.status, AccountStatus::Active);
    assert!(held(&db).await?.is_empty());
    Ok(())
}

// Fails when a second grant makes accounts twice, or leaves the first one's secrets behind.
#[sqlx::test(migrations = "../../migrations")]
async fn accounts_go_over_to_the_grant_that_was_given_last(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let account = scene.connected("first").await?;
    let before = scene.accounts.get(account, None).await?;

    let again = scene.connected("second").await?;

    let after = scene.accounts.get(account, None).await?;
    assert_eq!(again, account);
    assert_ne!(before.connection, after.connection);
    let grants: Vec<(String, bool)> = sqlx::query_as(
        "SELECT status, access_token IS NULL FROM marketing.connections ORDER BY id",
    )
    .fetch_all(&db)
    .await?;
    let expected = [
        ("disconnected".to_owned(), true),
        ("active".to_owned(), false),
    ];
    assert_eq!(grants, expected);
    Ok(())
}

// Fails when connecting again, which has to be done at some platforms every 60 days, forgets whom to tell of what, or tells a
// new owner what another one chose.
#[sqlx::test(migrations = "../../migrations")]
async fn what_an_owner_decided_stays_when_accounts_go_over_to_another_grant(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let account = scene.connected("first").await?;
    let no_digest = AccountChange {
        notifications: NotificationChange {
            digest: Some(false),
            ..NotificationChange::default()
        },
        ..AccountChange::default()
    };
    scene.accounts.change(account, &no_digest, &actor()).await?;
    let owned_by = |token: &str, owner: Option<&str>| NewGrant {
        owner_email: owner.map(str::to_owned),
        ..scene.grant(token)
    };

    let mut stands = Vec::new();
    for (token, owner) in [
        ("second", None),
        ("third", Some("ada@example.com")),
        ("fourth", Some("bob@example.com")),
    ] {
        let again = owned_by(token, owner);
        let connected = scene.accounts.connect(again, &actor()).await?;
        let first = &connected.accounts[0];
        stands.push((first.owner_email.clone(), first.notifications.digest));
    }

    let ada = (Some("ada@example.com".to_owned()), false);
    let bob = (Some("bob@example.com".to_owned()), true);
    assert_eq!(stands, [ada.clone(), ada, bob]);
    Ok(())
}

// Fails when tenants share accounts, or see each other's.
#[sqlx::test(migrations = "../../migrations")]
async fn tenants_have_accounts_of_their_own(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let account = scene.connected("first").await?;
    let other = NewGrant {
        tenant: Some("umbrella".to_owned()),
        ..scene.grant("second")
    };

    scene.accounts.connect(other, &actor()).await?;

    let of = |tenant: &str| AccountFilter {
        tenant: Some(tenant.to_owned()),
        ..AccountFilter::default()
    };
    let acme = scene.accounts.list(&of("acme"), &page()).await?;
    let all = scene
        .accounts
        .list(&AccountFilter::default(), &page())
        .await?;
    assert_eq!((acme.items.len(), all.items.len()), (2, 4));
    let foreign = scene.accounts.get(account, Some("umbrella")).await;
    assert!(matches!(foreign, Err(AccountsError::NotFound)));
    let bound = Actor {
        tenant: Some("umbrella".to_owned()),
        ..actor()
    };
    let foreign = scene
        .accounts
        .disconnect(account, Extent::Account, "mine now", &bound)
        .await;
    assert!(matches!(foreign, Err(AccountsError::NotFound)));
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_owner_decides_what_is_synced_and_what_is_told(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let account = scene.connected("first").await?;
    let change = AccountChange {
        sync_enabled: Some(false),
        owner_email: Some(String::new()),
        notifications: NotificationChange {
            digest: Some(false),
            ..NotificationChange::default()
        },
    };

    let changed = scene.accounts.change(account, &change, &actor()).await?;
    let same = scene
        .accounts
        .change(account, &AccountChange::default(), &actor())
        .await?;
    let wrong = AccountChange {
        owner_email: Some("ada@example.com,bob@example.com".to_owned()),
        ..AccountChange::default()
    };
    let refused = scene.accounts.change(account, &wrong, &actor()).await;

    for shown in [changed, same] {
        assert!(!shown.sync_enabled && shown.owner_email.is_none());
        assert!(!shown.notifications.digest && shown.notifications.alerts);
    }
    assert!(matches!(refused, Err(AccountsError::Invalid { .. })));
    Ok(())
}

// Fails when somebody who changes one preference puts back what another one has just changed, or what a later release keeps.
#[sqlx::test(migrations = "../../migrations")]
async fn preferences_that_are_not_named_are_not_touched(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let account = scene.connected("first").await?;
    sqlx::query("UPDATE marketing.connections SET notifications = '{\"later\": false}'")
        .execute(&db)
        .await?;
    let no_alerts = AccountChange {
        notifications: NotificationChange {
            alerts: Some(false),
            ..NotificationChange::default()
        },
        ..AccountChange::default()
    };

    scene.accounts.change(account, &no_alerts, &actor()).await?;

    let kept: serde_json::Value =
        sqlx::query_scalar("SELECT notifications FROM marketing.connections")
            .fetch_one(&db)
            .await?;
    assert_eq!(kept, json!({"alerts": false, "later": false}));
    Ok(())
}

// Fails when what an account is found with brings back what somebody disconnected, or forgets what vanished.
#[sqlx::test(migrations = "../../migrations")]
async fn looking_again_finds_what_is_new_and_marks_what_is_gone(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let account = scene.connected("first").await?;
    let connection = scene.accounts.get(account, None).await?.connection;
    scene
        .accounts
        .disconnect(account, Extent::Account, "not this one", &actor())
        .await?;
    scene.platform.known().accounts = vec!["101", "103"];

    let new = scene
        .accounts
        .discover(connection, &OpenDoor, &actor())
        .await?;

    let list = scene
        .accounts
        .list(&AccountFilter::default(), &page())
        .await?;
    let shown: Vec<(&str, AccountStatus, bool)> = list
        .items
        .iter()
        .map(|it| (it.external_id.as_str(), it.status, it.vanished_at.is_some()))
        .collect();
    assert_eq!(new, 1);
    assert_eq!(
        shown,
        [
            ("101", AccountStatus::Disconnected, false),
            ("102", AccountStatus::Active, true),
            ("103", AccountStatus::Active, false),
        ]
    );
    Ok(())
}

// Fails when somebody who connects one account of many has all of them read an hour later.
#[sqlx::test(migrations = "../../migrations")]
async fn what_is_found_beside_the_accounts_that_were_named_is_switched_off(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let named = NewGrant {
        external_ids: vec!["101".to_owned()],
        ..scene.grant("first")
    };
    let connection = scene.accounts.connect(named, &actor()).await?.connection;

    scene
        .accounts
        .discover(connection, &OpenDoor, &actor())
        .await?;

    let list = scene
        .accounts
        .list(&AccountFilter::default(), &page())
        .await?;
    let items = list.items.iter();
    let stands: Vec<_> = items
        .map(|it| (it.external_id.as_str(), it.sync_enabled))
        .collect();
    assert_eq!(stands, [("101", true), ("102", false)]);
    Ok(())
}

// Fails when a person who came back while the platform did not tell what the grant reaches waits for that for ever.
#[sqlx::test(migrations = "../../migrations")]
async fn what_a_grant_reaches_is_asked_for_also_where_nothing_is_known_of_it(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let new = scene.grant("first");
    let nothing = Found {
        accounts: Vec::new(),
        is_whole: false,
    };
    let connected = scene.accounts.keep(&new, None, nothing, &actor()).await?;

    let unlisted = scene
        .accounts
        .not_listed_for(Duration::from_secs(72_000), 10)
        .await?;
    let found = scene
        .accounts
        .discover(connected.connection, &OpenDoor, &actor())
        .await?;

    let unlisted: Vec<ConnectionId> = unlisted.iter().map(|it| it.connection).collect();
    assert!(connected.accounts.is_empty());
    assert_eq!(unlisted, [connected.connection]);
    assert_eq!(found, 2);
    Ok(())
}

/// The platform's ids of the accounts that draw on a budget, with its name.
async fn budgets(scene: &Scene) -> anyhow::Result<Vec<(String, String)>> {
    let budgets = "SELECT a.external_id, b.budget FROM millpond.account_budgets b
                     JOIN marketing.accounts a ON a.id::text = b.account ORDER BY a.external_id";
    Ok(sqlx::query_as(budgets).fetch_all(&scene.db).await?)
}

// Fails when jobs of an account start while its platform is down, because claims do not know whose quota they draw on, or wait
// for a platform to which it is connected no more.
#[sqlx::test(migrations = "../../migrations")]
async fn accounts_draw_on_the_budget_of_their_platform_for_as_long_as_they_are_connected(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let account = scene.connected("first").await?;
    let connection = scene.accounts.get(account, None).await?.connection;
    let connected = budgets(&scene).await?;

    scene
        .accounts
        .disconnect(account, Extent::Account, "leaving", &actor())
        .await?;
    let disconnected = budgets(&scene).await?;
    scene.platform.known().accounts = vec!["101", "103"];
    scene
        .accounts
        .discover(connection, &OpenDoor, &actor())
        .await?;
    let found = budgets(&scene).await?;
    scene.connected("second").await?;
    let again = budgets(&scene).await?;

    let of_meta = |ids: &[&str]| -> Vec<(String, String)> {
        let ids = ids.iter();
        ids.map(|id| ((*id).to_owned(), "meta".to_owned()))
            .collect()
    };
    assert_eq!(connected, of_meta(&["101", "102"]));
    assert_eq!(disconnected, of_meta(&["102"]));
    assert_eq!(found, of_meta(&["102", "103"]));
    assert_eq!(again, of_meta(&["101", "102", "103"]));
    Ok(())
}

/// A job of an account that waits.
async fn enqueue(scene: &Scene, account: AccountId) -> anyhow::Result<()> {
    sqlx::query(
        "INSERT INTO millpond.jobs (id, queue, kind, state, priority, run_at, payload, account)
         VALUES (gen_random_uuid(), 'sync', 'sync.account', 'ready', 5, now(), '{}', $1)",
    )
    .bind(account.to_string())
    .execute(&scene.db)
    .await?;
    Ok(())
}

// Fails when the last account leaves its grant's secrets, when an earlier one takes them, or when its jobs go on.
#[sqlx::test(migrations = "../../migrations")]
async fn the_last_account_of_a_grant_takes_its_secrets_along(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let connected = scene
        .accounts
        .connect(scene.grant("first"), &actor())
        .await?;
    let [one, other] = connected.accounts.as_slice() else {
        anyhow::bail!("the grant reaches two: {connected:?}");
    };
    enqueue(&scene, one.id).await?;
    enqueue(&scene, other.id).await?;
    let disconnect = async |account: AccountId| {
        let done = scene
            .accounts
            .disconnect(account, Extent::Account, "leaving", &actor())
            .await?;
        let revoked = scene.accounts.revoke(&done).await?;
        anyhow::Ok((done.cancelled_jobs, done.is_grant_ended, revoked))
    };

    let first = disconnect(one.id).await?;
    let still_used = scene.accounts.token(other.id, &OpenDoor).await.is_ok();
    let last = disconnect(other.id).await?;
    let repeated = disconnect(other.id).await?;

    assert_eq!(first, (1, false, false));
    assert!(still_used);
    assert_eq!(last, (1, true, true));
    assert_eq!(repeated, (0, false, false));
    assert_eq!(scene.platform.known().revoked, [format!("first-{CANARY}")]);
    let gone = scene.accounts.token(other.id, &OpenDoor).await;
    assert!(matches!(gone, Err(AccountsError::Disconnected)));
    let jobs: i64 = sqlx::query_scalar("SELECT count(*) FROM millpond.jobs")
        .fetch_one(&db)
        .await?;
    assert_eq!(jobs, 0);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_person_who_takes_access_back_or_wants_to_be_forgotten_is_gone(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let by_person = |token: &str, person: &str| NewGrant {
        subject: Some(person.to_owned()),
        external_ids: vec![person.to_owned()],
        ..scene.grant(token)
    };
    for (token, person) in [("first", "7"), ("second", "8"), ("third", "9")] {
        scene
            .accounts
            .connect(by_person(token, person), &actor())
            .await?;
    }
    let says = |person: &str| {
        let issued_at = Utc::now().timestamp();
        let payload =
            json!({"algorithm": "HMAC-SHA256", "issued_at": issued_at, "user_id": person});
        signed(&payload, APP_SECRET)
    };

    let back = scene.accounts.deauthorized(&says("7")).await?;
    let receipt = scene.accounts.delete_person(&says("8")).await?;
    let forged = scene
        .accounts
        .deauthorized(&signed(&json!({"user_id": "9"}), "guessed"))
        .await;

    assert_eq!(back, 1);
    assert!(matches!(forged, Err(AccountsError::NotSigned)));
    assert_eq!(
        receipt.status_url.as_str(),
        format!(
            "https://jobs.example.com/webhooks/meta/data-deletion/{}",
            receipt.code
        )
    );
    assert!(scene.accounts.deletion_done_at(&receipt.code).await.is_ok());
    let unknown = scene.accounts.deletion_done_at("guessed").await;
    assert!(matches!(unknown, Err(AccountsError::NotFound)));
    let left: Vec<(Option<String>, Option<String>, String)> = sqlx::query_as(
        "SELECT subject, owner_email, status FROM marketing.connections ORDER BY id",
    )
    .fetch_all(&db)
    .await?;
    let address = || Some("ada@example.com".to_owned());
    assert_eq!(
        left,
        [
            (Some("7".to_owned()), address(), "disconnected".to_owned()),
            (None, None, "disconnected".to_owned()),
            (Some("9".to_owned()), address(), "active".to_owned()),
        ]
    );
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_refresh_token_alone_is_enough_to_connect(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);

    let connected = scene.accounts.connect(new_grant(""), &actor()).await?;

    assert_eq!(connected.accounts.len(), 2);
    assert_eq!(scene.platform.known().refreshes, 1);
    Ok(())
}

// Fails when a token that Meta gives for an hour or two is left to end before anybody looks after it, or is not connected where
// it cannot be exchanged.
#[sqlx::test(migrations = "../../migrations")]
async fn a_token_of_an_hour_is_exchanged_for_a_longer_one_while_it_lives(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let mut used = Vec::new();

    for refuses_refresh in [false, true] {
        scene.platform.known().refuses_refresh = refuses_refresh;
        let of_an_hour = NewGrant {
            expires_at: Some(Utc::now() + TimeDelta::hours(1)),
            ..scene.grant("first")
        };
        let connected = scene.accounts.connect(of_an_hour, &actor()).await?;
        let account = connected.accounts[0].id;
        let held = scene.accounts.token(account, &OpenDoor).await?;
        used.push(held.access.token.expose_secret().to_owned());
    }

    let [exchanged, kept] = ["fresh-1", "first"].map(|token| format!("{token}-{CANARY}"));
    assert_eq!(used, [exchanged, kept]);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn without_a_key_nothing_is_connected(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let parts = (
        scene.accounts.platforms().clone(),
        Arc::new(OpenDoor) as Arc<dyn Door>,
    );
    let keyless = Accounts::new(
        scene.queue.clone(),
        None,
        parts,
        AccountsSettings::default(),
    );

    let refused = keyless.connect(scene.grant("first"), &actor()).await;

    assert!(matches!(refused, Err(AccountsError::NoKeys)));
    Ok(())
}
