//! What is known of events goes once no destination takes them any more.

use std::time::Duration;

use sqlx::PgPool;

use crate::store::{Session, StoreError, conversion_events, within_deadline};

/// Longer than any destination takes an event, so that none that was sent can be sent again.
const KEPT: Duration = Duration::from_secs(100 * 24 * 60 * 60);
/// Most rounds of one call.
const MOST_ROUNDS: usize = 200;

/// Deletes what is known of events that are too old for every destination; tells how many. What is left after a million is
/// the next call's.
///
/// # Errors
/// [`StoreError`] when the database refuses or falls silent.
pub async fn prune(db: &PgPool) -> Result<u64, StoreError> {
    let mut deleted = 0;
    for _ in 0..MOST_ROUNDS {
        let round = within_deadline(async {
            let mut session = Session::open(db).await?;
            let conn = session.connection();
            let round = conversion_events::prune(conn, KEPT.as_secs_f64()).await?;
            session.done();
            Ok(round)
        });
        match round.await? {
            0 => break,
            round => deleted += round,
        }
    }
    Ok(deleted)
}
