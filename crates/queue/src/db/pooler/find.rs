//! Finds out who stands between this process and PostgreSQL, by what becomes of a connection.

use std::{borrow::Cow, time::Duration};

use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};
use tokio::time::timeout;

use super::{Address, Pooler, route::STRAIGHT};
use crate::{db::DatabaseError, store::pooler};

/// Longest that finding out may take.
const FIND: Duration = Duration::from_secs(5);
/// How often is looked whether a connection changes its server. Under load it may keep it by chance.
const LOOKS: usize = 5;
/// Waits for a server to end that is to end when it is idle. Each look at it keeps it for another moment, so they grow.
const UNTIL_IDLE: [Duration; 4] = [
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
];
/// What PostgreSQL before 14 says of the setting for that.
const NO_SUCH_SETTING: &str = "42704";
/// A parameter that is refused when connecting, as a violation of the protocol or as a feature that is not there: a
/// pooler's way of saying that it is one.
const REFUSALS: [&str; 2] = ["08P01", "0A000"];

/// Who stands at this address.
///
/// # Errors
/// When nobody answers there.
pub(in crate::db) async fn find(address: &Address) -> Result<Pooler, DatabaseError> {
    let options = address.options()?;
    match timeout(FIND, look(&options)).await {
        Ok(found) => Ok(found?),
        Err(_) => Err(DatabaseError::TimedOut),
    }
}

async fn look(address: &PgConnectOptions) -> Result<Pooler, sqlx::Error> {
    if takes_settings(address).await? {
        return Ok(Pooler::None);
    }
    let bare = address.clone().extra_float_digits(None::<i8>);
    let mut ours = bare.connect().await?;
    let mut other = bare.connect().await?;
    tell_apart(&mut ours, &mut other).await
}

