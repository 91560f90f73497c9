//! Changes of campaigns, ad groups and ads.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{ADVERTISER, access, answering_in_turn, caller, client, envelope, good, requests};
use crate::{
    error::Error,
    platform::{
        AdPlatform as _, Edit, EditOrder, Edited, EntityType, SetTo,
        testing::{RecordingDoor, edit},
    },
};

fn order(edits: Vec<Edit>) -> EditOrder {
    EditOrder {
        account_id: ADVERTISER.to_owned(),
        currency: Some("USD".to_owned()),
        edits,
    }
}

#[tokio::test]
async fn one_wrong_id_takes_no_other_along() {
    let wrong = envelope(40_002, "The object 2 does not exist.", json!({}));
    let server = answering_in_turn(vec![
        wrong.clone(),
        good(json!({"campaign_ids": ["1"]})),
        wrong,
    ])
    .await;
    let (access, door) = (access(), RecordingDoor::default());
    let order = order(vec![
        edit(EntityType::Campaign, "1", SetTo::Paused),
        edit(EntityType::Campaign, "2", SetTo::Paused),
        edit(EntityType::Campaign, "3", SetTo::Archived),
    ]);

    let edited = client(&server).edit(caller(&access, &door), &order).await;

    let edited = edited.expect("outcomes");
    assert!(matches!(edited[0], Edited::Done));
    assert!(matches!(edited[1], Edited::Failed(Error::Rejected { .. })));
    assert!(matches!(edited[2], Edited::Failed(Error::Rejected { .. })));
    let sent: Vec<Value> = requests(&server)
        .await
        .iter()
        .map(|request| request.body_json().expect("JSON"))
        .collect();
    assert_eq!(sent[0]["campaign_ids"], json!(["1", "2"]));
    assert_eq!(sent[0]["operation_status"], "DISABLE");
    assert_eq!(sent.len(), 3);
}

#[tokio::test]
async fn a_budget_is_a_number_with_the_digits_it_has() {
    let server = answering_in_turn(vec![good(json!({}))]).await;
    let (access, door) = (access(), RecordingDoor::default());
    let budget = SetTo::DailyBudget(Decimal::new(5_010, 2));
    let order = order(vec![edit(EntityType::AdSet, "7", budget)]);

    let edited = client(&server).edit(caller(&access, &door), &order).await;

    assert!(matches!(edited.expect("outcomes")[0], Edited::Done));
    let request = &requests(&server).await[0];
    assert!(request.url.path().ends_with("/adgroup/budget/update/"));
    let text = String::from_utf8_lossy(&request.body).into_owned();
    assert!(text.contains(r#""budget":50.1"#), "{text}");
}
