//! From a payload to a mail: its content, its sender, its recipients. Addresses and headers are checked once more where
//! the mail is built.

use marketing::email::{Look, RenderedMail, Templates};
use providers::mail::Mail;
use serde_json::Map;

use super::{EmailSend, Recipients};
use crate::{
    app::{EmailSettings, address_of},
    error::Error,
};

/// Most recipients of one mail.
const MOST_RECIPIENTS: usize = 50;

/// What a mail is made with, beside what its payload says.
pub(super) struct Stationery<'a> {
    pub(super) settings: &'a EmailSettings,
    pub(super) templates: &'a Templates,
    pub(super) look: &'a Look,
}

impl EmailSend {
    /// The mail with this Message-ID.
    pub(super) fn into_mail(
        self,
        stationery: &Stationery<'_>,
        message_id: String,
    ) -> Result<Mail, Error> {
        let Stationery {
            settings,
            templates,
            look,
        } = *stationery;
        let from = sender(self.from, settings)?;
        let to = recipients(self.to)?;
        let content = match self.template {
            Some(template) => {
                refuse(
                    self.subject.is_some(),
                    "/subject",
                    "must not stand beside template",
                )?;
                refuse(
                    self.text.is_some(),
                    "/text",
                    "must not stand beside template",
                )?;
                refuse(
                    self.html.is_some(),
                    "/html",
                    "must not stand beside template",
                )?;
                let data = self.data.unwrap_or_else(|| Map::new().into());
                let content = templates.render(&template, &data, look)?;
                Content::from(content)
            }
            None => {
                refuse(self.data.is_some(), "/data", "needs a template")?;
                Content {
                    subject: required(self.subject, "/subject")?,
                    text: required(self.text, "/text")?,
                    html: self.html,
                }
            }
        };
        Ok(Mail {
            from,
            reply_to: self.reply_to.or_else(|| settings.reply_to.clone()),
            to,
            subject: content.subject,
            text: content.text,
            html: content.html,
            message_id,
            auto_submitted: true,
            unsubscribe: look.unsubscribe_url.clone(),
        })
    }
}

struct Content {
    subject: String,
    text: String,
    html: Option<String>,
}

impl From<RenderedMail> for Content {
    fn from(mail: RenderedMail) -> Self {
        Self {
            subject: mail.subject,
            text: mail.text,
            html: Some(mail.html),
        }
    }
}

/// The configured sender, or the payload's: another name is fine, another address is not ours to use.
fn sender(asked: Option<String>, settings: &EmailSettings) -> Result<String, Error> {
    let ours = settings.from.as_deref().ok_or(Error::SetUp(
        "mails have no sender: set from in section [email] of jobs.toml",
    ))?;
    match asked {
        None => Ok(ours.to_owned()),
        Some(asked) if address_of(&asked).eq_ignore_ascii_case(address_of(ours)) => Ok(asked),
        Some(_) => Err(Error::Payload {
            pointer: "/from",
            problem: "must have the address that is configured as the sender's",
        }),
    }
}

fn recipients(to: Recipients) -> Result<Vec<String>, Error> {
    let to = match to {
        Recipients::One(address) => vec![address],
        Recipients::Many(addresses) => addresses,
    };
    refuse(
        to.is_empty() || to.len() > MOST_RECIPIENTS,
        "/to",
        "must be 1 to 50 addresses",
    )?;
    Ok(to)
}

fn required(text: Option<String>, pointer: &'static str) -> Result<String, Error> {
    text.filter(|text| !text.trim().is_empty())
        .ok_or(Error::Payload {
            pointer,
            problem: "is required where there is no template",
        })
}

fn refuse(is_wrong: bool, pointer: &'static str, problem: &'static str) -> Result<(), Error> {
    if is_wrong {
        Err(Error::Payload { pointer, problem })
    } else {
        Ok(())
    }
}
