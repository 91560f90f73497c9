//! Bad input is normal input: a clear error that says what, where and what next, and the process lives.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::harness::World;

#[tokio::test]
async fn malformed_requests_are_refused_with_their_place_and_good_ones_beside_them_pass()
-> anyhow::Result<()> {
    let world = World::new().await?;
    let (_program, client) = world.serve().await?;
    let deep = format!(
        "{{\"kind\":\"test.hook\",\"payload\":{}{}}}",
        "[".repeat(40),
        "]".repeat(40)
    );
    let cases = [
        ("{", 400, ""),
        (
            "{\"kind\":\"test.hook\",\"payload\":{\"a\":\"\\ud800\"}}",
            400,
            "",
        ),
        (
            "{\"kind\":\"test.hook\",\"payload\":{\"a\":1,\"a\":2}}",
            400,
            "",
        ),
        (deep.as_str(), 400, ""),
        ("{\"kind\":\"test.hok\",\"payload\":{}}", 422, "test.hook"),
        (
            "{\"kind\":\"test.hook\",\"payload\":{},\"priority\":12}",
            422,
            "/priority",
        ),
        (
            "{\"kind\":\"test.hook\",\"payload\":{},\"prioritty\":1}",
            422,
            "priority",
        ),
        (
            "{\"kind\":\"test.hook\",\"payload\":{},\"delay\":\"soon\"}",
            422,
            "/delay",
        ),
        (
            "{\"kind\":\"email.send\",\"payload\":{\"template\":\"welcome\"}}",
            422,
            "/payload",
        ),
        (
            "{\"kind\":\"test.hook\",\"payload\":{},\"state\":\"dead\"}",
            422,
            "state",
        ),
    ];

    for (body, status, says) in cases {
        let request = client
            .request(Method::POST, "/v1/jobs")
            .header("content-type", "application/json");
        let answer = client.send(request.body(body.to_owned())).await?;
        assert_eq!(answer.status.as_u16(), status, "{body}: {answer:?}");
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        assert!(answer.body.to_string().contains(says), "{body}: {answer:?}");
        assert!(answer.body["request_id"].is_string());
        client
            .enqueue(&json!({"kind": "test.hook", "payload": {}, "delay": "1h"}))
            .await?;
    }
    Ok(())
}

#[tokio::test]
async fn callers_without_the_right_key_learn_nothing() -> anyhow::Result<()> {
    let world = World::new().await?;
    let (_program, client) = world.serve().await?;
    let reader =
        crate::harness::Client::new(client.base().to_owned(), world.key(&["read"], None)?)?;
    let mailer = crate::harness::Client::new(
        client.base().to_owned(),
        world.key(&["enqueue:email.*"], None)?,
    )?;
    let hook = json!({"kind": "test.hook", "payload": {}});

    let without = client.send(client.bare(Method::GET, "/v1/jobs")).await?;
    let wrong = client
        .send(client.bare(Method::GET, "/v1/jobs").bearer_auth("mp_wrong"))
        .await?;
    let forbidden = reader.post("/v1/jobs", &hook).await?;
    let other_family = mailer.post("/v1/jobs", &hook).await?;

    assert_eq!(
        (without.status, wrong.status),
        (StatusCode::UNAUTHORIZED, StatusCode::UNAUTHORIZED)
    );
    assert!(wrong.headers.contains_key("www-authenticate"));
    assert_eq!(
        (forbidden.status, other_family.status),
        (StatusCode::FORBIDDEN, StatusCode::FORBIDDEN)
    );
    assert_eq!(
        client.get("/v1/nowhere").await?.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        client
            .send(client.request(Method::PUT, "/v1/jobs"))
            .await?
            .status,
        StatusCode::METHOD_NOT_ALLOWED
    );
    Ok(())
}

#[tokio::test]
async fn a_wrong_configuration_is_told_whole_with_line_and_column_and_nothing_starts()
-> anyhow::Result<()> {
    let world = World::new().await?;
    std::fs::write(
        world.folder.join("bad.toml"),
        "[queues.email]\nconcurency = 4\n\n[defaults]\npriority = 12\ntimeout = \"soon\"\n",
    )?;

    let (check, said) = world.refused(&["config", "check", "bad.toml"])?;
    let (serve, at_start) = world.refused(&["--config", "bad.toml", "serve"])?;

    assert_eq!((check, serve), (2, 2));
    for part in ["bad.toml:2:1", "concurrency", "bad.toml:5:", "bad.toml:6:"] {
        assert!(said.contains(part), "{part} in {said}");
        assert!(at_start.contains(part), "{part} in {at_start}");
    }
    Ok(())
}

