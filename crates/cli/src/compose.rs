//! The one place that names every crate: it makes connections, clients and the engine's front door from settings and
//! configuration, and puts them together.

use std::{net::IpAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use jobs::{App, EmailSettings, Secrets};
use metrics_exporter_prometheus::PrometheusHandle;
use providers::{
    meta::{Meta, MetaConfig},
    smtp::{Mailer, SmtpConfig},
    webhook::{Caller, OutboundPolicy},
};
use queue::{
    AdminError, Database, DatabaseError, DatabaseSettings, Queue, Registry, SchemaError,
    WorkerSettings, Workers, config::Config,
};
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    args::{COMMIT, VERSION},
    environment::Environment,
    settings::ProviderSettings,
};

/// Longest whole call to another company, and to an endpoint that others chose.
const CALL_LIMIT: Duration = Duration::from_secs(30);
/// What variables with secrets for `http.request` begin with; the rest, in lower case, is what payloads call them.
const SECRET_PREFIX: &str = "MILLPOND_SECRET_";
/// What `_FILE` twins of variables end with.
const FILE_SUFFIX: &str = "_FILE";

/// How many connections to the database.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Connections {
    /// For a command that asks and ends.
    Few,
    /// For a process that serves.
    Many,
}

/// Connects now.
pub(crate) async fn connect(
    url: SecretString,
    connections: Connections,
) -> Result<Database, DatabaseError> {
    Database::connect(database_settings(url, connections)).await
}

/// Connects when needed: the process lives while its database is away.
pub(crate) fn connect_lazily(
    url: SecretString,
    connections: Connections,
) -> Result<Database, DatabaseError> {
    Database::connect_lazy(database_settings(url, connections))
}

/// The engine's front door, which knows every kind.
pub(crate) fn queue(
    database: Database,
    config: Arc<Config>,
    with_demo: bool,
) -> Result<Queue, SchemaError> {
    let kinds: Vec<_> = registry(&config, with_demo).kinds().cloned().collect();
    Queue::new(database, config, kinds)
}

/// Gives the exporter every metric's unit and help text.
pub(crate) fn describe_metrics() {
    queue::metrics::describe();
    providers::describe_metrics();
    api::metrics::describe();
}

/// Everything that handlers need.
pub(crate) fn app(
    settings: &ProviderSettings,
    secrets: Secrets,
    database: &Database,
    config: &Config,
    listening_on: IpAddr,
) -> anyhow::Result<App> {
    let mut meta = MetaConfig {
        app_secret: settings.meta_app_secret.clone(),
        ..MetaConfig::default()
    };
    if let Some(url) = &settings.meta_url {
        meta.base_url = url.clone();
    }
    let mailer = settings.smtp_url.clone().map(|url| {
        Mailer::new(SmtpConfig {
            url,
            extra_root_pem: None,
            timeout: CALL_LIMIT,
        })
    });
    let sender = config
        .email
        .from
        .clone()
        .or_else(|| settings.sender_unless_set.clone());
    let policy = OutboundPolicy {
        allow: settings.outbound_allow.clone(),
        own: own_address(listening_on).into_iter().collect(),
        ..OutboundPolicy::default()
    };
    Ok(App {
        db: database.pool().clone(),
        meta: Meta::new(meta).context("cannot set up the client for Meta")?,
        meta_token: settings.meta_access_token.clone(),
        mailer: mailer
            .transpose()
            .context("cannot set up mail: see MILLPOND_SMTP_URL")?,
        email: EmailSettings::new(sender, config.email.reply_to.clone()),
        caller: Caller::new(policy, CALL_LIMIT).context("cannot set up outbound calls")?,
        secrets,
    })
}

/// The secrets that jobs.toml and payloads name: the variables of `secret_env`, and `MILLPOND_SECRET_NAME` as `name`.
/// One that jobs.toml names but that is not set is told: the jobs that need it fail until it is.
pub(crate) fn secrets(environment: &Environment, config: &Config) -> anyhow::Result<Secrets> {
    let mut found = Vec::new();
    for (kind, target) in config.target_kinds() {
        let Some(name) = &target.secret_env else {
            continue;
        };
        match environment.secret(name)? {
            Some(secret) => found.push((name.clone(), secret)),
            None => tracing::warn!(
                job.kind = kind,
                "the variable {name}, which secret_env names in jobs.toml, is not set: these jobs will fail"
            ),
        }
    }
    for variable in environment.names_with(SECRET_PREFIX) {
        let variable = variable.strip_suffix(FILE_SUFFIX).unwrap_or(variable);
        if let Some(name) = variable.strip_prefix(SECRET_PREFIX)
            && let Some(secret) = environment.secret(variable)?
        {
            found.push((name.to_lowercase(), secret));
        }
    }
    Ok(found.into_iter().collect())
}

