//! The stand-in for Meta over a real socket: who may call, what is taken, what is refused, and in
//! which envelope.

mod batch;
mod edits;
mod entities;
mod insights;
mod leads;
mod limits;
mod oauth;
mod reports;
mod social;

use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use url::{Url, form_urlencoded::Serializer};

use crate::{
    DEV_META_APP_ID, DEV_META_APP_SECRET, DEV_META_DATASET, DEV_META_TOKEN, TokenState, clock,
    testing::{Answer, Site},
};

const EMAIL: &str = "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f";
const FORM: &str = "content-type: application/x-www-form-urlencoded\r\n";
const JSON: &str = "content-type: application/json\r\n";

fn proof(token: &str) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(DEV_META_APP_SECRET.as_bytes()).expect("any key is good");
    mac.update(token.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

/// A sandbox whose clock stands still.
async fn stopped() -> Site {
    let site = Site::start().await;
    site.sandbox.clock().stop();
    let now = "2026-11-20T12:00:00Z".parse().expect("a time");
    site.sandbox.clock().set(now).expect("near enough");
    site
}

/// A path with parameters, called by whoever has the token.
fn signed_by(token: &str, path: &str, params: &[(&str, &str)]) -> String {
    let query = Serializer::new(String::new())
        .append_pair("access_token", token)
        .append_pair("appsecret_proof", &proof(token))
        .extend_pairs(params)
        .finish();
    format!("/v26.0/{path}?{query}")
}

/// The same, called by the development user.
fn signed(path: &str, params: &[(&str, &str)]) -> String {
    signed_by(DEV_META_TOKEN, path, params)
}

/// What the development user is answered.
async fn ask(site: &Site, path: &str, params: &[(&str, &str)]) -> Value {
    let answer = site.get(&signed(path, params)).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.json()
}

/// The entries of all pages of a list, and of how many entries each page was. The next page is
/// asked for as Meta says it.
async fn paged(site: &Site, path: &str, params: &[(&str, &str)]) -> (Vec<Value>, Vec<usize>) {
    let mut page = ask(site, path, params).await;
    let (mut entries, mut lengths) = (Vec::new(), Vec::new());
    loop {
        let data = page["data"].as_array().expect("a list").clone();
        lengths.push(data.len());
        entries.extend(data);
        let Some(next) = page["paging"]["next"].as_str() else {
            return (entries, lengths);
        };
        let address = Url::parse(next).expect("an address");
        let query = address.query().unwrap_or_default();
        let proof = proof(DEV_META_TOKEN);
        let path = format!("{}?{query}&appsecret_proof={proof}", address.path());
        page = site.get(&path).await.json();
    }
}

/// What the control answers.
async fn truth(site: &Site, path: &str) -> Value {
    let answer = site.get(&format!("/_control/{path}")).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.json()
}

/// Tells the control something.
async fn tell(site: &Site, path: &str, body: Value) {
    let answer = site.control("POST", path, &body).await;
    assert!(answer.status < 300, "{path}: {}", answer.body);
}

fn lead(event_id: &str) -> Value {
    json!({
        "event_name": "Lead",
        "event_time": clock::now().timestamp(),
        "event_id": event_id,
        "action_source": "system_generated",
        "user_data": { "em": [EMAIL] },
    })
}

fn events_path() -> String {
    format!("/v26.0/{DEV_META_DATASET}/events")
}

/// Sends events as a JSON body, signed in as the development user.
async fn send_events(site: &Site, events: &[Value]) -> Answer {
    let body = json!({
        "access_token": DEV_META_TOKEN,
        "appsecret_proof": proof(DEV_META_TOKEN),
        "data": events,
    });
    site.post(&events_path(), JSON, &body.to_string()).await
}

/// Sends one good event with these parameters as a form.
async fn send_as(site: &Site, path: &str, params: &[(&str, &str)]) -> Answer {
    let data = json!([lead("order-1")]).to_string();
    let form = Serializer::new(String::new())
        .extend_pairs(params)
        .append_pair("data", &data)
        .finish();
    site.post(path, FORM, &form).await
}

fn assert_refused(answer: &Answer, code: i64, subcode: Option<i64>) {
    let error = &answer.json()["error"];
    assert_eq!(error["code"], code, "{}", answer.body);
    assert_eq!(error["error_subcode"], json!(subcode), "{}", answer.body);
    assert!(
        error["message"].is_string() && error["type"].is_string(),
        "{}",
        answer.body
    );
    assert!(
        error["fbtrace_id"]
            .as_str()
            .is_some_and(|id| id.starts_with('A')),
        "{}",
        answer.body
    );
}

#[tokio::test]
async fn events_as_metas_sdk_sends_them_are_received() {
    let site = Site::start().await;
    let data = json!([lead("order-1").to_string(), lead("order-2").to_string()]).to_string();
    let form = Serializer::new(String::new())
        .append_pair("data", &data)
        .finish();
    let proof = proof(DEV_META_TOKEN);
    let path = format!(
        "{}?access_token={DEV_META_TOKEN}&appsecret_proof={proof}",
        events_path()
    );

    let answer = site.post(&path, FORM, &form).await;

    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.json()["events_received"], 2);
    assert_eq!(answer.json()["messages"], json!([]));
    assert!(
        answer
            .header("x-app-usage")
            .is_some_and(|usage| usage.contains("call_count"))
    );
    let events = site.sandbox.ledger().meta_events();
    assert_eq!(events.len(), 2);
    assert_eq!(events[0].event["user_data"]["em"][0], EMAIL);
    site.stop().await;
}

