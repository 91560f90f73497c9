//! Millpond behind a real PgBouncer, which gives each transaction another server: whatever Millpond does must work there,
//! and `doctor` must say what is switched off.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    str::FromStr,
};

use anyhow::Context;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::harness::{
    Client, Program, World, eventually,
    world::{create_database, free_port},
};

/// Of each sort of job.
const HOOKS: usize = 1_000;
const REQUESTS: usize = 500;
const MAILS: usize = 300;
const EVENTS: usize = 200;
/// Calls of hooks that fail at first.
const FAILURES: usize = 100;

/// A PgBouncer of a test's own in front of the server of its world.
struct PgBouncer {
    port: u16,
    _program: Program,
}

impl PgBouncer {
    /// Starts it with further settings, and waits until it answers.
    async fn start(world: &World, settings: &str) -> anyhow::Result<Self> {
        Self::start_at(free_port()?, &world.folder, &world.database_url, settings).await
    }

    /// The same at this port, in front of the server of this address.
    async fn start_at(
        port: u16,
        folder: &Path,
        direct: &str,
        settings: &str,
    ) -> anyhow::Result<Self> {
        let server = PgConnectOptions::from_str(direct)?;
        let file = folder.join(format!("pgbouncer-{port}.ini"));
        fs::write(&file, config(&server, port, settings)?)?;
        let mut command = Command::new(program()?);
        command.arg(&file);
        let log = folder.join(format!("pgbouncer-{port}.log"));
        let pooler = Self {
            port,
            _program: Program::start(command, &log)?,
        };
        let way_in = options_by(port, direct)?;
        let waiting = eventually("PgBouncer answers", || async {
            Ok(match way_in.connect().await {
                Ok(connection) => {
                    connection.close().await?;
                    Some(())
                }
                Err(error) => error.as_database_error().map(|_| ()),
            })
        });
        let told = || fs::read_to_string(&log).unwrap_or_default();
        waiting.await.with_context(told)?;
        Ok(pooler)
    }

    fn url(&self, direct: &str) -> anyhow::Result<String> {
        url_by(self.port, direct)
    }
}

/// The way to a database by a port of this machine, where a pooler stands.
fn options_by(port: u16, direct: &str) -> anyhow::Result<PgConnectOptions> {
    let options = PgConnectOptions::from_str(direct)?;
    Ok(options
        .host("127.0.0.1")
        .port(port)
        .extra_float_digits(None::<i8>))
}

fn url_by(port: u16, direct: &str) -> anyhow::Result<String> {
    Ok(options_by(port, direct)?.to_url_lossy().to_string())
}

/// In the `PATH`, or where Debian keeps it, which is in root's `PATH` alone.
fn program() -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.push("/usr/sbin".into());
    folders
        .into_iter()
        .map(|folder| folder.join("pgbouncer"))
        .find(|program| program.is_file())
        .context("found no pgbouncer; `scripts/test tools` installs it")
}

fn config(server: &PgConnectOptions, port: u16, settings: &str) -> anyhow::Result<String> {
    let address = server.to_url_lossy();
    let password = address
        .password()
        .map_or_else(String::new, |password| format!(" password={password}"));
    // PgBouncer refuses to be root.
    let is_root = Command::new("id").arg("-u").output()?.stdout.trim_ascii() == b"0";
    let user = if is_root { "user = nobody\n" } else { "" };
    Ok(format!(
        "[databases]\n* = host={} port={} user={}{password}\n\
         [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
         max_client_conn = 500\n{user}{settings}",
        server.get_host(),
        server.get_port(),
        server.get_username(),
    ))
}

/// What `doctor` says.
fn doctor(world: &World) -> anyhow::Result<Vec<Value>> {
    findings(world.millpond(&["--json", "doctor"])?)
}

