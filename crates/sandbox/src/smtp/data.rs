//! The mail itself: lines up to the one that is a dot. Only CR LF ends a line, so that no part of a
//! mail can pass for a command.

use tokio::io::{AsyncRead, AsyncWrite};

use super::wire::{Line, Wire, WireError};

/// Longest line with its end: RFC 5321, and the dot that may be stuffed before it.
const MOST_LINE_BYTES: usize = 1_001;
/// A mail that goes on for this many times its limit is not waited for.
const MOST_OVERRUN: usize = 4;

/// What was read up to the final dot.
pub(super) enum Received {
    Mail(Vec<u8>),
    TooLarge,
    /// The mail breaks a rule, told in words.
    Malformed(&'static str),
}

/// Reads a mail and takes the stuffed dots out.
///
/// # Errors
/// [`WireError`] when the connection ends before the mail does.
pub(super) async fn receive<S>(wire: &mut Wire<S>, most_bytes: usize) -> Result<Received, WireError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut mail = Vec::new();
    let mut malformed = None;
    let mut length = 0;
    loop {
        let (bytes, ends_with_crlf) = match wire.read_line(MOST_LINE_BYTES).await? {
            Line::Whole {
                bytes,
                ends_with_crlf,
            } => (bytes, ends_with_crlf),
            Line::TooLong => {
                malformed = Some("5.6.0 a line is longer than 998 octets");
                length += MOST_LINE_BYTES;
                continue;
            }
        };
        if ends_with_crlf && bytes == b"." {
            break;
        }
        if !ends_with_crlf || bytes.contains(&b'\r') {
            malformed = Some("5.6.0 a line ends with a bare CR or LF");
        }
        let line = bytes.strip_prefix(b".").unwrap_or(&bytes);
        length += line.len() + 2;
        if length <= most_bytes {
            mail.extend_from_slice(line);
            mail.extend_from_slice(b"\r\n");
        } else if length > most_bytes.saturating_mul(MOST_OVERRUN) {
            return Err(WireError::TooMuch);
        }
    }
    Ok(match malformed {
        Some(why) => Received::Malformed(why),
        None if length > most_bytes => Received::TooLarge,
        None => Received::Mail(mail),
    })
}
