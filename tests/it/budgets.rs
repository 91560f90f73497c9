//! Budgets of the whole fleet: three processes, one quota.

use serde_json::{Value, json};

use crate::harness::{Client, World, eventually};

/// Calls a day, of which a tenth is reserved.
const DAILY: usize = 40;
const ORDINARY: usize = DAILY - DAILY / 10;
const JOBS: usize = 60;

async fn jobs(client: &Client, state: &str) -> anyhow::Result<Vec<Value>> {
    let path = format!("/v1/jobs?kind=test.hook&state={state}&limit=500");
    let answer = client.get(&path).await?;
    Ok(answer.body["items"].as_array().cloned().unwrap_or_default())
}

// Fails when each process counts for itself, and when a job pays with an attempt for what it may not call.
#[tokio::test]
async fn three_processes_call_as_often_as_a_day_allows_and_the_rest_waits() -> anyhow::Result<()> {
    let world = World::new().await?;
    let file = world.folder.join("jobs.toml");
    let config = std::fs::read_to_string(&file)?.replace(
        "timeout = \"60s\"",
        &format!("timeout = \"60s\"\nbudget = \"crm\"\n\n[budgets.crm]\ndaily = {DAILY}\nper = \"provider\""),
    );
    std::fs::write(&file, config)?;
    let (_first, client) = world.serve().await?;
    let (_second, _) = world.serve().await?;
    let (_third, _) = world.serve().await?;

    for _ in 0..JOBS {
        client
            .enqueue(&json!({"kind": "test.hook", "payload": {}}))
            .await?;
    }
    eventually("what the day allows is done", || async {
        Ok((jobs(&client, "succeeded").await?.len() == ORDINARY).then_some(()))
    })
    .await?;
    let urgent = json!({"kind": "test.hook", "payload": {}, "priority": 0});
    let urgent = client.enqueue(&urgent).await?;
    client.in_state(&urgent, "succeeded").await?;

    assert_eq!(world.received("hooks").await?.len(), ORDINARY + 1);
    let waiting = eventually("the rest waits", || async {
        let states = [
            jobs(&client, "ready").await?,
            jobs(&client, "scheduled").await?,
        ];
        let waiting = states.concat();
        Ok((waiting.len() == JOBS - ORDINARY).then_some(waiting))
    })
    .await?;
    let paid: Vec<&Value> = waiting
        .iter()
        .filter(|job| job["attempts_used"] != 0)
        .collect();
    assert!(paid.is_empty(), "{paid:?}");
    let budgets = client.get("/v1/budgets").await?.body;
    let items = budgets["items"].as_array().cloned().unwrap_or_default();
    let crm = items.iter().find(|budget| budget["name"] == "crm");
    assert!(
        crm.is_some_and(|crm| !crm["dry_until"].is_null()),
        "{crm:?}"
    );
    Ok(())
}
