//! The one place that names every crate: it makes connections, clients and the engine's front door from settings and
//! configuration, and puts them together.

mod mail;
mod platforms;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use jobs::{App, Doors, Signers};
use marketing::{accounts::Accounts, outbound::Outbound, sync::Syncs};
use metrics_exporter_prometheus::PrometheusHandle;
use providers::webhook::{Caller, ChosenBy, OutboundPolicy, Signer};
use queue::{
    AdminError, CheckConfig, Cipher, ConfigStart, Database, DatabaseError, DatabaseSettings, Queue,
    Registry, SchemaError, WorkerSettings, Workers, config::Config,
};
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub(crate) use mail::templates;
pub(crate) use platforms::accounts;

use crate::{
    args::{COMMIT, VERSION},
    environment::{Environment, VariableProblem},
    failure::{Misuse, RefusedTarget},
    settings::{Problems, ProviderSettings, Settings, SettingsProblems},
};

/// Longest whole call to another company, and to an endpoint that others chose.
const CALL_LIMIT: Duration = Duration::from_secs(30);
/// The kind whose payloads choose where it calls.
const HTTP_REQUEST: &str = "http.request";
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

/// Connects when needed, after a look for a pooler: the process lives while its database is away.
pub(crate) async fn connect_lazily(
    url: SecretString,
    connections: Connections,
) -> Result<Database, DatabaseError> {
    Database::open(database_settings(url, connections)).await
}

