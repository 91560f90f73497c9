//! Changes of campaign groups, campaigns and creatives.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{ACCOUNT, access, answering, caller, client, requests};
use crate::{
    error::Error,
    platform::{
        AdPlatform as _, EditOrder, Edited, EntityType, SetTo,
        testing::{RecordingDoor, edit},
    },
};

#[tokio::test]
async fn a_batch_has_a_patch_and_an_outcome_for_each() {
    let server = answering(
        200,
        json!({"results": {"301": {"status": 204}},
            "errors": {"302": {"status": 404, "message": "Could not find entity"}}}),
    )
    .await;
    let (access, door) = (access(), RecordingDoor::default());
    let order = EditOrder {
        account_id: ACCOUNT.to_owned(),
        currency: Some("EUR".to_owned()),
        edits: vec![
            edit(
                EntityType::AdSet,
                "301",
                SetTo::DailyBudget(Decimal::new(6_000, 2)),
            ),
            edit(EntityType::AdSet, "302", SetTo::Paused),
            edit(EntityType::Audience, "303", SetTo::Paused),
        ],
    };

    let edited = client(&server).edit(caller(&access, &door), &order).await;

    let edited = edited.expect("outcomes");
    assert!(matches!(edited[0], Edited::Done));
    assert!(matches!(edited[1], Edited::Failed(Error::Rejected { .. })));
    assert!(matches!(edited[2], Edited::Failed(Error::Rejected { .. })));
    let requests = requests(&server).await;
    assert_eq!(requests.len(), 1);
    let request = &requests[0];
    assert_eq!(request.url.path(), "/rest/adAccounts/500000001/adCampaigns");
    assert_eq!(request.url.query(), Some("ids=List(301,302)"));
    assert_eq!(
        request
            .headers
            .get("x-restli-method")
            .and_then(|it| it.to_str().ok()),
        Some("BATCH_PARTIAL_UPDATE")
    );
    let body: Value = request.body_json().expect("JSON");
    assert_eq!(
        body["entities"]["301"]["patch"]["$set"],
        json!({"dailyBudget": {"amount": "60.00", "currencyCode": "EUR"}})
    );
}

#[tokio::test]
async fn a_creative_is_named_by_its_urn() {
    let server = answering(
        200,
        json!({"results": {"urn:li:sponsoredCreative:9": {"status": 204}}, "errors": {}}),
    )
    .await;
    let (access, door) = (access(), RecordingDoor::default());
    let order = EditOrder {
        account_id: ACCOUNT.to_owned(),
        currency: None,
        edits: vec![edit(EntityType::Ad, "9", SetTo::Active)],
    };

    let edited = client(&server).edit(caller(&access, &door), &order).await;

    assert!(matches!(edited.expect("outcomes")[0], Edited::Done));
    let query = requests(&server).await[0].url.query().map(str::to_owned);
    assert_eq!(
        query.as_deref(),
        Some("ids=List(urn%3Ali%3AsponsoredCreative%3A9)")
    );
}
