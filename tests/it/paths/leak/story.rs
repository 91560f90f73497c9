//! What happens to grants in the life of an installation, and what can go wrong with each of them, wherever a platform may put
//! a secret of theirs or of ours into its words.

use anyhow::Context;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    super::{
        browser::Browser,
        grants::Grant,
        scene::{OWNER, PLATFORMS, Scene, job, job_for, kept, standing, succeeded, sync, tick},
    },
    CORE, KEYS, faults,
    forms::Forms,
    gathered::Gathered,
};
use crate::harness::{Client, eventually};

/// Has the database believe that a day has gone by since grants were looked at.
const A_DAY_LATER: &str =
    "UPDATE marketing.connections SET discovered_at = now() - interval '1 day'";
/// What a browser brings along that opens something.
const CARRIED: [&str; 5] = [
    "code",
    "auth_code",
    "state",
    "oauth_token",
    "oauth_verifier",
];
/// The account of each platform by which the second half of the story is told.
pub(super) const OTHER: usize = 1;

/// A grant and the account that is connected by it.
pub(super) struct Held {
    grant: Grant,
    pub(super) account: String,
}

pub(super) struct Story<'a> {
    pub(super) scene: &'a Scene,
    pub(super) client: &'a Client,
    pub(super) seen: Gathered<'a>,
    pub(super) forms: Forms,
    /// Jobs that were refused in words with secrets in them.
    pub(super) jobs: Vec<String>,
}

/// What a person gives: each token has characters that addresses encode.
fn given(platform: &'static str, name: &str, is_renewable: bool) -> Grant {
    let usual = Grant::usual(platform, name);
    let renewable = Grant::renewable(platform, name);
    let text = |what: &str| format!("{CORE}/{name}+{platform}+{what}");
    let grant = if is_renewable && platform != "meta" {
        renewable
    } else {
        usual
    };
    Grant {
        platform,
        access: text("access"),
        refresh: grant.refresh.map(|_| text("refresh")),
        secret: grant.secret.map(|_| text("secret")),
    }
}

