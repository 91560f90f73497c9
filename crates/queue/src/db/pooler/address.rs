//! `DATABASE_URL`, taken apart: our own parameter `pooler`, what the driver understands, and the rest, which it would write
//! to the log.

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
/// The other parameters that the driver understands. It logs any further one with its value, each time that it reads the
/// address, and `sslpassword` is one that people have from other drivers.
const UNDERSTOOD: [&str; 13] = [
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];
/// How many statements the driver keeps of a connection over the bridge, which keeps as many with it: the address may not
/// say zero, by which the driver forgets what it never closes.
const STATEMENTS: usize = 100;
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
        let (mut said, mut is_for_the_driver) = (None, true);
        let others = parsed.query_pairs();
        for (name, word) in others.filter(|(name, _)| !is_understood(name)) {
            is_for_the_driver = false;
            if name == POOLER {
                said = Some(Pooler::named(&word).ok_or_else(|| invalid(UNKNOWN))?);
            } else {
                tracing::warn!(parameter = %name, "a parameter of DATABASE_URL is not understood, and left out");
            }
        }
        let url = if is_for_the_driver {
            url.clone()
        } else {
            only(parsed, is_understood).to_string().into()
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
        // A file of passwords has one for where the address leads, and none for that port. Role and host are put aside,
        // since the driver writes them into a URL as they are.
        let direct = self.options()?.username("anybody").host("localhost");
        let direct = direct.to_url_lossy();
        let mut url = only(parse(&self.url)?, |name| !WHERE.contains(&name));
        url.set_host(Some("127.0.0.1")).map_err(invalid)?;
        url.set_port(Some(port))
            .map_err(|()| invalid("it has no place for a port"))?;
        url.set_password(direct.password())
            .map_err(|()| invalid("it has no place for a password"))?;
        let options = self.quiet(url.as_str())?.ssl_mode(PgSslMode::Disable);
        Ok(options.statement_cache_capacity(STATEMENTS))
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

/// Whether it is a parameter of the driver's.
fn is_understood(name: &str) -> bool {
    WHERE.contains(&name) || UNDERSTOOD.contains(&name) || name.starts_with("options[")
}

/// The address with these of its parameters.
fn only(mut url: Url, is_kept: impl Fn(&str) -> bool) -> Url {
    let kept: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(name, _)| is_kept(name))
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

    #[test]
    fn the_way_by_a_port_of_this_machine_keeps_the_password() {
        for url in [
            "postgres://ada%40x:p%40ss%25@[::1]:6432/x",
            "postgres://db/x?user=ada&password=p%40ss%25&hostaddr=::1",
        ] {
            let options = read(url).and_then(|address| address.by_way_of(7000));

            let told = options.expect("it is right").username("ada").to_url_lossy();
            assert_eq!(told.password(), Some("p%40ss%25"), "{url}");
        }
    }

    // Fails when the driver is given what it does not know, which it logs.
    #[test]
    fn what_the_driver_does_not_understand_is_kept_from_it() {
        let address = read("postgres://db/x?sslpassword=secret&user=ada&options[geqo]=off")
            .expect("it is right");

        let options = address.options().expect("it is right");

        assert!(!address.url.expose_secret().contains("secret"));
        assert_eq!(options.get_username(), "ada");
        assert_eq!(options.get_options(), Some("-c geqo=off"));
    }
}
