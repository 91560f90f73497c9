//! What customers change by `googleAds:mutate`.

use serde_json::json;

use super::{Ads, FIRST, assert_refused};

#[tokio::test]
async fn with_partial_failure_each_operation_has_a_fate_of_its_own() {
    let ads = Ads::start().await;
    let query = "SELECT campaign.id, campaign.campaign_budget, campaign_budget.amount_micros FROM campaign \
                 WHERE campaign.status = 'ENABLED'";
    let rows = ads.results(FIRST, query).await;
    let row = rows
        .iter()
        .find(|row| row["campaignBudget"]["amountMicros"].is_string())
        .expect("a campaign with a budget a day");
    let id = row["campaign"]["id"].as_str().expect("an id");
    let budget = &row["campaign"]["campaignBudget"];
    let name = format!("customers/{FIRST}/campaigns/{id}");
    let operations = json!([
        {"campaignOperation": {"update": {"resourceName": name, "status": "PAUSED"}, "updateMask": "status"}},
        {"campaignOperation": {"update": {"resourceName": format!("customers/{FIRST}/campaigns/404"), "status": "PAUSED"},
            "updateMask": "status"}},
        {"campaignBudgetOperation": {"update": {"resourceName": budget, "amountMicros": "77000000"},
            "updateMask": "amountMicros"}}
    ]);

    let mutated = ads
        .call(
            FIRST,
            "mutate",
            &json!({"mutateOperations": operations, "partialFailure": true}),
        )
        .await;
    let whole = ads
        .call(
            FIRST,
            "mutate",
            &json!({"mutateOperations": [operations[1]]}),
        )
        .await;

    assert_eq!(mutated.status, 200, "{}", mutated.body);
    let body = mutated.json();
    assert_eq!(
        body["mutateOperationResponses"][0]["campaignResult"]["resourceName"],
        name
    );
    let errors = &body["partialFailureError"]["details"][0]["errors"];
    assert_eq!(errors.as_array().map(Vec::len), Some(1));
    assert_eq!(errors[0]["location"]["fieldPathElements"][0]["index"], 1);
    assert_refused(&whole, 400, "mutateError", "RESOURCE_NOT_FOUND");
    let query = format!(
        "SELECT campaign.status, campaign_budget.amount_micros FROM campaign WHERE campaign.id = {id}"
    );
    let shown = ads.results(FIRST, &query).await;
    assert_eq!(shown[0]["campaign"]["status"], "PAUSED");
    assert_eq!(shown[0]["campaignBudget"]["amountMicros"], "77000000");
    ads.site.stop().await;
}
