//! Connected accounts over HTTP: what goes in, what comes out, and what never does.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    body::Body,
    http::{Method, Request, header},
};
use futures::future::BoxFuture;
use marketing::{
    Platforms, ProviderDetail, ProviderError,
    accounts::{Accounts, AccountsSettings},
    platform::{
        AdAccount, AdPlatform, Authorization, AuthorizeRequest, Caller, CodeExchange, Cursor, Door,
        Entity, EntityQuery, EntityStatus, EntityType, Grant, Granularity, InsightQuery, Insights,
        OpenDoor, Page, Platform, TokenHealth, Tokens,
    },
};
use metrics_exporter_prometheus::PrometheusBuilder;
use queue::Cipher;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Answer, Api, request};
use crate::{ApiSettings, ApiState, router};

const KEYS: &str = "k1:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const TOKEN: &str = "canary-access-not-real";
const REFRESH: &str = "canary-refresh-not-real";

/// Longest that what outlives its request may take here.
const SOON: Duration = Duration::from_secs(20);

/// A platform on which one token works.
#[derive(Default)]
struct OneToken {
    is_away: Mutex<bool>,
    /// It takes its time to give tokens and to take grants back: whoever asks for that is told of, and waits.
    takes_its_time: Mutex<bool>,
    is_asked: Notify,
    goes_on: Notify,
    revoked: Mutex<usize>,
}

impl OneToken {
    async fn take_time(&self) {
        let takes_its_time = *self
            .takes_its_time
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if takes_its_time {
            self.is_asked.notify_one();
            self.goes_on.notified().await;
        }
    }

    fn asked(&self, token: &SecretString) -> Result<(), ProviderError> {
        let detail = || ProviderDetail {
            provider: "meta",
            message: "the session has expired".to_owned(),
            ..ProviderDetail::default()
        };
        if *self.is_away.lock().unwrap_or_else(PoisonError::into_inner) {
            return Err(ProviderError::Unavailable {
                detail: detail(),
                maybe_received: false,
                source: None,
            });
        }
        if token.expose_secret() == TOKEN {
            return Ok(());
        }
        Err(ProviderError::AuthExpired { detail: detail() })
    }
}

fn account(id: &str) -> AdAccount {
    AdAccount {
        id: id.to_owned(),
        name: format!("Account {id}"),
        status: EntityStatus::Active,
        platform_status: "1".to_owned(),
        currency: Some("EUR".to_owned()),
        time_zone: None,
        manager: None,
        raw: Value::Null,
    }
}

fn not_here<T: Send + 'static>() -> BoxFuture<'static, Result<T, ProviderError>> {
    Box::pin(async {
        Err(ProviderError::Rejected {
            detail: ProviderDetail::default(),
        })
    })
}

impl AdPlatform for OneToken {
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
        Box::pin(async move {
            self.asked(&caller.access.token)?;
            Ok(Page {
                items: vec![account("101"), account("102")],
                next: None,
            })
        })
    }

    fn account<'a>(
        &'a self,
        _caller: Caller<'a>,
        _account_id: &'a str,
    ) -> BoxFuture<'a, Result<AdAccount, ProviderError>> {
        not_here()
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

    fn authorize_url(&self, request: &AuthorizeRequest) -> Result<Authorization, ProviderError> {
        let mut url = request.redirect_uri.clone();
        url.query_pairs_mut().append_pair("state", &request.state);
        Ok(Authorization { url })
    }

    fn exchange<'a>(
        &'a self,
        _door: &'a dyn Door,
        _exchange: &'a CodeExchange,
    ) -> BoxFuture<'a, Result<Tokens, ProviderError>> {
        Box::pin(async move {
            self.take_time().await;
            Ok(Tokens {
                access_token: SecretString::from(TOKEN),
                token_secret: None,
                refresh_token: None,
                expires_at: None,
                refresh_expires_at: None,
                scopes: Vec::new(),
                subject: None,
            })
        })
    }

    fn refresh<'a>(
        &'a self,
        _door: &'a dyn Door,
        _grant: &'a Grant,
    ) -> BoxFuture<'a, Result<Tokens, ProviderError>> {
        not_here()
    }

    fn check<'a>(
        &'a self,
        _door: &'a dyn Door,
        grant: &'a Grant,
    ) -> BoxFuture<'a, Result<TokenHealth, ProviderError>> {
        Box::pin(async move {
            self.asked(&grant.access_token)?;
            Ok(TokenHealth {
                is_valid: true,
                ..TokenHealth::default()
            })
        })
    }

    fn revoke<'a>(
        &'a self,
        _door: &'a dyn Door,
        _grant: &'a Grant,
    ) -> BoxFuture<'a, Result<bool, ProviderError>> {
        Box::pin(async move {
            self.take_time().await;
            *self.revoked.lock().unwrap_or_else(PoisonError::into_inner) += 1;
            Ok(true)
        })
    }
}

