//! What the tests of kinds that work for accounts need: an account at a platform that does as it is told.

use std::sync::Arc;

use marketing::{
    PgPool, Platforms,
    accounts::{AccountId, NewGrant, NotificationChange, SeenTokens},
};
use providers::platform::{AdPlatform, Grant, OpenDoor, Platform};
use queue::JobInfo;
use secrecy::SecretString;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{
    scripted::Scripted,
    testing::{app_with, job_info},
};
use crate::{
    App,
    account::{AccountRef, Attempt, Reached, actor},
};

/// Nobody answers there.
const NOWHERE: &str = "http://127.0.0.1:9";

/// Handlers' needs with one platform, and what they are seen to do.
pub(crate) struct Scene {
    pub(crate) app: App,
    pub(crate) platform: Arc<Scripted>,
    pub(crate) job: JobInfo,
    pub(crate) stop: CancellationToken,
    db: PgPool,
}

impl Scene {
    /// With Meta: its tokens are renewed by themselves.
    pub(crate) fn new(db: &PgPool) -> Self {
        Self::at(db, Platform::Meta, NOWHERE)
    }

    /// The same; what Meta's client alone can ask is answered at this address.
    pub(crate) fn with_meta_at(db: &PgPool, meta_url: &str) -> Self {
        Self::at(db, Platform::Meta, meta_url)
    }

    /// With Google Ads: tokens of an hour, and a refresh token.
    pub(crate) fn of_google(db: &PgPool) -> Self {
        Self::at(db, Platform::GoogleAds, NOWHERE)
    }

    fn at(db: &PgPool, platform: Platform, meta_url: &str) -> Self {
        let platform = Arc::new(Scripted::new(platform));
        let client: Arc<dyn AdPlatform> = Arc::clone(&platform) as Arc<dyn AdPlatform>;
        let platforms: Platforms = [client].into_iter().collect();
        Self {
            app: app_with(db.clone(), meta_url, platforms),
            platform,
            job: job_info("sync.account", 1),
            stop: CancellationToken::new(),
            db: db.clone(),
        }
    }

    /// Connects the platform's one account.
    pub(crate) async fn connected(&self) -> anyhow::Result<AccountId> {
        let grant = NewGrant {
            platform: self.platform.platform(),
            tenant: None,
            grant: Grant {
                access_token: SecretString::from("fake-token-not-real"),
                token_secret: None,
                refresh_token: Some(SecretString::from("fake-refresh-not-real")),
            },
            subject: None,
            scopes: Vec::new(),
            manager: None,
            owner_email: Some("ada@example.com".to_owned()),
            notifications: NotificationChange::default(),
            expires_at: None,
            refresh_expires_at: None,
            external_ids: Vec::new(),
        };
        let connected = self.app.accounts.connect(grant, &actor("test")).await?;
        Ok(connected.accounts[0].id)
    }

    /// The account as a job reaches it.
    pub(crate) async fn reached(&self) -> anyhow::Result<Reached> {
        let id: uuid::Uuid = sqlx::query_scalar("SELECT id FROM marketing.accounts")
            .fetch_one(&self.db)
            .await?;
        let account = AccountRef(AccountId(id));
        Ok(Reached::of(&self.app, &self.job, account).await?)
    }

    /// An attempt for it.
    pub(crate) fn attempt<'a>(&'a self, reached: &'a Reached) -> Attempt<'a> {
        Attempt {
            app: &self.app,
            job: &self.job,
            account: &reached.account,
            client: &*reached.client,
            door: &OpenDoor,
            stop: &self.stop,
            progress: &unheard,
        }
    }

    /// The tokens of its grant as they stand.
    pub(crate) async fn seen(&self, account: AccountId) -> anyhow::Result<SeenTokens> {
        Ok(self.app.accounts.token(account, &OpenDoor).await?.seen)
    }

    /// Moves an end of the grant to so long from now.
    pub(crate) async fn set_end(&self, clock: &str, from_now: &str) -> anyhow::Result<()> {
        let sql =
            format!("UPDATE marketing.connections SET {clock} = now() + interval '{from_now}'");
        sqlx::query(&sql).execute(&self.db).await?;
        Ok(())
    }

    /// The payloads of the jobs of a kind, in the order of their making.
    pub(crate) async fn payloads(&self, kind: &str) -> anyhow::Result<Vec<Value>> {
        payloads(&self.db, kind).await
    }
}

fn unheard(_progress: Value) {}

/// The payloads of the mails that wait, in the order of their making.
pub(crate) async fn mails(db: &PgPool) -> anyhow::Result<Vec<Value>> {
    payloads(db, "email.send").await
}

async fn payloads(db: &PgPool, kind: &str) -> anyhow::Result<Vec<Value>> {
    let sql = "SELECT payload::text FROM millpond.jobs WHERE kind = $1 ORDER BY id";
    let texts: Vec<String> = sqlx::query_scalar(sql).bind(kind).fetch_all(db).await?;
    let payloads = texts.iter().map(|text| serde_json::from_str(text));
    Ok(payloads.collect::<Result<_, _>>()?)
}

/// The accounts that are held, by their names.
pub(crate) async fn held(db: &PgPool) -> anyhow::Result<Vec<String>> {
    let held = "SELECT account FROM millpond.holds ORDER BY account";
    Ok(sqlx::query_scalar(held).fetch_all(db).await?)
}
