//! Mail, put together: who takes it, the templates, and whom it comes from.

use anyhow::Context as _;
use jobs::{EmailSettings, EmailSource};
use marketing::email::{Brand, OwnTemplates, Templates};
use providers::{
    mail::MailTransport,
    resend::{self, Resend, ResendConfig},
    smtp::{Mailer, SmtpConfig},
};
use queue::Queue;
use url::Url;

use super::CALL_LIMIT;
use crate::settings::{MailEnvironment, ProviderSettings};

/// What takes mails; `None`: nothing does.
pub(super) fn transport(
    settings: &ProviderSettings,
) -> anyhow::Result<Option<Box<dyn MailTransport>>> {
    let mail = &settings.mail;
    if let Some(api_key) = mail.resend_api_key.clone() {
        let base_url = match mail.resend_url.clone() {
            Some(url) => url,
            None => Url::parse(resend::DEFAULT_URL).context("Resend's own address is none")?,
        };
        let resend = Resend::new(ResendConfig {
            base_url,
            api_key,
            timeout: CALL_LIMIT,
        });
        let resend = resend.context("cannot set up mail: see MILLPOND_RESEND_URL")?;
        return Ok(Some(Box::new(resend)));
    }
    let Some(url) = settings.smtp_url.clone() else {
        return Ok(None);
    };
    let mailer = Mailer::new(SmtpConfig {
        url,
        extra_root_pem: None,
        timeout: CALL_LIMIT,
    });
    let mailer = mailer.context("cannot set up mail: see MILLPOND_SMTP_URL")?;
    Ok(Some(Box::new(mailer)))
}

/// The templates, with the operator's where there are any. Reads files: before anything is served.
pub(crate) fn templates(mail: &MailEnvironment) -> anyhow::Result<Templates> {
    let Some(folder) = &mail.templates else {
        return Ok(Templates::default());
    };
    let own = OwnTemplates::read(folder)
        .context("the mail templates cannot be used: see MILLPOND_MAIL_TEMPLATES")?;
    Ok(Templates::with(own))
}

/// Whom mails come from and how they look, as jobs.toml says when they are sent.
pub(super) fn source(queue: Queue, sender_unless_set: Option<String>) -> EmailSource {
    EmailSource::new(move |tenant| {
        let config = queue.config();
        let email = config.email.of_tenant(tenant);
        let sender = email.from.or_else(|| sender_unless_set.clone());
        EmailSettings {
            brand: Brand {
                name: email.brand.name,
                color: email.brand.color,
                logo_url: email.brand.logo_url,
                address: email.brand.address,
            },
            connect_url: email.brand.connect_url,
            ..EmailSettings::new(sender, email.reply_to)
        }
    })
}
