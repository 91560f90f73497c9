//! `millpond dev`: everything on one machine, nothing left behind.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use serde_json::{Value, json};

use crate::harness::{Client, Program, eventually, eventually_within, millpond, world::free_port};

/// Longest until every account has been read, on a busy machine.
const READ: Duration = Duration::from_secs(180);

fn new_folder() -> anyhow::Result<PathBuf> {
    let name = format!("millpond_dev_{}", uuid::Uuid::new_v4().simple());
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn start(folder: &Path, port: u16, more: &[&str]) -> anyhow::Result<Program> {
    let mut command = millpond(folder, &[&["dev", "--demo"][..], more].concat())?;
    command.env("MILLPOND_HTTP_ADDR", format!("127.0.0.1:{port}"));
    Program::start(command, &folder.join("dev.log"))
}

/// Starts it, and gives what it tells programs once it works, with a client that has the key it tells.
fn start_and_hear(folder: &Path) -> anyhow::Result<(Program, Value, Client)> {
    let mut program = start(folder, free_port()?, &["--json"])?;
    let told: Value = serde_json::from_str(&program.first_line()?)
        .context("it tells where everything is: see dev.log")?;
    let text = |name: &str| told[name].as_str().map(str::to_owned).context("told");
    let client = Client::new(text("api")?, text("key")?)?;
    Ok((program, told, client))
}

/// The ad accounts by platform, each with its id and its status.
async fn ad_accounts(client: &Client) -> anyhow::Result<BTreeMap<String, Vec<(String, String)>>> {
    let listed = client.get("/v1/accounts?limit=500").await?.body;
    let mut found: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for account in listed["items"].as_array().context("a list")? {
        let text = |name: &str| account[name].as_str().unwrap_or_default().to_owned();
        if account["kind"] == "ad_account" {
            let accounts = found.entry(text("platform")).or_default();
            accounts.push((text("id"), text("status")));
        }
    }
    Ok(found)
}

/// Waits until campaigns and figures of an account are stored.
async fn is_read(client: &Client, account: &str) -> anyhow::Result<()> {
    let what = format!("account {account} is read");
    eventually_within(READ, &what, || async {
        let campaigns = format!("/v1/entities?account={account}&type=campaign&limit=1");
        let campaigns = client.get(&campaigns).await?.body;
        let freshness = format!("/v1/accounts/{account}/freshness");
        let freshness = client.get(&freshness).await?.body;
        let syncs = format!("/v1/accounts/{account}/syncs?limit=500");
        let syncs = client.get(&syncs).await?.body;
        let is_some = |list: &Value| list.as_array().is_some_and(|list| !list.is_empty());
        let mut syncs = syncs["items"].as_array().into_iter().flatten();
        let has_rows = syncs.any(|sync| {
            sync["of"] == "insights"
                && sync["state"] == "succeeded"
                && sync["counts"]["rows"].as_u64() > Some(0)
        });
        let is_read = is_some(&campaigns["items"]) && is_some(&freshness["figures"]) && has_rows;
        Ok(is_read.then_some(()))
    })
    .await
}

async fn ready(folder: &Path, port: u16) -> anyhow::Result<Client> {
    let base = format!("http://127.0.0.1:{port}");
    let probe = Client::new(base.clone(), String::new())?;
    eventually("dev is ready", || async {
        let answer = probe.bare(reqwest::Method::GET, "/readyz").send().await;
        Ok(answer
            .is_ok_and(|answer| answer.status().is_success())
            .then_some(()))
    })
    .await?;
    let key = eventually("the key is there", || async {
        Ok(std::fs::read_to_string(folder.join(".millpond/key")).ok())
    })
    .await?;
    Client::new(base, key.trim().to_owned())
}

fn postgres_processes(folder: &Path) -> anyhow::Result<usize> {
    let listed = std::process::Command::new("ps")
        .args(["-eo", "args"])
        .output()?;
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    let folder = folder.display().to_string();
    Ok(text
        .lines()
        .filter(|line| line.contains("postgres") && line.contains(&folder))
        .count())
}

#[tokio::test]
async fn dev_starts_from_nothing_stops_without_a_trace_and_starts_again() -> anyhow::Result<()> {
    let folder = new_folder()?;
    let mut keys = Vec::new();
    for how in ["INT", "KILL", "INT"] {
        let port = free_port()?;
        let mut program = start(&folder, port, &[])?;
        let client = ready(&folder, port).await?;
        let mail = json!({"kind": "email.send", "payload": {"template": "welcome", "to": "ada@example.com", "data": {"name": "Ada"}}});
        let id = client.enqueue(&mail).await?;
        client.in_state(&id, "succeeded").await?;
        keys.push(std::fs::read_to_string(folder.join(".millpond/key"))?);
        program.signal(how)?;
        let status = program.ended().await?;
        if how == "INT" {
            assert!(status.success(), "{status}");
            assert_eq!(postgres_processes(&folder)?, 0);
        }
    }

    assert!(keys.iter().all(|key| key == &keys[0]), "the key is kept");
    assert!(std::fs::read_dir(folder.join(".millpond/mail"))?.count() >= 3);
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

// Fails when a platform's stand-in and its client do not understand each other, when a process is not pointed at one of
// them, or when each start connects accounts of its own.
#[tokio::test]
async fn the_demo_reads_one_account_on_each_platform_and_goes_on_with_them_when_it_starts_again()
-> anyhow::Result<()> {
    let folder = new_folder()?;

    let (mut program, told, client) = start_and_hear(&folder)?;
    let first = ad_accounts(&client).await?;
    for (id, _) in first.values().flatten() {
        is_read(&client, id).await?;
    }
    program.signal("INT")?;
    let ended = program.ended().await?;
    let (mut program, told_again, client) = start_and_hear(&folder)?;
    let second = ad_accounts(&client).await?;
    program.signal("INT")?;
    program.ended().await?;

    let platforms = ["google_ads", "linkedin", "meta", "tiktok", "x"];
    let sandboxes = told["sandboxes"].as_object().context("they are told")?;
    assert!(sandboxes.keys().eq(platforms), "{told}");
    assert!(first.keys().eq(platforms), "{first:?}");
    for accounts in first.values() {
        assert_eq!(accounts.len(), 1, "{first:?}");
        assert_eq!(accounts[0].1, "active", "{first:?}");
    }
    assert!(ended.success(), "{ended}");
    assert_eq!(second, first);
    assert_eq!(told_again["accounts"], told["accounts"]);
    assert_eq!(told["accounts"].as_array().map(Vec::len), Some(5));
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}
