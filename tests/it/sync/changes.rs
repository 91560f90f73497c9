//! What somebody changes at a platform beside us: found by the next sync, kept in the history of changes, and never taken
//! for more than it is.

use anyhow::Context;
use serde_json::{Value, json};
use sqlx::types::chrono::{DateTime, Utc};

use super::{
    scene::{Account, PLATFORMS, Pace, Plan, Scene, control, nothing_failed, set_clock},
    truth,
};

const NEW_NAME: &str = "Renamed outside";
const NEW_BUDGET_MICROS: i64 = 77_000_000;

/// Things of an account as they truly are.
async fn things(scene: &Scene, account: &Account, kind: &str) -> anyhow::Result<Vec<Value>> {
    let path = format!(
        "/_control/world/entities?platform={}&account={}&kind={kind}",
        account.platform, account.external_id
    );
    let answer = scene.world.sandbox.get(&path).await?;
    Ok(answer.body["entities"]
        .as_array()
        .context("a list")?
        .clone())
}

fn id_of(thing: &Value) -> anyhow::Result<&str> {
    thing["id"].as_str().context("an id")
}

/// The newest changes of an account.
async fn changes(scene: &Scene, account: &Account) -> anyhow::Result<Vec<Value>> {
    let path = format!("/v1/accounts/{}/changes?limit=500", account.id);
    let changes = scene.client.get(&path).await?.body;
    Ok(changes["items"].as_array().context("a list")?.clone())
}

/// What a change of this field of a thing says that was before and is now.
fn change<'c>(changes: &'c [Value], id: &str, field: &str) -> Option<(&'c Value, &'c Value)> {
    let mut of_it = changes
        .iter()
        .filter(|change| change["entity_id"] == id && change["field"] == field);
    of_it
        .next()
        .map(|change| (&change["before"], &change["after"]))
}

/// A thing as it is stored.
async fn stored(scene: &Scene, account: &Account, id: &str) -> anyhow::Result<Value> {
    let path = format!("/v1/entities?account={}&type=campaign&q={id}", account.id);
    let found = scene.client.get(&path).await?.body;
    Ok(found["items"][0].clone())
}

/// Somebody renames a campaign, gives it another budget, and stops an ad set of another one; gives their ids.
async fn meddle(scene: &Scene, account: &Account) -> anyhow::Result<(String, String)> {
    let is_active = |thing: &&Value| thing["effective"] == "active";
    let campaigns = things(scene, account, "campaign").await?;
    let campaign = id_of(campaigns.iter().find(is_active).context("one")?)?;
    let ad_sets = things(scene, account, "ad_set").await?;
    let of_others = |thing: &&Value| is_active(thing) && thing["campaign_id"] != campaign;
    let ad_set = id_of(ad_sets.iter().find(of_others).context("another one")?)?;
    let renamed = json!({
        "platform": account.platform, "id": campaign, "name": NEW_NAME, "daily_budget_micros": NEW_BUDGET_MICROS,
    });
    control(&scene.world, "world", &renamed).await?;
    let stopped = json!({"platform": account.platform, "id": ad_set, "status": "paused"});
    control(&scene.world, "world", &stopped).await?;
    Ok((campaign.to_owned(), ad_set.to_owned()))
}

/// The campaign of an account that was made last, and when.
async fn newest(scene: &Scene, account: &Account) -> anyhow::Result<(String, DateTime<Utc>)> {
    let mut newest: Option<(String, DateTime<Utc>)> = None;
    for campaign in things(scene, account, "campaign").await? {
        let made = campaign["created_at"].as_str().context("a time")?;
        let made: DateTime<Utc> = made.parse()?;
        if newest.as_ref().is_none_or(|(_, last)| *last < made) {
            newest = Some((id_of(&campaign)?.to_owned(), made));
        }
    }
    newest.context("a campaign")
}

