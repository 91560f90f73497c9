//! Accounts, campaigns, ad sets, ads and what else there is: lists to their end, filters, fields,
//! and who may see them.

use serde_json::json;

use super::{Value, ask, assert_refused, paged, signed, signed_by, stopped, tell, truth};

const ACCOUNT: &str = "act_1000000000001";
const EVERY_STATE: &str = r#"[{"field":"campaign.effective_status","operator":"IN",
    "value":["ACTIVE","PAUSED","ARCHIVED","DELETED","IN_PROCESS","WITH_ISSUES"]}]"#;

fn ids(entries: &[Value]) -> Vec<&str> {
    entries
        .iter()
        .filter_map(|entry| entry["id"].as_str())
        .collect()
}

#[tokio::test]
async fn the_ad_accounts_of_a_token_are_listed_with_what_is_asked_of_them() {
    let site = stopped().await;

    let fields = [("fields", "account_id,currency,timezone_name,account_status")];
    let accounts = ask(&site, "me/adaccounts", &fields).await;
    let one = ask(
        &site,
        ACCOUNT,
        &[("fields", "name,timezone_offset_hours_utc")],
    )
    .await;

    assert_eq!(
        accounts["data"][0],
        json!({
            "id": ACCOUNT, "account_id": "1000000000001", "currency": "USD",
            "timezone_name": "America/New_York", "account_status": 1,
        }),
    );
    assert_eq!(accounts["data"].as_array().map(Vec::len), Some(2));
    assert_eq!(one["timezone_offset_hours_utc"], -5);
    site.stop().await;
}

#[tokio::test]
async fn a_list_ends_where_next_is_missing_and_its_pages_may_be_short() {
    let site = stopped().await;
    let world = truth(
        &site,
        "world/entities?platform=meta&account=1000000000001&kind=campaign",
    )
    .await;
    let shown: Vec<_> = world["entities"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|one| one["effective"] != "archived" && one["effective"] != "deleted")
        .filter_map(|one| one["id"].as_str())
        .collect();

    let path = format!("{ACCOUNT}/campaigns");
    let (campaigns, lengths) = paged(&site, &path, &[("limit", "2")]).await;
    let all = [("limit", "9"), ("filtering", EVERY_STATE)];
    let (every, _) = paged(&site, &path, &all).await;

    assert_eq!(ids(&campaigns), shown);
    assert!(lengths.iter().any(|length| *length < 2), "{lengths:?}");
    assert_eq!(every.len(), 40);
    site.stop().await;
}

#[tokio::test]
async fn what_changed_since_a_moment_is_found_among_many_empty_pages() {
    let site = stopped().await;
    let path = format!("{ACCOUNT}/campaigns");
    let (campaigns, _) = paged(&site, &path, &[]).await;
    let id = campaigns[3]["id"].as_str().expect("an id").to_owned();
    let since = site.sandbox.clock().now().timestamp() - 60;
    tell(
        &site,
        "/world",
        json!({ "platform": "meta", "id": id, "name": "New name" }),
    )
    .await;

    let filter =
        json!([{ "field": "campaign.updated_time", "operator": "GREATER_THAN", "value": since }]);
    let filter = filter.to_string();
    let params = [
        ("fields", "name"),
        ("limit", "1"),
        ("filtering", filter.as_str()),
    ];
    let (changed, lengths) = paged(&site, &path, &params).await;

    let renamed = changed.iter().find(|one| one["id"] == id.as_str());
    assert_eq!(renamed.expect("it")["name"], "New name");
    assert!(changed.len() < 5, "{changed:?}");
    assert_eq!(lengths.first(), Some(&0));
    site.stop().await;
}

