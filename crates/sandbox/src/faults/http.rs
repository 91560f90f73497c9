//! What an HTTP server can be told to do wrong: refuse, throttle, hang, or send its true answer
//! badly.

use std::{collections::BTreeMap, time::Duration};

use axum::http::{HeaderName, HeaderValue};
use serde::Deserialize;

use super::{FaultError, RetryAfter};

/// Longest wait that a fault may ask for.
pub(super) const MOST_WAIT: Duration = Duration::from_secs(3_600);
/// Most headers that a fault may add, and the longest of each.
const MOST_HEADERS: u16 = 1_000;
const MOST_HEADER_BYTES: u32 = 64 * 1024;

/// What an HTTP server does wrong. In JSON `kind` names the variant in snake case.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum HttpFault {
    /// It refuses, a platform with its error envelope. Status 200 makes it an error inside a
    /// success.
    Fail {
        /// The HTTP status, 200 to 599.
        #[serde(default = "server_error")]
        status: u16,
        /// The error's code.
        #[serde(default = "unknown_error")]
        code: i64,
        /// The error's subcode.
        subcode: Option<i64>,
        /// The error's name where errors have names: `quotaError.RESOURCE_EXHAUSTED`,
        /// `OVER_CAPACITY`.
        name: Option<String>,
        /// The error's message.
        message: Option<String>,
        /// Whether the error says that it will pass.
        #[serde(default)]
        is_transient: bool,
    },
    /// It asks to come back later.
    Throttle {
        /// The platform's code, at Meta 4, 17, 613 or 80004 for one, which brings its envelope and
        /// usage headers; `None` for its usual way, at Meta a plain 429.
        code: Option<i64>,
        /// The HTTP status; without one the platform's own, at Meta 400 beside a code, else 429.
        status: Option<u16>,
        /// `Retry-After`, which Meta itself never sends.
        retry_after: Option<RetryAfter>,
        /// What the platform says about when access comes back, where it says it, in seconds.
        #[serde(default = "one_minute")]
        wait_s: u32,
    },
    /// It answers a page of HTML, as a proxy on the way does.
    Html {
        /// The HTTP status, 200 to 599.
        #[serde(default = "bad_gateway")]
        status: u16,
    },
    /// It answers exactly this.
    Answer {
        /// The HTTP status, 200 to 599.
        status: u16,
        /// Headers by name.
        #[serde(default)]
        headers: BTreeMap<String, String>,
        /// The body.
        #[serde(default)]
        body: String,
    },
    /// It takes its time, then does its work.
    Hang {
        /// In milliseconds, at most an hour.
        wait_ms: u64,
        /// Whether the work is done first, so that only the answer is late.
        #[serde(default)]
        after: bool,
    },
    /// Its true answer comes slowly.
    Slow {
        /// At least 1.
        bytes_per_second: u32,
    },
    /// Its true answer breaks off half way with a connection reset.
    CutOff,
    /// Half of its true answer, as if that were all.
    HalfJson,
    /// Its answer does not end.
    Endless,
    /// Of its true answer, which is a list, every so-many-th entry is null: of Meta's batches those
    /// are the operations that were not finished in time, whatever became of them.
    NullEntries {
        /// At least 1.
        every: u32,
    },
    /// Its true answer comes with huge headers.
    HugeHeaders {
        /// How many, at most 1,000.
        #[serde(default = "filler_count")]
        count: u16,
        /// How long each is, at most 64 KiB.
        #[serde(default = "filler_bytes")]
        size_bytes: u32,
    },
}

fn server_error() -> u16 {
    500
}

fn unknown_error() -> i64 {
    1
}

fn one_minute() -> u32 {
    60
}

fn bad_gateway() -> u16 {
    502
}

fn filler_count() -> u16 {
    200
}

fn filler_bytes() -> u32 {
    4_096
}

impl HttpFault {
    /// Its name in JSON.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Fail { .. } => "fail",
            Self::Throttle { .. } => "throttle",
            Self::Html { .. } => "html",
            Self::Answer { .. } => "answer",
            Self::Hang { .. } => "hang",
            Self::Slow { .. } => "slow",
            Self::CutOff => "cut_off",
            Self::HalfJson => "half_json",
            Self::Endless => "endless",
            Self::NullEntries { .. } => "null_entries",
            Self::HugeHeaders { .. } => "huge_headers",
        }
    }

    /// # Errors
    /// [`FaultError::OutOfBounds`] names the member that is.
    pub(super) fn check(&self) -> Result<(), FaultError> {
        let refuse = |member, bounds| Err(FaultError::OutOfBounds { member, bounds });
        match self {
            Self::Fail { status, .. }
            | Self::Html { status }
            | Self::Answer { status, .. }
            | Self::Throttle {
                status: Some(status),
                ..
            } if !(200..=599).contains(status) => refuse("status", "200 to 599"),
            Self::Answer { headers, .. } if headers.iter().any(|pair| parsed(pair).is_none()) => {
                refuse("headers", "names and values that HTTP allows")
            }
            Self::Hang { wait_ms, .. } if Duration::from_millis(*wait_ms) > MOST_WAIT => {
                refuse("wait_ms", "at most an hour")
            }
            Self::Slow {
                bytes_per_second: 0,
            } => refuse("bytes_per_second", "at least 1"),
            Self::NullEntries { every: 0 } => refuse("every", "at least 1"),
            Self::HugeHeaders { count, .. } if *count > MOST_HEADERS => {
                refuse("count", "at most 1,000")
            }
            Self::HugeHeaders { size_bytes, .. } if *size_bytes > MOST_HEADER_BYTES => {
                refuse("size_bytes", "at most 65,536")
            }
            _ => Ok(()),
        }
    }
}

/// A header of [`HttpFault::Answer`]; `None` for one that HTTP does not allow.
pub(super) fn parsed((name, value): (&String, &String)) -> Option<(HeaderName, HeaderValue)> {
    Some((
        HeaderName::try_from(name).ok()?,
        HeaderValue::from_str(value).ok()?,
    ))
}
