//! What a mail server's reply, or its silence, means for the mail.

use std::{error::Error as StdError, sync::Arc};

use lettre::transport::smtp;

use super::PROVIDER;
use crate::error::{Detail, Error};

/// What a failure means. `sending` is true once the mail itself may have gone out.
pub(super) fn failure(error: smtp::Error, sending: bool) -> Error {
    let message = error
        .source()
        .map_or_else(|| error.to_string(), ToString::to_string);
    let detail = Detail::new(PROVIDER, &message, &[]);
    let Some(code) = error.status().map(u16::from) else {
        return without_reply(error, detail, sending);
    };

    let detail = detail.code(&code.to_string());
    match code {
        // It wants a login, another one, or one over TLS.
        530 | 534 | 535 | 538 => Error::Config { detail },
        500..=599 => Error::Rejected { detail },
        _ => Error::Unavailable {
            detail,
            maybe_received: false,
            source: None,
        },
    }
}

/// What a failure means before a mail was spoken of: for good or not, it is us that the server has something against, and that
/// may pass.
pub(super) fn before_any_mail(error: smtp::Error) -> Error {
    match failure(error, false) {
        Error::Rejected { detail } => Error::Unavailable {
            detail,
            maybe_received: false,
            source: None,
        },
        other => other,
    }
}

/// What a failure to log in means: what is refused for good is our login.
pub(super) fn at_login(error: smtp::Error) -> Error {
    match failure(error, false) {
        Error::Rejected { detail } => Error::Config { detail },
        other => other,
    }
}

fn without_reply(error: smtp::Error, detail: Detail, sending: bool) -> Error {
    if error.is_timeout() {
        Error::TimedOut {
            detail,
            maybe_received: sending,
        }
    } else if error.is_client() {
        // No way to log in that both sides know.
        Error::Config { detail }
    } else {
        Error::Unavailable {
            detail,
            maybe_received: sending,
            source: Some(Arc::new(error)),
        }
    }
}