/// Whether what is set when connecting reaches the server: a pooler refuses it, or keeps it to itself.
async fn takes_settings(address: &PgConnectOptions) -> Result<bool, sqlx::Error> {
    match address.clone().options([STRAIGHT]).connect().await {
        Ok(mut connection) => {
            let is_set = pooler::is_straight(&mut connection).await?;
            connection.close().await?;
            Ok(is_set)
        }
        Err(error) if is_refusal(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

fn is_refusal(error: &sqlx::Error) -> bool {
    code_of(error).is_some_and(|code| REFUSALS.contains(&&*code))
}

fn code_of(error: &sqlx::Error) -> Option<Cow<'_, str>> {
    error.as_database_error()?.code()
}

/// Tells the modes of a pooler apart by two connections to it.
///
/// Two that share a server tell of transactions. Two that do not tell of nothing: servers may take turns, other clients may
/// have them, or two poolers may share the address. So what looks like a session is tried: its server is made to end, and
/// a session ends with it. Where that cannot be tried, before PostgreSQL 14, or where a pooler gives another server to
/// what it calls a session, `?pooler=` in the address is right and this may be wrong.
async fn tell_apart(
    ours: &mut PgConnection,
    other: &mut PgConnection,
) -> Result<Pooler, sqlx::Error> {
    for _ in 0..LOOKS {
        if shares_servers(ours, other).await? {
            return mode_of_transactions(ours).await;
        }
    }
    // Both: one may have had a query under way when its server ended. And the second is still there when the first has
    // gone: else it was the pooler that went.
    for connection in [ours, other] {
        if outlives_its_server(connection).await? {
            return mode_of_transactions(connection).await;
        }
    }
    Ok(Pooler::Session)
}

async fn mode_of_transactions(ours: &mut PgConnection) -> Result<Pooler, sqlx::Error> {
    Ok(if tracks_statements(ours).await? {
        Pooler::TransactionPrepared
    } else {
        Pooler::Transaction
    })
}

/// Whether a connection changes its server, or the server of one that does not need it is given to another.
async fn shares_servers(
    ours: &mut PgConnection,
    other: &mut PgConnection,
) -> Result<bool, sqlx::Error> {
    let first = pooler::backend(ours).await?;
    // Where servers take turns.
    if pooler::backend(ours).await? != first {
        return Ok(true);
    }
    // Where the server that was used last is given first.
    let mut held = other.begin().await?;
    let taken = pooler::backend(&mut held).await?;
    let is_shared = taken == first || pooler::backend(ours).await? != first;
    held.rollback().await?;
    Ok(is_shared)
}

/// Whether a connection lives on when its server has ended, as it does where each transaction is given one. What another
/// client does on that server at the time is not cut off.
async fn outlives_its_server(ours: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let first = pooler::backend(ours).await?;
    match pooler::end_when_idle(ours).await {
        Err(error) if code_of(&error).is_some_and(|code| code == NO_SUCH_SETTING) => {
            return Ok(false);
        }
        set => set?,
    }
    for wait in UNTIL_IDLE {
        tokio::time::sleep(wait).await;
        match pooler::backend(ours).await {
            // Others keep it busy, or it was another one that was told to end.
            Ok(server) if server == first => {}
            Ok(_) => return Ok(true),
            Err(_) => return Ok(false),
        }
    }
    // A session's would have ended. And what is right for transactions is right for sessions, too.
    Ok(true)
}

/// Whether what is prepared is brought to whatever server runs it.
async fn tracks_statements(ours: &mut PgConnection) -> Result<bool, sqlx::Error> {
    // In a transaction, so that it is one server that is talked to.
    let mut tx = ours.begin().await?;
    let tracks = match pooler::keeps_names(&mut tx).await {
        Ok(keeps) => !keeps,
        // Another connection's statement has that name there.
        Err(sqlx::Error::Database(_)) => false,
        Err(error) => return Err(error),
    };
    // Else it would stay on that server, in the way of whoever comes next.
    tx.clear_cached_statements().await?;
    tx.rollback().await?;
    Ok(tracks)
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;
    use sqlx::PgPool;

    use super::*;

    fn address(url: String) -> Address {
        Address::read(&SecretString::from(url), "test").expect("it is right")
    }

    #[sqlx::test(migrations = false)]
    async fn postgresql_itself_is_found(db: PgPool) -> anyhow::Result<()> {
        let address = address(db.connect_options().to_url_lossy().to_string());

        let found = find(&address).await?;

        assert_eq!(found, Pooler::None);
        Ok(())
    }

    // Fails when a connection that keeps its server is taken for one that changes it.
    #[sqlx::test(migrations = false)]
    async fn connections_that_keep_their_servers_are_told_apart(db: PgPool) -> anyhow::Result<()> {
        let (mut ours, mut other) = (db.acquire().await?, db.acquire().await?);
        let mut third = db.acquire().await?;

        let found = tell_apart(&mut ours, &mut other).await?;
        let tracks = tracks_statements(&mut third).await?;

        assert_eq!(found, Pooler::Session);
        assert!(!tracks);
        Ok(())
    }

    // Fails when a pooler that goes away while it is asked is taken for one that ends sessions.
    #[sqlx::test(migrations = false)]
    async fn where_all_connections_are_lost_nothing_is_found(db: PgPool) -> anyhow::Result<()> {
        let (mut ours, mut other) = (db.acquire().await?, db.acquire().await?);
        let server = pooler::backend(&mut other).await?;
        sqlx::query("SELECT pg_terminate_backend($1, 10000)")
            .bind(server)
            .execute(&mut *ours)
            .await?;

        let outlives = outlives_its_server(&mut ours).await?;
        let second = outlives_its_server(&mut other).await;

        assert!(!outlives && second.is_err(), "{second:?}");
        Ok(())
    }

    // Fails when a name that another connection left is taken for a statement of ours.
    #[sqlx::test(migrations = false)]
    async fn a_name_that_is_taken_tells_of_a_pooler_that_does_not_track(
        db: PgPool,
    ) -> anyhow::Result<()> {
        let mut ours = db.acquire().await?;
        sqlx::raw_sql("PREPARE sqlx_s_1 AS SELECT 'of another'")
            .execute(&mut *ours)
            .await?;

        let tracks = tracks_statements(&mut ours).await?;

        assert!(!tracks);
        Ok(())
    }

    #[tokio::test]
    async fn nobody_is_no_pooler() {
        let found = find(&address("postgres://127.0.0.1:9/none".to_owned())).await;

        assert!(matches!(found, Err(DatabaseError::Unavailable(_))));
    }
}
