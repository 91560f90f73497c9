//! Leads and the events of Pages, as Meta documents both.

use chrono::DateTime;
use serde_json::{Value, json};

use super::{APP_ID, Site, graph_error, json_of, ok};
use crate::{error::Error, platform::Cursor};

const LEAD: &str = "900000000000001";
const FORM: &str = "800000000000001";
const PAGE: &str = "100000000000001";

fn documented() -> Value {
    json!({
        "id": LEAD, "created_time": "2026-11-20T09:14:22+0000", "ad_id": "120200000000000009", "form_id": FORM,
        "is_organic": false, "platform": "fb", "retailer_item_id": 7,
        "field_data": [{"name": "full_name", "values": ["Fake Person"]}, {"name": "email", "values": ["fake@example.com"]}],
    })
}

#[tokio::test]
async fn a_lead_is_read_whole_with_what_nobody_knows_of() {
    let site = Site::new().await;
    site.on("GET", LEAD, ok(documented())).await;

    let lead = site.meta.lead(site.caller(), LEAD).await.expect("a lead");

    assert_eq!(
        (lead.id.as_str(), lead.form_id.as_deref()),
        (LEAD, Some(FORM))
    );
    assert_eq!(lead.ad_id.as_deref(), Some("120200000000000009"));
    assert_eq!(
        (lead.is_organic, lead.shown_on.as_deref()),
        (Some(false), Some("fb"))
    );
    assert_eq!(
        lead.created_at.map(|at| at.to_rfc3339()).as_deref(),
        Some("2026-11-20T09:14:22+00:00")
    );
    assert_eq!(lead.raw["retailer_item_id"], 7);
    assert!(site.asked().await[0]["fields"].contains("field_data"));
}

#[tokio::test]
async fn a_lead_that_is_not_readable_yet_is_told_by_its_code() {
    let site = Site::new().await;
    let error = json!({"message": "Unsupported get request.", "type": "GraphMethodException", "code": 100, "error_subcode": 33});
    site.on("GET", LEAD, graph_error(400, error)).await;

    let refused = site.meta.lead(site.caller(), LEAD).await;

    let Err(Error::Permission { detail }) = refused else {
        panic!("it may not be read");
    };
    assert_eq!(detail.code.as_deref(), Some("100/33"));
}

#[tokio::test]
async fn leads_of_a_form_are_asked_for_since_a_moment() {
    let site = Site::new().await;
    let page = json!({"data": [documented()], "paging": {"cursors": {"after": "B"}, "next": "https://graph.facebook.com/x"}});
    site.on("GET", &format!("{FORM}/leads"), ok(page)).await;
    let since = DateTime::from_timestamp(1_762_000_000, 0).expect("a time");

    let leads = site.meta.leads_of_form(site.caller(), (FORM, since), None);

    let leads = leads.await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(leads.items.len(), 1);
    assert_eq!(leads.next, Some(Cursor("B".to_owned())));
    let asked = site.asked().await;
    assert_eq!(
        json_of(&asked[0], "filtering"),
        json!([{"field": "time_created", "operator": "GREATER_THAN", "value": 1_762_000_000}])
    );
}

// Fails when fields that somebody else subscribed are lost.
#[tokio::test]
async fn a_page_is_subscribed_to_what_is_missing_beside_what_was_there() {
    let site = Site::new().await;
    let edge = format!("{PAGE}/subscribed_apps");
    let apps = json!({"data": [{"id": "7", "subscribed_fields": ["leadgen", "feed"]},
                               {"id": APP_ID, "subscribed_fields": ["messages", "feed"]}]});
    site.on("GET", &edge, ok(apps)).await;
    site.on("POST", &edge, ok(json!({"success": true}))).await;

    let is_new = site.meta.keep_subscribed(site.caller(), PAGE).await;

    assert_eq!(is_new.ok(), Some(true));
    let asked = site.asked().await;
    assert_eq!(asked[1]["subscribed_fields"], "messages,feed,leadgen");
}

#[tokio::test]
async fn a_page_that_has_all_is_left_alone() {
    let site = Site::new().await;
    let apps = json!({"data": [{"id": APP_ID, "subscribed_fields": ["feed", "leadgen"]}]});
    site.on("GET", &format!("{PAGE}/subscribed_apps"), ok(apps))
        .await;

    let is_new = site.meta.keep_subscribed(site.caller(), PAGE).await;

    assert_eq!(is_new.ok(), Some(false));
    assert_eq!(site.asked().await.len(), 1);
}

#[tokio::test]
async fn events_of_a_page_are_ended() {
    let site = Site::new().await;
    let edge = format!("{PAGE}/subscribed_apps");
    site.on("DELETE", &edge, ok(json!({"success": true}))).await;

    let ended = site.meta.unsubscribe(site.caller(), PAGE).await;

    assert!(ended.is_ok(), "{ended:?}");
}
