//! What is told of how much is used, and what happens when nothing is left.

use serde_json::{Value, json};

use super::{Answer, assert_refused, signed, stopped, tell};

const CAMPAIGNS: &str = "act_1000000000001/campaigns";
const INSIGHTS: &str = "act_1000000000001/insights";

fn header(answer: &Answer, name: &str) -> Value {
    serde_json::from_str(answer.header(name).expect("a header")).expect("JSON")
}

#[tokio::test]
async fn an_accounts_usage_stands_in_its_three_headers() {
    let site = stopped().await;
    let limits = json!({ "platform": "meta", "account": "1000000000001", "usage_percent": 97.0 });
    tell(&site, "/limits", limits).await;

    let used = site.get(&signed(INSIGHTS, &[])).await;
    let other = site.get(&signed("act_1000000000002/campaigns", &[])).await;

    assert_eq!(used.status, 200, "{}", used.body);
    let business = &header(&used, "x-business-use-case-usage")["1000000000001"][0];
    assert_eq!(
        (&business["type"], &business["call_count"]),
        (&json!("ads_insights"), &json!(97))
    );
    assert_eq!(header(&used, "x-ad-account-usage")["acc_id_util_pct"], 97.0);
    assert_eq!(
        header(&used, "x-fb-ads-insights-throttle")["acc_id_util_pct"],
        97
    );
    let business = &header(&other, "x-business-use-case-usage")["1000000000002"][0];
    assert_eq!(business["call_count"], 1);
    site.stop().await;
}

#[tokio::test]
async fn one_who_has_nothing_left_is_told_when_to_come_back_in_minutes() {
    let site = stopped().await;
    let limits = json!({ "platform": "meta", "account": "1000000000001", "refuse": 2 });
    tell(&site, "/limits", limits).await;

    let campaigns = site.get(&signed(CAMPAIGNS, &[])).await;
    let insights = site.get(&signed(INSIGHTS, &[])).await;
    let later = site.get(&signed(CAMPAIGNS, &[])).await;

    assert_refused(&campaigns, 80_004, Some(2_446_079));
    assert_refused(&insights, 80_000, Some(2_446_079));
    let business = &header(&campaigns, "x-business-use-case-usage")["1000000000001"][0];
    // It is noon, and the hour's calls come back at one.
    assert_eq!(business["estimated_time_to_regain_access"], 60);
    assert_eq!(later.status, 200);
    site.stop().await;
}

#[tokio::test]
async fn an_account_whose_score_is_used_up_is_told_in_seconds() {
    let site = stopped().await;
    let limits =
        json!({ "platform": "meta", "account": "1000000000001/score", "usage_percent": 100.0 });
    tell(&site, "/limits", limits).await;

    let answer = site.get(&signed(CAMPAIGNS, &[])).await;

    assert_refused(&answer, 17, Some(2_446_079));
    assert_eq!(
        header(&answer, "x-ad-account-usage")["reset_time_duration"],
        300
    );
    site.stop().await;
}

#[tokio::test]
async fn the_app_has_an_allowance_of_its_own() {
    let site = stopped().await;
    let limits = json!({ "platform": "meta", "account": "app", "usage_percent": 100.0 });
    tell(&site, "/limits", limits).await;

    let answer = site.get(&signed("me", &[])).await;

    assert_refused(&answer, 4, None);
    assert_eq!(header(&answer, "x-app-usage")["call_count"], 100);
    site.stop().await;
}

#[tokio::test]
async fn a_platform_that_is_down_answers_as_a_gateway_until_it_is_up() {
    let site = stopped().await;
    tell(
        &site,
        "/limits",
        json!({ "platform": "meta", "down": true }),
    )
    .await;

    let down = site.get(&signed("me", &[])).await;
    tell(&site, "/limits", json!({ "platform": "meta" })).await;
    let up = site.get(&signed("me", &[])).await;

    assert_eq!((down.status, up.status), (503, 200));
    assert!(down.body.starts_with("<html>"));
    site.stop().await;
}
