//! A socket whose client must go on: the head of a request has a deadline from its first byte, an answer one from the
//! moment the client stops reading.

use std::{
    future::Future,
    io::{self, ErrorKind, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep_until},
};

use super::{
    ServerLimits,
    framing::{Exchange, Head},
};

/// A socket with deadlines.
pub(super) struct Watched {
    stream: TcpStream,
    exchange: Arc<Exchange>,
    head: Head,
    reading: Deadline,
    writing: Deadline,
}

impl Watched {
    pub(super) fn new(stream: TcpStream, exchange: Arc<Exchange>, limits: ServerLimits) -> Self {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "answers may be held back by the system");
        }
        Self {
            stream,
            exchange,
            head: Head::new(limits.header_bytes),
            reading: Deadline::new(limits.header),
            writing: Deadline::new(limits.write),
        }
    }

    /// Takes note of what arrived.
    fn arrived(&mut self, bytes: &[u8]) {
        self.head.feed(bytes, &self.exchange);
        if self.head.is_open() {
            self.reading.begin();
        } else {
            self.reading.end();
        }
    }

    fn wrote(
        &mut self,
        written: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if written.is_pending() {
            self.writing.begin();
            return self.writing.poll(cx).map(Err);
        }
        written
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let filled_before = buf.filled().len();
        match Pin::new(&mut this.stream).poll_read(cx, buf) {
            Poll::Pending => this.reading.poll(cx).map(Err),
            Poll::Ready(Ok(())) => {
                let bytes = buf.filled().get(filled_before..).unwrap_or_default();
                this.arrived(bytes);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        }
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, buf);
        this.wrote(written, cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, bufs);
        this.wrote(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Called when all that was to be written is with the system: the client keeps up.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.writing.end();
        Pin::new(&mut this.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// A time by which something must have happened, once it has begun.
struct Deadline {
    longest: Duration,
    running: Option<Pin<Box<Sleep>>>,
}

impl Deadline {
    fn new(longest: Duration) -> Self {
        Self {
            longest,
            running: None,
        }
    }

    /// Starts the time, unless it runs already.
    fn begin(&mut self) {
        if self.running.is_none() {
            self.running = Some(Box::pin(sleep_until(Instant::now() + self.longest)));
        }
    }

    fn end(&mut self) {
        self.running = None;
    }

    /// Ready with an error once the time is over.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        match &mut self.running {
            Some(sleep) => sleep
                .as_mut()
                .poll(cx)
                .map(|()| io::Error::from(ErrorKind::TimedOut)),
            None => Poll::Pending,
        }
    }
}
