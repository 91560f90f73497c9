//! Allowances: short ones, the day's, and what the control makes of them.

use std::env;

use chrono::{DateTime, TimeDelta, Utc};

use super::*;
use crate::{
    google::{Context, quota},
    shared::Shared,
};

const IDS: &str = "SELECT campaign.id FROM campaign LIMIT 1";

#[test]
fn the_operations_of_any_24_hours_are_counted() {
    let config = SandboxConfig::on_free_ports(env::temp_dir());
    let shared = Shared::new(&config).expect("a sandbox's state");
    let start: DateTime<Utc> = "2026-11-20T12:10:00Z".parse().expect("a time");
    let is_let_in = |after: TimeDelta| {
        let now = start + after;
        let ctx = Context {
            shared: &shared,
            now,
        };
        quota::count_operation(&ctx)
    };

    for number in 0..15_000 {
        let after = TimeDelta::seconds(number);
        assert!(is_let_in(after).is_ok(), "{number}");
    }

    let refused = is_let_in(TimeDelta::hours(5))
        .expect_err("over the limit")
        .body("v26");
    let error = &refused["error"]["details"][0]["errors"][0];
    assert_eq!(
        error["errorCode"],
        json!({ "quotaError": "RESOURCE_EXHAUSTED" })
    );
    // The first hour falls out at noon of the next day, 18 hours and 50 minutes later.
    let delay = &error["details"]["quotaErrorDetails"]["retryDelay"];
    assert_eq!(*delay, json!("67800s"));
    assert!(is_let_in(TimeDelta::hours(23)).is_err());
    assert!(is_let_in(TimeDelta::minutes(24 * 60 - 10)).is_ok());
}

#[tokio::test]
async fn an_account_can_be_over_its_limit_while_another_is_not() {
    let ads = Ads::start().await;
    let refuse = json!({ "platform": "google_ads", "account": SECOND, "refuse": 1 });
    ads.site.control("POST", "/limits", &refuse).await;

    let other = ads.search(FIRST, IDS).await;
    let refused = ads.search(SECOND, IDS).await;
    let again = ads.search(SECOND, IDS).await;

    assert_eq!((other.status, again.status), (200, 200));
    assert_refused(
        &refused,
        429,
        "quotaError",
        "RESOURCE_TEMPORARILY_EXHAUSTED",
    );
    let error = &refused.json()["error"]["details"][0]["errors"][0];
    let details = &error["details"]["quotaErrorDetails"];
    assert_eq!(details["rateScope"], "ACCOUNT");
    assert!(
        details["retryDelay"]
            .as_str()
            .is_some_and(|delay| delay.ends_with('s'))
    );
    ads.site.stop().await;
}

#[tokio::test]
async fn the_days_operations_can_be_used_up_by_the_control() {
    let ads = Ads::start().await;
    let full = json!({ "platform": "google_ads", "account": "operations", "usage_percent": 100 });
    ads.site.control("POST", "/limits", &full).await;

    let refused = ads.search(FIRST, IDS).await;

    assert_refused(&refused, 429, "quotaError", "RESOURCE_EXHAUSTED");
    assert!(refused.header("retry-after").is_none());
    ads.site.stop().await;
}

#[tokio::test]
async fn faults_speak_as_google_ads_does() {
    let ads = Ads::start().await;
    let arm = async |fault: Value| {
        let order = json!({ "target": "google_ads", "fault": fault, "times": 1 });
        let armed = ads.site.control("POST", "/faults", &order).await;
        assert_eq!(armed.status, 204, "{}", armed.body);
    };

    let name = "authorizationError.DEVELOPER_TOKEN_NOT_APPROVED";
    arm(json!({ "kind": "fail", "status": 403, "name": name })).await;
    let named = ads.search(FIRST, IDS).await;
    arm(json!({ "kind": "fail", "status": 503 })).await;
    let nameless = ads.search(FIRST, IDS).await;
    arm(json!({ "kind": "throttle", "wait_s": 7 })).await;
    let throttled = ads.search(FIRST, IDS).await;
    arm(json!({ "kind": "fail", "status": 400, "name": "unauthorized_client" })).await;
    let of_oauth = refresh(&ads.site, DEV_GOOGLE_REFRESH_TOKEN).await;

    assert_refused(
        &named,
        403,
        "authorizationError",
        "DEVELOPER_TOKEN_NOT_APPROVED",
    );
    assert_eq!(nameless.json()["error"]["status"], "UNAVAILABLE");
    assert_refused(
        &throttled,
        429,
        "quotaError",
        "RESOURCE_TEMPORARILY_EXHAUSTED",
    );
    assert!(throttled.body.contains("\"retryDelay\":\"7s\""));
    assert_eq!(of_oauth.json()["error"], "unauthorized_client");
    ads.site.stop().await;
}
