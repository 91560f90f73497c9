//! HTTP/1.1 messages on a connection, as cheaply as they can be read: those whose length their head says. The load
//! generator and the sink must cost little beside what is measured.

use std::{io, ops::Range};

use tokio::{io::AsyncReadExt, net::TcpStream};

/// Bytes read ahead.
const ROOM: usize = 16 * 1_024;
/// Longest message.
const LONGEST: usize = 1_024 * 1_024;
/// What ends a head.
const END_OF_HEAD: &[u8] = b"\r\n\r\n";
/// Where an answer's status stands: `HTTP/1.1 201`.
const STATUS: Range<usize> = 9..12;

/// What was read of a connection.
pub(super) struct Messages {
    bytes: Vec<u8>,
    /// Length of the message at the front that was read last.
    taken: usize,
}

impl Messages {
    /// Nothing was read yet.
    pub(super) fn new() -> Self {
        Self {
            bytes: Vec::with_capacity(ROOM),
            taken: 0,
        }
    }

    /// Reads the next message; false when the other side has closed between two.
    ///
    /// # Errors
    /// When the connection breaks, or what comes is no message whose length is known.
    pub(super) async fn next(&mut self, stream: &mut TcpStream) -> io::Result<bool> {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        loop {
            if let Some(length) = length(&self.bytes)?
                && length <= self.bytes.len()
            {
                self.taken = length;
                return Ok(true);
            }
            if self.bytes.len() > LONGEST {
                return Err(odd("a message without an end"));
            }
            if stream.read_buf(&mut self.bytes).await? == 0 {
                if self.bytes.is_empty() {
                    return Ok(false);
                }
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// The status of the answer that was read last.
    pub(super) fn status(&self) -> Option<u16> {
        let digits = self.bytes.get(STATUS)?;
        std::str::from_utf8(digits).ok()?.parse().ok()
    }

    /// What the request that was read last asks for.
    pub(super) fn target(&self) -> Option<&str> {
        let message = self.bytes.get(..self.taken)?;
        let first_line = message.split(|byte| *byte == b'\r').next()?;
        std::str::from_utf8(first_line).ok()?.split(' ').nth(1)
    }

    /// The message that was read last, for people.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes[..self.taken]).into_owned()
    }
}

/// The length of the message at the front, once its head is complete.
fn length(bytes: &[u8]) -> io::Result<Option<usize>> {
    let ends = bytes
        .windows(END_OF_HEAD.len())
        .position(|window| window == END_OF_HEAD);
    let Some(end) = ends else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&bytes[..end]).map_err(|_| odd("a head that is no text"))?;
    let mut body = 0;
    for line in head.split("\r\n").skip(1) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        if name.eq_ignore_ascii_case("content-length") {
            let length = value.trim().parse::<usize>();
            body = length.map_err(|_| odd("a length that is no number"))?;
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(odd("a body whose length the head does not say"));
        }
    }
    if body > LONGEST {
        return Err(odd("a body that is too long"));
    }
    Ok(Some(end + END_OF_HEAD.len() + body))
}

fn odd(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_ends_where_its_head_says() {
        let whole = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}";

        assert_eq!(length(whole).expect("sound"), Some(whole.len()));
        assert_eq!(length(&whole[..30]).expect("sound"), None);
        assert_eq!(
            length(b"HTTP/1.1 204 No Content\r\n\r\n").expect("sound"),
            Some(27)
        );
    }

    #[test]
    fn a_message_of_unknown_length_is_refused() {
        for head in [
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n",
        ] {
            assert!(length(head.as_bytes()).is_err(), "{head}");
        }
    }

    #[test]
    fn the_target_is_that_of_the_message_that_was_read_last() {
        let mut messages = Messages::new();
        messages
            .bytes
            .extend_from_slice(b"POST /1/7 HTTP/1.1\r\nhost: a\r\n\r\n");
        assert_eq!(messages.target(), None);

        messages.taken = messages.bytes.len();

        assert_eq!(messages.target(), Some("/1/7"));
    }

    #[test]
    fn the_status_is_read_from_the_first_line() {
        let mut messages = Messages::new();
        messages
            .bytes
            .extend_from_slice(b"HTTP/1.1 503 Busy\r\n\r\n");

        assert_eq!(messages.status(), Some(503));
        assert_eq!(Messages::new().status(), None);
    }
}
