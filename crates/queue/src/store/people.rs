//! Payloads that may be about a person, wherever their jobs are, and what is left of them when the person is to be forgotten.

use sqlx::PgExecutor;
use uuid::Uuid;

/// A job; with its payload where that may name the person.
#[derive(Debug)]
pub(crate) struct CandidateRow {
    pub(crate) id: Uuid,
    pub(crate) kind: String,
    pub(crate) payload: Option<String>,
}

/// Up to 500 jobs that are to be done, behind one. A payload is a candidate where it has one of the two texts, where it is
/// written with escapes, or where it lies encrypted.
pub(crate) async fn of_jobs(
    db: impl PgExecutor<'_>,
    after: Uuid,
    (text, hash): (&str, &str),
) -> Result<Vec<CandidateRow>, sqlx::Error> {
    sqlx::query_as!(
        CandidateRow,
        r#"SELECT id, kind,
                  CASE WHEN strpos(lower(payload::text), $2) > 0 OR strpos(lower(payload::text), $3) > 0
                         OR strpos(payload::text, '\u') > 0 OR left(payload::text, 11) = '{"$sealed":' THEN payload::text END AS payload
             FROM millpond.jobs WHERE id > $1 ORDER BY id LIMIT 500"#,
        after,
        text,
        hash,
    )
    .fetch_all(db)
    .await
}

/// The same of dead letters.
pub(crate) async fn of_letters(
    db: impl PgExecutor<'_>,
    after: Uuid,
    (text, hash): (&str, &str),
) -> Result<Vec<CandidateRow>, sqlx::Error> {
    sqlx::query_as!(
        CandidateRow,
        r#"SELECT id, kind,
                  CASE WHEN strpos(lower(payload::text), $2) > 0 OR strpos(lower(payload::text), $3) > 0
                         OR strpos(payload::text, '\u') > 0 OR left(payload::text, 11) = '{"$sealed":' THEN payload::text END AS payload
             FROM millpond.dead_letters WHERE id > $1 ORDER BY id LIMIT 500"#,
        after,
        text,
        hash,
    )
    .fetch_all(db)
    .await
}

/// The same of jobs that are done.
pub(crate) async fn of_history(
    db: impl PgExecutor<'_>,
    after: Uuid,
    (text, hash): (&str, &str),
) -> Result<Vec<CandidateRow>, sqlx::Error> {
    sqlx::query_as!(
        CandidateRow,
        r#"SELECT id, kind,
                  CASE WHEN strpos(lower(payload::text), $2) > 0 OR strpos(lower(payload::text), $3) > 0
                         OR strpos(payload::text, '\u') > 0 OR left(payload::text, 11) = '{"$sealed":' THEN payload::text END AS payload
             FROM millpond.job_history WHERE id > $1 ORDER BY id LIMIT 500"#,
        after,
        text,
        hash,
    )
    .fetch_all(db)
    .await
}

/// Takes away what a dead letter says; it cannot be replayed any more.
pub(crate) async fn wipe_letter(db: impl PgExecutor<'_>, id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"UPDATE millpond.dead_letters SET payload = '{"$sealed":null}', progress = NULL WHERE id = $1"#,
        id
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Takes away what a job says that is done, and what came of it.
pub(crate) async fn wipe_done(db: impl PgExecutor<'_>, id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"UPDATE millpond.job_history SET payload = '{"$sealed":null}', progress = NULL, result = NULL WHERE id = $1"#,
        id
    )
    .execute(db)
    .await?;
    Ok(())
}
