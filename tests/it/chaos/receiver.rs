//! The small receiver: plays the upstream app's endpoint and appends each effect to a file outside of the database. What
//! it answers is decided by the seed, by what the job asks for, and by the mood that the nemesis puts it in.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{conservation::Effect, dice::Dice, effects, now, passes};

/// Largest request.
const LARGEST: usize = 64 * 1_024;
/// Longest that a connection may take; longer than any answer of ours.
const LONGEST: Duration = Duration::from_secs(20);
/// `Retry-After` in the forms that servers send, sound and unsound.
const RETRY_AFTER: [Option<&str>; 8] = [
    Some("0"),
    Some("1"),
    Some("-5"),
    Some("1.5"),
    Some("soon"),
    Some("99999999999999999999"),
    Some("Wed, 21 Oct 2015 07:28:00 GMT"),
    None,
];

/// What is done with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// Answers with this status after so long.
    Answers(u16, Duration),
    /// Answers 429 with one of [`RETRY_AFTER`].
    Limits(usize),
    /// Closes without an answer.
    Cuts,
}

/// A call, read.
struct Call {
    job: String,
    attempt: u32,
    key: String,
    payload: Value,
}

/// What all connections share.
struct Shared {
    seed: u64,
    is_stormy: AtomicBool,
    serial: AtomicU64,
    open: AtomicU64,
    file: Mutex<File>,
}

/// The receiver; it ends with the test.
pub(super) struct Receiver {
    shared: Arc<Shared>,
    ledger: PathBuf,
    port: u16,
    _accepting: JoinSet<()>,
}

impl Receiver {
    /// Listens on a port of its own and keeps its ledger in this folder.
    pub(super) async fn start(folder: &Path, seed: u64) -> anyhow::Result<Self> {
        let ledger = folder.join("effects.ndjson");
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            seed,
            is_stormy: AtomicBool::new(false),
            serial: AtomicU64::new(0),
            open: AtomicU64::new(0),
            file: Mutex::new(File::create_new(&ledger)?),
        });
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self {
            shared,
            ledger,
            port,
            _accepting: accepting,
        })
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/effect", self.port)
    }

    /// A storm: failures, limits, hanging and cut calls, until it is over.
    pub(super) fn storm(&self, is_on: bool) {
        self.shared.is_stormy.store(is_on, Ordering::SeqCst);
    }

    /// Whether a call is under way.
    pub(super) fn is_busy(&self) -> bool {
        self.shared.open.load(Ordering::SeqCst) > 0
    }

    /// Everything that the ledger holds.
    pub(super) fn effects(&self) -> anyhow::Result<Vec<Effect>> {
        effects::read(&std::fs::read_to_string(&self.ledger)?)
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut calls = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        while calls.try_join_next().is_some() {}
        let shared = Arc::clone(&shared);
        calls.spawn(async move {
            // What a caller does wrong, or that it hangs up, is its own affair: the ledger has what matters.
            let _ = tokio::time::timeout(LONGEST, serve(stream, &shared)).await;
        });
    }
}

async fn serve(mut stream: TcpStream, shared: &Shared) -> anyhow::Result<()> {
    let call = read(&mut stream).await?;
    let effect = Open::begin(shared, &call)?;
    let status = match manner(shared, &call) {
        Manner::Cuts => None,
        Manner::Limits(form) => {
            let after = RETRY_AFTER.get(form).copied().flatten();
            let header =
                after.map_or_else(String::new, |after| format!("retry-after: {after}\r\n"));
            Some((429, header))
        }
        Manner::Answers(status, wait) => {
            let mut byte = [0];
            tokio::select! {
                () = passes(wait) => Some((status, String::new())),
                // The caller hung up.
                _ = stream.read(&mut byte) => None,
            }
        }
    };
    effect.end(status.as_ref().map(|(status, _)| *status))?;
    if let Some((status, header)) = status {
        let answer = format!(
            "HTTP/1.1 {status} x\r\n{header}content-length: 2\r\nconnection: close\r\n\r\nok"
        );
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await?;
    }
    Ok(())
}

/// What the job asks for comes first; then chance, with harder luck in a storm.
fn manner(shared: &Shared, call: &Call) -> Manner {
    if call.payload["never"] == true {
        return Manner::Answers(422, Duration::ZERO);
    }
    if u64::from(call.attempt) <= call.payload["fail"].as_u64().unwrap_or(0) {
        return Manner::Answers(500, Duration::ZERO);
    }
    let token = call.payload["token"].as_str().unwrap_or_default();
    let mut dice = Dice::named(shared.seed, &format!("{token}/{}", call.attempt));
    let quick = Duration::from_millis(dice.below(40));
    let form = dice.place(RETRY_AFTER.len());
    let is_stormy = shared.is_stormy.load(Ordering::SeqCst);
    match (is_stormy, dice.below(100)) {
        (true, 0..30) | (false, 0..2) => Manner::Answers(500, quick),
        (true, 30..55) | (false, 2..3) => Manner::Limits(form),
        (true, 55..65) | (false, 3..4) => Manner::Cuts,
        (true, 65..75) | (false, 4..5) => Manner::Answers(200, Duration::from_secs(3)),
        _ => Manner::Answers(200, quick),
    }
}

/// Reads one request whole.
async fn read(stream: &mut TcpStream) -> anyhow::Result<Call> {
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
        let head = std::str::from_utf8(&bytes[..end])?;
        let header = |name: &str| {
            head.lines().find_map(|line| {
                let (found, value) = line.split_once(':')?;
                found.eq_ignore_ascii_case(name).then(|| value.trim())
            })
        };
        let size: usize = header("content-length").context("a length")?.parse()?;
        let Some(body) = bytes.get(end + 4..end + 4 + size) else {
            continue;
        };
        let body: Value = serde_json::from_slice(body)?;
        return Ok(Call {
            job: body["id"].as_str().context("the job's id")?.to_owned(),
            attempt: u32::try_from(body["attempt"].as_u64().context("the attempt")?)?,
            key: header("idempotency-key").context("a key")?.to_owned(),
            payload: body["payload"].clone(),
        });
    }
}

/// An effect under way; its end is written even when its connection's task is dropped.
struct Open<'a> {
    shared: &'a Shared,
    serial: u64,
    has_ended: bool,
}

impl<'a> Open<'a> {
    fn begin(shared: &'a Shared, call: &Call) -> anyhow::Result<Self> {
        let serial = shared.serial.fetch_add(1, Ordering::SeqCst);
        let Call {
            job, attempt, key, ..
        } = call;
        shared.append(
            &json!({"begin": serial, "job": job, "attempt": attempt, "key": key, "at": now()}),
        )?;
        shared.open.fetch_add(1, Ordering::SeqCst);
        Ok(Self {
            shared,
            serial,
            has_ended: false,
        })
    }

    fn end(mut self, status: Option<u16>) -> anyhow::Result<()> {
        self.has_ended = true;
        self.shared
            .append(&json!({"end": self.serial, "status": status, "at": now()}))
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if !self.has_ended {
            let end = json!({"end": self.serial, "status": null, "at": now()});
            let _ = self.shared.append(&end);
        }
        self.shared.open.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Shared {
    fn append(&self, line: &Value) -> anyhow::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(file.write_all(format!("{line}\n").as_bytes())?)
    }
}
