//! What people and programs read on standard output: text, or one JSON document with `--json`. Notes and errors go to
//! standard error. Nothing here panics when the reader has gone away.

mod clean;
mod table;
pub(crate) mod words;

use std::{
    fmt,
    io::{self, Write},
};

use serde::Serialize;

pub(crate) use clean::{LONGEST_TEXT, is_misleading, lines, one_line};
pub(crate) use table::{Details, Table};

/// Why nothing more can be shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutputError {
    /// Whoever read standard output has gone away, as `head` does: a reason to stop, not an error to report.
    #[error("standard output was closed")]
    Closed,
    /// Standard output cannot be written, as on a full disk.
    #[error("cannot write to standard output")]
    Failed(#[source] io::Error),
    /// An answer that has no form in JSON.
    #[error("cannot write the answer as JSON")]
    Unwritable(#[source] serde_json::Error),
}

impl From<io::Error> for OutputError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Failed(error),
        }
    }
}

/// Where a command's answer goes, and in which form.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    /// JSON documents, or text for people.
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether programs read the answer.
    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// The command's whole answer: the value as JSON, or as the text that is made of it.
    pub(crate) fn answer<T: Serialize, D: fmt::Display>(
        self,
        value: &T,
        text: impl FnOnce(&T) -> D,
    ) -> Result<(), OutputError> {
        if self.json {
            let mut document =
                serde_json::to_string_pretty(value).map_err(OutputError::Unwritable)?;
            document.push('\n');
            return write(&document);
        }
        write(&text(value).to_string())
    }

    /// One line of text for people; programs get nothing.
    pub(crate) fn line(self, text: impl fmt::Display) -> Result<(), OutputError> {
        if self.json {
            Ok(())
        } else {
            write(&format!("{text}\n"))
        }
    }

    /// One value as JSON on one line, for streams and for programs that wait for it.
    pub(crate) fn json_line<T: Serialize>(self, value: &T) -> Result<(), OutputError> {
        let mut line = serde_json::to_string(value).map_err(OutputError::Unwritable)?;
        line.push('\n');
        write(&line)
    }

    /// Text as it is, such as a script for a shell.
    pub(crate) fn raw(self, text: &str) -> Result<(), OutputError> {
        write(text)
    }
}

/// A note beside the answer. A closed standard error is nobody's problem: there is no one left to tell.
pub(crate) fn note(text: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{}", lines(&text.to_string()));
}

fn write(text: &str) -> Result<(), OutputError> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_pipe_is_told_apart_from_other_failures() {
        let closed = OutputError::from(io::Error::from(io::ErrorKind::BrokenPipe));
        let full = OutputError::from(io::Error::from(io::ErrorKind::StorageFull));

        assert!(matches!(closed, OutputError::Closed));
        assert!(matches!(full, OutputError::Failed(_)));
    }
}
