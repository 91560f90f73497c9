//! `millpond dev`: everything on one machine, nothing left behind.

use std::path::Path;

use serde_json::json;

use crate::harness::{Client, Program, eventually, millpond, world::free_port};

fn start(folder: &Path, port: u16) -> anyhow::Result<Program> {
    let mut command = millpond(folder, &["dev", "--demo"])?;
    command.env("MILLPOND_HTTP_ADDR", format!("127.0.0.1:{port}"));
    Program::start(command, &folder.join("dev.log"))
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
    let folder =
        std::env::temp_dir().join(format!("millpond_dev_{}", uuid::Uuid::new_v4().simple()));
    std::fs::create_dir_all(&folder)?;
    let mut keys = Vec::new();
    for how in ["INT", "KILL", "INT"] {
        let port = free_port()?;
        let mut program = start(&folder, port)?;
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
