//! The mail server's address: host, port, how TLS begins, and who we are to it. A connection is never silently plain.

use std::{net::IpAddr, time::Duration};

use lettre::transport::smtp::{
    SUBMISSION_PORT, SUBMISSIONS_PORT,
    authentication::{Credentials, DEFAULT_MECHANISMS},
    client::{AsyncSmtpConnection, Certificate, TlsParameters},
    extension::ClientId,
};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{PROVIDER, replies};
use crate::{
    error::{Detail, Error},
    http::CONNECT_TIMEOUT,
};

/// How long the server has for each address of its name.
const TIMEOUT: Option<Duration> = Some(CONNECT_TIMEOUT);

pub(super) struct Server {
    host: String,
    port: u16,
    tls: Tls,
    credentials: Option<Credentials>,
    hello: ClientId,
}

enum Tls {
    /// From the start.
    Implicit(TlsParameters),
    /// Asked for in the clear, before anything else is said.
    Upgraded(TlsParameters),
    /// Loopback only.
    None,
}

impl Server {
    /// Reads an address as [`super::SmtpConfig`] describes it.
    ///
    /// # Errors
    /// [`Error::Config`]; its message never holds a part of the address.
    pub(super) fn new(url: &SecretString, extra_root_pem: Option<&[u8]>) -> Result<Self, Error> {
        let url = Url::parse(url.expose_secret())
            .map_err(|_| config("the mail server's address is not a URL"))?;
        let host = host_of(&url)?;
        let tls = match (url.scheme(), tls_parameter(&url)?.as_deref()) {
            ("smtps", None) => Tls::Implicit(tls_parameters(&host, extra_root_pem)?),
            ("smtp", None | Some("required")) => {
                Tls::Upgraded(tls_parameters(&host, extra_root_pem)?)
            }
            ("smtp", Some("none")) if is_loopback(&host) => Tls::None,
            ("smtp", Some("none")) => {
                return Err(config("mail without TLS is for loopback hosts only"));
            }
            _ => {
                return Err(config(
                    "the mail server's address must be smtps:// or smtp://, with ?tls=none at most",
                ));
            }
        };
        let default_port = match tls {
            Tls::Implicit(_) => SUBMISSIONS_PORT,
            Tls::Upgraded(_) | Tls::None => SUBMISSION_PORT,
        };
        Ok(Self {
            port: url.port().unwrap_or(default_port),
            credentials: credentials_of(&url)?,
            host,
            tls,
            hello: ClientId::default(),
        })
    }

    /// Connects, encrypts and logs in. The caller bounds it in time.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the server cannot be reached, hangs up, does not want us, or offers no TLS;
    /// [`Error::Config`] when it does not take our login.
    pub(super) async fn connect(&self) -> Result<AsyncSmtpConnection, Error> {
        let from_start = match &self.tls {
            Tls::Implicit(parameters) => Some(parameters.clone()),
            Tls::Upgraded(_) | Tls::None => None,
        };
        let server = (self.host.as_str(), self.port);
        let mut smtp =
            AsyncSmtpConnection::connect_tokio1(server, TIMEOUT, &self.hello, from_start, None)
                .await
                .map_err(replies::before_any_mail)?;

        if let Tls::Upgraded(parameters) = &self.tls {
            if !smtp.can_starttls() {
                return Err(no_tls());
            }
            smtp.starttls(parameters.clone(), &self.hello)
                .await
                .map_err(replies::before_any_mail)?;
        }
        if let Some(credentials) = &self.credentials {
            smtp.auth(DEFAULT_MECHANISMS, credentials)
                .await
                .map_err(replies::at_login)?;
        }
        Ok(smtp)
    }
}

fn host_of(url: &Url) -> Result<String, Error> {
    let host = url.host_str().unwrap_or_default();
    // Brackets belong to the URL, not to the address.
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err(config("the mail server's address has no host"));
    }
    Ok(host.to_owned())
}

/// The value of `?tls=`, which is all that may stand behind the host.
fn tls_parameter(url: &Url) -> Result<Option<String>, Error> {
    let mut tls = None;
    for (name, value) in url.query_pairs() {
        if name != "tls" {
            return Err(config(
                "the mail server's address knows no parameter but tls",
            ));
        }
        tls = Some(value.into_owned());
    }
    if !matches!(url.path(), "" | "/") {
        return Err(config("the mail server's address has no path"));
    }
    Ok(tls)
}

