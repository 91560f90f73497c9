//! `millpond dev`: everything on one machine with nothing to set up, and nothing left running behind.

mod demo;
mod encryption;
mod home;
mod key;
mod postgres;
mod surroundings;
mod told;

use std::{env, net::SocketAddr, path::Path, process::ExitCode, sync::Arc};

use anyhow::Context as _;
use marketing::accounts::{Account, Accounts};
use queue::{Cipher, Database};
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use url::Url;

pub(crate) use self::{
    home::Home,
    postgres::{Postgres, Runner},
};
use self::{postgres::PostgresError, surroundings::Surroundings, told::Told};
use crate::{
    commands::{
        Context,
        serve::{log_warnings, unsuitable},
    },
    compose::{self, Connections},
    config_file::Loaded,
    environment::VariableProblem,
    output,
    process::{Plan, Process, Role, listen},
    settings::Settings,
    shutdown::Shutdown,
};

/// What `millpond dev` does beside running.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Connect an account on each platform and sync it, and keep realistic work flowing, some of it failing, so that every
    /// state can be seen
    #[arg(long)]
    demo: bool,
}

/// The database of `millpond dev` in the working directory.
pub(crate) fn database_url_here() -> Option<SecretString> {
    home::database_url_below(Path::new("."))
}

/// The encryption key of `millpond dev` in the working directory.
///
/// # Errors
/// When the file that keeps it was changed into something else.
pub(crate) fn cipher_here() -> Result<Option<Arc<Cipher>>, VariableProblem> {
    encryption::cipher_below(Path::new("."))
}

pub(crate) async fn run(args: &Args, ctx: &Context) -> anyhow::Result<ExitCode> {
    let settings = ctx.settings()?;
    let loaded = ctx.config()?;
    log_warnings(&loaded);
    let shutdown = Shutdown::listen(true)?;
    let runner = Runner::choose(&ctx.environment).await?;
    let here = env::current_dir().context("cannot tell the working directory")?;
    let home = Home::open(&here, runner.is_another())?;
    // Before the database, since it fails at once where the address is taken.
    let listener = listen(settings.http_addr).await?;
    let (database_url, mut postgres) = match &settings.database_url {
        Some(url) => (url.clone(), None),
        None => {
            let postgres = Postgres::start(&home, &ctx.environment, runner).await?;
            shutdown.before_exit(postgres.last_act());
            (postgres.url().clone(), Some(postgres))
        }
    };
    let token = shutdown.token();
    let work = Dev {
        args,
        ctx,
        home: &home,
        settings,
        loaded,
        database_url,
        token,
    };
    let ran = Box::pin(work.run(listener, postgres.as_mut())).await;
    if let Some(postgres) = postgres {
        match postgres.stop().await {
            Ok(()) => output::note("the private PostgreSQL has stopped"),
            Err(error) if ran.is_ok() => return Err(error.into()),
            Err(_) => {}
        }
    }
    ran
}

/// What surrounds a process that works.
struct Scene<'a> {
    addr: SocketAddr,
    surroundings: &'a Surroundings,
    accounts: Accounts,
}

/// A run, once it has a database.
struct Dev<'a> {
    args: &'a Args,
    ctx: &'a Context,
    home: &'a Home,
    settings: Settings,
    loaded: Loaded,
    database_url: SecretString,
    token: &'a CancellationToken,
}

