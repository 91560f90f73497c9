//! A configuration that is alive: saves, garbage, overrides and roll-backs while processes work.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::Connection;

use crate::harness::{Client, Program, World, eventually, world::free_port};

/// Within this time a save takes effect in every process.
const SOON: Duration = Duration::from_secs(5);
/// Between two jobs that are enqueued while the configuration changes.
const PACE: Duration = Duration::from_millis(10);
const CONCURRENCY: &str = "queues.default.concurrency";

fn file(world: &World) -> PathBuf {
    world.folder.join("jobs.toml")
}

/// The world's own file with so many slots for its kind.
fn with_slots(base: &str, slots: u32) -> String {
    format!("{base}\n[queues.default]\nconcurrency = {slots}\n")
}

async fn shown(client: &Client) -> anyhow::Result<Value> {
    Ok(client.get("/v1/config").await?.body)
}

fn value<'a>(shown: &'a Value, key: &str) -> Option<&'a Value> {
    let values = shown["effective"].as_array()?;
    let found = values.iter().find(|value| value["key"] == key)?;
    Some(&found["value"])
}

/// Waits until all of these processes have so many slots for the kind.
async fn have_slots(clients: &[&Client], slots: u32) -> anyhow::Result<()> {
    for client in clients {
        eventually(&format!("{} has {slots} slots", client.base()), || async {
            let shown = shown(client).await?;
            Ok((value(&shown, CONCURRENCY) == Some(&json!(slots))).then_some(()))
        })
        .await?;
    }
    Ok(())
}

/// Waits until the process says that its file is wrong, and gives what it says.
async fn rejects(client: &Client) -> anyhow::Result<Value> {
    eventually("the file is rejected", || async {
        let rejected = shown(client).await?["rejected"].clone();
        Ok(rejected.is_object().then_some(rejected))
    })
    .await
}

async fn accepts(client: &Client) -> anyhow::Result<()> {
    eventually("nothing is rejected", || async {
        Ok(shown(client).await?["rejected"].is_null().then_some(()))
    })
    .await
}

async fn rejections(client: &Client) -> anyhow::Result<f64> {
    let name = "millpond_config_reloads_total";
    client.metric(name, "outcome=\"rejected\"").await
}

async fn workers(client: &Client) -> anyhow::Result<Vec<Value>> {
    let workers = client.get("/v1/workers").await?.body;
    workers["items"].as_array().cloned().context("a list")
}

fn ids(workers: &[Value]) -> Vec<String> {
    let mut ids: Vec<String> = workers
        .iter()
        .map(|worker| worker["id"].to_string())
        .collect();
    ids.sort_unstable();
    ids
}

/// Puts a file in the place of another in one step, as editors do.
fn rename_over(path: &Path, text: &str) -> anyhow::Result<()> {
    let beside = path.with_extension("new");
    fs::write(&beside, text)?;
    Ok(fs::rename(beside, path)?)
}

// Fails when a process keeps a number of its start, when only one of them looks at the file, and when a change restarts
// a worker or ends an attempt.
#[tokio::test]
async fn a_save_under_load_takes_effect_everywhere_and_loses_nothing() -> anyhow::Result<()> {
    let world = World::new().await?;
    let base = fs::read_to_string(file(&world))?;
    let (_one, first) = world.serve().await?;
    let (_two, second) = world.serve().await?;
    let before = eventually("both work", || async {
        let ids = ids(&workers(&first).await?);
        Ok((ids.len() == 2).then_some(ids))
    })
    .await?;
    let enough = Arc::new(AtomicBool::new(false));
    let load = tokio::spawn(enqueue_until(first.clone(), Arc::clone(&enough)));

    let saved = Instant::now();
    let backoff = "backoff = { strategy = \"fixed\", base = \"1h\", jitter = \"none\" }";
    fs::write(file(&world), format!("{}{backoff}\n", with_slots(&base, 3)))?;
    have_slots(&[&first, &second], 3).await?;
    let took = saved.elapsed();
    let after = eventually("both workers go by it", || async {
        let workers = workers(&first).await?;
        let is_new =
            |worker: &Value| worker["config_revision"] == 2 && worker["slots"]["default"] == 3;
        Ok(workers.iter().all(is_new).then_some(workers))
    })
    .await?;
    enough.store(true, Ordering::Relaxed);
    let accepted = load.await??;
    eventually("all jobs are done", || async {
        let mut db = world.sql().await?;
        let done: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM millpond.job_history WHERE kind = 'test.hook' AND state = 'succeeded'",
        )
        .fetch_one(&mut db)
        .await?;
        Ok((done == accepted).then_some(()))
    })
    .await?;
    let fault = json!({"target": "receiver:test", "times": 1,
        "fault": {"kind": "answer", "status": 500, "headers": {}, "body": "no"}});
    world.fault(&fault).await?;
    let job = json!({"kind": "test.hook", "payload": {}});
    let failing = first.enqueue(&job).await?;
    first.in_state(&failing, "retrying").await?;
    let mut db = world.sql().await?;
    let waits: bool = sqlx::query_scalar(
        "SELECT run_at > now() + interval '50 minutes' FROM millpond.jobs WHERE state = 'retrying'",
    )
    .fetch_one(&mut db)
    .await?;

    assert!(took < SOON, "{took:?}");
    assert!(accepted > 0);
    assert_eq!(ids(&after), before);
    assert!(waits, "the new backoff holds");
    for client in [&first, &second] {
        assert_eq!(client.metric("millpond_config_revision", "").await?, 2.0);
        assert!(shown(client).await?["needs_restart"] == json!([]));
    }
    Ok(())
}

