//! What goes to Resend and what comes back, as it documents them.

use serde::{Deserialize, Serialize};

use super::PROVIDER;
use crate::{
    error::Error,
    mail::{Mail, ONE_CLICK, list_unsubscribe, mailbox},
};

/// A mail to be sent.
#[derive(Serialize)]
pub(super) struct Email<'a> {
    from: String,
    to: Vec<String>,
    subject: &'a str,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    html: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<String>,
    headers: Headers,
}

/// Headers beside those that Resend writes itself, the `Message-ID` among them.
#[derive(Serialize)]
struct Headers {
    #[serde(rename = "Auto-Submitted", skip_serializing_if = "Option::is_none")]
    auto_submitted: Option<&'static str>,
    #[serde(rename = "List-Unsubscribe", skip_serializing_if = "Option::is_none")]
    list_unsubscribe: Option<String>,
    #[serde(
        rename = "List-Unsubscribe-Post",
        skip_serializing_if = "Option::is_none"
    )]
    list_unsubscribe_post: Option<&'static str>,
}

impl<'a> Email<'a> {
    /// # Errors
    /// [`Error::Rejected`] where it is from, or to, or is to be ended at what is no address.
    pub(super) fn of(mail: &'a Mail) -> Result<Self, Error> {
        let url = mail.unsubscribe.as_deref();
        let list_unsubscribe = url.map(|url| list_unsubscribe(PROVIDER, url)).transpose()?;
        let written =
            |member, text: &str| mailbox(PROVIDER, member, text).map(|one| one.to_string());
        let to = mail.to.iter().map(|text| written("to", text));
        let reply_to = mail.reply_to.as_deref();
        Ok(Self {
            from: written("from", &mail.from)?,
            to: to.collect::<Result<_, _>>()?,
            subject: &mail.subject,
            text: &mail.text,
            html: mail.html.as_deref(),
            reply_to: reply_to.map(|text| written("reply_to", text)).transpose()?,
            headers: Headers {
                auto_submitted: mail.auto_submitted.then_some("auto-generated"),
                list_unsubscribe_post: list_unsubscribe.as_ref().map(|_| ONE_CLICK),
                list_unsubscribe,
            },
        })
    }
}

/// That a mail was taken.
#[derive(Deserialize)]
pub(super) struct Taken {
    pub(super) id: String,
}

/// That it was not.
#[derive(Deserialize)]
pub(super) struct Refused {
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) message: String,
}
