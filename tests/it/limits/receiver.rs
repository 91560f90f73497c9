//! An upstream app's endpoint that does as its jobs' payloads say and notes from when to when each call was there. What it
//! saw is judged from outside: it knows nothing of claims and leases.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Context;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};

/// Largest request, and longest that a connection may take.
const LARGEST: usize = 64 * 1_024;
const LONGEST: Duration = Duration::from_secs(300);

/// A call, as the endpoint saw it.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) job: String,
    pub(crate) kind: String,
    pub(crate) payload: Value,
    pub(crate) began: Instant,
    /// When it was answered, or its caller hung up; `None`: it is under way.
    pub(crate) ended: Option<Instant>,
}

/// The endpoint; it ends with the test. It wants a runtime with threads beside the test's own, so that it notices what
/// happens while the test waits for a process.
pub(crate) struct Receiver {
    url: String,
    ledger: Ledger,
    _accepting: JoinSet<()>,
}

impl Receiver {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/calls", listener.local_addr()?);
        let ledger = Ledger::default();
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, ledger.clone()));
        Ok(Self {
            url,
            ledger,
            _accepting: accepting,
        })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Every call so far, in the order in which they began.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.ledger.calls().clone()
    }

    /// How many calls have begun.
    pub(crate) fn begun(&self) -> usize {
        self.ledger.calls().len()
    }

    /// How many calls are under way.
    pub(crate) fn under_way(&self) -> usize {
        let calls = self.ledger.calls();
        calls.iter().filter(|call| call.ended.is_none()).count()
    }
}

/// All calls in the order in which they began.
#[derive(Debug, Clone, Default)]
struct Ledger(Arc<Mutex<Vec<Call>>>);

impl Ledger {
    fn calls(&self) -> MutexGuard<'_, Vec<Call>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a call has begun, and gives its place.
    fn begin(&self, body: &Value) -> anyhow::Result<usize> {
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        let call = Call {
            job: text("id").context("the job's id")?,
            kind: text("kind").context("the job's kind")?,
            payload: body["payload"].clone(),
            began: Instant::now(),
            ended: None,
        };
        let mut calls = self.calls();
        calls.push(call);
        Ok(calls.len() - 1)
    }

    fn end(&self, place: usize) {
        if let Some(call) = self.calls().get_mut(place) {
            call.ended = Some(Instant::now());
        }
    }
}

async fn accept(listener: TcpListener, ledger: Ledger) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        while connections.try_join_next().is_some() {}
        let ledger = ledger.clone();
        connections.spawn(async move {
            // What a caller does wrong, or that it hangs up, is its own affair: the ledger has what matters.
            let _ = timeout(LONGEST, serve(stream, &ledger)).await;
        });
    }
}

/// Takes one call: `takes_ms` and `status` of the payload say how it goes. It is noted as ended before it is answered, so
/// that what its worker does next is never noted as having been beside it.
async fn serve(mut stream: TcpStream, ledger: &Ledger) -> anyhow::Result<()> {
    let body = read(&mut stream).await?;
    let takes = Duration::from_millis(body["payload"]["takes_ms"].as_u64().unwrap_or(0));
    let status = body["payload"]["status"].as_u64().unwrap_or(200);
    let place = ledger.begin(&body)?;
    let mut byte = [0];
    // The caller says nothing more while the work takes its time, unless it dies.
    let hung_up = timeout(takes, stream.read(&mut byte)).await;
    ledger.end(place);
    if hung_up.is_err() {
        let answer =
            format!("HTTP/1.1 {status} x\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await?;
    }
    Ok(())
}

/// Reads one request whole and gives its body.
async fn read(stream: &mut TcpStream) -> anyhow::Result<Value> {
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
        if let Ok(body) = serde_json::from_slice(&bytes[end + 4..]) {
            return Ok(body);
        }
    }
}

/// The most of these calls that were under way at one time.
pub(crate) fn most_at_once<'c>(calls: impl IntoIterator<Item = &'c Call>) -> usize {
    let most = counts(calls).into_iter().map(|(_, under_way)| under_way);
    usize::try_from(most.max().unwrap_or(0)).unwrap_or(0)
}

/// When more of these calls than so many were under way for the first time.
pub(crate) fn first_above<'c>(
    calls: impl IntoIterator<Item = &'c Call>,
    bound: usize,
) -> Option<Instant> {
    let bound = i64::try_from(bound).unwrap_or(i64::MAX);
    let mut counts = counts(calls).into_iter();
    Some(counts.find(|(_, under_way)| *under_way > bound)?.0)
}

/// How many calls were under way after each begin and end.
fn counts<'c>(calls: impl IntoIterator<Item = &'c Call>) -> Vec<(Instant, i64)> {
    let mut changes = Vec::new();
    for call in calls {
        changes.push((call.began, 1));
        changes.extend(call.ended.map(|ended| (ended, -1)));
    }
    // Of two at one time the end comes first.
    changes.sort_unstable();
    let mut under_way = 0;
    for (_, change) in &mut changes {
        under_way += *change;
        *change = under_way;
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls from some millisecond to another, or without an end.
    fn calls(spans: &[(u64, Option<u64>)]) -> Vec<Call> {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let call = |(began, ended): &(u64, Option<u64>)| Call {
            job: String::new(),
            kind: String::new(),
            payload: Value::Null,
            began: at(*began),
            ended: ended.map(at),
        };
        spans.iter().map(call).collect()
    }

    #[test]
    fn calls_that_meet_are_told_from_those_that_follow_each_other() {
        let one_after_the_other = calls(&[(0, Some(5)), (5, Some(9)), (12, None)]);
        let two = calls(&[(0, Some(6)), (5, Some(9))]);
        let three = calls(&[(0, None), (1, Some(2)), (3, Some(9)), (4, Some(5))]);

        assert_eq!(most_at_once(&one_after_the_other), 1);
        assert_eq!(most_at_once(&two), 2);
        assert_eq!(most_at_once(&three), 3);
        assert_eq!(first_above(&three, 2), Some(three[3].began));
        assert_eq!(first_above(&two, 2), None);
    }
}
