//! What `token.check`, `token.expire` and `token.validate` make of grants: each owner hears of an end once, and of nothing that
//! is renewed without him, unless he wants to hear nothing.

use serde_json::{Value, json};

use super::{
    grants::Grant,
    scene::{PLATFORMS, Scene, job_for, kept, standing, subjects, succeeded, sync, tells, tick},
};
use crate::harness::{Client, eventually};

const DAY_S: i64 = 86_400;
/// How long after a person's consent Meta's data may be read.
const DATA_ACCESS_DAYS: i64 = 90;

/// Makes a grant known whose access token ends in so many days, and connects it.
async fn ending(
    scene: &Scene,
    client: &Client,
    (grant, place, days): (&Grant, usize, i64),
) -> anyhow::Result<String> {
    let token = json!({"token": grant.access, "expires_in_s": days * DAY_S});
    let tokens = json!({"platform": grant.platform, "tokens": [token]});
    let mut body = grant.body();
    body["external_ids"] = json!([scene.account(grant.platform, place)?]);
    scene.control("tokens", &tokens).await?;
    let answer = client.post("/v1/accounts", &body).await?;
    anyhow::ensure!(answer.status.as_u16() == 201, "{answer:?}");
    let id = answer.body["accounts"][0]["id"].as_str();
    Ok(id.unwrap_or_default().to_owned())
}

/// A person's grant at Meta that has no end itself, but whose data may be read for so many days more.
async fn data_ending(scene: &Scene, client: &Client, days: i64) -> anyhow::Result<String> {
    let grant = Grant::usual("meta", "person");
    let back = (DATA_ACCESS_DAYS - days) * DAY_S;
    let scopes = ["ads_read", "ads_management", "business_management"];
    let tokens = json!({"platform": "meta", "tokens": [{"token": grant.access, "scopes": scopes}]});
    scene.control("clock", &json!({"advance_s": -back})).await?;
    scene.control("tokens", &tokens).await?;
    scene.control("clock", &json!({"advance_s": back})).await?;
    let mut body = grant.body();
    body["external_ids"] = json!([scene.account("meta", 0)?]);
    let answer = client.post("/v1/accounts", &body).await?;
    anyhow::ensure!(answer.status.as_u16() == 201, "{answer:?}");
    let id = answer.body["accounts"][0]["id"].as_str();
    Ok(id.unwrap_or_default().to_owned())
}

/// Has an owner hear of no end any more.
async fn silence(client: &Client, account: &str) -> anyhow::Result<()> {
    let change = json!({"notifications": {"token_expiry": false}});
    let path = format!("/v1/accounts/{account}");
    let request = client.request(reqwest::Method::PATCH, &path).json(&change);
    let answer = client.send(request).await?;
    anyhow::ensure!(answer.status.is_success(), "{answer:?}");
    Ok(())
}

// Fails when an owner is warned every day, of an end that he cannot put off, against his wish, or not of the next end; and when
// only one of Meta's two clocks is looked at.
#[tokio::test]
async fn an_owner_is_warned_a_week_ahead_once_and_of_the_next_end_again() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let (_program, client) = scene.serve_without_sync().await?;
    let first = Grant::usual("linkedin", "first");
    let warned = ending(&scene, &client, (&first, 0, 5)).await?;
    let unwanted = Grant::usual("linkedin", "unwanted");
    let unwanted = ending(&scene, &client, (&unwanted, 1, 5)).await?;
    silence(&client, &unwanted).await?;
    let far = Grant::usual("tiktok", "far");
    let far = scene.connect(&client, &far, 0).await?;
    let renewed = Grant::usual("meta", "renewed");
    let renewed = ending(&scene, &client, (&renewed, 1, 5)).await?;
    let data = data_ending(&scene, &client, 5).await?;

    let one = tick(&client, "token-check").await?;
    let two = tick(&client, "token-check").await?;
    let mails = scene.all_mails().await?;
    let later = Grant::usual("linkedin", "later");
    ending(&scene, &client, (&later, 0, 4)).await?;
    let three = tick(&client, "token-check").await?;
    let all = scene.all_mails().await?;
    let is_renewed =
        "SELECT count(*) FROM marketing.connections WHERE expires_at > now() + interval '50 days'";
    eventually("the token of Meta is renewed", || async {
        Ok((scene.count(is_renewed).await? == 1).then_some(()))
    })
    .await?;

    let told = |tick: &Value| {
        (
            tick["result"]["expiring"].clone(),
            tick["result"]["told"].clone(),
        )
    };
    assert_eq!(told(&one), (json!(3), json!(2)));
    assert_eq!(told(&two), (json!(3), json!(0)));
    assert_eq!(told(&three), (json!(3), json!(1)));
    let of = |mails: &[String], begin: &str| {
        let subjects = subjects(mails);
        subjects.iter().filter(|it| it.starts_with(begin)).count()
    };
    let (linkedin, meta) = (
        "Your connection to LinkedIn ends on ",
        "Your connection to Meta ends on ",
    );
    assert_eq!((mails.len(), all.len()), (2, 3));
    assert_eq!((of(&mails, linkedin), of(&mails, meta)), (1, 1));
    assert_eq!(of(&all, linkedin), 2);
    for (account, status) in [
        (&warned, "expiring"),
        (&unwanted, "expiring"),
        (&data, "expiring"),
        (&renewed, "active"),
        (&far, "active"),
    ] {
        let account = standing(&client, account).await?;
        assert_eq!(account["status"], status, "{account}");
    }
    Ok(())
}

