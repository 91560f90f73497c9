//! What customers change, a call each.

use serde_json::json;

use super::{Ads, FIRST, Signer, assert_refused, good};

#[tokio::test]
async fn a_state_is_set_and_an_unknown_one_is_refused() {
    let ads = Ads::start().await;
    let world = ads
        .world(&format!(
            "entities?platform=x&account={FIRST}&kind=campaign"
        ))
        .await;
    let campaigns = world["entities"].as_array().expect("a list");
    let found = campaigns.iter().find(|one| one["status"] == "active");
    let id = found.expect("an active campaign")["id"]
        .as_str()
        .expect("an id");
    let path = format!("accounts/{FIRST}/campaigns/{id}");
    let put = ("PUT", path.as_str());

    let paused = ads
        .call(&Signer::dev(), put, &[("entity_status", "PAUSED")])
        .await;
    let wrong = ads
        .call(&Signer::dev(), put, &[("entity_status", "SLEEPING")])
        .await;

    assert_eq!(good(&paused)["data"]["entity_status"], json!("PAUSED"));
    assert_refused(&wrong, 400, "INVALID_PARAMETER");
    ads.site.stop().await;
}
