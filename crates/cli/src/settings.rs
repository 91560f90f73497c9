//! What the environment says: addresses and secrets. Everything wrong is told at once, and no value is ever shown.

mod accounts;
mod mail;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

pub(crate) use self::{
    accounts::{AccountsEnvironment, read_keys},
    mail::MailEnvironment,
};
use crate::environment::{Environment, VariableProblem};

/// Where the API listens unless `MILLPOND_HTTP_ADDR` says otherwise.
const DEFAULT_HTTP_ADDR: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
/// The variable that names the database.
pub(crate) const DATABASE_URL: &str = "DATABASE_URL";

/// Everything that is wrong with the environment.
#[derive(Debug, thiserror::Error)]
#[error("the environment is not usable:{}", list(.0))]
pub(crate) struct SettingsProblems(Vec<VariableProblem>);

impl SettingsProblems {
    /// Each variable that is wrong, with what is wrong with it.
    pub(crate) fn each(&self) -> impl Iterator<Item = (&str, String)> {
        self.0.iter().map(|problem| (problem.name(), told(problem)))
    }
}

/// How the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For programs: one object a line.
    Json,
}

/// `MILLPOND_LOG` and `MILLPOND_LOG_FORMAT`.
#[derive(Debug, Clone, Default)]
pub(crate) struct LogSettings {
    /// A tracing filter; `None`: the command's own.
    pub(crate) filter: Option<String>,
    /// `None`: text on a terminal, JSON otherwise.
    pub(crate) format: Option<LogFormat>,
    /// `NO_COLOR` is set: no colours on a terminal either.
    pub(crate) is_plain: bool,
}

/// Other companies' addresses and our secrets there. No `Debug`: it holds secrets.
#[derive(Clone, Default)]
pub(crate) struct ProviderSettings {
    /// `MILLPOND_SMTP_URL`: mail is off without it, and without what stands in its place in `mail`.
    pub(crate) smtp_url: Option<SecretString>,
    /// What else concerns mail.
    pub(crate) mail: MailEnvironment,
    /// `MILLPOND_META_URL`; `None`: Meta's own.
    pub(crate) meta_url: Option<Url>,
    /// `MILLPOND_META_ACCESS_TOKEN`: for conversions that name no account.
    pub(crate) meta_access_token: Option<SecretString>,
    /// `MILLPOND_META_APP_SECRET`: proves calls.
    pub(crate) meta_app_secret: Option<SecretString>,
    /// `MILLPOND_OUTBOUND_ALLOW`: networks that `http.request` and webhooks may reach beside the public ones.
    pub(crate) outbound_allow: Vec<IpNet>,
    /// Who mails come from where jobs.toml does not say; only `millpond dev` has one.
    pub(crate) sender_unless_set: Option<String>,
}

impl ProviderSettings {
    /// Whether mails go anywhere.
    pub(crate) fn takes_mail(&self) -> bool {
        self.smtp_url.is_some() || self.mail.resend_api_key.is_some()
    }
}

/// The environment, read and checked. No `Debug`: it holds secrets.
#[derive(Clone)]
pub(crate) struct Settings {
    /// `DATABASE_URL`.
    pub(crate) database_url: Option<SecretString>,
    /// `MILLPOND_HTTP_ADDR`.
    pub(crate) http_addr: SocketAddr,
    /// Other companies' addresses and our secrets there.
    pub(crate) providers: ProviderSettings,
    /// What connected accounts need.
    pub(crate) accounts: AccountsEnvironment,
}

impl Settings {
    /// Reads everything that a running process needs.
    pub(crate) fn read(environment: &Environment) -> Result<Self, SettingsProblems> {
        let mut problems = Problems::default();
        let database_url = read_database_url(environment, &mut problems);
        let http_addr = problems.keep(environment.value(
            "MILLPOND_HTTP_ADDR",
            "is not an address and a port such as 127.0.0.1:8080 or 0.0.0.0:8080",
            |text| text.parse::<SocketAddr>().ok(),
        ));
        let providers = read_providers(environment, &mut problems);
        let accounts = AccountsEnvironment::read(environment, &mut problems);
        problems.none_or()?;
        let http_addr = http_addr.flatten().unwrap_or(DEFAULT_HTTP_ADDR);
        Ok(Self {
            database_url,
            http_addr,
            providers,
            accounts,
        })
    }
}

