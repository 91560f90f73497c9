//! Which grants are renewed, whose owners are told, and what Meta is asked about.

use marketing::PgPool;
use providers::{
    meta::{Meta, MetaConfig},
    platform::OpenDoor,
};
use secrecy::SecretString;

use super::*;
use crate::kinds::{
    scene::{Scene, held, mails},
    testing::schema_accepts,
};

const WEEK: Duration = Duration::from_secs(7 * 86_400);

async fn checked(scene: &Scene) -> anyhow::Result<Done> {
    Ok(check(&scene.app, WEEK, &CancellationToken::new()).await?)
}

#[test]
fn how_far_ahead_it_looks_is_said_in_hours_or_days() {
    let within = |text: &str| {
        let payload = json!({ "warn_within": text });
        let decoded = serde_json::from_value::<TokenCheck>(payload.clone()).ok();
        assert_eq!(
            schema_accepts::<TokenCheck>(&payload),
            decoded.is_some(),
            "{text}"
        );
        decoded.map(|check| check.warn_within.0)
    };

    assert_eq!(within("7d"), Some(WEEK));
    assert_eq!(within("36h"), Some(36 * HOUR));
    for other in ["", "d", "0d", "7", "7w", "1000d", "-1d", "7 d", "+7d"] {
        assert_eq!(within(other), None, "{other}");
    }
    let unsaid: TokenCheck = serde_json::from_value(json!({})).expect("it may be left out");
    assert_eq!(unsaid.warn_within.0, WEEK);
}

// Fails when an owner hears of the same end every day, or is not told of another one.
#[sqlx::test(migrations = "../../migrations")]
async fn an_owner_is_told_of_an_end_once(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let account = scene.connected().await?;
    scene.set_end("data_access_expires_at", "3 days").await?;

    let first = checked(&scene).await?;
    // As platforms tell it that name a span each time they are asked.
    scene
        .set_end("data_access_expires_at", "3 days 3 seconds")
        .await?;
    let second = checked(&scene).await?;
    let told = mails(&db).await?;
    scene.set_end("data_access_expires_at", "2 days").await?;
    let third = checked(&scene).await?;

    let expiring = scene.app.accounts.get(account, None).await?.status;
    assert_eq!((first.expiring, first.told), (1, 1));
    assert_eq!((second.expiring, second.told), (1, 0));
    assert_eq!(third.told, 1);
    assert_eq!(expiring, AccountStatus::Expiring);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["to"], "ada@example.com");
    assert_ne!(
        mails(&db).await?[1]["business_key"],
        told[0]["business_key"]
    );
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_can_be_renewed_is_renewed_and_nobody_is_told(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let account = scene.connected().await?;
    scene.set_end("expires_at", "3 days").await?;

    let first = checked(&scene).await?;
    let second = checked(&scene).await?;

    let jobs = scene.payloads("token.refresh").await?;
    assert_eq!((first.renewed, first.told, second.renewed), (1, 0, 1));
    assert_eq!(jobs, [json!({ "account_id": account })]);
    assert!(mails(&db).await?.is_empty());
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_owner_who_does_not_want_to_hear_of_it_is_not_told(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    scene.connected().await?;
    scene.set_end("data_access_expires_at", "3 days").await?;
    let unwanted = r#"UPDATE marketing.connections SET notifications = '{"token_expiry": false}'"#;
    sqlx::query(unwanted).execute(&db).await?;

    let done = checked(&scene).await?;

    assert_eq!((done.expiring, done.told), (1, 0));
    assert!(mails(&db).await?.is_empty());
    Ok(())
}

// Fails when nobody learns that a person has used the app again, or when a set-up that cannot ask has dead letters of it.
#[sqlx::test(migrations = "../../migrations")]
async fn meta_is_asked_once_about_each_grant_where_it_can_be(db: PgPool) -> anyhow::Result<()> {
    let mut scene = Scene::new(&db);
    let account = scene.connected().await?;
    let stop = CancellationToken::new();

    let without_app = validate(&scene.app, &stop).await?;
    scene.app.meta = Meta::new(MetaConfig {
        app_id: Some("1001".to_owned()),
        app_secret: Some(SecretString::from("fake-app-secret-not-real")),
        ..MetaConfig::default()
    })?;
    let first = validate(&scene.app, &stop).await?;
    let second = validate(&scene.app, &stop).await?;

    let jobs = scene.payloads("token.validate").await?;
    assert_eq!((without_app, first, second), (0, 1, 1));
    assert_eq!(jobs, [json!({ "account_id": account })]);
    Ok(())
}

// Fails when a false alarm lasts until somebody connects again, or when one that is none is taken for one.
#[sqlx::test(migrations = "../../migrations")]
async fn a_grant_of_metas_that_was_taken_for_spent_is_asked_about_again(
    db: PgPool,
) -> anyhow::Result<()> {
    let mut scene = Scene::new(&db);
    let account = scene.connected().await?;
    scene.app.meta = Meta::new(MetaConfig {
        app_id: Some("1001".to_owned()),
        app_secret: Some(SecretString::from("fake-app-secret-not-real")),
        ..MetaConfig::default()
    })?;
    let seen = scene.seen(account).await?;
    let accounts = &scene.app.accounts;
    let actor = actor(TokenCheck::KIND);
    accounts.needs_reauth(seen, "it is spent", &actor).await?;
    let door = |_: Platform, _: AccountId| -> Box<dyn Door> { Box::new(OpenDoor) };
    let asked = (&scene.job, &scene.stop);
    let set_spent = |is_spent: bool| {
        let mut known = scene.platform.known();
        known.is_revoked = is_spent;
        known.refuses_refresh = is_spent;
    };

    set_spent(true);
    let spent = look_again(&scene.app, asked, &door).await?;
    let while_spent = held(&db).await?;
    set_spent(false);
    let valid = look_again(&scene.app, asked, &door).await?;

    let stands = accounts.get(account, None).await?.status;
    assert_eq!((spent, valid), (0, 1));
    assert_eq!(while_spent, [account.to_string()]);
    assert!(held(&db).await?.is_empty());
    assert_eq!(stands, AccountStatus::Active);
    assert_eq!(scene.seen(account).await?, seen);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn grants_without_an_end_are_left_alone(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    scene.connected().await?;

    assert_eq!(checked(&scene).await?, Done::default());
    Ok(())
}
