//! What customers change: it is there at once, for whoever lists it.

use serde_json::json;

use super::{FORM, ask, assert_refused, signed, stopped, truth};

#[tokio::test]
async fn what_is_changed_is_shown_and_what_cannot_be_is_refused() {
    let site = stopped().await;
    let world = truth(
        &site,
        "world/entities?platform=meta&account=1000000000001&kind=campaign",
    )
    .await;
    let campaigns = world["entities"].as_array().expect("a list").clone();
    let found = campaigns
        .iter()
        .find(|one| one["status"] == "active" && one["daily_budget_micros"].is_i64());
    let id = found.expect("a campaign with a budget")["id"]
        .as_str()
        .expect("an id")
        .to_owned();

    let paused = site.post(&signed(&id, &[]), FORM, "status=PAUSED").await;
    let budget = site
        .post(&signed(&id, &[]), FORM, "daily_budget=12300")
        .await;
    let wrong = site.post(&signed(&id, &[]), FORM, "status=SLEEPING").await;
    let other_sort = site
        .post(&signed(&id, &[]), FORM, "lifetime_budget=12300")
        .await;

    assert_eq!(paused.json(), json!({ "success": true }));
    assert_eq!(budget.status, 200, "{}", budget.body);
    let shown = ask(&site, &id, &[("fields", "status,daily_budget")]).await;
    assert_eq!(shown["status"], "PAUSED");
    assert_eq!(shown["daily_budget"], "12300");
    for refused in [wrong, other_sort] {
        assert_eq!(refused.status, 400, "{}", refused.body);
        assert_eq!(refused.json()["error"]["code"], 100);
    }
    let gone = site.post(&signed("404", &[]), FORM, "status=PAUSED").await;
    assert_refused(&gone, 100, Some(33));
    site.stop().await;
}