fn findings(mut doctor: Command) -> anyhow::Result<Vec<Value>> {
    let output = doctor.output()?;
    serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

/// What `doctor` says of the pooler, all in one.
fn said_of_the_pooler(findings: &[Value]) -> String {
    let of_pooler = findings
        .iter()
        .filter(|finding| finding["check"] == "pooler");
    of_pooler.map(|finding| format!("{finding}\n")).collect()
}

/// What troubled the engine of the processes of a world. Dead letters are no trouble.
fn troubles(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut troubles = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !name.starts_with("serve-") {
            continue;
        }
        let log = fs::read_to_string(&path)?;
        let odd = log.lines().filter(|line| {
            ["WARN queue", "ERROR queue", "ERROR sqlx"]
                .iter()
                .any(|mark| line.contains(mark))
                && !line.contains("is a dead letter")
        });
        troubles.extend(odd.map(str::to_owned));
    }
    Ok(troubles)
}

fn event(number: usize) -> Value {
    let elapsed = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    json!({"destination": "meta", "dataset_id": "1234567890", "event": {
        "event_name": "Purchase", "event_time": elapsed.as_secs() - 60, "event_id": format!("order-{number}"),
        "action_source": "website", "event_source_url": "https://shop.example.com/thanks",
        "user_data": {"em": "ada@example.com", "client_user_agent": "Mozilla/5.0"},
        "custom_data": {"value": 84.37, "currency": "USD"}}})
}

fn mail(number: usize) -> Value {
    json!({"template": "welcome", "to": format!("ada+{number}@example.com"), "data": {"name": "Ada"}})
}

/// Enqueues this many jobs of a kind, each in time for its request.
async fn enqueue(
    client: &Client,
    kind: &str,
    count: usize,
    payload: impl Fn(usize) -> Value,
) -> anyhow::Result<()> {
    let jobs: Vec<Value> = (0..count)
        .map(|n| json!({"kind": kind, "payload": payload(n)}))
        .collect();
    let answer = client
        .post("/v1/jobs/batch", &json!({"jobs": jobs}))
        .await?;
    anyhow::ensure!(answer.body["created"] == count, "{kind}: {answer:?}");
    Ok(())
}

/// What became of all jobs: (still to be done, succeeded, dead).
async fn tally(db: &mut PgConnection) -> anyhow::Result<(i64, i64, i64)> {
    let tally = "SELECT (SELECT count(*) FROM millpond.jobs),
                        (SELECT count(*) FROM millpond.job_history WHERE state = 'succeeded'),
                        (SELECT count(*) FROM millpond.dead_letters)";
    Ok(sqlx::query_as(tally).fetch_one(db).await?)
}

