//! Answers that misbehave while they are sent: too slow, cut off, or without an end.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::{Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::time::{self, Sleep};

/// The pause before a cut, so that what was sent before it leaves this machine.
const CUT_PAUSE: Duration = Duration::from_millis(50);
/// Where a body without an end does end: 4 GiB, more than any caller may take.
const MOST_ENDLESS_BYTES: u64 = 4 << 30;
/// How much of it is sent at a time.
const ENDLESS_PIECE_BYTES: usize = 16 * 1024;

/// A body that is sent piece by piece with a pause after each, and that may end with an error
/// instead of its end.
pub(super) struct PacedBody {
    rest: Bytes,
    /// How long the body says it is.
    declared_bytes: u64,
    piece_bytes: usize,
    pause: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
    is_cut: bool,
}

impl PacedBody {
    /// All of `bytes`, no faster than `bytes_per_second`.
    pub(super) fn slow(bytes: Bytes, bytes_per_second: u32) -> Self {
        // Ten pieces a second, or single bytes where that would be less than one.
        let piece_bytes = (bytes_per_second / 10).max(1);
        Self {
            declared_bytes: bytes.len() as u64,
            rest: bytes,
            piece_bytes: piece_bytes as usize,
            pause: Duration::from_secs(1) * piece_bytes / bytes_per_second.max(1),
            waiting: None,
            is_cut: false,
        }
    }

    /// The first half of `bytes`, then an error, which makes the server give the connection up.
    pub(super) fn cut(bytes: &Bytes) -> Self {
        Self {
            declared_bytes: bytes.len() as u64,
            rest: bytes.slice(..bytes.len() / 2),
            piece_bytes: bytes.len().max(1),
            pause: CUT_PAUSE,
            waiting: None,
            is_cut: true,
        }
    }
}

impl HttpBody for PacedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = self.get_mut();
        if let Some(waiting) = &mut this.waiting {
            ready!(waiting.as_mut().poll(cx));
            this.waiting = None;
        }
        if this.rest.is_empty() {
            let end = this
                .is_cut
                .then(|| Err(io::Error::from(io::ErrorKind::ConnectionReset)));
            return Poll::Ready(end);
        }
        let piece = this.rest.split_to(this.piece_bytes.min(this.rest.len()));
        this.waiting = Some(Box::pin(time::sleep(this.pause)));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.declared_bytes)
    }
}

/// A JSON list that never closes.
pub(super) struct EndlessBody {
    piece: Bytes,
    left_bytes: u64,
}

impl EndlessBody {
    pub(super) fn new() -> Self {
        Self {
            piece: vec![b'['; ENDLESS_PIECE_BYTES].into(),
            left_bytes: MOST_ENDLESS_BYTES,
        }
    }
}

impl HttpBody for EndlessBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = self.get_mut();
        let Some(left_bytes) = this.left_bytes.checked_sub(this.piece.len() as u64) else {
            return Poll::Ready(None);
        };
        this.left_bytes = left_bytes;
        Poll::Ready(Some(Ok(Frame::data(this.piece.clone()))))
    }
}