impl Story<'_> {
    /// Somebody connects at every platform's pages. What browsers carry is good for a moment, and is seen nowhere either.
    pub(super) async fn people_come(&mut self) -> anyhow::Result<()> {
        let browser = Browser::new(self.client)?;
        for platform in PLATFORMS {
            let back = browser.given(platform).await?;
            for (name, value) in back.query_pairs() {
                if CARRIED.contains(&&*name) {
                    let what = format!("{platform}'s {name}");
                    self.forms.forbid(&what, value.as_bytes());
                }
            }
            let done = browser.open(back).await?;
            anyhow::ensure!(done.query().contains_key("connected"), "{done:?}");
            self.seen
                .keep("back from a browser", &format!("{done:?}"))?;
        }
        // Tokens that come in half an answer are tokens.
        let half = json!({"kind": "half_json"});
        self.arm("google_ads", &half, "/token").await?;
        let back = browser.given("google_ads").await?;
        let failed = browser.open(back).await?;
        anyhow::ensure!(failed.query().contains_key("error"), "{failed:?}");
        self.seen.keep("half an answer", &format!("{failed:?}"))
    }

    /// Grants come in at every platform.
    pub(super) async fn connected(
        &mut self,
        (name, place): (&str, usize),
        is_renewable: bool,
    ) -> anyhow::Result<Vec<Held>> {
        let mut all = Vec::new();
        for platform in PLATFORMS {
            let grant = given(platform, name, is_renewable);
            self.scene.control("tokens", &grant.known()).await?;
            let id = self.scene.account(platform, place)?.to_owned();
            let answer = if platform == "meta" && place == OTHER {
                self.connected_by_command(&grant, &id).await?
            } else {
                let mut body = grant.body();
                body["external_ids"] = json!([id]);
                self.post("/v1/accounts", &body).await?
            };
            let account = answer["accounts"][0]["id"].as_str();
            let account = account.with_context(|| format!("connected: {answer}"))?;
            all.push(Held {
                account: account.to_owned(),
                grant,
            });
        }
        Ok(all)
    }

    async fn connected_by_command(&mut self, grant: &Grant, id: &str) -> anyhow::Result<Value> {
        let arguments = [
            "--json",
            "accounts",
            "connect",
            grant.platform,
            "--tenant",
            "acme",
            "--owner-email",
            OWNER,
            "--account",
            id,
        ];
        let said = self.seen.command(&arguments, &grant.access, KEYS).await?;
        serde_json::from_str(&said).with_context(|| format!("connected: {said}"))
    }

    async fn post(&mut self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let request = self.client.request(Method::POST, path);
        self.seen.ask(request.json(body)).await
    }

    /// Has a platform do something once, to the next call of this path.
    async fn arm(&self, platform: &str, fault: &Value, path: &str) -> anyhow::Result<()> {
        let fault =
            json!({"target": platform, "fault": fault, "times": 1, "match": {"path": path}});
        self.scene.world.fault(&fault).await
    }

    /// Figures are read as well, and those of a Page by the Page's own token.
    pub(super) async fn figures_are_read(&mut self, all: &[Held]) -> anyhow::Result<()> {
        for held in all {
            self.one_day_is_read(&held.account).await?;
        }
        self.scene.change(A_DAY_LATER).await?;
        tick(self.client, "sync-incremental").await?;
        let listed = self
            .seen
            .get(self.client, "/v1/accounts?platform=meta&limit=500");
        let listed = listed.await?;
        let mut items = listed["items"].as_array().into_iter().flatten();
        let page = items.find(|it| it["kind"] == "page").context("a Page")?;
        let page = page["id"].as_str().context("its id")?;
        self.one_day_is_read(page).await
    }

    async fn one_day_is_read(&mut self, account: &str) -> anyhow::Result<()> {
        let yesterday = "SELECT to_char(now() - interval '1 day', 'YYYY-MM-DD')";
        let mut db = self.scene.world.sql().await?;
        let day: String = sqlx::query_scalar(yesterday).fetch_one(&mut db).await?;
        let payload = json!({
            "account_id": account, "level": "account", "granularity": "day", "from": day, "to": day,
        });
        let job = json!({"kind": "sync.insights", "queue": "sync", "payload": payload});
        let job = self.client.enqueue(&job).await?;
        succeeded(self.client, &job).await?;
        self.jobs.push(job);
        Ok(())
    }

    /// Platforms repeat what they were sent when they refuse a question or a refresh, and gateways do on the way. After it
    /// each grant has tokens that a platform has made.
    pub(super) async fn words_come_back(&mut self, all: &[Held]) -> anyhow::Result<()> {
        for Held { grant, account } in all {
            let platform = grant.platform;
            self.arm(platform, &faults::odd(grant), "").await?;
            let refused = sync(self.client, account, "incremental").await?;
            self.dead(refused).await?;
            self.arm(platform, &faults::gateway(grant), "").await?;
            let late = sync(self.client, account, "incremental").await?;
            succeeded(self.client, &late).await?;
            self.jobs.push(late);
            let (path, fault) = faults::no_refresh(grant, self.scene.secret(platform));
            self.arm(platform, &fault, path).await?;
            let refused = job_for(self.client, "token.refresh", account).await?;
            if platform == "meta" {
                // A token of Meta's that works still is kept, whatever the exchange of it says.
                succeeded(self.client, &refused).await?;
                self.jobs.push(refused);
            } else {
                self.dead(refused).await?;
            }
            for kind in ["token.refresh", "token.validate"] {
                let done = job_for(self.client, kind, account).await?;
                succeeded(self.client, &done).await?;
                self.jobs.push(done);
            }
        }
        for kind in ["cut_off", "half_json"] {
            self.arm("meta", &json!({"kind": kind}), "").await?;
            let late = sync(self.client, &all[0].account, "incremental").await?;
            succeeded(self.client, &late).await?;
        }
        Ok(())
    }

    /// Keeps a job once it is dead, which it must be.
    async fn dead(&mut self, id: String) -> anyhow::Result<()> {
        let client = self.client;
        eventually(&format!("job {id} is dead"), || async {
            let job = job(client, &id).await?;
            anyhow::ensure!(job["state"] != "succeeded", "{job}");
            Ok((job["state"] == "dead").then_some(()))
        })
        .await?;
        self.jobs.push(id);
        Ok(())
    }

    /// Platforms say that grants are spent, and why; owners hear of it.
    pub(super) async fn grants_end(&mut self, all: &[Held]) -> anyhow::Result<()> {
        for Held { grant, account } in all {
            for fault in faults::spent(grant, self.scene.secret(grant.platform)) {
                self.scene.world.fault(&fault).await?;
            }
            self.jobs
                .push(sync(self.client, account, "incremental").await?);
            eventually(&format!("{account} is held"), || async {
                let standing = standing(self.client, account).await?;
                Ok((standing["status"] == "needs_reauth").then_some(()))
            })
            .await?;
            self.scene.world.mend().await?;
        }
        tick(self.client, "token-expire").await?;
        let mails = self.scene.all_mails().await?;
        anyhow::ensure!(mails.len() >= PLATFORMS.len(), "{mails:?}");
        Ok(())
    }

    /// What does not fit is refused, and not repeated.
    pub(super) async fn misuse_is_refused(&mut self) -> anyhow::Result<()> {
        let token = format!("{CORE}/unknown");
        for body in [
            json!({"platform": "meta", "access_token": token, "surprise": token}),
            json!({"platform": "meta", "access_token": [token]}),
            json!({"platform": "meta", "access_token": token, "expires_at": token}),
            json!({"platform": "meta", "access_token": {"refresh_token": token}}),
            json!({"platform": "tiktok", "refresh_token": token, "external_ids": token}),
        ] {
            self.post("/v1/accounts", &body).await?;
        }
        for platform in PLATFORMS {
            let unknown = json!({
                "platform": platform, "access_token": token, "refresh_token": token, "token_secret": token,
            });
            let answer = self.post("/v1/accounts", &unknown).await?;
            anyhow::ensure!(answer["status"] == 422, "{answer}");
        }
        let cut = format!("{{\"platform\": \"meta\", \"access_token\": \"{token}");
        let request = self.client.request(Method::POST, "/v1/accounts");
        let request = request.header("content-type", "application/json");
        self.seen.ask(request.body(cut.clone())).await?;
        let more = format!("{{\"access_token\": \"{token}\", \"surprise\": \"{token}\"}}");
        for input in [&token, &cut, &more] {
            let arguments = ["accounts", "connect", "meta"];
            self.seen.command(&arguments, input, KEYS).await?;
        }
        Ok(())
    }

    /// Grants are taken back, where platforms refuse that in words with the token in them.
    pub(super) async fn some_leave(&mut self, all: &[Held]) -> anyhow::Result<()> {
        for Held { grant, account } in all {
            let path = match grant.platform {
                "meta" => "/permissions",
                "tiktok" => "/revoke_token/",
                _ => continue,
            };
            self.arm(grant.platform, &faults::odd(grant), path).await?;
            if grant.platform == "meta" {
                let path = format!("/v1/accounts/{account}?grant=true");
                let request = self.client.request(Method::DELETE, &path);
                let answer = self.seen.ask(request).await?;
                anyhow::ensure!(answer["not_revoked"].is_string(), "{answer}");
            } else {
                let arguments = ["accounts", "disconnect", account, "--grant"];
                self.seen.command(&arguments, "", KEYS).await?;
            }
        }
        Ok(())
    }

    /// A platform refuses our own secret and repeats it: the operator is told.
    pub(super) async fn our_own_secret_comes_back(&mut self, all: &[Held]) -> anyhow::Result<()> {
        let mut of_google = all.iter().filter(|it| it.grant.platform == "google_ads");
        let held = of_google.next().context("Google is among them")?;
        let fault = faults::wrong_secret(self.scene.secret("google_ads"));
        self.arm("google_ads", &fault, "/token").await?;
        let job = job_for(self.client, "token.refresh", &held.account).await?;
        kept(self.client, &job, "budget").await?;
        self.jobs.push(job);
        Ok(())
    }
}
