//! Whoever leaves is gone: the grant is taken back at the platform where that can be done, secrets are wiped, and what waits is
//! cancelled; also where it is Meta that says so, if it is Meta.

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    grants::Grant,
    scene::{Scene, job, standing, sync},
    signed::Signed,
};
use crate::harness::Client;

const PERSON: &str = "218471";
const DEAUTHORIZE: &str = "/webhooks/meta/deauthorize";
const DELETION: &str = "/webhooks/meta/data-deletion";
const ANY_SECRET: &str = "SELECT count(*) FROM marketing.connections
                           WHERE num_nonnulls(access_token, refresh_token, token_secret) > 0";

async fn disconnect(client: &Client, account: &str) -> anyhow::Result<Value> {
    let path = format!("/v1/accounts/{account}?grant=true&reason=they%20left");
    let answer = client.send(client.request(Method::DELETE, &path)).await?;
    anyhow::ensure!(answer.status.is_success(), "{answer:?}");
    Ok(answer.body)
}

// Fails when a platform goes on honouring a grant that it would take back, when a secret stays, when work goes on, or when a
// platform that does not answer keeps anybody from leaving.
#[tokio::test]
async fn who_disconnects_is_gone_here_and_at_the_platform() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let (_program, client) = scene.serve_without_sync().await?;
    let mut all = Vec::new();
    for (grant, place, taken_back_at) in [
        (Grant::usual("meta", "first"), 0, Some("/me/permissions")),
        (Grant::usual("google_ads", "first"), 0, Some("/revoke")),
        (Grant::usual("linkedin", "first"), 0, None),
        (
            Grant::usual("tiktok", "first"),
            0,
            Some("/oauth2/revoke_token/"),
        ),
        // Signed with a token of OAuth 1.0a, which only its owner takes back; that of OAuth 2.0 is ours to end.
        (Grant::usual("x", "first"), 0, None),
        (Grant::renewable("x", "second"), 1, Some("/oauth2/revoke")),
    ] {
        let account = scene.connect(&client, &grant, place).await?;
        let waiting = sync(&client, &account, "incremental").await?;
        all.push((grant, account, waiting, taken_back_at));
    }
    let silent = Grant::usual("meta", "silent");
    let silent = scene.connect(&client, &silent, 1).await?;

    let mut ended = Vec::new();
    for (_, account, _, _) in &all {
        ended.push(disconnect(&client, account).await?);
    }
    let down = json!({"platform": "meta", "down": true});
    scene.control("limits", &down).await?;
    let in_an_outage = disconnect(&client, &silent).await?;
    let up = json!({"platform": "meta", "down": false});
    scene.control("limits", &up).await?;

    for ((grant, account, waiting, taken_back_at), told) in all.iter().zip(&ended) {
        let platform = grant.platform;
        assert_eq!(
            told["revoked"],
            taken_back_at.is_some(),
            "{platform}: {told}"
        );
        assert_eq!(told["grant_ended"], true, "{platform}: {told}");
        // What was asked for when it was connected waited too.
        assert_eq!(told["cancelled_jobs"], 2, "{platform}: {told}");
        let waiting = job(&client, waiting).await?;
        assert_eq!(waiting["state"], "cancelled", "{waiting}");
        let account = standing(&client, account).await?;
        assert_eq!(account["status"], "disconnected", "{account}");
        assert_eq!(account["history"][0]["reason"], "they left", "{account}");
        if let Some(path) = taken_back_at {
            assert!(scene.calls(platform, path).await? > 0, "{platform}");
        }
    }
    for platform in ["meta", "google_ads", "tiktok"] {
        let again = Grant::usual(platform, "first").body();
        let again = client.post("/v1/accounts", &again).await?;
        assert_eq!(again.status.as_u16(), 422, "{platform}: {again:?}");
    }
    assert_eq!(in_an_outage["grant_ended"], true, "{in_an_outage}");
    assert_eq!(in_an_outage["revoked"], false, "{in_an_outage}");
    assert!(in_an_outage["not_revoked"].is_string(), "{in_an_outage}");
    assert_eq!(scene.count(ANY_SECRET).await?, 0);
    Ok(())
}

/// Posts a form as Meta does, and gives the status with the answer.
async fn post(client: &Client, path: &str, form: String) -> anyhow::Result<(u16, Value)> {
    let request = client
        .bare(Method::POST, path)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form);
    let answer = client.send(request).await?;
    Ok((answer.status.as_u16(), answer.body))
}

