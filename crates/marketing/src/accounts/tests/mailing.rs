//! Ending mails of a sort, and what owners prefer.

use sqlx::PgPool;

use super::{Scene, actor};
use crate::{
    accounts::{AccountChange, AccountsError, NotificationChange},
    email::Topic,
};

const OWNER: &str = "ada@example.com";

impl Scene {
    /// Ends a sort of mail as the person would.
    async fn unsubscribe(&self, address: &str, topic: Topic) -> anyhow::Result<()> {
        let url = self
            .accounts
            .unsubscribe_url(Some("acme"), address, topic)
            .expect("mails can be ended");
        let (_, token) = url.rsplit_once('/').expect("it ends with a token");
        let subscription = self.accounts.subscription(token)?;
        self.accounts.unsubscribe(&subscription).await?;
        Ok(())
    }
}

// Fails when an owner's preferences say something else than the owner did.
#[sqlx::test(migrations = "../../migrations")]
async fn an_owner_who_ends_a_sort_of_mail_prefers_so(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let account = scene.connected("first").await?;

    scene.unsubscribe("Ada@Example.com", Topic::Digest).await?;
    scene.unsubscribe("ada@example.com", Topic::Digest).await?;

    let shown = scene.accounts.get(account, None).await?.notifications;
    assert!(!shown.digest && shown.alerts && shown.token_expiry);
    let noted: i64 =
        sqlx::query_scalar("SELECT count(*) FROM millpond.audit WHERE action = 'mail.unsubscribe'")
            .fetch_one(&db)
            .await?;
    assert_eq!(noted, 1);
    Ok(())
}

// Fails when somebody who said no is asked again without saying yes.
#[sqlx::test(migrations = "../../migrations")]
async fn only_the_preference_itself_turns_a_sort_on_again(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let account = scene.connected("first").await?;
    scene.unsubscribe(OWNER, Topic::Digest).await?;
    let change = |digest, alerts| AccountChange {
        notifications: NotificationChange {
            digest,
            alerts,
            ..NotificationChange::default()
        },
        ..AccountChange::default()
    };
    let wants = || scene.accounts.wants(Some("acme"), OWNER, Topic::Digest);

    let other = change(None, Some(true));
    scene.accounts.change(account, &other, &actor()).await?;
    let still_out = wants().await?;
    let on = change(Some(true), None);
    scene.accounts.change(account, &on, &actor()).await?;

    assert!(!still_out);
    assert!(wants().await?);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn tenants_do_not_share_who_said_no(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    scene.unsubscribe("bob@example.com", Topic::Alerts).await?;

    let there = scene
        .accounts
        .wants(Some("acme"), "bob@example.com", Topic::Alerts);
    let elsewhere = scene.accounts.wants(None, "bob@example.com", Topic::Alerts);

    assert!(!there.await?);
    assert!(elsewhere.await?);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_token_that_was_changed_ends_nothing(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let url = scene
        .accounts
        .unsubscribe_url(Some("acme"), OWNER, Topic::Digest)
        .expect("mails can be ended");
    let (_, token) = url.rsplit_once('/').expect("it ends with a token");
    let middle = token.len() / 2;
    let other = if token.as_bytes()[middle] == b'A' {
        "B"
    } else {
        "A"
    };
    let changed = format!("{}{other}{}", &token[..middle], &token[middle + 1..]);

    for wrong in [changed.as_str(), "", "%", &"A".repeat(5_000)] {
        let refused = scene.accounts.subscription(wrong);

        assert!(matches!(refused, Err(AccountsError::NotFound)), "{wrong}");
    }
    Ok(())
}

// Fails when a mail whose answer was lost cannot be sent again, since it is another mail to the vendor.
#[sqlx::test(migrations = "../../migrations")]
async fn a_mail_bears_the_same_address_to_end_its_sort_on_every_attempt(db: PgPool) {
    let scene = Scene::new(&db);
    let url = |address: &str, topic| {
        let url = scene.accounts.unsubscribe_url(Some("acme"), address, topic);
        url.expect("mails can be ended")
    };

    assert_eq!(url(OWNER, Topic::Digest), url(OWNER, Topic::Digest));
    assert_ne!(url(OWNER, Topic::Digest), url(OWNER, Topic::Alerts));
    assert_ne!(
        url(OWNER, Topic::Digest),
        url("bob@example.com", Topic::Digest)
    );
}
