//! Table `email_sends`: the intent and the receipt of each mail.

use sqlx::PgExecutor;
use sqlx::types::{
    Uuid,
    chrono::{DateTime, Utc},
};

/// A send that may go on.
pub(crate) struct Intent {
    /// The one of the first attempt, whatever later ones would make it.
    pub(crate) message_id: String,
    /// An attempt before this one may have been delivered.
    pub(crate) in_doubt: bool,
}

/// Where a send stands that may not go on.
pub(crate) struct Standing {
    /// `sent`, `in_doubt` where it may have been and is not to be sent again, or `underway`.
    pub(crate) standing: String,
    /// The mail's Message-ID.
    pub(crate) message_id: String,
    /// `None` while it is being sent.
    pub(crate) ended_at: Option<DateTime<Utc>>,
}

/// Stores the intent to send. `None` where the mail was sent already, or where another job began within the last quarter
/// of an hour and may still be at it; a job's own earlier attempt is over, since only one holds the lease. `None` too where an
/// attempt that may have been delivered began longer ago than `again_within_s`, if that is said: `begun_at` stays that of the
/// first such attempt.
pub(crate) async fn begin(
    db: impl PgExecutor<'_>,
    identity: &str,
    job: Uuid,
    message_id: &str,
    again_within_s: Option<f64>,
) -> Result<Option<Intent>, sqlx::Error> {
    sqlx::query_as!(
        Intent,
        r#"INSERT INTO marketing.email_sends AS known (identity, job_id, message_id, state)
           VALUES ($1, $2, $3, 'sending')
           ON CONFLICT ON CONSTRAINT email_sends_pkey DO UPDATE
              SET job_id = excluded.job_id,
                  state = 'sending',
                  in_doubt = known.in_doubt OR known.state IN ('sending', 'unknown'),
                  begun_at = CASE WHEN known.in_doubt OR known.state IN ('sending', 'unknown') THEN known.begun_at ELSE now() END,
                  ended_at = NULL
            WHERE (known.state IN ('failed', 'unknown')
                   OR known.state = 'sending'
                      AND (known.job_id = excluded.job_id OR known.begun_at < now() - interval '15 minutes'))
              AND ($4::float8 IS NULL
                   OR known.state = 'failed' AND NOT known.in_doubt
                   OR known.begun_at > now() - make_interval(secs => $4))
           RETURNING message_id, in_doubt"#,
        identity,
        job,
        message_id,
        again_within_s,
    )
    .fetch_optional(db)
    .await
}

/// Where the send with this identity stands that [`begin`] said no to.
pub(crate) async fn standing(
    db: impl PgExecutor<'_>,
    identity: &str,
    job: Uuid,
    again_within_s: Option<f64>,
) -> Result<Standing, sqlx::Error> {
    sqlx::query_as!(
        Standing,
        r#"SELECT CASE WHEN state = 'sent' THEN 'sent'
                       WHEN state = 'sending' AND job_id <> $2 AND begun_at >= now() - interval '15 minutes' THEN 'underway'
                       WHEN (in_doubt OR state <> 'failed') AND begun_at <= now() - make_interval(secs => $3) THEN 'in_doubt'
                       ELSE 'underway' END AS "standing!",
                  message_id, ended_at
             FROM marketing.email_sends WHERE identity = $1"#,
        identity,
        job,
        again_within_s,
    )
    .fetch_one(db)
    .await
}

/// Stores the receipt. It holds whoever else began meanwhile: the mail is out.
pub(crate) async fn record_sent(
    db: impl PgExecutor<'_>,
    identity: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"UPDATE marketing.email_sends
              SET state = 'sent', ended_at = now()
            WHERE identity = $1 AND state <> 'sent'"#,
        identity,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Stores that this job's attempt ended without a receipt, as `failed` or `unknown`; changes nothing where another job
/// began meanwhile.
pub(crate) async fn record_unsent(
    db: impl PgExecutor<'_>,
    identity: &str,
    job: Uuid,
    state: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"UPDATE marketing.email_sends
              SET state = $3, ended_at = now()
            WHERE identity = $1 AND job_id = $2 AND state = 'sending'"#,
        identity,
        job,
        state,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Deletes mails that were begun so many seconds ago, at most so many; tells how many.
pub(crate) async fn prune(
    db: impl PgExecutor<'_>,
    older_than_s: f64,
    most: i64,
) -> Result<u64, sqlx::Error> {
    let gone = sqlx::query!(
        r#"DELETE FROM marketing.email_sends
            WHERE identity = ANY(ARRAY(
                  SELECT identity FROM marketing.email_sends
                   WHERE begun_at < now() - make_interval(secs => $1)
                   ORDER BY begun_at LIMIT $2 FOR UPDATE SKIP LOCKED))"#,
        older_than_s,
        most,
    )
    .execute(db)
    .await?;
    Ok(gone.rows_affected())
}
