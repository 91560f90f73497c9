//! From a [`Mail`] to the bytes of a message. Whatever could start another header, another recipient or another command
//! is refused by the member's name, never repaired.

use lettre::{
    Message,
    address::Envelope,
    message::{
        Mailbox, MultiPart, SinglePart,
        header::{HeaderName, HeaderValue},
    },
};

use super::PROVIDER;
use crate::{
    error::Error,
    mail::{self, Mail, ONE_CLICK},
};

/// Most recipients of one mail.
const RECIPIENTS_LIMIT: usize = 100;

/// Longest `Message-ID`, in bytes.
const HEADER_LIMIT: usize = 998;

/// The message and its envelope.
///
/// # Errors
/// [`Error::Rejected`] that names the member.
pub(super) fn compose(mail: &Mail) -> Result<Message, Error> {
    if mail.to.is_empty() || mail.to.len() > RECIPIENTS_LIMIT {
        return Err(refuse("to", "must have 1 to 100 addresses"));
    }
    mail::check_text(PROVIDER, "subject", &mail.subject)?;
    check_message_id(&mail.message_id)?;

    let from = mailbox("from", &mail.from)?;
    let to = mail
        .to
        .iter()
        .map(|address| mailbox("to", address))
        .collect::<Result<Vec<_>, _>>()?;
    let recipients = to.iter().map(|mailbox| mailbox.email.clone()).collect();
    let envelope = Envelope::new(Some(from.email.clone()), recipients)
        .map_err(|_| refuse("to", "must have 1 to 100 addresses"))?;

    let mut builder = Message::builder()
        .envelope(envelope)
        .from(from)
        .subject(mail.subject.as_str())
        .message_id(Some(mail.message_id.clone()));
    for recipient in to {
        builder = builder.to(recipient);
    }
    if let Some(reply_to) = &mail.reply_to {
        builder = builder.reply_to(mailbox("reply_to", reply_to)?);
    }
    if mail.auto_submitted {
        builder = builder.raw_header(HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".to_owned(),
        ));
    }
    if let Some(url) = &mail.unsubscribe {
        // Not folded: readers of mail look for the whole address in one piece.
        let header = mail::list_unsubscribe(PROVIDER, url)?;
        builder = builder
            .raw_header(HeaderValue::dangerous_new_pre_encoded(
                HeaderName::new_from_ascii_str("List-Unsubscribe"),
                header.clone(),
                header,
            ))
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("List-Unsubscribe-Post"),
                ONE_CLICK.to_owned(),
            ));
    }

    let text = mail.text.clone();
    match mail.html.clone() {
        Some(html) => builder.multipart(MultiPart::alternative_plain_html(text, html)),
        None => builder.singlepart(SinglePart::plain(text)),
    }
    .map_err(|_| refuse("from", "cannot be the sender of a mail"))
}

fn mailbox(member: &'static str, text: &str) -> Result<Mailbox, Error> {
    mail::mailbox(PROVIDER, member, text)
}

fn check_message_id(id: &str) -> Result<(), Error> {
    let is_id = id.len() <= HEADER_LIMIT
        && id
            .strip_prefix('<')
            .and_then(|id| id.strip_suffix('>'))
            .and_then(|id| id.split_once('@'))
            .is_some_and(|(id, domain)| is_atom(id) && is_atom(domain));
    if is_id {
        Ok(())
    } else {
        Err(refuse(
            "message_id",
            "must be an id and a domain in angle brackets",
        ))
    }
}

fn is_atom(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_graphic() && !b"<>()[]@,;:\\\"".contains(&b))
}

fn refuse(member: &'static str, message: &str) -> Error {
    mail::refuse(PROVIDER, member, message)
}