// Fails when an incremental sync leaves out what was changed, at whatever platform, when a change is told with other values
// than it has, and when what was read again without a change counts as one.
#[tokio::test]
async fn what_was_changed_at_a_platform_is_found_and_kept_in_the_history() -> anyhow::Result<()> {
    let plan = Plan {
        platforms: &PLATFORMS,
        campaigns: 12,
        has_history: false,
        config: "",
    };
    let scene = Scene::begin(&plan).await?;
    scene.work_off(Pace::Steady).await?;

    scene.read_entities("incremental").await?;
    scene.work_off(Pace::Steady).await?;
    let mut unchanged = Vec::new();
    for account in &scene.accounts {
        unchanged.extend(changes(&scene, account).await?);
    }
    let mut meddled = Vec::new();
    for account in &scene.accounts {
        let (campaign, ad_set) = meddle(&scene, account).await?;
        meddled.push((account, campaign, ad_set));
    }
    scene.read_entities("incremental").await?;
    scene.work_off(Pace::Steady).await?;

    assert!(unchanged.is_empty(), "{unchanged:#?}");
    nothing_failed(&scene.world).await?;
    for (account, campaign, ad_set) in meddled {
        let platform = account.platform;
        let found = changes(&scene, account).await?;
        let name = change(&found, &campaign, "name").map(|(_, after)| after);
        assert_eq!(name, Some(&json!(NEW_NAME)), "{platform}: {found:#?}");
        let budget = change(&found, &campaign, "daily_budget").map(|(_, after)| after);
        assert_eq!(budget, Some(&json!("77")), "{platform}: {found:#?}");
        let status = change(&found, &ad_set, "status");
        let expected = (&json!("active"), &json!("paused"));
        assert_eq!(status, Some(expected), "{platform}: {found:#?}");
        let stored = stored(&scene, account, &campaign).await?;
        assert_eq!(stored["name"], NEW_NAME, "{platform}: {stored}");
    }
    Ok(())
}

// Fails when what is not found any more is deleted, or goes on as if it were there, and when it stays away although it is back.
#[tokio::test]
async fn what_vanished_is_marked_and_what_is_back_is_there_again() -> anyhow::Result<()> {
    let plan = Plan {
        platforms: &PLATFORMS,
        campaigns: 12,
        has_history: false,
        config: "",
    };
    let scene = Scene::begin(&plan).await?;
    scene.work_off(Pace::Steady).await?;
    let held = truth::entities(&scene).await?;
    let mut campaigns = Vec::new();
    for account in &scene.accounts {
        let (campaign, made) = newest(&scene, account).await?;
        let before = stored(&scene, account, &campaign).await?;
        campaigns.push((account, campaign, made, before));
    }
    let now = set_clock(&scene.world, &json!({})).await?;

    // A world in which nobody has made these campaigns.
    let first = campaigns
        .iter()
        .map(|(_, _, made, _)| made.timestamp())
        .min();
    let before_all = DateTime::from_timestamp(first.context("some")? - 1, 0).context("a time")?;
    set_clock(&scene.world, &json!({"set": before_all.to_rfc3339()})).await?;
    scene.read_entities("full").await?;
    scene.work_off(Pace::Steady).await?;
    let mut gone = Vec::new();
    for (account, campaign, ..) in &campaigns {
        gone.push(stored(&scene, account, campaign).await?);
    }
    set_clock(&scene.world, &json!({"set": now.to_rfc3339()})).await?;
    scene.read_entities("full").await?;
    scene.work_off(Pace::Steady).await?;

    nothing_failed(&scene.world).await?;
    assert_eq!(truth::entities(&scene).await?, held, "nothing is deleted");
    for ((account, campaign, _, before), gone) in campaigns.iter().zip(&gone) {
        let back = stored(&scene, account, campaign).await?;
        assert_eq!(gone["status"], "deleted", "{gone}");
        assert!(gone["vanished_at"].is_string(), "{gone}");
        assert_eq!(back["vanished_at"], Value::Null, "{back}");
        assert_eq!(back["status"], before["status"], "{back}");
        let found = changes(&scene, account).await?;
        let vanished: Vec<&Value> = found
            .iter()
            .filter(|it| it["entity_id"] == campaign.as_str() && it["field"] == "vanished")
            .map(|it| &it["after"])
            .collect();
        // The newest comes first.
        assert_eq!(vanished, ["false", "true"], "{found:#?}");
    }
    Ok(())
}
