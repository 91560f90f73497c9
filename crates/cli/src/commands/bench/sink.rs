//! An endpoint that answers every call at once and counts them: what workers in other processes call, so that their work
//! costs as little as a handler's can. It can tell of each call too.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
    time::sleep,
};
use tokio_util::task::AbortOnDropHandle;

use super::wire::Messages;

/// The answer to every call.
const ANSWER: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";
/// Pause after the system refused a connection for want of files.
const PAUSE: Duration = Duration::from_millis(20);

/// A call that has come.
#[derive(Debug)]
pub(super) struct Arrival {
    /// What it asked for: `/…`.
    pub(super) target: String,
    /// When all of it was there.
    pub(super) at: Instant,
}

/// An endpoint on loopback, as long as it lives.
pub(super) struct Sink {
    addr: SocketAddr,
    served: Arc<AtomicU64>,
    _accepting: AbortOnDropHandle<()>,
}

impl Sink {
    /// Starts it on a free port.
    pub(super) async fn start() -> io::Result<Self> {
        Self::open(None).await
    }

    /// Starts one that tells of each call once it has answered. The caller's next call waits for room.
    pub(super) async fn telling(arrivals: mpsc::Sender<Arrival>) -> io::Result<Self> {
        Self::open(Some(arrivals)).await
    }

    async fn open(arrivals: Option<mpsc::Sender<Arrival>>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let served = Arc::new(AtomicU64::new(0));
        let seen = Seen {
            served: Arc::clone(&served),
            arrivals,
        };
        let accepting = tokio::spawn(accept(listener, seen));
        Ok(Self {
            addr,
            served,
            _accepting: AbortOnDropHandle::new(accepting),
        })
    }

    /// Where it is.
    pub(super) fn url(&self) -> String {
        format!("http://{}/", self.addr)
    }

    /// Calls that were answered.
    pub(super) fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }
}

/// Where calls are noted.
#[derive(Clone)]
struct Seen {
    served: Arc<AtomicU64>,
    arrivals: Option<mpsc::Sender<Arrival>>,
}

async fn accept(listener: TcpListener, seen: Seen) {
    let mut open = JoinSet::new();
    loop {
        // Both are cancel-safe.
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    open.spawn(answer(stream, seen.clone()));
                }
                Err(_) => sleep(PAUSE).await,
            },
            Some(_) = open.join_next() => {}
        }
    }
}

/// Answers until the caller closes; one that breaks off was killed on purpose.
async fn answer(mut stream: TcpStream, seen: Seen) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut messages = Messages::new();
    while messages.next(&mut stream).await? {
        let at = Instant::now();
        stream.write_all(ANSWER).await?;
        seen.served.fetch_add(1, Ordering::Relaxed);
        if let Some(arrivals) = &seen.arrivals {
            let target = messages.target().unwrap_or_default().to_owned();
            // Whoever wanted to know may have gone.
            let _ = arrivals.send(Arrival { target, at }).await;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINE: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn each_call_is_told_of_with_its_target() {
        let (told, mut arrivals) = mpsc::channel(2);
        let sink = Sink::telling(told).await.expect("a port is free");
        let mut caller = TcpStream::connect(sink.addr).await.expect("it listens");

        for target in ["/1/1", "/1/2"] {
            let request = format!("POST {target} HTTP/1.1\r\ncontent-length: 2\r\n\r\n{{}}");
            let sent = caller.write_all(request.as_bytes()).await;
            sent.expect("it reads");
        }

        let mut targets = Vec::new();
        for _ in 0..2 {
            let arrival = tokio::time::timeout(DEADLINE, arrivals.recv()).await;
            targets.push(arrival.expect("in time").expect("it lives").target);
        }
        assert_eq!(targets, ["/1/1", "/1/2"]);
        assert_eq!(sink.served(), 2);
    }
}
