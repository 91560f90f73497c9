//! Changes of campaigns, ad sets and ads.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{Site, json_of, ok};
use crate::{
    error::Error,
    platform::{AdPlatform as _, Edit, EditOrder, Edited, EntityType, SetTo, testing::edit},
};

fn order(edits: Vec<Edit>) -> EditOrder {
    EditOrder {
        account_id: "1".to_owned(),
        currency: Some("USD".to_owned()),
        edits,
    }
}

fn entry(code: u16, body: &Value) -> Value {
    json!({"code": code, "headers": [], "body": body.to_string()})
}

async fn answering(entries: Value) -> Site {
    let site = Site::new().await;
    site.on("POST", "", ok(entries)).await;
    site
}

#[tokio::test]
async fn changes_travel_together_and_each_has_an_outcome() {
    let refusal = json!({"error": {"message": "Invalid parameter", "code": 100}});
    let entries = json!([
        entry(200, &json!({"success": true})),
        null,
        entry(400, &refusal)
    ]);
    let site = answering(entries).await;
    let order = order(vec![
        edit(EntityType::Campaign, "11", SetTo::Paused),
        edit(
            EntityType::AdSet,
            "12",
            SetTo::DailyBudget(Decimal::new(5_050, 2)),
        ),
        edit(EntityType::Ad, "13", SetTo::Archived),
        edit(EntityType::Ad, "14", SetTo::DailyBudget(Decimal::ONE)),
    ]);

    let edited = site
        .meta
        .edit(site.caller(), &order)
        .await
        .expect("outcomes");

    assert!(matches!(edited[0], Edited::Done));
    assert!(matches!(edited[1], Edited::Unfinished));
    assert!(matches!(edited[2], Edited::Failed(Error::Rejected { .. })));
    assert!(matches!(edited[3], Edited::Failed(Error::Rejected { .. })));
    let batch = json_of(&site.asked().await[0], "batch");
    assert_eq!(
        batch,
        json!([
            {"method": "POST", "relative_url": "11", "body": "status=PAUSED"},
            {"method": "POST", "relative_url": "12", "body": "daily_budget=5050"},
            {"method": "POST", "relative_url": "13", "body": "status=ARCHIVED"}
        ])
    );
}

#[tokio::test]
async fn a_spent_token_is_the_failure_of_the_whole_order() {
    let spent = json!({"error": {"message": "over", "code": 190, "error_subcode": 463}});
    let site = answering(json!([entry(400, &spent)])).await;
    let order = order(vec![edit(EntityType::Campaign, "11", SetTo::Active)]);

    let edited = site.meta.edit(site.caller(), &order).await;

    assert!(
        matches!(edited, Err(Error::AuthExpired { .. })),
        "{edited:?}"
    );
}
