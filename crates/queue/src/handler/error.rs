//! Why an attempt failed, as the engine needs to know it: a class, a text, perhaps a time to wait.

use std::time::Duration;

use crate::job::ErrorClass;

/// Longest error text kept with an attempt, in characters.
const LONGEST_TEXT: usize = 4_096;

/// A failed attempt: its class decides what happens next, by the kind's policy.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct JobError {
    class: ErrorClass,
    text: String,
    retry_after: Option<Duration>,
    code: Option<String>,
}

impl JobError {
    /// A failure of this class; the text is the error with its chain of sources, on one line, cut at 4,096 characters.
    pub fn new(class: ErrorClass, error: impl std::error::Error) -> Self {
        Self::from_text(class, &crate::error_chain(&error))
    }

    /// A failure of this class with a text of its own.
    #[must_use]
    pub fn from_text(class: ErrorClass, text: &str) -> Self {
        Self {
            class,
            text: one_line(text),
            retry_after: None,
            code: None,
        }
    }

    /// The other side said how long to wait.
    #[must_use]
    pub fn retry_after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }

    /// A short code that failures of one cause share, such as a provider's error code: it makes the fingerprint.
    #[must_use]
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// What sort of failure this is.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        self.class
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn wait(&self) -> Option<Duration> {
        self.retry_after
    }

    pub(crate) fn fingerprint_code(&self) -> Option<&str> {
        self.code.as_deref()
    }
}

/// One line of printable text without NUL, which PostgreSQL refuses, or direction marks, which mislead a reader.
pub(crate) fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
                ' '
            } else {
                c
            }
        })
        .take(LONGEST_TEXT)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_one_line_and_bounded() {
        let error = JobError::from_text(ErrorClass::Invalid, &"a\nb\0c\u{202e}".repeat(2_000));

        assert!(error.text().starts_with("a b c "));
        assert_eq!(error.text().chars().count(), LONGEST_TEXT);
    }
}