/// An API of a process that is set up for the platform.
async fn set_up(pool: PgPool) -> (Api, Arc<OneToken>) {
    let mut api = Api::new(pool).await;
    let platform = Arc::new(OneToken::default());
    let client: Arc<dyn AdPlatform> = Arc::clone(&platform) as Arc<dyn AdPlatform>;
    let door: Arc<dyn Door> = Arc::new(OpenDoor);
    let platforms: Platforms = [client].into_iter().collect();
    let cipher = Cipher::read(&SecretString::from(KEYS)).expect("the keys are sound");
    let settings = AccountsSettings {
        public_url: "https://jobs.example.com".parse().ok(),
        return_to: "https://app.example.com".parse().expect("an address"),
        meta_app_secret: Some(SecretString::from("fake-app-secret-not-real")),
        ..AccountsSettings::default()
    };
    let accounts = Accounts::new(
        api.queue.clone(),
        Some(Arc::new(cipher)),
        (platforms, door),
        settings,
    );
    let prometheus = PrometheusBuilder::new().build_recorder().handle();
    let settings = ApiSettings::new("1.2.3", "abcdef0", CancellationToken::new());
    let state = ApiState::new(api.queue.clone(), accounts, prometheus, settings);
    api.router = router(state.clone());
    api.state = state;
    (api, platform)
}

fn grant() -> Value {
    json!({
        "platform": "meta", "access_token": TOKEN, "refresh_token": REFRESH, "owner_email": "ada@example.com",
        "notifications": {"digest": false},
    })
}

async fn connect(api: &Api, key: &str) -> Answer {
    api.post("/v1/accounts", key, grant()).await
}

fn id_of(answer: &Answer, place: usize) -> String {
    let id = answer.json()["accounts"][place]["id"].clone();
    id.as_str().expect("an id").to_owned()
}

