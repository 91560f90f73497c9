//! What customers change by batches of partial updates.

use serde_json::json;

use super::{DEV_LINKEDIN_TOKEN, FIRST, Li, VERSIONED, bearer};

#[tokio::test]
async fn each_entity_of_a_batch_has_a_status_of_its_own() {
    let li = Li::start().await;
    let world = li
        .world(&format!(
            "entities?platform=linkedin&account={FIRST}&kind=ad_set"
        ))
        .await;
    let sets = world["entities"].as_array().expect("a list");
    let found = sets.iter().find(|one| one["status"] == "active");
    let id = found.expect("an active campaign")["id"]
        .as_str()
        .expect("an id");
    let patch = json!({ "patch": { "$set": { "status": "PAUSED" } } });
    let body = json!({ "entities": { id: patch, "404": patch } }).to_string();
    let headers = format!(
        "{VERSIONED}{}x-restli-method: BATCH_PARTIAL_UPDATE\r\ncontent-type: application/json\r\n",
        bearer(DEV_LINKEDIN_TOKEN)
    );
    let path = format!("/linkedin/rest/adAccounts/{FIRST}/adCampaigns?ids=List({id},404)");

    let answer = li.site.post(&path, &headers, &body).await;

    assert_eq!(answer.status, 200, "{}", answer.body);
    let told = answer.json();
    assert_eq!(told["results"][id]["status"], 204);
    assert_eq!(told["errors"]["404"]["status"], 404);
    let world = li
        .world(&format!(
            "entities?platform=linkedin&account={FIRST}&kind=ad_set"
        ))
        .await;
    let sets = world["entities"].as_array().expect("a list");
    let now = sets.iter().find(|one| one["id"] == id);
    assert_eq!(now.expect("it is there")["status"], "paused");
    li.site.stop().await;
}
