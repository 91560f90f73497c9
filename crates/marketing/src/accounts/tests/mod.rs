//! Accounts against a database of their own and a platform that does as it is told.

mod connecting;
mod events;
mod finding;
mod keys;
mod leaving;
mod mailing;
mod oauth;
mod tokens;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::future::BoxFuture;
use providers::{
    Detail, Error as ProviderError,
    platform::{
        AdAccount, AdPlatform, Authorization, AuthorizeRequest, Caller, CodeExchange, Cursor, Door,
        Entity, EntityQuery, EntityStatus, EntityType, Grant, Granularity, InsightQuery, Insights,
        OpenDoor, Page, Platform, RequestToken, TokenHealth, Tokens, VerifierExchange,
    },
};
use queue::{Actor, Cipher, Database, Queue, config::Config};
use secrecy::{ExposeSecret, SecretString};
use sqlx::PgPool;
use url::Url;

use super::{AccountId, Accounts, AccountsSettings, NewGrant, NotificationChange};
use crate::Platforms;

const KEY: &str = "k1:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const NEWER_KEY: &str = "k2:ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100";
const APP_SECRET: &str = "fake-app-secret-not-real";
/// Part of every token here: it must stand in no table.
const CANARY: &str = "canary-not-real";

/// What the platform knows and has seen.
#[derive(Default)]
struct Known {
    /// Access tokens that work.
    good: BTreeSet<String>,
    /// The ids of the accounts that every grant reaches.
    accounts: Vec<&'static str>,
    refreshes: usize,
    /// The refresh tokens that new tokens were asked for with.
    asked_with: Vec<String>,
    refuses_refresh: bool,
    /// It gives another refresh token for each that is used.
    rotates: bool,
    /// It gives tokens, and answers nothing else.
    is_away: bool,
    /// People are sent away with a token (OAuth 1.0a).
    gives_request_tokens: bool,
    /// Our own set-up is wrong.
    is_misconfigured: bool,
    challenge: String,
    revoked: Vec<String>,
}

/// A platform that does as it is told.
struct Fake(Mutex<Known>);

impl Fake {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn asked(&self, token: &SecretString) -> Result<(), ProviderError> {
        let known = self.known();
        if known.is_away {
            return Err(ProviderError::Unavailable {
                detail: detail("internal error"),
                maybe_received: true,
                source: None,
            });
        }
        if known.is_misconfigured {
            return Err(ProviderError::Config {
                detail: detail("wrong app secret"),
            });
        }
        if known.good.contains(token.expose_secret()) {
            return Ok(());
        }
        Err(spent())
    }

    fn page(&self) -> Page<AdAccount> {
        let known = self.known();
        let items = known.accounts.iter().map(|id| ad_account(id));
        Page {
            items: items.collect(),
            next: None,
        }
    }

    fn new_tokens(&self) -> Tokens {
        let mut known = self.known();
        known.refreshes += 1;
        let token = format!("fresh-{}-{CANARY}", known.refreshes);
        known.good.insert(token.clone());
        Tokens {
            access_token: SecretString::from(token),
            token_secret: None,
            refresh_token: None,
            expires_at: None,
            refresh_expires_at: None,
            scopes: vec!["ads_read".to_owned()],
            subject: Some("person-7".to_owned()),
        }
    }
}

fn detail(message: &str) -> Detail {
    Detail {
        provider: "meta",
        message: message.to_owned(),
        ..Detail::default()
    }
}

fn spent() -> ProviderError {
    ProviderError::AuthExpired {
        detail: detail("the session has expired"),
    }
}

fn ad_account(id: &str) -> AdAccount {
    AdAccount {
        id: id.to_owned(),
        name: format!("Account {id}"),
        status: EntityStatus::Active,
        platform_status: "1".to_owned(),
        currency: Some("EUR".to_owned()),
        time_zone: Some("Europe/Berlin".to_owned()),
        manager: None,
        raw: serde_json::Value::Null,
    }
}

fn not_here<T: Send + 'static>() -> BoxFuture<'static, Result<T, ProviderError>> {
    let refused = ProviderError::Rejected {
        detail: detail("no test asks for it"),
    };
    Box::pin(async move { Err(refused) })
}

impl AdPlatform for Fake {
    fn platform(&self) -> Platform {
        Platform::Meta
    }