/// What serves HTTP, and until when.
pub(crate) struct HttpPart {
    /// The whole API, or only health and metrics.
    pub(crate) is_api: bool,
    /// Cancelled when the process begins to stop: it is not ready any more.
    pub(crate) stopping: CancellationToken,
    /// Cancelled when no request is taken any more.
    pub(crate) closing: CancellationToken,
}

/// Serves HTTP until `closing` is cancelled and requests under way are answered.
pub(crate) async fn serve_http(
    listener: TcpListener,
    queue: Queue,
    prometheus: PrometheusHandle,
    part: HttpPart,
) -> Result<(), api::ServeError> {
    let drain = queue.config().worker.drain;
    let settings = api::ApiSettings::new(VERSION, COMMIT, part.stopping);
    let state = api::ApiState::new(queue, prometheus, settings);
    let router = if part.is_api {
        api::router(state)
    } else {
        api::probes(state)
    };
    let limits = api::ServerLimits {
        drain,
        ..api::ServerLimits::default()
    };
    api::serve(listener, router, limits, part.closing).await
}

/// Starts the workers of this process.
pub(crate) async fn start_workers(
    queue: &Queue,
    app: Arc<App>,
    settings: WorkerSettings,
    with_demo: bool,
) -> Result<Workers, AdminError> {
    let registry = registry(&queue.config(), with_demo);
    Workers::start(queue.clone(), registry, app, settings).await
}

fn registry(config: &Config, with_demo: bool) -> Registry<App> {
    let targets = config
        .target_kinds()
        .map(|(kind, target)| (kind.to_owned(), target.clone()));
    if with_demo {
        jobs::registry_with_demo(targets)
    } else {
        jobs::registry(targets)
    }
}

fn database_settings(url: SecretString, connections: Connections) -> DatabaseSettings {
    let (requests, engine) = match connections {
        Connections::Few => (4, 2),
        Connections::Many => (16, 8),
    };
    DatabaseSettings {
        url,
        requests,
        engine,
        application_name: format!("millpond {VERSION}"),
    }
}

/// The address that outbound calls must never reach. Loopback is closed to them anyway, or was opened on purpose.
fn own_address(listening_on: IpAddr) -> Option<IpAddr> {
    let is_one = !listening_on.is_unspecified() && !listening_on.is_loopback();
    is_one.then_some(listening_on)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn secrets_are_named_by_their_variables() {
        let environment = Environment::from([
            ("MILLPOND_SECRET_BILLING", "whsec_1"),
            ("BILLING_HOOK_SECRET", "whsec_2"),
            ("DATABASE_URL", "postgres://x"),
        ]);
        let toml = "[kinds.\"billing.close\"]\ntarget = \"https://a.example\"\nsecret_env = \"BILLING_HOOK_SECRET\"\n";
        let config = Config::parse(toml).expect("valid").config;

        let secrets = secrets(&environment, &config).expect("readable");

        let named = |name: &str| {
            secrets
                .named(name)
                .map(|secret| secret.expose_secret().to_owned())
        };
        assert_eq!(named("billing"), Some("whsec_1".to_owned()));
        assert_eq!(named("BILLING_HOOK_SECRET"), Some("whsec_2".to_owned()));
        assert_eq!(named("DATABASE_URL"), None);
    }

    #[test]
    fn every_kind_of_this_release_is_registered() {
        let config = Config::builtin();

        let names: Vec<_> = registry(&config, true)
            .kinds()
            .map(|kind| kind.name.to_string())
            .collect();

        for kind in ["conversion.send", "demo.work", "email.send", "http.request"] {
            assert!(
                names.iter().any(|name| name == kind),
                "{kind} is missing from {names:?}"
            );
        }
    }

    #[test]
    fn only_an_address_of_this_machine_alone_is_closed_to_calls() {
        let closed = |text: &str| own_address(text.parse().expect("an address")).is_some();

        assert!(closed("10.0.0.5"));
        assert!(!closed("0.0.0.0"));
        assert!(!closed("127.0.0.1"));
    }
}
