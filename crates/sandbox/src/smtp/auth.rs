//! Signing in: AUTH PLAIN and AUTH LOGIN.

use base64::{Engine, engine::general_purpose::STANDARD};
use tokio::io::{AsyncRead, AsyncWrite};

use super::wire::{Line, Wire, WireError};

/// Longest line of an exchange: RFC 4954.
const MOST_LINE_BYTES: usize = 12_288;

/// How an exchange ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SignIn {
    /// As this user.
    Accepted(String),
    Wrong,
    /// What the client sent is no base64, or not of the mechanism's form.
    Malformed,
    /// The client changed its mind.
    Cancelled,
    UnknownMechanism,
}

/// Asks for what the mechanism needs and compares it with `credentials`.
///
/// # Errors
/// [`WireError`] when the connection ends in between.
pub(super) async fn sign_in<S>(
    wire: &mut Wire<S>,
    mechanism: &str,
    initial: Option<String>,
    credentials: &(String, String),
) -> Result<SignIn, WireError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let given = match mechanism {
        "PLAIN" => {
            let text = match initial {
                Some(text) => text,
                None => ask(wire, "").await?,
            };
            decode(&text).and_then(|text| plain(&text))
        }
        "LOGIN" => {
            let user = match initial {
                Some(text) => text,
                None => ask(wire, "Username:").await?,
            };
            match decode(&user) {
                Err(ended) => Err(ended),
                Ok(user) => decode(&ask(wire, "Password:").await?).map(|word| (user, word)),
            }
        }
        _ => return Ok(SignIn::UnknownMechanism),
    };
    Ok(match given {
        Err(ended) => ended,
        Ok(given) if given == *credentials => SignIn::Accepted(given.0),
        Ok(_) => SignIn::Wrong,
    })
}

/// One challenge and its answer, still in base64; an answer that is far too long is an empty one.
async fn ask<S>(wire: &mut Wire<S>, challenge: &str) -> Result<String, WireError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    wire.reply(334, &STANDARD.encode(challenge)).await?;
    Ok(match wire.read_line(MOST_LINE_BYTES).await? {
        Line::Whole { bytes, .. } => String::from_utf8_lossy(&bytes).trim().to_owned(),
        Line::TooLong => String::new(),
    })
}

fn decode(text: &str) -> Result<String, SignIn> {
    match text {
        "*" => Err(SignIn::Cancelled),
        // An empty answer, as RFC 4954 writes it.
        "=" => Ok(String::new()),
        text => {
            let bytes = STANDARD.decode(text).map_err(|_| SignIn::Malformed)?;
            String::from_utf8(bytes).map_err(|_| SignIn::Malformed)
        }
    }
}

/// `authorize-id NUL user NUL password`; for whom one acts is of no interest here.
fn plain(text: &str) -> Result<(String, String), SignIn> {
    let parts: Vec<&str> = text.split('\0').collect();
    match parts.as_slice() {
        [_, user, password] => Ok(((*user).to_owned(), (*password).to_owned())),
        _ => Err(SignIn::Malformed),
    }
}