// Fails when statements are prepared on one server and run on another, with names or without.
#[tokio::test]
async fn two_thousand_jobs_settle_behind_a_pooler_in_transaction_mode() -> anyhow::Result<()> {
    let mut world = World::new().await?;
    world.allow_meta().await?;
    let direct = world.database_url.clone();
    let pooler =
        PgBouncer::start(&world, "pool_mode = transaction\ndefault_pool_size = 8\n").await?;
    world.database_url = pooler.url(&direct)?;
    let (_one, client) = world.serve().await?;
    let (_two, other) = world.serve().await?;
    world
        .fault(&json!({"target": "receiver:test", "times": FAILURES,
                       "fault": {"kind": "answer", "status": 500, "headers": {}, "body": "no"}}))
        .await?;

    let target = format!("{}/hooks/plain", world.sandbox.base());
    enqueue(&client, "test.hook", HOOKS, |n| json!({"n": n})).await?;
    enqueue(
        &other,
        "http.request",
        REQUESTS,
        |n| json!({"url": target, "body": {"n": n}}),
    )
    .await?;
    enqueue(&client, "email.send", MAILS, mail).await?;
    enqueue(&other, "conversion.send", EVENTS, event).await?;

    let all = i64::try_from(HOOKS + REQUESTS + MAILS + EVENTS)?;
    eventually("every job has ended", || async {
        let mut db = PgConnection::connect(&direct).await?;
        let (open, ..) = tally(&mut db).await?;
        Ok((open == 0).then_some(()))
    })
    .await?;
    let mut db = PgConnection::connect(&direct).await?;
    assert_eq!(tally(&mut db).await?, (0, all, 0));
    let failed: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM millpond.job_history h, jsonb_array_elements(h.attempts) AS a
          WHERE a ->> 'outcome' = 'failed'",
    )
    .fetch_one(&mut db)
    .await?;
    assert_eq!(failed, i64::try_from(FAILURES)?);
    assert_eq!(troubles(&world.folder)?, Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn every_action_works_behind_a_pooler_in_transaction_mode() -> anyhow::Result<()> {
    let mut world = World::new().await?;
    let direct = world.database_url.clone();
    let pooler =
        PgBouncer::start(&world, "pool_mode = transaction\ndefault_pool_size = 8\n").await?;
    world.database_url = pooler.url(&direct)?;
    let (_program, client) = world.serve().await?;

    repeat_a_request(&client).await?;
    pause_and_resume(&world, &client).await?;
    cancel_what_runs(&world, &client).await?;
    replay_what_died(&world, &client).await?;
    let findings = doctor(&world)?;

    let told = said_of_the_pooler(&findings);
    assert!(told.contains("switched off: hearing"), "{told}");
    assert!(told.contains("SET statement_timeout = '10s'"), "{told}");
    let errors: Vec<&Value> = findings
        .iter()
        .filter(|finding| finding["severity"] == "error" && finding["check"] != "settings")
        .collect();
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(troubles(&world.folder)?, Vec::<String>::new());
    Ok(())
}

/// The same request twice is one job, and so are two that are unique by the same key.
async fn repeat_a_request(client: &Client) -> anyhow::Result<()> {
    let body =
        json!({"kind": "email.send", "payload": mail(0), "delay": "1h", "unique": {"key": "once"}});
    let once = || {
        let request = client.request(Method::POST, "/v1/jobs");
        client.send(request.header("idempotency-key", "once").json(&body))
    };
    let (first, again) = (once().await?, once().await?);
    let unique = client.post("/v1/jobs", &body).await?;

    assert_eq!(first.status, StatusCode::CREATED, "{first:?}");
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    assert_eq!(
        (unique.status, &unique.body["id"]),
        (StatusCode::OK, &first.body["id"])
    );
    Ok(())
}

/// A job of a paused queue waits while others run.
async fn pause_and_resume(world: &World, client: &Client) -> anyhow::Result<()> {
    world.command(&["queues", "pause", "email", "--reason", "quiet"])?;
    let waits = client
        .enqueue(&json!({"kind": "email.send", "payload": mail(1)}))
        .await?;
    let runs = client
        .enqueue(&json!({"kind": "test.hook", "payload": {}}))
        .await?;
    client.in_state(&runs, "succeeded").await?;
    client.in_state(&waits, "ready").await?;

    world.command(&["queues", "resume", "email"])?;
    client.in_state(&waits, "succeeded").await?;
    Ok(())
}

/// Nobody rings for a running job here; its process finds out by asking.
async fn cancel_what_runs(world: &World, client: &Client) -> anyhow::Result<()> {
    let hang = json!({"target": "receiver:test", "fault": {"kind": "hang", "wait_ms": 30_000}, "times": 1});
    world.fault(&hang).await?;
    let id = client
        .enqueue(&json!({"kind": "test.hook", "payload": {}}))
        .await?;
    client.in_state(&id, "running").await?;

    let answer = client
        .post(&format!("/v1/jobs/{id}/cancel"), &json!({}))
        .await?;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    client.in_state(&id, "cancelled").await?;
    Ok(())
}

async fn replay_what_died(world: &World, client: &Client) -> anyhow::Result<()> {
    let refuse = json!({"target": "receiver:test", "times": 1,
                        "fault": {"kind": "answer", "status": 404, "headers": {}, "body": "no"}});
    world.fault(&refuse).await?;
    let id = client
        .enqueue(&json!({"kind": "test.hook", "payload": {}}))
        .await?;
    client.in_state(&id, "dead").await?;

    world.command(&[
        "dead",
        "replay",
        "--kind",
        "test.hook",
        "--reason",
        "mended",
    ])?;
    let replayed = eventually("the dead letter is replayed", || async {
        let letter = client.get(&format!("/v1/dead-letters/{id}")).await?.body;
        Ok(letter["replayed_as"].as_str().map(str::to_owned))
    })
    .await?;
    client.in_state(&replayed, "succeeded").await?;
    Ok(())
}

// Fails when a lock or a setting of a session is taken to hold for the next statement.
#[tokio::test]
async fn migrations_run_behind_a_pooler_in_transaction_mode_once() -> anyhow::Result<()> {
    let mut world = World::new().await?;
    let pooler = PgBouncer::start(&world, "pool_mode = transaction\n").await?;
    let name = format!("millpond_test_{}", uuid::Uuid::new_v4().simple());
    world.database_url = pooler.url(&create_database(&name).await?)?;
    let migrate = || -> anyhow::Result<_> {
        let command = world.millpond(&["--json", "migrate"])?;
        Ok(tokio::process::Command::from(command).output())
    };

    let (one, two) = tokio::join!(migrate()?, migrate()?);

    for output in [one?, two?] {
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{error}");
    }
    world.command(&["migrate", "--check"])?;
    Ok(())
}

// Fails when a pooler is found by what it refuses alone, or taken for another sort of pooler.
#[tokio::test]
async fn each_sort_of_pooler_is_known_for_what_it_is() -> anyhow::Result<()> {
    let mut world = World::new().await?;
    let direct = world.database_url.clone();
    let ignoring = "ignore_startup_parameters = extra_float_digits, options\n";
    for (settings, expected) in [
        ("pool_mode = session\n".to_owned(), "session mode"),
        (format!("pool_mode = session\n{ignoring}"), "session mode"),
        ("pool_mode = transaction\n".to_owned(), "transaction mode"),
        (
            format!("pool_mode = transaction\n{ignoring}"),
            "transaction mode",
        ),
        (
            "pool_mode = transaction\ndefault_pool_size = 1\n".to_owned(),
            "transaction mode",
        ),
    ] {
        let pooler = PgBouncer::start(&world, &settings).await?;
        world.database_url = pooler.url(&direct)?;

        let told = said_of_the_pooler(&doctor(&world)?);

        assert!(told.contains(expected), "{settings}: {told}");
        world.database_url = direct.clone();
    }
    let told = said_of_the_pooler(&doctor(&world)?);
    assert!(told.contains("none between"), "{told}");
    Ok(())
}

#[tokio::test]
async fn work_is_done_behind_a_pooler_in_session_mode() -> anyhow::Result<()> {
    let mut world = World::new().await?;
    let direct = world.database_url.clone();
    let pooler = PgBouncer::start(&world, "pool_mode = session\ndefault_pool_size = 60\n").await?;
    world.database_url = pooler.url(&direct)?;
    let (_program, client) = world.serve().await?;

    let id = client
        .enqueue(&json!({"kind": "email.send", "payload": mail(0)}))
        .await?;

    client.in_state(&id, "succeeded").await?;
    assert_eq!(troubles(&world.folder)?, Vec::<String>::new());
    Ok(())
}

// Fails when a process goes straight for all its life because nobody answered when it started.
#[tokio::test]
async fn a_process_that_was_there_before_its_pooler_works_once_that_is() -> anyhow::Result<()> {
    for mode in ["transaction", "session"] {
        let mut world = World::new().await?;
        let key = world.key(&["enqueue", "read"], None)?;
        let direct = world.database_url.clone();
        let (http, port) = (format!("127.0.0.1:{}", free_port()?), free_port()?);
        world.database_url = url_by(port, &direct)?;
        let mut serve = world.millpond(&["serve"])?;
        serve.env("MILLPOND_HTTP_ADDR", &http);
        let _program = Program::start(serve, &world.folder.join("serve-early.log"))?;
        let client = Client::new(format!("http://{http}"), key)?;
        eventually("it serves", || async {
            Ok(client.bare(Method::GET, "/livez").send().await.ok())
        })
        .await?;

        let settings = format!("pool_mode = {mode}\ndefault_pool_size = 60\n");
        let _pooler = PgBouncer::start_at(port, &world.folder, &direct, &settings).await?;
        let id = eventually("it takes a job", || async {
            let body = json!({"kind": "email.send", "payload": mail(0)});
            let answer = client.post("/v1/jobs", &body).await?;
            Ok(answer.body["id"].as_str().map(str::to_owned))
        })
        .await?;

        client.in_state(&id, "succeeded").await?;
    }
    Ok(())
}

// Fails when connections that keep their servers by chance are taken for sessions: each look meets the servers in the same
// order.
#[tokio::test]
async fn servers_that_take_turns_are_no_sessions() -> anyhow::Result<()> {
    let mut world = World::new().await?;
    let direct = world.database_url.clone();
    let settings = "pool_mode = transaction\nserver_round_robin = 1\n";
    let pooler = PgBouncer::start(&world, settings).await?;
    let way_in = options_by(pooler.port, &direct)?;
    let (mut one, mut two) = (way_in.connect().await?, way_in.connect().await?);
    let both = (one.begin().await?, two.begin().await?);
    both.0.commit().await?;
    both.1.commit().await?;
    world.database_url = pooler.url(&direct)?;

    let told = said_of_the_pooler(&doctor(&world)?);

    assert!(told.contains("transaction mode"), "{told}");
    Ok(())
}

/// Passes connections on to these ports, in turn.
async fn share(door: TcpListener, ports: [u16; 2]) -> io::Result<()> {
    let mut connections: JoinSet<io::Result<()>> = JoinSet::new();
    for port in ports.into_iter().cycle() {
        let (mut client, _) = door.accept().await?;
        connections.spawn(async move {
            let mut pooler = TcpStream::connect(("127.0.0.1", port)).await?;
            copy_bidirectional(&mut client, &mut pooler).await?;
            Ok(())
        });
    }
    Ok(())
}

// Fails when connections that share no server, since they share no pooler, are taken for sessions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn poolers_that_share_an_address_are_no_sessions() -> anyhow::Result<()> {
    let mut world = World::new().await?;
    let one = PgBouncer::start(&world, "pool_mode = transaction\n").await?;
    let two = PgBouncer::start(&world, "pool_mode = transaction\n").await?;
    let door = TcpListener::bind("127.0.0.1:0").await?;
    world.database_url = url_by(door.local_addr()?.port(), &world.database_url)?;
    let mut sharing = JoinSet::new();
    sharing.spawn(share(door, [one.port, two.port]));

    let told = said_of_the_pooler(&doctor(&world)?);

    assert!(told.contains("transaction mode"), "{told}");
    Ok(())
}

