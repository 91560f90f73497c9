//! Where a request's head begins and ends, seen beside hyper's own parsing: for the deadline of the head, and to refuse
//! a request that has both a length and a chunked body. hyper takes the chunks and drops the length without a trace;
//! a proxy before us may have done the opposite, which is how requests are smuggled.

use std::sync::atomic::{AtomicBool, Ordering};

/// Marks a request whose body has two lengths.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AmbiguousFraming;

/// What the two ends of a connection, its socket and its service, tell each other.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    answered: AtomicBool,
    ambiguous: AtomicBool,
}

impl Exchange {
    /// A request was answered: what arrives next is a head.
    pub(super) fn answered(&self) {
        self.answered.store(true, Ordering::Release);
    }

    /// Whether the request whose head ended last has two lengths.
    pub(super) fn is_ambiguous(&self) -> bool {
        self.ambiguous.load(Ordering::Acquire)
    }
}

/// The head of the request that arrives.
#[derive(Debug)]
pub(super) struct Head {
    bytes: Vec<u8>,
    most_bytes: usize,
    is_complete: bool,
}

impl Head {
    pub(super) fn new(most_bytes: usize) -> Self {
        Self {
            bytes: Vec::new(),
            most_bytes,
            is_complete: false,
        }
    }

    /// Whether a head has begun and not ended.
    pub(super) fn is_open(&self) -> bool {
        !self.is_complete && !self.bytes.is_empty()
    }

    /// Takes what arrived. What follows a head belongs to its body, until the request is answered. Requests that are
    /// sent without waiting for answers are hyper's alone: one of them with two lengths is answered, and whatever
    /// follows on its connection is not read.
    pub(super) fn feed(&mut self, bytes: &[u8], exchange: &Exchange) {
        if exchange.answered.swap(false, Ordering::AcqRel) {
            self.bytes.clear();
            self.is_complete = false;
        }
        if self.is_complete {
            return;
        }
        // Empty lines before a head belong to none.
        let bytes = if self.bytes.is_empty() {
            bytes.trim_ascii_start()
        } else {
            bytes
        };
        let searched_bytes = self.bytes.len().saturating_sub(2);
        // hyper refuses a head beyond its limit, so what comes after that need not be kept.
        let room = self.most_bytes.saturating_sub(self.bytes.len());
        self.bytes
            .extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        let Some(end) = end_of_head(&self.bytes, searched_bytes) else {
            return;
        };
        let is_ambiguous = has_two_lengths(self.bytes.get(..end).unwrap_or_default());
        exchange.ambiguous.store(is_ambiguous, Ordering::Release);
        self.bytes.clear();
        self.is_complete = true;
    }
}

/// Where the empty line is that ends a head; lines may end without the carriage return.
fn end_of_head(bytes: &[u8], from: usize) -> Option<usize> {
    let ends_head =
        |at: &usize| matches!(bytes.get(at + 1..), Some([b'\n', ..] | [b'\r', b'\n', ..]));
    let newlines = bytes
        .iter()
        .enumerate()
        .skip(from)
        .filter(|(_, byte)| **byte == b'\n');
    newlines.map(|(at, _)| at).find(ends_head)
}

fn has_two_lengths(head: &[u8]) -> bool {
    let mut has_length = false;
    let mut has_encoding = false;
    for line in head.split(|byte| *byte == b'\n') {
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        has_length |= name.eq_ignore_ascii_case(b"content-length");
        has_encoding |= name.eq_ignore_ascii_case(b"transfer-encoding");
    }
    has_length && has_encoding
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_ambiguous(pieces: &[&str]) -> bool {
        let (exchange, mut head) = (Exchange::default(), Head::new(1_024));
        for piece in pieces {
            head.feed(piece.as_bytes(), &exchange);
        }
        assert!(!head.is_open(), "the head should have ended");
        exchange.is_ambiguous()
    }

    #[test]
    fn a_length_beside_a_chunked_body_is_seen_however_the_head_arrives() {
        let head =
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n";

        assert!(is_ambiguous(&[head]));
        for cut in 1..head.len() {
            let (a, b) = head.split_at(cut);
            assert!(is_ambiguous(&[a, b]), "cut at {cut}");
        }
    }

    #[test]
    fn one_of_the_two_is_no_matter_nor_is_what_stands_in_the_body() {
        assert!(!is_ambiguous(&[
            "POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n"
        ]));
        assert!(!is_ambiguous(&[
            "POST / HTTP/1.1\nTransfer-Encoding: chunked\n\n",
            "content-length: 4\r\n\r\n"
        ]));
        assert!(!is_ambiguous(&["GET / HTTP/1.1\nHost: a\n\r\n"]));
    }

    #[test]
    fn empty_lines_before_a_head_do_not_hide_it() {
        let head =
            "\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n";

        assert!(is_ambiguous(&[head]));
    }

    #[test]
    fn the_next_head_is_looked_at_once_the_request_is_answered() {
        let (exchange, mut head) = (Exchange::default(), Head::new(1_024));
        head.feed(b"GET / HTTP/1.1\r\n\r\n", &exchange);
        exchange.answered();

        head.feed(b"POST / HTTP/1.1\r\nContent-Length: 1\r\n", &exchange);
        assert!(head.is_open());
        head.feed(b"Transfer-Encoding: chunked\r\n\r\n", &exchange);

        assert!(exchange.is_ambiguous());
        assert!(!head.is_open());
    }

    #[test]
    fn an_endless_head_is_not_kept() {
        let (exchange, mut head) = (Exchange::default(), Head::new(16));

        head.feed(&[b'a'; 4_096], &exchange);
        head.feed(&[b'a'; 4_096], &exchange);

        assert_eq!(head.bytes.len(), 16);
        assert!(head.is_open());
    }
}
