//! Connecting by a browser, at the pages of all five platforms: what is asked for, who is taken back, and that nobody comes back
//! in another one's place.

use std::collections::BTreeMap;

use anyhow::Context;
use reqwest::{Method, StatusCode, Url, redirect::Policy};
use serde_json::{Value, json};

use super::scene::{OWNER, PLATFORMS, RETURN_TO, Scene};
use crate::harness::Client;

/// A browser that goes where it is sent, a step at a time.
pub(super) struct Browser<'a> {
    http: reqwest::Client,
    client: &'a Client,
}

/// What a page answered.
#[derive(Debug)]
pub(super) struct Seen {
    status: StatusCode,
    sent_to: Option<Url>,
    body: String,
}

impl Seen {
    /// The values of the query of the address that the browser is sent to.
    pub(super) fn query(&self) -> BTreeMap<String, String> {
        let pairs = self.sent_to.iter().flat_map(Url::query_pairs);
        pairs
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect()
    }

    /// Where the browser is sent, which it must be.
    fn next(&self) -> anyhow::Result<Url> {
        self.sent_to
            .clone()
            .with_context(|| format!("it is sent on: {self:?}"))
    }
}

impl<'a> Browser<'a> {
    pub(super) fn new(client: &'a Client) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .build()?;
        Ok(Self { http, client })
    }

    pub(super) async fn open(&self, url: Url) -> anyhow::Result<Seen> {
        self.seen(self.http.get(url).build()?).await
    }

    async fn seen(&self, request: reqwest::Request) -> anyhow::Result<Seen> {
        let answer = self.http.execute(request).await?;
        let sent_to = answer.headers().get("location").cloned();
        let sent_to = sent_to.map(|to| anyhow::Ok(Url::parse(to.to_str()?)?));
        Ok(Seen {
            status: answer.status(),
            sent_to: sent_to.transpose()?,
            body: answer.text().await?,
        })
    }

    /// Asks to be sent to a platform's page.
    async fn start(&self, platform: &str, return_to: &str) -> anyhow::Result<Seen> {
        let path = format!(
            "/v1/oauth/{platform}/start?tenant=acme&owner_email={OWNER}&return_to={return_to}"
        );
        self.seen(self.client.request(Method::GET, &path).build()?)
            .await
    }

    /// Goes to a platform's page and gives access there; gives where the person is sent back to.
    pub(super) async fn given(&self, platform: &str) -> anyhow::Result<Url> {
        let started = self.start(platform, RETURN_TO).await?;
        let page = self.open(started.next()?).await?;
        page.next()
    }
}

/// An address with another value of a parameter.
fn with(url: &Url, name: &str, value: &str) -> Url {
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let mut changed = url.clone();
    let mut query = changed.query_pairs_mut();
    query.clear();
    for (known, old) in &pairs {
        query.append_pair(known, if known == name { value } else { old });
    }
    drop(query);
    changed
}

fn parameter(url: &Url, name: &str) -> String {
    let mut pairs = url.query_pairs();
    let found = pairs.find(|(known, _)| known == name);
    found
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

// Fails when a platform's page is asked in a way that it refuses, when its code is not taken for tokens, when what was given is
// not connected for whoever asked, or when an address comes back that is not registered.
#[tokio::test]
async fn a_person_connects_by_a_browser_at_every_platform() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let (_program, client) = scene.serve_without_sync().await?;
    let browser = Browser::new(&client)?;

    let mut all = Vec::new();
    for platform in PLATFORMS {
        let started = browser.start(platform, RETURN_TO).await?;
        let page = browser.open(started.next()?).await?;
        let back = browser.open(page.next()?).await?;
        let connection = back.query()["connection"].clone();
        let path = format!("/v1/accounts?connection={connection}&limit=500");
        let accounts = client.get(&path).await?.body["items"].clone();
        all.push((platform, started, page, back, accounts));
    }

    for (platform, started, page, back, accounts) in &all {
        let callback = format!("{}/v1/oauth/{platform}/callback", client.base());
        let told: Value = serde_json::from_str(&started.body)?;
        assert_eq!(started.status.as_u16(), 303, "{started:?}");
        assert_eq!(told["url"].as_str(), Some(started.next()?.as_str()));
        let mut arrived = page.next()?;
        arrived.set_query(None);
        assert_eq!(arrived.as_str(), callback, "{page:?}");
        assert_eq!(back.status.as_u16(), 303, "{back:?}");
        let place = back.next()?;
        assert!(place.as_str().starts_with(RETURN_TO), "{place}");
        let accounts = accounts.as_array().context("a list")?;
        assert!(!accounts.is_empty(), "{platform}");
        let count = back.query()["connected"].clone();
        assert_eq!(count, accounts.len().to_string(), "{platform}");
        for account in accounts {
            let whose = (
                &account["platform"],
                &account["tenant"],
                &account["owner_email"],
            );
            assert_eq!(whose, (&json!(platform), &json!("acme"), &json!(OWNER)));
        }
        let token = &accounts[0]["token"];
        let is_of_meta = *platform == "meta";
        assert_eq!(
            token["data_access_expires_at"].is_string(),
            is_of_meta,
            "{token}"
        );
    }
    let google = all.iter().find(|(platform, ..)| *platform == "google_ads");
    let asked = google.context("it is among them")?.1.query();
    assert_eq!(asked["code_challenge_method"], "S256");
    assert_eq!(asked["code_challenge"].len(), 43);
    assert_eq!(asked["access_type"], "offline");
    assert!(asked["state"].len() >= 43);
    Ok(())
}