    fn entity_types(&self) -> &'static [EntityType] {
        &[]
    }

    fn finest(&self) -> Granularity {
        Granularity::Day
    }

    fn restated_days(&self) -> u32 {
        0
    }

    fn lists_changes(&self, _of: EntityType) -> bool {
        false
    }

    fn longest_window(&self, _granularity: Granularity) -> u32 {
        1
    }

    fn accounts<'a>(
        &'a self,
        caller: Caller<'a>,
        _after: Option<&'a Cursor>,
    ) -> BoxFuture<'a, Result<Page<AdAccount>, ProviderError>> {
        Box::pin(async move { self.asked(&caller.access.token).map(|()| self.page()) })
    }

    fn account<'a>(
        &'a self,
        caller: Caller<'a>,
        account_id: &'a str,
    ) -> BoxFuture<'a, Result<AdAccount, ProviderError>> {
        let account = ad_account(account_id);
        Box::pin(async move { self.asked(&caller.access.token).map(|()| account) })
    }

    fn entities<'a>(
        &'a self,
        _caller: Caller<'a>,
        _query: &'a EntityQuery,
        _after: Option<&'a Cursor>,
    ) -> BoxFuture<'a, Result<Page<Entity>, ProviderError>> {
        not_here()
    }

    fn insights<'a>(
        &'a self,
        _caller: Caller<'a>,
        _query: &'a InsightQuery,
        _after: Option<&'a Cursor>,
    ) -> BoxFuture<'a, Result<Insights, ProviderError>> {
        not_here()
    }

    fn request_token<'a>(
        &'a self,
        _door: &'a dyn Door,
        redirect_uri: &'a Url,
    ) -> BoxFuture<'a, Result<Option<RequestToken>, ProviderError>> {
        Box::pin(async move {
            let known = self.known();
            let given = known.gives_request_tokens.then(|| {
                let mut url = redirect_uri.clone();
                let token = format!("request-{CANARY}-{}", known.refreshes);
                url.query_pairs_mut().append_pair("oauth_token", &token);
                RequestToken {
                    url,
                    token: SecretString::from(token),
                    secret: SecretString::from(format!("secret-{CANARY}")),
                }
            });
            Ok(given)
        })
    }

    fn exchange_verifier<'a>(
        &'a self,
        _door: &'a dyn Door,
        exchange: &'a VerifierExchange,
    ) -> BoxFuture<'a, Result<Tokens, ProviderError>> {
        Box::pin(async move {
            let token = exchange.request_token.expose_secret();
            let is_good = exchange.verifier.expose_secret() == "good-verifier"
                && exchange.request_secret.expose_secret() == format!("secret-{CANARY}")
                && token.starts_with(&format!("request-{CANARY}"));
            if !is_good {
                return Err(spent());
            }
            Ok(Tokens {
                token_secret: Some(SecretString::from(format!("second-half-{CANARY}"))),
                ..self.new_tokens()
            })
        })
    }

    fn authorize_url(&self, request: &AuthorizeRequest) -> Result<Authorization, ProviderError> {
        self.known().challenge.clone_from(&request.code_challenge);
        let mut url = Url::parse("https://platform.example.com/dialog").expect("an address");
        url.query_pairs_mut()
            .append_pair("redirect_uri", request.redirect_uri.as_str())
            .append_pair("state", &request.state)
            .append_pair("code_challenge", &request.code_challenge);
        Ok(Authorization { url })
    }

    fn exchange<'a>(
        &'a self,
        _door: &'a dyn Door,
        exchange: &'a CodeExchange,
    ) -> BoxFuture<'a, Result<Tokens, ProviderError>> {
        Box::pin(async move {
            let is_good = exchange.code.expose_secret() == "good-code"
                && super::oauth::tests::challenge(exchange.code_verifier.expose_secret())
                    == self.known().challenge;
            if is_good {
                Ok(self.new_tokens())
            } else {
                Err(spent())
            }
        })
    }

    fn refresh<'a>(
        &'a self,
        _door: &'a dyn Door,
        grant: &'a Grant,
    ) -> BoxFuture<'a, Result<Tokens, ProviderError>> {
        Box::pin(async move {
            let with = grant.refresh_token.iter();
            let with = with.map(|token| token.expose_secret().to_owned());
            self.known().asked_with.extend(with);
            if self.known().refuses_refresh {
                return Err(spent());
            }
            let rotates = self.known().rotates;
            let tokens = self.new_tokens();
            let next = rotates.then(|| format!("next-{CANARY}").into());
            Ok(Tokens {
                refresh_token: next,
                ..tokens
            })
        })
    }

    fn check<'a>(
        &'a self,
        _door: &'a dyn Door,
        grant: &'a Grant,
    ) -> BoxFuture<'a, Result<TokenHealth, ProviderError>> {
        Box::pin(async move {
            let is_valid = match self.asked(&grant.access_token) {
                Ok(()) => true,
                Err(ProviderError::AuthExpired { .. }) => false,
                Err(error) => return Err(error),
            };
            Ok(TokenHealth {
                is_valid,
                scopes: vec!["ads_read".to_owned()],
                ..TokenHealth::default()
            })
        })
    }

    fn revoke<'a>(
        &'a self,
        _door: &'a dyn Door,
        grant: &'a Grant,
    ) -> BoxFuture<'a, Result<bool, ProviderError>> {
        Box::pin(async move {
            let token = grant.access_token.expose_secret().to_owned();
            self.known().revoked.push(token);
            Ok(true)
        })
    }
}

