//! New tokens, each platform in its own way: those that are given once are spent once, whoever asks at the same time, and what
//! a platform does not give anew stays what it was.

use anyhow::Context;
use serde_json::{Value, json};

use super::{
    grants::{Grant, end_access, refresh_token},
    scene::{Scene, job_for, outcomes, standing, succeeded, sync},
};
use crate::harness::{Client, eventually};

/// How long the first of those who ask is kept waiting: the others have come by then.
const LATE_MS: u32 = 10_000;

/// Has new tokens got, and gives the job's result.
async fn renewed(client: &Client, account: &str) -> anyhow::Result<Value> {
    let job = job_for(client, "token.refresh", account).await?;
    Ok(succeeded(client, &job).await?["result"].clone())
}

/// Runs `millpond accounts refresh` to its end, and gives what it says.
async fn refreshed_by_command(scene: &Scene, account: &str) -> anyhow::Result<String> {
    let command = scene.millpond(&["accounts", "refresh", account])?;
    let output = tokio::process::Command::from(command).output().await?;
    let error = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{error}");
    Ok(String::from_utf8(output.stdout)?)
}

// Fails when two processes ask for the same tokens: the second answer of X's is that the refresh token is spent, which would
// cost the owner a visit.
#[tokio::test]
async fn a_refresh_token_that_is_good_once_is_spent_once_by_all_who_want_it() -> anyhow::Result<()>
{
    let scene = Scene::new().await?;
    let (_one, client) = scene.serve().await?;
    let (_two, other) = scene.serve().await?;
    let grant = Grant::renewable("x", "first");
    let first = scene.connect(&client, &grant, 0).await?;
    scene.all_is_read().await?;
    end_access(&scene, &grant).await?;
    let late = json!({
        "target": "x", "fault": {"kind": "hang", "wait_ms": LATE_MS}, "times": 1, "match": {"path": "/oauth2/token"},
    });
    scene.world.fault(&late).await?;

    let asking = job_for(&client, "token.refresh", &first).await?;
    eventually("the first of them asks", || async {
        Ok((scene.calls("x", "/oauth2/token").await? == 1).then_some(()))
    })
    .await?;
    let reading = [
        sync(&client, &first, "full").await?,
        sync(&other, &first, "incremental").await?,
    ];
    let said = tokio::try_join!(
        refreshed_by_command(&scene, &first),
        refreshed_by_command(&scene, &first)
    )?;
    let asked = succeeded(&client, &asking).await?;
    let mut read = Vec::new();
    for id in &reading {
        read.push(succeeded(&client, id).await?);
    }
    let asked_once = scene.calls("x", "/oauth2/token").await?;
    let again = renewed(&client, &first).await?;

    assert_eq!(asked["result"]["refreshed"], true, "{asked}");
    for said in [said.0, said.1] {
        assert!(said.contains("which another process got"), "{said}");
    }
    for job in &read {
        assert_eq!(outcomes(job), ["succeeded"], "{job}");
    }
    assert_eq!(asked_once, 1);
    // The next one is got with what came last time.
    assert_eq!(again["refreshed"], true, "{again}");
    assert_eq!(scene.calls("x", "/oauth2/token").await?, 2);
    let account = standing(&client, &first).await?;
    assert_eq!(account["status"], "active", "{account}");
    Ok(())
}

// Fails when a refresh token that came back is dropped and the old one used on.
#[tokio::test]
async fn a_refresh_token_that_comes_back_takes_the_place_of_the_old_one() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let (_program, client) = scene.serve_without_sync().await?;
    let grant = Grant::renewable("tiktok", "first");
    let account = scene.connect(&client, &grant, 0).await?;

    let first = renewed(&client, &account).await?;
    let old = grant.refresh.as_deref().context("it has one")?;
    let mut old = refresh_token(old);
    old["state"] = json!("revoked");
    let revoked = json!({"platform": "tiktok", "tokens": [old]});
    scene.control("tokens", &revoked).await?;
    let second = renewed(&client, &account).await?;

    for result in [first, second] {
        assert_eq!(result["refreshed"], true, "{result}");
        assert!(result["refresh_expires_at"].is_string(), "{result}");
    }
    Ok(())
}

// Fails when an answer without a refresh token takes the stored one away.
#[tokio::test]
async fn googles_refresh_token_is_kept_since_no_new_one_comes() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let (_program, client) = scene.serve_without_sync().await?;
    let grant = Grant::renewable("google_ads", "first");
    let account = scene.connect(&client, &grant, 0).await?;

    let results = [
        renewed(&client, &account).await?,
        renewed(&client, &account).await?,
    ];

    for result in results {
        assert_eq!(result["refreshed"], true, "{result}");
        assert!(result["refresh_expires_at"].is_null(), "{result}");
    }
    let soon = "SELECT count(*) FROM marketing.connections
                 WHERE refresh_token IS NOT NULL
                   AND expires_at BETWEEN now() + interval '50 minutes' AND now() + interval '1 hour'";
    assert_eq!(scene.count(soon).await?, 1);
    Ok(())
}

// Fails when LinkedIn's year seems to begin anew with each refresh: nobody would be warned before it ends.
#[tokio::test]
async fn linkedins_year_goes_on_from_the_first_consent_whenever_tokens_are_renewed()
-> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let (_program, client) = scene.serve_without_sync().await?;
    let grant = Grant::renewable("linkedin", "first");
    let account = scene.connect(&client, &grant, 0).await?;
    let refresh = grant.refresh.as_deref().context("it has one")?;
    let mut refresh = refresh_token(refresh);
    refresh["expires_in_s"] = json!(100 * 86_400);
    let tokens = json!({"platform": "linkedin", "tokens": [refresh]});
    scene.control("tokens", &tokens).await?;

    renewed(&client, &account).await?;
    renewed(&client, &account).await?;

    let kept = "SELECT count(*) FROM marketing.connections
                 WHERE refresh_expires_at BETWEEN now() + interval '99 days' AND now() + interval '100 days'
                   AND expires_at BETWEEN now() + interval '59 days' AND now() + interval '60 days'";
    assert_eq!(scene.count(kept).await?, 1);
    Ok(())
}

// Fails when a token of Meta is renewed after its end, which nobody but its owner can do, or not before it.
#[tokio::test]
async fn metas_token_is_exchanged_while_it_lives_and_never_after() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let (_program, client) = scene.serve_without_sync().await?;
    let grant = Grant::usual("meta", "first");
    let account = scene.connect(&client, &grant, 0).await?;
    let ends = json!({"token": grant.access, "expires_in_s": 3_600});
    let tokens = json!({"platform": "meta", "tokens": [ends]});
    scene.control("tokens", &tokens).await?;

    let alive = renewed(&client, &account).await?;
    scene.spend("meta", "expired").await?;
    let dead = job_for(&client, "token.refresh", &account).await?;
    let held = eventually("the account needs its owner", || async {
        let account = standing(&client, &account).await?;
        Ok((account["status"] == "needs_reauth").then_some(account))
    })
    .await?;
    let waiting = client.in_state(&dead, "ready").await?;

    assert_eq!(alive["refreshed"], true, "{alive}");
    assert!(alive["expires_at"].is_string(), "{alive}");
    assert_eq!(waiting["attempts_used"], 0, "{waiting}");
    assert_eq!(held["history"][0]["became"], "needs_reauth", "{held}");
    Ok(())
}
