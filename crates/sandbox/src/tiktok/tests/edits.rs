//! What customers change: states of many at once, and budgets.

use serde_json::json;

use super::{Ads, FIRST, assert_code, data};

#[tokio::test]
async fn states_are_set_of_all_or_of_none() {
    let ads = Ads::start().await;
    let listed = format!("entities?platform=tiktok&account={FIRST}&kind=campaign");
    let world = ads.world(&listed).await;
    let campaigns = world["entities"].as_array().expect("a list");
    let found = campaigns
        .iter()
        .find(|one| one["status"] == "active" && one["daily_budget_micros"].is_i64());
    let id = found.expect("a campaign with a budget")["id"].clone();
    let status = |ids: serde_json::Value| json!({ "advertiser_id": FIRST, "campaign_ids": ids, "operation_status": "DISABLE" });

    let wrong = ads
        .post("campaign/status/update/", &status(json!([id, "404"])))
        .await;
    let before = ads.world(&listed).await;
    let right = ads
        .post("campaign/status/update/", &status(json!([id])))
        .await;
    let budget = json!({ "advertiser_id": FIRST, "campaign_id": id, "budget": 61.5 });
    let budget = ads.post("campaign/update/", &budget).await;
    let after = ads.world(&listed).await;

    assert_code(&wrong, 40_002);
    assert_eq!(data(&right)["campaign_ids"], json!([id]));
    assert_eq!(data(&budget)["campaign_id"], id);
    let of = |world: &serde_json::Value| {
        let all = world["entities"].as_array().expect("a list").clone();
        all.into_iter()
            .find(|one| one["id"] == id)
            .expect("it is there")
    };
    assert_eq!(of(&before)["status"], "active");
    assert_eq!(of(&after)["status"], "paused");
    assert_eq!(of(&after)["daily_budget_micros"], 61_500_000);
    ads.site.stop().await;
}
