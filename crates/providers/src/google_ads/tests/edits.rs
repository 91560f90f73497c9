//! Changes of campaigns, ad groups and ads.

use rust_decimal::Decimal;
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, matchers::path};

use super::{CUSTOMER, SEARCH, access, caller, client_of, ok, requests_of};
use crate::{
    error::Error,
    platform::{AdPlatform as _, Edit, EditOrder, Edited, EntityType, SetTo},
};

const MUTATE: &str = "/v26/customers/1111111111/googleAds:mutate";

fn edit(kind: EntityType, id: &str, set_to: SetTo) -> Edit {
    Edit {
        kind,
        id: id.to_owned(),
        parent_id: Some("77".to_owned()),
        set_to,
    }
}

fn order(edits: Vec<Edit>) -> EditOrder {
    EditOrder {
        account_id: CUSTOMER.to_owned(),
        currency: Some("USD".to_owned()),
        edits,
    }
}

async fn server(mutated: Value) -> MockServer {
    let server = MockServer::start().await;
    let found = json!({"results": [
        {"campaign": {"id": "900", "campaignBudget": "customers/1111111111/campaignBudgets/5"},
         "campaignBudget": {"explicitlyShared": false}},
        {"campaign": {"id": "901", "campaignBudget": "customers/1111111111/campaignBudgets/6"},
         "campaignBudget": {"explicitlyShared": true}}]});
    Mock::given(path(SEARCH))
        .respond_with(ok(found))
        .mount(&server)
        .await;
    Mock::given(path(MUTATE))
        .respond_with(ok(mutated))
        .mount(&server)
        .await;
    server
}

#[tokio::test]
async fn one_that_fails_takes_no_other_along() {
    let server = server(json!({
        "mutateOperationResponses": [{"campaignResult": {"resourceName": "x"}}, {}],
        "partialFailureError": {"code": 3, "message": "Multiple errors", "details": [{
            "@type": "type.googleapis.com/google.ads.googleads.v26.errors.GoogleAdsFailure",
            "errors": [{"errorCode": {"mutateError": "RESOURCE_NOT_FOUND"}, "message": "Not found.",
                "location": {"fieldPathElements": [{"fieldName": "mutate_operations", "index": 1}]}}],
            "requestId": "fakeReqId9"}]}
    }))
    .await;
    let access = access(None);
    let order = order(vec![
        edit(EntityType::Campaign, "900", SetTo::Paused),
        edit(EntityType::Ad, "3", SetTo::Active),
        edit(EntityType::Campaign, "900", SetTo::Archived),
    ]);

    let edited = client_of(&server).edit(caller(&access), &order).await;

    let edited = edited.expect("outcomes");
    assert!(matches!(edited[0], Edited::Done));
    let Edited::Failed(error) = &edited[1] else {
        panic!("{:?}", edited[1]);
    };
    assert!(matches!(error, Error::Rejected { .. }));
    assert_eq!(
        error.detail().code.as_deref(),
        Some("mutateError.RESOURCE_NOT_FOUND")
    );
    assert!(matches!(edited[2], Edited::Failed(_)));
    let sent: Value = requests_of(&server).await[0].body_json().expect("JSON");
    assert_eq!(sent["partialFailure"], true);
    assert_eq!(
        sent["mutateOperations"][1]["adGroupAdOperation"]["update"],
        json!({"resourceName": "customers/1111111111/adGroupAds/77~3", "status": "ENABLED"})
    );
}

#[tokio::test]
async fn a_budget_is_changed_by_its_own_name_unless_others_share_it() {
    let server = server(json!({"mutateOperationResponses": [{"campaignBudgetResult": {}}]})).await;
    let access = access(None);
    let budget = SetTo::DailyBudget(Decimal::new(1_250, 2));
    let order = order(vec![
        edit(EntityType::Campaign, "900", budget),
        edit(EntityType::Campaign, "901", budget),
        edit(EntityType::AdSet, "77", budget),
    ]);

    let edited = client_of(&server).edit(caller(&access), &order).await;

    let edited = edited.expect("outcomes");
    assert!(matches!(edited[0], Edited::Done));
    assert!(matches!(edited[1], Edited::Failed(Error::Rejected { .. })));
    assert!(matches!(edited[2], Edited::Failed(Error::Rejected { .. })));
    let sent: Value = requests_of(&server).await[1].body_json().expect("JSON");
    assert_eq!(
        sent["mutateOperations"],
        json!([{"campaignBudgetOperation": {
            "update": {"resourceName": "customers/1111111111/campaignBudgets/5", "amountMicros": "12500000"},
            "updateMask": "amountMicros"}}])
    );
}
