//! The load generator: connections that are kept alive, each sending the next request when the last one is answered. It
//! runs on a thread of its own, so that it shares no scheduler with the server that it measures.

use std::{
    net::SocketAddr,
    ops::Range,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use queue::bench::{per_second, percentile};
use secrecy::{ExposeSecret, SecretString};
use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinSet, time::timeout};

use super::wire::Messages;

/// Longest that a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// How much longer than the round its last answer may take.
const GRACE: Duration = Duration::from_secs(15);
/// Where an idempotency key stands in a request, before it is filled in.
const BLANK_KEY: &str = "00000000000000000000000000000000";

/// A request that is sent again and again.
#[derive(Debug, Clone)]
pub(super) struct Request {
    bytes: Vec<u8>,
    /// Where its idempotency key stands.
    key: Option<Range<usize>>,
    /// The status that an answer must have.
    expected: u16,
}

impl Request {
    /// A request with a JSON body, by the holder of an API key.
    pub(super) fn post(path: &str, key: &SecretString, body: &str, expected: u16) -> Self {
        let (secret, length) = (key.expose_secret(), body.len());
        let text = format!(
            "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {secret}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        Self {
            bytes: text.into_bytes(),
            key: None,
            expected,
        }
    }

    /// The same with an idempotency key that is another one each time.
    pub(super) fn with_idempotency_key(mut self) -> Self {
        let line_end = self.bytes.iter().position(|byte| *byte == b'\n');
        let at = line_end.map_or(0, |end| end + 1);
        let header = format!("idempotency-key: {BLANK_KEY}\r\n");
        let start = at + header.len() - BLANK_KEY.len() - 2;
        drop(self.bytes.splice(at..at, header.into_bytes()));
        self.key = Some(start..start + BLANK_KEY.len());
        self
    }

    /// Fills in the next idempotency key, where there is one.
    fn renew(&mut self, number: u128) -> anyhow::Result<()> {
        if let Some(place) = self.key.clone() {
            hex::encode_to_slice(number.to_be_bytes(), &mut self.bytes[place])?;
        }
        Ok(())
    }
}

/// What is sent where, by how many, for how long.
pub(super) struct Load {
    /// The server.
    pub(super) addr: SocketAddr,
    /// What is sent.
    pub(super) request: Request,
    /// Connections, each with one request under way.
    pub(super) connections: usize,
    /// For how long.
    pub(super) time: Duration,
}

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answered {
    /// Answers a second.
    pub(super) per_second: f64,
    /// The time that 99 of 100 answers took at most, in milliseconds.
    pub(super) p99_ms: f64,
}

impl Load {
    /// Sends until the time is over.
    ///
    /// # Errors
    /// When a connection breaks, or an answer has another status than expected.
    pub(super) async fn run(self) -> anyhow::Result<Answered> {
        let generator = tokio::task::spawn_blocking(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(self.send())
        });
        generator.await.context("the load generator failed")?
    }

    async fn send(self) -> anyhow::Result<Answered> {
        let mut open = Vec::with_capacity(self.connections);
        for _ in 0..self.connections {
            let mut connection = Connection::open(self.addr, self.request.clone()).await?;
            // Not timed: the first request of a connection finds nothing ready.
            timeout(GRACE, connection.call())
                .await
                .context("a first request was not answered in time")??;
            open.push(connection);
        }
        let started = Instant::now();
        let mut tasks = JoinSet::new();
        for connection in open {
            let longest = self.time + GRACE;
            tasks.spawn(timeout(longest, connection.call_until(started + self.time)));
        }
        let mut waits_ms = Vec::new();
        while let Some(done) = tasks.join_next().await {
            waits_ms.extend(done?.context("a request was not answered in time")??);
        }
        Ok(Answered {
            per_second: per_second(waits_ms.len(), started.elapsed()),
            p99_ms: percentile(&mut waits_ms, 99),
        })
    }
}

/// A connection that is kept alive.
struct Connection {
    stream: TcpStream,
    messages: Messages,
    request: Request,
    /// The next idempotency key: no other connection ever has it.
    next_key: u128,
}

impl Connection {
    async fn open(addr: SocketAddr, request: Request) -> anyhow::Result<Self> {
        let stream = timeout(CONNECT, TcpStream::connect(addr))
            .await
            .with_context(|| format!("{addr} was not reached in time"))??;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            messages: Messages::new(),
            request,
            next_key: u128::from(rand::random::<u64>()) << 64,
        })
    }

    /// Sends one request and waits for its answer.
    async fn call(&mut self) -> anyhow::Result<()> {
        self.request.renew(self.next_key)?;
        self.next_key += 1;
        self.stream.write_all(&self.request.bytes).await?;
        if !self.messages.next(&mut self.stream).await? {
            bail!("the server closed a connection in the middle of a round");
        }
        if self.messages.status() != Some(self.request.expected) {
            bail!(
                "the server answered otherwise than {}: {}",
                self.request.expected,
                self.messages.text()
            );
        }
        Ok(())
    }

    /// How long each call took, in milliseconds.
    async fn call_until(mut self, end: Instant) -> anyhow::Result<Vec<f64>> {
        let mut waits_ms = Vec::new();
        let mut asked = Instant::now();
        while asked < end {
            self.call().await?;
            let answered = Instant::now();
            waits_ms.push(answered.duration_since(asked).as_secs_f64() * 1_000.0);
            asked = answered;
        }
        Ok(waits_ms)
    }
}

/// Asks a server for a page and gives its status.
///
/// # Errors
/// When it cannot be reached, or does not answer within the time.
pub(super) async fn status(addr: SocketAddr, path: &str, within: Duration) -> anyhow::Result<u16> {
    let asked = timeout(within, async {
        let mut stream = TcpStream::connect(addr).await?;
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut messages = Messages::new();
        messages.next(&mut stream).await?;
        anyhow::Ok(messages.status())
    });
    let status = asked.await.context("no answer in time")??;
    status.context("an answer without a status")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_has_an_idempotency_key_of_its_own() {
        let mut request = Request::post("/v1/jobs", &SecretString::from("mp_x"), "{}", 201)
            .with_idempotency_key();

        request.renew(0xab).expect("it fits");

        let text = String::from_utf8(request.bytes).expect("text");
        let head =
            "POST /v1/jobs HTTP/1.1\r\nidempotency-key: 000000000000000000000000000000ab\r\nhost: ";
        assert!(text.starts_with(head), "{text}");
        assert!(text.ends_with("content-length: 2\r\n\r\n{}"), "{text}");
    }

    #[test]
    fn a_request_without_a_key_is_sent_as_it_is() {
        let mut request = Request::post("/", &SecretString::from("mp_x"), "{}", 201);
        let before = request.bytes.clone();

        request.renew(7).expect("nothing to fill in");

        assert_eq!(request.bytes, before);
    }
}
