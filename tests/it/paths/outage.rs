//! A platform that is down is left alone: its jobs wait behind its budget instead of using up their attempts, and go on by
//! themselves.

use serde_json::json;

use super::{
    grants::Grant,
    scene::{Scene, job, kept, succeeded, sync, tells},
};
use crate::harness::eventually;

/// The failures in a row after which a platform is left alone; all but the last use up an attempt.
const FAILURES: u64 = 5;

// Fails when a platform that is down eats attempts until jobs are dead, when it is called on and on, when another platform is
// left alone too, when nobody can see it, or when jobs do not go on once it is back.
#[tokio::test]
async fn a_platform_that_is_down_is_left_alone_and_its_jobs_go_on_once_it_is_back()
-> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let (_program, client) = scene.serve().await?;
    let meta = Grant::usual("meta", "first");
    let meta = scene.connect(&client, &meta, 0).await?;
    let linkedin = Grant::usual("linkedin", "first");
    let linkedin = scene.connect(&client, &linkedin, 0).await?;
    scene.all_is_read().await?;
    let down = |is_down: bool| json!({"platform": "meta", "down": is_down});
    scene.control("limits", &down(true)).await?;

    let first = sync(&client, &meta, "incremental").await?;
    let gate = kept(&client, &first, "budget").await?;
    let by_command = scene.told_by_command(&first, "budget")?;
    let called = scene.calls("meta", "").await?;
    let second = sync(&client, &meta, "full").await?;
    let gate_of_second = kept(&client, &second, "budget").await?;
    let called_since = scene.calls("meta", "").await?;
    let elsewhere = sync(&client, &linkedin, "full").await?;
    let elsewhere = succeeded(&client, &elsewhere).await?;
    let waiting = [job(&client, &first).await?, job(&client, &second).await?];
    eventually("the gauge tells of the pause", || async {
        let paused = "millpond_budget_paused_until_timestamp_seconds";
        let until = client.metric(paused, "provider=\"meta\"").await?;
        Ok((until > 0.0).then_some(()))
    })
    .await?;
    scene.control("limits", &down(false)).await?;
    let done = [
        succeeded(&client, &first).await?,
        succeeded(&client, &second).await?,
    ];

    for gate in [&gate, &gate_of_second] {
        assert!(tells(gate, "the budget meta: provider down"), "{gate}");
        assert!(gate["until"].is_string(), "{gate}");
    }
    assert!(by_command.is_some_and(|gate| tells(&gate, "provider down")));
    assert_eq!(called, called_since);
    assert_eq!(elsewhere["attempts_used"], 1, "{elsewhere}");
    let used = |job: &serde_json::Value| job["attempts_used"].as_u64().unwrap_or(u64::MAX);
    assert!(used(&waiting[0]) < FAILURES, "{}", waiting[0]);
    assert_eq!(used(&waiting[1]), 0, "{}", waiting[1]);
    // A call that tried and found it down still has cost nothing.
    assert!(used(&done[0]) <= FAILURES, "{}", done[0]);
    assert_eq!(used(&done[1]), 1, "{}", done[1]);
    Ok(())
}
