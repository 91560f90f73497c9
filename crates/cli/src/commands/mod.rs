//! The commands, a file each, and what they share: settings, configuration, the database, and where answers go.

pub(crate) mod accounts;
pub mod bench;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod dead;
pub(crate) mod doctor;
pub(crate) mod email;
pub(crate) mod enqueue;
mod explanation;
pub(crate) mod jobs;
pub(crate) mod keys;
pub(crate) mod migrate;
mod page;
pub(crate) mod privacy;
pub(crate) mod queues;
pub(crate) mod rates;
pub(crate) mod replays;
pub(crate) mod sandbox;
pub(crate) mod schedules;
pub(crate) mod secrets;
pub(crate) mod serve;

use std::{fs, path, process::ExitCode, sync::Arc};

use marketing::accounts::Accounts;
use queue::{
    Actor, CheckConfig, Cipher, ConfigStart, ConfigStartError, Database, FileSource, Queue,
    config::Problem,
};
use secrecy::SecretString;

use crate::{
    args::{Command, GlobalArgs},
    compose::{self, Connections},
    config_file::{ConfigFile, ConfigFileError, Loaded},
    dev,
    environment::{Environment, VariableProblem},
    failure::Misuse,
    output::{Output, one_line},
    settings::{self, LogSettings, Settings, SettingsProblems},
    telemetry,
};

/// Longest name shown of a person or a machine, in characters.
const LONGEST_NAME: usize = 60;

/// What every command is given.
pub struct Context {
    /// The process's variables.
    pub(crate) environment: Environment,
    /// Where the configuration is.
    pub(crate) config_file: ConfigFile,
    /// Where answers go.
    pub(crate) output: Output,
}

impl Context {
    pub(crate) fn new(global: GlobalArgs, environment: Environment) -> Self {
        Self {
            config_file: ConfigFile::find(global.config, &environment),
            output: Output::new(global.json),
            environment,
        }
    }

    /// The settings of this process.
    pub(crate) fn settings(&self) -> Result<Settings, SettingsProblems> {
        Settings::read(&self.environment)
    }

    /// The configuration that the file holds.
    pub(crate) fn config(&self) -> Result<Loaded, ConfigFileError> {
        self.config_file.load()
    }

    /// `DATABASE_URL`, or the database of `millpond dev` in this folder.
    pub(crate) fn database_url(&self) -> anyhow::Result<SecretString> {
        let url = self.known_database_url()?;
        url.ok_or_else(|| Misuse::NoDatabase.into())
    }

    /// The same, where there is one.
    pub(crate) fn known_database_url(&self) -> Result<Option<SecretString>, SettingsProblems> {
        let url = settings::database_url(&self.environment)?;
        Ok(url.or_else(dev::database_url_here))
    }

    /// The engine's front door, for a command that asks and ends. It goes by what is in force for the fleet, and by the
    /// file where the database knows of nothing.
    pub(crate) async fn queue(&self) -> anyhow::Result<Queue> {
        let text = self.config()?.text;
        let database = compose::connect(self.database_url()?, Connections::Few).await?;
        self.queue_on(database, text).await
    }

    /// The same without a look at the file: what it says is no matter, and it may be wrong.
    pub(crate) async fn fleet(&self) -> anyhow::Result<Queue> {
        let database = compose::connect(self.database_url()?, Connections::Few).await?;
        self.queue_on(database, None).await
    }

    /// The same on a database that was found.
    pub(crate) async fn queue_on(
        &self,
        database: Database,
        text: Option<String>,
    ) -> anyhow::Result<Queue> {
        let start = ConfigStart::of_command(&database, text, compose::kind_names()).await;
        let start = start.map_err(|problems| self.invalid(problems))?;
        // What is wrong with the environment is told by what needs it; without keys payloads stay closed.
        let cipher = self.cipher().ok().flatten();
        Ok(compose::starting_queue(database, &start, cipher, false)?)
    }

    /// Connected accounts, with the keys of this environment, or of `millpond dev` in this folder where its database is
    /// used.
    pub(crate) fn accounts_on(&self, queue: &Queue) -> anyhow::Result<Accounts> {
        let mut settings = self.settings()?;
        settings.accounts.cipher = self.cipher_of(&settings)?;
        compose::accounts(&settings, queue)
    }

    /// The keys of this environment, or of `millpond dev` in this folder where its database is used.
    pub(crate) fn cipher(&self) -> anyhow::Result<Option<Arc<Cipher>>> {
        Ok(self.cipher_of(&self.settings()?)?)
    }

    fn cipher_of(&self, settings: &Settings) -> Result<Option<Arc<Cipher>>, VariableProblem> {
        match &settings.accounts.cipher {
            None if settings.database_url.is_none() => dev::cipher_here(),
            cipher => Ok(cipher.clone()),
        }
    }

