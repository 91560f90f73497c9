//! What handlers need beside their payloads. The program makes one of these at its start and shares it.

use std::collections::BTreeMap;

use marketing::{
    accounts::Accounts,
    email::{Brand, Templates},
    outbound::Outbound,
    sync::Syncs,
};
use providers::{
    mail::MailTransport,
    meta::Meta,
    webhook::{Caller, Signer},
};
use queue::{Database, Queue};
use secrecy::SecretString;

use crate::Doors;

/// Clients, settings and secrets of all handlers.
pub struct App {
    /// Where `marketing` keeps what it knows.
    pub db: Database,
    /// The engine's front door: what is in force, and jobs that are enqueued before an attempt has ended.
    pub queue: Queue,
    /// Connected accounts, and the clients of the platforms that they are at.
    pub accounts: Accounts,
    /// What is read of accounts.
    pub syncs: Syncs,
    /// Customers' endpoints, and what they are told.
    pub outbound: Outbound,
    /// What all doors to platforms share.
    pub doors: Doors,
    /// Meta's APIs.
    pub meta: Meta,
    /// The token of conversions that name no account; `None`: they fail with class `config`.
    pub meta_token: Option<SecretString>,
    /// What takes mails; `None`: they fail with class `config`.
    pub mailer: Option<Box<dyn MailTransport>>,
    /// What mails say.
    pub templates: Templates,
    /// Whom mails come from.
    pub email: EmailSource,
    /// Calls addresses that others chose.
    pub caller: Caller,
    /// What `secret` of `http.request` names.
    pub signers: Signers,
    /// What `secret_env` of a kind with a `target` names. Payloads never reach these: whoever may enqueue a call could
    /// else speak in the name of any target.
    pub target_signers: Signers,
}

/// Whom mails come from, and how they look: `[email]` of jobs.toml, and what it says of a tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EmailSettings {
    /// The sender; `None`: mails fail with class `config`.
    pub from: Option<String>,
    /// Where answers go; `None`: to the sender.
    pub reply_to: Option<String>,
    /// What stands behind the `@` of each Message-ID.
    pub domain: String,
    /// How mails look.
    pub brand: Brand,
    /// Where owners connect their accounts again; `None`: mails name no page.
    pub connect_url: Option<String>,
}

impl EmailSettings {
    /// Settings whose domain is the sender's.
    #[must_use]
    pub fn new(from: Option<String>, reply_to: Option<String>) -> Self {
        let domain = from
            .as_deref()
            .and_then(|from| address_of(from).rsplit_once('@'))
            .map_or("localhost", |(_, domain)| domain)
            .to_owned();
        Self {
            from,
            reply_to,
            domain,
            brand: Brand::default(),
            connect_url: None,
        }
    }
}

/// What the settings of mails are, asked for each of them and its tenant: they can change while the process runs.
pub struct EmailSource(Box<SettingsOf>);

/// What holds for the mails of this tenant.
type SettingsOf = dyn Fn(Option<&str>) -> EmailSettings + Send + Sync;

impl EmailSource {
    /// Asks this function, with the tenant that the mail belongs to.
    #[must_use]
    pub fn new(settings: impl Fn(Option<&str>) -> EmailSettings + Send + Sync + 'static) -> Self {
        Self(Box::new(settings))
    }

    /// What holds now for mails of this tenant.
    pub(crate) fn settings(&self, tenant: Option<&str>) -> EmailSettings {
        (self.0)(tenant)
    }
}

/// Who signs, by the names of their secrets. No `Debug`: they hold the secrets.
#[derive(Default)]
pub struct Signers(BTreeMap<String, Signer>);

impl Signers {
    /// Who signs with the secret of this name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Signer> {
        self.0.get(name)
    }
}

impl FromIterator<(String, Signer)> for Signers {
    fn from_iter<T: IntoIterator<Item = (String, Signer)>>(signers: T) -> Self {
        Self(signers.into_iter().collect())
    }
}

/// The address of `Name <address>`, or of an address alone.
pub(crate) fn address_of(mailbox: &str) -> &str {
    match mailbox.rsplit_once('<') {
        Some((_, address)) => address.trim_end().trim_end_matches('>').trim(),
        None => mailbox.trim(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_ids_carry_the_senders_domain() {
        let domain = |from: &str| EmailSettings::new(Some(from.to_owned()), None).domain;

        assert_eq!(domain("Millpond <jobs@example.com>"), "example.com");
        assert_eq!(domain("jobs@mail.example.org"), "mail.example.org");
        assert_eq!(EmailSettings::new(None, None).domain, "localhost");
    }

    #[test]
    fn a_mailbox_gives_its_address() {
        assert_eq!(
            address_of("Millpond <jobs@example.com> "),
            "jobs@example.com"
        );
        assert_eq!(address_of(" jobs@example.com"), "jobs@example.com");
        assert_eq!(address_of("\"a<b\" <jobs@example.com>"), "jobs@example.com");
    }
}
