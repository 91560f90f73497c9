//! A sandbox that runs: it binds its addresses, starts its servers, and leaves no task behind when
//! it stops.

use std::{net::SocketAddr, sync::Arc};

use tokio::net::TcpListener;

use crate::{
    config::SandboxConfig,
    error::SandboxError,
    faults::Faults,
    http,
    ledger::Ledger,
    listen::{self, Life},
    shared::Shared,
    smtp::{MailServer, Mailbox, ServerTls},
    world::WorldClock,
};

/// A running sandbox. Dropping it ends its tasks too, without waiting for them.
pub struct Sandbox {
    shared: Arc<Shared>,
    life: Life,
    http_addr: SocketAddr,
    smtp_addr: SocketAddr,
    smtps_addr: Option<SocketAddr>,
    ca_certificate_pem: String,
}

impl Sandbox {
    /// Binds every address and serves; connections are accepted when this returns.
    ///
    /// # Errors
    /// [`SandboxError`] says which address, folder or secret cannot be used; nothing runs then.
    pub async fn start(config: SandboxConfig) -> Result<Self, SandboxError> {
        let shared = Arc::new(Shared::new(&config)?);
        let tls = ServerTls::generate()?;
        let mailbox = Arc::new(Mailbox::open(config.mail_dir).await?);
        let (web, http_addr) = bind(config.http).await?;
        let (mail, smtp_addr) = bind(config.smtp).await?;
        let mail_tls = match config.smtps {
            Some(addr) => Some(bind(addr).await?),
            None => None,
        };

        let life = Life::default();
        let router = http::router(Arc::clone(&shared), Arc::clone(&mailbox));
        let stop = life.stop.clone();
        life.tasks
            .spawn(listen::accept(web, life.clone(), move |stream, addr| {
                http::serve(stream, addr, router.clone(), stop.clone())
            }));

        let post = Arc::new(MailServer {
            mailbox,
            ledger: Arc::clone(&shared.ledger),
            faults: Arc::clone(&shared.faults),
            credentials: config.smtp_auth,
            acceptor: tls.acceptor,
            stop: life.stop.clone(),
        });
        let plain = Arc::clone(&post);
        life.tasks
            .spawn(listen::accept(mail, life.clone(), move |stream, _| {
                Arc::clone(&plain).serve(stream)
            }));
        let smtps_addr = mail_tls.map(|(listener, addr)| {
            life.tasks
                .spawn(listen::accept(listener, life.clone(), move |stream, _| {
                    Arc::clone(&post).serve_tls(stream)
                }));
            addr
        });

        Ok(Self {
            shared,
            life,
            http_addr,
            smtp_addr,
            smtps_addr,
            ca_certificate_pem: tls.ca_certificate_pem,
        })
    }

    /// Where HTTP is served: Meta's API at the root, the other platforms' under `/google_ads`,
    /// `/linkedin`, `/tiktok` and `/x`, receivers under `/hooks/`, the control under `/_control/`.
    #[must_use]
    pub fn http_addr(&self) -> SocketAddr {
        self.http_addr
    }

    /// Where the mail server listens, offering STARTTLS.
    #[must_use]
    pub fn smtp_addr(&self) -> SocketAddr {
        self.smtp_addr
    }

    /// Where the mail server listens with TLS from the first byte.
    #[must_use]
    pub fn smtps_addr(&self) -> Option<SocketAddr> {
        self.smtps_addr
    }

    /// The certificate of the authority that signed the mail server's, made at this start. The
    /// server's own is for
    /// `localhost`, 127.0.0.1 and ::1.
    #[must_use]
    pub fn ca_certificate_pem(&self) -> &str {
        &self.ca_certificate_pem
    }

    /// What arrived.
    #[must_use]
    pub fn ledger(&self) -> Arc<Ledger> {
        Arc::clone(&self.shared.ledger)
    }

    /// What goes wrong on demand.
    #[must_use]
    pub fn faults(&self) -> Arc<Faults> {
        Arc::clone(&self.shared.faults)
    }

    /// The clock that the platforms' stand-ins go by.
    #[must_use]
    pub fn clock(&self) -> Arc<WorldClock> {
        Arc::clone(self.shared.world.clock())
    }

    /// Ends every connection and waits until no task of the sandbox is left; takes about a second
    /// at most.
    pub async fn stop(self) {
        self.life.stop.cancel();
        self.life.tasks.close();
        self.life.tasks.wait().await;
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.life.stop.cancel();
    }
}

async fn bind(addr: SocketAddr) -> Result<(TcpListener, SocketAddr), SandboxError> {
    let failed = |source| SandboxError::Listen { addr, source };
    let listener = TcpListener::bind(addr).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}
