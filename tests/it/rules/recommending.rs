//! A rule that recommends: what it finds waits for somebody.

use anyhow::Context;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::scene::{DAYS, Scene, broken_by, dearest};

const MIN_CLICKS: i64 = 10;

async fn decide(scene: &Scene, finding: &Value, what: &str) -> anyhow::Result<(StatusCode, Value)> {
    let id = finding["id"].as_str().context("an id")?;
    let path = format!("/v1/recommendations/{id}/{what}");
    let request = scene.client.request(Method::POST, &path);
    let answer = scene.client.send(request).await?;
    Ok((answer.status, answer.body))
}

// Fails when a recommendation is done that nobody accepted, when an accepted one is not done at the platform or can be decided
// twice, and when what was dismissed is recommended again.
#[tokio::test]
async fn a_recommendation_is_done_once_it_is_accepted_and_left_alone_once_it_is_dismissed()
-> anyhow::Result<()> {
    let scene = Scene::begin(20).await?;
    let figures = scene.figures().await?;
    let before = scene.things("campaign").await?;
    let threshold = broken_by(&dearest(&before, &figures, MIN_CLICKS), 2)?;
    let rule = json!({
        "scope": {"level": "campaign", "account_id": scene.account}, "action": "pause", "look_back_days": DAYS,
        "min_clicks": MIN_CLICKS, "max_cpc": threshold,
    });
    let new = json!({"name": "Ask me first", "rule": rule});
    let made = scene.ask(Method::POST, "/v1/strategies", &new).await?;
    let strategy = made["id"].as_str().context("an id")?;
    let evaluate = json!({"strategy_id": strategy});
    let open = format!("/v1/recommendations?strategy={strategy}&state=open");

    let first = scene.result_of("strategy.evaluate", &evaluate).await?;
    let found = scene.items(&open).await?;
    let untouched = scene.things("campaign").await?;
    let (accepted, other) = (found.first().context("one")?, found.last().context("one")?);
    let (done, acting) = decide(&scene, accepted, "accept").await?;
    let (gone, dismissed) = decide(&scene, other, "dismiss").await?;
    let (twice, _) = decide(&scene, accepted, "accept").await?;
    let (too_late, _) = decide(&scene, other, "accept").await?;
    scene.all_is_made(strategy).await?;
    let second = scene.result_of("strategy.evaluate", &evaluate).await?;
    let after = scene.things("campaign").await?;
    let changes = scene.changes().await?;

    assert_eq!(
        (&first["found"]["recommended"], &first["found"]["acted"]),
        (&json!(2), &json!(0))
    );
    assert_eq!(found.len(), 2, "{found:#?}");
    assert_eq!(untouched, before);
    assert_eq!((done, gone), (StatusCode::OK, StatusCode::OK));
    assert_eq!(
        (&acting["state"], &dismissed["state"]),
        (&json!("acted"), &json!("dismissed"))
    );
    assert!(
        acting["job_id"].is_string() && acting["decided_by"].is_string(),
        "{acting}"
    );
    assert_eq!(
        (twice, too_late),
        (StatusCode::CONFLICT, StatusCode::CONFLICT)
    );
    assert_eq!(changes[0]["requested_by"], acting["decided_by"]);
    assert_eq!(second["found"]["recommended"], 0, "{second}");
    assert!(scene.items(&open).await?.is_empty());
    let status = |finding: &Value| {
        let id = finding["entity_id"].as_str().unwrap_or_default();
        after.get(id).map(|thing| thing["status"].clone())
    };
    assert_eq!(status(accepted), Some(json!("paused")));
    assert_eq!(status(other), Some(json!("active")));
    Ok(())
}
