//! Changes of campaigns and line items.

use rust_decimal::Decimal;
use serde_json::json;
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{method, path},
};

use super::{ACCOUNT, access, caller, client_of, ok, param, requests_to};
use crate::{
    error::Error,
    platform::{AdPlatform as _, EditOrder, Edited, EntityType, SetTo, testing::edit},
};

#[tokio::test]
async fn each_change_is_a_call_and_one_that_is_refused_stops_no_other() {
    let server = MockServer::start().await;
    let refusal = json!({"errors": [{"code": "NOT_FOUND", "message": "not found"}]});
    let at = |rest: &str| format!("/12/accounts/{ACCOUNT}/{rest}");
    Mock::given(method("PUT"))
        .and(path(at("campaigns/a1")))
        .respond_with(ResponseTemplate::new(404).set_body_json(refusal))
        .mount(&server)
        .await;
    Mock::given(method("PUT"))
        .and(path(at("line_items/b2")))
        .respond_with(ok(json!({"data": {"id": "b2"}})))
        .mount(&server)
        .await;
    let access = access();
    let order = EditOrder {
        account_id: ACCOUNT.to_owned(),
        currency: Some("USD".to_owned()),
        edits: vec![
            edit(EntityType::Campaign, "a1", SetTo::Paused),
            edit(
                EntityType::AdSet,
                "b2",
                SetTo::DailyBudget(Decimal::new(5_050, 2)),
            ),
            edit(EntityType::Ad, "c3", SetTo::Paused),
        ],
    };

    let edited = client_of(&server).edit(caller(&access), &order).await;

    let edited = edited.expect("outcomes");
    assert!(
        matches!(edited[0], Edited::Failed(Error::Rejected { .. })),
        "{edited:?}"
    );
    assert!(matches!(edited[1], Edited::Done));
    assert!(matches!(edited[2], Edited::Failed(Error::Rejected { .. })));
    let sent = requests_to(&server, &at("line_items/b2")).await;
    assert_eq!(
        param(&sent[0], "daily_budget_amount_local_micro"),
        "50500000"
    );
}
