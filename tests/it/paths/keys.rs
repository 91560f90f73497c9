//! Stored secrets are sealed anew under a newer key while accounts are synced: it may be killed in the middle, both keys are
//! good meanwhile, and the older one is wanted by nobody afterwards.

use serde_json::Value;
use sqlx::Connection;

use super::{
    grants::Grant,
    scene::{PLATFORMS, Scene, succeeded, sync},
};
use crate::harness::{Client, Program, eventually, world::KEYS};

const NEWER: &str = "newer:ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100";
/// The id of the key that is known, and another key.
const WRONG: &str = "it:a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5";
const VARIABLE: &str = "MILLPOND_ENCRYPTION_KEYS";

/// Runs a command under these keys, and gives its exit code with what it says.
async fn run(
    scene: &Scene,
    arguments: &[&str],
    keys: &str,
) -> anyhow::Result<(Option<i32>, String)> {
    let mut command = tokio::process::Command::from(scene.millpond(arguments)?);
    let output = command
        .env(VARIABLE, keys)
        .env("MILLPOND_HTTP_ADDR", "127.0.0.1:0")
        .output()
        .await?;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status.code(), String::from_utf8(said)?))
}

/// How many secrets open under each key, once all of them do.
async fn opened(scene: &Scene, keys: &str) -> anyhow::Result<[u64; 2]> {
    let (code, said) = run(scene, &["--json", "secrets", "verify"], keys).await?;
    anyhow::ensure!(code == Some(0), "{said}");
    let told: Value = serde_json::from_str(&said)?;
    anyhow::ensure!(told["unopened"] == 0, "{told}");
    let under = |id: &str| told["opened"][id].as_u64().unwrap_or(0);
    Ok([under("it"), under("newer")])
}

/// Reads all accounts once more.
async fn all_are_read(client: &Client, accounts: &[String], mode: &str) -> anyhow::Result<()> {
    let mut jobs = Vec::new();
    for account in accounts {
        jobs.push(sync(client, account, mode).await?);
    }
    for job in &jobs {
        let job = succeeded(client, job).await?;
        anyhow::ensure!(job["attempts_used"] == 1, "{job}");
    }
    Ok(())
}

/// Has all secrets sealed anew under the newer key, and kills whoever does it in the middle.
async fn rotated_half_way(scene: &Scene, keys: &str) -> anyhow::Result<()> {
    let mut db = scene.world.sql().await?;
    let mut tx = db.begin().await?;
    let middle = "SELECT id FROM marketing.connections ORDER BY id OFFSET 2 LIMIT 1 FOR UPDATE";
    sqlx::query(middle).execute(&mut *tx).await?;
    let mut command = scene.millpond(&["secrets", "rotate"])?;
    command.env(VARIABLE, keys);
    let log = scene.world.folder.join("rotate.log");
    let mut rotating = Program::start_telling(command, &log)?;
    eventually("the row in the middle is waited for", || async {
        let waiting = "SELECT count(*) FROM pg_stat_activity
                        WHERE datname = current_database() AND wait_event_type = 'Lock'
                          AND query LIKE 'UPDATE marketing.connections SET access_token%'";
        Ok((scene.count(waiting).await? > 0).then_some(()))
    })
    .await?;
    rotating.signal("KILL")?;
    rotating.ended().await?;
    tx.rollback().await?;
    db.close().await?;
    Ok(())
}

// Fails when a secret cannot be opened while keys are exchanged, when one is left behind by a rotation that was killed, or
// when the older key is wanted after it.
#[tokio::test]
async fn keys_are_exchanged_while_accounts_are_synced_though_it_is_killed_half_way()
-> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let (old, client) = scene.serve().await?;
    let mut accounts = Vec::new();
    for platform in PLATFORMS {
        let grant = Grant::usual(platform, "first");
        accounts.push(scene.connect(&client, &grant, 0).await?);
    }
    scene.all_is_read().await?;
    drop(old);
    let both = format!("{NEWER},{KEYS}");
    let (process, client) = scene.serve_with(&[(VARIABLE, both.as_str())]).await?;
    let before = opened(&scene, &both).await?;

    rotated_half_way(&scene, &both).await?;
    let after_kill = opened(&scene, &both).await?;
    all_are_read(&client, &accounts, "full").await?;
    let (rotated, read) = tokio::join!(
        run(&scene, &["secrets", "rotate"], &both),
        all_are_read(&client, &accounts, "incremental")
    );
    let (code, said) = rotated?;
    read?;
    drop(process);
    let after = opened(&scene, NEWER).await?;
    let (_process, client) = scene.serve_with(&[(VARIABLE, NEWER)]).await?;
    all_are_read(&client, &accounts, "full").await?;

    // Google's grant and X's have two secrets each.
    assert_eq!(before, [7, 0]);
    assert!(after_kill[0] > 0 && after_kill[1] > 0, "{after_kill:?}");
    assert_eq!(after_kill.iter().sum::<u64>(), 7);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("older keys can be taken out"), "{said}");
    assert_eq!(after, [0, 7]);
    Ok(())
}

// Fails when a key that was mistyped, or mixed up with another installation's, is found out by the first token that is used.
#[tokio::test]
async fn a_key_that_opens_nothing_is_refused_at_the_start_and_told_by_the_doctor()
-> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let (process, client) = scene.serve_without_sync().await?;
    for platform in ["meta", "linkedin"] {
        let grant = Grant::usual(platform, "first");
        scene.connect(&client, &grant, 0).await?;
    }
    drop(process);

    let refused = run(&scene, &["serve"], WRONG).await?;
    let finding = run(&scene, &["doctor"], WRONG).await?;
    let verified = run(&scene, &["secrets", "verify"], WRONG).await?;

    assert_eq!(refused.0, Some(2), "{}", refused.1);
    assert_eq!(finding.0, Some(1), "{}", finding.1);
    assert_eq!(verified.0, Some(1), "{}", verified.1);
    let digits = WRONG.trim_start_matches("it:");
    for (_, said) in [&refused, &finding] {
        assert!(said.contains(VARIABLE), "{said}");
        assert!(said.contains("\"it\""), "{said}");
        assert!(!said.contains(digits), "{said}");
    }
    assert!(verified.1.contains("2 do not open"), "{}", verified.1);
    Ok(())
}
