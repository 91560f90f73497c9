//! A private PostgreSQL for `millpond dev`: made once, started, watched and stopped with the run. It listens on
//! loopback alone, has no socket file (whose path could be too long), and keeps every promise of a real one.

mod access;
mod cluster;
mod error;
mod leftover;
mod place;
mod runner;
mod tools;

use std::{fs, io, path::Path, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use tokio::{process::Child, time::timeout};

use self::{access::Access, cluster::Cluster, place::Place, tools::Tools};
pub(crate) use self::{error::PostgresError, runner::Runner};
use super::home::Home;
use crate::{environment::Environment, output};

/// Longest that a server may take to be gone after it was stopped.
const GONE_LIMIT: Duration = Duration::from_secs(10);

/// A running private PostgreSQL.
pub(crate) struct Postgres {
    server: Child,
    cluster: Cluster,
    url: SecretString,
}

impl Postgres {
    /// Makes the data unless it is there, deals with what an earlier run left, and starts the server.
    pub(crate) async fn start(
        home: &Home,
        environment: &Environment,
        runner: Runner,
    ) -> Result<Self, PostgresError> {
        let place = Place::choose(home.path(), &runner).await?;
        let data = place.dir().join("pg");
        let made_by = made_by(&data).map_err(PostgresError::file(&data))?;
        let remembered = Access::remembered(home)?;
        if let (Some(_), None, Place::Home(_)) = (made_by, &remembered, &place) {
            return Err(PostgresError::PasswordGone { data });
        }
        let needed = made_by.map(|version| (data.as_path(), version));
        let tools = Tools::find(environment, &runner, needed).await?;
        tell(&tools, &place, &runner, made_by.is_none());
        let cluster = Cluster {
            runner,
            tools,
            data,
        };
        let access = match (made_by, remembered) {
            (Some(_), Some(access)) => access,
            (made_by, remembered) => {
                let access = remembered.map_or_else(Access::new, Ok)?;
                if made_by.is_some() {
                    // Elsewhere, of a `.millpond` that was removed: its password is lost for good.
                    cluster.clear_leftover().await?;
                    cluster.remove()?;
                }
                // Before the data is there: data without a password would be lost.
                home.keep_database_url(access.url().expose_secret())?;
                cluster.make(place.dir(), &access.password).await?;
                access
            }
        };
        cluster.clear_leftover().await?;
        let (server, url) = cluster.serve(home, access).await?;
        Ok(Self {
            server,
            cluster,
            url,
        })
    }

    /// Where it runs, with the password.
    pub(crate) fn url(&self) -> &SecretString {
        &self.url
    }

    /// Resolves when the server ends by itself, which it never should. Cancel-safe.
    pub(crate) async fn ended(&mut self) {
        // Whether it can be waited for or not: it is not known to run any more.
        let _ = self.server.wait().await;
    }

    /// Stops it in order, and waits until it is gone.
    pub(crate) async fn stop(mut self) -> Result<(), PostgresError> {
        if self.server.try_wait().is_ok_and(|status| status.is_some()) {
            return Ok(());
        }
        let stopped = self.cluster.stop("fast").await;
        if timeout(GONE_LIMIT, self.server.wait()).await.is_err() {
            // It heard nothing; the next start replays its log.
            let killed = self.server.kill().await;
            killed.map_err(PostgresError::file(&self.cluster.data))?;
        }
        stopped
    }

    /// What stops it at once, without waiting: for a process that must end now.
    pub(crate) fn last_act(&self) -> impl FnOnce() + Send + 'static + use<> {
        let mut stop = self.cluster.stop_command("immediate");
        stop.arg("-W");
        // A failure has nobody to be told to; the next run deals with a server that was left behind.
        move || drop(stop.output())
    }
}

/// The version that made the data; `None` where there is none.
fn made_by(data: &Path) -> io::Result<Option<u32>> {
    match fs::read_to_string(data.join("PG_VERSION")) {
        Ok(version) => Ok(version.trim().parse().ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn tell(tools: &Tools, place: &Place, runner: &Runner, is_new: bool) {
    let doing = if is_new {
        "making and starting"
    } else {
        "starting"
    };
    let user = runner
        .user()
        .map(|user| format!(" as user {:?}", user.name))
        .unwrap_or_default();
    output::note(format_args!(
        "{doing} a private PostgreSQL {}{user}",
        tools.major
    ));
    if let Place::Elsewhere(dir) = place {
        output::note(format_args!(
            "its data lies in {}, since that user cannot enter this folder",
            dir.display()
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn the_version_of_the_data_is_read() {
        let scratch = Scratch::new();
        assert_eq!(made_by(scratch.path()).ok(), Some(None));

        scratch.file("PG_VERSION", "15\n");

        assert_eq!(made_by(scratch.path()).ok(), Some(Some(15)));
    }
}