/// Enqueues one job after the other until it is enough, and tells how many.
async fn enqueue_until(client: Client, enough: Arc<AtomicBool>) -> anyhow::Result<i64> {
    let mut pace = tokio::time::interval(PACE);
    let mut accepted = 0;
    while !enough.load(Ordering::Relaxed) {
        pace.tick().await;
        client
            .enqueue(&json!({"kind": "test.hook", "payload": {}}))
            .await?;
        accepted += 1;
    }
    Ok(accepted)
}

// Fails when a file is taken before it was read right, when a wrong one makes the process unready or empties what holds,
// and when nobody is told where it is wrong.
#[tokio::test]
async fn garbage_changes_nothing_and_is_told_with_its_place() -> anyhow::Result<()> {
    let world = World::new().await?;
    let base = fs::read_to_string(file(&world))?;
    let (_program, client) = world.serve().await?;
    let before = shown(&client).await?;
    let wrong = format!("{base}\n[queues.sync]\nconcurency = 3\n");
    let line = wrong.lines().count();

    fs::write(file(&world), &wrong)?;
    let rejected = rejects(&client).await?;
    let during = shown(&client).await?;
    let ready = client.send(client.bare(Method::GET, "/readyz")).await?;
    let counted = rejections(&client).await?;
    fs::write(file(&world), &base)?;
    accepts(&client).await?;

    let told = rejected["problems"][0].as_str().unwrap_or_default();
    let expected = format!("jobs.toml:{line}:1: unknown key \"concurency\" in [queues.sync]");
    assert!(told.starts_with(&expected), "{told}");
    assert_eq!(during["effective"], before["effective"]);
    assert_eq!(during["revision"], before["revision"]);
    assert_eq!(ready.status, 200);
    assert!(ready.body["detail"].is_string(), "{ready:?}");
    assert_eq!(counted, 1.0);
    assert_eq!(shown(&client).await?["revision"], before["revision"]);
    let port = client.base().rsplit(':').next().unwrap_or_default();
    let log = fs::read_to_string(world.folder.join(format!("serve-{port}.log")))?;
    assert_eq!(log.matches(&expected).count(), 1, "{log}");
    Ok(())
}

// Fault F27. Fails when files are watched instead of read, when one look is enough to take a file, and when a file that
// is gone or cannot be read counts as an empty one.
#[tokio::test]
async fn every_way_to_save_takes_effect_and_no_half_of_one() -> anyhow::Result<()> {
    let world = World::new().await?;
    let base = fs::read_to_string(file(&world))?;
    let (_program, client) = world.serve().await?;
    let path = file(&world);

    fs::write(&path, "")?;
    let empty = rejects(&client).await?;
    fs::write(&path, with_slots(&base, 2))?;
    have_slots(&[&client], 2).await?;
    accepts(&client).await?;

    rename_over(&path, &with_slots(&base, 3))?;
    have_slots(&[&client], 3).await?;

    fs::write(
        &path,
        [&with_slots(&base, 4).into_bytes()[..], &[0xff, 0xfe]].concat(),
    )?;
    let no_text = rejects(&client).await?;
    fs::remove_file(&path)?;
    fs::create_dir(&path)?;
    let no_file = eventually("the folder is rejected", || async {
        let rejected = rejects(&client).await?;
        Ok((rejected != no_text).then_some(rejected))
    })
    .await?;
    fs::remove_dir(&path)?;
    fs::write(&path, with_slots(&base, 5))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000))?;
    let is_locked = fs::read(&path).is_err();
    if is_locked {
        rejects(&client).await?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    }
    have_slots(&[&client], 5).await?;
    accepts(&client).await?;

    let problem = |rejected: &Value| rejected["problems"][0].to_string();
    assert!(problem(&empty).contains("is empty"), "{empty}");
    assert!(
        problem(&no_text).contains("is not UTF-8 from byte"),
        "{no_text}"
    );
    assert!(problem(&no_file).contains("cannot be read"), "{no_file}");
    let revisions = client.get("/v1/config/revisions").await?.body;
    assert_eq!(revisions["items"].as_array().map(Vec::len), Some(4));
    Ok(())
}

