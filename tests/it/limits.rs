//! Limits of the fleet from outside: jobs of one key never meet, however many processes work and however they end.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Context;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::harness::{Client, World, eventually};

const PROCESSES: usize = 4;
const KEYS: usize = 50;
const JOBS: usize = 1_500;
/// How long each job takes; with the slots of four processes they take some seconds together.
const WORK: Duration = Duration::from_millis(80);
/// Largest request, and longest that a connection may take.
const LARGEST: usize = 64 * 1_024;
const LONGEST: Duration = Duration::from_secs(20);

const CONFIG: &str = r#"
[lease]
ttl = "2s"
renew_every = "500ms"

[worker]
drain = "3s"

[email]
from = "Millpond <jobs@example.com>"

[defaults]
max_attempts = 10
backoff = { strategy = "fixed", base = "1s", jitter = "none" }

[queues.default]
concurrency = 20

[kinds."test.hook"]
target = "RECEIVER"
timeout = "10s"
key = "account"
per_key_concurrency = 1
"#;

/// What the receiver saw.
#[derive(Default)]
struct Ledger {
    /// Calls under way, by key.
    open: HashMap<String, usize>,
    /// Keys of which two calls were under way at once.
    overlaps: Vec<String>,
    done: usize,
}

/// An upstream app's endpoint that takes its time and notes who is there at once.
#[derive(Clone, Default)]
struct Receiver(Arc<Mutex<Ledger>>);

impl Receiver {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, key: &str) {
        let mut ledger = self.ledger();
        let open = ledger.open.entry(key.to_owned()).or_default();
        *open += 1;
        if *open > 1 {
            ledger.overlaps.push(key.to_owned());
        }
    }

    fn end(&self, key: &str, is_done: bool) {
        let mut ledger = self.ledger();
        if let Some(open) = ledger.open.get_mut(key) {
            *open -= 1;
        }
        ledger.done += usize::from(is_done);
    }

    async fn accept(self, listener: TcpListener) {
        let mut calls = JoinSet::new();
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                continue;
            };
            while calls.try_join_next().is_some() {}
            let receiver = self.clone();
            calls.spawn(async move {
                // What a caller does wrong, or that it hangs up, is its own affair: the ledger has what matters.
                let _ = tokio::time::timeout(LONGEST, receiver.serve(stream)).await;
            });
        }
    }

    async fn serve(&self, mut stream: TcpStream) -> anyhow::Result<()> {
        let key = read_key(&mut stream).await?;
        self.begin(&key);
        let mut byte = [0];
        // The caller says nothing more while the work takes its time, unless it dies.
        let hung_up = tokio::time::timeout(WORK, stream.read(&mut byte)).await;
        let is_done = hung_up.is_err();
        self.end(&key, is_done);
        if is_done {
            let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
            stream.write_all(answer.as_bytes()).await?;
            stream.shutdown().await?;
        }
        Ok(())
    }
}

/// Reads one request whole and gives the key of its job.
async fn read_key(stream: &mut TcpStream) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    let mut chunk = vec![0; 4_096];
    loop {
        let length = stream.read(&mut chunk).await?;
        anyhow::ensure!(length > 0, "the caller hung up");
        bytes.extend_from_slice(&chunk[..length]);
        anyhow::ensure!(bytes.len() <= LARGEST, "the request is too large");
        let Some(end) = bytes.windows(4).position(|end| end == b"\r\n\r\n") else {
            continue;
        };
        // The body has no more than the job: it is whole once it is JSON.
        let Ok(body) = serde_json::from_slice::<Value>(&bytes[end + 4..]) else {
            continue;
        };
        let key = body["payload"]["account"].as_str().context("a key")?;
        return Ok(key.to_owned());
    }
}

async fn enqueue(client: &Client) -> anyhow::Result<()> {
    for begin in (0..JOBS).step_by(500) {
        let jobs: Vec<Value> = (begin..begin + 500)
            .map(|n| json!({"kind": "test.hook", "payload": {"account": format!("account {}", n % KEYS), "n": n}}))
            .collect();
        let answer = client
            .post("/v1/jobs/batch", &json!({"jobs": jobs, "atomic": true}))
            .await?;
        anyhow::ensure!(answer.status.is_success(), "not accepted: {answer:?}");
    }
    Ok(())
}

async fn count(world: &World, sql: &str) -> anyhow::Result<i64> {
    Ok(sqlx::query_scalar(sql)
        .fetch_one(&mut world.sql().await?)
        .await?)
}

// Fails when claims count a key's attempts before they have their turn, when a process that dies keeps the key or gives it
// up before its jobs were taken back, and when a parked job is forgotten.
#[tokio::test]
async fn jobs_of_one_key_never_meet_and_none_is_stuck_whoever_dies() -> anyhow::Result<()> {
    let world = World::new().await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}/work", listener.local_addr()?);
    let receiver = Receiver::default();
    let mut accepting = JoinSet::new();
    accepting.spawn(receiver.clone().accept(listener));
    let config = CONFIG.replace("RECEIVER", &address);
    std::fs::write(world.folder.join("jobs.toml"), config)?;
    let mut fleet = Vec::new();
    for _ in 0..PROCESSES {
        fleet.push(world.serve().await?);
    }

    enqueue(&fleet[0].1).await?;
    for done in [100, 500, 900, 1_200] {
        eventually("some more are done", || async {
            Ok((receiver.ledger().done >= done).then_some(()))
        })
        .await?;
        let (victim, _) = fleet.remove(0);
        victim.signal("KILL")?;
        fleet.push(world.serve().await?);
    }
    eventually("all jobs have ended", || async {
        let open = count(&world, "SELECT count(*) FROM millpond.jobs").await?;
        Ok((open == 0).then_some(()))
    })
    .await?;

    let overlaps = receiver.ledger().overlaps.clone();
    assert_eq!(overlaps, Vec::<String>::new());
    let succeeded = "SELECT count(*) FROM millpond.job_history WHERE state = 'succeeded'";
    assert_eq!(count(&world, succeeded).await?, i64::try_from(JOBS)?);
    Ok(())
}