    /// What a process begins with: its file, and what is in force for the fleet.
    pub(crate) async fn start(
        &self,
        database: &Database,
        loaded: &Loaded,
        check: CheckConfig,
    ) -> Result<ConfigStart, ConfigFileError> {
        let path = self.config_file.path();
        let absolute = path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let source = FileSource {
            path: path.to_owned(),
            text: loaded.text.clone(),
            author: format!("file {} on {}", absolute.display(), self.host()),
            check,
        };
        let start = ConfigStart::of_process(database, source, compose::kind_names()).await;
        start.map_err(|error| match error {
            ConfigStartError::Invalid(problems) => self.invalid(problems),
            ConfigStartError::Unsuitable { origin, reasons } => {
                ConfigFileError::Unsuitable { origin, reasons }
            }
        })
    }

    fn invalid(&self, problems: Vec<Problem>) -> ConfigFileError {
        ConfigFileError::Invalid {
            path: self.config_file.path().to_owned(),
            problems,
        }
    }

    /// Who acts, as the audit shows it.
    pub(crate) fn actor(&self) -> Actor {
        let user = self.named("USER").or_else(|| self.named("LOGNAME"));
        Actor {
            name: format!("cli {}@{}", name_or_unknown(user), self.host()),
            tenant: None,
        }
    }

    /// The machine's name, for people.
    fn host(&self) -> String {
        let host = self.named("HOSTNAME");
        let host = host.or_else(|| fs::read_to_string("/proc/sys/kernel/hostname").ok());
        name_or_unknown(host)
    }

    fn named(&self, variable: &str) -> Option<String> {
        let text = self.environment.text(variable).ok().flatten();
        text.map(str::to_owned)
    }
}

fn name_or_unknown(name: Option<String>) -> String {
    one_line(name.as_deref().map_or("unknown", str::trim), LONGEST_NAME)
}

/// Runs a command and tells how it ended.
pub(crate) async fn run(command: Command, ctx: &Context) -> anyhow::Result<ExitCode> {
    let is_service = matches!(
        command,
        Command::Serve(_) | Command::Dev(_) | Command::Sandbox(_)
    );
    telemetry::start_log(&LogSettings::read(&ctx.environment)?, !is_service)?;
    // Boxed, since one command's future is as large as the largest of them.
    match command {
        Command::Dev(args) => Box::pin(dev::run(&args, ctx)).await,
        Command::Serve(args) => Box::pin(serve::run(&args, ctx)).await,
        Command::Migrate(args) => Box::pin(migrate::run(&args, ctx)).await,
        Command::Enqueue(args) => Box::pin(enqueue::run(&args, ctx)).await,
        Command::Jobs(command) => Box::pin(jobs::run(&command, ctx)).await,
        Command::Queues(command) => Box::pin(queues::run(&command, ctx)).await,
        Command::Schedules(command) => Box::pin(schedules::run(&command, ctx)).await,
        Command::Dead(command) => Box::pin(dead::run(&command, ctx)).await,
        Command::Replays(command) => Box::pin(replays::run(&command, ctx)).await,
        Command::Keys(command) => Box::pin(keys::run(&command, ctx)).await,
        Command::Accounts(command) => Box::pin(accounts::run(&command, ctx)).await,
        Command::Secrets(command) => Box::pin(secrets::run(&command, ctx)).await,
        Command::Privacy(command) => Box::pin(privacy::run(&command, ctx)).await,
        Command::Config(command) => Box::pin(config::run(&command, ctx)).await,
        Command::Email(command) => email::run(&command, ctx),
        Command::Rates(command) => Box::pin(rates::run(&command, ctx)).await,
        Command::Doctor => Box::pin(doctor::run(ctx)).await,
        Command::Bench(args) => Box::pin(bench::run(&args, ctx)).await,
        Command::Sandbox(args) => Box::pin(sandbox::run(&args, ctx)).await,
        Command::Completions(args) => completions::run(&args, ctx),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(environment: Environment) -> Context {
        Context::new(
            GlobalArgs {
                config: None,
                json: false,
            },
            environment,
        )
    }

    #[test]
    fn the_actor_is_who_runs_the_command() {
        let ctx = context(Environment::from([
            ("USER", "ada\u{1b}"),
            ("HOSTNAME", "loom"),
        ]));

        assert_eq!(ctx.actor().name, "cli ada\\u{1b}@loom");
    }

    #[test]
    fn a_command_that_needs_a_database_says_how_to_name_one() {
        let ctx = context(Environment::from([]));

        let refused = ctx.database_url().expect_err("no database");

        assert!(refused.to_string().starts_with("DATABASE_URL is not set"));
    }
}