// Fails when a file is called wrong where production's secrets are not, when nobody is told what it wants, or when a process takes it without.
#[tokio::test]
async fn a_file_that_wants_keys_is_right_without_them_and_no_process_takes_it() -> anyhow::Result<()>
{
    let world = World::new().await?;
    let path = world.folder.join("jobs.toml");
    let file = std::fs::read_to_string(&path)?;
    std::fs::write(
        &path,
        format!("{file}\n[kinds.\"conversion.send\"]\nencrypt = true\n"),
    )?;
    let run = |arguments: &[&str]| -> anyhow::Result<(bool, String)> {
        let mut command = world.millpond(arguments)?;
        let output = command.env_remove("MILLPOND_ENCRYPTION_KEYS").output()?;
        Ok((output.status.success(), String::from_utf8(output.stderr)?))
    };

    let (is_right, said) = run(&["config", "check"])?;
    let (is_taken, at_start) = run(&["serve"])?;

    assert_eq!((is_right, is_taken), (true, false), "{said}{at_start}");
    for said in [said, at_start] {
        assert!(said.contains("MILLPOND_ENCRYPTION_KEYS"), "{said}");
    }
    Ok(())
}

#[tokio::test]
async fn a_wrong_environment_is_told_by_name_and_without_its_secret() -> anyhow::Result<()> {
    let world = World::new().await?;
    let run = |name: &str, value: &str| -> anyhow::Result<(Option<i32>, String)> {
        let output = world.millpond(&["serve"])?.env(name, value).output()?;
        Ok((output.status.code(), String::from_utf8(output.stderr)?))
    };

    for (name, value) in [
        ("DATABASE_URL", "mysql://root:hunter2@127.0.0.1/x"),
        ("MILLPOND_HTTP_ADDR", "hunter2"),
        ("MILLPOND_SMTP_URL", "ftp://user:hunter2@127.0.0.1"),
        ("MILLPOND_META_URL", "http://graph.example.com/"),
        ("MILLPOND_LOG_FORMAT", "xml"),
        ("MILLPOND_OUTBOUND_ALLOW", "everything"),
    ] {
        let (code, said) = run(name, value)?;
        assert_eq!(code, Some(2), "{name}: {said}");
        assert!(said.contains(name), "{name}: {said}");
        assert!(
            name == "MILLPOND_HTTP_ADDR" || !said.contains("hunter2"),
            "{name}: {said}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn commands_refuse_what_they_do_not_know() -> anyhow::Result<()> {
    let world = World::new().await?;

    for (arguments, code) in [
        (vec!["enqueue", "test.hok", "--payload", "{}"], 1),
        (vec!["enqueue", "test.hook", "--payload", "{"], 2),
        (vec!["enqueue"], 2),
        (vec!["jobs", "show", "nonsense"], 2),
        (
            vec!["jobs", "show", "01234567-0000-7000-8000-000000000000"],
            1,
        ),
        (vec!["dead", "replay"], 2),
        (vec!["dead", "discard", "--kind", "test.hook"], 2),
        (vec!["frobnicate"], 2),
        (vec!["queues", "pause", "nope"], 1),
    ] {
        let (got, said) = world.refused(&arguments)?;
        assert_eq!(got, code, "{arguments:?}: {said}");
        assert!(
            !said.trim().is_empty() && !said.contains("panicked"),
            "{arguments:?}: {said}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn doctor_tells_what_it_looked_at() -> anyhow::Result<()> {
    let world = World::new().await?;

    // Tests run on a server without fsync, which doctor must find.
    let output = world.millpond(&["--json", "doctor"])?.output()?;
    let findings: serde_json::Value = serde_json::from_slice(&output.stdout)?;

    assert_eq!(output.status.code(), Some(1), "{findings}");
    let findings = findings.to_string();
    assert!(
        findings.contains("\"schema\"") && findings.contains("fsync is off"),
        "{findings}"
    );
    Ok(())
}
