//! Accounts and what they hold, page by page.

use super::*;

/// All elements of a list, and how many pages it had.
async fn all(li: &Li, path: &str) -> (Vec<Value>, usize) {
    let (mut all, mut pages, mut cursor) = (Vec::new(), 0, String::new());
    loop {
        let answer = li.get_creatives(&format!("{path}{cursor}")).await;
        all.extend(elements(&answer));
        pages += 1;
        match answer.json()["metadata"]["nextPageToken"].as_str() {
            Some(token) => cursor = format!("&pageToken={token}"),
            None => return (all, pages),
        }
    }
}

#[tokio::test]
async fn lists_to_the_end_have_everything_that_the_world_holds() {
    let li = Li::start().await;
    let lists = [
        ("adCampaignGroups?q=search&pageSize=5", "campaign"),
        ("adCampaigns?q=search&pageSize=5", "ad_set"),
        ("creatives?q=criteria&pageSize=7", "ad"),
    ];
    for (list, kind) in lists {
        let (all, pages) = all(&li, &format!("/rest/adAccounts/{FIRST}/{list}")).await;
        let world = li
            .world(&format!(
                "entities?platform=linkedin&account={FIRST}&kind={kind}"
            ))
            .await;

        let ids: Vec<_> = all
            .iter()
            .map(|one| match &one["id"] {
                Value::String(urn) => urn.rsplit(':').next().unwrap_or_default().to_owned(),
                number => number.to_string(),
            })
            .collect();
        let expected = world["entities"].as_array().expect("entities");
        let expected: Vec<_> = expected
            .iter()
            .filter_map(|one| one["id"].as_str())
            .collect();
        assert_eq!(ids, expected, "{kind}");
        assert!(pages > 1, "{kind}");
    }
    li.site.stop().await;
}

#[tokio::test]
async fn only_the_members_that_fields_name_are_told() {
    let li = Li::start().await;

    let account = li
        .get(&format!("/rest/adAccounts/{FIRST}?fields=id,currency"))
        .await
        .json();
    let list = format!("/rest/adAccounts/{FIRST}/adCampaigns?q=search&pageSize=1&fields=id");
    let campaigns = elements(&li.get(&list).await);

    let account = account.as_object().expect("an account");
    assert_eq!(account.len(), 2);
    assert!(account.contains_key("id") && account.contains_key("currency"));
    let campaign = campaigns[0].as_object().expect("a campaign");
    assert_eq!(campaign.len(), 1);
    li.site.stop().await;
}

#[tokio::test]
async fn a_cursor_is_good_for_its_list_alone() {
    let li = Li::start().await;
    let path =
        |account: &str| format!("/rest/adAccounts/{account}/adCampaigns?q=search&pageSize=2");
    let first = li.get(&path(FIRST)).await.json();
    let cursor = first["metadata"]["nextPageToken"]
        .as_str()
        .expect("a cursor");

    let same = li.get(&format!("{}&pageToken={cursor}", path(FIRST))).await;
    let other = li
        .get(&format!("{}&pageToken={cursor}", path(SECOND)))
        .await;
    let forged = li.get(&format!("{}&pageToken=DgFake", path(FIRST))).await;

    assert_eq!(same.status, 200);
    assert_input(&other, "pageToken", "PARAM_INVALID");
    assert_input(&forged, "pageToken", "PARAM_INVALID");
    li.site.stop().await;
}

#[tokio::test]
async fn a_campaign_has_urns_texts_of_money_and_milliseconds() {
    let li = Li::start().await;
    let path = format!("/rest/adAccounts/{SECOND}/adCampaigns?q=search&pageSize=500");

    let campaigns = elements(&li.get(&path).await);
    let account = li.get(&format!("/rest/adAccounts/{SECOND}")).await.json();

    let campaign = &campaigns[0];
    assert!(campaign["id"].is_u64());
    assert_eq!(campaign["account"], "urn:li:sponsoredAccount:500000002");
    let group = campaign["campaignGroup"].as_str().expect("a group");
    assert!(group.starts_with("urn:li:sponsoredCampaignGroup:"));
    assert!(
        campaign["unitCost"]["amount"]
            .as_str()
            .is_some_and(|amount| amount.contains('.'))
    );
    let changed = campaign["changeAuditStamps"]["lastModified"]["time"].as_i64();
    assert!(changed.is_some_and(|changed| changed > 1_700_000_000_000));
    assert_eq!(
        (&account["id"], &account["currency"]),
        (&json!(500_000_002), &json!("USD"))
    );
    assert_eq!(account["reference"], "urn:li:organization:1");
    li.site.stop().await;
}

#[tokio::test]
async fn a_list_can_be_narrowed_down_to_statuses() {
    let li = Li::start().await;
    let path = format!("/rest/adAccounts/{FIRST}/adCampaignGroups?q=search&pageSize=500");
    let pause = json!({ "platform": "linkedin", "id": "6000000001", "status": "paused" });
    li.site.control("POST", "/world", &pause).await;

    let all = elements(&li.get(&path).await);
    let paused = format!("{path}&search=(status:(values:List(PAUSED)))");
    let paused = elements(&li.get(&paused).await);

    assert!(!paused.is_empty() && paused.len() < all.len());
    assert!(paused.iter().all(|group| group["status"] == "PAUSED"));
    assert!(paused.iter().any(|group| group["id"] == 6_000_000_001_u64));
    li.site.stop().await;
}

