//! An endpoint that answers every call at once and counts them: what workers in other processes call, so that their work
//! costs as little as a handler's can.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::sleep,
};
use tokio_util::task::AbortOnDropHandle;

use super::wire::Messages;

/// The answer to every call.
const ANSWER: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";
/// Pause after the system refused a connection for want of files.
const PAUSE: Duration = Duration::from_millis(20);

/// An endpoint on loopback, as long as it lives.
pub(super) struct Sink {
    addr: SocketAddr,
    served: Arc<AtomicU64>,
    _accepting: AbortOnDropHandle<()>,
}

impl Sink {
    /// Starts it on a free port.
    pub(super) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let served = Arc::new(AtomicU64::new(0));
        let accepting = tokio::spawn(accept(listener, Arc::clone(&served)));
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

async fn accept(listener: TcpListener, served: Arc<AtomicU64>) {
    let mut open = JoinSet::new();
    loop {
        // Both are cancel-safe.
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    open.spawn(answer(stream, Arc::clone(&served)));
                }
                Err(_) => sleep(PAUSE).await,
            },
            Some(_) = open.join_next() => {}
        }
    }
}

/// Answers until the caller closes; one that breaks off was killed on purpose.
async fn answer(mut stream: TcpStream, served: Arc<AtomicU64>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut messages = Messages::new();
    while messages.next(&mut stream).await? {
        stream.write_all(ANSWER).await?;
        served.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}
