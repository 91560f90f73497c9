//! How the private database is reached: a port and a password, kept as the one URL that commands use.

use std::net::{Ipv4Addr, TcpListener};

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::PostgresError;
use crate::dev::home::Home;

/// The database's only user, who may do everything.
pub(super) const USER: &str = "millpond";
/// Random bytes of a password.
const PASSWORD_BYTES: usize = 24;

/// Port and password.
pub(super) struct Access {
    pub(super) port: u16,
    pub(super) password: SecretString,
}

impl Access {
    /// What an earlier run kept.
    pub(super) fn remembered(home: &Home) -> Result<Option<Self>, PostgresError> {
        Ok(home.database_url()?.and_then(|text| Self::read(&text)))
    }

    /// A free port and a new password.
    pub(super) fn new() -> Result<Self, PostgresError> {
        let password = hex::encode(rand::random::<[u8; PASSWORD_BYTES]>());
        Ok(Self {
            port: free_port()?,
            password: SecretString::from(password),
        })
    }

    /// The same password on a port that is free now: the same one if it is.
    pub(super) fn on_free_port(self) -> Result<Self, PostgresError> {
        let port = if is_free(self.port) {
            self.port
        } else {
            free_port()?
        };
        Ok(Self { port, ..self })
    }

    /// The whole address.
    pub(super) fn url(&self) -> SecretString {
        let (password, port) = (self.password.expose_secret(), self.port);
        SecretString::from(format!(
            "postgres://{USER}:{password}@127.0.0.1:{port}/postgres?sslmode=disable"
        ))
    }

    fn read(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        Some(Self {
            port: url.port()?,
            password: SecretString::from(url.password()?),
        })
    }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn free_port() -> Result<u16, PostgresError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(PostgresError::NoPort)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn what_is_kept_is_read_again() {
        let scratch = Scratch::new();
        let home = Home::open(scratch.path(), false).expect("free");
        let access = Access::new().expect("a port is free");

        home.keep_database_url(access.url().expose_secret())
            .expect("written");
        let read = Access::remembered(&home).expect("readable").expect("kept");

        assert_eq!(read.port, access.port);
        assert_eq!(
            read.password.expose_secret(),
            access.password.expose_secret()
        );
    }

    #[test]
    fn a_damaged_file_is_as_good_as_none() {
        let scratch = Scratch::new();
        let home = Home::open(scratch.path(), false).expect("free");
        home.keep_database_url("postgres://").expect("written");

        assert!(Access::remembered(&home).expect("readable").is_none());
    }

    #[test]
    fn a_port_in_use_is_changed_and_a_free_one_kept() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let port = taken.local_addr().expect("bound").port();
        let access = || Access {
            port,
            password: SecretString::from("x"),
        };

        let other = access().on_free_port().expect("another port is free");
        drop(taken);
        let same = access().on_free_port().expect("it is free");

        assert_ne!(other.port, port);
        assert_eq!(same.port, port);
    }
}
