//! All that is to be seen of a world from outside, a file each: answers, what commands say, the database, logs and mails.

use std::{path::PathBuf, process::Stdio, time::Duration};

use anyhow::Context;
use reqwest::{Method, RequestBuilder, redirect::Policy};
use serde_json::Value;
use tokio::{io::AsyncWriteExt, process::Command, time::timeout};

use super::{
    super::scene::{PLATFORMS, Scene},
    CORE, SETTINGS,
};
use crate::harness::Client;

/// What is served beside what the API's description lists, and what nobody serves.
const PAGES: [&str; 12] = [
    "/",
    "/docs",
    "/docs/",
    "/docs/problems",
    "/docs/nothing",
    "/admin",
    "/admin/accounts",
    "/v1/nothing",
    "/v1/accounts/not-an-id",
    "/v1/accounts?limit=500&order=behind",
    "/v1/audit?limit=500",
    "/v1/entities?limit=500",
];

/// Longest that a command may take.
const LONGEST_COMMAND: Duration = Duration::from_secs(60);

pub(super) struct Gathered<'a> {
    scene: &'a Scene,
    /// Follows no redirection: where it leads to is looked at as well.
    http: reqwest::Client,
    folder: PathBuf,
    pub(super) answers: usize,
    files: usize,
}

impl<'a> Gathered<'a> {
    pub(super) fn new(scene: &'a Scene) -> anyhow::Result<Self> {
        let folder = scene.world.folder.join("seen");
        std::fs::create_dir_all(&folder)?;
        let http = reqwest::Client::builder();
        Ok(Self {
            scene,
            http: http.no_proxy().redirect(Policy::none()).build()?,
            folder,
            answers: 0,
            files: 0,
        })
    }

    /// The files and folders that hold everything.
    pub(super) fn places(&self) -> anyhow::Result<Vec<PathBuf>> {
        let world = &self.scene.world.folder;
        let mut places = vec![self.folder.clone(), world.join("mail")];
        for entry in std::fs::read_dir(world)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with("serve-") {
                places.push(path.clone());
            }
        }
        Ok(places)
    }

    /// Keeps what was seen there.
    pub(super) fn keep(&mut self, place: &str, seen: &str) -> anyhow::Result<()> {
        self.files += 1;
        let file = self.folder.join(self.files.to_string());
        std::fs::write(file, format!("{place}\n{seen}"))?;
        Ok(())
    }

    /// Asks, keeps the answer with its headers, and gives what it says.
    pub(super) async fn ask(&mut self, request: RequestBuilder) -> anyhow::Result<Value> {
        let request = request.build()?;
        let place = format!("{} {}", request.method(), request.url().path());
        let answer = self.http.execute(request).await?;
        let head = format!("{} {:?}", answer.status(), answer.headers());
        let text = answer.text().await?;
        self.answers += 1;
        self.keep(&place, &format!("{head}\n{text}"))?;
        Ok(serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    pub(super) async fn get(&mut self, client: &Client, path: &str) -> anyhow::Result<Value> {
        self.ask(client.request(Method::GET, path)).await
    }

    /// Runs a command with this on its standard input, keeps all that it says, and gives what is on its standard output.
    pub(super) async fn command(
        &mut self,
        arguments: &[&str],
        input: &str,
        keys: &str,
    ) -> anyhow::Result<String> {
        let mut command = Command::from(self.scene.millpond(arguments)?);
        let mut child = command
            .envs(SETTINGS)
            .env("MILLPOND_ENCRYPTION_KEYS", keys)
            .env("MILLPOND_HTTP_ADDR", "127.0.0.1:0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut stdin = child.stdin.take().context("it was asked for")?;
        // One that refuses at once reads nothing.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        let output = timeout(LONGEST_COMMAND, child.wait_with_output()).await;
        let output = output.with_context(|| format!("{arguments:?} ends"))??;
        let said = String::from_utf8(output.stdout)?;
        let beside = String::from_utf8(output.stderr)?;
        let place = format!("millpond {}", arguments.join(" "));
        self.keep(&place, &format!("{said}\n{beside}"))?;
        Ok(said)
    }

    /// Asks for everything that the API's description lists, and for more.
    pub(super) async fn all_pages(
        &mut self,
        client: &Client,
        jobs: &[String],
    ) -> anyhow::Result<()> {
        let described = self.get(client, "/openapi.json").await?;
        let paths = described["paths"].as_object().context("paths")?;
        let read = paths.iter().filter(|(_, with)| with.get("get").is_some());
        for (path, _) in read {
            for address in self.filled(client, path, jobs).await? {
                self.get(client, &address).await?;
            }
        }
        for page in PAGES {
            self.get(client, page).await?;
        }
        // What somebody sends where it does not belong is not repeated.
        for odd in [
            format!("/v1/accounts?access_token={CORE}"),
            format!("/v1/oauth/google_ads/callback?state={CORE}&code={CORE}"),
            format!("/v1/oauth/x/callback?oauth_token={CORE}&oauth_verifier={CORE}"),
            format!("/metrics?access_token={CORE}"),
        ] {
            self.get(client, &odd).await?;
        }
        let wrong_key = client.bare(Method::GET, "/v1/accounts").bearer_auth(CORE);
        self.ask(wrong_key).await?;
        Ok(())
    }

    /// The addresses of a path: one for each thing of its sort that there is.
    async fn filled(
        &mut self,
        client: &Client,
        path: &str,
        jobs: &[String],
    ) -> anyhow::Result<Vec<String>> {
        let Some((before, rest)) = path.split_once('{') else {
            return Ok(vec![path.to_owned()]);
        };
        let (_, after) = rest.split_once('}').context("the name has an end")?;
        let values = match before {
            "/v1/jobs/" => jobs.to_vec(),
            "/v1/oauth/" => PLATFORMS.map(str::to_owned).to_vec(),
            "/unsubscribe/" => vec!["a-token-that-nobody-has".to_owned()],
            "/webhooks/meta/data-deletion/" => vec!["a-code-that-nobody-has".to_owned()],
            list => self.listed(client, list.trim_end_matches('/')).await?,
        };
        anyhow::ensure!(!values.is_empty(), "there is something for {path}");
        let addresses = values.iter().map(|it| format!("{before}{it}{after}"));
        Ok(addresses.collect())
    }

    /// What the things of a list are called.
    async fn listed(&mut self, client: &Client, list: &str) -> anyhow::Result<Vec<String>> {
        let listed = self.get(client, list).await?;
        let items = listed["items"].as_array();
        let items = items.with_context(|| format!("{list} is a list"))?;
        let named = items.iter().map(|item| {
            let name = item["id"].as_str().or(item["name"].as_str());
            let name = name.with_context(|| format!("what it is called: {item}"))?;
            Ok(name.to_owned())
        });
        named.collect()
    }

    /// Keeps all that stands in the database, as a backup has it.
    pub(super) async fn dump(&mut self) -> anyhow::Result<String> {
        // What sqlx alone understands stands behind it.
        let address = self.scene.world.database_url.split('?').next();
        let output = Command::new("pg_dump")
            .arg(address.unwrap_or_default())
            .output()
            .await
            .context("pg_dump runs")?;
        let error = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "pg_dump: {error}");
        let dumped = String::from_utf8(output.stdout)?;
        self.keep("pg_dump", &dumped)?;
        Ok(dumped)
    }
}