/// Reads `DATABASE_URL` alone, which is all that most commands need.
pub(crate) fn database_url(
    environment: &Environment,
) -> Result<Option<SecretString>, SettingsProblems> {
    let mut problems = Problems::default();
    let url = read_database_url(environment, &mut problems);
    problems.none_or()?;
    Ok(url)
}

impl LogSettings {
    /// Reads what concerns the log.
    pub(crate) fn read(environment: &Environment) -> Result<Self, SettingsProblems> {
        let mut problems = Problems::default();
        let filter = problems.keep(environment.text("MILLPOND_LOG")).flatten();
        let format = problems.keep(environment.value(
            "MILLPOND_LOG_FORMAT",
            "is neither \"text\" nor \"json\"",
            |text| match text {
                "text" => Some(LogFormat::Text),
                "json" => Some(LogFormat::Json),
                _ => None,
            },
        ));
        problems.none_or()?;
        Ok(Self {
            filter: filter.map(str::to_owned),
            format: format.flatten(),
            is_plain: environment.os("NO_COLOR").is_some(),
        })
    }
}

/// Collects what is wrong, so that it can be told at once.
#[derive(Default)]
pub(crate) struct Problems(Vec<VariableProblem>);

impl Problems {
    /// The value, if there is one; else its problem is kept.
    pub(crate) fn keep<T>(&mut self, result: Result<T, VariableProblem>) -> Option<T> {
        result.map_err(|problem| self.0.push(problem)).ok()
    }

    /// Fails with everything that was kept.
    pub(crate) fn none_or(self) -> Result<(), SettingsProblems> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(SettingsProblems(self.0))
        }
    }
}

fn read_providers(environment: &Environment, problems: &mut Problems) -> ProviderSettings {
    let mail = MailEnvironment::read(environment, problems);
    let smtp_url = mail.smtp_url(environment, problems);
    let meta_url = problems.keep(environment.value(
        "MILLPOND_META_URL",
        "is not an https address (plain http is for loopback only), without user name, query or fragment",
        |text| Url::parse(text).ok().filter(is_provider_url),
    ));
    let outbound_allow = problems.keep(environment.value(
        "MILLPOND_OUTBOUND_ALLOW",
        "is not a list of networks such as 10.1.0.0/16,192.0.2.7/32",
        read_networks,
    ));
    ProviderSettings {
        smtp_url,
        mail,
        meta_url: meta_url.flatten(),
        meta_access_token: problems
            .keep(environment.secret("MILLPOND_META_ACCESS_TOKEN"))
            .flatten(),
        meta_app_secret: problems
            .keep(environment.secret("MILLPOND_META_APP_SECRET"))
            .flatten(),
        outbound_allow: outbound_allow.flatten().unwrap_or_default(),
        sender_unless_set: None,
    }
}

fn read_database_url(environment: &Environment, problems: &mut Problems) -> Option<SecretString> {
    let url = problems.keep(environment.secret(DATABASE_URL)).flatten();
    problems.keep(check_database_url(url)).flatten()
}

fn check_database_url(url: Option<SecretString>) -> Result<Option<SecretString>, VariableProblem> {
    let is_wrong = |url: &SecretString| {
        !Url::parse(url.expose_secret())
            .is_ok_and(|url| matches!(url.scheme(), "postgres" | "postgresql"))
    };
    if url.as_ref().is_some_and(is_wrong) {
        return Err(VariableProblem::Invalid {
            name: DATABASE_URL.to_owned(),
            problem: concat!(
                "is not a PostgreSQL address such as postgres://user:password@host:5432/name ",
                "(special characters in the password are written as %40 and so on)"
            ),
        });
    }
    Ok(url)
}

fn is_provider_url(url: &Url) -> bool {
    let is_loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    let is_bare = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    is_bare && (url.scheme() == "https" || (url.scheme() == "http" && is_loopback))
}

fn read_networks(text: &str) -> Option<Vec<IpNet>> {
    let read = |item: &str| {
        let item = item.trim();
        item.parse::<IpNet>()
            .or_else(|_| item.parse::<IpAddr>().map(IpNet::from))
            .ok()
    };
    text.split(',')
        .filter(|item| !item.trim().is_empty())
        .map(read)
        .collect()
}

