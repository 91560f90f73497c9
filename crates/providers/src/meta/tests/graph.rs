//! What is true of every call: in whose name it goes out, what its answer means, and what the door hears of it.

use std::time::Duration;

use secrecy::SecretString;
use serde_json::json;
use wiremock::ResponseTemplate;

use super::{APP_SECRET, PROOF, Site, TOKEN, graph_error, ok};
use crate::{
    error::Error,
    platform::{Access, AdPlatform, Caller, Platform},
};

const ACCOUNTS: &str = "me/adaccounts";

async fn failure_of(answer: ResponseTemplate) -> Error {
    let site = Site::new().await;
    site.on("GET", ACCOUNTS, answer).await;
    let result = site.meta.accounts(site.caller(), None).await;
    result.expect_err("a failure")
}

async fn wait_of(site: &Site, account_id: &str) -> u64 {
    match site.meta.account(site.caller(), account_id).await {
        Err(Error::RateLimited { retry_after, .. }) => retry_after.expect("a wait").as_secs(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_token_travels_in_the_header_with_its_proof_beside_it() {
    let site = Site::new().await;
    site.on("GET", ACCOUNTS, ok(json!({"data": []}))).await;

    site.meta
        .accounts(site.caller(), None)
        .await
        .expect("a page");

    let requests = site.requests().await;
    let header = requests[0].headers["authorization"].to_str().expect("text");
    assert_eq!(header, format!("Bearer {TOKEN}"));
    assert_eq!(site.asked().await[0]["appsecret_proof"], PROOF);
    assert!(!requests[0].url.as_str().contains("EAA"));
}

#[tokio::test]
async fn the_proof_belongs_to_the_token_of_the_very_call() {
    let site = Site::new().await;
    site.on("GET", ACCOUNTS, ok(json!({"data": []}))).await;
    let access = Access {
        token: SecretString::from("EAAfakeOtherToken0000000000000000000000002"),
        token_secret: None,
        manager: None,
    };
    let other = Caller {
        access: &access,
        ..site.caller()
    };

    for caller in [site.caller(), other] {
        site.meta.accounts(caller, None).await.expect("a page");
    }

    let asked = site.asked().await;
    assert_eq!(asked[0]["appsecret_proof"], PROOF);
    assert_ne!(asked[1]["appsecret_proof"], PROOF);
    assert_eq!(asked[1]["appsecret_proof"].len(), 64);
}

#[tokio::test]
async fn the_door_hears_of_a_call_and_of_the_worst_allowance() {
    let site = Site::new().await;
    let cases = r#"{"1000000000001":[{"type":"ads_management","call_count":12,"total_time":77,
        "estimated_time_to_regain_access":0}]}"#
        .replace(['\n', ' '], "");
    let answer = ok(json!({"data": []}))
        .insert_header(
            "x-app-usage",
            r#"{"call_count":28,"total_time":25,"total_cputime":25}"#,
        )
        .insert_header("x-business-use-case-usage", cases.as_str());
    site.on("GET", ACCOUNTS, answer).await;

    site.meta
        .accounts(site.caller(), None)
        .await
        .expect("a page");

    assert_eq!(site.door.steps(), ["admitted 1", "told", "released"]);
    let record = &site.door.records()[0];
    assert_eq!(record.platform, Platform::Meta);
    assert_eq!(record.endpoint, "GET me/adaccounts");
    assert_eq!(record.status, Some(200));
    assert_eq!(record.class, None);
    assert_eq!(record.usage.used_share, Some(0.77));
}

#[tokio::test]
async fn the_door_hears_of_a_failure_with_what_support_asks_for() {
    let site = Site::new().await;
    let error = json!({"message": "limit", "code": 17, "error_subcode": 2_446_079, "fbtrace_id": "AfakeTrace"});
    let usage = r#"{"acc_id_util_pct":100,"reset_time_duration":100}"#;
    let answer = graph_error(400, error).insert_header("x-ad-account-usage", usage);
    site.on("GET", ACCOUNTS, answer).await;

    let result = site.meta.accounts(site.caller(), None).await;

    let Err(Error::RateLimited { retry_after, .. }) = result else {
        panic!("{result:?}");
    };
    assert_eq!(retry_after, Some(Duration::from_secs(100)));
    let record = &site.door.records()[0];
    assert_eq!(record.class, Some("rate_limited"));
    assert_eq!(record.request_id.as_deref(), Some("AfakeTrace"));
    assert_eq!(record.usage.used_share, Some(1.0));
    assert_eq!(record.usage.resets_in, Some(Duration::from_secs(100)));
}

#[tokio::test]
async fn a_limit_without_an_end_waits_once_for_all_that_met_it() {
    let site = Site::new().await;
    let limit = || graph_error(400, json!({"message": "limit", "code": 80_004}));
    site.on("GET", "act_1", limit()).await;
    site.on("GET", "act_2", limit()).await;

    let waits = [
        wait_of(&site, "1").await,
        wait_of(&site, "1").await,
        wait_of(&site, "2").await,
    ];

    // The second met the same limit while it lasted.
    assert!(
        waits.iter().all(|wait| (295..=300).contains(wait)),
        "{waits:?}"
    );
}

#[tokio::test]
async fn the_body_decides_and_not_the_status() {
    let error = failure_of(graph_error(
        200,
        json!({"message": "Session has expired", "code": 190, "error_subcode": 463}),
    ))
    .await;
    assert!(matches!(error, Error::AuthExpired { .. }), "{error}");

    let error = failure_of(graph_error(403, json!({"message": "limit", "code": 4}))).await;
    assert!(matches!(error, Error::RateLimited { .. }), "{error}");

    let reduce = "Please reduce the amount of data you're asking for, then retry your request";
    let error = failure_of(graph_error(500, json!({"message": reduce, "code": 1}))).await;
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn a_front_end_is_believed_by_its_status() {
    let plain = |status| ResponseTemplate::new(status).set_body_string("<html>Sorry</html>");

    let error = failure_of(plain(502)).await;
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    let error = failure_of(plain(400)).await;
    assert!(matches!(error, Error::Rejected { .. }), "{error}");
    let error = failure_of(plain(401)).await;
    assert!(matches!(error, Error::Rejected { .. }), "{error}");
}

#[tokio::test]
async fn an_answer_beyond_the_limit_is_asked_for_in_smaller_parts() {
    let long = format!("{{\"data\":[\"{}", "x".repeat(17 << 20));

    let error = failure_of(ResponseTemplate::new(200).set_body_string(long)).await;

    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn what_meta_quotes_of_our_secrets_is_not_kept() {
    let message = format!("Malformed access token {TOKEN} of {APP_SECRET}");

    let error = failure_of(graph_error(400, json!({"message": message, "code": 190}))).await;

    let shown = format!("{error} {error:?}");
    assert!(
        !shown.contains(TOKEN) && !shown.contains(APP_SECRET),
        "{shown}"
    );
}

#[tokio::test]
async fn an_id_is_never_a_path() {
    let site = Site::new().await;

    for odd in ["", "1/2", "..", "1?x=1", "1 2", &"1".repeat(65)] {
        let result = site.meta.account(site.caller(), odd).await;

        assert!(matches!(result, Err(Error::Rejected { .. })), "{odd}");
    }
    assert!(site.requests().await.is_empty());
}
