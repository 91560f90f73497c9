//! What Resend's answers mean, by the name in the body first and by the status where there is none.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::HeaderMap;

use super::{
    PROVIDER,
    wire::{Refused, Taken},
};
use crate::{
    error::{Detail, Error},
    http::{Answer, LONGEST_PAUSE, retry_after},
    mail::Sent,
    scrub::scrub,
};

/// Longest id that is kept, in characters.
const ID_LIMIT: usize = 100;
/// How long to wait for the other call with the same key.
const WHILE_CONCURRENT: Duration = Duration::from_secs(5);
/// How long to wait for a quota whose end nobody tells.
const WHILE_QUOTA: Duration = Duration::from_secs(60 * 60);

/// The answer to a mail.
///
/// # Errors
/// What its status and its name mean.
pub(super) fn read(answer: &Answer, api_key: &str, now: DateTime<Utc>) -> Result<Sent, Error> {
    if answer.status.is_success() {
        // It is taken, whatever the answer calls it: to fail now would only send it once more.
        let id = serde_json::from_slice::<Taken>(&answer.body).map(|taken| taken.id);
        let id = id.unwrap_or_else(|_| "without an id".to_owned());
        return Ok(Sent {
            response: scrub(&format!("accepted {id}"), &[api_key], ID_LIMIT),
        });
    }
    let refused = serde_json::from_slice::<Refused>(&answer.body).ok();
    let (name, message) = refused.map_or_else(
        || (String::new(), "no answer that can be read".to_owned()),
        |refused| (refused.name, refused.message),
    );
    let status = answer.status.as_u16();
    let mut detail = Detail::new(PROVIDER, &message, &[api_key]).status(status);
    if !name.is_empty() {
        detail = detail.code(&name);
    }
    Err(meaning(
        (status, &name),
        pause(&answer.headers, now),
        detail,
    ))
}

fn meaning((status, name): (u16, &str), pause: Option<Duration>, detail: Detail) -> Error {
    match (status, name) {
        // The sender's domain is not verified: a matter of the set-up, not of this mail.
        (401, _) | (403, _) | (_, "missing_api_key" | "restricted_api_key" | "invalid_api_key") => {
            Error::Config { detail }
        }
        (409, "concurrent_idempotent_requests") => Error::RateLimited {
            retry_after: Some(pause.unwrap_or(WHILE_CONCURRENT)),
            detail,
        },
        (429, "daily_quota_exceeded" | "monthly_quota_exceeded") => Error::RateLimited {
            retry_after: Some(pause.unwrap_or(WHILE_QUOTA)),
            detail,
        },
        (429, _) => Error::RateLimited {
            retry_after: pause,
            detail,
        },
        (408, _) | (500.., _) => Error::Unavailable {
            detail,
            // The key keeps a second call from sending a second mail, and who reads this may still want to know.
            maybe_received: true,
            source: None,
        },
        (413, _) => Error::TooLarge { detail },
        _ => Error::Rejected { detail },
    }
}

/// How long Resend asks to wait: `Retry-After`, or `ratelimit-reset` in seconds.
fn pause(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    retry_after(headers, now).or_else(|| {
        let reset = headers.get("ratelimit-reset")?.to_str().ok()?;
        let seconds: u64 = reset.trim().parse().ok()?;
        Some(Duration::from_secs(seconds).min(LONGEST_PAUSE))
    })
}
