//! What a grant reaches: all of it is connected, what comes later is found by itself, and each account is switched on and off,
//! and disconnected, alone.

use std::collections::BTreeSet;

use anyhow::Context;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    grants::Grant,
    scene::{PLATFORMS, Scene, standing, succeeded, sync, tick},
};
use crate::harness::Client;

/// Has the database believe that a day has gone by since grants were looked at.
const A_DAY_LATER: &str =
    "UPDATE marketing.connections SET discovered_at = now() - interval '1 day'";
/// Has jobs begin that a schedule spreads over minutes.
const NOW: &str = "UPDATE millpond.jobs SET run_at = now() WHERE kind = 'sync.account'";

/// Has a grant of Meta's reach this one of its ad accounts alone.
async fn reaches(scene: &Scene, grant: &Grant, place: usize) -> anyhow::Result<()> {
    let token = json!({"token": grant.access, "accounts": [scene.account("meta", place)?]});
    let known = json!({"platform": "meta", "tokens": [token]});
    scene.control("tokens", &known).await
}

/// The accounts of a grant.
async fn accounts_of(client: &Client, connection: &str) -> anyhow::Result<Vec<Value>> {
    let path = format!("/v1/accounts?connection={connection}&limit=500");
    let answer = client.get(&path).await?;
    let items = answer.body["items"].as_array();
    items
        .cloned()
        .with_context(|| format!("a list: {answer:?}"))
}

fn text<'a>(value: &'a Value, name: &str) -> anyhow::Result<&'a str> {
    let member = value[name].as_str();
    member.with_context(|| format!("{name} in {value}"))
}

async fn switch(client: &Client, account: &str, is_on: bool) -> anyhow::Result<()> {
    let path = format!("/v1/accounts/{account}");
    let request = client.request(Method::PATCH, &path);
    let request = request.json(&json!({"sync_enabled": is_on}));
    let answer = client.send(request).await?;
    anyhow::ensure!(answer.body["sync_enabled"] == is_on, "{answer:?}");
    Ok(())
}

// Fails when an account that a grant has come to reach waits for somebody to notice, when its Pages are not found with the first
// tick, when what is not reached any more is read on, or when platforms are asked all day long.
#[tokio::test]
async fn what_a_grant_has_come_to_reach_is_found_and_read_within_a_day() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let (_program, client) = scene.serve().await?;
    let grant = Grant::usual("meta", "first");
    reaches(&scene, &grant, 0).await?;
    let connected = client.post("/v1/accounts", &grant.body()).await?.body;
    let connection = text(&connected, "connection")?;
    scene.all_is_read().await?;

    let first = tick(&client, "sync-incremental").await?;
    let at_once = accounts_of(&client, connection).await?;
    reaches(&scene, &grant, 1).await?;
    let same_day = tick(&client, "sync-incremental").await?;
    scene.change(A_DAY_LATER).await?;
    let next_day = tick(&client, "sync-incremental").await?;
    scene.change(NOW).await?;
    scene.all_is_read().await?;
    let accounts = accounts_of(&client, connection).await?;

    let at_first = connected["accounts"].as_array().map(Vec::len);
    assert_eq!(at_first, Some(1), "{connected}");
    assert_eq!(same_day["result"]["found"], 0, "{same_day}");
    let of_kind =
        |kind: &str| -> Vec<&Value> { accounts.iter().filter(|it| it["kind"] == kind).collect() };
    let (old, new): (Vec<&Value>, Vec<&Value>) = of_kind("ad_account")
        .into_iter()
        .partition(|it| it["id"] == connected["accounts"][0]["id"]);
    assert!(old.len() == 1 && new.len() == 1, "{accounts:?}");
    assert!(old[0]["vanished_at"].is_string(), "{}", old[0]);
    let new = new[0];
    assert_eq!(new["external_id"], scene.account("meta", 1)?);
    assert_eq!(
        (&new["status"], &new["sync_enabled"]),
        (&json!("active"), &json!(true))
    );
    assert!(new["as_of"]["entities"].is_string(), "{new}");
    let since = accounts.len() - at_once.len();
    assert_eq!(next_day["result"]["found"], since, "{next_day}");
    assert_eq!(first["result"]["found"], at_once.len() - 1, "{first}");
    for kind in ["page", "instagram_account"] {
        let has = at_once.iter().any(|it| it["kind"] == kind);
        assert!(has, "{kind}: {at_once:?}");
    }
    Ok(())
}

