//! What is known of the way to the database. Where nobody answers when a process starts, somebody is asked for until one
//! does, so that a pooler which comes later is known for what it is.

use std::{sync::Arc, time::Duration};

use tokio::{sync::SetOnce, task::JoinSet};

use super::{Address, Pooler, Route, find};
use crate::{db::DatabaseError, error_chain};

/// The wait before the next look.
const AGAIN: Duration = Duration::from_secs(1);
/// The same after one that found a pooler by which this process cannot go: only people change that.
const UNSUITABLE: Duration = Duration::from_secs(60);

/// The route, as far as it is known; cheap to clone.
#[derive(Debug, Clone)]
pub(in crate::db) struct Guide {
    /// Goes until more is known.
    assumed: Route,
    known: Arc<SetOnce<Route>>,
    /// Ends with the last who goes by it.
    _looking: Arc<JoinSet<()>>,
}

impl Guide {
    /// Looks who stands at this address, unless that says it; where nobody can be asked, looks on beside its caller.
    ///
    /// # Errors
    /// Those of [`Route::new`].
    pub(in crate::db) async fn find(address: Address) -> Result<Self, DatabaseError> {
        let found = match address.said() {
            Some(pooler) => Ok(pooler),
            None => find(&address).await,
        };
        match found {
            Ok(pooler) => Ok(Route::new(&address, pooler)?.into()),
            Err(error) => {
                tracing::info!(error = %error_chain(&error),
                    "nobody says yet whether a pooler stands before the database; looking on");
                Self::looking(address)
            }
        }
    }

    fn looking(address: Address) -> Result<Self, DatabaseError> {
        let assumed = Route::new(&address, Pooler::None)?;
        let known = Arc::new(SetOnce::new());
        let mut looking = JoinSet::new();
        looking.spawn(look(address, Arc::clone(&known)));
        Ok(Self {
            assumed,
            known,
            _looking: Arc::new(looking),
        })
    }

    /// The route of this moment. Until it is known, it goes straight, and connections that do not are refused.
    pub(in crate::db) fn route(&self) -> &Route {
        self.known.get().unwrap_or(&self.assumed)
    }

    pub(in crate::db) fn is_known(&self) -> bool {
        self.known.initialized()
    }

    /// The route, once it is known.
    pub(in crate::db) async fn known(&self) -> &Route {
        self.known.wait().await
    }
}

impl From<Route> for Guide {
    fn from(route: Route) -> Self {
        Self {
            assumed: route.clone(),
            known: Arc::new(SetOnce::from(route)),
            _looking: Arc::default(),
        }
    }
}

/// Looks until it is known who stands there.
async fn look(address: Address, known: Arc<SetOnce<Route>>) {
    loop {
        let found = find(&address).await;
        let wait = match found.and_then(|pooler| Route::new(&address, pooler)) {
            Ok(route) => {
                // Nobody else tells.
                let _ = known.set(route);
                return;
            }
            Err(error @ DatabaseError::InvalidUrl(_)) => {
                tracing::error!(error = %error_chain(&error), "the pooler before the database cannot be used");
                UNSUITABLE
            }
            Err(error) => {
                tracing::debug!(error = %error_chain(&error), "nobody says yet who stands before the database");
                AGAIN
            }
        };
        // Processes that were started together do not stay together.
        tokio::time::sleep(wait.mul_f64(1.0 + rand::random::<f64>() / 4.0)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use secrecy::SecretString;
    use sqlx::{ConnectOptions, PgPool};
    use tokio::{
        io::copy_bidirectional,
        net::{TcpListener, TcpStream},
    };

    use super::*;
    use crate::db::{Database, DatabaseSettings, pooler::bridge::Bridge};

    /// Passes connections on to another port.
    async fn forward(listener: TcpListener, port: u16) -> io::Result<()> {
        let mut connections: JoinSet<io::Result<()>> = JoinSet::new();
        loop {
            let (mut client, _) = listener.accept().await?;
            connections.spawn(async move {
                let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
                copy_bidirectional(&mut client, &mut server).await?;
                Ok(())
            });
        }
    }

    // Fails when a process that could ask nobody at its start goes straight for all its life.
    #[sqlx::test(migrations = false)]
    async fn a_pooler_that_comes_late_is_known_for_what_it_is(db: PgPool) -> anyhow::Result<()> {
        // It keeps settings to itself, and gives each connection a server of its own.
        let pooler = Bridge::start(&db.connect_options())?;
        let (name, password) = pooler.password();
        let port = TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port();
        let mut url = db.connect_options().to_url_lossy();
        url.set_host(Some("127.0.0.1"))?;
        url.set_port(Some(port)).expect("it has a host");
        url.query_pairs_mut()
            .append_pair("sslmode", "disable")
            .append_pair("options", &format!("-c {name}={password}"));
        let database = Database::open(DatabaseSettings {
            url: SecretString::from(url.to_string()),
            requests: 1,
            enqueues: 1,
            engine: 1,
            claims: 1,
            application_name: "guide".to_owned(),
        })
        .await?;
        let is_known_too_early = database.guide.is_known();

        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let mut passing = JoinSet::new();
        passing.spawn(forward(listener, pooler.port()));
        let found = database.pooler().await?;
        let mut session = database.request().await?;
        let set: String = sqlx::query_scalar("SELECT current_setting('lock_timeout')")
            .fetch_one(session.conn())
            .await?;

        assert!(!is_known_too_early);
        assert_eq!((found, set.as_str()), (Pooler::Session, "2s"));
        Ok(())
    }
}