// Fails when what has ended goes on burning attempts, when its owner hears of it every hour or against his wish, and when an
// end is taken for one that a refresh token puts off.
#[tokio::test]
async fn what_has_ended_holds_its_jobs_and_its_owner_hears_of_it_once() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let (_program, client) = scene.serve().await?;
    let over = |grant: &Grant, id: &str| {
        let mut body = grant.body();
        body["external_ids"] = json!([id]);
        body["expires_at"] = json!("2026-01-01T00:00:00Z");
        body
    };
    let told = Grant::usual("linkedin", "told");
    let body = over(&told, scene.account("linkedin", 0)?);
    let told = scene.connect_as(&client, &told, &body).await?;
    let silent = Grant::usual("linkedin", "silent");
    let body = over(&silent, scene.account("linkedin", 1)?);
    let silent = scene.connect_as(&client, &silent, &body).await?;
    silence(&client, &silent).await?;
    let renewable = Grant::renewable("google_ads", "renewable");
    let body = over(&renewable, scene.account("google_ads", 0)?);
    let renewable = scene.connect_as(&client, &renewable, &body).await?;
    scene.all_is_read().await?;
    // It was renewed when it was used.
    let again = "UPDATE marketing.connections SET expires_at = now() - interval '1 hour' WHERE platform = 'google_ads'";
    scene.change(again).await?;

    let one = tick(&client, "token-expire").await?;
    let two = tick(&client, "token-expire").await?;
    let mails = scene.all_mails().await?;
    let job = sync(&client, &told, "full").await?;
    let gate = kept(&client, &job, "account_held").await?;

    assert_eq!(one["result"], json!({"ended": 2, "told": 1}));
    assert_eq!(two["result"], json!({"ended": 0, "told": 0}));
    assert_eq!(
        subjects(&mails),
        ["Your connection to LinkedIn must be renewed"]
    );
    assert!(tells(&gate, "its token ended on 2026-01-01"), "{gate}");
    for (account, status) in [
        (&told, "needs_reauth"),
        (&silent, "needs_reauth"),
        (&renewable, "active"),
    ] {
        let account = standing(&client, account).await?;
        assert_eq!(account["status"], status, "{account}");
    }
    Ok(())
}

// Fails when a platform's word on a grant is not understood, or when a grant that does not work any more goes on being used.
#[tokio::test]
async fn every_platform_is_asked_whether_a_grant_works_still() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let (_program, client) = scene.serve_without_sync().await?;
    let mut accounts = Vec::new();
    for platform in PLATFORMS {
        let grant = Grant::usual(platform, "first");
        accounts.push((platform, scene.connect(&client, &grant, 0).await?));
    }

    let mut words = Vec::new();
    for (platform, account) in &accounts {
        let good = job_for(&client, "token.validate", account).await?;
        let good = succeeded(&client, &good).await?;
        scene.spend(platform, "revoked").await?;
        let spent = job_for(&client, "token.validate", account).await?;
        let spent = succeeded(&client, &spent).await?;
        words.push((good, spent, standing(&client, account).await?));
    }

    for (good, spent, account) in &words {
        assert_eq!(good["result"]["valid"], true, "{good}");
        assert_eq!(spent["result"]["valid"], false, "{spent}");
        let reason = spent["result"]["reason"].as_str();
        assert!(reason.is_some_and(|reason| !reason.is_empty()), "{spent}");
        assert_eq!(account["status"], "needs_reauth", "{account}");
    }
    Ok(())
}

// Fails when a grant that a platform called spent by mistake, or for a while, waits for its owner although it works.
#[tokio::test]
async fn a_grant_of_metas_that_works_after_all_goes_on_within_a_day_by_itself() -> anyhow::Result<()>
{
    let scene = Scene::new().await?;
    let (_program, client) = scene.serve().await?;
    let grant = Grant::usual("meta", "first");
    let account = scene.connect(&client, &grant, 0).await?;
    scene.all_is_read().await?;
    scene.spend("meta", "revoked").await?;
    let asked = job_for(&client, "token.validate", &account).await?;
    succeeded(&client, &asked).await?;
    let waiting = sync(&client, &account, "incremental").await?;
    kept(&client, &waiting, "account_held").await?;

    let spent = tick(&client, "token-check").await?;
    scene.control("tokens", &grant.known()).await?;
    let works = tick(&client, "token-check").await?;
    let done = succeeded(&client, &waiting).await?;
    let account = standing(&client, &account).await?;

    assert_eq!(spent["result"]["valid_after_all"], 0, "{spent}");
    assert_eq!(works["result"]["valid_after_all"], 1, "{works}");
    assert_eq!(done["attempts_used"], 1, "{done}");
    assert_eq!(account["status"], "active", "{account}");
    let why = &account["history"][0]["reason"];
    assert_eq!(why, "the platform says that it is valid", "{account}");
    Ok(())
}
