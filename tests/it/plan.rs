//! `config plan` from outside: what it says before a change, how it ends for CI, and that nothing follows from asking.

use std::fs;

use anyhow::Context;
use serde_json::{Value, json};

use crate::harness::World;

/// Runs `config plan` with these arguments; gives how it ended and what it printed.
fn plan(world: &World, arguments: &[&str]) -> anyhow::Result<(i32, String)> {
    let arguments = [&["config", "plan"][..], arguments].concat();
    let output = world.millpond(&arguments)?.output()?;
    let code = output.status.code().context("it was not killed")?;
    Ok((code, String::from_utf8(output.stdout)?))
}

// Fails when a harmful change ends like a harmless one, when a wrong file ends like either, and when asking changes what
// is in force.
#[tokio::test]
async fn a_plan_tells_ci_whether_a_change_loses_work() -> anyhow::Result<()> {
    let world = World::new().await?;
    let base = fs::read_to_string(world.folder.join("jobs.toml"))?;
    let (_program, client) = world.serve().await?;
    let retention = "[kinds.\"http.request\"]\nretain_succeeded =";
    for (name, text) in [
        ("same.toml", base.clone()),
        (
            "wider.toml",
            format!("{base}\n[queues.default]\nconcurrency = 20\n"),
        ),
        ("shorter.toml", format!("{base}\n{retention} \"1h\"\n")),
        ("wrong.toml", format!("{base}\n{retention} 3600\n")),
        ("empty.toml", "\n".to_owned()),
    ] {
        fs::write(world.folder.join(name), text)?;
    }
    let mut db = world.sql().await?;
    sqlx::raw_sql(
        "INSERT INTO millpond.job_history
                (id, queue, kind, state, priority, run_at, created_at, attempts_used, payload, finished_at)
         SELECT millpond.new_job_id(), 'http', 'http.request', 'succeeded', 5, now(), now(), 1, '{}', now() - interval '2 hours'
           FROM generate_series(1, 12)",
    )
    .execute(&mut db)
    .await?;

    let same = plan(&world, &["same.toml"])?;
    let wider = plan(&world, &["wider.toml"])?;
    let shorter = plan(&world, &["shorter.toml"])?;
    let as_json = plan(&world, &["shorter.toml", "--json"])?;
    let wrong = world.refused(&["config", "plan", "wrong.toml"])?;
    let missing = world.refused(&["config", "plan", "/nowhere.toml"])?;
    let empty = world.refused(&["config", "plan", "empty.toml"])?;
    let over_http = client
        .post(
            "/v1/config/plan",
            &json!({"text": fs::read_to_string(world.folder.join("shorter.toml"))?}),
        )
        .await?;
    let history = world.command(&["config", "history", "--json"])?;

    assert_eq!(same, (0, "nothing changes against revision 1\n".to_owned()));
    assert_eq!(wider.0, 0, "{}", wider.1);
    assert!(
        wider.1.contains("queues.default.concurrency"),
        "{}",
        wider.1
    );
    assert_eq!(shorter.0, 1, "{}", shorter.1);
    let told =
        "deleted within minutes: 12 finished jobs of http.request (retain_succeeded 24h → 1h)";
    assert!(shorter.1.contains(told), "{}", shorter.1);
    let document: Value = serde_json::from_str(&as_json.1)?;
    assert_eq!(
        (as_json.0, &document["harms"]),
        (1, &json!(["rows_deleted"]))
    );
    assert_eq!(over_http.body["deletions"], document["deletions"]);
    let line = base.lines().count() + 3;
    assert_eq!(wrong.0, 2);
    assert!(
        wrong.1.contains(&format!("wrong.toml:{line}:")),
        "{}",
        wrong.1
    );
    assert_eq!((missing.0, empty.0), (2, 2));
    assert!(empty.1.contains("/text is empty"), "{}", empty.1);
    let history: Value = serde_json::from_str(&history)?;
    assert_eq!(history["items"].as_array().map(Vec::len), Some(1));
    Ok(())
}