fn tls_parameters(host: &str, extra_root_pem: Option<&[u8]>) -> Result<TlsParameters, Error> {
    let mut parameters = TlsParameters::builder(host.to_owned());
    if let Some(pem) = extra_root_pem {
        // A file without any certificate would be taken without a word.
        if !String::from_utf8_lossy(pem).contains("BEGIN CERTIFICATE") {
            return Err(config("the mail server's certificates are not PEM"));
        }
        let certificate = Certificate::from_pem(pem)
            .map_err(|_| config("the mail server's certificates are not PEM"))?;
        parameters = parameters.add_root_certificate(certificate);
    }
    parameters
        .build()
        .map_err(|_| config("the mail server's certificates cannot be used"))
}

fn credentials_of(url: &Url) -> Result<Option<Credentials>, Error> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    let bad = || config("user and password of the mail server must both be there, percent-encoded");
    let user = percent_decoded(url.username()).ok_or_else(bad)?;
    let password = url.password().and_then(percent_decoded).ok_or_else(bad)?;
    if user.is_empty() {
        return Err(bad());
    }
    Ok(Some(Credentials::new(user, password)))
}

/// `None` when what comes out is not UTF-8, or a percent sign has no two digits.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first == b'%' {
            let mut byte = [0];
            hex::decode_to_slice(tail.get(..2)?, &mut byte).ok()?;
            bytes.push(byte[0]);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn no_tls() -> Error {
    Error::Unavailable {
        detail: Detail::new(
            PROVIDER,
            "the mail server offers no TLS: nothing was sent",
            &[],
        ),
        maybe_received: false,
        source: None,
    }
}

fn config(message: &str) -> Error {
    Error::Config {
        detail: Detail::new(PROVIDER, message, &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(url: &str) -> Result<Server, Error> {
        Server::new(&url.into(), None)
    }

    #[test]
    fn addresses_say_how_tls_begins() {
        let implicit = server("smtps://mail.example.com").expect("a server");
        let starttls = server("smtp://mail.example.com").expect("a server");
        let plain = server("smtp://127.0.0.1:1025?tls=none").expect("a server");

        assert!(matches!(implicit.tls, Tls::Implicit(_)));
        assert_eq!(implicit.port, 465);
        assert!(matches!(starttls.tls, Tls::Upgraded(_)));
        assert_eq!(starttls.port, 587);
        assert!(matches!(plain.tls, Tls::None));
        assert_eq!((plain.host.as_str(), plain.port), ("127.0.0.1", 1025));
        assert!(server("smtp://[::1]:1025?tls=none").is_ok());
    }

    #[test]
    fn addresses_that_cannot_be_used_are_our_own_set_up_and_not_quoted() {
        for url in [
            "mail.example.com",
            "https://canary:canary@mail.example.com",
            "smtp://canary:canary@mail.example.com?tls=none",
            "smtp://canary:canary@mail.example.com?tls=opportunistic",
            "smtps://canary:canary@mail.example.com?tls=none",
            "smtp://canary:canary@mail.example.com?pool=3",
            "smtp://canary:canary@mail.example.com/path",
            "smtp://canary@mail.example.com",
            "smtp://canary:canary%zz@mail.example.com",
            "smtp://canary:canary%ff@mail.example.com",
            "smtp://",
        ] {
            let Err(Error::Config { detail }) = server(url) else {
                panic!("{url}");
            };
            assert!(!detail.message.contains("canary"), "{url}");
        }
    }

    #[test]
    fn certificates_that_are_none_are_our_own_set_up() {
        let broken = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
        for pem in ["", "a key", broken] {
            let result = Server::new(&"smtps://mail.example.com".into(), Some(pem.as_bytes()));

            assert!(matches!(result, Err(Error::Config { .. })), "{pem}");
        }
    }

    #[test]
    fn passwords_are_percent_decoded() {
        assert_eq!(
            percent_decoded("p%40ss%25+%C3%A9").as_deref(),
            Some("p@ss%+é")
        );
        assert_eq!(percent_decoded("50%"), None);
        assert_eq!(percent_decoded("%4"), None);
    }
}
