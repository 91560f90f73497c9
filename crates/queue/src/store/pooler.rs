//! What is asked and set where somebody may stand between us and the database. What is sent as text prepares nothing:
//! it is safe before it is known who answers.

use sqlx::{Executor, PgConnection, Row};

/// Whether the server was told what was said when connecting.
pub(crate) async fn is_straight(conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let row = conn
        .fetch_one("SELECT current_setting('millpond.straight', true) = 'yes'")
        .await?;
    Ok(row.try_get::<Option<bool>, _>(0)?.unwrap_or(false))
}

/// The server that this connection has at the moment.
pub(crate) async fn backend(conn: &mut PgConnection) -> Result<i32, sqlx::Error> {
    conn.fetch_one("SELECT pg_backend_pid()").await?.try_get(0)
}

/// Makes the server end, with its session, as soon as it is given nothing to do for a moment.
pub(crate) async fn end_when_idle(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    conn.execute("SET idle_session_timeout = '50ms'").await?;
    Ok(())
}

/// Prepares a statement and tells whether the server has it by the name that the driver gave it. Whoever brings
/// statements to other servers gives them names of its own there, since every driver counts from one.
pub(crate) async fn keeps_names(conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT $1::int4 AS "number!""#, 1)
        .fetch_one(&mut *conn)
        .await?;
    conn.fetch_one("SELECT count(*) > 0 FROM pg_prepared_statements WHERE name LIKE 'sqlx%'")
        .await?
        .try_get(0)
}

/// Sets the session, in this order.
pub(crate) async fn set(
    conn: &mut PgConnection,
    settings: &[(&str, &str)],
) -> Result<(), sqlx::Error> {
    let (names, values): (Vec<String>, Vec<String>) = settings
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .unzip();
    sqlx::query!(
        "SELECT set_config(s.name, s.value, false) FROM unnest($1::text[], $2::text[]) AS s (name, value)",
        &names,
        &values,
    )
    .fetch_all(conn)
    .await?;
    Ok(())
}

/// Gives a transaction that migrates the time it needs, and the schema where the migrator's table is.
pub(crate) async fn be_patient(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    conn.execute(
        "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '30s'; SET LOCAL search_path = public",
    )
    .await?;
    Ok(())
}

/// The database that is connected to.
pub(crate) async fn database_name(conn: &mut PgConnection) -> Result<String, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT current_database()::text AS "name!""#)
        .fetch_one(conn)
        .await
}

/// Takes a lock that the transaction's end gives back.
pub(crate) async fn lock(conn: &mut PgConnection, id: i64) -> Result<(), sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT pg_advisory_xact_lock($1) AS "taken!: ()""#, id)
        .fetch_one(conn)
        .await?;
    Ok(())
}
