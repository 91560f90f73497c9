//! Migrations behind a pooler in transaction mode: all that are pending in one transaction, since neither a lock nor a
//! setting holds beyond it.

use std::borrow::Cow;

use sqlx::{
    Connection, PgPool,
    migrate::{MigrateError, Migration, Migrator},
};

use crate::store::pooler;

/// What the migrator multiplies a database's checksum with.
const FACTOR: i64 = 0x3d32_ad9e;

/// Applies what is pending, or nothing of it.
///
/// # Errors
/// Also for a migration that cannot run in a transaction: that one needs PostgreSQL itself.
pub(in crate::db) async fn migrate(
    pool: &PgPool,
    migrations: &'static Migrator,
) -> Result<(), MigrateError> {
    let mut connection = pool.acquire().await?;
    let mut tx = connection.begin().await?;
    pooler::be_patient(&mut tx).await?;
    let database = pooler::database_name(&mut tx).await?;
    pooler::lock(&mut tx, lock_id(&database)).await?;
    let all: &'static [Migration] = &migrations.migrations;
    let unlocked = Migrator {
        migrations: Cow::Borrowed(all),
        locking: false,
        ..Migrator::DEFAULT
    };
    unlocked.run_direct(&mut *tx).await?;
    Ok(tx.commit().await?)
}

/// The lock that the migrator takes where it has a session, so that neither runs beside the other.
fn lock_id(database: &str) -> i64 {
    FACTOR * i64::from(checksum(database.as_bytes()))
}

/// CRC-32 as in Ethernet and zip.
fn checksum(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            let carry = if sum & 1 == 1 { 0xedb8_8320 } else { 0 };
            sum = (sum >> 1) ^ carry;
        }
    }
    !sum
}

#[cfg(test)]
mod tests {
    use sqlx::{PgPool, migrate::Migrate};

    use super::*;

    #[test]
    fn the_checksum_is_the_one_of_its_standard() {
        assert_eq!(checksum(b"123456789"), 0xcbf4_3926);
    }

    // Fails when one who migrates through a pooler and one who does not can do so at the same time.
    #[sqlx::test(migrations = false)]
    async fn the_lock_is_the_migrators_own(db: PgPool) -> anyhow::Result<()> {
        let mut migrator = db.acquire().await?;
        migrator.lock().await?;
        let mut other = db.acquire().await?;
        let database = pooler::database_name(&mut other).await?;

        let is_free: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
            .bind(lock_id(&database))
            .fetch_one(&mut *other)
            .await?;

        assert!(!is_free);
        Ok(())
    }

    #[sqlx::test(migrations = false)]
    async fn all_that_is_pending_is_applied_once(db: PgPool) -> anyhow::Result<()> {
        let migrations = &crate::db::MIGRATIONS;

        migrate(&db, migrations).await?;
        migrate(&db, migrations).await?;

        let applied: i64 = sqlx::query_scalar("SELECT count(*) FROM public._sqlx_migrations")
            .fetch_one(&db)
            .await?;
        assert_eq!(usize::try_from(applied)?, migrations.iter().count());
        Ok(())
    }
}
