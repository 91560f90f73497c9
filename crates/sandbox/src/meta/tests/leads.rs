//! Leads and the events of Pages.

use serde_json::json;

use super::{Site, ask, assert_refused, signed, signed_by, stopped, tell};

/// The id of the first page, and its token.
async fn page(site: &Site) -> (String, String) {
    let page = ask(site, "me/accounts", &[("fields", "id,access_token")]).await["data"][0].clone();
    let text = |name: &str| page[name].as_str().expect("text").to_owned();
    (text("id"), text("access_token"))
}

/// Has people send forms whose leads nobody is told of; their ids.
async fn sent(site: &Site, order: serde_json::Value) -> Vec<String> {
    let answer = site.control("POST", "/webhooks", &order).await.json();
    let leads = answer["silent_leads"].as_array().expect("a list").clone();
    let ids = leads.iter().map(|id| id.as_str().expect("text").to_owned());
    ids.collect()
}

fn order(leads: u32, unreadable_s: u32) -> serde_json::Value {
    json!({ "url": "http://127.0.0.1:9/", "silent_leads": leads, "unreadable_s": unreadable_s })
}

#[tokio::test]
async fn a_lead_is_shown_once_it_is_readable() {
    let site = stopped().await;
    let ids = sent(&site, order(1, 60)).await;
    let path = signed(
        &ids[0],
        &[(
            "fields",
            "id,created_time,form_id,field_data,ad_id,campaign_id",
        )],
    );

    let early = site.get(&path).await;
    tell(&site, "/clock", json!({ "advance_s": 61 })).await;
    let late = site.get(&path).await;

    assert_refused(&early, 100, Some(33));
    let lead = late.json();
    assert_eq!(lead["id"], ids[0].as_str());
    assert_eq!(lead["field_data"][1]["name"], "email");
    assert!(lead["campaign_id"].is_string(), "{lead}");
    site.stop().await;
}

#[tokio::test]
async fn leads_of_a_form_are_listed_since_a_moment() {
    let site = stopped().await;
    let first = sent(&site, order(1, 0)).await;
    let form = ask(&site, &first[0], &[("fields", "form_id")]).await["form_id"].clone();
    let form = form.as_str().expect("a form").to_owned();
    let clock = site.get("/_control/clock").await.json();
    let now: chrono::DateTime<chrono::Utc> = clock["now"]
        .as_str()
        .expect("a time")
        .parse()
        .expect("a time");
    let since = |seconds: i64| {
        json!([{ "field": "time_created", "operator": "GREATER_THAN", "value": now.timestamp() + seconds }]).to_string()
    };

    let path = format!("{form}/leads");
    let all = ask(&site, &path, &[("filtering", &since(-1))]).await;
    let none = ask(&site, &path, &[("filtering", &since(0))]).await;

    assert_eq!(all["data"][0]["id"], first[0].as_str());
    assert_eq!(none["data"], json!([]));
    site.stop().await;
}

#[tokio::test]
async fn a_page_is_subscribed_with_its_own_token_alone() {
    let site = stopped().await;
    let (page, token) = page(&site).await;
    let path = format!("{page}/subscribed_apps");
    let fields = [("subscribed_fields", "leadgen,feed")];

    let by_person = site.call("POST", &signed(&path, &fields), "", "").await;
    let by_page = site
        .call("POST", &signed_by(&token, &path, &fields), "", "")
        .await;
    let shown = site.get(&signed_by(&token, &path, &[])).await.json();
    site.call("DELETE", &signed_by(&token, &path, &[]), "", "")
        .await;
    let ended = site.get(&signed_by(&token, &path, &[])).await.json();

    assert_refused(&by_person, 190, None);
    assert_eq!(by_page.json(), json!({ "success": true }));
    assert_eq!(
        shown["data"][0]["subscribed_fields"],
        json!(["feed", "leadgen"])
    );
    assert_eq!(ended["data"], json!([]));
    site.stop().await;
}
