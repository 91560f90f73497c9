//! Table `events`: what is to be told to others. Rows are written by the statements whose changes they tell, and by a trigger
//! where jobs die; they are taken out in `outbound_deliveries`, and what nobody takes retention does.

use sqlx::PgExecutor;

/// Deletes what is older than so many seconds of the 5,000 oldest events; tells how many.
pub(crate) async fn prune(db: impl PgExecutor<'_>, keep_s: f64) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query!(
        "DELETE FROM marketing.events
          WHERE id = ANY (ARRAY(SELECT oldest.id
                                  FROM (SELECT id, occurred_at FROM marketing.events ORDER BY id LIMIT 5000) oldest
                                 WHERE oldest.occurred_at < now() - make_interval(secs => $1)))",
        keep_s,
    )
    .execute(db)
    .await?;
    Ok(deleted.rows_affected())
}
