//! A mail server that delivers nothing: it keeps each mail as a file and writes its envelope down.
//! It speaks ESMTP with AUTH, STARTTLS and implicit TLS, and goes wrong at any step when a fault
//! tells it to.

mod auth;
mod command;
mod data;
mod delivery;
mod mailbox;
mod session;
mod tls;
mod wire;

use std::{sync::Arc, time::Duration};

use tokio::{net::TcpStream, time};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::{faults::Faults, ledger::Ledger};
use session::{End, Session};
use wire::{Wire, WireError};

pub(crate) use mailbox::Mailbox;
pub(crate) use tls::ServerTls;

/// Longest life of a connection, whatever it is used for.
const MOST_SESSION: Duration = Duration::from_secs(2 * 3_600);
/// Longest wait for a TLS handshake.
const HANDSHAKE_WAIT: Duration = Duration::from_secs(10);

/// What every connection to the mail server shares.
pub(crate) struct MailServer {
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) faults: Arc<Faults>,
    /// User and password; `None` asks for none.
    pub(crate) credentials: Option<(String, String)>,
    pub(crate) acceptor: TlsAcceptor,
    pub(crate) stop: CancellationToken,
}

impl MailServer {
    /// Serves a connection that begins in the clear.
    pub(crate) async fn serve(self: Arc<Self>, stream: TcpStream) {
        self.watched(self.begin_plain(stream)).await;
    }

    /// Serves a connection that begins with a TLS handshake.
    pub(crate) async fn serve_tls(self: Arc<Self>, stream: TcpStream) {
        self.watched(self.begin_tls(stream)).await;
    }

    async fn watched(&self, dialogue: impl Future<Output = Result<(), WireError>>) {
        // Dropping a dialogue half way closes its connection, which is all that is wanted.
        let ended = tokio::select! {
            () = self.stop.cancelled() => return,
            ended = time::timeout(MOST_SESSION, dialogue) => ended,
        };
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "a mail connection ended early"),
            Err(_) => tracing::debug!("a mail connection was open for too long"),
        }
    }

    async fn begin_plain(&self, stream: TcpStream) -> Result<(), WireError> {
        let mut wire = Wire::new(stream);
        let end = Session::new(self, false).greet_and_run(&mut wire).await?;
        match end {
            End::Closed => Ok(()),
            End::StartTls => {
                // What was sent behind STARTTLS in the clear is thrown away with the old wire, and
                // the new session knows nothing of the old one: RFC 3207.
                let mut wire = self.encrypt(wire.into_stream()).await?;
                Session::new(self, true).run(&mut wire).await?;
                wire.close().await
            }
        }
    }

    async fn begin_tls(&self, stream: TcpStream) -> Result<(), WireError> {
        let mut wire = self.encrypt(stream).await?;
        Session::new(self, true).greet_and_run(&mut wire).await?;
        wire.close().await
    }

    async fn encrypt(
        &self,
        stream: TcpStream,
    ) -> Result<Wire<tokio_rustls::server::TlsStream<TcpStream>>, WireError> {
        let stream = time::timeout(HANDSHAKE_WAIT, self.acceptor.accept(stream))
            .await
            .map_err(|_| WireError::Idle)??;
        Ok(Wire::new(stream))
    }
}

#[cfg(test)]
mod tests;
