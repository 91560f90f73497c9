//! Connected accounts: tokens go in by the API and the command line and are seen nowhere; a spent grant holds its jobs
//! until somebody connects it again; keys are exchanged while everything runs.

use std::process::Stdio;

use anyhow::Context;
use serde_json::{Value, json};
use sqlx::Connection;
use tokio::{io::AsyncWriteExt, process::Command};

use crate::harness::{
    Client, World, eventually,
    world::{APP_ID, KEYS},
};

/// Part of every token of these tests.
const CANARY: &str = "canary-not-real";
const NEWER_KEY: &str = "newer:ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100";

/// Makes the sandbox know tokens, and what our app is there.
async fn know(world: &World, tokens: &[(&str, &str)]) -> anyhow::Result<()> {
    let tokens = tokens
        .iter()
        .map(|(token, state)| json!({"token": token, "state": state}));
    let body = json!({
        "tokens": tokens.collect::<Vec<_>>(), "app_id": APP_ID, "app_secret": "fake-app-secret-not-real",
        "require_proof": true,
    });
    let answer = world.sandbox.post("/_control/tokens", &body).await?;
    anyhow::ensure!(answer.status.is_success(), "{answer:?}");
    Ok(())
}

/// Runs a command with this on its standard input, under these keys, and gives its exit code with all that it says.
async fn run(
    world: &World,
    arguments: &[&str],
    input: &str,
    keys: &str,
) -> anyhow::Result<(Option<i32>, String)> {
    let mut command = Command::from(world.millpond(arguments)?);
    command
        .env("MILLPOND_ENCRYPTION_KEYS", keys)
        .env("MILLPOND_HTTP_ADDR", "127.0.0.1:0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn()?;
    let mut stdin = child.stdin.take().context("it was asked for")?;
    stdin.write_all(input.as_bytes()).await?;
    drop(stdin);
    let output = child.wait_with_output().await?;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status.code(), String::from_utf8(said)?))
}

/// Connects by the API, and gives the answer.
async fn connect(client: &Client, token: &str) -> anyhow::Result<Value> {
    let body = json!({"platform": "meta", "access_token": token, "tenant": "acme", "owner_email": "ada@example.com"});
    let answer = client.post("/v1/accounts", &body).await?;
    anyhow::ensure!(answer.status.as_u16() == 201, "{answer:?}");
    Ok(answer.body)
}

fn id_of(connected: &Value) -> anyhow::Result<String> {
    let id = connected["accounts"][0]["id"].as_str();
    Ok(id.context("an account")?.to_owned())
}

/// Everything that stands in the tables, as a dump would show it.
async fn dumped(world: &World) -> anyhow::Result<String> {
    let mut sql = world.sql().await?;
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('marketing', 'millpond')",
    )
    .fetch_all(&mut sql)
    .await?;
    let mut text = String::new();
    for table in tables {
        let rows = format!("SELECT t::text FROM {table} AS t");
        let rows: Vec<String> = sqlx::query_scalar(&rows).fetch_all(&mut sql).await?;
        text.push_str(&rows.join("\n"));
    }
    sql.close().await?;
    Ok(text)
}

