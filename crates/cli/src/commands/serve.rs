//! `millpond serve`: a production process. Any number of them work against one database.

use std::{process::ExitCode, sync::Arc};

use anyhow::Context as _;
use queue::{CheckConfig, ConfigStart, config::Config};

use super::Context;
use crate::{
    api_versions,
    compose::{self, Connections},
    config_file::Loaded,
    failure::Misuse,
    needed_keys, openings,
    process::{Plan, Process, Role, listen},
    settings::Settings,
    shutdown::Shutdown,
};

/// What the process does.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What this process does
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Role::ALL)]
    roles: Vec<Role>,
    /// The queues it works on; all unless given
    #[arg(long, value_delimiter = ',')]
    queues: Option<Vec<String>>,
}

pub(super) async fn run(args: &Args, ctx: &Context) -> anyhow::Result<ExitCode> {
    let settings = ctx.settings()?;
    let loaded = ctx.config()?;
    log_warnings(&loaded);
    if loaded.path.is_some() {
        // Without a file what the database says holds.
        check(args, &settings, &loaded.config)?;
    }
    openings::warn(&settings);
    api_versions::warn(&settings);
    if settings.accounts.cipher.is_none()
        && let Some(line) = needed_keys::in_the_clear(&loaded.config)
    {
        tracing::warn!("{line}");
    }
    let shutdown = Shutdown::listen(false)?;
    let plan = plan(args, ctx, settings, &loaded).await?;
    let addr = plan.listener.local_addr()?;
    tracing::info!("listening on http://{addr}");
    let mut process = Process::start(plan, shutdown.token()).await?;
    if !shutdown.token().is_cancelled() {
        let pages = if args.roles.contains(&Role::Api) {
            "/docs, /metrics"
        } else {
            "/metrics"
        };
        tracing::info!(roles = ?args.roles, "ready: http://{addr} ({pages})");
    }
    // Both are cancel-safe.
    let failed = tokio::select! {
        () = shutdown.token().cancelled() => None,
        error = process.ended() => Some(error),
    };
    process.stop().await;
    failed.map_or(Ok(ExitCode::SUCCESS), Err)
}

/// What in jobs.toml has no effect yet is told at every start, with its place.
pub(crate) fn log_warnings(loaded: &Loaded) {
    match &loaded.path {
        Some(path) => {
            for warning in &loaded.warnings {
                tracing::warn!("{}:{warning}", path.display());
            }
        }
        None => tracing::info!("no jobs.toml: the newest revision holds, or the built-in defaults"),
    }
}

fn check(args: &Args, settings: &Settings, config: &Config) -> Result<(), Misuse> {
    if let Some(misuse) = unknown_queue(args.queues.as_deref(), config) {
        return Err(misuse);
    }
    if settings.providers.takes_mail() && config.email.from.is_none() {
        return Err(Misuse::NoSender);
    }
    Ok(())
}

/// The first queue that the process is to work on and that there is not.
fn unknown_queue(asked: Option<&[String]>, config: &Config) -> Option<Misuse> {
    let mut asked = asked.unwrap_or_default().iter();
    let name = asked.find(|name| !config.queues.contains_key(*name))?;
    let known: Vec<&str> = config.queues.keys().map(String::as_str).collect();
    Some(Misuse::UnknownQueue {
        name: name.clone(),
        known: known.join(", "),
    })
}

/// What this process could not start with.
fn objections(args: &Args, ctx: &Context, settings: &Settings) -> CheckConfig {
    let listening_on = settings.http_addr.ip();
    let environment = (&ctx.environment, settings.accounts.cipher.is_some());
    let common = compose::objections(&settings.providers, listening_on, environment);
    let asked = args.queues.clone();
    Arc::new(move |config: &Config| {
        let missing = unknown_queue(asked.as_deref(), config);
        let mut lines = common(config);
        lines.extend(missing.map(|misuse| misuse.to_string()));
        lines
    })
}

