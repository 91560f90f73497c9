//! What the mail server can be told to do wrong, and at which step of the dialogue.

use std::time::Duration;

use serde::Deserialize;

use super::{FaultError, http::MOST_WAIT};

/// A step of the dialogue at which a fault can strike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SmtpStep {
    /// The greeting.
    Connect,
    /// EHLO or HELO.
    Ehlo,
    /// AUTH, before the credentials are looked at.
    Auth,
    /// MAIL FROM.
    Mail,
    /// RCPT TO.
    Rcpt,
    /// DATA, before the mail itself.
    Data,
    /// The dot that ends the mail: only the answer to it counts.
    FinalDot,
}

/// What the mail server does wrong.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum SmtpFault {
    /// It replies with this code instead of its own; after 421, and to a new connection, it hangs
    /// up. At the final dot a code from 400 on means that the mail is not kept.
    Reply {
        /// Where.
        at: SmtpStep,
        /// 200 to 599.
        code: u16,
        /// The text beside it; `None` for one that says that it was asked for.
        text: Option<String>,
    },
    /// It says nothing for this long, then goes on. At the final dot the mail is kept before.
    Hang {
        /// Where.
        at: SmtpStep,
        /// In milliseconds, at most an hour.
        wait_ms: u64,
    },
    /// It hangs up without a word.
    Drop {
        /// Where.
        at: SmtpStep,
        /// At the final dot: whether the mail is kept all the same, which the sender cannot know.
        #[serde(default = "kept")]
        keep: bool,
    },
    /// It offers no STARTTLS, and knows none when asked, as if somebody on the way had cut it out.
    StripStarttls,
}

fn kept() -> bool {
    true
}

impl SmtpFault {
    /// Where it strikes.
    pub(super) fn step(&self) -> SmtpStep {
        match self {
            Self::Reply { at, .. } | Self::Hang { at, .. } | Self::Drop { at, .. } => *at,
            Self::StripStarttls => SmtpStep::Ehlo,
        }
    }

    /// # Errors
    /// [`FaultError::OutOfBounds`] names the member that is.
    pub(super) fn check(&self) -> Result<(), FaultError> {
        match self {
            Self::Reply { code, .. } if !(200..=599).contains(code) => {
                Err(FaultError::OutOfBounds {
                    member: "code",
                    bounds: "200 to 599",
                })
            }
            Self::Hang { wait_ms, .. } if Duration::from_millis(*wait_ms) > MOST_WAIT => {
                Err(FaultError::OutOfBounds {
                    member: "wait_ms",
                    bounds: "at most an hour",
                })
            }
            Self::Reply { .. } | Self::Hang { .. } | Self::Drop { .. } | Self::StripStarttls => {
                Ok(())
            }
        }
    }
}
