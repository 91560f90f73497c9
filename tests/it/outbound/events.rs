//! Events of other sorts than dead jobs, as endpoints get them.

use anyhow::Context;
use serde_json::{Value, json};

use super::scene::body_of;
use crate::{
    harness::eventually,
    inbound::scene::{Scene, tick},
    sync::scene::serve,
};

/// What a receiver was told of an account, once it was.
async fn told(scene: &Scene, (receiver, account): (&str, &str)) -> anyhow::Result<Value> {
    eventually("the endpoint is told", || async {
        for call in scene.world.received("hooks").await? {
            let body = body_of(&call)?;
            if call["name"] == receiver && body["data"]["account_id"] == account {
                return Ok(Some(body));
            }
        }
        Ok(None)
    })
    .await
}

/// The names of an object's members, sorted.
fn members(of: &Value) -> Vec<&str> {
    let members = of.as_object().into_iter().flatten();
    let mut names: Vec<&str> = members.map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names
}

// Fails when a lead or what was read of an account is not told, or in another shape than docs/outbound-webhooks.md and
// docs/inbound-webhooks.md say, and when a message has what a person answered.
#[tokio::test]
async fn leads_and_syncs_are_told_in_their_documented_shape() -> anyhow::Result<()> {
    let scene = Box::pin(Scene::new()).await?;
    scene.endpoint("leads", &["lead.created"]).await?;
    scene.endpoint("syncs", &["sync.completed"]).await?;
    let sent = scene.told(&json!({"leads": 1})).await?;
    scene.nothing_is_left().await?;
    let listed = scene.leads().await?;
    let ad_accounts = "SELECT id::text FROM marketing.accounts WHERE kind = 'ad_account'";
    let account: String = sqlx::query_scalar(ad_accounts)
        .fetch_one(&mut scene.world.sql().await?)
        .await?;
    // What accounts hold is read by nobody else here.
    let (_reader, _) = serve(&scene.world, &["--queues", "entities"]).await?;
    let is_told = format!(
        "SELECT LEAST(count(*), 1) FROM marketing.events WHERE kind = 'sync.completed' AND account = '{account}'"
    );
    scene.until(&is_told, 1).await?;

    tick(&scene.client, "webhook-fanout").await?;
    let of_lead = told(&scene, ("leads", &scene.account)).await?;
    let of_sync = told(&scene, ("syncs", &account)).await?;

    assert_eq!(of_lead["type"], "lead.created");
    let lead = &of_lead["data"];
    assert_eq!(lead["lead_id"], sent["leads"][0]);
    let ours = listed.first().context("a lead")?;
    assert_eq!(lead["id"], ours["id"]);
    assert_eq!(lead["account_id"], scene.account.as_str());
    assert_eq!(lead["page_id"], scene.page.as_str());
    let expected = [
        "account_id",
        "ad_id",
        "ad_set_id",
        "campaign_id",
        "created_at",
        "form_id",
        "id",
        "is_organic",
        "lead_id",
        "page_id",
    ];
    assert_eq!(members(lead), expected);
    assert_eq!(of_sync["type"], "sync.completed");
    let sync = &of_sync["data"];
    assert_eq!(sync["account_id"], account.as_str());
    assert_eq!(sync["state"], "succeeded");
    assert!(
        sync["sync_id"].is_i64() || sync["sync_id"].is_string(),
        "{sync}"
    );
    for member in ["mode", "counts", "started_at", "finished_at"] {
        assert!(!sync[member].is_null(), "{member}: {sync}");
    }
    Ok(())
}
