//! Who may call, and how strictly signatures are taken.

use super::*;

async fn accounts(ads: &Ads, signer: &Signer) -> Answer {
    ads.call(signer, ("GET", "accounts"), &[]).await
}

async fn know(ads: &Ads, token: Value) {
    let known = json!({ "platform": "x", "tokens": [token] });
    ads.site.control("POST", "/tokens", &known).await;
}

#[tokio::test]
async fn a_signed_call_is_let_in_and_says_the_version() {
    let ads = Ads::start().await;

    let body = good(&accounts(&ads, &Signer::dev()).await);

    assert_eq!(body["data"][0]["id"], FIRST);
    assert_eq!(body["data"][0]["timezone"], "Europe/London");
    assert!(body["data"][0].get("currency").is_none());
    assert_eq!(body["next_cursor"], json!(null));
    assert!(body.get("total_count").is_none());
    ads.site.stop().await;
}

#[tokio::test]
async fn whoever_does_not_sign_or_signs_otherwise_is_refused() {
    let ads = Ads::start().await;
    know(
        &ads,
        json!({ "token": "fake-gone", "secret": "s", "state": "revoked" }),
    )
    .await;
    let dev = Signer::dev();
    let wrong_secret = Signer::of(DEV_X_TOKEN, "another");
    let mut wrong_app = dev.clone();
    wrong_app.app.1 = "another".to_owned();
    let mut other_app = dev.clone();
    other_app.app.0 = "another".to_owned();

    let unsigned = ads.site.get("/x/12/accounts").await;
    let wrong_secret = accounts(&ads, &wrong_secret).await;
    let wrong_app = accounts(&ads, &wrong_app).await;
    let other_app = accounts(&ads, &other_app).await;
    let unknown = accounts(&ads, &Signer::of("nobody's", "s")).await;
    let gone = accounts(&ads, &Signer::of("fake-gone", "s")).await;

    assert_refused(&unsigned, 401, "UNAUTHORIZED_ACCESS");
    assert_refused(&wrong_secret, 401, 32);
    assert_refused(&wrong_app, 401, 32);
    assert_refused(&other_app, 401, 32);
    assert_refused(&unknown, 401, 89);
    assert_refused(&gone, 401, 89);
    ads.site.stop().await;
}

#[tokio::test]
async fn a_nonce_is_good_once_and_a_signature_for_minutes() {
    let ads = Ads::start().await;
    let signer = Signer {
        nonce: Some("fakenonce000001".to_owned()),
        ..Signer::dev()
    };
    let aged = |age_s| Signer {
        age_s,
        ..Signer::dev()
    };

    good(&accounts(&ads, &signer).await);
    assert_refused(&accounts(&ads, &signer).await, 401, 32);
    good(&accounts(&ads, &aged(200)).await);
    assert_refused(&accounts(&ads, &aged(400)).await, 401, 135);
    assert_refused(&accounts(&ads, &aged(-400)).await, 401, 135);
    ads.site.stop().await;
}

#[tokio::test]
async fn a_query_has_to_be_sent_as_it_was_signed() {
    let ads = Ads::start().await;
    let path = format!("/x/12/accounts/{FIRST}/campaigns");
    let params = [("campaign_ids", "a,b")];
    let send = async |query: &str| {
        let header = Signer::dev().header(("GET", path.as_str()), &params, &[]);
        let path = format!("{path}?{query}");
        ads.site.call("GET", &path, &header, "").await
    };

    let encoded = send("campaign_ids=a%2Cb").await;
    let raw = send("campaign_ids=a,b").await;
    let lower = send("campaign_ids=a%2cb").await;
    let other = send("campaign_ids=a%2Cc").await;

    good(&encoded);
    assert_refused(&raw, 401, 32);
    assert_refused(&lower, 401, 32);
    assert_refused(&other, 401, 32);
    ads.site.stop().await;
}

