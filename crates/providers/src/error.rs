//! Why a call to a provider failed, as what a caller decides on: one enum for all of them, with what the provider said.
//! Which class a code belongs to is each provider's own table; this file only names the classes.

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use crate::scrub::scrub;

/// Longest message that is kept of a provider, in characters.
const MESSAGE_LIMIT: usize = 500;

/// Longest code or request id that is kept of a provider, in characters.
const ID_LIMIT: usize = 100;

/// What failed below us, shared because one failure may be the answer to many events.
pub type Source = Arc<dyn StdError + Send + Sync>;

/// A failed call to a provider.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The provider asks for a pause. This is no failure of the job and uses up no attempt.
    #[error("the provider asks for a pause: {detail}")]
    RateLimited {
        /// How long to wait, at most 24 hours; `None` when the provider did not say.
        retry_after: Option<Duration>,
        /// What the provider said.
        detail: Detail,
    },
    /// Nothing was sent: a bound of ours was reached before. No failure of the job, and uses up no attempt; ask again.
    #[error("not sent yet: {detail}")]
    Postponed {
        /// How long to wait; `None`: a moment.
        wait: Option<Duration>,
        /// Which bound.
        detail: Detail,
    },
    /// The token is spent: a new one is needed, not a retry.
    #[error("the token is spent: {detail}")]
    AuthExpired {
        /// What the provider said.
        detail: Detail,
    },
    /// The token is fine, but has no right to this object.
    #[error("the token lacks a right: {detail}")]
    Permission {
        /// What the provider said.
        detail: Detail,
    },
    /// The request is wrong and will stay wrong.
    #[error("refused: {detail}")]
    Rejected {
        /// What the provider said, or which rule of ours the request breaks.
        detail: Detail,
    },
    /// The request is too large; a smaller one may pass.
    #[error("too large: {detail}")]
    TooLarge {
        /// What the provider said.
        detail: Detail,
    },
    /// Our own secret or set-up is wrong: a matter for the operator, never for the customer. `http.request` retries it,
    /// since there it is the endpoint's opinion of one secret among many.
    #[error("our own set-up is wrong: {detail}")]
    Config {
        /// What the provider said, or which setting cannot be used.
        detail: Detail,
    },
    /// The provider cannot be reached or failed on its side: worth another attempt.
    #[error("unavailable: {detail}")]
    Unavailable {
        /// What is known of the failure.
        detail: Detail,
        /// Whether the provider may have received the request all the same.
        maybe_received: bool,
        /// What failed below us, if it was not the provider's own answer.
        #[source]
        source: Option<Source>,
    },
    /// No answer in time: worth another attempt.
    #[error("timed out: {detail}")]
    TimedOut {
        /// What we were waiting for.
        detail: Detail,
        /// Whether the provider may have received the request all the same.
        maybe_received: bool,
    },
}

impl Error {
    /// What the provider said.
    pub fn detail(&self) -> &Detail {
        match self {
            Self::RateLimited { detail, .. }
            | Self::Postponed { detail, .. }
            | Self::AuthExpired { detail }
            | Self::Permission { detail }
            | Self::Rejected { detail }
            | Self::TooLarge { detail }
            | Self::Config { detail }
            | Self::Unavailable { detail, .. }
            | Self::TimedOut { detail, .. } => detail,
        }
    }

    /// Whether the provider may have received, and acted on, the request that failed.
    pub fn maybe_received(&self) -> bool {
        match self {
            Self::Unavailable { maybe_received, .. } | Self::TimedOut { maybe_received, .. } => {
                *maybe_received
            }
            Self::RateLimited { .. }
            | Self::Postponed { .. }
            | Self::AuthExpired { .. }
            | Self::Permission { .. }
            | Self::Rejected { .. }
            | Self::TooLarge { .. }
            | Self::Config { .. } => false,
        }
    }

    /// The same failure for a request that was never sent because of it.
    pub(crate) fn unsent(mut self) -> Self {
        if let Self::Unavailable { maybe_received, .. } | Self::TimedOut { maybe_received, .. } =
            &mut self
        {
            *maybe_received = false;
        }
        self
    }

    /// The error class as a metric label.
    pub(crate) fn class(&self) -> &'static str {
        match self {
            Self::RateLimited { .. } => "rate_limited",
            Self::Postponed { .. } => "postponed",
            Self::AuthExpired { .. } => "auth_expired",
            Self::Permission { .. } => "permission",
            Self::Rejected { .. } => "invalid",
            Self::TooLarge { .. } => "too_large",
            Self::Config { .. } => "config",
            Self::Unavailable { .. } => "transient",
            Self::TimedOut { .. } => "timeout",
        }
    }
}

/// What a provider said about a failure: free of secrets and addresses, one line, bounded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Detail {
    /// Who said it: `meta`, `smtp` or `webhook`.
    pub provider: &'static str,
    /// The HTTP status, where there was an answer.
    pub status: Option<u16>,
    /// The provider's own code, such as `100/2804003` or `550`.
    pub code: Option<String>,
    /// The provider's message, at most 500 characters.
    pub message: String,
    /// What the provider's support asks for.
    pub request_id: Option<String>,
}

impl Detail {
    /// A detail with a message; `secrets` are cut out of it wherever they stand.
    pub(crate) fn new(provider: &'static str, message: &str, secrets: &[&str]) -> Self {
        Self {
            provider,
            message: scrub(message, secrets, MESSAGE_LIMIT),
            ..Self::default()
        }
    }

    pub(crate) fn status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    pub(crate) fn code(mut self, code: &str) -> Self {
        self.code = Some(scrub(code, &[], ID_LIMIT));
        self
    }

    pub(crate) fn request_id(mut self, request_id: Option<&str>) -> Self {
        self.request_id = request_id.map(|id| scrub(id, &[], ID_LIMIT));
        self
    }
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.provider, self.message)?;
        if let Some(code) = &self.code {
            write!(f, ", code {code}")?;
        }
        if let Some(status) = self.status {
            write!(f, ", status {status}")?;
        }
        if let Some(id) = &self.request_id {
            write!(f, ", request {id}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_reads_as_one_line_with_what_support_asks_for() {
        let detail = Detail::new("meta", "Invalid\nparameter", &[])
            .code("100/2804003")
            .status(400)
            .request_id(Some("AfakeTrace"));

        let text = Error::Rejected { detail }.to_string();

        assert_eq!(
            text,
            "refused: meta: Invalid parameter, code 100/2804003, status 400, request AfakeTrace"
        );
    }

    #[test]
    fn a_message_is_bounded() {
        let detail = Detail::new("webhook", &"x".repeat(5 << 20), &[]);

        assert_eq!(detail.message.chars().count(), MESSAGE_LIMIT);
    }

    #[test]
    fn what_was_not_sent_cannot_have_been_received() {
        let error = Error::TimedOut {
            detail: Detail::new("meta", "no answer in time", &[]),
            maybe_received: true,
        };

        assert!(error.maybe_received());
        assert!(!error.unsent().maybe_received());
    }
}