#[tokio::test]
async fn links_are_swapped_as_orchestrators_do_and_a_file_may_go() -> anyhow::Result<()> {
    let world = World::new().await?;
    let base = fs::read_to_string(file(&world))?;
    let mounted = world.folder.join("mounted");
    for version in ["v1", "v2"] {
        fs::create_dir_all(mounted.join(version))?;
    }
    fs::write(mounted.join("v1/jobs.toml"), with_slots(&base, 2))?;
    fs::write(mounted.join("v2/jobs.toml"), with_slots(&base, 3))?;
    symlink("v1", mounted.join("..data"))?;
    symlink("..data/jobs.toml", mounted.join("jobs.toml"))?;
    let path = mounted.join("jobs.toml").display().to_string();
    let (_program, client) = world.serve_with(&["--config", &path]).await?;
    have_slots(&[&client], 2).await?;

    symlink("v2", mounted.join("..data_tmp"))?;
    fs::rename(mounted.join("..data_tmp"), mounted.join("..data"))?;
    have_slots(&[&client], 3).await?;
    fs::remove_file(mounted.join("jobs.toml"))?;
    eventually("the log tells that it is gone", || async {
        let port = client.base().rsplit(':').next().unwrap_or_default();
        let log = fs::read_to_string(world.folder.join(format!("serve-{port}.log")))?;
        Ok(log.contains("is gone: what it said holds on").then_some(()))
    })
    .await?;
    let gone = shown(&client).await?;
    fs::write(mounted.join("jobs.toml"), with_slots(&base, 4))?;
    have_slots(&[&client], 4).await?;

    assert_eq!(value(&gone, CONCURRENCY), Some(&json!(3)));
    assert!(gone["rejected"].is_null());
    Ok(())
}

// Fails when the text of one file is taken for the fleet's without a look at what became newest meanwhile.
#[tokio::test]
async fn two_files_that_are_saved_at_once_leave_one_that_holds() -> anyhow::Result<()> {
    let world = World::new().await?;
    let base = fs::read_to_string(file(&world))?;
    let files = ["a.toml", "b.toml"].map(|name| world.folder.join(name));
    for path in &files {
        fs::write(path, &base)?;
    }
    let paths = files.each_ref().map(|path| path.display().to_string());
    let (_one, first) = world.serve_with(&["--config", &paths[0]]).await?;
    let (_two, second) = world.serve_with(&["--config", &paths[1]]).await?;

    fs::write(&files[0], with_slots(&base, 2))?;
    fs::write(&files[1], with_slots(&base, 3))?;
    let (one, two) = eventually("both revisions are there and one holds", || async {
        let (one, two) = (shown(&first).await?, shown(&second).await?);
        let is_settled = one["revision"] == 3 && two["revision"] == 3;
        Ok(is_settled.then_some((one, two)))
    })
    .await?;

    let slots = value(&one, CONCURRENCY);
    assert_eq!(slots, value(&two, CONCURRENCY));
    assert!(
        [Some(&json!(2)), Some(&json!(3))].contains(&slots),
        "{slots:?}"
    );
    Ok(())
}

#[tokio::test]
async fn an_override_ends_by_itself_and_a_revision_is_rolled_back() -> anyhow::Result<()> {
    let world = World::new().await?;
    let base = fs::read_to_string(file(&world))?;
    fs::write(file(&world), with_slots(&base, 6))?;
    let (_one, first) = world.serve().await?;
    let (_two, second) = world.serve().await?;
    let both = [&first, &second];

    let assignment = format!("{CONCURRENCY}=2");
    world.command(&[
        "config",
        "set",
        &assignment,
        "--for",
        "6s",
        "--reason",
        "quota",
    ])?;
    have_slots(&both, 2).await?;
    let effective = world.command(&["config", "effective"])?;
    have_slots(&both, 6).await?;
    world.command(&["config", "set", &assignment, "--for", "1h"])?;
    have_slots(&both, 2).await?;
    world.command(&["config", "unset", CONCURRENCY])?;
    have_slots(&both, 6).await?;

    fs::write(world.folder.join("other.toml"), with_slots(&base, 7))?;
    let applied = world.command(&["config", "apply", "other.toml", "--reason", "more"])?;
    have_slots(&both, 7).await?;
    world.command(&["config", "apply", "--revision", "1", "--reason", "back"])?;
    have_slots(&both, 6).await?;
    let history = world.command(&["config", "history"])?;
    let (code, refused) = world.refused(&[
        "config",
        "set",
        "queues.default.concurency=2",
        "--for",
        "1h",
    ])?;
    let (wrong, told) = world.refused(&["config", "apply", "/nowhere.toml"])?;

    let line = effective.lines().find(|line| line.starts_with(CONCURRENCY));
    let line = line.unwrap_or_default();
    assert!(line.contains("= 2 # override by cli "), "{line}");
    assert!(applied.starts_with("revision 2 is in force"), "{applied}");
    assert_eq!(history.lines().count(), 4, "{history}");
    assert!(
        history.contains("back") && history.contains("more"),
        "{history}"
    );
    assert!(history.contains(CONCURRENCY), "{history}");
    assert_eq!((code, wrong), (2, 2), "{refused}{told}");
    assert!(
        refused.contains("did you mean \"concurrency\"?"),
        "{refused}"
    );
    Ok(())
}