// Fails when a state is good twice, for another platform, after its time, or for what somebody made up.
#[tokio::test]
async fn who_comes_back_with_a_state_that_is_not_his_own_is_sent_nowhere() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let (_program, client) = scene.serve_without_sync().await?;
    let browser = Browser::new(&client)?;

    let mut refused = Vec::new();
    for platform in PLATFORMS {
        let used = browser.given(platform).await?;
        let first = browser.open(used.clone()).await?;
        anyhow::ensure!(first.query().contains_key("connected"), "{first:?}");
        refused.push(("used", browser.open(used).await?));
    }
    let mine = browser.given("google_ads").await?;
    let mut elsewhere = mine.clone();
    elsewhere.set_path("/v1/oauth/linkedin/callback");
    refused.push(("of another platform", browser.open(elsewhere).await?));
    let made_up = with(
        &mine,
        "state",
        "bWFkZS11cC1ub3QtcmVhbC1tYWRlLXVwLW5vdC1yZWFsLW0",
    );
    refused.push(("made up", browser.open(made_up).await?));
    refused.push(("empty", browser.open(with(&mine, "state", "")).await?));
    let late = browser.given("linkedin").await?;
    scene
        .change("UPDATE marketing.oauth_states SET expires_at = now() WHERE platform = 'linkedin'")
        .await?;
    refused.push(("late", browser.open(late).await?));
    let still_good = browser.open(mine).await?;

    for (what, seen) in &refused {
        assert_eq!(seen.status.as_u16(), 400, "{what}: {seen:?}");
        assert!(seen.sent_to.is_none(), "{what}: {seen:?}");
    }
    assert!(
        still_good.query().contains_key("connected"),
        "{still_good:?}"
    );
    Ok(())
}

// Fails when a code that somebody else has got can be slipped in, when a no is taken for a yes, and when people are sent to an
// address that nobody allowed.
#[tokio::test]
async fn a_code_is_good_for_the_browser_alone_that_asked_for_it() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let (_program, client) = scene.serve_without_sync().await?;
    let browser = Browser::new(&client)?;

    // Whoever slips in a code of his own has no verifier that fits.
    let thief = browser.given("google_ads").await?;
    let victim = browser.given("google_ads").await?;
    let slipped_in = with(&victim, "code", &parameter(&thief, "code"));
    let slipped_in = browser.open(slipped_in).await?;
    let mut denials = Vec::new();
    for platform in PLATFORMS {
        let deny = json!({"platform": platform, "deny": true});
        scene.control("consent", &deny).await?;
        let denied = browser.given(platform).await?;
        denials.push((platform, browser.open(denied).await?));
    }
    let abroad = browser
        .start("google_ads", "https://evil.example/settings")
        .await?;
    let connections = scene
        .count("SELECT count(*) FROM marketing.connections")
        .await?;

    assert_eq!(slipped_in.query()["error"], "refused", "{slipped_in:?}");
    for (platform, seen) in &denials {
        assert_eq!(
            seen.query()["error"],
            "access_denied",
            "{platform}: {seen:?}"
        );
        assert!(seen.next()?.as_str().starts_with(RETURN_TO), "{seen:?}");
    }
    assert_eq!(abroad.status.as_u16(), 400, "{abroad:?}");
    assert_eq!(connections, 0);
    Ok(())
}