async fn plan(
    args: &Args,
    ctx: &Context,
    settings: Settings,
    loaded: &Loaded,
) -> anyhow::Result<Plan> {
    // A service never uses the database of `millpond dev` by accident.
    let url = settings.database_url.clone();
    let url = url.ok_or(Misuse::NoDatabase)?;
    let database = compose::connect_lazily(url, Connections::Many).await?;
    let listening_on = settings.http_addr.ip();
    let listener = listen(settings.http_addr).await?;
    // Before it can become a revision: what this process refuses to start with is nothing for the fleet.
    compose::check_file(&settings.providers, listening_on, &loaded.config)?;
    let mut secrets = compose::secrets(&ctx.environment, &loaded.config)?;
    let objections = objections(args, ctx, &settings);
    let start = ctx.start(&database, loaded, objections).await?;
    if !start.is_of_file() {
        secrets = compose::secrets(&ctx.environment, &start.config())?;
    }
    let cipher = settings.accounts.cipher.clone();
    let queue = compose::starting_queue(database, &start, cipher, false)?;
    let accounts = compose::accounts(&settings, &queue)?;
    let app = compose::app(&settings, secrets, (&queue, &accounts), listening_on)
        .with_context(|| unsuitable(&start))?;
    Ok(Plan {
        queue,
        start,
        app,
        accounts,
        listener,
        roles: args.roles.clone(),
        queues: args.queues.clone(),
        with_demo: false,
    })
}

/// Which configuration it is that this process cannot start with.
pub(crate) fn unsuitable(start: &ConfigStart) -> String {
    match start.revision() {
        Some(revision) => format!(
            "revision {revision} of the configuration, which is in force, does not suit this process"
        ),
        None => "the configuration does not suit this process".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{args::GlobalArgs, environment::Environment};

    fn args(queues: &[&str]) -> Args {
        let queues = queues.iter().map(|name| (*name).to_owned()).collect();
        Args {
            roles: Role::ALL.to_vec(),
            queues: Some(queues),
        }
    }

    #[test]
    fn a_queue_that_does_not_exist_is_refused_with_those_that_do() {
        let settings = Settings::read(&Environment::from([])).expect("usable");

        let refused = check(&args(&["sync", "synk"]), &settings, &Config::builtin());

        let refused = refused.expect_err("there is no such queue").to_string();
        assert!(
            refused.starts_with("there is no queue \"synk\": the queues are "),
            "{refused}"
        );
        assert!(check(&args(&["sync", "email"]), &settings, &Config::builtin()).is_ok());
    }

    // Fails when a revision takes effect that lacks a queue without which the process would not start again.
    #[test]
    fn a_process_objects_to_a_configuration_without_a_queue_that_it_works_on() {
        let global = GlobalArgs {
            config: None,
            json: false,
        };
        let ctx = Context::new(global, Environment::from([]));
        let settings = ctx.settings().expect("usable");
        let config = Config::parse("[queues.extra]\n", &[]).expect("valid");

        let objections = objections(&args(&["sync", "extra"]), &ctx, &settings);

        assert!(objections(&config.config).is_empty());
        let against = objections(&Config::builtin());
        assert_eq!(against.len(), 1);
        assert!(
            against[0].starts_with("there is no queue \"extra\""),
            "{against:?}"
        );
    }

    #[test]
    fn mail_without_a_sender_is_refused() {
        let environment = Environment::from([("MILLPOND_SMTP_URL", "smtp://mail.example.com:587")]);
        let settings = Settings::read(&environment).expect("usable");
        let config = Config::parse("[email]\nfrom = \"jobs@example.com\"\n", &[])
            .expect("valid")
            .config;

        let without = check(&args(&[]), &settings, &Config::builtin());

        assert!(matches!(without, Err(Misuse::NoSender)));
        assert!(check(&args(&[]), &settings, &config).is_ok());
    }
}
