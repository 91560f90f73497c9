//! Grants that end: what can be had anew without its owner is, and nobody notices; what cannot holds its jobs until its
//! owner gives it again.

use serde_json::{Value, json};

use super::scene::{
    OWNER, PLATFORMS, Scene, job, kept, outcomes, standing, subjects, succeeded, sync, tells, tick,
};
use crate::harness::{Client, eventually};

/// What a person gave us at a platform.
#[derive(Clone)]
pub(super) struct Grant {
    pub(super) platform: &'static str,
    pub(super) access: String,
    pub(super) refresh: Option<String>,
    /// The second half of a token of OAuth 1.0a.
    pub(super) secret: Option<String>,
}

impl Grant {
    /// What most people give: Google's comes with a refresh token, X's is signed with.
    pub(super) fn usual(platform: &'static str, name: &str) -> Self {
        let text = |what: &str| format!("{name}-{platform}-{what}-not-real");
        Self {
            platform,
            access: text("access"),
            refresh: (platform == "google_ads").then(|| text("refresh")),
            secret: (platform == "x").then(|| text("secret")),
        }
    }

    /// One that comes with a refresh token.
    pub(super) fn renewable(platform: &'static str, name: &str) -> Self {
        Self {
            refresh: Some(format!("{name}-{platform}-refresh-not-real")),
            secret: None,
            ..Self::usual(platform, name)
        }
    }

    /// What the stand-in is told of it.
    pub(super) fn known(&self) -> Value {
        let access = json!({"token": self.access, "secret": self.secret});
        let refresh = self.refresh.iter().map(|token| refresh_token(token));
        let tokens: Vec<Value> = [access].into_iter().chain(refresh).collect();
        json!({"platform": self.platform, "tokens": tokens})
    }

    /// What connects it.
    pub(super) fn body(&self) -> Value {
        json!({
            "platform": self.platform, "access_token": self.access, "tenant": "acme", "owner_email": OWNER,
            "refresh_token": self.refresh, "token_secret": self.secret,
        })
    }
}

/// What the stand-in is told of a refresh token.
pub(super) fn refresh_token(token: &str) -> Value {
    json!({"token": token, "role": "refresh"})
}

/// Ends the access token of a grant at its platform; its refresh token lives on.
pub(super) async fn end_access(scene: &Scene, grant: &Grant) -> anyhow::Result<()> {
    let refresh = grant.refresh.iter().map(|token| refresh_token(token));
    let ended = json!({
        "platform": grant.platform, "every": "expired", "tokens": refresh.collect::<Vec<_>>(),
    });
    scene.control("tokens", &ended).await
}

// Fails when an access token that has ended costs a job an attempt, an account its standing or an owner a visit, although its
// refresh token lives.
#[tokio::test]
async fn an_access_token_that_has_ended_is_replaced_in_the_middle_of_an_attempt()
-> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let (_program, client) = scene.serve().await?;
    let mut accounts = Vec::new();
    for platform in ["google_ads", "linkedin", "tiktok", "x"] {
        let grant = Grant::renewable(platform, "first");
        let account = scene.connect(&client, &grant, 0).await?;
        accounts.push((grant, account));
    }
    scene.all_is_read().await?;

    let mut done = Vec::new();
    for (grant, account) in &accounts {
        end_access(&scene, grant).await?;
        let job = sync(&client, account, "full").await?;
        let job = succeeded(&client, &job).await?;
        done.push((job, standing(&client, account).await?));
    }
    tick(&client, "token-expire").await?;
    let mails = scene.all_mails().await?;

    for (job, account) in &done {
        assert_eq!(outcomes(job), ["succeeded"], "{job}");
        assert_eq!(account["status"], "active", "{account}");
        let history = account["history"].as_array().map(Vec::len);
        assert_eq!(history, Some(1), "{account}");
    }
    let renewed = "SELECT count(*) FROM marketing.connections WHERE token_version > 1";
    assert_eq!(scene.count(renewed).await?, 4);
    assert!(mails.is_empty(), "{mails:?}");
    Ok(())
}

/// An account whose grant is spent, a job of it, and what is told of it.
struct Spent {
    platform: &'static str,
    account: String,
    job: String,
    gate: Value,
    by_command: Option<Value>,
    waiting: Value,
    standing: Value,
}

async fn spent(
    scene: &Scene,
    client: &Client,
    (platform, account): (&'static str, &str),
) -> anyhow::Result<Spent> {
    // An end that nobody but the owner can put off, and an end by somebody's hand.
    let state = match platform {
        "meta" | "linkedin" => "expired",
        _ => "revoked",
    };
    scene.spend(platform, state).await?;
    let id = sync(client, account, "incremental").await?;
    let gate = kept(client, &id, "account_held").await?;
    Ok(Spent {
        platform,
        account: account.to_owned(),
        by_command: scene.told_by_command(&id, "account_held")?,
        waiting: job(client, &id).await?,
        standing: standing(client, account).await?,
        job: id,
        gate,
    })
}

// Fails when a grant that is spent for good burns attempts or kills jobs, when nobody is told why they wait, when its owner
// hears of it never or every hour, and when jobs do not go on by themselves once it is given again.
#[tokio::test]
async fn a_grant_that_is_spent_holds_its_jobs_until_its_owner_gives_it_again() -> anyhow::Result<()>
{
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
        all.push(spent(&scene, &client, (*platform, account.as_str())).await?);
    }
    eventually("the gauge counts all of them", || async {
        let held = client
            .metric("millpond_accounts", "status=\"needs_reauth\"")
            .await?;
        Ok((held > 4.5).then_some(()))
    })
    .await?;
    tick(&client, "token-expire").await?;
    tick(&client, "token-expire").await?;
    let mails = scene.all_mails().await?;
    let mut done = Vec::new();
    for it in &all {
        scene
            .connect(&client, &Grant::usual(it.platform, "second"), 0)
            .await?;
        let job = succeeded(&client, &it.job).await?;
        done.push((job, standing(&client, &it.account).await?));
    }

    for it in &all {
        assert!(tells(&it.gate, "connected again"), "{}", it.gate);
        let by_command = it.by_command.as_ref().map(|gate| &gate["detail"]);
        assert_eq!(by_command, Some(&it.gate["detail"]), "{}", it.platform);
        let waiting = (&it.waiting["state"], &it.waiting["attempts_used"]);
        assert_eq!(waiting, (&json!("ready"), &json!(0)), "{}", it.waiting);
        assert_eq!(it.standing["status"], "needs_reauth", "{}", it.standing);
        let change = &it.standing["history"][0];
        assert_eq!(change["became"], "needs_reauth", "{change}");
        let has_reason = change["reason"].as_str().is_some_and(|why| !why.is_empty());
        assert!(has_reason, "{change}");
    }
    let mut told = subjects(&mails);
    told.sort_unstable();
    let expected = ["Google Ads", "LinkedIn", "Meta", "TikTok", "X"]
        .map(|name| format!("Your connection to {name} must be renewed"));
    assert_eq!(told, expected);
    for (job, account) in &done {
        assert_eq!(job["attempts_used"], 1, "{job}");
        assert_eq!(account["status"], "active", "{account}");
        assert_eq!(account["history"][0]["reason"], "connected", "{account}");
    }
    Ok(())
}
