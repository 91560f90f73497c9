//! What is left of accounts and grants when somebody goes: of a leave that was cut short, of what comes too late, and at
//! other tenants.

use queue::NewHold;

use super::*;
use crate::accounts::{
    AccountChange, AccountFilter, AccountKind, AccountStatus, AccountsError, Extent, FoundAccount,
    status::names,
};

/// Has jobs of these accounts wait, held, as they do while a grant is spent.
async fn keep_waiting(scene: &Scene, accounts: &[AccountId]) -> anyhow::Result<()> {
    let ids: Vec<_> = accounts.iter().map(|account| account.0).collect();
    let accounts = names(&ids);
    let hold = NewHold {
        accounts: &accounts,
        reason: "a test",
        until: None,
    };
    let mut conn = scene.db.acquire().await?;
    Queue::hold_accounts_in(&mut conn, &hold, &actor()).await?;
    sqlx::query(
        "INSERT INTO millpond.jobs (id, queue, kind, state, priority, run_at, payload, account)
         SELECT gen_random_uuid(), 'sync', 'sync.account', 'ready', 5, now(), '{}', account FROM millpond.holds",
    )
    .execute(&mut *conn)
    .await?;
    Ok(())
}

// Fails when a process that dies between two steps leaves jobs behind that nobody ever lets go or cancels.
#[sqlx::test(migrations = "../../migrations")]
async fn what_a_leave_that_was_cut_short_has_left_is_done_by_the_next_one(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let connected = scene
        .accounts
        .connect(scene.grant("first"), &actor())
        .await?;
    let all: Vec<AccountId> = connected.accounts.iter().map(|it| it.id).collect();
    let leave = async || {
        let left = scene
            .accounts
            .disconnect(all[0], Extent::Grant, "leaving", &actor())
            .await?;
        anyhow::Ok(left.cancelled_jobs)
    };
    leave().await?;
    keep_waiting(&scene, &all).await?;

    let again = leave().await?;

    assert_eq!(all.len(), 2);
    assert_eq!(again, 2);
    assert!(held(&db).await?.is_empty());
    Ok(())
}

// Fails when one tenant's leave has the platform end what the same person gave to another one.
#[sqlx::test(migrations = "../../migrations")]
async fn who_leaves_one_tenant_stays_connected_in_another(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let mut accounts = Vec::new();
    for (tenant, token) in [("acme", "first"), ("umbrella", "second")] {
        let grant = NewGrant {
            tenant: Some(tenant.to_owned()),
            subject: Some("person-7".to_owned()),
            ..scene.grant(token)
        };
        let connected = scene.accounts.connect(grant, &actor()).await?;
        accounts.push(connected.accounts[0].id);
    }
    let leave = async |account: AccountId| {
        let left = scene
            .accounts
            .disconnect(account, Extent::Grant, "leaving", &actor())
            .await?;
        anyhow::Ok((left.is_grant_ended, scene.accounts.revoke(&left).await?))
    };

    let first = leave(accounts[0]).await?;
    let last = leave(accounts[1]).await?;

    assert_eq!(first, (true, false));
    assert_eq!(last, (true, true));
    assert_eq!(scene.platform.known().revoked, [format!("second-{CANARY}")]);
    Ok(())
}

// Fails when a platform that is slow to tell what a grant reaches brings accounts to one that ended meanwhile: they would look
// connected, and nobody could use them.
#[sqlx::test(migrations = "../../migrations")]
async fn what_is_found_too_late_is_not_kept(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let account = scene.connected("first").await?;
    let connection = scene.accounts.get(account, None).await?.connection;
    scene
        .accounts
        .disconnect(account, Extent::Grant, "leaving", &actor())
        .await?;
    let found = vec![FoundAccount::from(ad_account("103"))];

    let new = scene
        .accounts
        .keep_found(connection, found, Some(AccountKind::AdAccount), &actor())
        .await?;

    let filter = AccountFilter {
        connection: Some(connection),
        ..AccountFilter::default()
    };
    let page = queue::PageRequest::new(None, None)?;
    let stands = scene.accounts.list(&filter, &page).await?;
    let stands: Vec<AccountStatus> = stands.items.iter().map(|it| it.status).collect();
    assert_eq!(new, 0);
    assert_eq!(stands, [AccountStatus::Disconnected; 2]);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_reason_that_is_too_long_to_be_kept_is_refused(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let account = scene.connected("first").await?;
    let long = "x".repeat(501);

    let refused = scene
        .accounts
        .disconnect(account, Extent::Account, &long, &actor())
        .await;

    let pointer = match &refused {
        Err(AccountsError::Invalid { pointer, .. }) => Some(*pointer),
        _ => None,
    };
    assert_eq!(pointer, Some("?reason"));
    let stands = scene.accounts.get(account, None).await?.status;
    assert_eq!(stands, AccountStatus::Active);
    Ok(())
}

// Fails when a tenant cannot see in its audit what somebody without a tenant did to its accounts.
#[sqlx::test(migrations = "../../migrations")]
async fn what_is_done_to_the_accounts_of_a_tenant_stands_in_its_audit(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let account = scene.connected("first").await?;
    let switched_off = AccountChange {
        sync_enabled: Some(false),
        ..AccountChange::default()
    };

    scene
        .accounts
        .change(account, &switched_off, &actor())
        .await?;
    scene
        .accounts
        .disconnect(account, Extent::Account, "leaving", &actor())
        .await?;

    let told = "SELECT action FROM millpond.audit WHERE tenant = 'acme' ORDER BY id";
    let told: Vec<String> = sqlx::query_scalar(told).fetch_all(&db).await?;
    assert_eq!(
        told,
        ["account.connect", "account.update", "account.disconnect"]
    );
    Ok(())
}
