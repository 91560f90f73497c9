//! Headers that tell what is left, and until when.

use super::*;

async fn set(ads: &Ads, account: Option<&str>, name: &str, value: Value) {
    let mut order = json!({ "platform": "x", "account": account });
    order[name] = value;
    let answer = ads.site.control("POST", "/limits", &order).await;
    assert_eq!(answer.status, 204, "{}", answer.body);
}

fn number(answer: &Answer, header: &str) -> i64 {
    let text = answer.header(header).expect("a header");
    text.parse().expect("a number")
}

#[tokio::test]
async fn lists_tell_the_accounts_limit_beside_the_persons() {
    let ads = Ads::start().await;
    let path = format!("accounts/{FIRST}/campaigns");
    ads.get(&format!("accounts/{SECOND}/campaigns"), &[]).await;

    let answer = ads.get(&path, &[]).await;

    assert_eq!(number(&answer, "x-account-rate-limit-limit"), 10_000);
    assert_eq!(number(&answer, "x-account-rate-limit-remaining"), 9_999);
    assert_eq!(number(&answer, "x-rate-limit-remaining"), 9_998);
    let now = Utc::now().timestamp();
    let reset = number(&answer, "x-account-rate-limit-reset");
    assert!((now..=now + 900).contains(&reset), "seconds since 1970");
    ads.site.stop().await;
}

#[tokio::test]
async fn families_have_allowances_of_their_own() {
    let ads = Ads::start().await;
    let campaigns = format!("accounts/{FIRST}/campaigns");

    let account = ads.get(&format!("accounts/{FIRST}"), &[]).await;
    let counted = ads.get(&campaigns, &[("with_total_count", "true")]).await;
    let stats = ads.get(&format!("stats/accounts/{FIRST}"), &[]).await;

    for (answer, limit) in [(&account, 2_000), (&counted, 200), (&stats, 250)] {
        assert_eq!(number(answer, "x-rate-limit-limit"), limit);
        assert_eq!(number(answer, "x-rate-limit-remaining"), limit - 1);
        assert!(answer.header("x-account-rate-limit-limit").is_none());
    }
    ads.site.stop().await;
}

#[tokio::test]
async fn an_account_can_be_over_its_limit_while_another_is_not() {
    let ads = Ads::start().await;
    set(&ads, Some(SECOND), "usage_percent", json!(100)).await;

    let other = ads.get(&format!("accounts/{FIRST}/campaigns"), &[]).await;
    let refused = ads.get(&format!("accounts/{SECOND}/campaigns"), &[]).await;

    good(&other);
    assert_refused(&refused, 429, "TOO_MANY_REQUESTS");
    assert_eq!(number(&refused, "x-account-rate-limit-remaining"), 0);
    assert!(number(&refused, "x-account-rate-limit-reset") >= Utc::now().timestamp());
    ads.site.stop().await;
}

#[tokio::test]
async fn nearly_used_up_shows_in_the_headers_and_calls_can_be_refused() {
    let ads = Ads::start().await;
    let path = format!("stats/accounts/{FIRST}/active_entities");
    let params = [
        ("entity", "CAMPAIGN"),
        ("start_time", "2026-11-19T00:00:00Z"),
        ("end_time", "2026-11-20T00:00:00Z"),
    ];
    set(&ads, Some(FIRST), "usage_percent", json!(97)).await;

    let nearly = ads.get(&path, &params).await;
    set(&ads, Some(FIRST), "refuse", json!(1)).await;
    let refused = ads.get(&path, &params).await;
    let again = ads.get(&path, &params).await;

    good(&nearly);
    assert_eq!(number(&nearly, "x-rate-limit-remaining"), 7);
    assert_refused(&refused, 429, "TOO_MANY_REQUESTS");
    good(&again);
    ads.site.stop().await;
}

#[tokio::test]
async fn a_window_ends_after_a_quarter_of_an_hour() {
    let ads = Ads::start().await;
    let path = format!("accounts/{FIRST}/campaigns");
    let remaining = async || number(&ads.get(&path, &[]).await, "x-account-rate-limit-remaining");

    let (first, second) = (remaining().await, remaining().await);
    ads.advance(15 * 60).await;
    let later = remaining().await;

    assert_eq!((first, second, later), (9_999, 9_998, 9_999));
    ads.site.stop().await;
}