/// What all processes of a world have logged.
fn logged(world: &World) -> anyhow::Result<String> {
    let mut text = String::new();
    for entry in std::fs::read_dir(&world.folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("serve-") {
            text.push_str(&std::fs::read_to_string(&path)?);
        }
    }
    Ok(text)
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

// Fails when a token is in any answer, output, log or table, in whatever form.
#[tokio::test]
async fn accounts_are_connected_from_both_sides_and_their_tokens_are_seen_nowhere()
-> anyhow::Result<()> {
    let world = World::new().await?;
    let (api, cli) = (format!("api-{CANARY}"), format!("cli-{CANARY}"));
    let spent = format!("spent-{CANARY}");
    know(
        &world,
        &[(&api, "valid"), (&cli, "valid"), (&spent, "expired")],
    )
    .await?;
    let (_program, client) = world.serve().await?;

    let connected = connect(&client, &api).await?;
    let id = id_of(&connected)?;
    let by_command = run(
        &world,
        &["accounts", "connect", "meta", "--tenant", "umbrella"],
        &cli,
        KEYS,
    )
    .await?;
    let refused = run(&world, &["accounts", "connect", "meta"], &spent, KEYS).await?;
    let shown = [
        client.get("/v1/accounts?limit=500").await?.body.to_string(),
        client
            .get(&format!("/v1/accounts/{id}"))
            .await?
            .body
            .to_string(),
        client.get("/v1/audit").await?.body.to_string(),
        world.command(&["accounts", "list"])?,
        world.command(&["--json", "accounts", "show", &id])?,
        world.command(&["secrets", "verify"])?,
    ];

    assert_eq!(by_command.0, Some(0), "{}", by_command.1);
    assert_eq!(refused.0, Some(2), "{}", refused.1);
    let everything = [
        connected.to_string(),
        by_command.1,
        refused.1,
        shown.concat(),
        logged(&world)?,
        dumped(&world).await?,
    ];
    assert!(everything[5].contains("account.connect"));
    for text in everything {
        for form in [CANARY.to_owned(), hex(CANARY)] {
            assert!(!text.contains(&form), "{form} in {text}");
        }
    }
    Ok(())
}

// Fails when a job of a spent account uses up attempts, when nobody is told why it waits, or when it does not go on.
#[tokio::test]
async fn jobs_of_a_spent_account_wait_and_go_on_once_it_is_connected_again() -> anyhow::Result<()> {
    let world = World::new().await?;
    let (first, second) = (format!("first-{CANARY}"), format!("second-{CANARY}"));
    know(&world, &[(&first, "valid"), (&second, "valid")]).await?;
    let (_program, client) = world.serve().await?;
    let id = id_of(&connect(&client, &first).await?)?;
    know(&world, &[(&first, "expired")]).await?;

    let refresh = run(&world, &["accounts", "refresh", &id], "", KEYS).await?;
    let job = json!({"kind": "test.hook", "payload": {"account_id": id}});
    let job = client.enqueue(&job).await?;
    let gate = eventually("its gate is told", || async {
        let told = client.get(&format!("/v1/jobs/{job}/explain")).await?.body;
        let gates = told["gates"].as_array().cloned().unwrap_or_default();
        let mut gates = gates.into_iter();
        Ok(gates.find(|gate| gate["gate"] == "account_held" && gate["blocking"] == true))
    })
    .await?;
    let waiting = client.get(&format!("/v1/jobs/{job}")).await?.body;
    let standing = client.get(&format!("/v1/accounts/{id}")).await?.body;
    let held = eventually("the gauge counts it", || async {
        let accounts = client
            .metric("millpond_accounts", "status=\"needs_reauth\"")
            .await?;
        Ok((accounts > 0.0).then_some(()))
    })
    .await;
    connect(&client, &second).await?;
    let done = client.in_state(&job, "succeeded").await?;

    assert_eq!(refresh.0, Some(1), "{}", refresh.1);
    assert!(
        gate["detail"]
            .as_str()
            .is_some_and(|told| told.contains("connected again")),
        "{gate}"
    );
    assert_eq!(
        (&waiting["state"], &waiting["attempts_used"]),
        (&json!("ready"), &json!(0))
    );
    assert_eq!(standing["status"], "needs_reauth");
    assert_eq!(done["attempts"].as_array().map(Vec::len), Some(1));
    assert_eq!(world.received("hooks").await?.len(), 1);
    held
}

// Fails when a job of an account starts while its platform is down, when that is not told, or when the job does not go on.
#[tokio::test]
async fn jobs_of_an_account_wait_while_its_platform_is_down_and_go_on_by_themselves()
-> anyhow::Result<()> {
    let world = World::new().await?;
    let token = format!("token-{CANARY}");
    know(&world, &[(&token, "valid")]).await?;
    let (_program, client) = world.serve().await?;
    let id = id_of(&connect(&client, &token).await?)?;
    let mut sql = world.sql().await?;
    let pause = "INSERT INTO millpond.budgets (name, account, paused_until, pause_reason)
                 VALUES ('meta', '', now() + interval '1 hour', 'provider down')";
    sqlx::query(pause).execute(&mut sql).await?;

    let job = json!({"kind": "test.hook", "payload": {"account_id": id}});
    let job = client.enqueue(&job).await?;
    let counted = eventually("the gauge counts it", || async {
        let blocked = client
            .metric("millpond_blocked_jobs", "gate=\"budget\"")
            .await?;
        Ok((blocked > 0.0).then_some(()))
    })
    .await;
    let told = client.get(&format!("/v1/jobs/{job}/explain")).await?.body;
    let by_command = world.command(&["jobs", "explain", &job])?;
    let end =
        "UPDATE millpond.budgets SET paused_until = now() + interval '1 second' WHERE account = ''";
    sqlx::query(end).execute(&mut sql).await?;
    let done = client.in_state(&job, "succeeded").await?;

    let mut gates = told["gates"].as_array().into_iter().flatten();
    let gate = gates.find(|gate| gate["gate"] == "budget");
    let gate = gate.context("every gate is told")?;
    assert_eq!(gate["detail"], "the budget meta: provider down");
    assert!(
        gate["blocking"] == true && gate["until"].is_string(),
        "{gate}"
    );
    assert!(by_command.contains("provider down"), "{by_command}");
    assert_eq!(done["attempts"].as_array().map(Vec::len), Some(1));
    sql.close().await?;
    counted
}

// Fails when a secret stays under the old key, cannot be opened meanwhile, or when a process starts without a key that is
// needed.
#[tokio::test]
async fn keys_are_exchanged_while_accounts_are_connected() -> anyhow::Result<()> {
    let world = World::new().await?;
    let tokens: Vec<String> = (0..12).map(|n| format!("token-{n}-{CANARY}")).collect();
    let known: Vec<(&str, &str)> = tokens.iter().map(|it| (it.as_str(), "valid")).collect();
    know(&world, &known).await?;
    let (program, client) = world.serve().await?;
    connect(&client, &tokens[0]).await?;
    let both = format!("{NEWER_KEY},{KEYS}");

    let writing = async {
        for token in &tokens[1..] {
            connect(&client, token).await?;
        }
        anyhow::Ok(())
    };
    let rotating = run(&world, &["secrets", "rotate"], "", &both);
    let (written, rotated) = tokio::join!(writing, rotating);
    written?;
    let (code, said) = rotated?;
    // The process that serves has the old key alone, and has gone on sealing under it.
    let refused = run(&world, &["serve"], "", NEWER_KEY).await?;
    let finding = run(&world, &["doctor"], "", NEWER_KEY).await?;
    drop(program);
    let rest = run(&world, &["secrets", "rotate"], "", &both).await?;
    let verified = run(&world, &["--json", "secrets", "verify"], "", NEWER_KEY).await?;

    assert!(code == Some(0) || code == Some(1), "{said}");
    for (code, said) in [&refused, &finding].map(|(code, said)| (*code, said)) {
        assert!(said.contains("MILLPOND_ENCRYPTION_KEYS"), "{said}");
        assert_ne!(code, Some(0), "{said}");
    }
    assert_eq!(refused.0, Some(2), "{}", refused.1);
    assert_eq!(rest.0, Some(0), "{}", rest.1);
    let told: Value = serde_json::from_str(&verified.1)?;
    assert_eq!(
        (verified.0, &told["unopened"]),
        (Some(0), &json!(0)),
        "{told}"
    );
    assert!(told["opened"]["newer"].as_u64() > Some(0), "{told}");
    Ok(())
}

#[tokio::test]
async fn keys_that_cannot_be_used_are_refused_with_all_that_is_wrong() -> anyhow::Result<()> {
    let world = World::new().await?;
    let keys = format!(
        "a:{},b:{},a:{}",
        "0".repeat(64),
        "1".repeat(63),
        "2".repeat(64)
    );

    let (code, said) = run(&world, &["serve"], "", &keys).await?;

    assert_eq!(code, Some(2), "{said}");
    for part in ["key 1 is all zeros", "key 2 has 63 digits"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert!(
        !said.contains(&"1".repeat(20)) && !said.contains(&"2".repeat(20)),
        "{said}"
    );
    Ok(())
}