// Fails when an answer has a token.
#[sqlx::test(migrations = "../../migrations")]
async fn tokens_go_in_and_no_answer_has_them(pool: PgPool) {
    let (api, _) = set_up(pool).await;

    let connected = connect(&api, &api.admin).await;
    let id = id_of(&connected, 0);
    let path = format!("/v1/accounts/{id}");
    let listed = api.get("/v1/accounts", &api.admin).await;
    let shown = api.get(&path, &api.admin).await;
    let change =
        json!({"sync_enabled": false, "owner_email": null, "notifications": {"alerts": false}});
    let changed = api
        .call(Method::PATCH, &path, &api.admin, change.to_string())
        .await;
    let audit = api.get("/v1/audit", &api.admin).await;
    let disconnected = api
        .call(
            Method::DELETE,
            &format!("{path}?grant=true"),
            &api.admin,
            "",
        )
        .await;

    assert_eq!(connected.status, 201, "{}", connected.text);
    assert_eq!(listed.json()["items"].as_array().map(Vec::len), Some(2));
    assert_eq!(shown.json()["history"][0]["became"], "active");
    let changed_to = changed.json();
    assert_eq!(changed_to["sync_enabled"], false);
    assert_eq!(changed_to["owner_email"], Value::Null);
    assert_eq!(
        changed_to["notifications"],
        json!({"token_expiry": true, "sync_errors": true, "alerts": false, "digest": false})
    );
    let ended = disconnected.json();
    assert_eq!(
        (
            &ended["grant_ended"],
            &ended["revoked"],
            &ended["accounts"].as_array().map(Vec::len)
        ),
        (&json!(true), &json!(true), &Some(2))
    );
    for answer in [connected, listed, shown, changed, audit, disconnected] {
        assert!(answer.status.is_success(), "{}", answer.text);
        assert!(!answer.text.contains("canary"), "{}", answer.text);
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_wrong_grant_is_refused_with_its_place_and_repeated_nowhere(pool: PgPool) {
    let (api, platform) = set_up(pool).await;
    let with = |name: &str, value: Value| {
        let mut body = grant();
        body[name] = value;
        body
    };

    for (body, pointer) in [
        (json!({"platform": "meta"}), "/access_token"),
        (with("platform", json!("facebook")), "/platform"),
        (with("access_token", json!("canary other")), "/access_token"),
        (with("access_token", json!("canary-spent")), "/access_token"),
        (with("owner_email", json!("ada")), "/owner_email"),
        (with("expires_at", json!("soon")), "/expires_at"),
        (with("secret", json!("canary")), "/secret"),
    ] {
        let refused = api.post("/v1/accounts", &api.admin, body).await;

        refused.is_problem(422, "invalid");
        assert_eq!(refused.pointers(), [pointer], "{}", refused.text);
        assert!(!refused.text.contains("canary"), "{}", refused.text);
    }
    *platform
        .is_away
        .lock()
        .unwrap_or_else(PoisonError::into_inner) = true;
    let away = connect(&api, &api.admin).await;
    away.is_problem(503, "platform-unavailable");
    assert!(!away.header("retry-after").is_empty());
}

#[sqlx::test(migrations = "../../migrations")]
async fn keys_of_a_tenant_see_its_accounts_alone(pool: PgPool) {
    let (api, _) = set_up(pool).await;
    let acme = api.tenant_key(&["admin"], "acme").await;
    let umbrella = api.tenant_key(&["admin"], "umbrella").await;

    let connected = connect(&api, &acme).await;

    let path = format!("/v1/accounts/{}", id_of(&connected, 0));
    assert_eq!(connected.json()["accounts"][0]["tenant"], "acme");
    assert_eq!(api.get(&path, &acme).await.status, 200);
    for method in [Method::GET, Method::PATCH, Method::DELETE] {
        let body = if method == Method::PATCH { "{}" } else { "" };
        let foreign = api.call(method, &path, &umbrella, body).await;
        foreign.is_problem(404, "not-found");
    }
    let none = api.get("/v1/accounts", &umbrella).await.json();
    assert_eq!(none["items"], json!([]));
    api.get("/v1/accounts?tenant=acme", &umbrella)
        .await
        .is_problem(403, "forbidden");
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_process_that_is_not_set_up_says_what_is_missing(pool: PgPool) {
    let api = Api::new(pool).await;

    let connecting = connect(&api, &api.admin).await;
    let starting = api.get("/v1/oauth/meta/start", &api.admin).await;
    let listing = api.get("/v1/accounts", &api.admin).await;

    connecting.is_problem(409, "not-set-up");
    assert!(connecting.text.contains("MILLPOND_ENCRYPTION_KEYS"));
    starting.is_problem(409, "not-set-up");
    assert_eq!(listing.status, 200);
}

/// Sends a request, and leaves as soon as the platform is asked for something; the platform then goes on.
async fn leave_meanwhile(api: &Api, platform: &OneToken, request: Request<Body>) {
    *platform
        .takes_its_time
        .lock()
        .unwrap_or_else(PoisonError::into_inner) = true;
    // Whichever is not ready first is dropped, as the server drops the handler of a client that has left.
    tokio::select! {
        answer = api.send(request) => panic!("the platform takes its time: {answer:?}"),
        () = platform.is_asked.notified() => {}
    }
    platform.goes_on.notify_one();
    api.state.finish(SOON).await;
}

// Fails when a browser that is closed on its way back takes along what its code was exchanged for.
#[sqlx::test(migrations = "../../migrations")]
async fn who_leaves_while_a_code_is_exchanged_is_connected(pool: PgPool) {
    let (api, platform) = set_up(pool).await;
    let started = api.get("/v1/oauth/meta/start", &api.admin).await;
    let away = started.header("location");
    let callback = away.trim_start_matches("https://jobs.example.com");
    let callback = request(Method::GET, &format!("{callback}&code=c"), "");
    let callback = callback.body(Body::empty()).expect("a request");

    leave_meanwhile(&api, &platform, callback).await;

    let listed = api.get("/v1/accounts", &api.admin).await.json();
    assert_eq!(
        listed["items"].as_array().map(Vec::len),
        Some(2),
        "{listed}"
    );
}

// Fails when a grant whose secrets are wiped is not taken back because whoever disconnected it has left.
#[sqlx::test(migrations = "../../migrations")]
async fn who_leaves_while_a_grant_is_taken_back_has_it_taken_back(pool: PgPool) {
    let (api, platform) = set_up(pool).await;
    let connected = connect(&api, &api.admin).await;
    let path = format!("/v1/accounts/{}?grant=true", id_of(&connected, 0));
    let disconnect = request(Method::DELETE, &path, &api.admin);
    let disconnect = disconnect.body(Body::empty()).expect("a request");

    leave_meanwhile(&api, &platform, disconnect).await;

    let revoked = *platform
        .revoked
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    assert_eq!(revoked, 1);
}

// Fails when a state is good twice, is reflected, or is taken by whoever guesses.
#[sqlx::test(migrations = "../../migrations")]
async fn a_browser_is_sent_away_and_taken_back_once(pool: PgPool) {
    let (api, _) = set_up(pool).await;
    let start =
        "/v1/oauth/meta/start?return_to=https%3A%2F%2Fapp.example.com%2Fdone%3Ftab%3D1&tenant=acme";

    let started = api.get(start, &api.admin).await;
    let away = started.header("location").to_owned();
    let callback = away.trim_start_matches("https://jobs.example.com");
    let back = api.get(&format!("{callback}&code=c&scope=extra"), "").await;
    let again = api.get(&format!("{callback}&code=c"), "").await;
    let guessed = "/v1/oauth/meta/callback?state=%3Cscript%3E&code=c";
    let guessed = api.get(guessed, "").await;
    let none = api.get("/v1/oauth/meta/callback", "").await;

    assert_eq!(started.status, 303, "{}", started.text);
    assert_eq!(started.json()["url"], away);
    assert!(
        callback.starts_with("/v1/oauth/meta/callback?state="),
        "{away}"
    );
    assert_eq!(back.status, 303, "{}", back.text);
    let location = back.header("location");
    assert!(
        location.starts_with("https://app.example.com/done?tab=1&connected=2&connection="),
        "{location}"
    );
    assert_eq!(back.header("referrer-policy"), "no-referrer");
    for refused in [again, guessed, none] {
        refused.is_problem(400, "malformed-request");
        assert!(!refused.text.contains("script"), "{}", refused.text);
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_person_who_refuses_is_sent_back_with_a_word(pool: PgPool) {
    let (api, _) = set_up(pool).await;
    let started = api
        .get(
            "/v1/oauth/meta/start?return_to=https%3A%2F%2Fapp.example.com%2F",
            &api.admin,
        )
        .await;
    let callback = started
        .header("location")
        .trim_start_matches("https://jobs.example.com");

    let back = api
        .get(
            &format!("{callback}&error=access_denied&error_description=canary"),
            "",
        )
        .await;
    let foreign = api
        .get(
            "/v1/oauth/meta/start?return_to=https%3A%2F%2Fevil.example%2F",
            &api.admin,
        )
        .await;

    assert_eq!(
        (back.status.as_u16(), back.header("location")),
        (303, "https://app.example.com/?error=access_denied")
    );
    foreign.is_problem(400, "malformed-request");
    assert_eq!(foreign.pointers(), ["?return_to"]);
    let nobody = "/v1/oauth/meta/start?owner_email=ada";
    let nobody = api.get(nobody, &api.admin).await;
    nobody.is_problem(400, "malformed-request");
    assert_eq!(nobody.pointers(), ["?owner_email"]);
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_meta_did_not_sign_changes_nothing(pool: PgPool) {
    let (api, _) = set_up(pool).await;
    let form = |path: &str, text: &str| {
        Request::post(path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(text.to_owned().into())
            .expect("a request")
    };

    for path in ["/webhooks/meta/deauthorize", "/webhooks/meta/data-deletion"] {
        for text in [
            "",
            "signed_request=a.b",
            "signed_request=a.b&signed_request=a.b",
        ] {
            let refused = api.send(form(path, text)).await;
            refused.is_problem(403, "not-signed");
        }
        let wrong_form = api.call(Method::POST, path, "", "{}").await;
        wrong_form.is_problem(415, "media-type");
        let large = format!("signed_request={}", "x".repeat(20_000));
        let too_large = api.send(form(path, &large)).await;
        too_large.is_problem(413, "too-large");
    }
    let unknown = api.get("/webhooks/meta/data-deletion/guessed", "").await;
    unknown.is_problem(404, "not-found");
}
