//! What every call needs: a token, a version, the protocol, and queries in its syntax.

use super::*;

const ACCOUNTS: &str = "/rest/adAccounts?q=search";

#[tokio::test]
async fn every_call_names_a_version_that_is_alive() {
    let li = Li::start().await;
    let with = async |version: &str| {
        let headers = format!(
            "x-restli-protocol-version: 2.0.0\r\n{}{version}",
            bearer(DEV_LINKEDIN_TOKEN)
        );
        li.get_with(ACCOUNTS, &headers).await
    };

    let none = with("").await;
    let sunset = with("linkedin-version: 202511\r\n").await;
    let missing = with("linkedin-version: 202512\r\n").await;
    let alive = with("linkedin-version: 202602\r\n").await;
    li.advance(120 * 86_400).await;
    let aged = with("linkedin-version: 202602\r\n").await;

    assert_eq!(
        (none.status, &none.json()["code"]),
        (400, &json!("VERSION_MISSING"))
    );
    for answer in [sunset, missing, aged] {
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (426, &json!("NONEXISTENT_VERSION"))
        );
    }
    assert_eq!(alive.status, 200, "{}", alive.body);
    li.site.stop().await;
}

#[tokio::test]
async fn the_protocol_has_to_be_named() {
    let li = Li::start().await;
    let headers = format!("linkedin-version: 202609\r\n{}", bearer(DEV_LINKEDIN_TOKEN));

    let answer = li.get_with(ACCOUNTS, &headers).await;

    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("Rest.li"), "{}", answer.body);
    li.site.stop().await;
}

#[tokio::test]
async fn a_token_that_does_not_work_is_refused_with_its_number() {
    let li = Li::start().await;
    let known = json!({ "platform": "linkedin", "tokens": [
        { "token": "fake-expired", "state": "expired" },
        { "token": "fake-revoked", "state": "revoked" },
        { "token": "fake-poor", "scopes": ["r_ads_reporting"] },
    ] });
    li.site.control("POST", "/tokens", &known).await;
    let with = async |token: &str| {
        let headers = format!("{VERSIONED}{}", bearer(token));
        li.get_with(ACCOUNTS, &headers).await
    };

    let expired = with("fake-expired").await;
    let revoked = with("fake-revoked").await;
    let unknown = with("nobodys").await;
    let none = li.get_with(ACCOUNTS, VERSIONED).await;
    let poor = with("fake-poor").await;

    let number = |answer: &Answer| (answer.status, answer.json()["serviceErrorCode"].clone());
    assert_eq!(number(&expired), (401, json!(65_602)));
    assert_eq!(number(&revoked), (401, json!(65_601)));
    assert_eq!(number(&unknown), (401, json!(65_600)));
    assert_eq!(none.status, 401);
    assert_eq!(number(&poor), (403, json!(100)));
    assert!(expired.header("x-li-uuid").is_some());
    li.site.stop().await;
}

#[tokio::test]
async fn a_query_that_an_ordinary_builder_encodes_is_refused() {
    let li = Li::start().await;
    let search = |search: &str| format!("{ACCOUNTS}&search={search}");

    let literal = li
        .get(&search("(status:(values:List(ACTIVE,DRAFT)))"))
        .await;
    let encoded = li
        .get(&search("%28status%3A%28values%3AList%28ACTIVE%29%29%29"))
        .await;
    let bare = li
        .get(&search(
            "(id:(values:List(urn:li:sponsoredAccount:500000001)))",
        ))
        .await;
    let once = li
        .get(&search(
            "(id:(values:List(urn%3Ali%3AsponsoredAccount%3A500000001)))",
        ))
        .await;
    let status = li.get(&search("(status:(values:List(ON)))")).await;
    let unknown = li.get(&format!("{ACCOUNTS}&start=0")).await;

    assert_eq!((elements(&literal).len(), elements(&once).len()), (2, 1));
    assert_input(&encoded, "search", "PARAM_INVALID");
    assert_input(&bare, "search", "PARAM_INVALID");
    assert_input(&status, "status", "PARAM_INVALID");
    assert_input(&unknown, "start", "QUERY_PARAM_NOT_ALLOWED");
    li.site.stop().await;
}

#[tokio::test]
async fn a_query_that_is_too_long_is_tunnelled() {
    let li = Li::start().await;
    let ids = vec!["500000001"; 500].join(",");
    let query = format!("q=search&search=(id:(values:List({ids})))");
    let headers = format!("{VERSIONED}{}", bearer(DEV_LINKEDIN_TOKEN));
    let tunnel = format!("{headers}{FORM}x-http-method-override: GET\r\n");

    let long = li.get(&format!("/rest/adAccounts?{query}")).await;
    let tunnelled = li
        .site
        .post("/linkedin/rest/adAccounts", &tunnel, &query)
        .await;
    let plain = li
        .site
        .post("/linkedin/rest/adAccounts", &headers, &query)
        .await;
    let request = format!(
        "POST /linkedin/rest/adAccounts HTTP/1.1\r\nhost: sandbox\r\nconnection: close\r\n{tunnel}\r\n"
    );
    let without_length = send(li.site.sandbox.http_addr(), &request).await;

    assert_eq!(long.status, 414);
    assert_eq!(elements(&tunnelled).len(), 1);
    assert_eq!(plain.status, 405);
    assert_eq!(without_length.status, 411);
    li.site.stop().await;
}

#[tokio::test]
async fn too_many_calls_are_refused_without_a_word_of_when_to_come_back() {
    let li = Li::start().await;
    let path = format!("/rest/adAccounts/{FIRST}/adCampaigns?q=search");
    let refuse = json!({ "platform": "linkedin", "account": FIRST, "refuse": 1 });
    li.site.control("POST", "/limits", &refuse).await;
    let refused = li.get(&path).await;
    let full = json!({ "platform": "linkedin", "account": FIRST, "usage_percent": 100 });
    li.site.control("POST", "/limits", &full).await;
    let of_the_day = li.get(&path).await;
    let other = li
        .get(&format!("/rest/adAccounts/{SECOND}/adCampaigns?q=search"))
        .await;

    for answer in [&refused, &of_the_day] {
        assert_eq!(answer.status, 429);
        assert_eq!(answer.json()["serviceErrorCode"], 101);
        assert!(answer.header("retry-after").is_none());
    }
    assert!(!refused.body.contains("DAY") && of_the_day.body.contains("DAY"));
    assert_eq!(other.status, 200);
    li.site.stop().await;
}

#[tokio::test]
async fn faults_speak_as_linkedin_does() {
    let li = Li::start().await;
    let arm = async |fault: Value| {
        let order = json!({ "target": "linkedin", "fault": fault, "times": 1 });
        let armed = li.site.control("POST", "/faults", &order).await;
        assert_eq!(armed.status, 204, "{}", armed.body);
    };

    arm(json!({ "kind": "fail", "status": 401, "code": 65_600 })).await;
    let failed = li.get(ACCOUNTS).await;
    arm(json!({ "kind": "throttle" })).await;
    let throttled = li.get(ACCOUNTS).await;

    assert_eq!(
        (failed.status, &failed.json()["serviceErrorCode"]),
        (401, &json!(65_600))
    );
    assert_eq!(
        (throttled.status, &throttled.json()["code"]),
        (429, &json!("TOO_MANY_REQUESTS"))
    );
    li.site.stop().await;
}
