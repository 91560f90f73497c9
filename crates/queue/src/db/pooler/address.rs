//! `DATABASE_URL`, taken apart: our own parameter `pooler`, which the driver must not see, and the rest.

use std::{str::FromStr, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use sqlx::{
    ConnectOptions,
    postgres::{PgConnectOptions, PgSslMode},
};
use url::Url;

use super::Pooler;
use crate::db::DatabaseError;

/// Our own parameter.
const POOLER: &str = "pooler";
/// Parameters that say where the server is and how it proves who it is.
const WHERE: [&str; 5] = ["host", "hostaddr", "port", "sslmode", "ssl-mode"];
/// What is wrong with another word.
const UNKNOWN: &str = "pooler is none, session, transaction or transaction-prepared";

/// Where the database is, and by way of whom. No `Debug`: it holds a password.
pub(in crate::db) struct Address {
    url: SecretString,
    /// Who stands between, where the operator says it.
    said: Option<Pooler>,
    application_name: String,
}

impl Address {
    /// # Errors
    /// [`DatabaseError::InvalidUrl`].
    pub(in crate::db) fn read(
        url: &SecretString,
        application_name: &str,
    ) -> Result<Self, DatabaseError> {
        let parsed = parse(url)?;
        let mut said = None;
        for (_, word) in parsed.query_pairs().filter(|(name, _)| name == POOLER) {
            said = Some(Pooler::named(&word).ok_or_else(|| invalid(UNKNOWN))?);
        }
        let url = match said {
            Some(_) => without(parsed, &[POOLER]).to_string().into(),
            None => url.clone(),
        };
        Ok(Self {
            url,
            said,
            application_name: application_name.to_owned(),
        })
    }

    /// Who stands between, where the operator says it.
    pub(in crate::db) fn said(&self) -> Option<Pooler> {
        self.said
    }

    /// As the driver takes it.
    pub(super) fn options(&self) -> Result<PgConnectOptions, DatabaseError> {
        self.quiet(self.url.expose_secret())
    }

    /// The same database and role, but by way of a port of this machine, without TLS.
    pub(super) fn by_way_of(&self, port: u16) -> Result<PgConnectOptions, DatabaseError> {
        let mut url = without(parse(&self.url)?, &WHERE);
        url.set_host(Some("127.0.0.1")).map_err(invalid)?;
        url.set_port(Some(port))
            .map_err(|()| invalid("it has no place for a port"))?;
        Ok(self.quiet(url.as_str())?.ssl_mode(PgSslMode::Disable))
    }

    fn quiet(&self, url: &str) -> Result<PgConnectOptions, DatabaseError> {
        let options = PgConnectOptions::from_str(url).map_err(DatabaseError::InvalidUrl)?;
        Ok(options
            .application_name(&self.application_name)
            .log_statements(tracing::log::LevelFilter::Off)
            .log_slow_statements(tracing::log::LevelFilter::Off, Duration::ZERO))
    }
}

pub(super) fn invalid(
    reason: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> DatabaseError {
    DatabaseError::InvalidUrl(sqlx::Error::Configuration(reason.into()))
}

fn parse(url: &SecretString) -> Result<Url, DatabaseError> {
    Url::parse(url.expose_secret()).map_err(invalid)
}

fn without(mut url: Url, names: &[&str]) -> Url {
    let kept: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(name, _)| !names.iter().any(|other| name == other))
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    url.set_query(None);
    if !kept.is_empty() {
        url.query_pairs_mut().extend_pairs(kept);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Result<Address, DatabaseError> {
        Address::read(&SecretString::from(url), "test")
    }

    #[test]
    fn who_stands_between_is_said_beside_what_the_driver_reads() {
        let address = read("postgres://a:b%40c@db:6432/x?sslmode=require&pooler=transaction")
            .expect("it is right");

        let options = address.options().expect("it is right");

        assert_eq!(address.said(), Some(Pooler::Transaction));
        assert_eq!((options.get_host(), options.get_port()), ("db", 6432));
        assert!(matches!(options.get_ssl_mode(), PgSslMode::Require));
        assert!(!address.url.expose_secret().contains("pooler"));
        assert!(address.url.expose_secret().contains("b%40c"));
    }

    #[test]
    fn an_address_that_says_nothing_stays_as_it_is() {
        let address = read("postgres://db/x?options=-c%20geqo%3Doff").expect("it is right");

        assert_eq!(address.said(), None);
        assert!(address.url.expose_secret().ends_with("-c%20geqo%3Doff"));
    }

    #[test]
    fn a_word_that_is_none_is_refused_with_those_that_are() {
        let refused = read("postgres://db/x?pooler=statement").map(|_| ());

        let told = crate::error_chain(&refused.expect_err("there is no such word"));
        assert!(told.ends_with(UNKNOWN), "{told}");
    }

    #[test]
    fn the_way_by_a_port_of_this_machine_keeps_role_and_database() {
        for url in [
            "postgres://ada:secret@db.example.com:6432/x?sslmode=disable",
            "postgres://ada:secret@%2Frun%2Fpgbouncer/x",
            "postgres:///x?host=/run/pgbouncer&port=6432&user=ada",
        ] {
            let options = read(url).and_then(|address| address.by_way_of(7000));

            let options = options.expect("it is right");
            assert_eq!(
                (options.get_host(), options.get_port()),
                ("127.0.0.1", 7000)
            );
            assert!(options.get_socket().is_none());
            assert_eq!(options.get_username(), "ada");
            assert_eq!(options.get_database(), Some("x"));
        }
    }
}
