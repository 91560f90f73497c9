//! A platform that refuses for want of quota is waited for, in whatever form it says so, and one that says that little is
//! left is left alone: at no cost of an attempt, for those alone whose quota it is.

use serde_json::{Value, json};

use super::{
    grants::Grant,
    scene::{PLATFORMS, Scene, job, kept, outcomes, succeeded, sync, tells},
};
use crate::harness::{Client, eventually};

/// How a platform refuses, and how often before it is waited for long enough to be looked at.
fn refusal(platform: &str) -> (Value, usize) {
    match platform {
        // Status 400 with a code, and seconds in a header.
        "meta" => (json!({"kind": "throttle", "code": 17, "wait_s": 20}), 1),
        // Status 429, and the wait in the envelope.
        "google_ads" => (json!({"kind": "throttle", "wait_s": 20}), 1),
        // Status 429 and nothing else: a minute is a guess.
        "linkedin" => (json!({"kind": "throttle"}), 1),
        // Status 200 with a code. The first guess is 5 s, the next one 30 s.
        "tiktok" => (
            json!({"kind": "fail", "status": 200, "code": 40_133, "message": "Too many requests"}),
            2,
        ),
        // A number in the older envelope, and a time in a header.
        _ => (json!({"kind": "throttle", "code": 88, "wait_s": 20}), 1),
    }
}

/// A job that was refused so often, one that came after it, and what is told of that one.
struct PutOff {
    platform: &'static str,
    refusals: usize,
    refused: String,
    later: String,
    gate: Value,
    by_command: Option<Value>,
    waiting: Value,
}

async fn put_off(
    scene: &Scene,
    client: &Client,
    (platform, account): (&'static str, &str),
) -> anyhow::Result<PutOff> {
    let (fault, refusals) = refusal(platform);
    let fault = json!({"target": platform, "fault": fault, "times": refusals});
    scene.world.fault(&fault).await?;
    let refused = sync(client, account, "incremental").await?;
    eventually(&format!("{platform} has refused"), || async {
        let refused = job(client, &refused).await?;
        let told = outcomes(&refused);
        let count = told.iter().filter(|it| **it == "rate_limited").count();
        Ok((count == refusals).then_some(()))
    })
    .await?;
    let later = sync(client, account, "full").await?;
    let gate = kept(client, &later, "budget").await?;
    Ok(PutOff {
        platform,
        refusals,
        by_command: scene.told_by_command(&later, "budget")?,
        waiting: job(client, &later).await?,
        refused,
        later,
        gate,
    })
}

// Fails when a refusal is not known for what it is in a platform's own form, when it costs an attempt, when jobs that come
// after it go on asking, when that is told nowhere, and when one of them needs help to go on.
#[tokio::test]
async fn a_refusal_for_want_of_quota_puts_jobs_off_at_no_cost_on_every_platform()
-> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let (_program, client) = scene.serve().await?;
    let mut accounts = Vec::new();
    for platform in PLATFORMS {
        let grant = Grant::usual(platform, "first");
        accounts.push((platform, scene.connect(&client, &grant, 0).await?));
    }
    scene.all_is_read().await?;

    let mut all = Vec::new();
    for (platform, account) in &accounts {
        all.push(put_off(&scene, &client, (*platform, account.as_str())).await?);
    }
    eventually("the gauge tells of the longest pause", || async {
        let paused = "millpond_budget_paused_until_timestamp_seconds";
        let until = client.metric(paused, "provider=\"linkedin\"").await?;
        Ok((until > 0.0).then_some(()))
    })
    .await?;
    let counted = client
        .metric(
            "millpond_job_attempts_total",
            "error_class=\"rate_limited\"",
        )
        .await?;
    let logged =
        "SELECT count(DISTINCT platform) FROM marketing.api_calls WHERE class = 'rate_limited'";
    eventually("the log of calls has all refusals", || async {
        Ok((scene.count(logged).await? == 5).then_some(()))
    })
    .await?;
    let mut done = Vec::new();
    for it in &all {
        let refused = succeeded(&client, &it.refused).await?;
        done.push((it, refused, succeeded(&client, &it.later).await?));
    }

    for it in &all {
        let platform = it.platform;
        let why = format!("the budget {platform}: the provider asks for a pause");
        assert!(tells(&it.gate, &why), "{}", it.gate);
        assert!(it.gate["until"].is_string(), "{}", it.gate);
        let by_command = it.by_command.as_ref().map(|gate| &gate["detail"]);
        assert_eq!(by_command, Some(&it.gate["detail"]), "{platform}");
        assert_eq!(it.waiting["attempts_used"], 0, "{}", it.waiting);
    }
    assert!(counted >= 6.0, "{counted} refusals");
    for (it, refused, later) in &done {
        let told = outcomes(refused);
        assert_eq!(told[..it.refusals], vec!["rate_limited"; it.refusals]);
        for job in [refused, later] {
            assert!(!outcomes(job).contains(&"failed"), "{job}");
            assert_eq!(job["attempts_used"], 1, "{job}");
        }
    }
    Ok(())
}

// Fails when calls go on until the platform refuses them, when another account pays for it, or when nobody can see it.
#[tokio::test]
async fn an_account_that_has_used_its_quota_to_97_per_cent_is_left_alone_and_no_other_one()
-> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let (_program, client) = scene.serve().await?;
    let used_up = Grant::usual("meta", "first");
    let used_up = scene.connect(&client, &used_up, 0).await?;
    let other = Grant::usual("meta", "second");
    let other = scene.connect(&client, &other, 1).await?;
    scene.all_is_read().await?;
    let limits =
        json!({"platform": "meta", "account": scene.account("meta", 0)?, "usage_percent": 97});
    scene.control("limits", &limits).await?;

    // Its calls bring the news, maybe the last of them.
    sync(&client, &used_up, "incremental").await?;
    eventually("the platform's word is known", || async {
        let told = "SELECT count(*) FROM millpond.budgets WHERE used_share > 0.9";
        Ok((scene.count(told).await? == 1).then_some(()))
    })
    .await?;
    let stopped = sync(&client, &used_up, "full").await?;
    let gate = kept(&client, &stopped, "budget").await?;
    let by_command = scene.told_by_command(&stopped, "budget")?;
    let next = sync(&client, &other, "full").await?;
    let done = succeeded(&client, &next).await?;
    let left = eventually("the gauge tells what is left", || async {
        let left = client
            .metric("millpond_budget_remaining_ratio", "provider=\"meta\"")
            .await?;
        Ok((left > 0.0 && left < 0.05).then_some(left))
    })
    .await?;
    let budgets = client.get("/v1/budgets").await?.body;
    let waiting = job(&client, &stopped).await?;

    assert!(tells(&gate, "97 % are used"), "{gate}");
    assert!(gate["until"].is_string(), "{gate}");
    assert!(by_command.is_some_and(|gate| tells(&gate, "97 % are used")));
    assert_eq!(waiting["attempts_used"], 0, "{waiting}");
    assert!(!outcomes(&waiting).contains(&"rate_limited"), "{waiting}");
    assert_eq!(done["attempts_used"], 1, "{done}");
    assert!((left - 0.03).abs() < 0.005, "{left}");
    let mut budgets = budgets["items"].as_array().into_iter().flatten();
    let budget = budgets.find(|it| it["name"] == "meta" && it["account"] == *used_up);
    assert!(
        budget.is_some_and(|it| it["used_share"] == 0.97),
        "{budget:?}"
    );
    Ok(())
}