#[tokio::test]
async fn a_bearer_token_and_a_path_without_version_work_too() {
    let site = Site::start().await;
    let body = json!({ "data": [lead("a")], "appsecret_proof": proof(DEV_META_TOKEN) });
    let headers = format!("{JSON}authorization: Bearer {DEV_META_TOKEN}\r\n");

    let answer = site
        .post(
            &format!("/{DEV_META_DATASET}/events"),
            &headers,
            &body.to_string(),
        )
        .await;

    assert_eq!(answer.json()["events_received"], 1, "{}", answer.body);
    site.stop().await;
}

#[tokio::test]
async fn an_event_sent_again_is_received_again_and_counted_once() {
    let site = Site::start().await;

    send_events(&site, &[lead("order-1")]).await;
    let again = send_events(&site, &[lead("order-1"), lead("order-2")]).await;

    assert_eq!(again.json()["events_received"], 2);
    let events = site.sandbox.ledger().meta_events();
    let counts: Vec<_> = events
        .iter()
        .map(|event| (event.event_id.as_deref(), event.count, event.request))
        .collect();
    assert_eq!(counts, [(Some("order-1"), 2, 0), (Some("order-2"), 1, 1)]);
    site.stop().await;
}

#[tokio::test]
async fn one_bad_event_refuses_its_whole_call_and_is_named() {
    let site = Site::start().await;
    let mut old = lead("old");
    old["event_time"] = json!(clock::now().timestamp() - 8 * 86_400);

    let answer = send_events(&site, &[lead("good"), old, lead("good too")]).await;

    assert_eq!(answer.status, 400);
    assert_refused(&answer, 100, Some(2_804_003));
    let error = &answer.json()["error"];
    assert_eq!(error["message"], "Invalid parameter");
    assert_eq!(error["is_transient"], false);
    assert_eq!(error["error_user_title"], "Event Timestamp Too Old");
    assert!(
        error["error_user_msg"]
            .as_str()
            .is_some_and(|text| text.starts_with("data[1]: "))
    );
    assert!(site.sandbox.ledger().meta_events().is_empty());
    site.stop().await;
}

#[tokio::test]
async fn more_than_a_thousand_events_are_refused() {
    let site = Site::start().await;
    let events: Vec<_> = (0..1_001).map(|number| lead(&number.to_string())).collect();

    let too_many = send_events(&site, &events).await;
    let enough = send_events(&site, &events[1..]).await;
    let none = send_events(&site, &[]).await;

    assert_refused(&too_many, 100, None);
    assert_eq!(enough.json()["events_received"], 1_000);
    assert_refused(&none, 100, None);
    site.stop().await;
}

#[tokio::test]
async fn data_that_is_no_list_of_objects_is_refused() {
    let site = Site::start().await;
    for data in [
        json!("[1"),
        json!({}),
        json!(null),
        json!([5]),
        json!(["{"]),
    ] {
        let body = json!({
            "access_token": DEV_META_TOKEN,
            "appsecret_proof": proof(DEV_META_TOKEN),
            "data": data,
        });

        let answer = site.post(&events_path(), JSON, &body.to_string()).await;

        assert_refused(&answer, 100, None);
    }
    let broken = site.post(&events_path(), JSON, "{").await;
    assert_refused(&broken, 100, None);
    site.stop().await;
}

