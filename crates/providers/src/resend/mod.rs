//! Mail by Resend's HTTP API. It honours an idempotency key for a day: a mail whose answer never came is sent again under
//! the same one, and goes out once.

mod replies;
#[cfg(test)]
mod tests;
mod wire;

use std::time::{Duration, Instant};

use chrono::Utc;
use futures::future::BoxFuture;
use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::{
    error::Error,
    http::{Http, client_builder, require_safe_base},
    mail::{self, Mail, MailTransport, Sent},
    metrics,
};

/// Resend's own address.
pub const DEFAULT_URL: &str = "https://api.resend.com";

/// The provider's name in errors and metrics.
const PROVIDER: &str = "resend";
/// Most bytes of an answer that are read: it names an id or a mistake.
const ANSWER_LIMIT: usize = 64 * 1024;
/// Most recipients of one mail, as Resend documents it.
const RECIPIENTS_LIMIT: usize = 50;
/// Longest idempotency key, as Resend documents it.
const KEY_LIMIT: usize = 256;
/// For how long a key is known: a day, of which an hour is left for the call and for clocks that differ.
const KEY_KNOWN: Duration = Duration::from_secs(23 * 60 * 60);

/// How to reach Resend. No `Debug`: it holds a key.
pub struct ResendConfig {
    /// [`DEFAULT_URL`], or a stand-in.
    pub base_url: Url,
    /// The API key, `re_…`.
    pub api_key: SecretString,
    /// Longest whole call.
    pub timeout: Duration,
}

/// Sends mail by Resend. No `Debug`: it holds the key.
pub struct Resend {
    http: Http,
    emails: Url,
    api_key: SecretString,
}

impl Resend {
    /// A client; no connection is made yet.
    ///
    /// # Errors
    /// [`Error::Config`] for an address that would send the key in the clear, or where this machine can make no client.
    pub fn new(config: ResendConfig) -> Result<Self, Error> {
        require_safe_base(PROVIDER, &config.base_url)?;
        let mut emails = config.base_url;
        let path = format!("{}/emails", emails.path().trim_end_matches('/'));
        emails.set_path(&path);
        Ok(Self {
            http: Http::new(PROVIDER, ANSWER_LIMIT, client_builder(config.timeout))?,
            emails,
            api_key: config.api_key,
        })
    }

    async fn try_send(&self, mail: &Mail) -> Result<Sent, Error> {
        check(mail)?;
        let body = wire::Email::of(mail)?;
        let request = self
            .http
            .request(Method::POST, self.emails.clone())
            .bearer_auth(self.api_key.expose_secret())
            .header("Idempotency-Key", idempotency_key(mail))
            .json(&body);
        let answer = self.http.send(request).await?;
        replies::read(&answer, self.api_key.expose_secret(), Utc::now())
    }
}

impl MailTransport for Resend {
    fn send<'a>(&'a self, mail: &'a Mail) -> BoxFuture<'a, Result<Sent, Error>> {
        Box::pin(async move {
            let started = Instant::now();
            let result = self.try_send(mail).await;
            metrics::call_finished(PROVIDER, started.elapsed(), &result);
            result
        })
    }

    fn knows_again_for(&self) -> Duration {
        KEY_KNOWN
    }
}

/// What makes two sends the same mail.
fn idempotency_key(mail: &Mail) -> &str {
    mail.message_id.trim_matches(['<', '>'])
}

/// Refuses what could start another header at the other end. Mailboxes are checked where they are written.
fn check(mail: &Mail) -> Result<(), Error> {
    if mail.to.is_empty() || mail.to.len() > RECIPIENTS_LIMIT {
        return Err(mail::refuse(PROVIDER, "to", "must have 1 to 50 addresses"));
    }
    let key = idempotency_key(mail);
    let is_key = !key.is_empty() && key.len() <= KEY_LIMIT;
    if !is_key || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(mail::refuse(
            PROVIDER,
            "message_id",
            "must be an id and a domain in angle brackets",
        ));
    }
    mail::check_text(PROVIDER, "subject", &mail.subject)
}
