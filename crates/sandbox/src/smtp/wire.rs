//! Lines in, replies out, over a plain or an encrypted connection: bounded in length and in time.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    time,
};

/// Longest wait for the client's next bytes, and for it to read a reply.
const IDLE: Duration = Duration::from_secs(120);
/// How much of a line that is too long is read before the connection is given up.
const MOST_SKIPPED_BYTES: usize = 1 << 20;

/// A connection, read line by line.
pub(super) struct Wire<S> {
    stream: BufReader<S>,
}

/// A line without its end.
pub(super) enum Line {
    Whole {
        bytes: Vec<u8>,
        /// Whether it ended with CR LF, as it must, or with a bare LF.
        ends_with_crlf: bool,
    },
    /// It was longer than asked for; it has been read to its end.
    TooLong,
}

/// Why a connection cannot go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    #[error("the connection failed")]
    Failed(#[from] io::Error),
    #[error("the client hung up")]
    HungUp,
    #[error("the client did nothing for too long")]
    Idle,
    #[error("the client sent too much")]
    TooMuch,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream: BufReader::new(stream),
        }
    }

    /// Gives the connection back; what was read ahead is lost.
    pub(super) fn into_stream(self) -> S {
        self.stream.into_inner()
    }

    /// Reads a line of at most `most_bytes`, its end included.
    ///
    /// # Errors
    /// [`WireError`] when the connection ends or stalls before the line does.
    pub(super) async fn read_line(&mut self, most_bytes: usize) -> Result<Line, WireError> {
        let mut line = Vec::new();
        let mut length = 0;
        loop {
            let available = time::timeout(IDLE, self.stream.fill_buf())
                .await
                .map_err(|_| WireError::Idle)??;
            if available.is_empty() {
                return Err(WireError::HungUp);
            }
            let end = available.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(available.len(), |end| end + 1);
            length += taken;
            if length <= most_bytes {
                line.extend_from_slice(&available[..taken]);
            } else if length > MOST_SKIPPED_BYTES {
                return Err(WireError::TooMuch);
            }
            self.stream.consume(taken);
            if end.is_some() {
                break;
            }
        }
        if length > most_bytes {
            return Ok(Line::TooLong);
        }
        line.pop();
        let ends_with_crlf = line.last() == Some(&b'\r');
        if ends_with_crlf {
            line.pop();
        }
        Ok(Line::Whole {
            bytes: line,
            ends_with_crlf,
        })
    }

    /// Sends a reply of one line.
    ///
    /// # Errors
    /// [`WireError`] when the client does not take it.
    pub(super) async fn reply(&mut self, code: u16, text: &str) -> Result<(), WireError> {
        self.send(&format!("{code} {text}\r\n")).await
    }

    /// Sends a reply of several lines, of which there is at least one.
    ///
    /// # Errors
    /// [`WireError`] when the client does not take it.
    pub(super) async fn reply_lines(&mut self, code: u16, lines: &[&str]) -> Result<(), WireError> {
        let last = lines.len().saturating_sub(1);
        let text: String = lines
            .iter()
            .enumerate()
            .map(|(index, line)| {
                let separator = if index == last { ' ' } else { '-' };
                format!("{code}{separator}{line}\r\n")
            })
            .collect();
        self.send(&text).await
    }

    /// Says goodbye to the layer below, so that the client sees a close and not a cut.
    ///
    /// # Errors
    /// [`WireError`] when the client does not take it.
    pub(super) async fn close(mut self) -> Result<(), WireError> {
        time::timeout(IDLE, self.stream.shutdown())
            .await
            .map_err(|_| WireError::Idle)??;
        Ok(())
    }

    async fn send(&mut self, text: &str) -> Result<(), WireError> {
        let sent = async {
            self.stream.write_all(text.as_bytes()).await?;
            self.stream.flush().await
        };
        time::timeout(IDLE, sent)
            .await
            .map_err(|_| WireError::Idle)??;
        Ok(())
    }
}