fn list(problems: &[VariableProblem]) -> String {
    let lines = problems.iter().map(told);
    lines.map(|line| format!("\n  {line}")).collect()
}

fn told(problem: &VariableProblem) -> String {
    match std::error::Error::source(problem) {
        Some(source) => format!("{problem}: {source}"),
        None => problem.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_environment_gives_the_defaults() {
        let settings = Settings::read(&Environment::from([])).expect("usable");

        assert!(settings.database_url.is_none());
        assert_eq!(settings.http_addr.to_string(), "127.0.0.1:8080");
        assert!(settings.providers.outbound_allow.is_empty());
    }

    #[test]
    fn every_problem_is_told_at_once_and_no_value_is_shown() {
        let environment = Environment::from([
            ("DATABASE_URL", "mysql://root:hunter2@db/x"),
            ("MILLPOND_HTTP_ADDR", "hunter2"),
            ("MILLPOND_SMTP_URL", "http://user:hunter2@mail"),
            ("MILLPOND_META_URL", "http://user:hunter2@graph.example.com"),
            ("MILLPOND_OUTBOUND_ALLOW", "10.0.0.0/8,hunter2"),
        ]);

        let refused = Settings::read(&environment)
            .err()
            .expect("refused")
            .to_string();

        for name in [
            "DATABASE_URL",
            "MILLPOND_HTTP_ADDR",
            "MILLPOND_SMTP_URL",
            "MILLPOND_META_URL",
            "MILLPOND_OUTBOUND_ALLOW",
        ] {
            assert!(
                refused.contains(&format!("\n  {name} is not ")),
                "{name}: {refused}"
            );
        }
        assert!(!refused.contains("hunter2"), "{refused}");
    }

    #[test]
    fn a_mail_server_that_could_not_be_used_is_told_with_the_rest() {
        for address in [
            "smtp://mail.example.com?tls=opportunistic",
            "smtp://mail.example.com?tls=none",
            "smtp://hunter2@mail.example.com",
            "smtps://user:hunter2@mail.example.com/path",
        ] {
            let environment = Environment::from([
                ("MILLPOND_SMTP_URL", address),
                ("MILLPOND_HTTP_ADDR", "hunter2"),
            ]);

            let refused = Settings::read(&environment).err().expect("refused");

            let names: Vec<&str> = refused.each().map(|(name, _)| name).collect();
            assert_eq!(names, ["MILLPOND_HTTP_ADDR", "MILLPOND_SMTP_URL"]);
            assert!(!refused.to_string().contains("hunter2"), "{refused}");
        }
    }

    #[test]
    fn a_provider_may_be_reached_without_tls_on_loopback_alone() {
        for (address, is_fine) in [
            ("https://graph.facebook.com/v26.0", true),
            ("http://127.0.0.1:9000", true),
            ("http://[::1]:9000/v26.0", true),
            ("http://localhost:9000", true),
            ("http://localhost.example.com", false),
            ("http://10.0.0.7", false),
            ("ftp://127.0.0.1", false),
            ("https://user@graph.facebook.com", false),
            ("https://graph.facebook.com/?x=1", false),
        ] {
            let environment = Environment::from([("MILLPOND_META_URL", address)]);

            assert_eq!(Settings::read(&environment).is_ok(), is_fine, "{address}");
        }
    }

    #[test]
    fn networks_are_read_with_and_without_a_length() {
        let read = read_networks("10.1.0.0/16, 192.0.2.7,::1").expect("networks");

        let shown: Vec<String> = read.iter().map(IpNet::to_string).collect();
        assert_eq!(shown, ["10.1.0.0/16", "192.0.2.7/32", "::1/128"]);
    }

    #[test]
    fn the_log_has_two_forms() {
        let json = LogSettings::read(&Environment::from([("MILLPOND_LOG_FORMAT", "json")]));
        let other = LogSettings::read(&Environment::from([("MILLPOND_LOG_FORMAT", "xml")]));

        assert!(json.is_ok_and(|settings| settings.format == Some(LogFormat::Json)));
        assert!(other.is_err());
    }
}