#[tokio::test]
async fn creatives_need_their_header_and_come_by_the_hundred() {
    let li = Li::start().await;
    let path = format!("/rest/adAccounts/{FIRST}/creatives?q=criteria");

    let without = li.get(&path).await;
    let too_many = li.get_creatives(&format!("{path}&pageSize=101")).await;
    let some = elements(&li.get_creatives(&path).await);
    let urn = some[0]["campaign"]
        .as_str()
        .expect("a campaign")
        .replace(':', "%3A");
    let of_campaign = li
        .get_creatives(&format!(
            "{path}&campaigns=List({urn})&intendedStatuses=(value:List(ACTIVE))"
        ))
        .await;

    assert_eq!(without.status, 400);
    assert!(without.body.contains("X-RestLi-Method"), "{}", without.body);
    assert_input(&too_many, "pageSize", "PARAM_INVALID");
    let id = some[0]["id"].as_str().expect("a URN");
    assert!(id.starts_with("urn:li:sponsoredCreative:"));
    assert!(some[0]["lastModifiedAt"].is_u64());
    for creative in elements(&of_campaign) {
        assert_eq!(creative["campaign"], some[0]["campaign"]);
        assert_eq!(creative["intendedStatus"], "ACTIVE");
    }
    li.site.stop().await;
}

#[tokio::test]
async fn users_go_on_by_numbers() {
    let li = Li::start_with(|config| config.world.accounts_per_platform = 5).await;
    let path = "/rest/adAccountUsers?q=authenticatedUser";

    let first = li.get(&format!("{path}&start=0&count=3")).await.json();
    let second = li.get(&format!("{path}&start=3&count=3")).await.json();

    assert_eq!(first["elements"].as_array().map(Vec::len), Some(3));
    assert_eq!(first["paging"]["links"][0]["rel"], "next");
    assert_eq!(second["elements"].as_array().map(Vec::len), Some(2));
    assert_eq!(second["paging"]["links"], json!([]));
    assert_eq!(second["paging"]["total"], 5);
    li.site.stop().await;
}

#[tokio::test]
async fn segments_and_rules_for_conversions_go_on_by_numbers_to_the_last_one() {
    let li = Li::start().await;
    let urn = format!("urn%3Ali%3AsponsoredAccount%3A{FIRST}");
    let lists = [
        (
            format!("adSegments?q=accounts&accounts=List({urn})"),
            "audience",
        ),
        (format!("conversions?q=account&account={urn}"), "pixel"),
    ];
    for (list, kind) in lists {
        let (mut ids, mut start) = (Vec::new(), 0);
        loop {
            let page = li.get(&format!("/rest/{list}&start={start}&count=3")).await;
            let elements = elements(&page);
            start += elements.len();
            ids.extend(elements.iter().map(|one| one["id"].to_string()));
            if page.json()["paging"]["links"] == json!([]) {
                break;
            }
        }

        let world = format!("entities?platform=linkedin&account={FIRST}&kind={kind}");
        let world = li.world(&world).await;
        let expected = world["entities"].as_array().expect("entities");
        let expected: Vec<_> = expected
            .iter()
            .filter_map(|one| one["id"].as_str())
            .collect();
        assert_eq!(ids, expected, "{kind}");
        assert!(!ids.is_empty(), "{kind}");
    }
    li.site.stop().await;
}

#[tokio::test]
async fn segments_are_those_of_an_account_that_one_sees() {
    let li = Li::start().await;
    let get = async |accounts: &str| {
        li.get(&format!("/rest/adSegments?q=accounts{accounts}"))
            .await
    };

    let missing = get("").await;
    let no_list = get("&accounts=urn%3Ali%3AsponsoredAccount%3A500000001").await;
    let unknown = get("&accounts=List(urn%3Ali%3AsponsoredAccount%3A1)").await;

    assert_input(&missing, "accounts", "MISSING_REQUIRED_PARAM");
    assert_input(&no_list, "accounts", "PARAM_INVALID");
    assert_eq!(unknown.status, 404);
    li.site.stop().await;
}

#[tokio::test]
async fn what_one_may_not_see_is_not_there() {
    let li = Li::start().await;
    let known = json!({ "platform": "linkedin", "tokens": [
        { "token": "fake-of-one", "accounts": [FIRST] },
    ] });
    li.site.control("POST", "/tokens", &known).await;
    let headers = format!("{VERSIONED}{}", bearer("fake-of-one"));

    let seen = li.get_with("/rest/adAccounts?q=search", &headers).await;
    let hidden = li
        .get_with(&format!("/rest/adAccounts/{SECOND}"), &headers)
        .await;
    let nothing = li.get_with("/rest/adTargets", &headers).await;

    assert_eq!(elements(&seen).len(), 1);
    assert_eq!((hidden.status, nothing.status), (404, 404));
    li.site.stop().await;
}