#[tokio::test]
async fn everything_that_an_account_holds_is_there_with_its_parents() {
    let site = stopped().await;
    let of_ads = "name,adset_id,campaign_id,effective_status,creative{id,name,thumbnail_url}";

    let ads = ask(&site, &format!("{ACCOUNT}/ads"), &[("fields", of_ads)]).await;
    let ad = &ads["data"][0];
    let ad_set = ask(
        &site,
        ad["adset_id"].as_str().expect("an id"),
        &[("fields", "campaign_id,targeting,attribution_spec")],
    )
    .await;

    assert_eq!(ad_set["campaign_id"], ad["campaign_id"]);
    assert!(ad_set["targeting"]["age_min"].is_i64());
    assert!(ad["creative"]["thumbnail_url"].is_string());
    for (edge, fields) in [
        ("adcreatives", "id,name,status"),
        ("customaudiences", "id,name,subtype,time_updated"),
        ("adspixels", "id,name,last_fired_time"),
    ] {
        let list = ask(&site, &format!("{ACCOUNT}/{edge}"), &[("fields", fields)]).await;

        assert!(list["data"][0]["name"].is_string(), "{edge}: {list}");
    }
    site.stop().await;
}

#[tokio::test]
async fn pages_come_with_tokens_of_their_own_and_have_lead_forms() {
    let site = stopped().await;
    let fields = "id,name,access_token,tasks,instagram_business_account{id,username}";

    let pages = ask(&site, "me/accounts", &[("fields", fields)]).await;
    let page = &pages["data"][0];
    let token = page["access_token"].as_str().expect("a token");
    let path = format!("{}/leadgen_forms", page["id"].as_str().expect("an id"));
    let forms = site
        .get(&signed_by(token, &path, &[("fields", "id,name,status")]))
        .await
        .json();
    let again = ask(&site, "me/accounts", &[("fields", fields)]).await;

    assert!(page["instagram_business_account"]["username"].is_string());
    assert_eq!(forms["data"].as_array().map(Vec::len), Some(2), "{forms}");
    assert_eq!(again["data"][0]["access_token"], token);
    site.stop().await;
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused() {
    let site = stopped().await;
    let path = format!("{ACCOUNT}/ads");
    let cases = [
        (vec![("fields", "id,nonsense")], 100),
        (
            vec![("fields", "id,creative{id,thumbnail_url}"), ("limit", "51")],
            1,
        ),
        (vec![("limit", "501")], 1),
        (vec![("limit", "0")], 100),
        (vec![("after", "bm9uc2Vuc2U")], 100),
        (
            vec![(
                "filtering",
                r#"[{"field":"ad.x","operator":"IN","value":[]}]"#,
            )],
            100,
        ),
    ];
    for (params, code) in cases {
        let answer = site.get(&signed(&path, &params)).await;

        assert_refused(&answer, code, None);
        let asks_for_less = answer.body.contains("reduce the amount of data");
        assert_eq!(asks_for_less, code == 1, "{}", answer.body);
    }
    let nobodys = site.get(&signed("act_1/campaigns", &[])).await;
    let edge = site.get(&signed(&format!("{ACCOUNT}/nonsense"), &[])).await;
    assert_refused(&nobodys, 100, Some(33));
    assert_refused(&edge, 2_500, None);
    site.stop().await;
}

#[tokio::test]
async fn a_token_sees_the_accounts_that_it_was_given_for() {
    let site = stopped().await;
    let tokens = json!({ "tokens": [
        { "token": "one account", "accounts": ["1000000000002"] },
        { "token": "no ads", "scopes": ["pages_show_list"] },
    ] });
    tell(&site, "/tokens", tokens).await;

    let accounts = site
        .get(&signed_by("one account", "me/adaccounts", &[]))
        .await;
    let other = site.get(&signed_by("one account", ACCOUNT, &[])).await;
    let none = site.get(&signed_by("no ads", "me/adaccounts", &[])).await;

    assert_eq!(
        ids(accounts.json()["data"].as_array().expect("a list")),
        ["act_1000000000002"]
    );
    assert_refused(&other, 200, None);
    assert_refused(&none, 200, None);
    site.stop().await;
}
