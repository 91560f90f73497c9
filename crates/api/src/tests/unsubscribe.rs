//! Ending mails of a sort, from the address in a mail to what is remembered.

use std::sync::Arc;

use axum::http::{Method, Request, header};
use marketing::{
    Platforms,
    accounts::{Accounts, AccountsSettings},
    email::Topic,
    platform::{Door, OpenDoor},
};
use metrics_exporter_prometheus::PrometheusBuilder;
use queue::Cipher;
use secrecy::SecretString;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::{Answer, Api};
use crate::{ApiSettings, ApiState, router};

const KEYS: &str = "k1:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const ADDRESS: &str = "ada@example.com";

/// An API that mails can name.
async fn set_up(pool: PgPool) -> (Api, Accounts) {
    let mut api = Api::new(pool).await;
    let door: Arc<dyn Door> = Arc::new(OpenDoor);
    let cipher = Cipher::read(&SecretString::from(KEYS)).expect("the key is sound");
    let settings = AccountsSettings {
        public_url: "https://jobs.example.com".parse().ok(),
        ..AccountsSettings::default()
    };
    let parts = (Platforms::default(), door);
    let accounts = Accounts::new(api.queue.clone(), Some(Arc::new(cipher)), parts, settings);
    let prometheus = PrometheusBuilder::new().build_recorder().handle();
    let settings = ApiSettings::new("1.2.3", "abcdef0", CancellationToken::new());
    let state = ApiState::new(api.queue.clone(), accounts.clone(), prometheus, settings);
    api.router = router(state.clone());
    api.state = state;
    (api, accounts)
}

/// The path of the address in a mail.
fn path(accounts: &Accounts, topic: Topic) -> String {
    let url = accounts.unsubscribe_url(Some("acme"), ADDRESS, topic);
    let url = url.expect("mails can be ended");
    let path = url.strip_prefix("https://jobs.example.com");
    path.expect("it is below our address").to_owned()
}

/// A POST as a reader of mail sends it.
async fn one_click(api: &Api, path: &str) -> Answer {
    let request = Request::post(path)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body("List-Unsubscribe=One-Click".into());
    api.send(request.expect("a request")).await
}

async fn wants(accounts: &Accounts, topic: Topic) -> bool {
    let wants = accounts.wants(Some("acme"), ADDRESS, topic).await;
    wants.expect("the database is there")
}

// Fails when a program that looks at every address in a mail ends it, or one click does not.
#[sqlx::test(migrations = "../../migrations")]
async fn a_look_ends_nothing_and_one_click_ends_that_sort_alone(pool: PgPool) {
    let (api, accounts) = set_up(pool).await;
    let path = path(&accounts, Topic::Digest);

    let looked = api.get(&path, "").await;
    let before = wants(&accounts, Topic::Digest).await;
    let ended = one_click(&api, &path).await;
    let again = one_click(&api, &path).await;

    assert_eq!((looked.status.as_u16(), before), (200, true));
    assert!(
        looked.text.contains("<form method=\"post\">"),
        "{}",
        looked.text
    );
    assert_eq!(looked.header("content-type"), "text/html; charset=utf-8");
    assert_eq!((ended.status.as_u16(), again.status.as_u16()), (200, 200));
    assert!(!wants(&accounts, Topic::Digest).await);
    assert!(wants(&accounts, Topic::Alerts).await);
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_address_that_somebody_made_up_or_changed_ends_nothing(pool: PgPool) {
    let (api, accounts) = set_up(pool).await;
    let sound = path(&accounts, Topic::Digest);
    let changed = format!("{}A", &sound[..sound.len() - 1]);
    let changed = if changed == sound {
        format!("{}B", &sound[..sound.len() - 1])
    } else {
        changed
    };
    let long = format!("/unsubscribe/{}", "a".repeat(5_000));

    for path in [
        changed.as_str(),
        "/unsubscribe/abc",
        "/unsubscribe/%00",
        &long,
    ] {
        for method in [Method::GET, Method::POST] {
            let answer = api.call(method.clone(), path, "", "").await;

            assert!(
                answer.status.is_client_error(),
                "{method} {path}: {}",
                answer.status
            );
        }
    }
    assert!(wants(&accounts, Topic::Digest).await);
}

// Fails when whoever reads an address, or a log of addresses, learns whose it is.
#[sqlx::test(migrations = "../../migrations")]
async fn an_address_names_nobody(pool: PgPool) {
    let (_, accounts) = set_up(pool).await;

    let path = path(&accounts, Topic::Digest);

    for told in ["ada", "acme", "digest"] {
        assert!(!path.contains(told), "{path}");
    }
}
