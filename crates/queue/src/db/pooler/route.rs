//! The way to the database, by which every connection is made: straight, or through a pooler.

use std::{fmt, sync::Arc};

use sqlx::{
    ConnectOptions, Connection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::{Address, Pooler, bridge::Bridge};
use crate::{db::DatabaseError, store::pooler};

/// What a session is set to, as names and values.
pub(in crate::db) type Settings = [(&'static str, &'static str)];

/// Set when connecting, and looked at on each connection. Where it is missing, a pooler stands there that is not known for
/// what it is: its connections might run another's statements, so none is used.
pub(super) const STRAIGHT: (&str, &str) = ("millpond.straight", "yes");

/// Why it is not used.
const UNEXPECTED: &str = "a pooler that keeps settings from the database stands before it, and is not used before it is known for \
                          what it is; where it came while this process ran, start that again, or say \
                          pooler=transaction in DATABASE_URL";

/// The way to the database; cheap to clone.
#[derive(Clone)]
pub(in crate::db) struct Route {
    pooler: Pooler,
    options: PgConnectOptions,
    /// Where the options lead to.
    _bridge: Option<Arc<Bridge>>,
}

/// Without the options: they hold passwords.
impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route")
            .field("pooler", &self.pooler)
            .finish_non_exhaustive()
    }
}

impl Route {
    /// # Errors
    /// [`DatabaseError::InvalidUrl`], also where the pooler cannot be reached as the address asks; and
    /// [`DatabaseError::Unavailable`] when this machine has no port left.
    pub(in crate::db) fn new(address: &Address, pooler: Pooler) -> Result<Self, DatabaseError> {
        let options = address.options()?;
        let (options, bridge) = match pooler {
            Pooler::None => (options, None),
            Pooler::Session | Pooler::TransactionPrepared => {
                (options.extra_float_digits(None::<i8>), None)
            }
            Pooler::Transaction => {
                let bridge = Bridge::start(&options)?;
                let options = address.by_way_of(bridge.port())?;
                (options.options([bridge.password()]), Some(bridge))
            }
        };
        if pooler != Pooler::None {
            tracing::info!(%pooler, "a pooler stands between this process and the database");
        }
        Ok(Self {
            pooler,
            options,
            _bridge: bridge.map(Arc::new),
        })
    }

    /// The way that a pool's connections take.
    pub(in crate::db) fn of(pool: &PgPool) -> Self {
        Self {
            pooler: Pooler::None,
            options: (*pool.connect_options()).clone(),
            _bridge: None,
        }
    }

    pub(in crate::db) fn pooler(&self) -> Pooler {
        self.pooler
    }

    /// Connects once, to see whether that is possible.
    pub(in crate::db) async fn try_out(&self) -> Result<(), DatabaseError> {
        let connection = self.options.connect().await?;
        Ok(connection.close().await?)
    }

