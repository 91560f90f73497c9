//! Lines of a stream, numbered, none longer than a limit: a giant one is told and stepped over, never kept.

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// A line of the input.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Its text without the line break.
    Text(String),
    /// It is no UTF-8.
    NotText,
    /// It is longer than the limit.
    TooLong,
}

/// Lines of `reader` with their numbers from 1; blank ones are left out.
pub(super) struct Lines<R> {
    reader: R,
    limit_bytes: usize,
    number: usize,
}

impl<R: AsyncBufRead + Unpin> Lines<R> {
    pub(super) fn new(reader: R, limit_bytes: usize) -> Self {
        Self {
            reader,
            limit_bytes,
            number: 0,
        }
    }

    /// The next line that is not blank; `None` at the end.
    pub(super) async fn next(&mut self) -> std::io::Result<Option<(usize, Line)>> {
        loop {
            let mut bytes = Vec::new();
            if self.read(&mut bytes).await? == 0 {
                return Ok(None);
            }
            self.number += 1;
            let is_whole = bytes.last() == Some(&b'\n');
            if !is_whole && bytes.len() > self.limit_bytes {
                self.step_over().await?;
                return Ok(Some((self.number, Line::TooLong)));
            }
            match String::from_utf8(bytes) {
                Ok(text) if text.trim().is_empty() => {}
                Ok(text) => return Ok(Some((self.number, Line::Text(text.trim().to_owned())))),
                Err(_) => return Ok(Some((self.number, Line::NotText))),
            }
        }
    }

    /// Reads up to the line's end, but at most one byte more than the limit and the line break.
    async fn read(&mut self, bytes: &mut Vec<u8>) -> std::io::Result<usize> {
        let most = u64::try_from(self.limit_bytes)
            .unwrap_or(u64::MAX)
            .saturating_add(1);
        (&mut self.reader).take(most).read_until(b'\n', bytes).await
    }

    async fn step_over(&mut self) -> std::io::Result<()> {
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            let length = self.read(&mut bytes).await?;
            if length == 0 || bytes.last() == Some(&b'\n') {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(input: &[u8], limit_bytes: usize) -> Vec<(usize, Line)> {
        let mut lines = Lines::new(input, limit_bytes);
        let mut read = Vec::new();
        while let Some(line) = lines.next().await.expect("memory can be read") {
            read.push(line);
        }
        read
    }

    #[tokio::test]
    async fn blank_lines_are_counted_but_left_out() {
        let read = all(b"one\n\n  \r\ntwo", 10).await;

        assert_eq!(
            read,
            [(1, Line::Text("one".into())), (4, Line::Text("two".into()))]
        );
    }

    #[tokio::test]
    async fn a_giant_line_is_stepped_over() {
        let read = all(b"0123456789abcdefghijklmnopqrstuvwxyz\nok\n", 10).await;

        assert_eq!(read, [(1, Line::TooLong), (2, Line::Text("ok".into()))]);
    }

    #[tokio::test]
    async fn a_line_as_long_as_the_limit_is_taken() {
        let read = all(b"0123456789\n0123456789", 10).await;

        assert_eq!(read.len(), 2);
        assert!(
            read.iter()
                .all(|(_, line)| *line == Line::Text("0123456789".into()))
        );
    }

    #[tokio::test]
    async fn bytes_that_are_no_text_are_that_lines_problem() {
        let read = all(b"\xff\xfe\nok\n", 10).await;

        assert_eq!(read, [(1, Line::NotText), (2, Line::Text("ok".into()))]);
    }
}