#[tokio::test]
async fn a_form_is_signed_and_other_bodies_are_not() {
    let ads = Ads::start().await;
    let path = format!("/x/12/stats/jobs/accounts/{FIRST}");
    let params = [("entity", "CAMPAIGN")];
    let send = async |params: &[(&str, &str)], kind: &str, body: &str| {
        let header = Signer::dev().header(("POST", path.as_str()), params, &[]);
        let headers = format!("{header}{kind}");
        ads.site.post(&path, &headers, body).await
    };

    let signed = send(&params, FORM, "entity=CAMPAIGN").await;
    let unsigned = send(&[], FORM, "entity=CAMPAIGN").await;
    let kind = "content-type: application/json\r\n";
    let of_json = send(&[], kind, r#"{"entity":"CAMPAIGN"}"#).await;

    // Both are believed, and lack parameters.
    assert_refused(&signed, 400, "MISSING_PARAMETER");
    assert_eq!(signed.json()["errors"][0]["parameter"], "granularity");
    assert_refused(&unsigned, 401, 32);
    assert_refused(&of_json, 400, "MISSING_PARAMETER");
    assert_eq!(of_json.json()["errors"][0]["parameter"], "entity");
    ads.site.stop().await;
}

#[tokio::test]
async fn an_account_without_a_role_is_forbidden_and_another_is_not_there() {
    let ads = Ads::start().await;
    know(
        &ads,
        json!({ "token": "fake", "secret": "s", "accounts": [SECOND] }),
    )
    .await;
    let signer = Signer::of("fake", "s");
    let get = async |path: String| ads.call(&signer, ("GET", path.as_str()), &[]).await;

    let list = good(&accounts(&ads, &signer).await);
    let reached = get(format!("accounts/{SECOND}")).await;
    let forbidden = get(format!("accounts/{FIRST}")).await;
    let missing = get("accounts/nothing".to_owned()).await;
    let no_route = get(format!("accounts/{SECOND}/nothing")).await;

    assert_eq!(list["data"].as_array().map(Vec::len), Some(1));
    assert_eq!(good(&reached)["data"]["id"], SECOND);
    assert_refused(&forbidden, 403, "ACCOUNT_NOT_FOUND");
    assert_refused(&missing, 404, "ACCOUNT_NOT_FOUND");
    assert_refused(&no_route, 404, "ROUTE_NOT_FOUND");
    ads.site.stop().await;
}

#[tokio::test]
async fn faults_speak_as_x_does() {
    let ads = Ads::start().await;
    let under = async |fault: Value| {
        let order = json!({ "target": "x", "fault": fault, "times": 1 });
        let armed = ads.site.control("POST", "/faults", &order).await;
        assert_eq!(armed.status, 204, "{}", armed.body);
        accounts(&ads, &Signer::dev()).await
    };

    let word = under(json!({ "kind": "fail", "status": 423, "name": "LOCK_ACQUISITION_TIMEOUT" }));
    let word = word.await;
    let number = under(json!({ "kind": "fail", "status": 403, "code": 326 })).await;
    let gateway = under(json!({ "kind": "html", "status": 503 })).await;
    let busy = json!({ "kind": "throttle", "status": 503, "retry_after": 30 });
    let busy = under(busy).await;
    let throttled = under(json!({ "kind": "throttle", "wait_s": 90 })).await;
    let of_oauth = under(json!({ "kind": "fail", "status": 400, "name": "invalid_request" })).await;

    assert_refused(&word, 423, "LOCK_ACQUISITION_TIMEOUT");
    assert_refused(&number, 403, 326);
    assert_eq!(gateway.status, 503);
    assert!(gateway.body.starts_with("<html>"));
    assert_refused(&busy, 503, "OVER_CAPACITY");
    assert_eq!(busy.header("retry-after"), Some("30"));
    assert_refused(&throttled, 429, "TOO_MANY_REQUESTS");
    let reset = throttled
        .header("x-rate-limit-reset")
        .and_then(|it| it.parse().ok());
    let wait = reset.map(|reset: i64| reset - Utc::now().timestamp());
    assert!(wait.is_some_and(|wait| (80..=90).contains(&wait)));
    assert_eq!(of_oauth.json()["error"], "invalid_request");
    ads.site.stop().await;
}