    /// A pool whose sessions are set to all of this, later settings before earlier ones; behind a pooler in transaction
    /// mode they are as that or the role has them.
    pub(in crate::db) fn pool(&self, limits: PgPoolOptions, settings: &[&Settings]) -> PgPool {
        let settings = settings.concat();
        match self.pooler {
            Pooler::None => limits
                .after_connect(|connection, _| {
                    Box::pin(async move {
                        if pooler::is_straight(connection).await? {
                            return Ok(());
                        }
                        Err(sqlx::Error::Configuration(UNEXPECTED.into()))
                    })
                })
                .connect_lazy_with(self.options.clone().options(settings).options([STRAIGHT])),
            Pooler::Session => {
                let settings = Arc::new(settings);
                limits
                    .after_connect(move |connection, _| {
                        let settings = Arc::clone(&settings);
                        Box::pin(async move { pooler::set(connection, &settings).await })
                    })
                    .connect_lazy_with(self.options.clone())
            }
            Pooler::Transaction | Pooler::TransactionPrepared => {
                limits.connect_lazy_with(self.options.clone())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    fn route(db: &PgPool, pooler: Pooler) -> anyhow::Result<Route> {
        let url = SecretString::from(db.connect_options().to_url_lossy().to_string());
        Ok(Route::new(&Address::read(&url, "test")?, pooler)?)
    }

    const SETTINGS: [&Settings; 2] = [
        &[("lock_timeout", "2s"), ("enable_sort", "off")],
        &[("lock_timeout", "3s")],
    ];

    async fn shown(pool: &PgPool) -> anyhow::Result<(String, String)> {
        let shown = "SELECT current_setting('lock_timeout'), current_setting('enable_sort')";
        Ok(sqlx::query_as(shown).fetch_one(pool).await?)
    }

    #[sqlx::test(migrations = false)]
    async fn sessions_are_set_when_connecting_or_after_it(db: PgPool) -> anyhow::Result<()> {
        for pooler in [Pooler::None, Pooler::Session] {
            let pool = route(&db, pooler)?.pool(PgPoolOptions::new(), &SETTINGS);

            let shown = shown(&pool).await?;

            assert_eq!(shown, ("3s".to_owned(), "off".to_owned()), "{pooler}");
            pool.close().await;
        }
        Ok(())
    }

    // Fails when a pooler in transaction mode is told what it would have to keep.
    #[sqlx::test(migrations = false)]
    async fn behind_a_pooler_in_transaction_mode_nothing_is_set(db: PgPool) -> anyhow::Result<()> {
        for pooler in [Pooler::Transaction, Pooler::TransactionPrepared] {
            let route = route(&db, pooler)?;
            let pool = route.pool(PgPoolOptions::new(), &SETTINGS);

            let shown = shown(&pool).await?;

            assert_eq!(shown, ("0".to_owned(), "on".to_owned()), "{pooler}");
            pool.close().await;
        }
        Ok(())
    }

    // Fails when the text of a statement does not go along with its use.
    #[sqlx::test(migrations = false)]
    async fn a_server_that_forgot_a_statement_is_brought_it_again(
        db: PgPool,
    ) -> anyhow::Result<()> {
        let route = route(&db, Pooler::Transaction)?;
        let pool = route.pool(PgPoolOptions::new().max_connections(1), &[]);
        let mut connection = pool.acquire().await?;
        for number in 0..3 {
            let answer: i32 = sqlx::query_scalar("SELECT $1::int4")
                .bind(number)
                .fetch_one(&mut *connection)
                .await?;
            assert_eq!(answer, number);

            sqlx::raw_sql("DEALLOCATE ALL")
                .execute(&mut *connection)
                .await?;
        }
        Ok(())
    }

    #[sqlx::test(migrations = false)]
    async fn a_connection_over_the_bridge_lives_on_after_a_refused_statement(
        db: PgPool,
    ) -> anyhow::Result<()> {
        let route = route(&db, Pooler::Transaction)?;
        let pool = route.pool(PgPoolOptions::new().max_connections(1), &[]);
        let divide = "SELECT 10 / $1::int4";
        let mut tx = pool.begin().await?;
        sqlx::query(divide).bind(5).execute(&mut *tx).await?;

        let refused = sqlx::query(divide).bind(0).execute(&mut *tx).await;
        drop(tx);
        let wrong = sqlx::query("SELECT nothing").execute(&pool).await;
        let large = "x".repeat(1 << 20);
        let echo: String = sqlx::query_scalar("SELECT $1::text")
            .bind(&large)
            .fetch_one(&pool)
            .await?;

        assert!(refused.is_err() && wrong.is_err());
        assert_eq!(echo.len(), large.len());
        Ok(())
    }

    // Fails when a pooler that is not known for what it is is talked to as if it were PostgreSQL.
    #[sqlx::test(migrations = false)]
    async fn a_server_that_settings_do_not_reach_is_not_used(db: PgPool) -> anyhow::Result<()> {
        let bridged = route(&db, Pooler::Transaction)?;
        let mistaken = Route {
            pooler: Pooler::None,
            ..bridged
        };
        let limits = PgPoolOptions::new().acquire_timeout(std::time::Duration::from_secs(1));

        let acquired = mistaken.pool(limits, &SETTINGS).acquire().await;

        assert!(acquired.is_err());
        Ok(())
    }
}