// Fails when the password is looked up for the port of the bridge, for which no file has one.
#[tokio::test]
async fn a_password_from_a_file_serves_behind_a_pooler_in_transaction_mode() -> anyhow::Result<()> {
    let world = World::new().await?;
    let users = world.folder.join("users.txt");
    fs::write(&users, "\"ada\" \"fake-password\"\n")?;
    let settings = format!(
        "pool_mode = transaction\nauth_type = plain\nauth_file = {}\n",
        users.display()
    );
    let pooler = PgBouncer::start(&world, &settings).await?;
    let passwords = world.folder.join("pgpass");
    let line = format!("127.0.0.1:{}:*:ada:fake-password\n", pooler.port);
    fs::write(&passwords, line)?;
    fs::set_permissions(&passwords, Permissions::from_mode(0o600))?;
    let database = PgConnectOptions::from_str(&world.database_url)?;
    let database = database.get_database().context("it has a name")?;
    let url = format!("postgres://ada@127.0.0.1:{}/{database}", pooler.port);

    let mut command = world.millpond(&["--json", "doctor"])?;
    command
        .env("DATABASE_URL", url)
        .env("PGPASSFILE", &passwords)
        .env_remove("PGPASSWORD");
    let told = said_of_the_pooler(&findings(command)?);

    assert!(told.contains("transaction mode"), "{told}");
    Ok(())
}
