//! A mail, and what takes it: a mail server or a vendor's HTTP API, behind one trait. What all of them refuse before anybody
//! is asked stands here: whatever could start another header.

use futures::future::BoxFuture;

use crate::error::{Detail, Error};

/// Longest line that a header may unfold to, in bytes.
const HEADER_LIMIT: usize = 998;
/// Longest address of a page that ends a subscription, in bytes.
const LONGEST_URL: usize = 900;

/// What RFC 8058 has beside the address: whoever posts to it needs to do nothing more.
pub(crate) const ONE_CLICK: &str = "List-Unsubscribe=One-Click";

/// A mail. Addresses are `ada@example.com` or `Ada Lovelace <ada@example.com>`.
pub struct Mail {
    /// Who it is from.
    pub from: String,
    /// Where answers go, if not there.
    pub reply_to: Option<String>,
    /// Who it is to, at most 100: all of them get it, or none.
    pub to: Vec<String>,
    /// One line.
    pub subject: String,
    /// The plain form.
    pub text: String,
    /// The form with mark-up.
    pub html: Option<String>,
    /// `<id@domain>`, the same on every attempt.
    pub message_id: String,
    /// Mark it as written by a machine, so that no machine answers.
    pub auto_submitted: bool,
    /// Where the recipient ends what this mail is one of, by one POST: an address of ours.
    pub unsubscribe: Option<String>,
}

/// A mail that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// What the server or the vendor answered, at most 500 characters; many name the mail's place in their queue.
    pub response: String,
}

/// What takes mails. One that cannot tell whether it has taken a mail says so in its error.
pub trait MailTransport: Send + Sync {
    /// Sends a mail, once; who sends it again keeps its `message_id`.
    ///
    /// The future fails with [`Error::Rejected`] for a mail that breaks a rule of ours (the message names the member) or
    /// that is refused for good, with [`Error::Config`] where we are not known there, with [`Error::RateLimited`] where a
    /// pause is asked for, and with [`Error::Unavailable`] or [`Error::TimedOut`] for everything that may pass.
    fn send<'a>(&'a self, mail: &'a Mail) -> BoxFuture<'a, Result<Sent, Error>>;
}

/// What every text in a header keeps to: one line of no forged words.
///
/// # Errors
/// [`Error::Rejected`] that names the member.
pub(crate) fn check_text(
    provider: &'static str,
    member: &'static str,
    text: &str,
) -> Result<(), Error> {
    if text.chars().any(char::is_control) {
        return Err(refuse(
            provider,
            member,
            "must not contain control characters",
        ));
    }
    // Readers would decode it: what was checked is not what is shown.
    if text.contains("=?") && text.contains("?=") {
        return Err(refuse(provider, member, "must not contain encoded words"));
    }
    if text.len() > HEADER_LIMIT {
        return Err(refuse(provider, member, "is longer than 998 bytes"));
    }
    Ok(())
}

/// The value of `List-Unsubscribe` for this address.
///
/// # Errors
/// [`Error::Rejected`] where it is no address that may stand in a header.
pub(crate) fn list_unsubscribe(provider: &'static str, url: &str) -> Result<String, Error> {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"<>,\"\\".contains(&byte);
    let is_http = url.starts_with("https://") || url.starts_with("http://");
    if is_http && url.len() <= LONGEST_URL && url.bytes().all(is_plain) {
        Ok(format!("<{url}>"))
    } else {
        Err(refuse(
            provider,
            "unsubscribe",
            "must be an address of a page",
        ))
    }
}

/// Why a mail is not sent.
pub(crate) fn refuse(provider: &'static str, member: &'static str, message: &str) -> Error {
    Error::Rejected {
        detail: Detail::new(provider, &format!("{member} {message}"), &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_to_unsubscribe_at_cannot_end_its_header() {
        let header = |url: &str| list_unsubscribe("test", url).ok();

        assert_eq!(
            header("https://jobs.example.com/unsubscribe/abc").as_deref(),
            Some("<https://jobs.example.com/unsubscribe/abc>")
        );
        for wrong in [
            "mailto:a@example.com",
            "https://x/>\r\nBcc: a",
            "https://x/a,b",
            "https://x/a b",
            "https://x/ü",
        ] {
            assert_eq!(header(wrong), None, "{wrong}");
        }
    }
}
