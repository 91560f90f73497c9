//! A rule that acts by itself, within its daily cap.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use reqwest::Method;
use serde_json::{Value, json};

use super::scene::{DAYS, Scene, broken_by, dearest};

const NAME: &str = "Stop what costs too much";
const MIN_CLICKS: i64 = 10;
/// How many campaigns there are, and how many of them cost too much.
const CAMPAIGNS: u32 = 50;
const BROKEN: usize = 3;

fn rule(threshold: &str, daily_cap: u32) -> Value {
    json!({
        "scope": {"level": "campaign"}, "action": "pause", "look_back_days": DAYS, "min_clicks": MIN_CLICKS,
        "max_cpc": threshold, "daily_cap": daily_cap,
    })
}

/// Evaluates a rule and waits for the changes that it orders; gives what it found.
async fn evaluated(scene: &Scene, strategy: &str) -> anyhow::Result<Value> {
    let payload = json!({"strategy_id": strategy});
    let result = scene.result_of("strategy.evaluate", &payload).await?;
    scene.all_is_made(strategy).await?;
    Ok(result["found"].clone())
}

/// The campaigns whose state is another one than it was.
async fn stopped(
    scene: &Scene,
    before: &BTreeMap<String, Value>,
) -> anyhow::Result<BTreeSet<String>> {
    let after = scene.things("campaign").await?;
    let changed = after
        .iter()
        .filter(|(id, thing)| before.get(*id).map(|it| &it["status"]) != Some(&thing["status"]));
    let mut stopped = BTreeSet::new();
    for (id, thing) in changed {
        anyhow::ensure!(thing["status"] == "paused", "{thing}");
        stopped.insert(id.clone());
    }
    Ok(stopped)
}

// Fails when a campaign is stopped that keeps the threshold, or one goes on that breaks it, when more is done in a day than the
// cap allows or done twice, and when the history does not tell what was before, which rule it was and why.
#[tokio::test]
async fn a_rule_that_acts_stops_the_right_three_of_fifty_and_the_history_says_why()
-> anyhow::Result<()> {
    let scene = Scene::begin(CAMPAIGNS).await?;
    let figures = scene.figures().await?;
    let before = scene.things("campaign").await?;
    let dearest = dearest(&before, &figures, MIN_CLICKS);
    let threshold = broken_by(&dearest, BROKEN)?;
    let right: BTreeSet<String> = dearest[..BROKEN].iter().map(|it| it.0.clone()).collect();
    let new = json!({"name": NAME, "mode": "act", "rule": rule(&threshold, 2)});
    let made = scene.ask(Method::POST, "/v1/strategies", &new).await?;
    let strategy = made["id"].as_str().context("an id")?;

    let first = evaluated(&scene, strategy).await?;
    let within_cap = stopped(&scene, &before).await?;
    let again = evaluated(&scene, strategy).await?;
    let still = stopped(&scene, &before).await?;
    let raised = json!({"rule": rule(&threshold, 3)});
    let path = format!("/v1/strategies/{strategy}");
    scene.ask(Method::PATCH, &path, &raised).await?;
    let last = evaluated(&scene, strategy).await?;
    let all = stopped(&scene, &before).await?;
    let changes = scene.changes().await?;

    assert_eq!(before.len(), usize::try_from(CAMPAIGNS)?);
    assert_eq!(
        (&first["found"], &first["acted"], &first["capped"]),
        (&json!(3), &json!(2), &json!(1)),
        "{first}"
    );
    assert!(
        within_cap.len() == 2 && within_cap.is_subset(&right),
        "{within_cap:?}"
    );
    assert_eq!((&again["acted"], &again["capped"]), (&json!(0), &json!(1)));
    assert_eq!(still, within_cap);
    assert_eq!(last["acted"], 1, "{last}");
    assert_eq!(all, right);
    let told: BTreeSet<String> = changes
        .iter()
        .filter_map(|change| change["entity_id"].as_str().map(str::to_owned))
        .collect();
    assert_eq!((changes.len(), &told), (BROKEN, &right), "{changes:#?}");
    for change in &changes {
        let said = [
            &change["field"],
            &change["before"],
            &change["after"],
            &change["state"],
        ];
        assert_eq!(said, ["status", "active", "paused", "done"], "{change}");
        assert_eq!(change["strategy_id"], strategy, "{change}");
        assert_eq!(change["requested_by"], "the strategy itself", "{change}");
        let reason = change["reason"].as_str().context("a reason")?;
        assert!(reason.starts_with(&format!("{NAME}: cpc ")), "{reason}");
        assert!(
            reason.ends_with(&format!("is above {threshold}")),
            "{reason}"
        );
    }
    Ok(())
}