/// Most connections that a process which serves opens.
pub(crate) fn connections_per_process() -> u32 {
    database_settings(SecretString::from(""), Connections::Many).most_connections()
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

/// The same with what a process or a command begins with, and the keys that payloads lie under.
pub(crate) fn starting_queue(
    database: Database,
    start: &ConfigStart,
    cipher: Option<Arc<Cipher>>,
    with_demo: bool,
) -> Result<Queue, SchemaError> {
    let registry = registry(&start.config(), with_demo);
    let kinds: Vec<_> = registry.kinds().cloned().collect();
    let queue = Queue::starting(database, start, kinds)?;
    Ok(match cipher {
        Some(cipher) => queue.with_cipher(cipher),
        None => queue,
    })
}

/// Gives the exporter every metric's unit and help text.
pub(crate) fn describe_metrics() {
    queue::metrics::describe();
    providers::describe_metrics();
    marketing::describe_metrics();
    api::metrics::describe();
}

/// Everything that handlers need. Must be called inside a tokio runtime.
pub(crate) fn app(
    settings: &Settings,
    secrets: Secrets,
    (queue, accounts): (&Queue, &Accounts),
    listening_on: IpAddr,
) -> anyhow::Result<App> {
    let config = queue.config();
    let syncs = Syncs::new(queue.clone());
    let meta = platforms::meta(&settings.providers, &settings.accounts)?;
    let settings = &settings.providers;
    let policy = OutboundPolicy {
        per_endpoint: places_of_an_endpoint(&config),
        ..outbound_policy(settings, listening_on)
    };
    check_targets(&config, &policy)?;
    Ok(App {
        db: queue.database().clone(),
        queue: queue.clone(),
        accounts: accounts.clone(),
        outbound: Outbound::new(accounts),
        doors: Doors::start(syncs.clone()),
        syncs,
        meta,
        meta_token: settings.meta_access_token.clone(),
        mailer: mail::transport(settings)?,
        templates: templates(&settings.mail)?,
        email: mail::source(queue.clone(), settings.sender_unless_set.clone()),
        caller: Caller::new(policy, CALL_LIMIT).context("cannot set up outbound calls")?,
        signers: secrets.of_payloads,
        target_signers: secrets.of_targets,
    })
}

/// Where this process may call, whatever jobs.toml says.
fn outbound_policy(settings: &ProviderSettings, listening_on: IpAddr) -> OutboundPolicy {
    OutboundPolicy {
        allow: settings.outbound_allow.clone(),
        own: own_address(listening_on).into_iter().collect(),
        listens_everywhere: listening_on.is_unspecified(),
        ..OutboundPolicy::default()
    }
}

/// What a process with these settings could not start with, of a configuration that is right in itself. It is asked before
/// a file or a text becomes a revision, and before a revision takes effect here.
pub(crate) fn objections(
    settings: &ProviderSettings,
    listening_on: IpAddr,
    (environment, has_keys): (&Environment, bool),
) -> CheckConfig {
    let policy = outbound_policy(settings, listening_on);
    let needs_sender = settings.takes_mail() && settings.sender_unless_set.is_none();
    let environment = environment.clone();
    Arc::new(move |config: &Config| {
        let targets = refused_targets(config, &policy);
        let mut lines: Vec<String> = targets.iter().map(RefusedTarget::in_words).collect();
        if needs_sender && config.email.from.is_none() {
            lines.push(Misuse::NoSender.to_string());
        }
        lines.extend(unusable_secrets(&environment, config));
        if !has_keys {
            lines.extend(keys_needed(config));
        }
        lines
    })
}

/// What a configuration asks of a process that has no keys.
pub(crate) fn keys_needed(config: &Config) -> impl Iterator<Item = String> {
    config.kinds_that_need_keys().map(|kind| {
        format!("[kinds.{kind:?}] encrypt = true: MILLPOND_ENCRYPTION_KEYS is not set; it is id:64-hex (openssl rand -hex 32)")
    })
}

/// Refuses a file that this process could not go by.
pub(crate) fn check_file(
    settings: &ProviderSettings,
    listening_on: IpAddr,
    config: &Config,
) -> Result<(), Misuse> {
    check_targets(config, &outbound_policy(settings, listening_on))
}

/// Half of what runs at a time when the process starts, so that one endpoint that hangs leaves the other half to the rest.
fn places_of_an_endpoint(config: &Config) -> usize {
    let queue = config.queues.get(&config.policy(HTTP_REQUEST).queue);
    queue.map_or(1, |queue| {
        usize::try_from(queue.concurrency / 2).unwrap_or(usize::MAX)
    })
}

/// Refuses targets that every call would be refused to.
fn check_targets(config: &Config, policy: &OutboundPolicy) -> Result<(), Misuse> {
    match refused_targets(config, policy) {
        refused if refused.is_empty() => Ok(()),
        refused => Err(Misuse::RefusedTargets(refused)),
    }
}

/// Targets that every call would be refused to. What a name resolves to is looked at when it is called.
fn refused_targets(config: &Config, policy: &OutboundPolicy) -> Vec<RefusedTarget> {
    config
        .target_kinds()
        .filter_map(|(kind, target)| {
            let reason = policy.check(&target.url, ChosenBy::Operator).err()?;
            Some(RefusedTarget {
                kind: kind.to_owned(),
                url: without_query(&target.url),
                reason: reason.to_string(),
            })
        })
        .collect()
}

/// An address as it may be told: a query can hold a token.
fn without_query(url: &str) -> String {
    url.split(['?', '#']).next().unwrap_or_default().to_owned()
}

/// Who signs calls, by who may name their secrets. No `Debug`: it holds the secrets.
pub(crate) struct Secrets {
    of_payloads: Signers,
    of_targets: Signers,
}

/// The secrets that payloads of `http.request` name (`MILLPOND_SECRET_NAME` as `name`), and those that jobs.toml names
/// by `secret_env`. One that jobs.toml names but that is not set is told: the jobs that need it fail until it is.
pub(crate) fn secrets(
    environment: &Environment,
    config: &Config,
) -> Result<Secrets, SettingsProblems> {
    let mut problems = Problems::default();
    let mut of_targets = BTreeMap::new();
    for (kind, target) in config.target_kinds() {
        let Some(variable) = &target.secret_env else {
            continue;
        };
        if of_targets.contains_key(variable) {
            continue;
        }
        match problems.keep(signer(environment, variable)) {
            Some(Some(signer)) => {
                of_targets.insert(variable.clone(), signer);
            }
            Some(None) => tracing::warn!(
                job.kind = kind,
                "the variable {variable}, which secret_env names in jobs.toml, is not set: these jobs will fail"
            ),
            None => {}
        }
    }

    let variables: BTreeSet<&str> = environment
        .names_with(SECRET_PREFIX)
        .map(|variable| variable.strip_suffix(FILE_SUFFIX).unwrap_or(variable))
        .collect();
    let mut of_payloads = BTreeMap::new();
    for variable in variables {
        let signer = problems.keep(signer(environment, variable)).flatten();
        if let (Some(name), Some(signer)) = (variable.strip_prefix(SECRET_PREFIX), signer) {
            of_payloads.insert(name.to_lowercase(), signer);
        }
    }
    problems.none_or()?;
    Ok(Secrets {
        of_payloads: of_payloads.into_iter().collect(),
        of_targets: of_targets.into_iter().collect(),
    })
}

/// What is wrong with the secrets that jobs.toml names and that are set.
fn unusable_secrets(environment: &Environment, config: &Config) -> Vec<String> {
    let named = config.target_kinds();
    let variables: BTreeSet<&str> = named
        .filter_map(|(_, target)| target.secret_env.as_deref())
        .collect();
    variables
        .into_iter()
        .filter_map(|variable| signer(environment, variable).err())
        .map(|problem| format!("{:#}", anyhow::Error::from(problem)))
        .collect()
}

/// Who signs with the secret in a variable; `None` where it is not set.
fn signer(environment: &Environment, variable: &str) -> Result<Option<Signer>, VariableProblem> {
    let Some(secret) = environment.secret(variable)? else {
        return Ok(None);
    };
    match Signer::new(&[secret]) {
        Ok(signer) => Ok(Some(signer)),
        Err(_unusable) => Err(VariableProblem::Invalid {
            name: variable.to_owned(),
            problem: "is not a signing secret: whsec_ and the base64 of 24 to 64 random bytes (openssl rand -base64 32)",
        }),
    }
}

/// What serves HTTP, and until when.
pub(crate) struct HttpPart {
    /// The connected accounts that it serves.
    pub(crate) accounts: Accounts,
    /// The whole API, or only health and metrics.
    pub(crate) is_api: bool,
    /// Cancelled when the process has begun its work: it is not ready before.
    pub(crate) started: CancellationToken,
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
    let mut settings = api::ApiSettings::new(VERSION, COMMIT, part.stopping);
    settings.started = part.started;
    let state = api::ApiState::new(queue, part.accounts, prometheus, settings);
    let router = if part.is_api {
        api::router(state.clone())
    } else {
        api::probes(state.clone())
    };
    let limits = api::ServerLimits {
        drain,
        ..api::ServerLimits::default()
    };
    let served = api::serve(listener, router, limits, part.closing).await;
    state.finish(drain).await;
    served
}

/// Starts the workers of this process, which know the kinds that the process began with.
pub(crate) async fn start_workers(
    queue: &Queue,
    registry: Registry<App>,
    app: Arc<App>,
    settings: WorkerSettings,
) -> Result<Workers, AdminError> {
    Workers::start(queue.clone(), registry, app, settings).await
}

/// The kinds that this program has handlers for beside those with a `target`: what jobs.toml may have sections for,
/// whether or not this process runs them.
pub(crate) fn kind_names() -> Vec<Arc<str>> {
    let registry = registry(&Config::builtin(), true);
    registry
        .kinds()
        .map(|kind| Arc::clone(&kind.name))
        .collect()
}

/// The handlers of every kind that this configuration has.
pub(crate) fn registry(config: &Config, with_demo: bool) -> Registry<App> {
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
    let (requests, enqueues, engine, claims) = match connections {
        Connections::Few => (2, 2, 2, 1),
        Connections::Many => (10, 6, 8, 4),
    };
    DatabaseSettings {
        url,
        requests,
        enqueues,
        engine,
        claims,
        application_name: format!("millpond {VERSION}"),
    }
}

/// The one address that outbound calls must never reach. Loopback is closed to them anyway, or was opened on purpose.
fn own_address(listening_on: IpAddr) -> Option<IpAddr> {
    let is_one = !listening_on.is_unspecified() && !listening_on.is_loopback();
    is_one.then_some(listening_on)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_VB7SLnLnLhm+sJDXWE/zWQtk4Wi+EKAr";

    /// A configuration with a kind that is done at this address and signed with the secret in `BILLING_HOOK_SECRET`.
    fn with_target(url: &str) -> Config {
        let toml = format!(
            "[kinds.\"billing.close\"]\ntarget = \"{url}\"\nsecret_env = \"BILLING_HOOK_SECRET\"\n"
        );
        Config::parse(&toml, &[]).expect("valid").config
    }

    #[test]
    fn payloads_and_targets_have_secrets_of_their_own() {
        let environment = Environment::from([
            ("MILLPOND_SECRET_BILLING", SECRET),
            ("BILLING_HOOK_SECRET", SECRET),
            ("DATABASE_URL", "postgres://x"),
        ]);

        let secrets = secrets(&environment, &with_target("https://a.example"));

        let Secrets {
            of_payloads,
            of_targets,
        } = secrets.expect("usable");
        assert!(of_payloads.named("billing").is_some());
        assert!(of_payloads.named("BILLING_HOOK_SECRET").is_none());
        assert!(of_targets.named("BILLING_HOOK_SECRET").is_some());
        assert!(of_targets.named("billing").is_none());
        assert!(of_targets.named("DATABASE_URL").is_none());
    }

    #[test]
    fn secrets_that_cannot_sign_are_told_at_once_and_not_shown() {
        let environment = Environment::from([
            ("MILLPOND_SECRET_BILLING", "hunter2"),
            ("MILLPOND_SECRET_SHORT", "whsec_aHVudGVyMg=="),
            ("BILLING_HOOK_SECRET", "whsec_hunter2"),
        ]);

        let refused = secrets(&environment, &with_target("https://a.example"))
            .err()
            .expect("refused")
            .to_string();

        for name in [
            "MILLPOND_SECRET_BILLING",
            "MILLPOND_SECRET_SHORT",
            "BILLING_HOOK_SECRET",
        ] {
            let told = format!("\n  {name} is not a signing secret");
            assert!(refused.contains(&told), "{refused}");
        }
        assert!(!refused.contains("hunter2"), "{refused}");
    }

    #[test]
    fn a_target_that_is_never_called_is_refused_with_its_reason() {
        let policy = OutboundPolicy::default();
        let refused = |url: &str| {
            let checked = check_targets(&with_target(url), &policy);
            checked.err().map(|misuse| misuse.to_string())
        };

        assert_eq!(refused("https://app.example.com:9443/jobs"), None);
        for url in ["http://localhost:3000/jobs", "https://10.1.2.3/jobs"] {
            let told = refused(&format!("{url}?token=hunter2")).expect("it is never called");
            assert!(told.contains(&format!("billing.close: {url}: ")), "{told}");
            assert!(!told.contains("hunter2"), "{told}");
        }
    }

    // Fails when a revision takes effect with which the process would not start again.
    #[test]
    fn a_process_objects_to_all_that_it_could_not_start_with() {
        let environment = Environment::from([("BILLING_HOOK_SECRET", "whsec_hunter2")]);
        let settings = ProviderSettings {
            smtp_url: Some(SecretString::from("smtp://mail.example.com:587")),
            ..ProviderSettings::default()
        };
        let objections = objections(
            &settings,
            IpAddr::from([127, 0, 0, 1]),
            (&environment, false),
        );

        let against = objections(&with_target("https://10.1.2.3/jobs"));

        let about = ["billing.close", "[email] from", "BILLING_HOOK_SECRET"];
        assert_eq!(against.len(), about.len(), "{against:?}");
        for (line, part) in against.iter().zip(about) {
            assert!(line.contains(part) && !line.contains("hunter2"), "{line}");
        }
    }

    #[test]
    fn a_target_on_this_machine_is_called_where_loopback_is_opened() {
        let policy = OutboundPolicy {
            allow: vec!["127.0.0.0/8".parse().expect("a network")],
            ..OutboundPolicy::default()
        };

        let checked = check_targets(&with_target("http://localhost:3000/jobs"), &policy);

        assert!(checked.is_ok());
    }

    #[test]
    fn an_endpoint_gets_half_of_what_requests_may_run() {
        let toml = "[queues.http]\nconcurrency = 64\n";
        let config = Config::parse(toml, &[]).expect("valid").config;

        assert_eq!(places_of_an_endpoint(&config), 32);
    }

    #[test]
    fn every_kind_of_this_release_is_registered() {
        let config = Config::builtin();

        let names: Vec<_> = registry(&config, true)
            .kinds()
            .map(|kind| kind.name.to_string())
            .collect();

        for kind in [
            "conversion.send",
            "demo.work",
            "email.digest",
            "email.send",
            "email.sync_errors",
            "http.request",
            "maintenance.cache",
            "maintenance.limits",
            "maintenance.retention",
            "sync.account",
            "sync.fanout",
            "sync.insights",
            "sync.watch",
            "token.check",
            "token.expire",
            "token.refresh",
            "token.validate",
            "webhook.catch_up",
            "webhook.deliver",
            "webhook.fanout",
            "webhook.process",
        ] {
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