// Fails when somebody's no to an account is not heard, or is heard for good.
#[tokio::test]
async fn an_account_that_is_switched_off_is_not_read_until_it_is_switched_on() -> anyhow::Result<()>
{
    let scene = Scene::new().await?;
    let (_program, client) = scene.serve().await?;
    let grant = Grant::usual("google_ads", "first");
    let account = scene.connect(&client, &grant, 0).await?;
    scene.all_is_read().await?;

    switch(&client, &account, false).await?;
    let without = tick(&client, "sync-full").await?;
    switch(&client, &account, true).await?;
    let with = tick(&client, "sync-full").await?;

    let done = &without["result"];
    assert_eq!(
        (&done["accounts"], &done["created"]),
        (&json!(0), &json!(0))
    );
    let done = &with["result"];
    assert_eq!(done["accounts"], 1, "{done}");
    assert!(done["created"].as_u64() > Some(0), "{done}");
    Ok(())
}

/// What one grant reached, and what became of it when its first account went, and then the others.
struct Halved {
    platform: &'static str,
    reached: BTreeSet<String>,
    first: Value,
    rest: Value,
    last: Value,
}

/// Connects all that a grant reaches, and disconnects its accounts one by one.
async fn halved(scene: &Scene, client: &Client, platform: &'static str) -> anyhow::Result<Halved> {
    let grant = Grant::usual(platform, "first");
    let first = scene.connect_as(client, &grant, &grant.body()).await?;
    let connection = standing(client, &first).await?;
    let accounts = accounts_of(client, text(&connection, "connection")?).await?;
    let reached = accounts
        .iter()
        .map(|it| text(it, "external_id").map(str::to_owned))
        .collect::<anyhow::Result<_>>()?;
    let disconnected = disconnect(client, &first).await?;
    let rest = accounts.iter().find(|it| it["id"] != first);
    let rest = text(rest.context("it reaches two")?, "id")?;
    let job = sync(client, rest, "incremental").await?;
    Ok(Halved {
        platform,
        reached,
        first: disconnected,
        rest: succeeded(client, &job).await?,
        last: disconnect(client, rest).await?,
    })
}

async fn disconnect(client: &Client, account: &str) -> anyhow::Result<Value> {
    let path = format!("/v1/accounts/{account}");
    let answer = client.send(client.request(Method::DELETE, &path)).await?;
    anyhow::ensure!(answer.status.is_success(), "{answer:?}");
    Ok(answer.body)
}

// Fails when a grant gives some of its accounts alone, when one that leaves takes the others along, and when the grant outlives
// the last of them.
#[tokio::test]
async fn one_grant_brings_all_of_its_accounts_and_goes_with_the_last_of_them() -> anyhow::Result<()>
{
    let scene = Scene::new().await?;
    let (_program, client) = scene.serve().await?;

    let mut all = Vec::new();
    for platform in PLATFORMS {
        all.push(halved(&scene, &client, platform).await?);
    }

    for it in &all {
        assert_eq!(
            it.reached,
            scene.accounts_of(it.platform),
            "{}",
            it.platform
        );
        assert_eq!(
            it.first["grant_ended"], false,
            "{}: {}",
            it.platform, it.first
        );
        assert_eq!(it.rest["attempts_used"], 1, "{}", it.rest);
        assert_eq!(it.last["grant_ended"], true, "{}: {}", it.platform, it.last);
    }
    let kept = "SELECT count(*) FROM marketing.connections WHERE access_token IS NOT NULL";
    assert_eq!(scene.count(kept).await?, 0);
    Ok(())
}