// Fails when a text that somebody applies is taken by processes that could not start with it, which then end at their
// next start.
#[tokio::test]
async fn what_a_process_could_not_start_with_is_told_there_and_it_starts_with_what_held()
-> anyhow::Result<()> {
    let world = World::new().await?;
    let base = fs::read_to_string(file(&world))?;
    let (_one, first) = world.serve().await?;
    let far = "[kinds.\"test.far\"]\ntarget = \"https://10.1.2.3/jobs\"\n";
    fs::write(world.folder.join("far.toml"), format!("{base}{far}"))?;

    world.command(&["config", "apply", "far.toml"])?;
    let rejected = rejects(&first).await?;
    let ready = first.send(first.bare(Method::GET, "/readyz")).await?;
    let (_two, second) = world.serve().await?;

    let told = rejected["problems"][0].as_str().unwrap_or_default();
    let expected = "revision 2: the target of test.far, https://10.1.2.3/jobs, is never called";
    assert!(told.starts_with(expected), "{told}");
    assert_eq!(ready.status, 200);
    assert!(ready.body["detail"].is_string(), "{ready:?}");
    for client in [&first, &second] {
        let shown = shown(client).await?;
        assert_eq!(shown["revision"], 1);
        assert_eq!(shown["rejected"]["source"], "revision 2");
        assert_eq!(rejections(client).await?, 1.0);
    }
    Ok(())
}

// Fails when workers begin by a file that was read while the database did not answer.
#[tokio::test]
async fn no_work_begins_before_the_newest_revision_was_read() -> anyhow::Result<()> {
    let world = World::new().await?;
    let base = fs::read_to_string(file(&world))?;
    fs::write(world.folder.join("other.toml"), with_slots(&base, 3))?;
    world.command(&["config", "apply"])?;
    world.command(&["config", "apply", "other.toml"])?;
    let mut db = world.sql().await?;
    let mut lock = db.begin().await?;
    sqlx::query("LOCK TABLE millpond.config_state IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *lock)
        .await?;

    let mut command = world.millpond(&["serve"])?;
    command.env("MILLPOND_HTTP_ADDR", format!("127.0.0.1:{}", free_port()?));
    let log = world.folder.join("serve.log");
    let _program = Program::start(command, &log)?;
    eventually("it asks in vain what holds", || async {
        let log = fs::read_to_string(&log).unwrap_or_default();
        Ok(log.contains("could not be kept in step").then_some(()))
    })
    .await?;
    let early = revisions_of_workers(&world).await?;
    lock.rollback().await?;
    let after = eventually("it works", || async {
        let workers = revisions_of_workers(&world).await?;
        Ok((!workers.is_empty()).then_some(workers))
    })
    .await?;

    assert!(early.is_empty(), "{early:?}");
    assert_eq!(after, [Some(2)]);
    Ok(())
}

/// By which revision each worker goes.
async fn revisions_of_workers(world: &World) -> anyhow::Result<Vec<Option<i64>>> {
    let revisions = sqlx::query_scalar("SELECT config_revision FROM millpond.workers");
    Ok(revisions.fetch_all(&mut world.sql().await?).await?)
}

// Fails when a file or the defaults are shown for what is in force.
#[tokio::test]
async fn what_this_release_cannot_read_is_not_shown_as_in_force() -> anyhow::Result<()> {
    let world = World::new().await?;
    world.command(&["config", "apply"])?;
    let mut db = world.sql().await?;
    sqlx::raw_sql(
        "INSERT INTO millpond.config_revisions (content_hash, text, source, author, changed)
         VALUES ('\\x00', 'from_the_future = 1', 'file', 'newer', '{}');
         UPDATE millpond.config_state SET change = change + 1",
    )
    .execute(&mut db)
    .await?;

    let (code, told) = world.refused(&["config", "effective"])?;

    assert_eq!(code, 1, "{told}");
    for part in [
        "revision 2:1:1: unknown key \"from_the_future\"",
        "revision 2 of the configuration is in force, and this release cannot read it",
        "this is revision 1,",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    Ok(())
}
