//! A wrong secret of ours is nobody's spent grant: the platform is left alone, whoever runs us is told, and no customer ever.

use serde_json::Value;

use super::{
    grants::{Grant, end_access},
    scene::{Scene, job, job_for, kept, standing, succeeded, sync, tells, tick, wrong_secrets},
};
use crate::harness::{Client, eventually};

const WRONG: &str = "mistyped-secret-not-real";

/// Accounts of all platforms, and for each a job that comes upon our secret.
struct Connected {
    /// Platform, account, kind of job.
    jobs: Vec<(&'static str, String, &'static str)>,
    /// Others of the same platforms, whose jobs do not get that far.
    others: Vec<String>,
}

async fn connected(scene: &Scene, client: &Client) -> anyhow::Result<Connected> {
    // Every call to Meta carries a proof of it, and every one to X is signed with it.
    let meta = Grant::usual("meta", "first");
    let x = Grant::usual("x", "first");
    // These two want it for new tokens alone, and TikTok for what a token is worth.
    let google = Grant::renewable("google_ads", "first");
    let linkedin = Grant::renewable("linkedin", "first");
    let tiktok = Grant::usual("tiktok", "first");
    let sync = "sync.account";
    let mut jobs = Vec::new();
    for (grant, kind) in [
        (&meta, sync),
        (&x, sync),
        (&google, sync),
        (&linkedin, sync),
        (&tiktok, "token.validate"),
    ] {
        let account = scene.connect(client, grant, 0).await?;
        jobs.push((grant.platform, account, kind));
    }
    let mut others = Vec::new();
    for other in [Grant::usual("meta", "second"), Grant::usual("x", "second")] {
        others.push(scene.connect(client, &other, 1).await?);
    }
    scene.all_is_read().await?;
    for grant in [&google, &linkedin] {
        end_access(scene, grant).await?;
    }
    Ok(Connected { jobs, others })
}

/// What all processes have logged as errors of this platform.
fn errors(scene: &Scene, platform: &str) -> anyhow::Result<Vec<String>> {
    let mut errors = Vec::new();
    for entry in std::fs::read_dir(&scene.world.folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("serve-") {
            let log = std::fs::read_to_string(&path)?;
            let named = format!("provider.name=\"{platform}\"");
            let of_platform = |line: &&str| line.contains("ERROR") && line.contains(&named);
            errors.extend(log.lines().filter(of_platform).map(str::to_owned));
        }
    }
    Ok(errors)
}

/// How each of these accounts stands.
async fn standings(client: &Client, connected: &Connected) -> anyhow::Result<Vec<Value>> {
    let mut standings = Vec::new();
    for (_, account, _) in &connected.jobs {
        standings.push(standing(client, account).await?);
    }
    Ok(standings)
}

/// Enqueues a job of each account, and waits until the platform's budget keeps it.
async fn refused(
    client: &Client,
    connected: &Connected,
) -> anyhow::Result<Vec<(&'static str, String, Value)>> {
    let mut refused = Vec::new();
    for (platform, account, kind) in &connected.jobs {
        let id = match *kind {
            "sync.account" => sync(client, account, "incremental").await?,
            kind => job_for(client, kind, account).await?,
        };
        let gate = kept(client, &id, "budget").await?;
        refused.push((*platform, id, gate));
    }
    Ok(refused)
}

// Fails when our own mistake makes a customer's grant look spent, on whatever platform; when a customer hears of it and the
// operator does not; when it costs attempts; and when jobs do not go on by themselves once the secret is put right.
#[tokio::test]
async fn a_wrong_secret_of_ours_stops_the_platform_and_is_told_to_the_operator_alone()
-> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let (right, client) = scene.serve().await?;
    let connected = connected(&scene, &client).await?;
    drop(right);
    let (wrong, client) = scene.serve_with(&wrong_secrets(WRONG)).await?;

    let refused = refused(&client, &connected).await?;
    let mut others = Vec::new();
    for account in &connected.others {
        let id = sync(&client, account, "incremental").await?;
        others.push((kept(&client, &id, "budget").await?, id));
    }
    let by_command = scene.told_by_command(&refused[0].1, "budget")?;
    for schedule in ["token-expire", "token-check"] {
        tick(&client, schedule).await?;
    }
    let mails = scene.all_mails().await?;
    let budgets = client.get("/v1/budgets").await?.body;
    let mut waiting = Vec::new();
    for (_, id, _) in &refused {
        waiting.push(job(&client, id).await?);
    }
    let standings = standings(&client, &connected).await?;
    eventually("the gauge tells of the pause", || async {
        let paused = "millpond_budget_paused_until_timestamp_seconds";
        let until = client.metric(paused, "provider=\"x\"").await?;
        Ok((until > 0.0).then_some(()))
    })
    .await?;
    let counted = client
        .metric("millpond_job_attempts_total", "error_class=\"config\"")
        .await?;
    drop(wrong);
    let (_right, client) = scene.serve().await?;
    let ids = refused.iter().map(|(_, id, _)| id);
    let ids = ids.chain(others.iter().map(|(_, id)| id));
    let mut done = Vec::new();
    for id in ids {
        done.push(succeeded(&client, id).await?);
    }

    let why = "the provider refuses our own set-up";
    for (platform, _, gate) in &refused {
        assert!(tells(gate, why), "{platform}: {gate}");
        let told = errors(&scene, platform)?;
        let is_told = told.iter().any(|line| line.contains(why));
        assert!(is_told, "{platform}: {told:?}");
        let mut items = budgets["items"].as_array().into_iter().flatten();
        let whole = items.find(|it| it["name"] == *platform && it["account"].is_null());
        assert!(
            whole.is_some_and(|it| it["pause_reason"] == why),
            "{platform}: {budgets}"
        );
    }
    for (gate, _) in &others {
        assert!(tells(gate, why), "{gate}");
    }
    assert!(by_command.is_some_and(|gate| tells(&gate, why)));
    assert!(counted >= 5.0, "{counted}");
    for job in &waiting {
        assert_eq!(job["attempts_used"], 0, "{job}");
    }
    for account in &standings {
        assert_eq!(account["status"], "active", "{account}");
        let history = account["history"].as_array().map(Vec::len);
        assert_eq!(history, Some(1), "{account}");
    }
    assert!(mails.is_empty(), "{mails:?}");
    for job in &done {
        assert_eq!(job["attempts_used"], 1, "{job}");
    }
    Ok(())
}