/// Accounts, their platform, and what they work on.
struct Scene {
    accounts: Accounts,
    platform: Arc<Fake>,
    queue: Queue,
    db: PgPool,
}

impl Scene {
    fn new(db: &PgPool) -> Self {
        Self::with_keys(db, KEY)
    }

    fn with_keys(db: &PgPool, keys: &str) -> Self {
        let platform = Arc::new(Fake(Mutex::new(Known {
            accounts: vec!["101", "102"],
            ..Known::default()
        })));
        Self::of(db, keys, platform)
    }

    /// The same platform seen by another process.
    fn of(db: &PgPool, keys: &str, platform: Arc<Fake>) -> Self {
        let config = Arc::new(Config::builtin());
        let queue = Queue::new(Database::from_pool(db.clone()), config, []);
        let queue = queue.expect("there are no schemas");
        let cipher = Cipher::read(&SecretString::from(keys)).expect("the keys are sound");
        let client: Arc<dyn AdPlatform> = Arc::clone(&platform) as Arc<dyn AdPlatform>;
        let platforms: Platforms = [client].into_iter().collect();
        let settings = AccountsSettings {
            public_url: Url::parse("https://jobs.example.com").ok(),
            return_to: "https://app.example.com/settings"
                .parse()
                .expect("an address"),
            meta_app_secret: Some(SecretString::from(APP_SECRET)),
            ..AccountsSettings::default()
        };
        let door: Arc<dyn Door> = Arc::new(OpenDoor);
        let parts = (platforms, door);
        Self {
            accounts: Accounts::new(queue.clone(), Some(Arc::new(cipher)), parts, settings),
            platform,
            queue,
            db: db.clone(),
        }
    }

    /// A grant that works.
    fn grant(&self, token: &str) -> NewGrant {
        let token = format!("{token}-{CANARY}");
        self.platform.known().good.insert(token.clone());
        new_grant(&token)
    }

    /// Connects the first of the platform's accounts, and gives it.
    async fn connected(&self, token: &str) -> anyhow::Result<AccountId> {
        let connected = self.accounts.connect(self.grant(token), &actor()).await?;
        let first = connected.accounts.iter().find(|it| it.external_id == "101");
        Ok(first.expect("the grant reaches it").id)
    }

    /// Everything that stands in the tables, as a dump would show it.
    async fn dumped(&self) -> anyhow::Result<String> {
        let tables: Vec<String> = sqlx::query_scalar(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('marketing', 'millpond')",
        )
        .fetch_all(&self.db)
        .await?;
        let mut text = String::new();
        for table in tables {
            let rows = format!("SELECT t::text FROM {table} AS t");
            let rows: Vec<String> = sqlx::query_scalar(&rows).fetch_all(&self.db).await?;
            text.push_str(&rows.join("\n"));
        }
        Ok(text)
    }
}

fn new_grant(token: &str) -> NewGrant {
    NewGrant {
        platform: Platform::Meta,
        tenant: Some("acme".to_owned()),
        grant: Grant {
            access_token: SecretString::from(token),
            token_secret: None,
            refresh_token: Some(SecretString::from(format!("refresh-{CANARY}"))),
        },
        subject: None,
        scopes: Vec::new(),
        manager: None,
        owner_email: Some("ada@example.com".to_owned()),
        notifications: NotificationChange::default(),
        expires_at: None,
        refresh_expires_at: None,
        external_ids: Vec::new(),
    }
}

fn actor() -> Actor {
    Actor {
        name: "test".to_owned(),
        tenant: None,
    }
}

/// The accounts that are held, by their names.
async fn held(db: &PgPool) -> anyhow::Result<Vec<String>> {
    let held = "SELECT account FROM millpond.holds ORDER BY account";
    Ok(sqlx::query_scalar(held).fetch_all(db).await?)
}
