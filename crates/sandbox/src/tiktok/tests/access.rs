//! Paths, headers, tokens, advertisers.

use super::*;

const OF_FIRST: [(&str, &str); 1] = [("advertiser_id", FIRST)];

async fn know(ads: &Ads, token: Value) {
    let known = json!({ "platform": "tiktok", "tokens": [token] });
    ads.site.control("POST", "/tokens", &known).await;
}

#[tokio::test]
async fn a_path_without_its_last_slash_is_a_page_that_is_not_there() {
    let ads = Ads::start().await;

    let without = ads.get("campaign/get", &OF_FIRST).await;
    let unknown = ads.get("campaigns/get/", &OF_FIRST).await;
    let posted = ads.post("campaign/get/", &json!({})).await;
    let with = ads.get("campaign/get/", &OF_FIRST).await;

    for lost in [without, unknown, posted] {
        assert_eq!(lost.status, 404);
        assert!(lost.body.starts_with("<html>"), "{}", lost.body);
    }
    data(&with);
    ads.site.stop().await;
}

#[tokio::test]
async fn the_token_stands_in_its_header_and_nowhere_else() {
    let ads = Ads::start().await;
    let path = path(
        "campaign/get/",
        &[OF_FIRST[0], ("access_token", DEV_TIKTOK_TOKEN)],
    );

    let bearer = format!("authorization: Bearer {DEV_TIKTOK_TOKEN}\r\n");
    let elsewhere = ads.site.call("GET", &path, &bearer, "").await;
    let empty = ads.get_as("", "campaign/get/", &OF_FIRST).await;

    assert_code(&elsewhere, 40_104);
    assert_code(&empty, 40_104);
    ads.site.stop().await;
}

#[tokio::test]
async fn dead_tokens_have_codes_and_no_status() {
    let ads = Ads::start().await;
    know(&ads, json!({ "token": "fake-old", "state": "expired" })).await;
    know(&ads, json!({ "token": "fake-gone", "state": "revoked" })).await;
    know(&ads, json!({ "token": "fake-refresh", "role": "refresh" })).await;

    for (token, code) in [
        ("fake-old", 40_102),
        ("fake-gone", 40_105),
        ("fake-refresh", 40_105),
        ("nobody's", 40_105),
    ] {
        assert_code(&ads.get_as(token, "campaign/get/", &OF_FIRST).await, code);
    }
    ads.site.stop().await;
}

#[tokio::test]
async fn an_advertiser_can_vanish_alone() {
    let ads = Ads::start().await;
    know(
        &ads,
        json!({ "token": "fake-second", "accounts": [SECOND] }),
    )
    .await;
    let list = async |id: &str| {
        let params = [("advertiser_id", id)];
        ads.get_as("fake-second", "campaign/get/", &params).await
    };
    let app = [("app_id", DEV_APP_ID), ("secret", DEV_APP_SECRET)];

    let reached = ads
        .get_as("fake-second", "oauth2/advertiser/get/", &app)
        .await;

    let advertisers = data(&reached)["list"].clone();
    assert_eq!(advertisers.as_array().map(Vec::len), Some(1));
    assert_eq!(advertisers[0]["advertiser_id"], SECOND);
    assert!(advertisers[0]["advertiser_name"].is_string());
    data(&list(SECOND).await);
    assert_code(&list(FIRST).await, 40_106);
    assert_code(&list("7000000000000000999").await, 40_001);
    ads.site.stop().await;
}

#[tokio::test]
async fn advertisers_are_listed_for_their_own_app_alone() {
    let ads = Ads::start().await;
    let wrong = [("app_id", DEV_APP_ID), ("secret", "another")];
    let none = [("app_id", DEV_APP_ID)];

    let wrong = ads.get("oauth2/advertiser/get/", &wrong).await;
    let none = ads.get("oauth2/advertiser/get/", &none).await;

    assert_code(&wrong, 40_101);
    assert_code(&none, 40_101);
    ads.site.stop().await;
}

#[tokio::test]
async fn advertisers_say_what_they_pay_in_and_where_they_live() {
    let ads = Ads::start().await;
    let ids = json!([FIRST, SECOND]).to_string();
    let fields = json!(["advertiser_id", "currency", "timezone"]).to_string();
    let hundred_and_one = json!(vec![FIRST; 101]).to_string();

    let info = ads
        .get("advertiser/info/", &[("advertiser_ids", &ids)])
        .await;
    let selected = [
        ("advertiser_ids", ids.as_str()),
        ("fields", fields.as_str()),
    ];
    let selected = ads.get("advertiser/info/", &selected).await;
    let commas = ads
        .get("advertiser/info/", &[("advertiser_ids", FIRST)])
        .await;
    let many = [("advertiser_ids", hundred_and_one.as_str())];
    let many = ads.get("advertiser/info/", &many).await;

    let list = data(&info)["list"].clone();
    assert_eq!(list[0]["display_timezone"], "America/Los_Angeles");
    assert_eq!(
        (&list[0]["currency"], &list[1]["currency"]),
        (&json!("USD"), &json!("GBP"))
    );
    assert_eq!(list[0]["status"], "STATUS_ENABLE");
    assert!(list[0]["balance"].is_number());
    assert_eq!(
        data(&selected)["list"][1],
        json!({ "advertiser_id": SECOND, "currency": "GBP", "timezone": "Europe/London" }),
    );
    assert_code(&commas, 40_002);
    assert_code(&many, 40_011);
    ads.site.stop().await;
}

#[tokio::test]
async fn faults_speak_as_tiktok_does() {
    let ads = Ads::start().await;
    let under = async |fault: Value| {
        let order = json!({ "target": "tiktok", "fault": fault, "times": 1 });
        let armed = ads.site.control("POST", "/faults", &order).await;
        assert_eq!(armed.status, 204, "{}", armed.body);
        ads.get("campaign/get/", &OF_FIRST).await
    };

    let failed = under(json!({ "kind": "fail", "status": 200, "code": 51_305 })).await;
    let throttled = under(json!({ "kind": "throttle", "wait_s": 1 })).await;
    let by_code = under(json!({ "kind": "throttle", "code": 40_133 })).await;
    let broken = under(json!({ "kind": "html", "status": 502 })).await;

    assert_code(&failed, 51_305);
    assert_code(&throttled, 40_100);
    assert!(throttled.body.contains("QPS"), "{}", throttled.body);
    assert!(throttled.header("retry-after").is_none());
    assert_code(&by_code, 40_133);
    assert_eq!(broken.status, 502);
    ads.site.stop().await;
}
