//! Mail over SMTP. Only the server's reply to the end of a mail counts as sent; a mail whose reply never came is in
//! doubt, and goes out again under the same `Message-ID`.

mod connections;
mod delivery;
mod message;
mod replies;
mod server;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use secrecy::SecretString;
use tokio::time::timeout_at;

use self::{connections::Connections, server::Server};
use crate::{
    error::{Detail, Error},
    mail::{Mail, MailTransport, Sent},
    metrics,
    scrub::scrub,
};

/// The provider's name in errors and metrics.
const PROVIDER: &str = "smtp";

/// Longest reply that is kept, in characters.
const REPLY_LIMIT: usize = 500;

/// How to reach the mail server.
pub struct SmtpConfig {
    /// `smtps://user:password@host:465` for TLS from the start, `smtp://user:password@host:587` for STARTTLS, without
    /// which nothing is sent. `smtp://localhost:1025?tls=none` is plain, on loopback hosts only.
    pub url: SecretString,
    /// Certificates to trust beside the public ones, as PEM.
    pub extra_root_pem: Option<Vec<u8>>,
    /// Longest whole delivery of one mail, connecting included.
    pub timeout: Duration,
}

/// Checks an address as a [`Mailer`] would, without connecting.
///
/// # Errors
/// [`Error::Config`]; its message never holds a part of the address.
pub fn check_address(url: &SecretString) -> Result<(), Error> {
    Server::new(url, None).map(drop)
}

/// Sends mail. Keeps a bounded number of connections, and open ones only while they are used.
pub struct Mailer {
    connections: Connections,
    timeout: Duration,
}

impl Mailer {
    /// A mailer; no connection is made yet.
    ///
    /// # Errors
    /// [`Error::Config`] when the address or a certificate cannot be used.
    pub fn new(config: SmtpConfig) -> Result<Self, Error> {
        let server = Server::new(&config.url, config.extra_root_pem.as_deref())?;
        Ok(Self {
            connections: Connections::to(server),
            timeout: config.timeout,
        })
    }

    async fn try_send(&self, mail: &Mail) -> Result<Sent, Error> {
        let message = message::compose(mail)?;
        let bytes = message.formatted();
        let deadline = tokio::time::Instant::now() + self.timeout;

        // Wherever this is dropped, its connection is closed: nobody else may read a reply that is still to come.
        let mut connection = timeout_at(deadline, self.connections.take())
            .await
            .map_err(|_| timed_out("no connection to the mail server in time", false))??;
        let announced = delivery::announce(&mut connection.smtp, message.envelope(), &bytes);
        timeout_at(deadline, announced)
            .await
            .map_err(|_| timed_out("no reply from the mail server in time", false))??;
        let transmitted = delivery::transmit(&mut connection.smtp, &bytes);
        let reply = timeout_at(deadline, transmitted)
            .await
            .map_err(|_| timed_out("no reply to the mail in time", true))??;
        self.connections.give_back(connection);

        let lines: Vec<&str> = reply.message().collect();
        let response = format!("{} {}", reply.code(), lines.join(" "));
        Ok(Sent {
            response: scrub(&response, &[], REPLY_LIMIT),
        })
    }
}

impl MailTransport for Mailer {
    /// Every refusal for now, greylisting included, is [`Error::Unavailable`].
    fn send<'a>(&'a self, mail: &'a Mail) -> BoxFuture<'a, Result<Sent, Error>> {
        Box::pin(async move {
            let started = Instant::now();
            let result = self.try_send(mail).await;
            metrics::call_finished(PROVIDER, started.elapsed(), &result);
            result
        })
    }

    /// Mail servers look at no `Message-ID`.
    fn knows_again_for(&self) -> Duration {
        Duration::ZERO
    }
}

fn timed_out(message: &str, maybe_received: bool) -> Error {
    Error::TimedOut {
        detail: Detail::new(PROVIDER, message, &[]),
        maybe_received,
    }
}