#[tokio::test]
async fn a_token_that_does_not_work_is_refused_with_its_reason() {
    let spent = [
        ("fake-expired", TokenState::Expired, 463),
        ("fake-password", TokenState::PasswordChanged, 460),
        ("fake-invalid", TokenState::Invalid, 467),
    ];
    let site = Site::start_with(|config| {
        config
            .meta
            .tokens
            .extend(spent.map(|(token, state, _)| (token.to_owned(), state)));
    })
    .await;

    for (token, _, subcode) in spent {
        let answer = send_as(&site, &events_path(), &[("access_token", token)]).await;

        assert_eq!(answer.status, 401);
        assert_refused(&answer, 190, Some(subcode));
    }
    let unknown = send_as(&site, &events_path(), &[("access_token", "nobody's")]).await;
    assert_refused(&unknown, 190, None);
    let none = send_as(&site, &events_path(), &[]).await;
    assert_refused(&none, 104, None);
    site.stop().await;
}

#[tokio::test]
async fn a_proof_is_required_and_must_fit_the_token() {
    let site = Site::start().await;
    let other = proof("another token");

    let missing = send_as(&site, &events_path(), &[("access_token", DEV_META_TOKEN)]).await;
    let params = [
        ("access_token", DEV_META_TOKEN),
        ("appsecret_proof", other.as_str()),
    ];
    let wrong = send_as(&site, &events_path(), &params).await;

    assert_refused(&missing, 100, None);
    assert_refused(&wrong, 100, None);
    assert_eq!(
        missing.json()["error"]["message"],
        "API calls from the server require an appsecret_proof argument",
    );
    assert_eq!(
        wrong.json()["error"]["message"],
        "Invalid appsecret_proof provided in the API argument",
    );
    site.stop().await;
}

#[tokio::test]
async fn a_proof_that_is_not_required_must_fit_all_the_same() {
    let site = Site::start_with(|config| config.meta.require_proof = false).await;

    let without = send_as(&site, &events_path(), &[("access_token", DEV_META_TOKEN)]).await;
    let params = [("access_token", DEV_META_TOKEN), ("appsecret_proof", "00")];
    let wrong = send_as(&site, &events_path(), &params).await;

    assert_eq!(without.status, 200, "{}", without.body);
    assert_refused(&wrong, 100, None);
    site.stop().await;
}

#[tokio::test]
async fn what_is_not_there_answers_in_metas_envelope() {
    let site = Site::start().await;
    let proof = proof(DEV_META_TOKEN);
    let params = [
        ("access_token", DEV_META_TOKEN),
        ("appsecret_proof", proof.as_str()),
    ];

    let dataset = send_as(&site, "/v26.0/404/events", &params).await;
    let object = site.get("/v26.0/404").await;
    let path = site.get("/v26.0/1/2/3").await;
    let root = site.get("/").await;

    assert_refused(&dataset, 100, Some(33));
    assert_refused(&object, 100, Some(33));
    assert_refused(&path, 2_500, None);
    assert_refused(&root, 100, Some(33));
    site.stop().await;
}

#[tokio::test]
async fn a_token_says_what_it_is_good_for() {
    let site = Site::start_with(|config| {
        config
            .meta
            .tokens
            .insert("fake-expired".to_owned(), TokenState::Expired);
    })
    .await;
    let app_token = format!("{DEV_META_APP_ID}%7C{DEV_META_APP_SECRET}");
    let debug =
        |token: &str| format!("/v26.0/debug_token?input_token={token}&access_token={app_token}");

    let valid = site.get(&debug(DEV_META_TOKEN)).await.json();
    let expired = site.get(&debug("fake-expired")).await.json();
    let unknown = site.get(&debug("nobodys")).await.json();

    assert_eq!(valid["data"]["is_valid"], true);
    assert_eq!(valid["data"]["app_id"], DEV_META_APP_ID);
    assert_eq!(expired["data"]["is_valid"], false);
    assert_eq!(expired["data"]["error"]["subcode"], 463);
    assert_eq!(unknown["data"]["error"]["code"], 190);
    site.stop().await;
}

#[tokio::test]
async fn me_answers_whoever_has_a_token_that_works() {
    let site = Site::start().await;
    let proof = proof(DEV_META_TOKEN);

    let me = site
        .get(&format!(
            "/v26.0/me/?access_token={DEV_META_TOKEN}&appsecret_proof={proof}"
        ))
        .await;
    let nobody = site.get("/v26.0/me").await;

    assert!(me.json()["id"].is_string(), "{}", me.body);
    assert_refused(&nobody, 104, None);
    site.stop().await;
}