impl Dev<'_> {
    async fn run(
        mut self,
        listener: TcpListener,
        postgres: Option<&mut Postgres>,
    ) -> anyhow::Result<ExitCode> {
        let addr = listener.local_addr()?;
        let database = self.database().await?;
        let environment = &self.ctx.environment;
        let surroundings = Surroundings::start(self.home, environment).await?;
        self.settings = surroundings.settings(environment)?;
        self.complete_settings(addr)?;
        let started = self.process(listener, database).await;
        let ran = match started {
            Ok((process, accounts)) => {
                let scene = Scene {
                    addr,
                    surroundings: &surroundings,
                    accounts,
                };
                Box::pin(self.work(process, postgres, &scene)).await
            }
            Err(error) => Err(error),
        };
        surroundings.stop().await;
        ran.map(|()| ExitCode::SUCCESS)
    }

    /// A key of its own and the address that it listens on, where the environment names no other ones.
    fn complete_settings(&mut self, addr: SocketAddr) -> anyhow::Result<()> {
        let accounts = &mut self.settings.accounts;
        if accounts.cipher.is_none() {
            accounts.cipher = Some(encryption::cipher(self.home)?);
        }
        if accounts.public_url.is_none() {
            accounts.public_url = Some(Url::parse(&format!("http://{addr}"))?);
        }
        Ok(())
    }

    async fn database(&self) -> anyhow::Result<Database> {
        let database = compose::connect(self.database_url.clone(), Connections::Many).await?;
        for migration in database.migrate().await? {
            output::note(format_args!(
                "applied migration {:04} {}",
                migration.version, migration.name
            ));
        }
        Ok(database)
    }

    async fn process(
        &self,
        listener: TcpListener,
        database: Database,
    ) -> anyhow::Result<(Process, Accounts)> {
        let listening_on = listener.local_addr()?.ip();
        let providers = &self.settings.providers;
        compose::check_file(providers, listening_on, &self.loaded.config)?;
        let mut secrets = compose::secrets(&self.ctx.environment, &self.loaded.config)?;
        let cipher = self.settings.accounts.cipher.clone();
        let environment = (&self.ctx.environment, cipher.is_some());
        let objections = compose::objections(providers, listening_on, environment);
        let start = self.ctx.start(&database, &self.loaded, objections).await?;
        if !start.is_of_file() {
            secrets = compose::secrets(&self.ctx.environment, &start.config())?;
        }
        let queue = compose::starting_queue(database, &start, cipher, self.args.demo)?;
        let accounts = compose::accounts(&self.settings, &queue)?;
        let app = compose::app(&self.settings, secrets, (&queue, &accounts), listening_on)
            .with_context(|| unsuitable(&start))?;
        let plan = Plan {
            queue,
            start,
            app,
            accounts: accounts.clone(),
            listener,
            roles: Role::ALL.to_vec(),
            queues: None,
            with_demo: self.args.demo,
        };
        let process = Process::start(plan, self.token).await?;
        Ok((process, accounts))
    }

    async fn work(
        &self,
        mut process: Process,
        postgres: Option<&mut Postgres>,
        scene: &Scene<'_>,
    ) -> anyhow::Result<()> {
        let worked = self.work_until_asked(&mut process, postgres, scene).await;
        process.stop().await;
        worked
    }

    async fn work_until_asked(
        &self,
        process: &mut Process,
        postgres: Option<&mut Postgres>,
        scene: &Scene<'_>,
    ) -> anyhow::Result<()> {
        if self.token.is_cancelled() {
            return Ok(());
        }
        let key = key::developer_key(process.queue(), self.home).await?;
        let Some(connected) = self.connected(process, scene).await else {
            return Ok(());
        };
        self.tell(&key, scene, &connected)?;
        let _demo = self.args.demo.then(|| {
            let receivers = scene.surroundings.http_addr();
            let demo = demo::run(process.queue().clone(), receivers);
            AbortOnDropHandle::new(tokio::spawn(demo))
        });
        // All are cancel-safe.
        tokio::select! {
            () = self.token.cancelled() => Ok(()),
            error = process.ended() => Err(error),
            () = ended(postgres) => Err(PostgresError::EndedByItself.into()),
        }
    }

    /// The accounts of the demo; `None` when the run was asked to stop meanwhile.
    async fn connected(&self, process: &Process, scene: &Scene<'_>) -> Option<Vec<Account>> {
        if !self.args.demo {
            return Some(Vec::new());
        }
        let platforms = scene.surroundings.platforms();
        // Both may be dropped: what is not committed of a connection is not there, and the next run connects it again.
        tokio::select! {
            () = self.token.cancelled() => None,
            connected = demo::connect(&scene.accounts, process.queue(), platforms) => Some(connected),
        }
    }

    /// The addresses, the key and what is connected, for people or as one JSON document.
    fn tell(
        &self,
        key: &SecretString,
        scene: &Scene<'_>,
        connected: &[Account],
    ) -> anyhow::Result<()> {
        let told = Told {
            api: scene.addr,
            sandbox: scene.surroundings.http_addr(),
            platforms: scene.surroundings.platforms(),
            mail_dir: scene.surroundings.mail_dir(),
            key,
            database: self.database_told(),
            accounts: connected,
        };
        if self.ctx.output.is_json() {
            self.ctx.output.json_line(&told.document())?;
        }
        self.ctx.output.line(told.text())?;
        Ok(())
    }

    /// How to reach the database, without its password.
    fn database_told(&self) -> String {
        let url = self.database_url.expose_secret();
        let mut shown = Url::parse(url).ok();
        if let Some(shown) = &mut shown {
            // An address that can have no password has none to hide.
            let _ = shown.set_password(None);
            shown.set_query(None);
        }
        let shown = shown.map(String::from).unwrap_or_default();
        match self.home.database_url() {
            Ok(Some(kept)) if kept == url => {
                format!("{shown}  (psql \"$(cat .millpond/database-url)\")")
            }
            _ => shown,
        }
    }
}

async fn ended(postgres: Option<&mut Postgres>) {
    match postgres {
        Some(postgres) => postgres.ended().await,
        None => std::future::pending().await,
    }
}
