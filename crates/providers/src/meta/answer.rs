//! From an answer of the Graph API to what a caller decides on. The body has the first word, the status the last.

use std::time::Duration;

use chrono::Utc;
use serde_json::Value;

use super::{
    EventsReceived, Failure, PROVIDER, Split,
    errors::{self, Class},
    usage,
    wire::{EventsAnswer, GraphError},
};
use crate::{
    error::{Detail, Error},
    http::Answer,
    scrub::scrub,
};

/// Longest warning that is kept, in characters.
const MESSAGE_LIMIT: usize = 500;

/// What Meta says about a request that sent events. `secrets` are what it may quote back at us.
pub(super) fn read(answer: &Answer, secrets: &[&str]) -> Result<EventsReceived, Box<Failure>> {
    let Ok(body) = serde_json::from_slice::<Value>(&answer.body) else {
        let class = Class::of_unreadable(answer.status);
        let detail = Detail::new(PROVIDER, "the answer is no whole JSON document", &[]);
        return Err(failure(class, answer, detail, None));
    };
    if let Some(error) = GraphError::read(&body) {
        let class = Class::of(&error, answer.status);
        let detail = detail_of(&error, secrets);
        return Err(failure(class, answer, detail, Some(&error)));
    }
    match EventsAnswer::read(&body).filter(|_| answer.status.is_success()) {
        Some(read) => Ok(EventsReceived {
            events_received: read.events_received,
            messages: read
                .messages
                .iter()
                .map(|message| scrub(message, secrets, MESSAGE_LIMIT))
                .collect(),
            fbtrace_id: read.fbtrace_id,
        }),
        None => {
            let class = Class::of_status(answer.status);
            let detail = Detail::new(PROVIDER, "the answer says nothing about the events", &[]);
            Err(failure(class, answer, detail, None))
        }
    }
}

/// What Meta says in an error envelope.
pub(super) fn detail_of(error: &GraphError, secrets: &[&str]) -> Detail {
    let detail =
        Detail::new(PROVIDER, &told(error), secrets).request_id(error.fbtrace_id.as_deref());
    match code_of(error) {
        Some(code) => detail.code(&code),
        None => detail,
    }
}

/// The failure that a class is to whoever called. `wait` makes of the least wait of a limit how long it is.
pub(super) fn error_of(
    class: Class,
    detail: Detail,
    wait: impl FnOnce(Duration) -> Duration,
) -> Error {
    match class {
        Class::Auth => Error::AuthExpired { detail },
        Class::Config => Error::Config { detail },
        Class::Permission => Error::Permission { detail },
        Class::Rate(least) => Error::RateLimited {
            retry_after: Some(wait(least)),
            detail,
        },
        Class::Transient => Error::Unavailable {
            detail,
            maybe_received: true,
            source: None,
        },
        Class::TooLarge => Error::TooLarge { detail },
        Class::Rejected => Error::Rejected { detail },
    }
}

/// Meta's message, with the words it has for people where it has some.
fn told(error: &GraphError) -> String {
    if error.user_message.is_empty() {
        error.message.clone()
    } else {
        format!("{}: {}", error.message, error.user_message)
    }
}

fn code_of(error: &GraphError) -> Option<String> {
    let code = error.code?;
    Some(match error.subcode {
        Some(subcode) => format!("{code}/{subcode}"),
        None => code.to_string(),
    })
}

fn failure(
    class: Class,
    answer: &Answer,
    detail: Detail,
    error: Option<&GraphError>,
) -> Box<Failure> {
    let detail = detail.status(answer.status.as_u16());
    let split = match class {
        Class::TooLarge => Some(Split::Halves),
        // Whatever its code, a refusal may be about a single event.
        Class::Rejected => {
            error.map(|error| errors::event_index(error).map_or(Split::Halves, Split::At))
        }
        Class::Auth | Class::Config | Class::Permission | Class::Rate(_) | Class::Transient => None,
    };
    let error = error_of(class, detail, |least| {
        usage::pause(&answer.headers, Utc::now()).unwrap_or(least)
    });
    Box::new(Failure { error, split })
}
