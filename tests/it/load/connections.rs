//! A thousand connections that do nothing, or next to nothing.

use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{interval, timeout},
};

use super::{
    enqueue_for_later, p99,
    process::{Process, allow_files},
};
use crate::harness::{Client, World};

/// Connections that asked once and are kept alive.
const IDLE: usize = 800;
/// Connections whose request never ends: a byte at a time, until the server cuts them.
const SLOW: usize = 200;
/// How often the slow ones send a byte.
const TRICKLE: Duration = Duration::from_millis(500);
/// How often a thousand connections are opened and closed.
const WAVES: usize = 3;
/// Most memory that a thousand connections may take.
const MOST_KIB: u64 = 64 * 1_024;
/// Most memory that later ones may take beyond the first ones.
const MOST_MORE_KIB: u64 = 16 * 1_024;
/// What noise alone may do to the slowest calls.
const NOISE: Duration = Duration::from_millis(100);

/// A request whose answer keeps the connection.
const WHOLE: &[u8] = b"GET /livez HTTP/1.1\r\nhost: millpond.test\r\n\r\n";
/// A request without an end.
const HALF: &[u8] = b"POST /v1/jobs HTTP/1.1\r\nhost: millpond.test\r\nx-endless: ";

async fn open_idle(address: &str) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(WHOLE).await?;
    let read = timeout(Duration::from_secs(30), stream.read(&mut [0; 4_096])).await;
    anyhow::ensure!(read?? > 0, "the server answers before it closes");
    Ok(stream)
}

/// Sends byte after byte until the server has enough.
async fn trickle(mut stream: TcpStream) {
    let mut tick = interval(TRICKLE);
    loop {
        tick.tick().await;
        if stream.write_all(b"x").await.is_err() {
            return;
        }
    }
}

/// Connections that are open for as long as this lives.
struct Crowd {
    _idle: Vec<TcpStream>,
    _slow: JoinSet<()>,
}

impl Crowd {
    async fn gather(address: &str) -> anyhow::Result<Self> {
        let mut slow = JoinSet::new();
        for _ in 0..SLOW {
            let mut stream = TcpStream::connect(address).await?;
            stream.write_all(HALF).await?;
            slow.spawn(trickle(stream));
        }
        let mut idle = Vec::with_capacity(IDLE);
        for _ in 0..IDLE {
            idle.push(open_idle(address).await?);
        }
        Ok(Self {
            _idle: idle,
            _slow: slow,
        })
    }
}

/// What the slowest of some calls took, one after the other.
async fn slowest_calls(client: &Client) -> anyhow::Result<Duration> {
    let mut took = Vec::new();
    for _ in 0..200 {
        let answer = enqueue_for_later(client).await?;
        anyhow::ensure!(answer.id.is_some(), "refused: {answer:?}");
        took.push(answer.took);
    }
    Ok(p99(took))
}

// Fails when a connection keeps what its requests needed, when closed ones are not forgotten, and when others wait for
// a slow one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_idle_and_slow_connections_take_little_and_delay_nobody() -> anyhow::Result<()> {
    allow_files()?;
    let world = World::new().await?;
    let (_program, client) = world.serve().await?;
    let process = Process::only(&world).await?;
    let address = client
        .base()
        .strip_prefix("http://")
        .context("a plain address")?;
    let alone = slowest_calls(&client).await?;
    let before_kib = process.resident_kib()?;

    let mut waves_kib = Vec::new();
    let mut crowded = Duration::ZERO;
    for _ in 0..WAVES {
        let crowd = Crowd::gather(address).await?;
        crowded = crowded.max(slowest_calls(&client).await?);
        waves_kib.push(process.resident_kib()?.saturating_sub(before_kib));
        drop(crowd);
    }

    let most_kib = waves_kib.iter().max().copied().unwrap_or_default();
    assert!(most_kib <= MOST_KIB, "KiB of each wave: {waves_kib:?}");
    let more_kib = most_kib.saturating_sub(waves_kib.first().copied().unwrap_or_default());
    assert!(more_kib <= MOST_MORE_KIB, "KiB of each wave: {waves_kib:?}");
    assert!(crowded <= NOISE.max(4 * alone), "{crowded:?}, {alone:?}");
    Ok(())
}

// Fails when the head of a request has no deadline of its own.
#[tokio::test]
async fn a_request_that_never_ends_is_cut_while_its_bytes_still_come() -> anyhow::Result<()> {
    let world = World::new().await?;
    let (_program, client) = world.serve().await?;
    let address = client
        .base()
        .strip_prefix("http://")
        .context("a plain address")?;
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(HALF).await?;

    let began = Instant::now();
    let cut = timeout(Duration::from_secs(25), trickle(stream)).await;

    assert!(cut.is_ok(), "still open after {:?}", began.elapsed());
    Ok(())
}
