//! A mail, and what takes it: a mail server or a vendor's HTTP API, behind one trait. What all of them refuse before anybody
//! is asked stands here: whatever could start another header.

use std::time::Duration;

use futures::future::BoxFuture;
use lettre::{Address, message::Mailbox};
use url::Host;

use crate::error::{Detail, Error};

/// Longest line that a header may unfold to, in bytes.
const HEADER_LIMIT: usize = 998;
/// Longest mail address, in bytes, as SMTP can name it.
const LONGEST_ADDRESS: usize = 254;
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

    /// For how long a mail that comes again under its `message_id` is known for the one that came, and goes out once;
    /// zero: it goes out as often as it comes.
    fn knows_again_for(&self) -> Duration;
}

/// Whether a character ends a line, or turns round what stands behind it: none has a place in a header, nor in a name that a
/// mail tells.
#[must_use]
pub fn is_out_of_line(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}')
}

/// Whether a text may stand in a header: one line that reads as it is written.
#[must_use]
pub fn is_header_text(text: &str) -> bool {
    fault_of(text).is_none()
}

fn fault_of(text: &str) -> Option<&'static str> {
    // Readers would decode it: what was checked is not what is shown.
    let begun = text.split_once("=?");
    let has_encoded_word = begun.is_some_and(|(_, behind)| behind.contains("?="));
    if text.chars().any(is_out_of_line) {
        Some("must not contain control characters")
    } else if has_encoded_word {
        Some("must not contain encoded words")
    } else if text.len() > HEADER_LIMIT {
        Some("is longer than 998 bytes")
    } else {
        None
    }
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
    match fault_of(text) {
        Some(fault) => Err(refuse(provider, member, fault)),
        None => Ok(()),
    }
}

/// Whether a text is one mail address and nothing beside it: no name, no second address.
#[must_use]
pub fn is_address(text: &str) -> bool {
    let is_bare = !text.contains(|c: char| c.is_whitespace() || matches!(c, '<' | '>'));
    is_bare && text.len() <= LONGEST_ADDRESS && mailbox("mail", "address", text).is_ok()
}

/// One mailbox, its domain in ASCII.
///
/// # Errors
/// [`Error::Rejected`] that names the member.
pub(crate) fn mailbox(
    provider: &'static str,
    member: &'static str,
    text: &str,
) -> Result<Mailbox, Error> {
    check_text(provider, member, text)?;
    let not_one = || refuse(provider, member, "must be one mail address");
    let mut mailbox: Mailbox = text.parse().map_err(|_| not_one())?;
    if !mailbox.email.domain().is_ascii() {
        mailbox.email = with_ascii_domain(&mailbox.email).ok_or_else(not_one)?;
    }
    // In the commands of SMTP these would end the address.
    if mailbox.email.to_string().contains(['<', '>', ' ', '"']) {
        return Err(not_one());
    }
    Ok(mailbox)
}

fn with_ascii_domain(address: &Address) -> Option<Address> {
    let Ok(Host::Domain(domain)) = Host::parse(address.domain()) else {
        return None;
    };
    Address::new(address.user(), domain).ok()
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
    fn a_header_reads_as_it_is_written() {
        for right in [
            "Größe = 3? Yes",
            "محمد",
            "a=?b",
            "?=a",
            "\u{2068}Ada\u{2069}",
        ] {
            assert!(is_header_text(right), "{right}");
        }
        for wrong in [
            "a\nb",
            "a\u{85}b",
            "a\u{2028}b",
            "invoice\u{202e}fdp.exe",
            "=?utf-8?q?a?=",
        ] {
            assert!(!is_header_text(wrong), "{wrong}");
        }
    }

    #[test]
    fn an_address_is_one_and_nothing_beside_it() {
        for right in [
            "ada@example.com",
            "a.b+c@mail.example.com",
            "ada@bücher.example",
        ] {
            assert!(is_address(right), "{right}");
        }
        let long = format!("ada@{}.example", "a".repeat(300));
        for wrong in [
            "",
            "ada",
            "@example.com",
            "ada@",
            "a@example.com,b@example.com",
            "a@example.com;b@example.com",
            "a@b@example.com",
            "<ada@example.com>",
            "Ada <ada@example.com>",
            " ada@example.com",
            "ada@example.com\n",
            "ada@exam\u{202e}ple.com",
            &long,
        ] {
            assert!(!is_address(wrong), "{wrong}");
        }
    }

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
