//! Why a sandbox does not start.

use std::{io, net::SocketAddr, path::PathBuf};

use tokio_rustls::rustls;

use crate::signature::SecretError;

/// Why a sandbox does not start.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// An address is taken, or not this machine's.
    #[error("cannot listen on {addr}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The mail folder can be neither found nor made.
    #[error("cannot make the mail folder {}", .path.display())]
    MailDir {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The mail server's certificate cannot be made.
    #[error("cannot make the mail server's certificate")]
    Certificate(#[from] rcgen::Error),
    /// The certificate made cannot be used.
    #[error("cannot set up the mail server's TLS")]
    Tls(#[from] rustls::Error),
    /// A receiver's secret is not one of Standard Webhooks.
    #[error("the secret of the receiver {name:?} cannot be used")]
    HookSecret {
        /// The receiver's name.
        name: String,
        /// What is wrong with it.
        source: SecretError,
    },
}