/// Connects what a person of Meta's gave.
async fn connect_person(scene: &Scene, client: &Client, name: &str) -> anyhow::Result<String> {
    let grant = Grant::usual("meta", name);
    let mut body = grant.body();
    body["subject"] = json!(PERSON);
    body["external_ids"] = json!([scene.account("meta", 0)?]);
    scene.connect_as(client, &grant, &body).await
}

/// Forms that Meta never posted, or long ago.
async fn forged(scene: &Scene, by_meta: Signed<'_>) -> anyhow::Result<Vec<String>> {
    let by_others = Signed {
        secret: "guessed-secret-not-real",
        ..by_meta
    };
    let long_ago = Signed {
        ago_s: 7 * 86_400,
        ..by_meta
    };
    let about_another = Signed {
        user: "1",
        ..by_others
    };
    let good = by_meta.form(&scene.world).await?;
    let about_another = about_another.form(&scene.world).await?;
    // Signed, but about somebody else.
    let signature = good.split('.').next().unwrap_or_default();
    let payload = about_another.split('.').nth(1).unwrap_or_default();
    Ok(vec![
        by_others.form(&scene.world).await?,
        long_ago.form(&scene.world).await?,
        String::new(),
        "signed_request=".to_owned(),
        format!("{good}x"),
        format!("{signature}.{payload}"),
    ])
}

// Fails when Meta's callbacks are not served, when anybody else can make them, or an old one again, and when a person who wants
// to be forgotten is named anywhere afterwards.
#[tokio::test]
async fn meta_may_take_people_away_and_nobody_in_its_name() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let (_program, client) = scene.serve_without_sync().await?;
    let account = connect_person(&scene, &client, "first").await?;
    let by_meta = Signed {
        secret: scene.secret("meta"),
        user: PERSON,
        ago_s: 0,
    };
    let good = by_meta.form(&scene.world).await?;

    let mut refusals = Vec::new();
    for form in forged(&scene, by_meta).await? {
        for path in [DEAUTHORIZE, DELETION] {
            refusals.push((post(&client, path, form.clone()).await?.0, form.clone()));
        }
    }
    let untouched = standing(&client, &account).await?;
    let taken = post(&client, DEAUTHORIZE, good).await?;
    let gone = standing(&client, &account).await?;
    let secrets = scene.count(ANY_SECRET).await?;
    let again = connect_person(&scene, &client, "second").await?;
    let forgotten = post(&client, DELETION, by_meta.form(&scene.world).await?).await?;
    let code = forgotten.1["confirmation_code"]
        .as_str()
        .unwrap_or_default();
    let receipt = client
        .send(client.bare(Method::GET, &format!("{DELETION}/{code}")))
        .await?;
    let guessed = client
        .send(client.bare(Method::GET, &format!("{DELETION}/guessed")))
        .await?;

    for (status, form) in refusals {
        assert_eq!(status, 403, "{form}");
    }
    assert_eq!(untouched["status"], "active", "{untouched}");
    assert_eq!(taken.0, 204, "{taken:?}");
    assert_eq!(gone["status"], "disconnected", "{gone}");
    assert_eq!(gone["history"][0]["actor"], "Meta", "{gone}");
    assert_eq!(secrets, 0);
    assert_eq!(forgotten.0, 200, "{forgotten:?}");
    let url = forgotten.1["url"].as_str().unwrap_or_default();
    assert!(
        url.starts_with(client.base()) && url.ends_with(code),
        "{url}"
    );
    assert_eq!(receipt.status.as_u16(), 200, "{receipt:?}");
    assert!(receipt.body.to_string().contains("deleted"), "{receipt:?}");
    assert_eq!(guessed.status.as_u16(), 404, "{guessed:?}");
    let account = standing(&client, &again).await?;
    assert_eq!(account["status"], "disconnected", "{account}");
    let named = format!(
        "SELECT count(*) FROM marketing.connections AS c
          WHERE c::text LIKE '%{PERSON}%' OR owner_email IS NOT NULL"
    );
    assert_eq!(scene.count(&named).await?, 0);
    assert_eq!(scene.count(ANY_SECRET).await?, 0);
    Ok(())
}
